"""Tables of single samples, from files of known densities."""

import numpy as np
import pandas as pd
import pytest

from pseudodensity.artifacts import ArtifactError
from pseudodensity.papers.pseudo_density.sample_tables import extremes, perturbation
from pseudodensity.report.table import write_table
from pseudodensity.tensors import save_tensors

PANEL = {"block": "a-b", "model": "A", "dataset": "b", "stands_for": "LSUN", "paper": "X on LSUN"}
MOVED = PANEL | {"objective": "density", "steps": 5, "step_size": 0.1, "bound": 0.2, "columns": 2}


def test_moved_samples_have_their_change(tmp_path):
    density = np.array([[1.5, 2.5, 9.0], [1.0, 2.0, 9.0], [0.75, 1.0, 9.0]])
    save_tensors(tmp_path / "moved.safetensors", {"density": density}, {"kind": "perturbed"})
    inputs = {"samples": [tmp_path / "moved.safetensors"]}
    table = perturbation(inputs, {"title": "Figure 3", "panels": [MOVED]})
    assert table.frame["row"].tolist() == [r for r in ("towards", "original", "away") for _ in "ab"]
    assert table.frame["change"].tolist() == [0.5, 0.5, 0, 0, -0.25, -1]
    files = [tmp_path / f"fig3.{kind}" for kind in ("csv", "md", "tex")]
    write_table(table, *files)
    assert "## A on b (stands for LSUN)\n\nFor X on LSUN." in files[1].read_text()
    assert pd.read_csv(files[0])["sample"].tolist() == [0, 1] * 3


def test_extremes_stand_beside_real_images(tmp_path):
    names = ("percentile", "index", "density", "real_index", "real_density")
    arrays = {name: np.array([i, i + 10]) for i, name in enumerate(names)}
    save_tensors(tmp_path / "extremes.safetensors", arrays, {"kind": "extremes"})
    inputs = {"samples": [tmp_path / "extremes.safetensors"]}
    frame = extremes(inputs, {"title": "Figure 2", "panels": [PANEL]}).frame
    assert frame["images"].tolist() == ["generated"] * 2 + ["real"] * 2
    assert frame["percentile"].tolist() == [0, 10, 0, 10]
    assert frame["density"].tolist() == [2, 12, 4, 14]


def test_missing_and_damaged_files_are_named(tmp_path):
    settings = {"title": "t", "panels": [MOVED]}
    with pytest.raises(ArtifactError, match="none.safetensors does not exist"):
        perturbation({"samples": [tmp_path / "none.safetensors"]}, settings)
    (tmp_path / "bad.safetensors").write_text("no tensors")
    with pytest.raises(ArtifactError, match="is damaged"):
        perturbation({"samples": [tmp_path / "bad.safetensors"]}, settings)
