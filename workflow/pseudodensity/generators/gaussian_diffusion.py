"""Gaussian diffusion: the tables of a noise schedule, its reverse step, and the hybrid loss.

Notation: x0 image in [-1, 1]; eps standard normal noise; abar_t = prod_{s<=t} (1 - beta_s);
x_t = sqrt(abar_t) x0 + sqrt(1 - abar_t) eps. A network output has six channels for a
three-channel image: three that give x0 (as eps or v) and three that give the log-variance.
Sources: DDPM (Ho et al., 2020), IDDPM (Nichol and Dhariwal, 2021), DDIM (Song et al., 2021),
v-prediction (Salimans and Ho, 2022, appendix D).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

__all__ = ["GaussianDiffusion", "cosine_betas", "discretised_gaussian_nll", "linear_betas"]

PREDICTIONS = ("epsilon", "v_prediction")


def linear_betas(steps: int) -> Tensor:
    """Linear schedule of DDPM, stretched so that every number of steps ends equally noisy.

    Returns: (steps,) float64, 1e-4 .. 0.02 at 1000 steps.
    """
    stretch = 1000 / steps
    return torch.linspace(1e-4 * stretch, 0.02 * stretch, steps, dtype=torch.float64)


def cosine_betas(steps: int) -> Tensor:
    """Cosine schedule (IDDPM equation 17, s = 0.008), beta capped at 0.999.

    Returns: (steps,) float64.
    """
    u = torch.arange(steps + 1, dtype=torch.float64) / steps
    abar = torch.cos((u + 0.008) / 1.008 * math.pi / 2) ** 2
    return (1 - abar[1:] / abar[:-1]).clamp(max=0.999)


def discretised_gaussian_nll(x: Tensor, mean: Tensor, log_variance: Tensor) -> Tensor:
    """Minus log-probability in nats of 8-bit levels under a Gaussian (DDPM equation 13).

    x: levels u/127.5 - 1 as floats; each owns the interval of half-width 1/255, the outermost
    two extend to infinity. All three arguments, and the result, share one shape.
    """
    inverse_std = torch.exp(-0.5 * log_variance)
    upper = _normal_cdf((x - mean + 1 / 255) * inverse_std)
    lower = _normal_cdf((x - mean - 1 / 255) * inverse_std)
    upper = torch.where(x > 0.999, torch.ones_like(upper), upper)
    lower = torch.where(x < -0.999, torch.zeros_like(lower), lower)
    return -torch.log((upper - lower).clamp(min=1e-12))


def _normal_cdf(z: Tensor) -> Tensor:
    # The tanh approximation is what the published models were trained with.
    return 0.5 * (1 + torch.tanh(math.sqrt(2 / math.pi) * (z + 0.044715 * z**3)))


def _gaussian_kl(mean_p: Tensor, log_var_p: Tensor, mean_q: Tensor, log_var_q: Tensor) -> Tensor:
    """KL(p || q) in nats of elementwise Gaussians."""
    ratio = torch.exp(log_var_p - log_var_q)
    distance = (mean_p - mean_q) ** 2 * torch.exp(-log_var_q)
    return 0.5 * (log_var_q - log_var_p + ratio + distance - 1)


class GaussianDiffusion(nn.Module):
    """Tables of one noise schedule and everything that follows from them in closed form.

    A step i in 0 .. steps-1 is an index into the tables; `times[i]` is what the network is
    told. They differ only after `respace`. Tables are float64 buffers outside the state dict.

    abar: (steps,) float64, falling within (0, 1). times: (steps,) int64.
    prediction: "epsilon" | "v_prediction". ValueError for another prediction.
    """

    def __init__(self, abar: Tensor, times: Tensor, prediction: str):
        super().__init__()
        if prediction not in PREDICTIONS:
            raise ValueError(f"prediction {prediction!r} unknown: use one of {PREDICTIONS}")
        self.prediction = prediction
        self.steps = len(abar)
        previous = torch.cat([abar.new_ones(1), abar[:-1]])
        beta = 1 - abar / previous
        variance = beta * (1 - previous) / (1 - abar)
        # q(x_0 | x_1, x_0) has variance zero; its log borrows the next step's value.
        clipped = torch.cat([variance[1:2], variance[1:]]) if len(abar) > 1 else beta
        tables = {
            "abar": abar,
            "abar_previous": previous,
            "log_beta": beta.log(),
            "posterior_log_variance": clipped.log(),
            "posterior_x0": previous.sqrt() * beta / (1 - abar),
            "posterior_x": (1 - beta).sqrt() * (1 - previous) / (1 - abar),
        }
        for name, table in tables.items():
            self.register_buffer(name, table, persistent=False)
        self.register_buffer("times", times, persistent=False)

    @classmethod
    def from_betas(cls, betas: Tensor, prediction: str) -> GaussianDiffusion:
        """The full schedule of betas (steps,) float64; times are 0 .. steps-1."""
        return cls(torch.cumprod(1 - betas, 0), torch.arange(len(betas)), prediction)

    def respace(self, times: Tensor) -> GaussianDiffusion:
        """The same process seen only at `times` (increasing int64): fewer, larger steps."""
        times = times.to(self.abar.device)
        return GaussianDiffusion(self.abar[times], times, self.prediction)

    def leading(self, steps: int) -> GaussianDiffusion:
        """Respaced to times 0, s, 2s, .. with s = steps_now / steps (diffusers' "leading").

        ValueError unless `steps` divides the number of steps now.
        """
        self._check_divides(steps)
        return self.respace(torch.arange(0, self.steps, self.steps // steps))

    def even(self, steps: int) -> GaussianDiffusion:
        """Respaced to `steps` times from 0 to the last one, evenly but for rounding, as the published
        ancestral samplers are (diffusers' "linspace"); one step is the last time.

        ValueError unless `steps` divides the number of steps now.
        """
        self._check_divides(steps)
        times = torch.linspace(self.steps - 1, 0, steps, dtype=torch.float64)
        return self.respace(times.round().long().flip(0))

    def _check_divides(self, steps: int) -> None:
        if not 1 <= steps <= self.steps or self.steps % steps:
            raise ValueError(f"{steps} sampling steps do not divide {self.steps}: use a divisor")

    def clock(self, steps: Tensor) -> Tensor:
        """Steps of this process -> times of a network, 0 .. 1000 whatever the number of steps."""
        return steps * (1000 / self.steps)

    def at(self, table: str, i: Tensor, like: Tensor) -> Tensor:
        """Values of a table at steps i (n,) as (n, 1, 1, 1), in the dtype of `like`."""
        return getattr(self, table)[i].to(like.dtype).view(-1, *[1] * (like.ndim - 1))

    def noised(self, x0: Tensor, i: Tensor, noise: Tensor) -> Tensor:
        """x_i of images x0 (n, c, h, w) at steps i (n,) with given noise (DDPM equation 4)."""
        abar = self.at("abar", i, x0)
        return abar.sqrt() * x0 + (1 - abar).sqrt() * noise

    def target(self, x0: Tensor, i: Tensor, noise: Tensor) -> Tensor:
        """What the mean channels should say: the noise, or v = sqrt(abar) eps - sqrt(1-abar) x0."""
        if self.prediction == "epsilon":
            return noise
        abar = self.at("abar", i, x0)
        return abar.sqrt() * noise - (1 - abar).sqrt() * x0

    def x0(self, output: Tensor, x: Tensor, i: Tensor) -> Tensor:
        """Predicted x0 (n, c, h, w), unclamped, from the mean channels of a network output."""
        abar = self.at("abar", i, x)
        mean = output[:, : x.shape[1]]
        if self.prediction == "epsilon":
            return (x - (1 - abar).sqrt() * mean) / abar.sqrt()
        return abar.sqrt() * x - (1 - abar).sqrt() * mean

    def log_variance(self, output: Tensor, x: Tensor, i: Tensor) -> Tensor:
        """Log-variance of the reverse step (n, c, h, w): learned interpolation in log space
        between the posterior variance and beta (IDDPM equation 15); -1 and 1 are the ends."""
        share = (output[:, x.shape[1] :] + 1) / 2
        low = self.at("posterior_log_variance", i, x)
        return low + share * (self.at("log_beta", i, x) - low)

    def posterior_mean(self, x0: Tensor, x: Tensor, i: Tensor) -> Tensor:
        """Mean of q(x_{i-1} | x_i, x0) (DDPM equation 7)."""
        return self.at("posterior_x0", i, x) * x0 + self.at("posterior_x", i, x) * x

    def ddim_step(self, output: Tensor, x: Tensor, i: Tensor) -> Tensor:
        """x_{i-1} by deterministic DDIM (equation 12, sigma = 0), x0 clamped to [-1, 1].

        The noise is taken anew from the clamped x0, as the published samplers do; before the
        first step lies x0 itself (abar = 1).
        """
        abar, previous = self.at("abar", i, x), self.at("abar_previous", i, x)
        x0 = self.x0(output, x, i).clamp(-1, 1)
        # sqrt(previous) x0 + sqrt(1 - previous) eps with eps = (x - sqrt(abar) x0) / sqrt(1 - abar)
        of_x = ((1 - previous) / (1 - abar)).sqrt()
        return torch.addcmul(of_x * x, previous.sqrt() - of_x * abar.sqrt(), x0)

    def ddim_share(self, x: Tensor, i: Tensor) -> Tensor:
        """What a DDIM step adds to x_{i-1} of a gradient g, (n, 1, 1, 1): how far x_{i-1} moves if the
        noise that is seen in x_i becomes eps - sqrt(1 - abar) g (Dhariwal and Nichol 2021, Algorithm
        2). It is half of beta where steps are small."""
        abar, previous = self.at("abar", i, x), self.at("abar_previous", i, x)
        noise = (1 - abar).sqrt()
        return noise * (noise * (previous / abar).sqrt() - (1 - previous).sqrt())

    def ancestral_step(self, output: Tensor, x: Tensor, i: Tensor, noise: Tensor) -> Tensor:
        """x_{i-1} with the learned variance, x0 clamped to [-1, 1] (DDPM, Algorithm 2).

        noise: of x's shape, standard normal; zero in the last step, i = 0.
        """
        mean = self.posterior_mean(self.x0(output, x, i).clamp(-1, 1), x, i)
        return mean + (self.log_variance(output, x, i) / 2).exp() * noise

    def variational_bound(self, output: Tensor, x0: Tensor, x: Tensor, i: Tensor) -> Tensor:
        """Term i of the variational bound in bits per dimension, (n,) (IDDPM equations 4-7).

        KL to the posterior for i > 0; discretised likelihood of the 8-bit image for i = 0.
        """
        mean = self.posterior_mean(self.x0(output, x, i), x, i)
        log_variance = self.log_variance(output, x, i)
        true_mean = self.posterior_mean(x0, x, i)
        true_log_variance = self.at("posterior_log_variance", i, x)
        terms = _gaussian_kl(true_mean, true_log_variance, mean, log_variance).flatten(1).mean(1)
        # One image in `steps` is at i = 0; for all of a batch its term would cost like a layer.
        first = torch.nonzero(i == 0).squeeze(1)
        if len(first):
            nll = discretised_gaussian_nll(x0[first], mean[first], log_variance[first])
            terms = terms.index_copy(0, first, nll.flatten(1).mean(1))
        return terms / math.log(2)

    def prior_bound(self, x0: Tensor) -> Tensor:
        """What the bound has for the prior, in bits per dimension, (n,): the divergence of x_T, given
        x0 (n, c, h, w), from standard normal noise."""
        last = torch.full((len(x0),), self.steps - 1, device=x0.device)
        abar = self.at("abar", last, x0)
        zero = torch.zeros_like(x0)
        terms = _gaussian_kl(abar.sqrt() * x0, (1 - abar).log(), zero, zero)
        return terms.flatten(1).mean(1) / math.log(2)

    def hybrid_loss(
        self, output: Tensor, x0: Tensor, i: Tensor, noise: Tensor, rescale_vb: bool
    ) -> Tensor:
        """Mean squared error plus the variational bound, (n,) (IDDPM equation 16).

        The mean channels are detached in the bound, which trains the variance alone.
        rescale_vb: weigh the bound by steps/1000, that is the paper's 0.001 L_vlb; False, as in
        the LSUN models, leaves it at 1. Both agree at 1000 steps.
        """
        channels = x0.shape[1]
        mean, variance = output[:, :channels], output[:, channels:]
        error = (mean - self.target(x0, i, noise)).square().flatten(1).mean(1)
        frozen = torch.cat([mean.detach(), variance], 1)
        bound = self.variational_bound(frozen, x0, self.noised(x0, i, noise), i)
        return error + bound * (self.steps / 1000 if rescale_vb else 1.0)
