"""`make faces`: the plan of its overlay, with stand-ins for what its packages hold, and without them."""

import zipfile
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import pytest

from pseudodensity.plan.config import load_config
from pseudodensity.plan.errors import ConfigError
from pseudodensity.plan.plan import Plan

ROOT = Path(__file__).parents[2]


def plan_of(*overlays: str) -> Plan:
    config = load_config(ROOT / "config/config.yaml", [ROOT / name for name in overlays], {})
    return Plan(config, ROOT / "workflow/schemas", ROOT / "config/papers")


@pytest.fixture
def packages(tmp_path, monkeypatch):
    """Where the plan runs: with empty files in the place of those that `make faces` makes."""
    folder = tmp_path / "downloads/faces"
    folder.mkdir(parents=True)
    for name in ("generator.pt2", "squeezenet.safetensors"):
        (folder / name).touch()
    with zipfile.ZipFile(folder / "samples.zip", "w") as archive:
        for i in range(2000):
            archive.writestr(f"{i}.png", b"")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("pseudodensity.plan.data.version", lambda name: "0")


def test_the_overlay_resolves_and_steers_and_judges_by_different_networks(packages):
    plan = plan_of("config/scales/faces.yaml")
    assert all(
        plan.data.listing(name) for name, one in plan.config["datasets"].items() if "path" in one
    )
    figure = plan.target("figure", "faces")
    kinds = [made.kind for made in plan.jobs(figure)]
    # Nothing is trained but the density: the generator and both networks are given.
    assert {"data", "extractor", "features", "density", "pool", "moved", "scores"} == set(kinds)
    assert kinds.count("moved") == 2
    assert plan.data.steering == "efficientnet_lite0" and plan.config["judges"] == ["squeezenet"]
    assert figure.outputs == ["results/faces.svg", "results/faces.png"]
    assert plan.target("table", "faces").outputs[0] == "results/faces.csv"


def test_no_score_but_those_of_the_manifold_is_claimed(packages):
    """No Fréchet distance: what the generator was trained on is not at hand."""
    plan = plan_of("config/scales/faces.yaml")
    scores = [made for made in plan.jobs(plan.target("figure", "faces")) if made.kind == "scores"]
    assert [made.spec["metric"] for made in scores] == ["manifold"]


def test_without_the_packages_one_line_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for kind in ("table", "figure"):
        with pytest.raises(ConfigError, match="make faces") as caught:
            plan_of("config/scales/faces.yaml").target(kind, "faces")
        assert "\n" not in str(caught.value)


def test_a_network_whose_package_is_not_installed_says_how_to_get_it(packages, monkeypatch):
    def none(name):
        raise PackageNotFoundError(name)

    monkeypatch.setattr("pseudodensity.plan.data.version", none)
    plan = plan_of("config/scales/faces.yaml")
    with pytest.raises(ConfigError, match="is not installed: pip install -r envs/photos.txt"):
        plan.target("figure", "faces")


def test_without_the_overlay_one_line_says_what_to_run():
    plan = plan_of()
    for kind in ("table", "figure"):
        with pytest.raises(ConfigError, match="run `make faces`") as caught:
            plan.target(kind, "faces")
        assert "\n" not in str(caught.value)
