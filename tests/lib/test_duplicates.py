"""Near-duplicates: planted copies are found, other images are not, and no group grows along a chain."""

import io

import numpy as np
import pytest
import torch
from PIL import Image

from pseudodensity.density.duplicates import near_duplicates
from pseudodensity.images.decoding import load_image
from pseudodensity.images.procedural import render
from pseudodensity.rng import numpy_generator

torch.set_num_threads(1)
SIDE = 64


def encoded(picture: Image.Image, kind: str, **options) -> bytes:
    file = io.BytesIO()
    picture.save(file, kind, **options)
    return file.getvalue()


def copies(picture: Image.Image) -> dict[str, bytes]:
    """The same picture as it comes back from phones, mails and web pages."""
    exif = Image.Exif()
    exif[0x010E] = "holiday"
    side, cut = picture.width, picture.width // 25
    inside = picture.crop((cut, cut, side - cut, side - cut))
    flipped = picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    return {
        "described": encoded(picture, "JPEG", quality=95, exif=exif),
        "encoded again": encoded(picture, "JPEG", quality=80),
        "half the size": encoded(picture.resize((side // 2, side // 2)), "PNG"),
        "cropped": encoded(inside, "PNG"),
        "flipped": encoded(flipped, "JPEG", quality=90),
    }


def planted(scene: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Images (n, 3, 64, 64), the image each was made of, and how it was made."""
    base = [Image.fromarray(i.transpose(1, 2, 0)) for i in render(scene, range(120), SIDE, 0)[0]]
    files, source, kind = [encoded(b, "PNG") for b in base], list(range(len(base))), [""] * 120
    for index in range(0, 120, 8):
        for name, file in copies(base[index]).items():
            files.append(file)
            source.append(index)
            kind.append(name)
    images = np.stack([load_image(file, SIDE) for file in files])
    return images, np.array(source), np.array(kind)


def pairs(labels: np.ndarray) -> np.ndarray:
    upper = np.triu_indices(len(labels), 1)
    return (labels[:, None] == labels)[upper]


@pytest.mark.parametrize("scene", ["church", "bedroom", "faces"])
def test_planted_copies_are_found_and_little_else(scene):
    images, source, kind = planted(scene)
    # Features that know nothing: what is found is found in the pixels.
    features = numpy_generator(0, "features").normal(size=(len(images), 8))
    groups = near_duplicates(images, features, [None] * len(images), mirror=True)
    found, true = pairs(groups.kept), pairs(source)
    precision, recall = (found & true).sum() / found.sum(), (found & true).sum() / true.sum()
    print(f"{scene}: precision {precision:.3f}, recall {recall:.3f}")
    # Crops are what is missed: stripes of a bedroom do not fit between the crops that are tried.
    assert precision >= 0.9 and recall >= 0.75
    with_source = groups.kept == groups.kept[source]
    for name in set(kind) - {"", "cropped"}:
        assert with_source[kind == name].all(), name


def test_a_flipped_image_is_a_copy_only_where_flips_are_asked_for():
    images, source, kind = planted("church")  # faces would be symmetric
    flipped, nothing = kind == "flipped", [None] * len(images)
    groups = {m: near_duplicates(images, np.eye(len(images)), nothing, mirror=m) for m in (0, 1)}
    shares = [(g.kept == g.kept[source])[flipped].mean() for g in groups.values()]
    assert shares[0] < 0.3 and shares[1] == 1
    assert groups[0].typical == groups[1].typical


def noise(count: int, name: str) -> np.ndarray:
    """Images of 32 px in squares of 2 px: at 16 px, where images are compared, they lose nothing."""
    small = numpy_generator(1, name).integers(0, 256, size=(count, 3, 16, 16))
    return small.repeat(2, axis=2).repeat(2, axis=3).astype(np.uint8)


def ramp(steps: int, step: float) -> np.ndarray:
    """A chain of images, each a step brighter in one corner than the one before; then others."""
    others = noise(40, "ramp")
    chain = np.repeat(others[:1], steps, axis=0)
    chain[:, :, :16, :16] = (np.arange(steps) * step)[:, None, None, None]
    return np.concatenate([chain, others[1:]])


def between(images: np.ndarray) -> np.ndarray:
    """Distances of all images of `noise` at 16 px, by brute force in float64."""
    flat = images[:, :, ::2, ::2].reshape(len(images), -1) / 127.5 - 1
    return np.sqrt(np.square(flat[:, None] - flat).sum(axis=2))


def test_a_chain_of_small_steps_is_cut():
    images = ramp(30, 8)
    groups = near_duplicates(images, np.eye(len(images)), [None] * len(images))
    steps = np.diagonal(between(images), 1)[:29]
    # Single linkage would make one group of it.
    assert steps.max() < groups.threshold < between(images)[0, 29]
    chain = groups.kept[:30]
    assert 1 < len(set(chain)) < 20
    real = between(images)[np.arange(len(images)), groups.kept]
    np.testing.assert_allclose(groups.distances, real, atol=1e-5)
    assert (real <= groups.threshold).all()
    assert (groups.kept[30:] == np.arange(30, len(images))).all()


def test_the_middle_is_kept_and_numbers_follow_the_kept_images():
    images = noise(30, "middle")
    images[[4, 9]] = images[6]
    images[4, :, :16, :16] //= 2
    images[9, :, 16:, 16:] //= 2
    images[20] = images[2]
    duplicate_of = [None] * 30
    duplicate_of[20] = 2
    distances = between(images)
    typical = np.median(np.sort(distances[np.arange(30) != 20][:, np.arange(30) != 20])[:, 10])
    # 4 and 9 are near enough to 6 and too far from each other.
    share = (distances[4, 6] + distances[4, 9]) / 2 / typical
    groups = near_duplicates(images, np.eye(30), duplicate_of, share=share)
    assert groups.typical == pytest.approx(typical, rel=1e-6)
    assert groups.threshold == pytest.approx(share * typical, rel=1e-6)
    assert groups.kept[[4, 6, 9]].tolist() == [6, 6, 6]
    assert groups.distances[[4, 6, 9]] == pytest.approx([distances[4, 6], 0, distances[9, 6]])
    assert groups.kept[20] == 2 and groups.distances[20] == 0
    assert groups.numbers[[2, 20, 4, 6, 9]].tolist() == [1, 1, 2, 2, 2]
    assert groups.numbers.sum() == 8
    assert len(groups.representatives) == 27 and 6 in groups.representatives


def test_faint_textures_are_no_copies_of_each_other():
    images = noise(40, "faint")
    images[:6] = 120 + images[:6] // 32
    images[6] = images[0] + 1
    groups = near_duplicates(images, np.eye(40), [None] * 40)
    assert between(images)[0, 1] < groups.threshold
    assert groups.kept[:7].tolist() == [0, 1, 2, 3, 4, 5, 0]


def test_too_few_images_are_refused():
    with pytest.raises(ValueError, match="2 different images"):
        near_duplicates(np.zeros((3, 3, 16, 16), np.uint8), np.eye(3), [None, None, 0])
