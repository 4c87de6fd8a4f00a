"""What every method at inference keeps to. A file of a family that declares NAME is found here."""

import atexit
import dataclasses
import inspect
import json
import shutil
import tempfile
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from auxiliary_example import trained_auxiliaries
from spectra import column_of_volumes

from pseudodensity.columns.context import Context
from pseudodensity.columns.pool import Column, Pool
from pseudodensity.control.choice import Choice, Made
from pseudodensity.density.feature_density import FeatureDensity
from pseudodensity.density.gaussian import Gaussian
from pseudodensity.density.network import PseudoDensity
from pseudodensity.features.extractor import extract
from pseudodensity.features.small import SmallCnn
from pseudodensity.generators.build import build_discriminator, build_generator
from pseudodensity.generators.checkpoint import CheckpointFile
from pseudodensity.images.dataset import ImageSet
from pseudodensity.images.transform import to_uint8
from pseudodensity.plan.auxiliaries import auxiliaries
from pseudodensity.plan.declared import declared, declares, modules_declaring
from pseudodensity.plan.methods import (
    column_module,
    column_settings,
    method,
    method_module,
    methods,
    points,
)
from pseudodensity.progress import Progress
from pseudodensity.rng import normal, numpy_generator

torch.set_num_threads(1)

GENERATORS = {
    name: declared(module, "DECLARATION")
    for name, module in modules_declaring("generators", "DECLARATION").items()
}
POOLS = {"model", "own", "moved", "reals", "training"}
MAKERS = [name for name in methods() if declared(method_module(name), "POOL") == "own"]
CHOOSERS = [name for name in methods() if name not in MAKERS]
IMAGES, REPEATS = 50, 3
# What leaves the law of the model as it is, by the name of a point's key.
NEUTRAL = {"w": 1.0, "polarity": 0.0, "psi": 1.0, "acceptance": 1.0}
# What has no sane default: the name of an extractor.
NAMED = {"polarity_inside": {"manifold": "judge"}}

every_method = pytest.mark.parametrize("name", methods())


def asked(name: str, architecture: str | None = None) -> list[dict]:
    """The sane points of a method on a generator, by default on the first that serves it, those without
    classes before the others."""
    ordered = sorted(GENERATORS, key=lambda g: GENERATORS[g]["classes"])
    serving = [g for g in ordered if method(name).why_not(GENERATORS[g]) is None]
    return points(name, {}, NAMED, GENERATORS[architecture or serving[0]])


def every_point(names) -> list:
    """Each sane point of each of some methods, as a parameter."""
    return [
        pytest.param(point, id=json.dumps(point, sort_keys=True)[1:-1])
        for name in names
        for point in asked(name)
    ]


# ------------------------------------------------------------------------ what it says of itself


def test_methods_are_found_in_their_families():
    assert {"plain", "oracle", "importance", "polarity", "truncation", "dot"} <= set(methods())
    families = {module.split(".")[1] for module in methods().values()}
    assert {"controls", "select", "move"} <= families


@every_method
def test_a_method_says_what_it_is(name):
    module = method_module(name)
    says = {c: declared(module, c) for c in ("NAME", "TITLE", "PAPER", "SOURCE")}
    assert all(isinstance(text, str) and text for text in says.values())
    assert says["NAME"] == name and name.isidentifier() and name.islower()
    needs, pool = declared(module, "NEEDS"), declared(module, "POOL")
    assert isinstance(needs, tuple) and pool in POOLS
    for column in set(needs) - {"density"}:
        assert declared(column_module(column), "NAME") == column
    # Nothing but the density is known of real images and of images that the method makes itself.
    assert pool in ("model", "moved") or set(needs) <= {"density"}
    defaults = declared(module, "DEFAULTS")
    assert isinstance(defaults, dict) and json.loads(json.dumps(defaults)) == defaults
    words = {key: value for key, value in defaults.items() if isinstance(value, str)}
    choices = declared(module, "CHOICES") if declares(module, "CHOICES") else {}
    assert set(choices) == set(words) and all(words[key] in choices[key] for key in words)
    grid = declared(module, "GRID")
    assert all(isinstance(values, list) and values for values in grid.values())
    if pool == "own":
        assert isinstance(declared(module, "INPUTS"), tuple)
        assert list(inspect.signature(method(name).maker).parameters) == ["context"]
    if pool == "moved":
        shown = method(name).shown(asked(name)[0])
        assert method(shown["method"]).POOL == "own" and "\n" not in method(shown["method"]).label(
            shown
        )


@every_method
@pytest.mark.parametrize("architecture", GENERATORS)
def test_points_and_the_reason_against_them(name, architecture):
    module, says = method(name), GENERATORS[architecture]
    reason = module.why_not(says)
    if reason is not None:
        assert isinstance(reason, str) and reason and "\n" not in reason
        return
    found = asked(name, architecture)
    assert found and all(found[:i].count(point) == 0 for i, point in enumerate(found))
    defaults = declared(method_module(name), "DEFAULTS")
    for point in found:
        assert point["method"] == name and json.loads(json.dumps(point)) == point
        label = module.label(point)
        assert isinstance(label, str) and label and "\n" not in label
        count = module.proposals(point, IMAGES, REPEATS)
        assert isinstance(count, int) and count >= IMAGES * REPEATS
        assert count <= module.proposals(point, 2 * IMAGES, REPEATS)
        settings = module.column_settings(point)
        for column, own in settings.items():
            assert column in module.NEEDS or (column == "label" and says["classes"])
            assert set(own) <= set(column_settings(column, {}))
    # Two points of one label could not be told apart in a table.
    assert len({module.label(point) for point in found}) == len(found)
    # A setting of the config reaches the points, or decides which there are.
    assert points(name, {}, {name: defaults | NAMED.get(name, {})}, says) == found


# ------------------------------------------------------------------------ choosing from a pool


def made_up_pool(count: int, seed: int = 0) -> Pool:
    """Proposals with all that a method may read of them; a row has the same values in every pool.

    Density and likelihood are increasing in one normal variable, of one law for real images and for
    proposals; logits are higher for real images; volumes are log-normal.
    """
    most = 60_000
    draw = numpy_generator(seed, "made-up pool")
    quality, noise, volume = draw.standard_normal((3, most))
    real = draw.standard_normal(2000)
    told = {
        "density": Column(
            (0.05 + np.exp(0.3 * quality)).astype(np.float32), 0.05 + np.exp(0.3 * real)
        ),
        "likelihood": Column(10 * quality - 300, 10 * real - 300),
        "logits": Column((quality + noise).astype(np.float32), (real + 0.5).astype(np.float32)),
        "singular_values": column_of_volumes(0.5 * volume),
        "label": Column((noise > 0.5).astype(np.float64)),
        "inside_manifold": Column((noise < 0.5).astype(np.float32)),
        "latent_weight": Column(np.exp(0.5 * quality - 0.125).astype(np.float32)),
        "features.judge": Column(quality[:, None].astype(np.float32)),
    }
    facts = {"how": "a made-up law", "largest": 3.0, "note": "E w 1.00"}
    facts |= told["singular_values"].facts
    columns = {
        name: Column(c.values[:count], c.real, facts, seconds=1.0) for name, c in told.items()
    }
    return Pool(columns, seed)


POOL = made_up_pool(60_000)
BY_CLASS = next(p for p in asked("polarity", "biggan") if p["polarity"] > 0)
every_choice = pytest.mark.parametrize(
    "point", [*every_point(CHOOSERS), pytest.param(BY_CLASS, id="by class")]
)


def own_pool(point: dict, images: int = IMAGES, repeats: int = REPEATS) -> Pool:
    """As many proposals as the point asks for."""
    return made_up_pool(method(point["method"]).proposals(point, images, repeats))


def choose(point: dict, pool: Pool, images: int = IMAGES, repeats: int = REPEATS) -> Choice:
    return method(point["method"]).choose(pool, point, images, repeats)


def rows_of(choice: Choice) -> list[list[int]]:
    return [rows.tolist() for rows in choice.rows]


@every_choice
def test_chosen_rows_are_rows_of_the_pool(point):
    pool = own_pool(point)
    choice = choose(point, pool)
    assert 0 < len(choice.rows) <= REPEATS
    for rows in choice.rows:
        assert rows.dtype == np.int64 and rows.shape == (IMAGES,)
        assert 0 <= rows.min() and rows.max() < len(pool)
    assert 0 < choice.used <= len(pool)
    for share in (choice.acceptance, choice.expected):
        assert share is None or 0 < share <= 1
    assert choice.ess is None or 1 <= choice.ess <= len(pool)
    assert isinstance(choice.note, str) and "\n" not in choice.note
    assert rows_of(choose(point, pool)) == rows_of(choice), "not deterministic"


@every_choice
def test_repeats_share_no_row_where_rows_are_accepted(point):
    choice = choose(point, own_pool(point))
    every = np.concatenate(choice.rows)
    if choice.acceptance is not None and not point.get("replacement"):
        assert len(np.unique(every)) == len(every)
    if method(point["method"]).POOL == "model":
        # Of repeats that share images, an interval is too narrow.
        sets = [set(rows) for rows in rows_of(choice)]
        assert sum(map(len, sets)) == len(set().union(*sets))


@every_choice
def test_the_proposals_that_a_point_asks_for_are_enough(point):
    """Where real images and proposals have one law; the margin is for models of another."""
    choice = choose(point, POOL)
    if "variant" in point:  # exact rejection accepts one in M: what the config says is drawn
        return
    assert len(choose(point, own_pool(point)).rows) == len(choice.rows) == REPEATS
    if choice.acceptance is not None and choice.expected is not None:
        deviation = np.sqrt(choice.expected * (1 - choice.expected) / choice.used)
        assert abs(choice.acceptance - choice.expected) <= 5 * deviation + 1 / choice.used


@every_choice
def test_a_pool_that_grows_changes_no_choice(point):
    if method(point["method"]).POOL == "training":
        pytest.skip("the data set is what it is")
    small = own_pool(point)
    # What a point may see is cut to what it asks for.
    assert rows_of(choose(point, POOL.first(len(small)))) == rows_of(choose(point, small))
    if "acceptance" not in point:  # nor does its rate depend on all that it sees
        grown = rows_of(choose(point, POOL))
        assert grown[: len(choose(point, small).rows)] == rows_of(choose(point, small))


@every_choice
def test_a_pool_that_is_too_small_gives_fewer_repeats(point):
    if method(point["method"]).POOL == "training":
        pytest.skip("copies are drawn with replacement")
    choice = choose(point, made_up_pool(60), images=50, repeats=3)
    assert len(choice.rows) < 3 and choice.used <= 60
    assert all(len(rows) == 50 for rows in choice.rows)


def neutral(name: str) -> list[dict]:
    """A method's points at the setting that changes nothing, where one of their keys says it."""
    found = []
    for point in asked(name):
        if keys := [key for key in NEUTRAL if key in point and "variant" not in point]:
            found.append(point | {key: NEUTRAL[key] for key in keys})
    return found[:1]


@pytest.mark.parametrize("name", [name for name in CHOOSERS if neutral(name)])
def test_the_neutral_setting_is_plain_sampling(name):
    (point,) = neutral(name)
    choice = choose(point, POOL)
    if choice.acceptance is None or "replacement" in point:  # weighted: all weights are the same
        size = choice.used / len(choice.rows)
        assert choice.ess == pytest.approx(size)
        return
    assert choice.acceptance == 1 == pytest.approx(choice.expected)
    # The next proposals, one after the other; the first may have been spent on a calibration.
    start = choice.rows[0][0]
    expected = choose({"method": "plain"}, POOL)
    assert start in (0, IMAGES)
    assert [[row - start for row in rows] for rows in rows_of(choice)] == rows_of(expected)


def test_neutral_settings_are_known_of_the_methods_that_have_one():
    known = {"importance", "likelihood", "oracle", "polarity", "budgeted", "budgeted_density"}
    assert known <= {name for name in methods() if neutral(name)}
    assert neutral("truncation")


# ------------------------------------------------------------------------ making images

STYLEGAN = {"z_dim": 8, "w_dim": 8, "mapping_layers": 2, "channel_base": 64, "channel_max": 8}
NETWORKS = {
    "stylegan2": (STYLEGAN, {"channel_base": 64, "channel_max": 8}),
    "projectedgan": ({"z_dim": 8, "ngf": 4}, None),
}


@cache
def tiny(architecture: str) -> CheckpointFile:
    """A checkpoint of random weights, in memory."""
    torch.manual_seed(0)
    generator, discriminator = NETWORKS[architecture]
    states = {"average": build_generator(architecture, 16, generator).state_dict()}
    if discriminator is not None:
        module = build_discriminator(architecture, 16, discriminator)
        states["discriminator"] = module.state_dict()
    settings = {"generator": generator, "discriminator": discriminator}
    return CheckpointFile(architecture, 16, settings, states, {})


@dataclasses.dataclass
class Bench(Context):
    """A context with everything in memory."""

    architecture: str = "stylegan2"

    def __post_init__(self):
        checkpoint = tiny(self.architecture)
        generator = checkpoint.frozen_generator()
        vars(self).update(generator=generator, checkpoint=checkpoint, data=DATA, backbone=None)
        extractor, real = small_extractor()
        density = FeatureDensity.start(Gaussian(real.shape[1]), torch.from_numpy(real))
        vars(self).update(search_extractor=extractor, search_features=real)
        vars(self).update(feature_density=density)
        pseudo = PseudoDensity.fit(real, k=3, n=1, seed=0, epochs=1, batch_size=20, dedup=True)
        vars(self).update(steering=extractor, pseudo_density=pseudo)
        if "discriminator" in checkpoint.states:
            vars(self).update(inputs=networks_of(self.architecture))


@cache
def networks_of(architecture: str) -> dict:
    folder = Path(tempfile.mkdtemp())
    atexit.register(shutil.rmtree, folder)
    return trained_auxiliaries(tiny(architecture), DATA, folder)


@cache
def small_extractor() -> tuple[SmallCnn, np.ndarray]:
    """One that sees 16 px, and the features of the real images."""
    torch.manual_seed(0)
    extractor = SmallCnn(size=16, widths=[4, 8], blocks=1).eval().requires_grad_(False)
    extractor.trained = True
    return extractor, extract(extractor, DATA.images)


REALS = numpy_generator(0, "real").integers(0, 256, (40, 3, 16, 16), dtype=np.uint8)
DATA = ImageSet(REALS, None, [], {"spec": {"kind": "folder"}})


def bench(point: dict | None, batch_size: int, architecture: str = "stylegan2") -> Bench:
    stamp = {"kind": "trained", "spec": {"architecture": architecture}}
    progress = Progress("x", 10**9, every=1e9)
    return Bench({}, stamp, 0, {}, progress, batch_size, point=point, architecture=architecture)


def made(point: dict | None, batch_size: int, count: int, architecture: str) -> np.ndarray:
    return np.concatenate(list(bench(point, batch_size, architecture).images(range(count))))


def architecture_for(name: str, point: dict) -> str:
    wanted = {"scale": "projectedgan"}.get(point.get("family"), "stylegan2")
    return wanted if method(name).why_not(GENERATORS[wanted]) is None else "stylegan2"


def own_points() -> list:
    found = []
    for name in MAKERS:
        for architecture in NETWORKS:
            if method(name).why_not(GENERATORS[architecture]) is not None:
                continue
            inputs = {"backbone", *auxiliaries()} & set(declared(method_module(name), "INPUTS"))
            if inputs and NETWORKS[architecture][1] is None:  # they need a discriminator
                continue
            says, full = GENERATORS[architecture], {}
            if "families" in declared(method_module(name), "DEFAULTS"):
                full = {name: {"families": "all"}}
            for point in points(name, {}, full, says):
                label = f"{architecture}, {method(name).label(point)}"
                found.append(pytest.param(architecture, point, id=label))
    return found


@pytest.mark.parametrize(("architecture", "point"), own_points())
def test_an_image_that_a_method_makes_does_not_depend_on_the_batch_size(architecture, point):
    whole = made(point, 8, 8, architecture)
    assert whole.shape == (8, 3, 16, 16) and whole.dtype == np.uint8
    for batch_size in (1, 5):
        other = made(point, batch_size, 8, architecture)
        assert np.abs(other.astype(int) - whole.astype(int)).max() <= 1, batch_size
    context = bench(point, 12, architecture)
    maker, latents = context.maker, context.latents(range(4))
    plain = context.generator(latents)
    given = maker.make(latents)
    images = given.images if isinstance(given, Made) else given
    assert not torch.allclose(images, plain, rtol=0, atol=1e-6), "it does nothing"
    if isinstance(given, Made):
        assert {len(values) for values in given.columns.values()} == {len(images)}
    assert maker.calls >= 1 and json.loads(json.dumps(dict(maker.facts))) == dict(maker.facts)


@pytest.mark.parametrize(("architecture", "point"), own_points())
def test_at_the_neutral_setting_the_images_are_the_plain_ones(architecture, point):
    if "psi" not in point:
        pytest.skip("it has no neutral setting")
    psi = np.inf if point["family"] == "resample" else 1.0
    plain = made(None, 12, 12, architecture)
    neutral = made(point | {"psi": psi}, 12, 12, architecture)
    assert np.abs(neutral.astype(int) - plain.astype(int)).max() <= 1


@pytest.mark.parametrize("name", MAKERS)
def test_all_that_a_method_made_is_taken(name):
    point, images = asked(name)[0], 4
    assert method(name).proposals(point, images, 2) == 8
    pool = Pool({"density": Column(np.zeros(8))}, 0, facts={"note": "said"})
    choice = method(name).choose(pool, point, images, 2)
    assert rows_of(choice) == [[0, 1, 2, 3], [4, 5, 6, 7]] and choice.note == "said"


def test_images_are_those_of_the_latents():
    context = bench(None, 7)
    z = normal(0, "latents", range(5), (8,))
    expected = to_uint8(tiny("stylegan2").frozen_generator()(z)).numpy()
    np.testing.assert_array_equal(context.draw(range(5)), expected)
