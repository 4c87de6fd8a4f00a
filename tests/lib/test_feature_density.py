"""Densities of features against densities that are known."""

import copy
import math

import numpy as np
import pytest
import torch
from scipy.stats import multivariate_normal
from sklearn.covariance import ledoit_wolf
from torch.distributions import Categorical, MixtureSameFamily, MultivariateNormal

from pseudodensity.artifacts import ArtifactError
from pseudodensity.control.train import feature_density as training
from pseudodensity.control.train.loop import run
from pseudodensity.density.feature_density import FeatureDensity, compare, split
from pseudodensity.density.flow import Flow
from pseudodensity.density.gaussian import Gaussian
from pseudodensity.plan.errors import ConfigError
from pseudodensity.plan.methods import check_settings
from pseudodensity.progress import Progress
from pseudodensity.rng import normal, numpy_generator

torch.set_num_threads(1)

SMALL = training.DEFAULTS | {
    "transforms": 4,
    "width": 32,
    "epochs": 12,
    "learning_rate": 3e-3,
}
UNIT, PLACE = torch.tensor([40.0, 0.05]), torch.tensor([1000.0, -3.0])
STAMP = {"kind": "feature_density", "of": "test"}
# A cross: at the centre of one component the other is wide, so no Gaussian is like it.
MIXTURE = MixtureSameFamily(
    Categorical(torch.tensor([0.5, 0.5])),
    MultivariateNormal(
        torch.tensor([[1.0, 0.0], [-1.0, 0.0]]),
        torch.stack([torch.diag(torch.tensor(v)) for v in ([9.0, 0.04], [0.04, 4.0])]),
    ),
)


def of_mixture(name: str, count: int) -> torch.Tensor:
    stream = numpy_generator(0, name)
    component = stream.integers(0, 2, count)
    spreads = np.array([[3.0, 0.2], [0.2, 2.0]])[component]
    centres = np.array([[1.0, 0.0], [-1.0, 0.0]])[component]
    return torch.from_numpy(stream.standard_normal((count, 2)) * spreads + centres).float()


def correlated(dimensions: int, count: int, name: str = "correlated") -> torch.Tensor:
    mixing = normal(0, "mixing", range(dimensions), (dimensions,))
    return normal(0, name, range(count), (dimensions,)) @ mixing + 5


def fitted(folder, features, settings, *, seed=0, work="work"):
    path = folder / f"{work}.safetensors"
    progress = Progress("flow", settings["epochs"], "epochs", folder / "log", every=1e9)
    training.fit(
        features,
        settings,
        STAMP,
        seed=seed,
        code="c",
        path=path,
        workdir=folder / work,
        progress=progress,
    )
    return FeatureDensity.load(path, STAMP)


@pytest.fixture(scope="module")
def crossed(tmp_path_factory):
    """A flow of the mixture in units that are far apart, and where its training left its files."""
    folder = tmp_path_factory.mktemp("crossed")
    return fitted(folder, of_mixture("real", 3000) * UNIT + PLACE, SMALL), folder


# ----------------------------------------------------------------------------------- closed forms


def known_gaussian(dimensions: int) -> tuple[FeatureDensity, np.ndarray, np.ndarray]:
    """A density of kind gaussian, with mean and covariance by another way."""
    features = correlated(dimensions, 300) * torch.logspace(-2, 2, dimensions)
    density = FeatureDensity.start(Gaussian(dimensions), features)
    wide = features.double().numpy()
    spread = wide.std(0)
    covariance = ledoit_wolf((wide - wide.mean(0)) / spread)[0] * np.outer(spread, spread)
    return density, wide.mean(0), covariance


@pytest.mark.parametrize("dimensions", [1, 2, 7])
def test_a_gaussian_is_the_one_of_ledoit_and_wolf_on_standardised_features(dimensions):
    density, mean, covariance = known_gaussian(dimensions)
    asked = correlated(dimensions, 50, "asked") * torch.logspace(-2, 2, dimensions)
    wanted = multivariate_normal(mean, covariance).logpdf(asked.double().numpy())
    found = density.log_density(asked.double())
    assert found.dtype == torch.float32 and found.shape == (50,)
    np.testing.assert_allclose(found.numpy(), wanted, rtol=1e-4, atol=2e-4)


def test_the_gradient_of_a_gaussian_is_minus_precision_times_distance():
    density, mean, covariance = known_gaussian(7)
    asked = (correlated(7, 50, "asked") * torch.logspace(-2, 2, 7)).requires_grad_()
    density.log_density(asked).sum().backward()
    away = asked.detach().double().numpy() - mean
    wanted = -np.linalg.solve(covariance, away.T).T
    scale = np.abs(wanted).max(0)  # features of all sizes
    np.testing.assert_allclose(asked.grad.numpy() / scale, wanted / scale, atol=1e-4)


@pytest.mark.parametrize("law", [Gaussian, Flow])
def test_another_unit_changes_a_density_as_its_volume_says(law):
    """log p(ax + b) = log p(x) - sum log a, and the standardised features stay what they are."""
    features = correlated(5, 400)
    unit, place = torch.tensor([2.0, 0.1, 30.0, 1.0, 0.5]), torch.arange(5.0)
    one = FeatureDensity.start(law(5), features)
    other = FeatureDensity.start(law(5), features * unit + place)
    asked = correlated(5, 60, "asked")
    found = other.log_density(asked * unit + place)
    wanted = one.log_density(asked) - unit.log().sum()
    torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-3)
    changed = other.standardised(asked * unit + place)
    torch.testing.assert_close(changed, one.standardised(asked), rtol=1e-3, atol=1e-3)
    kept = one.standardised(features)
    torch.testing.assert_close(kept.mean(0), torch.zeros(5), rtol=0, atol=1e-5)
    torch.testing.assert_close(kept.square().mean(0), torch.ones(5), rtol=1e-4, atol=0)


def test_a_flow_of_affine_maps_is_the_gaussian_that_they_make():
    """Couplings whose last layers say the same of every vector: moments by what they do to a basis."""
    torch.manual_seed(3)
    flow = Flow(5, transforms=3, width=8)
    density = FeatureDensity.start(flow, correlated(5, 400))
    with torch.no_grad():
        for name, weights in flow.couplings.named_parameters():
            if name.endswith("hyper.1.4.bias"):
                weights.normal_(0, 0.5)
    assert not torch.equal(flow.from_noise(torch.zeros(1, 5))[0], flow.centre)
    with torch.no_grad():
        points = flow.from_noise(torch.cat([torch.zeros(1, 5), torch.eye(5)])).double()
    points = points * density.scale + density.centre
    mean, matrix = points[0], (points[1:] - points[0]).T
    asked = correlated(5, 50, "asked")
    wanted = MultivariateNormal(mean, matrix @ matrix.T).log_prob(asked.double())
    found = density.log_density(asked).double()
    torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-3)


def test_a_flow_sums_to_one_over_the_plane(crossed):
    density, _ = crossed
    axis = torch.linspace(-16, 16, 801)
    grid = torch.cartesian_prod(axis, axis) * UNIT + PLACE
    area = (axis[1] - axis[0]).item() ** 2 * UNIT.prod().item()
    assert density.kind == "flow" and density.report["best"] > 0
    assert density.log_density(grid).double().exp().sum().item() * area == pytest.approx(
        1, abs=5e-3
    )


def test_the_gradient_of_a_flow_is_the_slope_of_its_log_density(crossed):
    density, _ = crossed
    asked = (of_mixture("asked", 20) * UNIT + PLACE).requires_grad_()
    density.log_density(asked).sum().backward()
    law = copy.deepcopy(density.law).double()
    steps = 1e-5 * torch.eye(2, dtype=torch.float64)
    at = density.standardised(asked.detach()).double()
    slopes = [(law.log_density(at + step) - law.log_density(at - step)) / 2e-5 for step in steps]
    found = asked.grad * density.scale
    torch.testing.assert_close(found.double(), torch.stack(slopes, 1), rtol=1e-2, atol=1e-2)


# ---------------------------------------------------------------------------------------- training


def test_a_flow_beats_a_gaussian_where_the_truth_says_by_how_much(crossed):
    """The best Gaussian of all has the mixture's moments; what the truth gains on it, by Monte Carlo."""
    density, _ = crossed
    points = of_mixture("truth", 50_000)
    variances = torch.tensor([(9 + 0.04) / 2 + 1, (0.04 + 4) / 2])
    best = MultivariateNormal(torch.zeros(2), torch.diag(variances))
    gains = MIXTURE.log_prob(points) - best.log_prob(points)
    margin, error = gains.mean().item(), gains.std().item() / math.sqrt(len(gains))
    assert margin > 0.5 and error < 0.01
    fresh = points[:5000] * UNIT + PLACE
    gain = (density.log_density(fresh) - density.as_gaussian().log_density(fresh)).mean().item()
    assert 0.7 * margin < gain < 1.02 * margin
    report = density.report
    assert report["gain"] == pytest.approx(gain, abs=4 * report["gain_error"])
    told = report["held_out"]
    assert told["flow"] - told["gaussian"] == pytest.approx(report["gain"], abs=1e-4)
    # In nats of the features as given: the truth's entropy, and the volume of the unit.
    wanted = best.log_prob(points).mean().item() - UNIT.log().sum().item()
    assert told["gaussian"] == pytest.approx(wanted, abs=0.15)


def test_the_gaussian_kind_reports_what_the_flow_reports_of_it(tmp_path, crossed):
    features = of_mixture("real", 3000) * UNIT + PLACE
    settings = {"kind": "gaussian", "held_out": 0.1, "epochs": 0}
    gaussian = fitted(tmp_path, features, settings)
    assert gaussian.kind == "gaussian" and gaussian.report["gain"] == 0
    flow, _ = crossed
    for share in ("learned", "held_out"):
        assert gaussian.report[share] == {"gaussian": flow.report[share]["gaussian"]}
    asked = of_mixture("asked", 20) * UNIT + PLACE
    assert torch.equal(gaussian.log_density(asked), flow.as_gaussian().log_density(asked))


def test_a_flow_of_few_samples_stops_early_and_stays_its_gaussian(tmp_path):
    settings = SMALL | {"patience": 2, "learning_rate": 3e-2, "epochs": 50}
    density = fitted(tmp_path, normal(0, "few", range(40), (6,)), settings)
    assert (density.report["epochs"], density.report["best"]) == (2, 0)
    assert density.report["gain"] == pytest.approx(0, abs=1e-5)


def test_the_same_seed_gives_the_same_bits(tmp_path, crossed):
    features = of_mixture("real", 300)
    settings = SMALL | {"epochs": 2}
    torch.manual_seed(1)
    fitted(tmp_path, features, settings, work="one")
    torch.manual_seed(2)
    fitted(tmp_path, features.numpy(), settings, work="two")
    fitted(tmp_path, features, settings, seed=1, work="three")
    one, two, three = (
        (tmp_path / f"{name}.safetensors").read_bytes() for name in ("one", "two", "three")
    )
    assert one == two and one != three
    assert not (tmp_path / "one").exists()  # the state goes when the file is safe


def test_a_training_that_was_killed_ends_as_one_that_was_not(tmp_path):
    """Killed at epoch 5 of a run that is stopped early, after its best epoch."""
    features = of_mixture("real", 300)
    settings = SMALL | {"epochs": 40, "patience": 3, "learning_rate": 2e-2}
    whole = fitted(tmp_path, features, settings, work="whole")
    best, epochs = whole.report["best"], whole.report["epochs"]
    assert 1 < best and epochs == best + 3 < 40
    for killed_at in (1, best, epochs - 1):
        work = f"killed_{killed_at}"
        half = training.FlowTrainer(features, settings, seed=0)
        progress = Progress("flow", 40, "epochs", every=1e9)
        run(half, killed_at, tmp_path / work, STAMP | {"code": "c"}, progress)
        fitted(tmp_path, features, settings, work=work)
        assert f"resuming at {killed_at} of 40 epochs" in (tmp_path / "log").read_text()
        resumed = (tmp_path / f"{work}.safetensors").read_bytes()
        assert resumed == (tmp_path / "whole.safetensors").read_bytes()


def test_a_file_gives_the_same_bits_and_others_are_refused(tmp_path, crossed):
    density, _ = crossed
    asked = of_mixture("asked", 20) * UNIT + PLACE
    density.save(tmp_path / "again.safetensors")
    again = FeatureDensity.load(tmp_path / "again.safetensors")
    assert torch.equal(again.log_density(asked), density.log_density(asked))
    assert again.report == density.report and again.kind == "flow"
    with pytest.raises(ArtifactError, match="another spec"):
        FeatureDensity.load(tmp_path / "again.safetensors", STAMP)
    damaged = bytearray((tmp_path / "again.safetensors").read_bytes())
    damaged[-1] ^= 1
    (tmp_path / "again.safetensors").write_bytes(damaged)
    with pytest.raises(ArtifactError, match="is damaged"):
        FeatureDensity.load(tmp_path / "again.safetensors")


# --------------------------------------------------------------------------------------- bad input


def test_shares_are_apart_and_complete():
    features = torch.arange(40.0).reshape(20, 2)
    shares = split(features, 0.1, seed=0)
    parts = (shares.learned, shares.stopping, shares.held_out)
    assert [len(part) for part in parts] == [16, 2, 2]
    assert sorted(torch.cat(parts)[:, 0].tolist()) == features[:, 0].tolist()
    assert not torch.equal(split(features, 0.1, seed=1).held_out, shares.held_out)


@pytest.mark.parametrize("law", [Gaussian, Flow])
def test_a_feature_that_never_varies_does_no_harm(law):
    features = correlated(4, 100)
    features[:, 2] = 0.1  # which no float64 mean gives back
    density = FeatureDensity.start(law(4), features)
    assert density.scale[2] == 1
    asked = correlated(4, 10, "asked").requires_grad_()
    density.log_density(asked).sum().backward()
    assert asked.grad.isfinite().all() and asked.grad.abs().max() < 1e3
    shares = split(features, 0.1, seed=0)
    assert compare(density, shares)["gain"] == pytest.approx(0, abs=1e-4)


@pytest.mark.parametrize(
    ("features", "message"),
    [
        (np.zeros((50, 3)), "all vectors are the same"),
        (np.full((50, 3), np.nan), "50 of 50 rows hold NaN or infinity"),
        (np.full((50, 3), 1e200), "50 of 50 rows hold NaN or infinity"),
        (np.zeros((19, 3)), r"a share of 0.1 of 19 real features, twice, leaves no 2 rows"),
        (np.zeros(50), r"features must be \(n, d\)"),
        (normal(0, "one", range(50), (1,)), "2 or more dimensions, got 1"),
    ],
)
def test_bad_features_are_refused_in_one_line(tmp_path, features, message):
    with pytest.raises(ValueError, match=message) as error:
        fitted(tmp_path, features, SMALL)
    assert "\n" not in str(error.value)
    assert not list(tmp_path.glob("*.safetensors"))


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (torch.zeros(3, 5), "fitted on 2-d features and got 5-d ones"),
        (torch.tensor([[0.0, math.nan]]), "1 of 1 rows hold NaN or infinity"),
        (torch.zeros(2), r"features must be \(n, d\)"),
    ],
)
def test_features_of_another_extractor_are_refused_in_one_line(crossed, asked, message):
    with pytest.raises(ValueError, match=message) as error:
        crossed[0].log_density(asked)
    assert "\n" not in str(error.value)


def test_a_learning_rate_that_blows_up_is_told_in_one_line(tmp_path):
    with pytest.raises(FloatingPointError, match="take a lower learning rate") as error:
        fitted(tmp_path, of_mixture("real", 300), SMALL | {"learning_rate": 1e6})
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"kind": "glow"}, "give one of flow, gaussian"),
        ({"held_out": 0.5}, "give a number from 0.001 to 0.45"),
        ({"epochs": 0}, "give a number from 1 to 100000"),
        ({"patience": 0}, "give a number from 1 to 100000"),
        ({"width": 1.5}, "give a value like 128"),
        ({"flows": 32}, "known settings: kind, held_out"),
    ],
)
def test_settings_have_limits(settings, message):
    check_settings("density", "control.train.feature_density", training.DEFAULTS)
    with pytest.raises(ConfigError, match=message) as error:
        check_settings("density", "control.train.feature_density", settings)
    assert "\n" not in str(error.value)
