"""Table and figure of memorisation: copies are found and shown, and what cannot be measured says why."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from pseudodensity.artifacts import save_npy
from pseudodensity.papers.pseudo_density import memorisation_figure, memorisation_table
from pseudodensity.plan.config import load_config
from pseudodensity.plan.plan import Plan
from pseudodensity.report.table import write_table
from pseudodensity.rng import numpy_generator
from pseudodensity.tensors import save_tensors

torch.set_num_threads(1)
ROOT = Path(__file__).parents[2]
REALS, SAMPLES, PART = 60, 40, 25  # of each side, of each row, in a part of a pool
TITLES = {"dataset": "faces", "model": "GAN", "stands_for": None}
# Grey values of images, so that a picture tells what it is.
TRAINING, HELD_OUT, FAKE = 60, 120, 200


def normal(name: str, n: int) -> np.ndarray:
    return numpy_generator(0, name).standard_normal((n, 4)).astype(np.float32)


def pool(folder: Path, features: np.ndarray, value: int, stored: int) -> list[dict]:
    """A pool in parts whose first images are stored: grey, and darker from row to row."""
    parts = []
    for start in range(0, len(features), PART):
        found = features[start : start + PART]
        part = {"start": start, "described": str(folder / f"{start}.safetensors")}
        part["images"] = str(folder / f"{start}.npy")
        save_tensors(part["described"], {"features.judge": found}, {})
        save_npy(part["images"], grey(value - np.arange(start, start + len(found)))[:stored])
        parts.append(part)
    return parts


def grey(values: np.ndarray) -> np.ndarray:
    return np.broadcast_to(values[:, None, None, None], (len(values), 3, 8, 8)).astype(np.uint8)


def settings_in(folder: Path, stored: int = PART) -> dict:
    """A block whose second model copies training images 3 and 1 in rows 30 and 4; and one that has no
    law."""
    training, reals = normal("training", REALS), normal("reals", REALS + SAMPLES)
    copier = normal("copier", 2 * PART)
    copier[[30, 4]] = training[[3, 1]]
    copier[4] += 1e-4
    save_npy(folder / "features.npy", training)
    save_npy(folder / "images.npy", grey(TRAINING - np.arange(REALS)))
    held_out = pool(folder / "reals", reals, HELD_OUT, stored)
    pools = {
        "pretrained": pool(folder / "plain", normal("plain", 2 * PART), FAKE, stored),
        "recall": pool(folder / "copier", copier, FAKE, stored),
        "held_out": held_out,
    }
    rows = [
        {"setting": setting, "tau": None, "w": 0.03 if setting == "recall" else None}
        | {"pool": parts, "first": REALS if setting == "held_out" else 0}
        for setting, parts in pools.items()
    ]
    block = TITLES | {"block": "a", "held_out": held_out, "rows": rows}
    block |= {"reals": REALS, "samples": SAMPLES}
    sides = {"features": str(folder / "features.npy"), "images": str(folder / "images.npy")}
    block |= {"training": sides}
    other = TITLES | {"block": "b", "dataset": "digits", "why": "does not apply: no law"}
    return {"judge": "judge", "mirrored": ["faces"], "blocks": [block, other]}


def test_copies_are_found_in_the_rows_where_they_are(tmp_path):
    frame = memorisation_table.memorisation({}, settings_in(tmp_path)).frame.set_index("role")
    assert list(frame.index[:3]) == ["pretrained", "recall", "held_out"]
    assert list(frame["setting"][:3]) == [
        "pre-trained",
        "+ fine-tune (w = 0.03)",
        "held-out real images",
    ]
    copier = frame.loc["recall"]
    assert (copier["sample_1"], copier["training_1"], copier["ratio_1"]) == (30, 3, 0)
    assert (copier["sample_2"], copier["training_2"]) == (4, 1)
    assert copier["ratio_2"] == pytest.approx(copier["to_training_2"] / copier["to_held_out_2"])
    assert copier["to_training_2"] == pytest.approx(2e-4, rel=0.01)
    assert copier["tail_ratio"] == 0 and frame.loc["pretrained", "tail_ratio"] > 0.05
    assert (copier["n"], copier["n_real"]) == (SAMPLES, REALS)
    # The control comes behind the held-out side: a real image is not compared with itself.
    held_out = frame.loc["held_out"]
    assert held_out["sample_1"] >= REALS and held_out["ratio_1"] > 0
    assert held_out["held_out_1"] < REALS and held_out["to_held_out_1"] > 0
    low, high = held_out["chance_low"], held_out["chance_high"]
    assert low < held_out["nearer_training"] < high and (low + high) / 2 == pytest.approx(0.5)


def test_a_model_whose_samples_are_all_alike_has_one_chance(tmp_path):
    settings = settings_in(tmp_path)
    for part in settings["blocks"][0]["rows"][0]["pool"]:
        save_tensors(part["described"], {"features.judge": np.ones((PART, 4), np.float32)}, {})
    line = memorisation_table.memorisation({}, settings).frame.set_index("role").loc["pretrained"]
    assert line["nearer_training"] in (0, 1)
    assert (line["chance_low"], line["chance_high"]) == (0, 1)


def test_a_block_without_a_law_says_why(tmp_path):
    table = memorisation_table.memorisation({}, settings_in(tmp_path))
    paths = [tmp_path / f"memorisation.{suffix}" for suffix in ("csv", "md", "tex")]
    write_table(table, *paths)
    (line,) = pd.read_csv(paths[0]).query("block == 'b'").to_dict("records")
    assert line["note"] == "does not apply: no law" and np.isnan(line["nearer_training"])
    text = paths[1].read_text()
    assert "40 samples of each row; 60 training and as many held-out real images." in text
    assert "does not apply: no law" in text and "shows mirrored images (faces)" in text
    assert "note" not in text.partition("## GAN on faces")[2].partition("## ")[0]


def drawn(folder: Path, stored: int):
    """The figure of the table, and the grey value of each of its pictures by line and column."""
    settings = settings_in(folder, stored)
    paths = [folder / f"memorisation.{suffix}" for suffix in ("csv", "md", "tex")]
    write_table(memorisation_table.memorisation({}, settings), *paths)
    figure = memorisation_figure.memorisation({"table": paths[0]}, settings)
    (axes,) = figure.axes
    canvas = np.asarray(axes.images[0].get_array())
    lines, columns = 3, 2 * 3
    across, down = canvas.shape[1] / columns, canvas.shape[0] / lines
    values = [
        [int(canvas[int(i * down) + 5, int(j * across) + 20, 0]) for j in range(columns)]
        for i in range(lines)
    ]
    return figure, values, pd.read_csv(paths[0]).query("block == 'a'").to_dict("records")


def caption(figure) -> str:
    (text,) = (text for text in figure.texts if text.get_gid() == "caption")
    return text.get_text().replace("\u00a0", " ").replace("\n", " ")


def test_each_sample_stands_above_what_it_is_nearest_to(tmp_path):
    figure, values, lines = drawn(tmp_path, PART)
    pairs = [(line, i) for line in lines for i in (1, 2)]
    for column, (line, i) in enumerate(pairs):
        top = HELD_OUT if line["role"] == "held_out" else FAKE
        assert values[0][column] == top - line[f"sample_{i}"]
        assert values[1][column] == TRAINING - line[f"training_{i}"]
        assert values[2][column] == HELD_OUT - line[f"held_out_{i}"]
    below = [text.get_text() for text in figure.axes[0].texts]
    assert "recall\n0.000" in below and f"{lines[1]['to_training_2']:.3g}" in below
    assert "Of n = 40 samples" in caption(figure) and "White" not in caption(figure)
    assert "Not shown: GAN on digits; the table says why" in caption(figure)


def test_an_image_that_is_not_stored_is_white(tmp_path):
    figure, values, lines = drawn(tmp_path, 3)
    # Rows 30 and 4 of the copier are row 5 and 4 of their parts.
    assert values[0][2:4] == [255, 255] and values[1][2:4] == [TRAINING - 3, TRAINING - 1]
    assert "White: an image that is not stored" in caption(figure)
    assert len(lines) == 3


def planned(blocks: list[str]) -> Plan:
    config = load_config(ROOT / "config/config.yaml", [], {})
    config["papers"]["pseudo_density"]["blocks"] = blocks
    return Plan(config, ROOT / "workflow/schemas", ROOT / "config/papers")


def test_it_draws_nothing_that_table_1_does_not_draw():
    plan = planned(["stylegan2-faces", "projectedgan-digits"])
    table = plan.tables["memorisation"]
    drawn = {job.path for job in plan.jobs(table)}
    assert drawn and drawn <= {job.path for job in plan.jobs(plan.tables["table1"])}
    faces, digits = table.settings["blocks"]
    assert digits["why"].startswith("does not apply: ")
    settings = [row["setting"] for row in faces["rows"]]
    assert settings == ["pretrained", "precision", "recall", "fid", "control", "held_out"]
    # As many of each side, and the control's images are behind the held-out ones.
    images = plan.config["datasets"]["faces"]["images"]
    assert faces["reals"] == faces["rows"][-1]["first"] == images
    assert table.settings["mirrored"] == ["procedural faces"]


def test_without_a_law_there_is_no_table():
    plan = planned(["projectedgan-digits"])
    for made in (plan.tables["memorisation"], plan.figures["memorisation"]):
        assert made.missing.startswith(
            "config: memorisation needs a block on a procedural data set"
        )
