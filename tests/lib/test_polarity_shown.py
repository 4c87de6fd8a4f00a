"""Table 1 and Figures 1, 4, 5 and 7 of polarity sampling: samples, path lengths, and what is claimed of them."""

import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import torch.nn.functional as F
from spectra import column_of_volumes

from pseudodensity.artifacts import save_json, save_npy
from pseudodensity.columns.pool import Column, Pool, save_column
from pseudodensity.features.build import build_extractor, load_extractor, save_extractor
from pseudodensity.features.extractor import extract
from pseudodensity.generators.build import build_generator
from pseudodensity.generators.checkpoint import CheckpointFile, save_checkpoint
from pseudodensity.papers.polarity import claims_images
from pseudodensity.papers.polarity.fig1_figure import fig1_figure
from pseudodensity.papers.polarity.fig4 import fig4
from pseudodensity.papers.polarity.fig4_figure import fig4_figure
from pseudodensity.papers.polarity.fig7 import central, fig7
from pseudodensity.papers.polarity.fig7_figure import fig7_figure
from pseudodensity.papers.polarity.measured.class_samples import class_samples
from pseudodensity.papers.polarity.measured.draws import draw_by_polarity
from pseudodensity.papers.polarity.measured.path_lengths import arc, path_lengths, squared_speeds
from pseudodensity.papers.polarity.measured.samples import samples, total_variation
from pseudodensity.papers.polarity.table1 import table1
from pseudodensity.rng import numpy_generator
from pseudodensity.tensors import save_tensors

ROOT = Path(__file__).parents[2]
torch.set_num_threads(1)

NAMES = {"block": "b", "model": "StyleGAN2", "dataset": "churches", "stands_for": "LSUN-Church"}
PROPOSALS, SEED = 60, 3


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    """A tiny StyleGAN2 with volumes that fall from latent to latent, images of noise, an untrained extractor."""
    folder = tmp_path_factory.mktemp("polarity")
    draw = numpy_generator(0, "images")
    images = draw.integers(0, 256, (PROPOSALS + 40, 3, 16, 16), dtype=np.uint8)
    torch.manual_seed(0)
    settings = {"z_dim": 8, "w_dim": 8, "channel_base": 64, "channel_max": 8, "mapping_layers": 2}
    state = build_generator("stylegan2", 16, settings).state_dict()
    made = CheckpointFile("stylegan2", 16, {"generator": settings}, {"average": state}, {})
    save_checkpoint(folder / "checkpoint.safetensors", made, {"kind": "trained", "spec": {}})
    extractor = build_extractor({"kind": "small_cnn", "size": 16, "widths": [4, 8], "blocks": 1})
    extractor.trained = True
    save_extractor(folder / "extractor.safetensors", extractor)
    known = {"density": np.zeros(PROPOSALS, np.float32)}
    meta = {"calls": 1, "facts": {}}
    save_tensors(folder / "described.safetensors", known, {"kind": "pool"}, meta)
    save_npy(folder / "images.npy", images[:PROPOSALS])
    save_npy(folder / "data.npy", images[PROPOSALS:])
    features = extract(extractor, images[PROPOSALS:])
    save_npy(folder / "features.npy", features)
    column = column_of_volumes(np.linspace(5, -5, PROPOSALS))
    save_column(folder / "singular_values.safetensors", column, {"kind": "column"})
    named = ("checkpoint", "extractor", "data", "features")
    ends = {"data": "npy", "features": "npy"}
    found = {name: folder / f"{name}.{ends.get(name, 'safetensors')}" for name in named}
    found |= {name: [folder / f"{name}.safetensors"] for name in ("described", "singular_values")}
    return found


def settings(**own):
    return {
        "volumes": PROPOSALS,
        "space": "pixel",
        "top": 30,
        "seed": SEED,
        "title": "small_cnn",
        "distance": None,
        "device": "cpu",
    } | own


# ------------------------------------------------------------------------ samples


def test_all_polarities_draw_with_the_same_random_numbers():
    values = numpy_generator(0, "volumes").standard_normal(50)
    pool = Pool({"volume": Column(values), "density": Column(values)}, SEED)
    chosen, rows = draw_by_polarity(pool, [-1000, 0, 0.0, 1000], 10)
    assert np.array_equal(chosen[0], np.argsort(values)[:10]), "modes are the least volumes"
    assert np.array_equal(chosen[3], np.argsort(-values)[:10])
    assert np.array_equal(chosen[1], chosen[2]) and len(set(chosen[1])) == 10
    assert rows[1]["ess"] == pytest.approx(50) and rows[0]["ess"] == pytest.approx(1)


def test_total_variation_is_that_of_flat_and_chequered_images():
    chequered = np.indices((4, 4)).sum(0) % 2 * 255
    stripes = np.tile([0, 255], (4, 2))
    images = [np.broadcast_to(one, (3, 4, 4)) for one in (np.full((4, 4), 90), chequered, stripes)]
    found = total_variation(np.stack(images).astype(np.uint8))
    assert found == pytest.approx([0, 1, 0.5])


def test_samples_have_their_nearest_training_images_under_them(inputs):
    own = settings(polarity=[-1000, 0], images=12, shown=3)
    arrays, facts = samples(inputs, own)
    images, training = (
        np.load(inputs["described"][0].with_name("images.npy")),
        np.load(inputs["data"]),
    )
    last = images[::-1]  # the least volumes
    assert np.array_equal(arrays["images"][0], last[:3])
    extractor = load_extractor(inputs["extractor"])
    features = [torch.from_numpy(extract(extractor, own)) for own in (last[:12], training)]
    distances = torch.cdist(*(own.double() for own in features))
    assert np.array_equal(arrays["nearest"][0], training[distances.argmin(1)[:3].numpy()])
    assert arrays["distance"][0] == pytest.approx(distances.amin(1).numpy(), rel=1e-4)
    assert arrays["variation"].shape == (2, 12) and facts["extractor"] == "small_cnn"


@pytest.fixture
def drawn(inputs, tmp_path):
    arrays, facts = samples(inputs, settings(polarity=[-5, 0], images=12, shown=3))
    save_tensors(tmp_path / "samples.safetensors", arrays, {"kind": "experiment"}, facts)
    panel = NAMES | {"space": "style"}
    paths = {"measured": [tmp_path / "samples.safetensors"] * 2}
    return paths, {"panels": [panel, panel | {"space": "pixel"}], "figure": 4}


def test_figure_4_has_two_lines_for_each_polarity(drawn):
    frame = fig4(*drawn).frame
    assert len(frame) == 2 * 2 * 2 and set(frame["space"]) == {"pixel", "style"}
    assert frame[frame["polarity"].eq(-5)]["change"].notna().all()
    figure = fig4_figure(*drawn)
    names = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert names == ["ρ = -5", "nearest", "ρ = 0", "nearest"]


def labelled(inputs, tmp_path) -> dict:
    """The same pool, where latents are of class 0 and 1 in turn."""
    column = Column(np.arange(PROPOSALS) % 2.0)
    save_column(tmp_path / "label.safetensors", column, {"kind": "column"})
    return inputs | {"label": [tmp_path / "label.safetensors"]}


def test_samples_of_a_class_are_drawn_within_it(inputs, tmp_path):
    own = settings(polarity=[-1000, 0], classes=[1, 0], shown=3)
    arrays, facts = class_samples(labelled(inputs, tmp_path), own)
    images = np.load(inputs["described"][0].with_name("images.npy"))
    last = images[::-1]  # the least volumes, the last of which has class 1
    assert np.array_equal(arrays["images"][0, 0], last[:6:2])
    assert np.array_equal(arrays["images"][1, 0], last[1:7:2])
    assert [row["polarity"] for row in facts["rows"][0]] == [-1000, 0]
    with pytest.raises(ValueError, match="class 7 has 0 of 60 latents, and 3 are shown"):
        class_samples(labelled(inputs, tmp_path), own | {"classes": [7]})


# ------------------------------------------------------------------------ path lengths


def test_an_arc_starts_as_the_great_circle_does():
    torch.manual_seed(0)
    starts, ends = (torch.randn(6, 2, 3, dtype=torch.float64) for _ in range(2))
    ends[0] = 2 * starts[0]
    found, step = arc(starts, ends), 1e-6
    flat, towards = F.normalize(starts.flatten(1), dim=1), F.normalize(ends.flatten(1), dim=1)
    angle = torch.acos((flat * towards).sum(1, keepdim=True).clamp(-1, 1))
    moved = torch.sin((1 - step) * angle) * flat + torch.sin(step * angle) * towards
    slope = (moved / torch.sin(angle) - flat) / step * starts.flatten(1).norm(dim=1, keepdim=True)
    assert found[1:].flatten(1).numpy() == pytest.approx(slope[1:].numpy(), abs=1e-4)
    assert found[0].abs().max() < 1e-6, "a path to itself does not move"


def test_speeds_are_those_of_closed_forms():
    """On the unit circle an arc has the speed of its angle; only what is across a line turns its direction."""
    starts = torch.tensor([[1.0, 0.0], [1.0, 0.0]], dtype=torch.float64)
    ends = torch.tensor([[0.0, 3.0], [1.0, 1.0]], dtype=torch.float64)
    speeds = squared_speeds([lambda x: 7 * x], starts, arc(starts, ends))
    assert speeds.numpy() == pytest.approx([(math.pi / 2) ** 2, (math.pi / 4) ** 2])
    lines = squared_speeds([lambda x: x], 2 * starts, ends - 2 * starts)
    assert lines.numpy() == pytest.approx([(3 / 2) ** 2, (1 / 2) ** 2])


def test_speeds_are_what_a_step_of_the_paper_comes_to():
    torch.manual_seed(0)
    network = torch.nn.Sequential(torch.nn.Linear(4, 9), torch.nn.Tanh(), torch.nn.Linear(9, 5))
    network.double().requires_grad_(False)
    points, velocities = (torch.randn(250, 4, dtype=torch.float64) for _ in range(2))
    step = 1e-4
    pairs = [F.normalize(network(points + eps * velocities), dim=1) for eps in (0, step)]
    stepped = (pairs[1] - pairs[0]).square().sum(1) / step**2
    found = squared_speeds([network], points, velocities)
    assert found.numpy() == pytest.approx(stepped.numpy(), rel=5e-3)
    assert torch.allclose(found, squared_speeds([network], points, velocities, batch=3))
    pairs = [network(points + eps * velocities) for eps in (0, step)]
    stepped = (pairs[1] - pairs[0]).square().sum(1) / step**2
    found = squared_speeds([network], points, velocities, unit=False)
    assert found.numpy() == pytest.approx(stepped.numpy(), rel=5e-3)


def test_path_lengths_of_a_style_generator_are_in_both_spaces(inputs, tmp_path):
    arrays, facts = path_lengths(inputs, settings(polarity=[-0.5, 0], images=20))
    assert arrays["z"].shape == arrays["w"].shape == (2, 20)
    assert (arrays["z"] > 0).all() and not np.allclose(arrays["z"], arrays["w"])
    path = tmp_path / "paths.safetensors"
    save_tensors(path, arrays, {"kind": "experiment"}, facts)
    table = fig7({"measured": path}, {"names": NAMES}).frame
    assert len(table) == 4 and table["mean"].iloc[1] == pytest.approx(arrays["z"][1].mean())
    figure = fig7_figure({"measured": path}, {"names": NAMES})
    assert [axes.get_xscale() for axes in figure.axes] == ["log", "log"]


def test_a_distance_of_its_own_is_taken_as_it_stands_and_named(inputs, tmp_path):
    told = {}
    for distance in (None, "LPIPS"):
        own = settings(polarity=[-0.5, 0], images=20, distance=distance)
        arrays, facts = path_lengths(inputs, own)
        path = tmp_path / f"{distance}.safetensors"
        save_tensors(path, arrays, {"kind": "experiment"}, facts)
        table = fig7({"measured": path}, {"names": NAMES})
        figure = fig7_figure({"measured": path}, {"names": NAMES})
        caption = " ".join(" ".join(text.get_text() for text in figure.texts).split())
        told[distance] = (arrays, f"{table.introduction} {caption}", figure.axes[0].get_xlabel())
        assert "images of 16 px" in table.notes[0]
    ours, foreign = told[None], told["LPIPS"]
    words = (
        "Measured by embedded perceptual distance: squared distance of unit features of small_cnn."
    )
    assert ours[1].count(words) == 2 and "LPIPS" not in ours[1]
    assert foreign[1].count("Measured by LPIPS.") == 2 and "unit features" not in foreign[1]
    assert ours[2] == "path length by embedded perceptual distance"
    assert foreign[2] == "path length by LPIPS"
    # Were all features of one length that never changes, the two would differ by one factor.
    ratio = ours[0]["z"] / foreign[0]["z"]
    assert ratio.max() > 1.01 * ratio.min()


def test_the_ends_of_path_lengths_are_left_out():
    lengths = np.random.default_rng(0).permutation(np.arange(300.0))
    assert np.array_equal(central(lengths), np.arange(3.0, 297.0))


# ------------------------------------------------------------------------ table 1, figure 1, claims


@pytest.fixture
def beside_others(tmp_path):
    """FIDs of 10 images are those of 20 and 4 more."""
    points = [{"method": "plain"}, {"method": "sir", "candidates": 10}]
    points += [{"method": "polarity", "polarity": rho} for rho in (0.02, 0.2)]
    points += [{"method": "mh", "chain": 3}]
    scores = {20: (5.0, 4.0, 4.5, 3.0, 6.0), 10: (9.0, 8.0, 8.5, 7.0, 10.0)}
    inputs, rows = {"reported": ROOT / "config/reported/polarity.csv"}, {}
    for images, fids in scores.items():
        lines = [
            {
                "pool": "pool",
                "point": point,
                "label": point["method"],
                "facts": {"ess": None, "note": ""},
                "n": images,
                "n_real": 50,
                "repeats": [
                    {"fid": fid + shift, "precision": 0.5, "recall": 0.5}
                    for shift in (-0.1, 0.0, 0.1)
                ],
            }
            for point, fid in zip(points, fids, strict=True)
        ]
        path, name = tmp_path / f"{images}.json", f"scores_{images}"
        save_json(path, {"settings": {"k": 3}, "rows": lines})
        inputs[name] = [path]
        rows[name] = [NAMES | {"pool": "pool", "point": point, "seed": 0} for point in points]
    return table1(inputs, {"rows": rows})


def test_table_1_says_of_how_many_images_the_paper_speaks(beside_others):
    frame = beside_others.frame.set_index(["n", "setting"])
    assert frame.loc[20]["paper_fid"].tolist()[:2] == [6.29, 7.36]
    polarity = beside_others.frame[beside_others.frame["polarity"].eq(0.2)].iloc[0]
    assert (polarity["paper_fid"], polarity["paper_n"]) == (6.02, 50000)
    assert frame.loc[(20, "sir"), "paper_n"] == 1024
    others = beside_others.frame[beside_others.frame["polarity"].eq(0.02)]
    assert others["paper_fid"].isna().all() and others["paper_n"].isna().all()
    assert pd.isna(frame.loc[(20, "mh"), "paper_fid"])
    assert set(beside_others.frame["section"]) == {"10 images", "20 images"}


def test_the_claim_about_rivals_takes_the_most_images_and_the_exponent_of_the_paper(beside_others):
    (line,) = claims_images.rival_lines(beside_others.frame)
    assert line["effect"] == pytest.approx(math.log(3 / 4)) and line["high"] < 0
    assert line["paper_effect"] == pytest.approx(math.log(6.02 / 7.36))
    none = beside_others.frame[beside_others.frame["method"].ne("sir")]
    assert claims_images.rival_lines(none) == []


def spread(measure: str, section: str = "s") -> pd.DataFrame:
    lines = [NAMES | {"polarity": rho, "measure": measure, "section": section} for rho in (-5, 0)]
    ends = {"change_low": [-1.2, np.nan], "change_high": [-0.8, np.nan]}
    return pd.DataFrame(lines).assign(change=[-1.0, np.nan], change_p=[1e-9, np.nan], **ends)


def test_modes_are_compared_with_the_model():
    table = pd.concat([spread("total variation"), spread("distance")], ignore_index=True)
    (line,) = claims_images.simple_lines(table)
    assert (line["effect"], line["low"], line["high"]) == (-1.0, -1.2, -0.8)
    two = pd.concat([spread("", "paths in z"), spread("", "paths in w")], ignore_index=True)
    first, second = claims_images.path_lines(two)
    assert first["effect"] == second["effect"] == -1 and "paths in w" in second["measured"]


def test_the_modes_of_a_gan_are_claimed_to_stay_and_those_of_a_vae_to_come_nearer():
    own = [spread("", kind).assign(kind=kind, space="pixels") for kind in ("GAN", "VAE")]
    gan, vae = claims_images.nearest_lines(pd.concat(own, ignore_index=True))
    assert gan["sign"] == 0 and vae["sign"] == -1 and vae["effect"] == -1
    assert "of a VAE" in vae["measured"]


def test_figure_1_draws_one_model_along_both_dials(inputs, tmp_path):
    columns = ("block", "method", "psi", "polarity", "precision", "recall")
    lines = [("b", "plain", None, None, 0.5, 0.5), ("b", "truncation", 0.5, None, 0.7, 0.2)]
    lines += [("b", "polarity", None, rho, 0.5 - rho, 0.4) for rho in (0.1, -0.1, 0)]
    lines += [("other", "plain", None, None, 0.9, 0.9)]
    frame = pd.DataFrame(lines, columns=columns).assign(
        **{k: v for k, v in NAMES.items() if k != "block"}
    )
    frame = frame.assign(repeats=4, n=100, n_real=200, k=3, seed=0)
    for score in ("precision", "recall"):
        for end, shift in (("low", -0.02), ("high", 0.02)):
            frame[f"{score}_{end}"] = frame[score] + shift
    frame.to_csv(tmp_path / "fig3.csv", index=False)
    look = {"extractors": {"manifold": "judge"}}
    figure = fig1_figure({"table": tmp_path / "fig3.csv"}, look | {"block": "b"})
    drawn = [line.get_xydata() for line in figure.axes[1].lines if len(line.get_xydata()) == 3]
    assert [0.6, 0.5, 0.4] in [pytest.approx(line[:, 1]) for line in drawn]
    assert len(figure.axes) == 2
    own = settings(polarity=[-1, 0], classes=[0, 1], shown=3)
    found = class_samples(labelled(inputs, tmp_path), own)
    save_tensors(tmp_path / "classes.safetensors", found[0], {"kind": "experiment"}, found[1])
    paths = {"table": tmp_path / "fig3.csv", "samples": tmp_path / "classes.safetensors"}
    figure = fig1_figure(paths, look | {"block": "b", "samples": NAMES})
    assert [label.get_text() for label in figure.axes[2].get_yticklabels()] == ["ρ = -1", "ρ = 0"]
    with pytest.raises(ValueError, match="no precision of none"):
        fig1_figure({"table": tmp_path / "fig3.csv"}, look | {"block": "none"})
