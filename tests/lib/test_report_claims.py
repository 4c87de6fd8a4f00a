"""The engine of claims: verdicts that may be said, corrected together, blocks joined by data set."""

import numpy as np
import pandas as pd
import pytest

from pseudodensity.report.claims import (
    ALL_BLOCKS,
    Contrast,
    block_line,
    claims_frame,
    claims_table,
    contrast_lines,
    interval_verdict,
    untested,
    verdict,
)
from pseudodensity.report.statistics import Estimate, holm, paired, t_interval
from pseudodensity.report.table import write_table

CATALOGUE = pd.DataFrame({"id": ["1", "2"], "claim": ["it rises | much", "it falls"]})
RISES = Contrast("1", "precision against the control", 1)


def line(effects, block="a", dataset="d", contrast=RISES, seeds=1, **options):
    names = {"block": block, "dataset": dataset, "model": "M"}
    return block_line(contrast, paired(effects), names, seeds=seeds, **options)


def frame_of(*lines) -> pd.DataFrame:
    return claims_frame(lines, CATALOGUE)


@pytest.mark.parametrize(
    ("low", "high", "rising", "falling"),
    [
        (0.1, 0.2, "holds", "does not hold"),
        (-0.2, -0.1, "does not hold", "holds"),
        (-0.1, 0.2, "undecided", "undecided"),
        (0.0, 0.2, "undecided", "undecided"),
        (0.0, 0.0, "undecided", "undecided"),
        (0.1, 0.1, "holds", "does not hold"),
        (np.nan, np.nan, "undecided", "undecided"),
    ],
)
def test_verdicts_of_intervals(low, high, rising, falling):
    assert interval_verdict(low, high, +1) == rising
    assert interval_verdict(low, high, -1) == falling


@pytest.mark.parametrize("seeds", [1, 2])
@pytest.mark.parametrize("sign", [1, 0, -1])
@pytest.mark.parametrize("p", [0.0, 1e-9, 0.04, 0.05, 1.0, np.nan])
def test_few_training_seeds_never_hold(seeds, sign, p):
    for effect in (-0.3, 0.0, 0.3):
        assert "hold" not in verdict(effect, p, sign, seeds)


def test_verdicts_by_seeds():
    assert verdict(0.3, 0.01, 1, 1) == verdict(0.3, 0.01, -1, 2) == "up in this pair"
    assert verdict(-0.3, 0.01, 1, 1, pairs="these pairs") == "down in these pairs"
    assert verdict(0.3, 0.01, 1, 3) == verdict(-0.3, 0.01, -1, 5) == "holds"
    assert verdict(0.3, 0.01, -1, 3) == verdict(0.3, 0.01, 0, 3) == "does not hold"
    assert verdict(0.3, 0.05, 1, 3) == "undecided"
    assert verdict(0.3, np.nan, 1, 3) == "no interval"


def test_p_values_are_corrected_over_the_whole_list():
    sure, doubtful = [1.0, 1.1, 0.9, 1.05], [0.1, 0.3, 0.2, 0.35]
    assert 0.01 < paired(doubtful).p < 0.05
    alone = frame_of(line(doubtful, seeds=4)).iloc[0]
    assert alone["verdict"] == "holds" and alone["p_holm"] == alone["p"]
    contrasts = [Contrast("2", f"contrast {i}", -1) for i in range(3)]
    weak = [line(doubtful, seeds=4, contrast=contrast) for contrast in contrasts]
    found = frame_of(line(sure, seeds=4), *weak, untested("2", "beauty", "needs people"))
    assert found["p_holm"][:4].tolist() == pytest.approx(holm(found["p"][:4]).tolist())
    assert found["verdict"].tolist() == [
        "holds",
        *["undecided"] * 3,
        "not tested here: needs people",
    ]
    # The interval itself stays a plain one.
    assert found["low"][1] > 0


def test_under_the_null_a_list_errs_as_rarely_as_it_says():
    """40 contrasts without any effect, three seeds each: some verdict in 5 % of the lists."""
    draws, erred, contrasts = (
        np.random.default_rng(0),
        0,
        [Contrast("1", str(i), 1) for i in range(40)],
    )
    for _ in range(300):
        lines = [line(draws.normal(size=3), seeds=3, contrast=contrast) for contrast in contrasts]
        erred += frame_of(*lines)["verdict"].ne("undecided").any()
    assert erred / 300 <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 300)


def test_all_blocks_take_one_number_per_data_set():
    blocks = [
        line([0.1, 0.1], "a", "church"),
        line([0.3, 0.3], "b", "church"),
        line([-0.1, -0.1], "c", "faces"),
        line([0.4, 0.4], "d", "digits"),
    ]
    *_, joint = contrast_lines(RISES, blocks)
    assert joint["block"] == ALL_BLOCKS and joint["as_claimed"] == "3 of 4"
    # Church counts once, with the mean of its two blocks.
    found = (joint["effect"], joint["low"], joint["high"])
    assert found == pytest.approx(t_interval([0.2, -0.1, 0.4]))
    assert "3 data sets, one number each" in joint["notes"]
    assert frame_of(*blocks, joint)["verdict"].iloc[0] == "up in this pair"
    assert [block["as_claimed"] for block in blocks] == ["yes", "yes", "no", "yes"]


def test_blocks_of_one_data_set_have_no_joint_interval():
    *_, joint = contrast_lines(RISES, [line([0.1, 0.2], "a"), line([0.3, 0.2], "b")])
    assert np.isnan(joint["low"]) and "share one data set" in joint["notes"]
    assert frame_of(joint)["verdict"].iloc[0] == "no interval"
    assert len(contrast_lines(RISES, [line([0.1, 0.2])])) == 1


def test_a_block_without_an_effect_is_left_out_of_all_blocks():
    empty = block_line(
        RISES, Estimate(np.nan), {"block": "x", "dataset": "x", "model": "M"}, seeds=1
    )
    lines = contrast_lines(RISES, [empty, line([0.1, 0.2], "a", "a"), line([0.3, 0.2], "b", "b")])
    assert lines[-1]["as_claimed"] == "2 of 2" and lines[-1]["effect"] == pytest.approx(0.2)
    assert frame_of(*lines)["answer"].iloc[0] == "not measured"


def test_the_effect_of_the_paper_is_over_the_same_blocks_as_ours():
    blocks = [
        line([0.1, 0.2], "a", "a", from_pretrained=0.3, paper_effect=0.5),
        line([0.1, 0.2], "b", "b", from_pretrained=0.9),
        line([0.1, 0.2], "c", "c", from_pretrained=0.1, paper_effect=0.1),
    ]
    *_, joint = contrast_lines(RISES, blocks)
    assert joint["from_pretrained"] == pytest.approx(0.2)
    assert joint["paper_effect"] == pytest.approx(0.3)
    assert "over the 2 blocks that the paper has" in joint["notes"]


def test_the_oracle_keeps_its_verdict():
    oracle = paired([0.1, 0.11, 0.12])
    found = frame_of(line([0.1, 0.2], oracle=oracle)).iloc[0]
    assert found["expected"] == "holds" and found["oracle_effect"] == pytest.approx(0.11)


@pytest.mark.parametrize(
    ("effects", "sign", "seeds", "answer"),
    [
        ([0.1, 0.1], 1, 1, "as claimed in this pair"),
        ([0.1, 0.1], -1, 1, "not reproduced at this scale"),
        ([0.1, 0.1, 0.1], 1, 3, "reproduced"),
        ([0.1, 0.1, 0.1], -1, 3, "not reproduced at this scale"),
        ([0.1, -0.1], 1, 1, "undecided"),
        ([0.1, -0.1], 0, 1, "no difference seen"),
        ([0.1, 0.1], 0, 1, "not reproduced at this scale"),
        ([0.1], 1, 1, "as claimed, without a test"),
        ([0.1], -1, 1, "not as claimed, without a test"),
        ([0.1], 0, 1, "no test"),
    ],
)
def test_answers(effects, sign, seeds, answer):
    contrast = Contrast("1", "x", sign)
    assert frame_of(line(effects, contrast=contrast, seeds=seeds))["answer"].iloc[0] == answer


def test_written_claims(tmp_path):
    blocks = [
        line([0.1, 0.12], "a", "a", paper_effect=0.5, from_pretrained=0.2),
        line([0.1, 0.2], "b", "b"),
    ]
    found = frame_of(*contrast_lines(RISES, blocks), untested("2", "beauty", "needs people"))
    files = [tmp_path / f"claims.{kind}" for kind in ("csv", "md", "tex")]
    write_table(claims_table(found, "Claims", {"1": "A remark."}), *files)
    read = pd.read_csv(files[0])
    assert len(read) == 4 and list(read.columns) == list(found.columns)
    text = files[1].read_text()
    assert text.index("## At a glance") < text.index("## 1: it rises | much\n\nA remark.")
    overview = text[text.index("## At a glance") : text.index("## 1:")]
    assert overview.count("\n| ") == 1 + 2 and "2 of 2" in overview
    assert "over all 3 tests" in text and "+0.110 [-0.017, +0.237]" in text
    # Columns of the paper and the oracle only where they hold something.
    assert "paper" not in text[text.index("## 2:") : text.index("## How")]
