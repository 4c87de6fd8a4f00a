"""What the rehearsal of the papers' scale writes is what the readers take: each format at a tiny shape."""

import importlib.util
import math
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from public_files import networks, pictures

from pseudodensity.artifacts import file_sha256
from pseudodensity.checkpoints.convert import convert
from pseudodensity.features.lpips import read_heads
from pseudodensity.generators.build import build_generator
from pseudodensity.images.idx import IdxImages
from pseudodensity.images.sources import open_source
from pseudodensity.papers.diverse_rare.measured.predicted_attributes import read_predictions
from pseudodensity.plan.config import load_config
from pseudodensity.plan.plan import Plan

ROOT = Path(__file__).parents[2]
SIZES = {"channel_base": 64, "channel_max": 8}
STYLE = {"z_dim": 8, "w_dim": 8, "mapping_layers": 2, **SIZES}
STYLEGAN3 = STYLE | {"num_layers": 6, "num_critical": 2, "margin_size": 4}
# format and architecture -> what writes such a file.
WRITERS = {
    ("nvlabs", "stylegan2"): lambda path: networks.nvlabs(path, "stylegan2", 16, STYLE, SIZES),
    ("nvlabs", "stylegan3"): lambda path: networks.nvlabs(path, "stylegan3", 16, STYLEGAN3, SIZES),
    ("nvlabs_tensorflow", "stylegan2"): lambda path: networks.stylegan2_tensorflow(path, 16, STYLE),
    ("progan", "progan"): lambda path: networks.progan(path, 16, {"z_dim": 8, **SIZES}),
    ("projectedgan", "projectedgan"): lambda path: networks.projectedgan(
        path, 64, {"z_dim": 6, "ngf": 8}, width=4
    ),
    ("openai", "diffusion"): lambda path: networks.openai(path, "iddpm", (32, 32), 1, (1,)),
    ("openai", "class_diffusion"): lambda path: networks.openai(
        path, "adm", (64, 64, 64, 64), 1, (3,), classes=5
    ),
}


@pytest.mark.parametrize(("format", "architecture"), WRITERS)
def test_a_network_is_read_and_makes_finite_images_that_differ(tmp_path, format, architecture):
    torch.set_num_threads(1)
    torch.manual_seed(0)
    WRITERS[format, architecture](tmp_path / "n.pkl")
    found = convert(tmp_path / "n.pkl", format, architecture)
    settings = found["settings"]
    if format != "openai":
        assert found["discriminator"] is not None
    network = build_generator(architecture, settings["resolution"], settings["generator"]).eval()
    network.load_state_dict(found["average"])
    if format == "openai":
        x, times = torch.randn(2, 3, 16, 16), torch.tensor([3, 911])
        labels = [torch.tensor([0, 4])] if architecture == "class_diffusion" else []
        images = network.predict(x, times, *labels)
    else:
        images = network(torch.randn(2, *network.latent_shape))
    assert images.isfinite().all() and (images[0] - images[1]).abs().max() > 1e-3


def test_data_come_as_their_owners_ship_them(tmp_path):
    pictures.lsun(tmp_path / "lsun", 16, 3, seed=0)
    pictures.class_folders(tmp_path / "classes", 16, counts=[2, 2], seed=0)
    for kind, name, count in (("lmdb", "lsun", 3), ("folder", "classes", 4)):
        source = open_source(kind, tmp_path / name)
        names = list(source)
        assert len(names) == count and all(source.read(name) for name in names)
        source.close()
    pictures.idx(tmp_path / "i.gz", tmp_path / "l.gz", 28, 20, seed=0)
    digits = IdxImages(tmp_path / "i.gz", tmp_path / "l.gz")
    assert np.stack(list(digits.images(20, 32))).shape[-3:] == (3, 32, 32)


def test_heads_and_attributes_are_taken(tmp_path):
    networks.lpips_heads(tmp_path / "heads.pth")
    heads = read_heads(str(tmp_path / "heads.pth"), file_sha256(tmp_path / "heads.pth"))
    assert sum(math.prod(each.shape) for each in heads) == sum(networks.LPIPS_WIDTHS)
    pictures.attributes(tmp_path / "a.csv", ["hat", "age"], {"search": 3, "real": 2}, seed=0)
    names, columns = read_predictions(tmp_path / "a.csv")
    assert names == ["hat", "age"] and columns["image"].tolist() == [0, 1, 2, 0, 1]


def test_predicted_attributes_have_a_line_for_each_image_of_the_rehearsal(tmp_path):
    """Its other files need not be there to plan that."""
    place = importlib.util.spec_from_file_location("rehearsal", ROOT / "benchmarks/rehearsal.py")
    rehearsal = importlib.util.module_from_spec(place)
    place.loader.exec_module(rehearsal)
    own = yaml.safe_load((ROOT / rehearsal.PAPER).read_text())
    (tmp_path / "model.pkl").write_bytes(b"")
    written, predicted = (
        rehearsal.data(tmp_path),
        own["papers"]["diverse_rare"]["attributes"]["predicted"],
    )
    for entry in predicted.values():
        name = Path(entry["file"]).name
        written[name](tmp_path / name)
        entry["file"] = str(tmp_path / name)
    datasets = {n: {"path": str(tmp_path / d["kind"])} for n, d in own["datasets"].items()}
    for kind in ("folder", "lmdb"):
        (tmp_path / kind).mkdir()
    (tmp_path / "lmdb/data.mdb").write_bytes(b"")
    (tmp_path / "idx").write_bytes(b"")
    for name in ("mnist", "fashion"):
        datasets[name]["labels"] = datasets[name]["path"]
    for model in own["models"].values():
        for source in model["pretraining"].values():
            if "file" in source:
                source["file"] = str(tmp_path / "model.pkl")
    weights = {
        name: {
            key: str(tmp_path / "model.pkl") for key in ("weights", "head_weights") if key in one
        }
        for name, one in own["extractors"].items()
    }
    files = {
        "datasets": datasets,
        "extractors": weights,
        "models": {n: {"pretraining": m["pretraining"]} for n, m in own["models"].items()},
        "papers": {"diverse_rare": {"attributes": {"predicted": predicted}}},
    }
    (tmp_path / "files.yaml").write_text(yaml.safe_dump(files))
    scales = [ROOT / "config/scales/paper.yaml", ROOT / "config/scales/rehearsal.yaml"]
    config = load_config(ROOT / "config/config.yaml", [*scales, tmp_path / "files.yaml"], {})
    plan = Plan(config, ROOT / "workflow/schemas", ROOT / "config/papers")
    asked = {
        made.spec["settings"]["file"]: made.spec["settings"]["sets"]
        for made in plan.artifacts.values()
        if made.kind == "experiment" and "predicted" in made.spec["function"]
    }
    assert set(asked) == {entry["file"] for entry in predicted.values()}
    for file, sets in asked.items():
        lines = [line.split(",")[0] for line in Path(file).read_text().splitlines()[1:]]
        counted = {name: lines.count(name) for name in set(lines) - {"real"}}
        assert counted == {name: one["count"] for name, one in sets.items()}
