"""Figures from synthetic inputs: pixels of the grids, sizes of the pages, and what they say."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from PIL import Image

from pseudodensity.artifacts import save_npy
from pseudodensity.figures import draw_density_extremes, draw_table1, load_images, tile
from pseudodensity.rng import numpy_generator
from pseudodensity.tensors import save_tensors

PLACES = {  # role -> recall, precision
    "pretrained": (0.60, 0.60),
    "precision": (0.50, 0.70),
    "recall": (0.70, 0.55),
    "fid": (0.61, 0.60),
    "control": (0.60, 0.62),
    "control_fid": (0.60, 0.61),
    "oracle": (0.90, 0.90),
    "oracle_precision": (0.80, 0.95),
    "oracle_recall": (0.95, 0.85),
    "oracle_fid": (0.90, 0.90),
}
WEIGHTS = {"precision": 33.0, "recall": 0.03, "fid": 2.0}


def make_table(*blocks: str, spread: float = 0.01) -> pd.DataFrame:
    lines = [
        {
            "block": block,
            "dataset": "churches",
            "stands_for": None,
            "model": "GAN",
            "role": role,
            "w": WEIGHTS.get(role, 1.0),
            "mean_pseudo_density": 1.25,
            "recall": recall,
            "recall_spread": spread,
            "precision": precision,
            "precision_spread": spread,
            "n_real": None if role.startswith("oracle") else 500,
            "n_fake": 400,
            "k": 3,
            "spread_of": "3 sampling repeats",
        }
        for block in blocks
        for role, (recall, precision) in PLACES.items()
    ]
    return pd.DataFrame(lines)


def make_images(n: int = 12, size: int = 8) -> dict[str, np.ndarray]:
    rows = ("real", "precision", "pretrained", "recall")
    return {
        row: numpy_generator(0, row).integers(0, 256, (n, 3, size, size), dtype=np.uint8)
        for row in rows
    }


@pytest.fixture
def texts(monkeypatch):
    """All that is written on figures by their own text method."""
    found, plain = [], Figure.text
    monkeypatch.setattr(
        Figure, "text", lambda f, x, y, s, **k: (found.append(s), plain(f, x, y, s, **k))[1]
    )
    return found


def test_tile_enlarges_without_blending():
    images = make_images(n=3, size=8)["real"]
    canvas = tile(images, columns=2)
    cell = 96 + 4
    assert canvas.shape == (2 * cell - 4, 2 * cell - 4, 3) and canvas.dtype == np.uint8
    second = canvas[:96, cell : cell + 96]
    assert (second[5::12, 5::12] == images[1].transpose(1, 2, 0)).all()
    assert len(np.unique(second.reshape(-1, 3), axis=0)) <= 64
    assert (canvas[96:100] == 255).all() and (canvas[cell:, cell:] == 255).all()


def test_tile_leaves_large_images_as_they_are():
    images = make_images(n=1, size=128)["real"]
    assert (tile(images, 1) == images[0].transpose(1, 2, 0)).all()


def test_images_are_read_from_samples_of_the_first_seed(tmp_path):
    reals = np.arange(30, dtype=np.uint8).reshape(30, 1, 1, 1).repeat(3, 1)
    save_npy(tmp_path / "images.npy", reals)
    rows = []
    for seed in (3, 4):
        for setting in ("pretrained", "precision", "recall", "fid", "control"):
            path = tmp_path / f"{setting}-{seed}.safetensors"
            shade = np.full((64, 3, 1, 1), 10 * seed + len(setting), dtype=np.uint8)
            save_tensors(path, {"images": shade}, spec={})
            rows.append({"block": "b", "setting": setting, "seed": seed, "samples": str(path)})
    images = load_images(rows, {"b": tmp_path / "images.npy"}, columns=4)["b"]
    assert set(images) == {"real", "pretrained", "precision", "recall"}
    assert images["real"][:, 0, 0, 0].tolist() == [0, 9, 19, 29]
    assert images["recall"].shape == (4, 3, 1, 1) and images["recall"].max() == 36


@pytest.mark.parametrize("count", [1, 3])
def test_table1_grows_by_a_panel_per_block(tmp_path, texts, count):
    blocks = [f"block{i}" for i in range(count)]
    path = tmp_path / "table1.png"
    make_table(*blocks).to_csv(tmp_path / "table1.csv")
    draw_table1(pd.read_csv(tmp_path / "table1.csv"), dict.fromkeys(blocks, make_images()), path)
    with Image.open(path) as page:
        assert page.format == "PNG" and 1500 < page.width < 2500
        assert count * 500 < page.height < count * 600 + 400
        pixels = np.asarray(page.convert("RGB"))
    for colour in ((0, 114, 178), (213, 94, 0), (0, 158, 115)):
        assert (pixels == colour).all(axis=-1).sum() > 100
    assert texts.count("GAN on churches") == count
    assert texts.count("w = 33, density 1.25") == texts.count("towards fidelity") == count
    caption = texts[-1].replace("\xa0", " ").replace("\n", " ")
    assert "400 generated against 500 real images, k = 3, 3 sampling repeats" in caption
    assert sorted(tmp_path.iterdir()) == [path.with_suffix(".csv"), path]


def test_table1_without_spread_control_or_all_columns(tmp_path):
    table = make_table("b", spread=np.nan)
    table = table[table["role"] != "control_fid"].assign(stands_for="LSUN-Church")
    images = make_images(n=5, size=4)
    images["real"] = images["real"][:3]
    draw_table1(table, {"b": images}, tmp_path / "table1.png")
    assert (tmp_path / "table1.png").stat().st_size > 10_000


def test_density_extremes_show_the_extremes(tmp_path, texts):
    images = make_images(n=40)["real"]
    density = np.linspace(0.1, 4.0, 40)[::-1]
    path = tmp_path / "set.png"
    names = [f"a-long-file-name-{i:02d}.png" for i in range(40)]
    draw_density_extremes(images, density, names, path, columns=4, lines=1)
    values = [text for text in texts if text.replace(".", "").isdigit()]
    assert values == ["0.100", "0.200", "0.300", "0.400", "4.00", "3.90", "3.80", "3.70"]
    assert next(t for t in texts if t.startswith("…")) == "…e-name-39.png"
    with Image.open(path) as page:
        assert page.width > 600 and page.height > 400


def test_density_extremes_never_show_an_image_twice(tmp_path, texts):
    draw_density_extremes(make_images(n=5)["real"], np.ones(5), list("abcde"), tmp_path / "s.png")
    assert [text for text in texts if len(text) == 1 and text.isalpha()] == ["a", "b", "e", "d"]
    with pytest.raises(ValueError, match="5 images, 4 densities"):
        draw_density_extremes(make_images(n=5)["real"], np.ones(4), list("abcde"), "-")
