"""Attributes of sets of images: classifier, correction, intervals, tables, and predictions from a file."""

import re

import numpy as np
import pytest
import torch
from scipy.stats import ttest_ind

from pseudodensity.artifacts import file_sha256, load_npy, save_npy
from pseudodensity.images.building import build_dataset
from pseudodensity.images.dataset import open_dataset
from pseudodensity.images.procedural import render
from pseudodensity.images.scenes import FACES
from pseudodensity.papers.diverse_rare.attribute_sets import (
    AttributeSets,
    estimated_law,
    open_attribute_sets,
)
from pseudodensity.papers.diverse_rare.attribute_table import (
    attribute_table,
    rarity_of_attributes,
)
from pseudodensity.papers.diverse_rare.measured.attribute_classifier import (
    attribute_classifier,
    load_classifier,
)
from pseudodensity.papers.diverse_rare.measured.attributes import attributes
from pseudodensity.papers.diverse_rare.measured.predicted_attributes import (
    predicted_attributes,
    read_predictions,
)
from pseudodensity.papers.diverse_rare.shares import (
    Resampling,
    corrected,
    expected,
    group_counts,
    mean_interval,
    paired_means,
    shares_of,
)
from pseudodensity.papers.diverse_rare.unpaired import unpaired_t
from pseudodensity.report.table import write_table
from pseudodensity.tensors import save_tensors

torch.set_num_threads(1)

RESAMPLING = Resampling(0, 2000, "references")
TRAINING = {"seed": 3, "widths": [16, 24], "blocks": 1, "epochs": 5, "learning_rate": 0.01}
TRAINING |= {"batch_size": 25, "mirror": False, "images": 1000, "held_out": 300, "device": "cpu"}
TRAINING |= {"held_out_share": 0.2}


def draws(seed=0):
    return np.random.default_rng(seed)


def one_line(raised):
    assert "\n" not in str(raised.value)


# ------------------------------------------------------------------- correction by the confusion

CONFUSION = np.array([[80, 15, 5], [20, 180, 0], [5, 10, 35]])


@pytest.mark.parametrize("true", [[0.2, 0.5, 0.3], [0.9, 0.1, 0.0], [0.0, 0.0, 1.0]])
def test_a_known_confusion_gives_true_shares_back(true):
    rows = CONFUSION / CONFUSION.sum(1, keepdims=True)
    np.testing.assert_allclose(corrected(np.array(true) @ rows, CONFUSION), true, atol=1e-9)


def test_a_classifier_without_errors_is_not_corrected():
    shares = np.array([0.7, 0.3, 0.0])
    np.testing.assert_allclose(corrected(shares, np.diag([5, 900, 2])), shares, atol=1e-12)


def test_shares_that_errors_alone_explain_become_none_and_sum_to_one():
    # Fewer are predicted as the last value than errors of the first would make: no negative share.
    found = corrected(np.array([0.84, 0.15, 0.01]), CONFUSION)
    assert found[2] == 0 and found.sum() == pytest.approx(1) and (found >= 0).all()


def test_it_is_the_fixed_point_of_expectation_maximisation():
    """Saerens et al. 2002, for predicted values instead of probabilities."""
    rows, seen = CONFUSION / CONFUSION.sum(1, keepdims=True), np.array([0.3, 0.6, 0.1])
    prior = np.full(3, 1 / 3)
    for _ in range(5000):
        joint = prior[:, None] * rows
        prior = (joint / joint.sum(0) * seen).sum(1)
    np.testing.assert_allclose(corrected(seen, CONFUSION), prior, atol=1e-6)


def test_a_value_without_a_held_out_real_cannot_be_corrected():
    assert np.isnan(corrected(np.array([0.5, 0.5]), np.array([[4, 1], [0, 0]]))).all()


# ------------------------------------------------------------------- shares and their intervals


def test_intervals_are_over_references_and_not_over_images():
    values = (draws().random(400) < 0.3).astype(int)
    counts = 10 * group_counts(values, np.arange(400), 2)
    found = shares_of(counts, None, RESAMPLING)
    share = found.estimate(1)
    error = np.sqrt(share.effect * (1 - share.effect) / 400)
    assert share.effect == values.mean()
    assert found.resampled[:, 1].std() == pytest.approx(error, rel=0.05)
    assert share.high - share.low == pytest.approx(2 * 1.96 * error, rel=0.1)
    np.testing.assert_allclose(found.resampled.sum(1), 1)


def test_references_with_more_images_weigh_more():
    counts = group_counts(np.array([0, 1, 1, 1]), np.array([7, 9, 9, 9]), 3)
    assert counts.tolist() == [[1, 0, 0], [0, 3, 0]]
    assert shares_of(counts, None, RESAMPLING).found.tolist() == [0.25, 0.75, 0]


def test_none_of_some_images_is_not_surely_none_of_all():
    found = shares_of(group_counts(np.zeros(50, int), np.arange(50) // 5, 2), None, RESAMPLING)
    none, every = found.estimate(1), found.estimate(0)
    # Of ten references that have none: 1 - .025^(1/10).
    assert (none.effect, none.low) == (0, 0) and none.high == pytest.approx(0.30850, abs=1e-5)
    assert (every.effect, every.high) == (1, 1) and every.low == pytest.approx(0.69150, abs=1e-5)


def test_corrected_shares_have_wider_intervals_from_fewer_held_out_reals():
    counts = group_counts((draws().random(5000) < 0.3).astype(int), np.arange(5000), 2)
    widths = []
    for scale in (1, 100):
        found = shares_of(counts, scale * np.array([[18, 2], [4, 16]]), RESAMPLING)
        share = found.estimate(1)
        assert share.effect == pytest.approx((counts[:, 1].mean() - 0.1) / 0.7)
        widths.append(share.high - share.low)
    assert widths[0] > 3 * widths[1]


def test_sets_of_the_same_references_are_compared_pairwise():
    values = (draws().random(1000) < 0.5).astype(int)
    counts = group_counts(values, np.arange(1000), 2)
    before, same = (shares_of(counts, None, RESAMPLING) for _ in range(2))
    assert (same.minus(before, 1).low, same.minus(before, 1).high) == (0, 0)
    other = shares_of(counts, None, Resampling(0, 2000, "others"))
    assert other.minus(before, 1).high > 0.02


def test_what_attributes_are_worth_together_is_resampled_jointly():
    # The second attribute is the first one once more: their sum is twice as wide, not sqrt 2 times.
    counts = group_counts((draws().random(500) < 0.5).astype(int), np.arange(500), 2)
    shares = shares_of(counts, None, RESAMPLING)
    one, two = (expected([shares] * n, [np.array([0.0, 2.0])] * n).estimate(0) for n in (1, 2))
    assert one.effect == pytest.approx(2 * counts[:, 1].mean())
    assert two.high - two.low == pytest.approx(2 * (one.high - one.low))


def test_paired_means_and_their_interval():
    values, groups = np.array([1.0, 3, 5, 9]), np.array([4, 4, 6, 8])
    found = paired_means(values, groups, np.array([10.0, 1, 2]), np.array([6, 4, 5]))
    assert found.tolist() == [1, -5]
    sample = draws().standard_normal(500)
    mean = mean_interval(sample, np.arange(500), RESAMPLING)
    assert mean.effect == pytest.approx(sample.mean())
    assert mean.high - mean.low == pytest.approx(2 * 1.96 * sample.std() / np.sqrt(500), rel=0.1)


def test_the_paper_s_test_is_welch_s_on_the_samples():
    a, b = draws(1).normal(0, 1, 50), draws(2).normal(0.4, 3, 80)
    given = [f(x) for x in (a, b) for f in (np.mean, lambda x: x.std(ddof=1), len)]
    expected = ttest_ind(a, b, equal_var=False)
    assert unpaired_t(*given) == pytest.approx((expected.statistic, expected.pvalue))
    with pytest.raises(ValueError, match="2 or more pairs") as raised:
        unpaired_t(0, 1, 1, 0, 1, 50)
    one_line(raised)


# ------------------------------------------------------------------- classifier and sets


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """60 faces, a classifier of their law, and a pool of 20 fresh faces."""
    folder = tmp_path_factory.mktemp("attributes")
    build_dataset({"kind": "procedural", "scene": "faces", "images": 60, "resolution": 8}, folder)
    made = attribute_classifier({"data": folder / "images.npy"}, TRAINING)
    save_tensors(folder / "classifier.safetensors", made[0], {}, made[1])
    images, labels = render("faces", range(500, 520), 8, 0)
    save_npy(folder / "pool_images.npy", images)
    (folder / "pool").mkdir()
    save_npy(folder / "pool" / "images.npy", images)
    known, meta = {"density": np.zeros(20, np.float32)}, {"calls": 1, "facts": {}}
    save_tensors(folder / "pool" / "described.safetensors", known, {"kind": "pool"}, meta)
    return folder, made[1], labels


def test_a_classifier_learns_what_it_is_shown_and_knows_its_errors(folder):
    place, facts, _ = folder
    classifier = load_classifier(place / "classifier.safetensors")
    assert facts["names"] == list(FACES) and facts["fresh"] and facts["learned"] == 1000
    for name in ("background", "clothes", "hair"):
        assert facts["accuracy"][name] > 0.9 > facts["most_common"][name] + 0.3
    for name, table in zip(facts["names"], classifier.confusion, strict=True):
        assert table.sum() == 300 == facts["held_out"]
        assert np.trace(table) / 300 == facts["accuracy"][name]
        assert table.sum(1).max() / 300 == facts["most_common"][name]
    # The errors are those of images that it has not seen, counted anew.
    images, labels = render("faces", 2**40 + np.arange(1000, 1300), 8, 0)
    found = classifier.predicted(images)
    for column, table in enumerate(classifier.confusion):
        for value in range(len(table)):
            own = labels.categorical[:, column] == value
            counts = np.bincount(found[own, column], minlength=len(table))
            assert counts.tolist() == table[value].tolist()


def test_a_data_set_whose_law_is_unknown_is_split_alike_in_every_class(tmp_path):
    build_dataset({"kind": "digits", "resolution": 8, "images": 300}, tmp_path)
    inputs = {"data": tmp_path / "images.npy"}
    arrays, facts = attribute_classifier(inputs, TRAINING | {"epochs": 1})
    assert (facts["learned"], facts["held_out"], facts["fresh"]) == (240, 60, False)
    per_class = arrays["confusion|digit"].numpy().sum(1)
    counts = np.bincount(open_dataset(tmp_path).labels.categorical[:, 0])
    assert (np.abs(per_class - counts / 5) <= 1).all()
    again, _ = attribute_classifier(inputs, TRAINING | {"epochs": 1})
    assert all(torch.equal(arrays[name], again[name]) for name in arrays)
    with pytest.raises(ValueError, match="held out to measure") as raised:
        attribute_classifier(inputs, TRAINING | {"held_out_share": 0.001})
    one_line(raised)


def measured(place, **own):
    inputs = {"classifier": place / "classifier.safetensors", "data": place / "images.npy"}
    inputs |= {"search": [place / "pool" / "described.safetensors"]}
    sets = {"search": {"count": 20, "group": 5}}
    return attributes(inputs, {"sets": sets, "seed": 0, "value_names": {}, "device": "cpu"} | own)


def test_attributes_of_a_pool_and_of_the_reals(folder, tmp_path):
    place, _, labels = folder
    arrays, facts = measured(place)
    save_tensors(tmp_path / "measured.safetensors", arrays, {}, facts)
    found = open_attribute_sets(tmp_path / "measured.safetensors")
    classifier = load_classifier(place / "classifier.safetensors")
    images = load_npy(place / "pool_images.npy")
    np.testing.assert_array_equal(found.sets["search"], classifier.predicted(images))
    assert found.groups["search"].tolist() == np.repeat(range(4), 5).tolist()
    probabilities = arrays["probabilities_0"]
    np.testing.assert_allclose(probabilities.sum(1), len(FACES), rtol=1e-5)
    data = open_dataset(place)
    np.testing.assert_array_equal(found.real, data.labels.categorical)
    np.testing.assert_array_equal(found.real_predicted, classifier.predicted(data.images))
    # The law of the scenes: what the labels themselves say.
    np.testing.assert_allclose(found.log_probability(labels.categorical), labels.log_prob)
    assert found.facts["truth"] and found.facts["known_law"]
    with pytest.raises(ValueError, match="no whole number of references") as raised:
        measured(place, sets={"search": {"count": 20, "group": 3}})
    one_line(raised)


def test_an_estimated_law_has_no_impossible_value():
    (law,) = estimated_law(np.array([[0], [0], [1]]), [3])
    np.testing.assert_allclose(np.exp(law), np.array([2.5, 1.5, 0.5]) / 4.5)


# ------------------------------------------------------------------- tables


@pytest.fixture
def example(tmp_path):
    """Hats on 10 % of reals and references and on half of each reference's images; two colours."""
    hats = np.arange(100) % 10 == 0
    reference = np.stack([hats, np.zeros(100)], axis=1).astype(int)
    search = np.stack([np.arange(400) % 2, np.zeros(400)], axis=1).astype(int)
    made = AttributeSets(
        ["hat", "colour"],
        [["0", "1"], ["0", "1"]],
        {"plain": reference, "search": search, "few": search[:8], "copies": reference.repeat(4, 0)},
        {
            "plain": np.arange(100),
            "search": np.arange(400) // 4,
            "few": np.arange(8) // 4,
            "copies": np.arange(400) // 4,
        },
        np.stack([np.arange(1000) % 10 == 0, np.arange(1000) % 20 == 0], axis=1).astype(int),
        np.zeros((1000, 2), int),
        [np.log([0.9, 0.1]), np.log([0.95, 0.05])],
        [np.array([[90, 0], [5, 5]]), np.diag([95, 5])],
        {"truth": True, "known_law": True, "source": "a network"},
    )
    arrays, facts = made.saved()
    save_tensors(tmp_path / "measured.safetensors", arrays, {}, facts)
    return {"measured": tmp_path / "measured.safetensors"}


def shown(**own):
    names = {"block": "b", "model": "StyleGAN2", "dataset": "faces", "stands_for": "FFHQ"}
    titles = {"plain": "references", "search": "rare search", "few": "few"}
    settings = {"title": "Table 3", "names": names, "sets": ["plain", "search"], "titles": titles}
    settings |= {"reference": "plain", "seed": 0, "resamples": 300, "attributes": None}
    return settings | {"order": "rising"} | own


def test_the_table_shows_rare_values_first_with_all_shares(example, tmp_path):
    table = attribute_table(example, shown())
    frame = table.frame
    assert frame["title"].tolist() == ["colour: 1", "hat: 1", "hat: 0", "colour: 0"]
    hat = frame.iloc[1]
    assert (hat["real"], hat["plain"], hat["search"]) == pytest.approx((10, 10, 50))
    # Half of the hats are missed: twice as many are true, so that of 50 % all are.
    assert (hat["plain_corrected"], hat["search_corrected"]) == pytest.approx((20, 100))
    assert hat["search_change"] == pytest.approx(80) and hat["law"] == pytest.approx(10)
    assert hat["plain_low"] < 10 < hat["plain_high"]
    assert "plain_change" not in frame and frame["model"].eq("StyleGAN2").all()
    # Without errors the intervals of what no image has are those of no such reference.
    assert frame.iloc[0]["plain_high"] == pytest.approx(100 * (1 - 0.025 ** (1 / 100)))
    write_table(table, *(tmp_path / f"t.{suffix}" for suffix in ("csv", "md", "tex")))
    told = (tmp_path / "t.md").read_text()
    assert "hat: 1" in told and "hat 95.0 %" in told and "rare search: 400 images of 100" in told


def test_copies_of_references_change_nothing_whichever_are_drawn(example):
    titles = {"plain": "references", "copies": "copies"}
    frame = attribute_table(example, shown(sets=["plain", "copies"], titles=titles)).frame
    changes = frame[["copies_change", "copies_change_low", "copies_change_high"]].to_numpy()
    np.testing.assert_allclose(changes, 0, atol=1e-9)
    assert (frame["copies_corrected_high"] - frame["copies_corrected_low"]).max() > 5


def test_the_order_the_attributes_and_a_missing_set(example):
    falling = attribute_table(example, shown(order="falling", attributes=["hat"])).frame
    assert falling["value"].tolist() == ["0", "1"]
    for own, match in (
        ({"attributes": ["beard"]}, "no attribute 'beard'; there are hat, colour"),
        ({"sets": ["pick"]}, "set 'pick' were not measured"),
    ):
        with pytest.raises(ValueError, match=match) as raised:
            attribute_table(example, shown(**own))
        one_line(raised)


def test_rarity_of_attributes_before_and_after(example, tmp_path):
    table = rarity_of_attributes(example, shown(sets=["plain", "search", "few"]))
    lines = table.frame.set_index("set")
    common, rare = np.log(0.9), np.log(0.1)
    colour = np.log(0.95)
    expected = 0.1 * rare + 0.9 * common + 0.05 * np.log(0.05) + 0.95 * colour
    assert lines.loc["real", "log_probability"] == pytest.approx(expected)
    assert lines.loc["real_predicted", "log_probability"] == pytest.approx(common + colour)
    assert lines.loc["search", "log_probability"] == pytest.approx((common + rare) / 2 + colour)
    assert lines.loc["search", "change"] == pytest.approx(0.4 * (rare - common))
    # Every reference has the same images: all that varies are the references' own hats.
    deviation = 0.3 * (common - rare) / np.sqrt(100)
    width = lines.loc["search", "change_high"] - lines.loc["search", "change_low"]
    assert width == pytest.approx(2 * 1.96 * deviation, rel=0.2)
    # Corrected, 20 % of the references and all images of the search have a hat.
    before = 0.2 * rare + 0.8 * common + colour
    assert lines.loc["plain", "corrected"] == pytest.approx(before)
    assert lines.loc["search", "corrected"] == pytest.approx(rare + colour)
    assert lines.loc["search", "corrected_change"] == pytest.approx(0.8 * (rare - common))
    assert np.isnan(lines.loc["plain", "corrected_change"])
    # Only the references that it has: number 0 with a hat, and number 1 without.
    assert lines.loc["few", "references"] == 2 and lines.loc["few", "change"] == pytest.approx(0)
    write_table(table, *(tmp_path / f"r.{suffix}" for suffix in ("csv", "md", "tex")))


# ------------------------------------------------------------------- predictions from a file

GOOD = "set,image,hat,age\nreal,0,no,old\nreal,1,no,young\nreal,2,yes,old\nsearch,1,no,young\n"
GOOD += "search,0,yes,old\n"


def predictions(tmp_path, text=GOOD, **own):
    path = tmp_path / "predicted.csv"
    path.write_text(text)
    settings = {"file": str(path), "sha256": None, "source": "FaceXFormer"}
    settings |= {"sets": {"search": {"count": 2, "group": 2}}}
    return predicted_attributes({}, settings | own)


def test_predictions_of_a_file_are_sets_like_any_other(tmp_path):
    digest = {"sha256": None}
    arrays, facts = predictions(tmp_path, **digest)
    save_tensors(tmp_path / "m.safetensors", arrays, {}, facts)
    found = open_attribute_sets(tmp_path / "m.safetensors")
    assert (found.names, found.values) == (["hat", "age"], [["no", "yes"], ["old", "young"]])
    assert found.sets["search"].tolist() == [[1, 0], [0, 1]]
    assert found.groups["search"].tolist() == [0, 0]
    assert found.real.tolist() == [[0, 0], [0, 1], [1, 0]]
    assert found.confusion is None and not found.facts["truth"]
    own = shown(sets=["search"], reference="search")
    frame = attribute_table({"measured": tmp_path / "m.safetensors"}, own).frame
    assert frame.set_index("title").loc["hat: yes", "search"] == 50
    assert frame["law"].isna().all() and "search_corrected" not in frame
    lines = rarity_of_attributes({"measured": tmp_path / "m.safetensors"}, own).frame
    assert lines["set"].tolist() == ["real_predicted", "search"]
    assert lines["corrected"].isna().all()


def test_another_file_than_the_config_says_is_refused(tmp_path):
    right = file_sha256(_written(tmp_path, GOOD))
    predictions(tmp_path, sha256=right)
    with pytest.raises(ValueError, match="not the file of the sha256") as raised:
        predictions(tmp_path, sha256="0" * 64)
    one_line(raised)


def _written(tmp_path, text):
    path = tmp_path / "predicted.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_every_bad_line_is_in_one_message(tmp_path):
    lines = ["real,x,no,old", "real,0,no", "real,0,,old", "search,0,no,old", "real,-1,no,old"]
    lines += [f"real,5,{'n' * 81},old", "real,²,no,old"]
    with pytest.raises(ValueError, match="mend lines") as raised:
        read_predictions(_written(tmp_path, GOOD + "\n".join(lines)))
    one_line(raised)
    assert re.findall(r"(\d+) \(", str(raised.value)) == ["7", "8", "9", "10", "11"]
    for part in ("(no number of an image)", "3 fields, not 4", "this image again", "and 2 more"):
        assert part in str(raised.value)


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("", "first line must be set,image"),
        ("set,image\nreal,0\n", "first line must be set,image"),
        ("set,image,hat,hat\nreal,0,a,b\n", "each once"),
        ("image,set,hat\n0,real,a\n", "first line must be set,image"),
        ("set,image,hat\n", "no line but the first"),
        (b"set,image,hat\nreal,0,\xff\n", "no CSV file in UTF-8"),
        ('set,image,hat\nreal,0,"no\n', "no CSV file in UTF-8"),
        (
            "set,image,age\n" + "".join(f"real,{i},{i}\n" for i in range(201)),
            "more than 200 values",
        ),
    ],
)
def test_a_file_that_is_no_list_of_predictions_says_why(tmp_path, text, match):
    with pytest.raises(ValueError, match=match) as raised:
        read_predictions(_written(tmp_path, text))
    one_line(raised)


def test_a_file_that_is_missing_or_lacks_images_says_so(tmp_path):
    with pytest.raises(ValueError, match="does not exist") as raised:
        read_predictions(tmp_path / "nothing.csv")
    one_line(raised)
    for sets in ({"search": {"count": 3, "group": 3}}, {"pick": {"count": 2, "group": 1}}):
        with pytest.raises(ValueError, match="it must have those of numbers 0 to") as raised:
            predictions(tmp_path, sets=sets)
        one_line(raised)
