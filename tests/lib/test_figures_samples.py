"""Figures of single samples: their numbers are those of direct calls, and what is drawn."""

from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from pseudodensity.control.move.panel import checkpoint_objective, perturbation_panel
from pseudodensity.control.move.perturb import DensityObjective, perturb
from pseudodensity.control.select.extremes import density_extremes
from pseudodensity.density.network import PseudoDensity
from pseudodensity.features.build import build_extractor
from pseudodensity.features.extractor import extract
from pseudodensity.figure_runs import FigureRuns
from pseudodensity.figures_samples import (
    extremes_table,
    load_extremes,
    load_panels,
    perturbation_table,
)
from pseudodensity.generators.build import build_discriminator, build_generator
from pseudodensity.generators.checkpoint import CheckpointFile
from pseudodensity.images.transform import to_uint8
from pseudodensity.papers.pseudo_density.sample_figures import extremes, perturbation
from pseudodensity.progress import Progress
from pseudodensity.rng import normal, numpy_generator
from pseudodensity.runs import ConfigError, Plan
from pseudodensity.tensors import save_tensors

torch.set_num_threads(1)

ROOT = Path(__file__).parents[2]
STYLEGAN = {"z_dim": 8, "w_dim": 8, "mapping_layers": 2, "channel_base": 128, "channel_max": 8}
VIT = {"kind": "small_vit", "size": 16, "patch": 4, "width": 16, "depth": 1, "heads": 2}
SETTINGS = {"steps": 3, "step_size": 0.05, "bound": 0.1}
SPEC = {"images": 4, "seed": 5, "settings": SETTINGS}
SHOWN = {"extractor": "small ViT", "k": 3, "seed": 5, "generations": 20}
NAMES = {
    "block": "a-b",
    "model": "StyleGAN2",
    "dataset": "faces",
    "stands_for": "FFHQ",
    "paper": "StyleGAN2 on FFHQ",
}


@pytest.fixture(scope="module")
def parts():
    """A random generator, extractor and density, and random real images with their features."""
    torch.manual_seed(0)
    generator = build_generator("stylegan2", 16, STYLEGAN).eval().requires_grad_(False)
    extractor = build_extractor(VIT)
    real = numpy_generator(0, "real").integers(0, 256, (40, 3, 16, 16), dtype=np.uint8)
    features = extract(extractor, real)
    return generator, extractor, PseudoDensity.fit(features, k=3, epochs=3), real, features


@pytest.fixture(scope="module")
def panel(parts):
    generator, extractor, density, _, _ = parts
    objective = DensityObjective(extractor, density)
    return perturbation_panel(generator, objective, density, extractor, SPEC, Progress("p", 12))


# ---------------------------------------------------------------- perturbation


def test_a_panel_is_what_direct_calls_give(parts, panel):
    generator, extractor, density, _, _ = parts
    latents = normal(5, "latents", range(4), (8,))
    objective = DensityObjective(extractor, density)
    for row, direction in ((0, 1), (1, 0), (2, -1)):
        expected = latents
        if direction:
            expected = perturb(generator, latents, objective, direction=direction, **SETTINGS)
        torch.testing.assert_close(panel.latents[row], expected, rtol=0, atol=0)
        images = to_uint8(generator(expected)).numpy()
        np.testing.assert_array_equal(panel.images[row], images)
    # All rows in one call, as in the panel: the last digit may depend on the batch.
    described = density(extract(extractor, panel.images.reshape(-1, *panel.images.shape[2:])))
    np.testing.assert_allclose(panel.density, described.reshape(panel.density.shape))


def test_random_rows_are_independent_corners_of_the_box(parts):
    generator, extractor, density, real, _ = parts
    assert checkpoint_objective("random", None, density, extractor, real) is None
    panel = perturbation_panel(generator, None, density, extractor, SPEC, Progress("p", 12))
    delta = panel.latents - panel.latents[1]
    torch.testing.assert_close(delta[[0, 2]].abs(), torch.full((2, 4, 8), 0.1))
    assert not torch.equal(delta[0], delta[2]) and not torch.equal(delta[0], -delta[2])


def test_the_discriminator_is_the_checkpoints_and_judges_each_image_alone(parts):
    generator, extractor, density, real, _ = parts
    settings = {"channel_base": 128, "channel_max": 8}
    states = {"discriminator": build_discriminator("stylegan2", 16, settings).state_dict()}
    checkpoint = CheckpointFile("stylegan2", 16, {"discriminator": settings}, states, {})
    objective = checkpoint_objective("discriminator", checkpoint, density, extractor, real)
    images = generator(normal(0, "z", range(3), (8,)))
    alone = torch.cat([objective(image[None]) for image in images])
    torch.testing.assert_close(objective(images), alone, rtol=1e-4, atol=1e-5)
    with pytest.raises(ValueError, match="objective 'beauty' unknown: use density"):
        checkpoint_objective("beauty", checkpoint, density, extractor, real)


def test_the_figure_shows_the_numbers_of_its_table(panel, tmp_path):
    save_tensors(tmp_path / "a.safetensors", vars(panel), SPEC)
    described = NAMES | {"objective": "density", "columns": 3, **SETTINGS}
    panels = load_panels([described | {"samples": tmp_path / "a.safetensors"}])
    table = perturbation_table(panels)
    assert len(table) == 9 and list(table["row"].unique()) == ["towards", "original", "away"]
    np.testing.assert_array_equal(table["density"], panel.density[:, :3].ravel())
    np.testing.assert_allclose(table["change"], (panel.density - panel.density[1])[:, :3].ravel())
    written = tmp_path / "a.csv"
    table.to_csv(written, index=False)
    figure = perturbation({"table": written, "samples": [tmp_path / "a.safetensors"]}, SHOWN)
    below = [text.get_text() for text in figure.axes[0].texts[:9]]
    assert below == [f"{value:.3f}" for value in table["density"]]


# ---------------------------------------------------------------- extremes


def test_extremes_are_the_ends_of_the_sorted_samples_at_every_batch_size(parts):
    generator, extractor, density, real, features = parts
    spec = {"generations": 20, "images": 2, "seed": 1}
    given = (generator, density, extractor, real, features, spec, Progress("e", 20))
    found, small = (density_extremes(*given, batch_size=b) for b in (20, 7))
    images = to_uint8(generator(normal(1, "latents", range(20), (8,)))).numpy()
    values = density(extract(extractor, images))
    order = np.argsort(values, kind="stable")[[0, 1, 18, 19]]
    np.testing.assert_array_equal(found.index, order)
    np.testing.assert_array_equal(found.images, images[order])
    np.testing.assert_allclose(found.density, values[order], rtol=1e-5)
    np.testing.assert_array_equal(small.index, found.index)
    # 20 samples beside 40 real ones: sample of rank r stands beside the real one of rank 2 r + 1.
    np.testing.assert_allclose(found.percentile, [2.5, 7.5, 92.5, 97.5])
    real_values = density(features)
    np.testing.assert_array_equal(found.real_density, np.sort(real_values)[[1, 3, 37, 39]])
    np.testing.assert_array_equal(found.real_images, real[found.real_index])
    with pytest.raises(ValueError, match="20 generations have no 11 images at each end"):
        density_extremes(*given[:5], spec | {"images": 11}, given[6])


def test_figure_2_shows_the_numbers_of_its_table(parts, tmp_path):
    generator, extractor, density, real, features = parts
    spec = {"generations": 20, "images": 2, "seed": 1}
    found = density_extremes(generator, density, extractor, real, features, spec, Progress("e", 20))
    save_tensors(tmp_path / "a.safetensors", vars(found), spec)
    panels = load_extremes([NAMES | {"generations": 20, "samples": tmp_path / "a.safetensors"}])
    table = extremes_table(panels)
    assert list(table["images"]) == ["generated"] * 4 + ["real"] * 4
    written = tmp_path / "a.csv"
    table.to_csv(written, index=False)
    figure = extremes({"table": written, "samples": [tmp_path / "a.safetensors"]}, SHOWN)
    below = [text.get_text() for axes in figure.axes for text in axes.texts[:4]]
    shown = [f"{value:.3f}" for value in table["density"]]
    assert below == [*shown[:2], *shown[4:6], *shown[2:4], *shown[6:]]


# ---------------------------------------------------------------- which runs are shown


def runs(name: str, blocks: list[str] | None = None) -> FigureRuns:
    config = yaml.safe_load((ROOT / f"config/{name}.yaml").read_text())
    paper = yaml.safe_load((ROOT / "config/papers/pseudo_density.yaml").read_text())
    if blocks is not None:
        config["table1"]["blocks"] = blocks
    return FigureRuns(Plan(config, paper))


def test_figures_show_the_papers_models():
    """Captions of Figures 2, 3, 8 and 9 to 14 of the paper."""
    found = runs("config")
    shown = {f: [p["paper"] for p in found.perturbation_panels(f)] for f in ("fig3", "fig10")}
    assert shown["fig10"] == ["StyleGAN3-T on FFHQ"]
    assert shown["fig3"] == [
        "StyleGAN2 on FFHQ",
        "ProjectedGAN on LSUN-Bedroom",
        "StyleGAN3-T on FFHQ",
        "IDDPM on LSUN-Bedroom",
        "ProjectedGAN on LSUN-Church",
        "ADM on LSUN-Bedroom",
    ]
    assert [p["paper"] for p in found.extreme_panels()] == [shown["fig3"][i] for i in (0, 4, 3)]
    steps = {p["block"]: (p["steps"], p["bound"]) for p in found.perturbation_panels("fig3")}
    assert steps["stylegan2-faces"] == (10, 0.1) and steps["adm-bedroom"] == (5, 0.0125)


def test_a_block_that_is_not_made_has_the_nearest_stand_in():
    found = runs("smoke")
    assert found.stand_in("stylegan2-faces") == "stylegan2-faces"
    assert found.stand_in("projectedgan-bedroom") == "projectedgan-digits"  # same model
    assert found.stand_in("adm-bedroom") == "iddpm-bedroom"  # same data
    panels = found.perturbation_panels("fig3")
    assert [p["block"] for p in panels] == [
        "stylegan2-faces",
        "projectedgan-digits",
        "iddpm-bedroom",
    ]
    assert found.perturbation_panels("fig10")[0]["paper"] == "StyleGAN3-T on FFHQ"


def test_a_figure_that_no_block_can_serve_says_so_in_one_line():
    only_diffusion = runs("smoke", ["iddpm-bedroom"])
    assert len(only_diffusion.perturbation_panels("fig9")) == 1
    with pytest.raises(ConfigError, match="a block whose model has a discriminator in table1"):
        only_diffusion.perturbation_panels("fig8")
    with pytest.raises(ConfigError, match="needs a block in table1.blocks"):
        runs("smoke", []).extreme_panels()
