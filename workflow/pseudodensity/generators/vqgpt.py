"""An autoregressive image model: a discrete tokeniser, and a small GPT over its codes.

The tokeniser is diffusers' VQModel. The GPT is that of VQGAN (Esser et al., 2021, section 3.2):
pre-norm blocks, GELU, learned positions, an output layer of its own, and token 0 as the start.
An image is drawn code by code in raster order, so its probability under the model is known.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from diffusers import VQModel
from torch import Tensor, nn
from torch.nn.functional import pixel_shuffle, pixel_unshuffle, scaled_dot_product_attention

from pseudodensity.generators.generator import BaseGenerator

__all__ = ["Gpt", "VqGpt", "build_generator", "build_tokeniser"]

DECLARATION = {
    "name": "vqgpt",
    "prior": "uniform",  # of each normal number only the quantile counts
    "classes": False,
    "w_space": False,
    "normalises_z": False,
    "discriminator": None,
    "trainer": "control.train.autoregressive:AutoregressiveTrainer",
    "tangents": None,
    "no_jacobian": "needs a Jacobian, and codes are discrete",
    "truncation": [],
    "likelihood": True,
    "calls_per_image": "many",
    "formats": [],
}

# The largest float64 below 1: a uniform of 1 would lie beyond the last code.
_BELOW_ONE = 1 - 2**-53

Cache = list[tuple[Tensor, Tensor] | None]


def build_tokeniser(
    patch: int,
    channels: Sequence[int],
    blocks: int,
    attention_levels: Sequence[int],
    norm_groups: int,
    codes: int,
    code_width: int,
) -> VQModel:
    """A VQModel on grids of 3 patch^2 channels, halved between the levels of ``channels``.

    channels: width of each level, finest first, each a multiple of norm_groups. blocks: residual
    blocks per level on the way down. attention_levels: indices of the levels with self-attention
    (the middle always has it). codes: size of the codebook; code_width: length of its vectors.
    ValueError for widths that cannot be built.
    """
    if any(width % norm_groups for width in channels):
        raise ValueError(f"channels {list(channels)} must divide by norm_groups={norm_groups}")
    if codes < 2:
        raise ValueError(f"a codebook of {codes} codes says nothing: use 2 or more")
    if not set(attention_levels) <= set(range(len(channels))):
        raise ValueError(
            f"attention_levels {list(attention_levels)}: levels are 0 to {len(channels) - 1}"
        )
    attended = [level in attention_levels for level in range(len(channels))]
    tokeniser = VQModel(
        in_channels=3 * patch**2,
        out_channels=3 * patch**2,
        block_out_channels=tuple(channels),
        layers_per_block=blocks,
        down_block_types=tuple(
            "AttnDownEncoderBlock2D" if a else "DownEncoderBlock2D" for a in attended
        ),
        up_block_types=tuple(
            "AttnUpDecoderBlock2D" if a else "UpDecoderBlock2D" for a in reversed(attended)
        ),
        norm_num_groups=norm_groups,
        latent_channels=code_width,
        vq_embed_dim=code_width,
        num_vq_embeddings=codes,
        lookup_from_codebook=True,
    )
    # By default diffusers puts the weight .25 on the codebook's term instead of the encoder's.
    tokeniser.quantize.legacy = False
    return tokeniser


class _Block(nn.Module):
    """One pre-norm transformer block with causal attention."""

    def __init__(self, width: int, heads: int, dropout: float):
        super().__init__()
        self.heads = heads
        self.norm_attention, self.norm_mlp = nn.LayerNorm(width), nn.LayerNorm(width)
        self.queries_keys_values = nn.Linear(width, 3 * width)
        self.project = nn.Linear(width, width)
        self.mlp = nn.Sequential(
            nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width)
        )
        self.dropout = nn.Dropout(dropout)

    def forward(
        self, x: Tensor, past: tuple[Tensor, Tensor] | None
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """Tokens x (n, t, width) after keys and values (n, heads, s, d) of the s tokens before.

        Returns the outputs and the keys and values of all s + t tokens. With a past, t is 1.
        """
        split = self.queries_keys_values(self.norm_attention(x))
        query, key, value = split.unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        if past is not None:
            key, value = torch.cat([past[0], key], 2), torch.cat([past[1], value], 2)
        # A single query is the newest token, which may look at all.
        attended = scaled_dot_product_attention(query, key, value, is_causal=past is None)
        x = x + self.dropout(self.project(attended.transpose(1, 2).flatten(2)))
        return x + self.dropout(self.mlp(self.norm_mlp(x))), (key, value)


class Gpt(nn.Module):
    """A transformer that gives the logits of each code from the codes before it.

    codes: size of the alphabet; tokens: length of a sequence; layers, width, heads: of the
    transformer; dropout: on embeddings and residual branches.
    """

    def __init__(
        self, codes: int, tokens: int, layers: int, width: int, heads: int, dropout: float
    ):
        super().__init__()
        self.tokens = tokens
        self.embedding = nn.Embedding(codes, width)
        self.positions = nn.Parameter(torch.zeros(tokens, width))
        self.dropout = nn.Dropout(dropout)
        self.blocks = nn.ModuleList(_Block(width, heads, dropout) for _ in range(layers))
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, codes, bias=False)
        self.apply(self._initialise)

    @staticmethod
    def _initialise(module: nn.Module) -> None:
        """Weights of standard deviation .02 (GPT-2), no biases."""
        if isinstance(module, nn.Linear | nn.Embedding):
            nn.init.normal_(module.weight, std=0.02)
        if isinstance(module, nn.Linear) and module.bias is not None:
            nn.init.zeros_(module.bias)

    def forward(self, codes: Tensor) -> Tensor:
        """Logits (n, tokens, codes) of each of codes (n, tokens) int64, given those before it."""
        start = torch.zeros_like(codes[:, :1])
        return self._logits(torch.cat([start, codes[:, :-1]], 1), 0, self.empty_cache())

    def empty_cache(self) -> Cache:
        """The keys and values of no tokens, for :meth:`next_logits`."""
        return [None] * len(self.blocks)

    def next_logits(self, previous: Tensor, position: int, cache: Cache) -> Tensor:
        """Logits (n, codes) of the code at ``position``; ``cache`` is extended in place.

        previous: codes (n,) int64 at position - 1; at position 0 the start, which is code 0.
        """
        return self._logits(previous[:, None], position, cache)[:, 0]

    def _logits(self, inputs: Tensor, position: int, cache: Cache) -> Tensor:
        positions = self.positions[position : position + inputs.shape[1]]
        x = self.dropout(self.embedding(inputs) + positions)
        for index, block in enumerate(self.blocks):
            x, cache[index] = block(x, cache[index])
        return self.head(self.norm(x))


class VqGpt(BaseGenerator):
    """Tokeniser and GPT as one generator: latents -> codes -> images.

    A latent is one standard normal per token. Its normal CDF is the uniform number that picks
    the code by the inverse of the conditional CDF, so a latent always gives the same image, and
    standard normal latents give exactly the model's distribution. Codes are discrete: images
    have no gradient with respect to latents.

    patch: side of the pixel blocks folded into channels before the tokeniser (1 at paper scale).
    """

    truncation = DECLARATION["truncation"]

    def __init__(self, tokeniser: VQModel, gpt: Gpt, resolution: int, patch: int):
        super().__init__()
        self.tokeniser, self.gpt = tokeniser, gpt
        self.resolution, self.patch = resolution, patch
        self.latent_shape = (gpt.tokens,)

    def forward(self, z: Tensor, temperature: float = 1.0) -> Tensor:
        """Images (n, 3, R, R), about [-1, 1], from latents z (n, tokens) standard normal."""
        return self.decode(self.codes(z, temperature))

    @torch.no_grad()
    def codes(self, z: Tensor, temperature: float = 1.0) -> Tensor:
        """Codes (n, tokens) int64 of latents z (n, tokens).

        temperature: divides the logits; 1 is the model, 0 takes the likeliest code at each token
        whatever the latent. ValueError for latents of another shape or a negative temperature.
        """
        self._check_shape("latents", z)
        _check_temperature(temperature)
        uniforms = torch.special.ndtr(z.double()).clamp(max=_BELOW_ONE).T.contiguous()
        codes = torch.empty(z.shape, dtype=torch.int64, device=z.device)
        previous = torch.zeros(len(z), dtype=torch.int64, device=z.device)
        cache = self.gpt.empty_cache()
        for position in range(self.gpt.tokens):
            logits = self.gpt.next_logits(previous, position, cache)
            previous = _pick(logits, uniforms[position], temperature)
            codes[:, position] = previous
        return codes

    @torch.no_grad()
    def log_likelihood(self, codes: Tensor, temperature: float = 1.0) -> Tensor:
        """Log-probability (n,) float64, in nats, of drawing codes (n, tokens) int64.

        It is exact for codes, log p(s) = sum_i log p(s_i | s_<i), and is no density of images:
        an image that is encoded again need not give the codes that it was decoded from.
        At temperature 0 it is 0 for the one sequence that is drawn and -inf for others.
        ValueError for codes of another shape or a negative temperature.
        """
        self._check_shape("codes", codes)
        _check_temperature(temperature)
        logits = self.gpt(codes).double()
        if temperature == 0:
            drawn = (logits.argmax(-1) == codes).all(1)
            return torch.where(drawn, 0.0, -torch.inf).double()
        log_p = (logits / temperature).log_softmax(-1)
        return log_p.gather(-1, codes[..., None]).sum((1, 2))

    def negative_log_likelihood(self, codes: Tensor) -> Tensor:
        """Minus the log-probability (n,) of codes (n, tokens), in nats: the GPT's loss."""
        logits = self.gpt(codes).transpose(1, 2)
        return nn.functional.cross_entropy(logits, codes, reduction="none").sum(1)

    @torch.no_grad()
    def encode(self, images: Tensor) -> Tensor:
        """Codes (n, tokens) int64, in raster order, of images (n, 3, R, R) in [-1, 1]."""
        return self.quantise(self.features(images))[2]

    def decode(self, codes: Tensor) -> Tensor:
        """Images (n, 3, R, R), about [-1, 1], of codes (n, tokens) int64; ValueError if not so."""
        self._check_shape("codes", codes)
        side = round(self.gpt.tokens**0.5)
        vectors = self.tokeniser.quantize.get_codebook_entry(codes, (len(codes), side, side, -1))
        return self.render(vectors)

    def features(self, images: Tensor) -> Tensor:
        """The encoder's vectors (n, code_width, side, side), not quantised, of images."""
        return self.tokeniser.encode(pixel_unshuffle(images, self.patch)).latents

    def quantise(self, features: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Nearest codebook vectors, with the gradient passed straight through; the loss that
        draws codebook and encoder together, (); codes (n, tokens) int64."""
        vectors, loss, (_, _, codes) = self.tokeniser.quantize(features)
        return vectors, loss, codes.view(len(features), -1)

    def render(self, vectors: Tensor) -> Tensor:
        """Images (n, 3, R, R) of codebook vectors (n, code_width, side, side)."""
        decoded = self.tokeniser.decoder(self.tokeniser.post_quant_conv(vectors))
        return pixel_shuffle(decoded, self.patch)

    def _check_shape(self, what: str, values: Tensor) -> None:
        # A shorter sequence would pass through the GPT as a prefix.
        if values.ndim != 2 or values.shape[1] != self.gpt.tokens:
            raise ValueError(
                f"{what} of shape {tuple(values.shape)} do not fit: give (n, {self.gpt.tokens})"
            )


def _check_temperature(temperature: float) -> None:
    if not temperature >= 0:
        raise ValueError(f"temperature must be 0 or more, got {temperature}")


def _pick(logits: Tensor, uniforms: Tensor, temperature: float) -> Tensor:
    """Codes (n,) int64: the inverse CDF of softmax(logits / temperature) at ``uniforms`` (n,)."""
    if temperature == 0:
        return logits.argmax(-1)
    cumulated = (logits.double() / temperature).softmax(-1).cumsum(-1)
    # Ends at 1 exactly, so a uniform below 1 always finds a code of positive probability.
    cumulated = cumulated / cumulated[:, -1:]
    return torch.searchsorted(cumulated, uniforms[:, None], right=True)[:, 0]


def build_generator(
    resolution: int,
    *,
    patch: int,
    channels: Sequence[int],
    blocks: int,
    attention_levels: Sequence[int],
    norm_groups: int,
    codes: int,
    code_width: int,
    layers: int,
    width: int,
    heads: int,
    dropout: float,
) -> VqGpt:
    """An autoregressive model for images of resolution^2.

    See `build_tokeniser` and `Gpt` for the settings. ValueError for settings that do not fit.
    """
    factor = patch * 2 ** (len(channels) - 1)
    if resolution % factor:
        raise ValueError(
            f"resolution {resolution} is no multiple of patch 2^(levels - 1) = {factor}: "
            "use a smaller patch or fewer channels"
        )
    if width % heads:
        raise ValueError(f"width {width} must divide by heads={heads}")
    tokeniser = build_tokeniser(
        patch, channels, blocks, attention_levels, norm_groups, codes, code_width
    )
    gpt = Gpt(codes, (resolution // factor) ** 2, layers, width, heads, dropout)
    return VqGpt(tokeniser, gpt, resolution, patch)
