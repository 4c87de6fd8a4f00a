"""The command `pseudodensity rank`: the numbers by brute force, and the same table as the pipeline's jobs."""

import fcntl
import runpy
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import timm
import torch
import yaml
from PIL import Image
from safetensors.torch import save_file

from pseudodensity.artifacts import file_sha256, load_json
from pseudodensity.features.build import build_extractor, save_extractor
from pseudodensity.features.extractor import extract
from pseudodensity.features.packaged import INSTALL, packaged_entry
from pseudodensity.images.building import build_dataset
from pseudodensity.images.decoding import load_image
from pseudodensity.images.procedural import render
from pseudodensity.rank.command import main
from pseudodensity.rank.extractors import choose_extractor
from pseudodensity.rank.photographs import FIT

ROOT = Path(__file__).parents[2]
NETWORK = "test_efficientnet"  # timm's smallest
K = 5


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def photos(tmp_path_factory) -> Path:
    """115 pictures, ten copies of them, and a file that is none."""
    folder = tmp_path_factory.mktemp("photos")
    for i, image in enumerate(render("church", range(115), 32, 0)[0]):
        picture = Image.fromarray(image.transpose(1, 2, 0))
        picture.save(folder / f"{i:03d}.png")
        if i % 12 == 0:
            picture.save(folder / f"{i:03d}-mailed.jpg", quality=90)
    (folder / "cut.png").write_bytes(b"\x89PNG")
    return folder


@pytest.fixture(scope="module")
def weights(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "network.safetensors"
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        save_file(timm.create_model(NETWORK, pretrained=False).state_dict(), path)
    return path


@pytest.fixture(scope="module")
def ranked(photos, weights, tmp_path_factory) -> Path:
    """Folder of the results."""
    out = tmp_path_factory.mktemp("out")
    options = ["--weights", weights, "--name", NETWORK, "--k", K, "--resolution", 32, "--mirror"]
    assert main(["rank", str(photos), "--out", str(out), *map(str, options)]) == 0
    return out / f"{NETWORK}-k{K}"


def test_densities_and_neighbours_are_those_of_float64(ranked, photos, weights):
    table = pd.read_csv(ranked / "ranking.csv", dtype={"file": str}).sort_values("image")
    spec = {"kind": "timm", "name": NETWORK, "weights": str(weights)}
    extractor = build_extractor(spec | {"sha256": file_sha256(weights)})
    images = np.stack(
        [load_image((photos / name).read_bytes(), 32, name) for name in table["file"]]
    )
    kept = np.flatnonzero((table["kept"] == table["file"]).to_numpy())
    features = extract(extractor, images)[kept].astype(np.float64)
    distances = np.sqrt(np.square(features[:, None] - features).sum(axis=2))
    np.fill_diagonal(distances, np.inf)
    near = np.sort(distances, axis=1)
    density = 1 / near[:, :K].mean(axis=1)
    density /= density.mean()
    alone = table.iloc[kept]
    np.testing.assert_allclose(alone["pseudo_density"], density, rtol=2e-5)
    np.testing.assert_allclose(alone["distance_1"], near[:, 0], rtol=2e-5)
    first = alone["file"].to_numpy()[distances.argmin(axis=1)]
    assert (alone["neighbour_1"] == first).all()
    # A copy has all of its kept image, and is at most the threshold from it.
    by_file = table.set_index("file")
    for name, copy in by_file[by_file["copy_distance"].notna()].iterrows():
        same = ["pseudo_density", "percentile", "neighbour_1", "distance_1", "group"]
        assert copy[same].tolist() == by_file.loc[copy["kept"], same].tolist(), name
        assert copy["copy_distance"] <= copy["threshold"]


def test_copies_are_found_and_counts_add_up(ranked, photos):
    table = pd.read_csv(ranked / "ranking.csv").set_index("file")
    mailed = table[table.index.str.contains("mailed")]
    pairs = [table.loc[f"{name[:3]}.png", "group"] for name in mailed.index]
    assert len(mailed) == 10 and mailed["group"].tolist() == pairs
    facts = load_json(ranked / "ranking.json")
    counts = facts["counts"]
    assert counts["files"] == len(list(photos.iterdir()))
    assert counts["files"] == counts["kept"] + counts["copies"] + counts["rejected"]
    assert counts["images"] == len(table) and counts["kept"] == table["copy_distance"].isna().sum()
    assert counts["groups"] == table["group"].nunique()
    assert [one["name"] for one in facts["rejected"]] == ["cut.png"]
    settings = facts["settings"]
    assert [settings[name] for name in ("extractor", "k", "n")] == [NETWORK, K, 1]
    assert table["threshold"].unique() == pytest.approx([settings["threshold"]], rel=1e-5)
    assert table[["extractor", "k", "n"]].drop_duplicates().to_numpy().tolist() == [[NETWORK, K, 1]]
    found = {file.name for file in ranked.iterdir()} - {"rank.log", ".lock"}
    assert found == {f"ranking.{kind}" for kind in ("csv", "json", "png", "svg", "html")}


def job(script: str, log: Path, **given) -> None:
    """Run a script of the pipeline as Snakemake would."""
    given = {
        name: SimpleNamespace(**value) for name, value in given.items() if name != "output"
    } | {"output": given["output"], "threads": 1, "log": [log]}
    given["wildcards"] = SimpleNamespace(name="photos")
    path = ROOT / f"workflow/scripts/{script}.py"
    runpy.run_path(str(path), {"snakemake": SimpleNamespace(**given)})


def test_the_pipeline_gives_the_same_table_to_the_byte(ranked, photos, weights, tmp_path):
    density = yaml.safe_load((ROOT / "config/config.yaml").read_text())["density"]
    assert {key: value for key, value in density.items() if key != "extractor"} == FIT
    source = {"kind": "folder", "path": str(photos), "images": None, "resolution": 32}
    data, log = tmp_path / "data", tmp_path / "log"
    build_dataset(source | {"max_unreadable": 0.1}, data)
    spec = {"kind": "timm", "name": NETWORK, "weights": str(weights)}
    extractor = build_extractor(spec | {"sha256": file_sha256(weights)})
    save_extractor(tmp_path / "extractor.safetensors", extractor)
    images, features = data / "images.npy", tmp_path / "features.npy"
    fitted = tmp_path / "density.safetensors"
    job(
        "features",
        log,
        input={"data": images, "extractor": tmp_path / "extractor.safetensors"},
        output=[features],
        resources={"batch_size": 1000, "device": "cpu"},
    )
    stamp = {"spec": FIT | {"k": K}}
    job(
        "density",
        log,
        input={"features": features},
        output=[fitted],
        params={"stamp": stamp},
    )
    files = {
        kind: str(tmp_path / f"{kind}.{kind}") for kind in ("csv", "json", "png", "svg", "html")
    }
    look = {"title": photos.name, "mirror": True, "extractor": NETWORK}
    job(
        "density_table",
        log,
        input={"data": images, "features": features, "density": fitted},
        output=SimpleNamespace(**files),
        params={"look": look},
    )
    for kind, file in files.items():
        assert Path(file).read_bytes() == (ranked / f"ranking.{kind}").read_bytes(), kind


# ------------------------------------------------------------------------------- what it says


def few(folder: Path, count: int) -> Path:
    folder.mkdir()
    for i, image in enumerate(render("church", range(count), 32, 0)[0]):
        Image.fromarray(image.transpose(1, 2, 0)).save(folder / f"{i:03d}.png")
    return folder


def test_few_images_have_no_column_of_the_network(tmp_path, capsys):
    photos, out = few(tmp_path / "photos", 20), tmp_path / "out"
    command = ["rank", str(photos), "--out", str(out), "--extractor", "pixels"]
    assert main(command) == 0
    said = capsys.readouterr()
    assert "network_density" in said.out and "noise" in said.out
    assert "toy features" in said.err.lower() and INSTALL in said.err
    folder = out / "pixels-k10"
    assert "network_density" not in pd.read_csv(folder / "ranking.csv")
    page = (folder / "ranking.html").read_text()
    assert "Toy features" in page and "noise" in page
    # Another k, or another extractor, has a folder of its own; the same command the same bytes.
    before = (folder / "ranking.csv").read_bytes()
    assert main([*command, "--k", "4"]) == 0 and main(command) == 0
    assert (folder / "ranking.csv").read_bytes() == before
    assert (out / "pixels-k4" / "ranking.csv").read_bytes() != before


@pytest.mark.parametrize(
    ("count", "options", "said"),
    [
        (9, [], "holds 9 images: a ranking needs 10 or more"),
        (12, ["--k", "12"], "--k 12 needs more than 12 images"),
        (12, ["--k", "0"], "1 neighbour or more"),
        (12, ["--resolution", "4"], "8 or more pixels"),
        (12, ["--max-unreadable", "5"], "share from 0 to 1"),
        (12, ["--weights", "w.pth"], "belong together"),
        (12, ["--weights", "w.pth", "--name", NETWORK], "w.pth cannot be read"),
        (12, ["--weights", "w.pth", "--name", NETWORK, "--extractor", "pixels"], "not both"),
        (12, ["--extractor", "vit"], "unknown extractor 'vit'"),
        (12, ["--out", "photos/ranked"], "would be ranked next time"),
    ],
)
def test_what_cannot_work_fails_before_any_work(
    tmp_path, monkeypatch, capsys, count, options, said
):
    monkeypatch.chdir(tmp_path)
    few(tmp_path / "photos", count)
    if "--extractor" not in options and "--weights" not in options:
        options = [*options, "--extractor", "pixels"]
    assert main(["rank", "photos", "--out", "out", *options]) == 1
    line = capsys.readouterr().err.splitlines()[-1]
    assert line.startswith("pseudodensity: ") and said in line
    assert not (tmp_path / "out").exists() and len(list((tmp_path / "photos").iterdir())) == count


def test_many_unreadable_files_and_copies_are_said_in_one_line(tmp_path):
    photos = few(tmp_path / "photos", 12)
    for i in range(6):
        (photos / f"bad{i}.png").write_bytes(b"none")
    command = ["rank", str(photos), "--out", str(tmp_path / "out"), "--extractor", "pixels"]
    with pytest.raises(SystemExit, match="of 18 files .* cannot be read, first bad0.png"):
        main(command)
    for i in range(4, 12):
        (photos / f"{i:03d}.png").write_bytes((photos / "000.png").read_bytes())
    with pytest.raises(SystemExit, match="photos has 4 different images beside 8 copies"):
        main([*command, "--max-unreadable", "0.5"])
    assert not list((tmp_path / "out").rglob("ranking.*"))


def test_two_runs_do_not_write_to_one_folder(tmp_path, capsys):
    photos = few(tmp_path / "photos", 12)
    folder = tmp_path / "out" / "pixels-k10"
    folder.mkdir(parents=True)
    with open(folder / ".lock", "w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        command = ["rank", str(photos), "--out", str(tmp_path / "out"), "--extractor", "pixels"]
        assert main(command) == 1
        assert "another run writes to" in capsys.readouterr().err
    assert main(command) == 0  # a lock that is left over holds nobody up


def test_the_best_extractor_that_is_installed_is_taken():
    entry = packaged_entry()
    choice = choose_extractor()
    if entry is None:
        assert choice.name == "pixels" and INSTALL in choice.notes[0]
        with pytest.raises(ValueError, match=f"efficientnet_lite0 is not installed: {INSTALL}"):
            choose_extractor("efficientnet_lite0")
    else:
        assert choice.name == entry["name"] and not choice.notes and choice.extractor.size == 224


def test_the_command_is_installed_by_its_name():
    text = (ROOT / "pyproject.toml").read_text()
    assert 'pseudodensity = "pseudodensity.rank.command:main"' in text
