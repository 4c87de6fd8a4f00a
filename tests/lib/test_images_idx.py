"""IDX files of images and labels: read as they are written, and hostile ones refused in one line."""

import gzip
import struct
import tracemalloc

import numpy as np
import pytest
import torch

from pseudodensity.images import idx
from pseudodensity.images.building import build_dataset
from pseudodensity.images.dataset import open_dataset
from pseudodensity.images.idx import IdxImages

COUNT, SIDE = 30, 8
PIXELS = np.random.default_rng(0).integers(0, 256, (COUNT, SIDE, SIDE), np.uint8)
CLASSES = (np.arange(COUNT) % 4 // 2 * 3).astype(
    np.uint8
)  # 0, 0, 3, 3, ...: half of each, no 1 or 2


def idx_bytes(array: np.ndarray, code: int = 8, shape: tuple[int, ...] | None = None) -> bytes:
    """The format by its description: magic number, big-endian sizes, numbers."""
    shape = array.shape if shape is None else shape
    return struct.pack(f">BBBB{len(shape)}I", 0, 0, code, len(shape), *shape) + array.tobytes()


@pytest.fixture
def pair(tmp_path):
    """A file of images and one of labels."""
    images, labels = tmp_path / "images.gz", tmp_path / "labels.gz"
    images.write_bytes(gzip.compress(idx_bytes(PIXELS)))
    labels.write_bytes(gzip.compress(idx_bytes(CLASSES)))
    return images, labels


def spec_of(pair, **change):
    """A spec of a data set from two files."""
    images, labels = map(str, pair)
    return {"kind": "idx", "path": images, "labels": labels, "resolution": 8, **change}


def built(pair, tmp_path, **change):
    """The data set that such a spec makes."""
    build_dataset(spec_of(pair, **change), tmp_path / "out")
    return open_dataset(tmp_path / "out")


@pytest.mark.parametrize("step_bytes", [1, 5 * SIDE**2, 2**22])
def test_images_of_the_asked_size_come_back_as_they_are(pair, tmp_path, monkeypatch, step_bytes):
    monkeypatch.setattr(idx, "STEP_BYTES", step_bytes)
    found = built(pair, tmp_path)
    np.testing.assert_array_equal(found.images, np.repeat(PIXELS[:, None], 3, axis=1))
    assert len(set(found.names)) == COUNT and found.manifest["rejected"] == []


def test_classes_have_the_probability_of_their_share(pair, tmp_path):
    found = built(pair, tmp_path, images=11)
    assert len(found.images) == len(found.labels) == 11
    np.testing.assert_array_equal(found.labels.categorical, CLASSES[:11, None])
    # Of the whole file, whatever share of it is taken: 16 of 30 are 0.
    expected = np.where(CLASSES[:11] == 0, np.log(16 / 30), np.log(14 / 30))
    np.testing.assert_allclose(found.labels.log_prob, expected, rtol=1e-12)
    assert found.labels.names == ["class"] and found.labels.cardinalities == [4]


def test_another_size_is_reached_by_the_rule_of_all_images(pair, tmp_path):
    torch.set_num_threads(1)
    found = built(pair, tmp_path, resolution=16)
    grey = torch.as_tensor(PIXELS)[:, None].float()
    enlarged = torch.nn.functional.interpolate(grey, (16, 16), mode="bicubic", antialias=True)
    difference = np.abs(found.images[:, :1] - enlarged.clamp(0, 255).numpy())
    assert difference.max() < 0.51 and (found.images == found.images[:, :1]).all()


def test_more_images_than_there_are_are_refused(pair, tmp_path):
    with pytest.raises(ValueError, match="31 asked for, but .* holds 30"):
        built(pair, tmp_path, images=31)


def images_of(content: bytes):
    """A mistake in the file of images."""
    return lambda images, labels: images.write_bytes(content)


def labels_of(content: bytes):
    """A mistake in the file of labels."""
    return lambda images, labels: labels.write_bytes(content)


WHOLE = gzip.compress(idx_bytes(PIXELS))
SQUARE = np.zeros((COUNT, 8, 9), np.uint8)
BOMB = idx_bytes(np.zeros(0, np.uint8), shape=(2**32 - 1, 2048, 2048))
MISTAKES = {
    "not gzip": (images_of(idx_bytes(PIXELS)), "is no whole gzip file .Not a gzipped file"),
    "empty": (images_of(b""), "ends before what its header announces"),
    "gzip cut short": (images_of(WHOLE[:-100]), "is no whole gzip file"),
    "a bit of the stream": (
        images_of(WHOLE[:500] + b"\0\0" + WHOLE[502:]),
        "is no whole gzip file",
    ),
    "a wrong checksum": (images_of(WHOLE[:-8] + b"0000" + WHOLE[-4:]), "is no whole gzip file"),
    "wrong magic": (images_of(gzip.compress(b"\x89PNG" * 99)), "no IDX file of bytes in 3 dim"),
    "numbers of four bytes": (
        images_of(gzip.compress(idx_bytes(PIXELS.astype(">i4"), code=12))),
        "no IDX file of bytes",
    ),
    "labels for images": (images_of(gzip.compress(idx_bytes(CLASSES))), "exchanged?"),
    "images for labels": (labels_of(WHOLE), "no IDX file of bytes in 1 dim"),
    "header cut": (images_of(gzip.compress(idx_bytes(PIXELS)[:9])), "ends before what its header"),
    "pixels cut": (images_of(gzip.compress(idx_bytes(PIXELS)[:-1])), "ends before what its header"),
    "pixels beyond": (images_of(gzip.compress(idx_bytes(PIXELS) + b"0")), "longer than its header"),
    "announced beyond all": (
        images_of(gzip.compress(BOMB)),
        "announces 18,014,398,505,287,680 byt",
    ),
    "none": (images_of(gzip.compress(idx_bytes(PIXELS[:0]))), "announces 0 bytes"),
    "no squares": (images_of(gzip.compress(idx_bytes(SQUARE))), "8 x 9 px: give squares"),
    "too small": (images_of(gzip.compress(idx_bytes(PIXELS[:, :7, :7]))), "7 x 7 px: give squares"),
    "labels of another count": (
        labels_of(gzip.compress(idx_bytes(CLASSES[:-1]))),
        "29 labels and .* 30 images: give the two files of one split",
    ),
    "labels cut": (
        labels_of(gzip.compress(idx_bytes(CLASSES)[:-1])),
        "ends before what its header",
    ),
    "labels beyond": (
        labels_of(gzip.compress(idx_bytes(CLASSES) + b"0")),
        "longer than its header",
    ),
    "no labels": (lambda images, labels: labels.unlink(), "labels.gz does not exist"),
    "a folder": (
        lambda images, labels: (labels.unlink(), labels.mkdir()),
        "is not a readable IDX file .it is a folder",
    ),
}


@pytest.mark.parametrize(("mistake", "message"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_is_said_in_one_line_that_names_the_file(pair, tmp_path, mistake, message):
    mistake(*pair)
    with pytest.raises(ValueError, match=message) as raised:
        built(pair, tmp_path, images=12)
    said = str(raised.value)
    assert "\n" not in said and (str(pair[0]) in said or str(pair[1]) in said)
    assert not (tmp_path / "out" / "manifest.json").exists()


@pytest.mark.parametrize("which", [0, 1], ids=["images", "labels"])
def test_a_size_bomb_is_never_unpacked(pair, which):
    """64 MB of zeros behind headers that announce 30 images or labels take 64 kB on disk."""
    content = idx_bytes((PIXELS, CLASSES)[which]) + bytes(64 * 2**20)
    pair[which].write_bytes(gzip.compress(content))
    tracemalloc.start()
    with pytest.raises(ValueError, match="longer than its header"):
        list(IdxImages(*pair).images(COUNT, 8))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4 * 2**20


def test_labels_that_announce_more_than_the_images_are_not_read(pair):
    many = idx_bytes(np.zeros(0, np.uint8), shape=(2**31,))
    pair[1].write_bytes(gzip.compress(many + bytes(2**24)))
    tracemalloc.start()
    with pytest.raises(ValueError, match="2147483648 labels and .* 30 images"):
        IdxImages(*pair)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4 * 2**20
