"""The first look: what is made of installed packages is what they hold, and its tables say what was asked."""

import pickle
import subprocess
import sys
import zipfile
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import numpy as np
import pytest
import torch
import torchvision
from PIL import Image
from torch import nn

from pseudodensity.artifacts import ArtifactError, file_sha256, save_json, save_npy
from pseudodensity.checkpoints import faces
from pseudodensity.checkpoints.dcgan import LATENT_SHAPE, build_dcgan, export_dcgan
from pseudodensity.checkpoints.reader import read_arrays
from pseudodensity.checkpoints.squeezenet import CAFFE_MEAN, MEAN, STD, convert_squeezenet
from pseudodensity.control.move.moved_samples import checkpoint_objective
from pseudodensity.control.move.perturb import perturb
from pseudodensity.features.build import build_extractor
from pseudodensity.generators.external import load_external_generator
from pseudodensity.papers.faces.frontier import frontier
from pseudodensity.papers.faces.picture import picture
from pseudodensity.papers.faces.samples import moved_rows, samples_frame
from pseudodensity.report.drawing import PALETTE
from pseudodensity.report.findings import shrink
from pseudodensity.rng import normal
from pseudodensity.tensors import save_tensors

torch.set_num_threads(1)
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")


def installed(name: str) -> bool:
    """Whether a package of envs/faces.in is there."""
    try:
        faces.package_file(name)
    except ValueError:
        return False
    return True


needs_dcgan = pytest.mark.skipif(
    not installed("gan-face-generate"), reason=f"gan-face-generate is not there: {faces.INSTALL}"
)
needs_squeezenet = pytest.mark.skipif(
    not installed("ndf"), reason=f"ndf is not there: {faces.INSTALL}"
)


# ---------------------------------------------------------------- the generator


def plain_dcgan() -> nn.Sequential:
    """Written out layer by layer; it takes z (n, 100, 1, 1)."""
    return nn.Sequential(
        nn.ConvTranspose2d(100, 512, 4, 1, 0, bias=False), nn.BatchNorm2d(512), nn.ReLU(),
        nn.ConvTranspose2d(512, 256, 4, 2, 1, bias=False), nn.BatchNorm2d(256), nn.ReLU(),
        nn.ConvTranspose2d(256, 128, 4, 2, 1, bias=False), nn.BatchNorm2d(128), nn.ReLU(),
        nn.ConvTranspose2d(128, 64, 4, 2, 1, bias=False), nn.BatchNorm2d(64), nn.ReLU(),
        nn.ConvTranspose2d(64, 3, 4, 2, 1, bias=False), nn.Tanh(),
    )  # fmt: skip


@pytest.fixture(scope="module")
def random_dcgan() -> nn.Sequential:
    """With statistics that differ from channel to channel, so that no two can be swapped."""
    torch.manual_seed(0)
    model = plain_dcgan()
    for layer in model:
        if isinstance(layer, nn.BatchNorm2d):
            layer.running_mean.normal_(0, 0.1)
            layer.running_var.uniform_(0.01, 0.1)
            nn.init.uniform_(layer.weight, 0.5, 1.5)
    return model.eval()


@pytest.fixture(scope="module")
def program(random_dcgan, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("dcgan") / "generator.pt2"
    export_dcgan(build_dcgan(random_dcgan.state_dict()), path)
    return path


def test_the_exported_program_is_the_plain_network(random_dcgan, program):
    generator = load_external_generator(program, LATENT_SHAPE)
    latents = normal(3, "test", range(5), LATENT_SHAPE)
    with torch.no_grad():
        expected = random_dcgan(latents[:, :, None, None])
    assert generator.resolution == 64 and expected.std() > 0.1
    torch.testing.assert_close(generator(latents), expected, rtol=0, atol=1e-5)


def test_the_exported_program_has_the_gradient_of_the_plain_network(random_dcgan, program):
    """Algorithm 1 goes through it: its moved latents are those of the plain network."""
    generator = load_external_generator(program, LATENT_SHAPE)
    latents = normal(3, "test", range(2), LATENT_SHAPE)
    brightness = lambda images: images.mean((1, 2, 3))
    settings = {"steps": 2, "step_size": 0.05, "bound": 0.1}
    moved = perturb(generator, latents, brightness, **settings)
    with torch.no_grad():
        before, after = (brightness(random_dcgan(z[:, :, None, None])) for z in (latents, moved))
    assert (after > before).all()
    assert (moved - latents).abs().max() <= 0.1 + 1e-6


def test_weights_of_another_network_are_refused_in_one_line():
    state = nn.Linear(2, 2).state_dict()
    with pytest.raises(ValueError, match="not those of a DCGAN") as caught:
        build_dcgan(state)
    assert "\n" not in str(caught.value)


def test_a_generator_of_ones_own_has_no_discriminator_to_climb():
    with pytest.raises(ArtifactError, match="without a discriminator"):
        checkpoint_objective("discriminator", None, None, None, np.zeros((1, 3, 8, 8), np.uint8))


def test_samples_are_what_the_generator_draws_and_the_archive_is_the_same_again(
    random_dcgan, tmp_path
):
    generator = build_dcgan(random_dcgan.state_dict())
    for name in ("a.zip", "b.zip"):
        faces.write_samples(generator, tmp_path / name, 3)
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()
    with zipfile.ZipFile(tmp_path / "a.zip") as archive:
        assert archive.namelist() == ["00000.png", "00001.png", "00002.png"]
        image = np.asarray(Image.open(archive.open("00002.png"))).astype(float)
    latents = normal(faces.SEED, "reference", range(2, 3), LATENT_SHAPE)
    with torch.no_grad():
        expected = random_dcgan(latents[:, :, None, None])[0].permute(1, 2, 0).numpy()
    assert np.abs(image - (expected + 1) * 127.5).max() <= 0.51


@needs_dcgan
def test_the_package_holds_a_generator_whose_images_differ():
    generator = faces.read_dcgan()
    assert sum(p.numel() for p in generator.parameters()) == 3_576_704
    images = generator(normal(0, "test", range(8), LATENT_SHAPE))
    assert images.shape == (8, 3, 64, 64) and (images[:4] - images[4:]).abs().mean() > 0.1
    assert "gan_face_generate" not in sys.modules


# ---------------------------------------------------------------- the judge


def caffe_arrays(seed: int = 0) -> dict[str, list[np.ndarray]]:
    """Random layers of SqueezeNet in Caffe's order, kernels (height, width, in, out)."""
    stream = np.random.Generator(np.random.Philox(seed))
    shapes = {"conv1": (3, 3, 3, 64), "conv10": (1, 1, 512, 1000)}
    width = 64
    for fire, squeeze in zip(range(2, 10), (16, 16, 32, 32, 48, 48, 64, 64), strict=True):
        shapes[f"fire{fire}/squeeze1x1"] = (1, 1, width, squeeze)
        shapes[f"fire{fire}/expand1x1"] = (1, 1, squeeze, 4 * squeeze)
        shapes[f"fire{fire}/expand3x3"] = (3, 3, squeeze, 4 * squeeze)
        width = 8 * squeeze
    return {
        name: [
            stream.normal(0, (2 / np.prod(shape[:3])) ** 0.5, shape).astype(np.float32),
            stream.normal(0, 0.1, shape[3]).astype(np.float32),
        ]
        for name, shape in shapes.items()
    }


def caffe_features(arrays: dict[str, list[np.ndarray]], pixels: torch.Tensor) -> torch.Tensor:
    """What the network gives before its classifier, by its own definition: pixels (n, 3, h, w) RGB
    of 0 to 255 -> (n, 512, h', w')."""

    def convolve(x, name, **settings):
        kernel, bias = (torch.from_numpy(array) for array in arrays[name])
        return nn.functional.conv2d(x, kernel.permute(3, 2, 0, 1), bias, **settings).relu()

    x = pixels.flip(1) - torch.tensor(CAFFE_MEAN)[:, None, None]
    x = convolve(x, "conv1", stride=2)
    for fire in range(2, 10):
        if fire in (2, 4, 6):
            x = nn.functional.max_pool2d(x, 3, 2, ceil_mode=True)
        x = convolve(x, f"fire{fire}/squeeze1x1")
        wide = convolve(x, f"fire{fire}/expand3x3", padding=1)
        x = torch.cat([convolve(x, f"fire{fire}/expand1x1"), wide], 1)
    return x


def test_the_converted_network_gives_on_its_input_what_the_first_one_gives_on_its_own():
    arrays = caffe_arrays()
    model = torchvision.models.squeezenet1_1(weights=None).eval()
    model.load_state_dict(convert_squeezenet(arrays))
    pixels = torch.from_numpy(
        np.random.Generator(np.random.Philox(1)).uniform(0, 255, (2, 3, 63, 63))
    )
    pixels = pixels.float()
    mean, std = (torch.tensor(each)[:, None, None] for each in (MEAN, STD))
    with torch.no_grad():
        found = model.features((pixels / 255 - mean) / std)
        expected = caffe_features(arrays, pixels)
    assert expected.std() > 1
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-3 * expected.std().item())


def test_the_judge_averages_the_last_feature_map_of_torchvisions_network(tmp_path):
    torch.manual_seed(0)
    model = torchvision.models.squeezenet1_1(weights=None).eval()
    path = tmp_path / "squeezenet.pth"
    torch.save(model.state_dict(), path)
    entry = {"kind": "squeezenet", "weights": str(path), "sha256": file_sha256(path)}
    extractor = build_extractor({**entry, "resolution": 48})
    images = torch.rand(2, 3, 48, 48)
    mean, std = (torch.tensor(each)[:, None, None] for each in (MEAN, STD))
    with torch.no_grad():
        expected = model.features((images - mean) / std).mean((2, 3))
    assert (extractor.dim, extractor.size) == (512, 48)
    torch.testing.assert_close(extractor(2 * images - 1), expected, rtol=1e-4, atol=1e-5)


def test_a_missing_layer_is_one_line():
    arrays = caffe_arrays()
    del arrays["fire5/expand3x3"]
    with pytest.raises(ValueError, match="fire5/expand3x3 is missing"):
        convert_squeezenet(arrays)


def test_pickled_arrays_are_read_as_data(tmp_path):
    arrays = {"a": [np.arange(6, dtype=np.float32).reshape(2, 3), np.ones(2, np.int64)]}
    arrays["b"] = [np.asfortranarray(np.arange(6.0).reshape(2, 3))]
    path = tmp_path / "arrays.pkl"
    path.write_bytes(pickle.dumps(arrays, protocol=3))
    found = read_arrays(path)
    assert list(found) == ["a", "b"]
    for name, expected in arrays.items():
        for one, other in zip(found[name], expected, strict=True):
            np.testing.assert_array_equal(one, other)
            assert one.dtype == other.dtype


class Hostile:
    """Its pickle would print."""

    def __reduce__(self):
        return print, ("run",)


@pytest.mark.parametrize(
    "content",
    [{"a": [Hostile()]}, {"a": [np.array([None])]}, {"a": 3}, [1], {"a": [["b"]]}],
    ids=["a call", "objects", "a number", "a list", "no arrays"],
)
def test_a_pickle_of_something_else_is_refused_and_runs_nothing(content, tmp_path, capsys):
    path = tmp_path / "arrays.pkl"
    path.write_bytes(pickle.dumps(content, protocol=3))
    with pytest.raises(ArtifactError, match="cannot be read as arrays") as caught:
        read_arrays(path)
    assert "\n" not in str(caught.value) and capsys.readouterr().out == ""


@needs_squeezenet
def test_the_package_of_the_judge_fits():
    model = torchvision.models.squeezenet1_1(weights=None)
    model.load_state_dict(convert_squeezenet(read_arrays(faces.package_file("ndf"))))


# ---------------------------------------------------------------- without the packages


@pytest.mark.parametrize("name", list(faces.FILES))
def test_a_package_that_is_not_there_is_one_line_that_says_what_to_install(name, monkeypatch):
    def missing(name):
        raise PackageNotFoundError(name)

    monkeypatch.setattr(faces, "distribution", missing)
    with pytest.raises(ValueError, match=f"{name} is not installed: make faces") as caught:
        faces.package_file(name)
    assert "\n" not in str(caught.value)


def test_the_command_says_it_on_one_line(tmp_path):
    code = (
        "import sys; from pseudodensity.checkpoints import faces; faces.FILES = "
        "{'gan-face-generate': ('x', '0')}; sys.modules['importlib.metadata']; "
        "faces.distribution = lambda name: (_ for _ in ()).throw(faces.PackageNotFoundError(name)); "
        f"sys.exit(faces.main([{str(tmp_path / 'out')!r}]))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 1 and done.stderr.count("\n") == 1
    assert "make faces" in done.stderr and not (tmp_path / "out").exists()


# ---------------------------------------------------------------- the tables


DENSITY = np.array([0.5, 2.0, 1.0, 1.5, 0.1, 3.0, 0.9, 1.1], np.float32)
MOVES = [
    {"steps": 3, "step_size": 0.05, "bound": 0.1},
    {"steps": 6, "step_size": 0.05, "bound": 0.3},
]
MOVED = [
    np.array([[1.2, 1.3], [1.0, 1.1], [0.8, 0.9]]),
    np.array([[1.6, 1.7], [1.0, 1.1], [0.2, 0.3]]),
]
CHOSEN = {"fidelity": np.array([1, 5, 3, 7]), "diversity": np.array([0, 4, 6, 2])}
SETTINGS = {"columns": 2, "generations": len(DENSITY), "moves": MOVES, "seed": 7}
SETTINGS |= {
    "importance": {"fidelity": {"tau": 80, "w": 33.0}, "diversity": {"tau": 20, "w": 0.03}}
}


def test_the_table_holds_both_ends_the_plain_images_and_every_move():
    frame = samples_frame(DENSITY, CHOSEN, MOVED, SETTINGS)
    rows = {row: lines for row, lines in frame.groupby("row", sort=False)}
    assert rows["highest"]["sample"].tolist() == [5, 1, 3, 7]
    assert rows["lowest"]["sample"].tolist() == [4, 0, 6, 2]
    assert rows["plain"]["sample"].tolist() == [0, 1]
    np.testing.assert_allclose(rows["fidelity"]["density"], DENSITY[[1, 5, 3, 7]])
    order = ["towards, 0.3", "towards, 0.1", "original", "away, 0.1", "away, 0.3"]
    assert frame.loc[frame["group"].eq("moved"), "row"].drop_duplicates().tolist() == order
    assert [name for name, *_ in moved_rows(MOVES)] == order
    assert rows["towards, 0.3"]["density"].tolist() == [1.6, 1.7]
    assert rows["away, 0.3"]["density"].tolist() == [0.2, 0.3]
    assert len(frame) == 4 + 2 + 4 + 4 + 4 + 10


POINTS = {
    "plain": ({"method": "plain"}, 0.7, 0.7),
    "fidelity": ({"method": "importance", "tau": 80, "w": 33.0}, 0.8, 0.6),
    "diversity": ({"method": "importance", "tau": 20, "w": 0.03}, 0.6, 0.8),
    "worse": ({"method": "truncation", "family": "scale", "psi": 0.5}, 0.65, 0.3),
}


def scores_table(tmp_path):
    """The table of a scores file with one repeat of each point."""
    rows = [
        {
            "pool": "pool",
            "point": point,
            "label": name,
            "facts": {"acceptance": 0.5},
            "repeats": [{"precision": precision, "recall": recall, "mean_density": 1.0}],
            "n": 40,
            "n_real": 200,
        }
        for name, (point, precision, recall) in POINTS.items()
    ]
    save_json(tmp_path / "scores.json", {"settings": {"k": 3}, "rows": rows})
    names = {"block": "dcgan-faces", "model": "DCGAN", "dataset": "faces"}
    asked = [names | {"pool": "pool", "point": point} for point, *_ in POINTS.values()]
    return frontier({"scores": [tmp_path / "scores.json"]}, {"rows": asked})


def test_what_another_point_beats_in_both_scores_is_not_on_the_front(tmp_path):
    frame = scores_table(tmp_path).frame.set_index("setting")
    assert frame["front"].to_dict() == {
        "plain": True,
        "fidelity": True,
        "diversity": True,
        "worse": False,
    }
    assert frame.loc["worse", "psi"] == 0.5 and frame.loc["fidelity", "k"] == 3


@pytest.mark.filterwarnings("ignore:constrained_layout")  # two columns leave it no room
def test_the_picture_shows_the_images_of_the_table_and_says_what_it_rests_on(tmp_path):
    pool = np.arange(len(DENSITY), dtype=np.uint8)[:, None, None, None] * 20 + np.zeros(
        (1, 3, 8, 8), np.uint8
    )
    save_npy(tmp_path / "images.npy", pool)
    paths = [tmp_path / f"moved{i}.safetensors" for i in range(2)]
    for i, path in enumerate(paths):
        images = np.full((3, 2, 3, 8, 8), 200 + i, np.uint8)
        save_tensors(path, {"images": images, "density": MOVED[i]}, {})
    samples_frame(DENSITY, CHOSEN, MOVED, SETTINGS).to_csv(tmp_path / "faces.csv", index=False)
    scores_table(tmp_path).frame.to_csv(tmp_path / "frontier.csv", index=False)
    inputs = {"table": tmp_path / "faces.csv", "frontier": tmp_path / "frontier.csv"}
    inputs |= {"pixels": [tmp_path / "images.npy"], "moved": paths}
    said = {"title": "DCGAN", "steering": "STEERS", "judge": "JUDGES", "density_k": 10}
    figure = picture(inputs, SETTINGS | said | {"reference": 200})
    ranked, moved, chosen, _ = figure.axes
    # Images of 8 px are enlarged to 96, with 4 between them: the first pixel of each line.
    first = [axes.images[0].get_array()[::100, 0, 0].tolist() for axes in (ranked, moved, chosen)]
    samples = [[5, 3, 0, 4, 6], [1, 3, 0, 6]]
    assert first[0] == [20 * sample for sample in samples[0]]
    assert first[1] == [201, 200, 200, 200, 201]
    assert first[2] == [20 * sample for sample in samples[1]]
    labels = [text.get_text() for text in moved.get_yticklabels()]
    assert labels[0] == "more, ±0.3\ndensity 1.65" and labels[-1] == "less, ±0.3\ndensity 0.25"
    assert chosen.get_yticklabels()[0].get_text() == "fidelity\ndensity 1.90"
    caption = next(text.get_text() for text in figure.texts if text.get_gid() == "caption")
    caption = " ".join(caption.replace("\u00a0", " ").split())
    for part in ("n = 200", "k = 10", "STEERS", "seed 7", "n = 40", "k = 3", "JUDGES", "w = 0.03"):
        assert part in caption, part


def test_the_small_copy_keeps_white_and_the_colours_of_the_figures(tmp_path):
    """A few pixels of them beside a photograph of many colours."""
    stream = np.random.Generator(np.random.Philox(0))
    pixels = stream.integers(0, 256, (200, 100, 3), dtype=np.uint8)
    pixels[100:] = 251  # which would be taken for white
    wanted = ["#ffffff", *PALETTE]
    for i, colour in enumerate(wanted):
        pixels[:2, 2 * i : 2 * i + 2] = list(bytes.fromhex(colour[1:]))
    Image.fromarray(pixels).save(tmp_path / "large.png")
    shrink(tmp_path / "large.png", tmp_path / "small.png", width=100)
    small = np.asarray(Image.open(tmp_path / "small.png").convert("RGB"))
    assert [small[0, 2 * i].tobytes().hex() for i in range(len(wanted))] == [
        colour[1:] for colour in wanted
    ]
