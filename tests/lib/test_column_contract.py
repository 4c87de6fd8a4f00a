"""What every column of a pool keeps to. A file of columns/ that declares NAME is found here."""

import json
from importlib import import_module

import numpy as np
import pytest
import torch
from auxiliary_example import trained_auxiliaries

from pseudodensity.artifacts import save_npy
from pseudodensity.columns.context import Context
from pseudodensity.columns.pool import Column, load_column, save_column
from pseudodensity.control.choice import Maker
from pseudodensity.features.build import build_extractor, save_extractor
from pseudodensity.features.extractor import extract
from pseudodensity.generators.build import build_discriminator, build_generator
from pseudodensity.generators.checkpoint import CheckpointFile, load_checkpoint, save_checkpoint
from pseudodensity.images.building import build_dataset
from pseudodensity.images.dataset import open_dataset
from pseudodensity.plan.auxiliaries import auxiliaries
from pseudodensity.plan.declared import declared, modules_declaring
from pseudodensity.progress import Progress

torch.set_num_threads(1)

COLUMNS = modules_declaring("columns", "NAME")
INPUTS = {"checkpoint", "data", "density", "extractor", "extractors", "backbone", "auxiliary"}
INPUTS |= {"real_features", *auxiliaries()}
COUNT = 12
STYLEGAN = {"z_dim": 8, "w_dim": 8, "mapping_layers": 2, "channel_base": 64, "channel_max": 8}
NETWORKS = {
    "stylegan2": (STYLEGAN, {"channel_base": 64, "channel_max": 8}),
    "vqgpt": (
        {"patch": 2, "channels": [8, 8], "blocks": 1, "attention_levels": [], "codes": 16}
        | {"norm_groups": 4, "code_width": 4, "layers": 1, "width": 16, "heads": 2, "dropout": 0.0},
        None,
    ),
    "biggan": (
        {"classes": 3, "z_dim": 8, "class_dim": 4, "channels": [8, 8, 4], "attention": None},
        {"classes": 3, "channels": [4, 8, 8], "attention": None},
    ),
    "diffusion": (
        {"network": "small", "flavour": "iddpm", "channels": [16, 16], "blocks": 0, "patch": 2}
        | {"attention_levels": [], "head_channels": None, "norm_groups": 8, "dropout": 0.0}
        | {"schedule": "cosine", "prediction": "v_prediction", "training_steps": 20}
        | {"sampling_steps": 2, "rescale_vb": False},
        None,
    ),
}
# A column of likelihoods is one of a model that knows them, labels are of one with classes, a bound is of a
# diffusion model; any other can be had of a GAN.
OF = dict.fromkeys(COLUMNS, "stylegan2") | {"likelihood": "vqgpt", "label": "biggan"}
OF |= {"variational_bound": "diffusion"}

# A column tells images apart, unless it says to which of so many kinds they belong.
KINDS = {"label": 3, "inside_manifold": 2}
# In place of thousands, of what is near the rounding error, and of all.
FEW = {"reals": 50, "kept": 3, "terms": 4, "k": 1}

every_column = pytest.mark.parametrize("name", COLUMNS)


def stamp_of(architecture: str) -> dict:
    return {"kind": "trained", "spec": {"architecture": architecture, "resolution": 16}}


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Paths of what a column may ask for, by name; of each architecture its checkpoint."""
    folder = tmp_path_factory.mktemp("columns")
    made = {}
    for architecture, (generator, discriminator) in NETWORKS.items():
        torch.manual_seed(0)
        states = {"average": build_generator(architecture, 16, generator).state_dict()}
        if discriminator is not None:
            module = build_discriminator(architecture, 16, discriminator)
            states["discriminator"] = module.state_dict()
        settings = {"generator": generator, "discriminator": discriminator}
        made[architecture] = folder / f"{architecture}.safetensors"
        file = CheckpointFile(architecture, 16, settings, states, {})
        save_checkpoint(made[architecture], file, stamp_of(architecture))
    scene = {"kind": "procedural", "scene": "faces", "images": 40, "resolution": 16}
    build_dataset(scene, folder / "data")
    made["auxiliaries"] = trained_auxiliaries(
        load_checkpoint(made["stylegan2"]), open_dataset(folder / "data"), folder
    )
    extractor = build_extractor({"kind": "small_cnn", "size": 16, "widths": [4, 8], "blocks": 1})
    save_extractor(folder / "extractor.safetensors", extractor)
    made |= {"data": folder / "data/images.npy", "extractor": folder / "extractor.safetensors"}
    # Further images of the generator stand for real ones: some of its images lie among so few, and some do not.
    own = {"checkpoint": made["stylegan2"]}
    progress = Progress("images", 6, every=1e9)
    images = Context(own, stamp_of("stylegan2"), 0, {}, progress).draw(range(100, 106))
    made["real_features"] = folder / "real_features.npy"
    save_npy(made["real_features"], extract(extractor, images))
    return made


@pytest.fixture
def context_of(files):
    """A context for a column: as its job has it."""

    def make(name: str, batch_size: int = 5, stored=None) -> Context:
        inputs = {"checkpoint": files[OF[name]], "data": files["data"]}
        inputs |= {
            "extractor": files["extractor"],
            "real_features": files["real_features"],
            **files["auxiliaries"],
        }
        settings = declared(COLUMNS[name], "DEFAULTS")
        settings |= {key: FEW[key] for key in settings.keys() & FEW}
        progress = Progress(name, COUNT, every=1e9)
        stamp = stamp_of(OF[name])
        return Context(inputs, stamp, 0, settings, progress, batch_size, stored=stored)

    return make


def compute(name: str, context: Context, rows: range = range(COUNT)) -> Column:
    return import_module(f"pseudodensity.{COLUMNS[name]}").compute(context, rows)


def assert_alike(ours: np.ndarray, theirs: np.ndarray) -> None:
    """The same up to rounding, which hangs on the batch."""
    scale = np.abs(theirs).max()
    np.testing.assert_allclose(ours, theirs, rtol=2e-4, atol=2e-4 * scale)


def test_columns_are_found():
    assert {"features", "likelihood", "logits", "singular_values"} <= set(COLUMNS)


@every_column
def test_a_column_says_what_it_is(name):
    module = COLUMNS[name]
    assert name.isidentifier() and name.islower() and declared(module, "TITLE")
    inputs = declared(module, "INPUTS")
    assert isinstance(inputs, tuple) and set(inputs) <= INPUTS
    assert declared(module, "COVERS") in ("parts", "rows")
    defaults = declared(module, "DEFAULTS")
    assert isinstance(defaults, dict) and json.loads(json.dumps(defaults)) == defaults


@every_column
def test_a_column_has_one_finite_row_for_each_image(name, context_of, tmp_path):
    column = compute(name, context_of(name))
    assert len(column) == len(column.values) == COUNT and np.isfinite(column.values).all()
    assert column.values.dtype in (np.float32, np.float64)
    assert len(np.unique(column.values, axis=0)) == KINDS.get(name, COUNT)
    if column.real is not None:
        assert column.real.shape[1:] == column.values.shape[1:] and len(column.real) > 1
        assert np.isfinite(column.real).all()
    assert column.seconds >= 0
    # What a pool reads is what was computed.
    save_column(tmp_path / "c", column, {"column": name})
    read = load_column(tmp_path / "c")
    np.testing.assert_array_equal(read.values, column.values)
    assert (read.real is None) == (column.real is None)
    assert read.facts == dict(column.facts)


@every_column
def test_a_column_is_the_same_in_parts_and_in_one_go(name, context_of):
    whole = compute(name, context_of(name, COUNT))
    parts = [compute(name, context_of(name, 3), rows) for rows in (range(7), range(7, COUNT))]
    assert_alike(np.concatenate([part.values for part in parts]), whole.values)
    for part in parts if whole.real is not None else ():
        assert_alike(part.real, whole.real)


@every_column
def test_stored_images_and_images_made_again_give_the_same_column(name, context_of, tmp_path):
    context = context_of(name)
    stored = tmp_path / "images.npy"
    save_npy(stored, context.draw(range(4, COUNT)))
    rows, again = range(4, COUNT), compute(name, context, range(4, COUNT))
    kept = compute(name, context_of(name, stored=stored), rows)
    assert_alike(kept.values, again.values)
    # Where only the first are stored, all are made again.
    save_npy(stored, context.draw(range(4, 6)))
    assert_alike(compute(name, context_of(name, stored=str(stored)), rows).values, again.values)


def test_a_context_reads_a_file_once_for_all_that_share_it(context_of):
    context = context_of("logits")
    generator = context.generator
    other = context.sharing(settings={"reals": 3}, batch_size=2)
    assert other.generator is generator and other.settings == {"reals": 3}
    assert context.settings != other.settings and context.batch_size == 5
    # What makes the images hangs on the point, and is none of what is shared.
    plain = context.maker
    assert context.sharing(point={"method": "truncation", "family": "style", "psi": 0.5}).maker
    assert context.sharing().maker is not plain and context.maker is plain


def test_batches_are_whole_groups():
    context = Context({}, {}, 0, {}, Progress("x", 10, every=1e9), 5)
    assert [len(b) for b in context.batches(range(3, 13))] == [5, 5]
    assert [len(b) for b in context.batches(range(3, 13), 4)] == [8, 2]


def test_labels_are_those_of_the_latents_and_of_no_other_generator(context_of):
    context = context_of("label")
    labels = context.generator.labels(context.latents(range(COUNT)))
    assert compute("label", context).values.tolist() == labels.tolist()
    with pytest.raises(ValueError, match="needs a generator with classes"):
        compute("label", context_of("singular_values"))


def test_labels_are_those_of_the_latents_that_a_method_draws_itself(context_of):
    context = context_of("label")
    context.maker = Maker(context.generator, latents=lambda rows: context.latents(rows) + 1)
    labels = context.generator.labels(context.latents(range(COUNT)) + 1)
    assert compute("label", context).values.tolist() == labels.tolist()
    assert labels.tolist() != context.generator.labels(context.latents(range(COUNT))).tolist()


def test_volumes_of_features_are_those_of_generator_and_extractor_in_one(context_of):
    context = context_of("singular_values")
    # Few singular values: those near the rounding error of the largest are no numbers to compare.
    context.inputs["extractors"] = [context.inputs["extractor"]]
    context.settings |= {"spaces": [], "extractors": ["by name"], "kept": 3}
    both = torch.nn.Sequential(context.generator, context.extractor)
    jacobians = [
        torch.func.jacfwd(lambda z: both(z[None])[0])(z) for z in context.latents(range(3))
    ]
    expected = [torch.linalg.svdvals(j.double())[:3].log().numpy() for j in jacobians]
    column = compute("singular_values", context, range(3))
    assert column.facts["spaces"] == ["by name"]
    assert column.values[:, 0] == pytest.approx(np.stack(expected), rel=1e-3, abs=1e-3)
