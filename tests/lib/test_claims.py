"""Claims of Table 1: intervals of known width, and verdicts on effects that are put in."""

from itertools import chain
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from pseudodensity.claims import ALL_BLOCKS, claims_table1, t_interval, verdict, write_claims

CONFIG = Path(__file__).parents[2] / "config"
BLOCKS = yaml.safe_load((CONFIG / "papers/pseudo_density.yaml").read_text())["table1"]["blocks"]
REPORTED = pd.read_csv(CONFIG / "reported/pseudo_density.csv")
CATALOGUE = pd.read_csv(CONFIG / "reported/claims.csv")
NOISE = np.array([0.1, -0.2, 0.3])  # of the latents: the same in each row, gone in a difference
JITTER = np.array([0.01, 0.0, -0.01])
# setting -> what it adds to precision, recall and FID; fine-tuning alone adds the control's.
EFFECTS = {
    "pretrained": (0.0, 0.0, 0.0),
    "precision": (0.15, -0.10, 9.0),
    "recall": (-0.05, 0.20, 7.0),
    "fid": (0.05, 0.0, -0.3),
    "control": (0.05, 0.02, -0.5),
}


def make_repeats(effect, scale=1.0, jitter=JITTER) -> list[dict[str, float]]:
    return [
        {
            "precision": 0.5 + scale * effect[0] + noise + wobble,
            "recall": 0.5 + scale * effect[1] + noise + wobble,
            "fid": 2.0 + scale * effect[2] + noise + wobble,
        }
        for noise, wobble in zip(NOISE, jitter, strict=False)
    ]


def make_block(block: str, effects=EFFECTS, seeds=(0,), scale=(1.0,), jitter=JITTER):
    """Rows and metrics; the effects of seed i are multiplied by scale[i]."""
    run, rows, metrics = BLOCKS[block], [], []
    for seed, factor in zip(seeds, scale, strict=True):
        for setting, effect in effects.items():
            tuned = run.get(setting, {"tau": None, "w": None})
            row = {"block": block, "dataset": "-", "model": "-", "setting": setting, "seed": seed}
            rows.append(row | {**tuned, "reported": run["reported"]})
            wobble = 0 * jitter if setting in ("pretrained", "control") else jitter
            metrics.append({"repeats": make_repeats(effect, factor, wobble)})
    return rows, metrics


def make_oracle(block: str, effects=EFFECTS) -> dict:
    run = BLOCKS[block]
    settings = [{"tau": None, "w": 1.0, "repeats": make_repeats((0, 0, 0), jitter=0 * JITTER)}]
    for setting in ("precision", "recall", "fid"):
        settings.append({**run[setting], "repeats": make_repeats(effects[setting])})
    return {"settings": settings}


def make_claims(*blocks, **changes) -> pd.DataFrame:
    made = [make_block(block, **changes) for block in blocks]
    rows, metrics = (list(chain(*parts)) for parts in zip(*made, strict=True))
    oracles = {block: make_oracle(block) for block in blocks}
    return claims_table1(rows, metrics, oracles, REPORTED, CATALOGUE)


def test_interval_of_known_differences():
    # t(0.975, 2) = 4.302653, the sd of 1, 2, 3 is 1.
    mean, low, high = t_interval([1.0, 2.0, 3.0])
    assert mean == 2
    assert (low, high) == pytest.approx((2 - 4.302653 / 3**0.5, 2 + 4.302653 / 3**0.5), rel=1e-6)
    assert t_interval([0.25, 0.25]) == (0.25, 0.25, 0.25)
    mean, low, high = t_interval([0.25])
    assert mean == 0.25 and np.isnan(low) and np.isnan(high)


def test_interval_covers_the_truth_as_often_as_it_says():
    samples = np.random.default_rng(0).normal(0.3, 2.0, (4000, 3))
    intervals = np.array([t_interval(sample)[1:] for sample in samples])
    covered = np.mean((intervals[:, 0] < 0.3) & (intervals[:, 1] > 0.3))
    assert covered == pytest.approx(0.95, abs=0.012)


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
def test_verdicts(low, high, rising, falling):
    assert verdict(low, high, +1) == rising
    assert verdict(low, high, -1) == falling


def test_effects_are_paired_differences_from_the_control():
    claims = make_claims("projectedgan-church")
    assert list(claims["id"]) == ["000-1", "000-2", "000-3", "000-4", "000-5", "000-5"]
    assert list(claims["against"]) == ["control"] * 4 + ["pretrained", "control"]
    assert claims["effect"].tolist() == pytest.approx([0.10, -0.12, 0.18, -0.10, -0.3, 0.2])
    # The noise of the latents (sd 0.25) is gone, the rows' own (sd 0.01) is left.
    half = 4.302653 * 0.01 / 3**0.5
    assert (claims["high"] - claims["effect"]).tolist() == pytest.approx([half] * 6, rel=1e-6)
    assert list(claims["verdict"]) == ["holds"] * 5 + ["does not hold"]
    # From the pre-trained row, which is what the paper compares.
    assert claims["from_pretrained"].tolist() == pytest.approx([0.15, -0.1, 0.2, -0.05, -0.3, -0.3])
    printed = [0.658 - 0.577, 0.418 - 0.512, 0.540 - 0.512, 0.494 - 0.577, 1.58 - 1.62, 1.58 - 1.62]
    assert claims["paper_effect"].tolist() == pytest.approx(printed)
    oracle = [0.15, -0.10, 0.20, -0.05, -0.3, -0.3]
    assert claims["oracle_effect"].tolist() == pytest.approx(oracle)
    assert list(claims["expected"]) == ["holds"] * 6
    assert claims["notes"].str.contains("3 sampling repeats of one training seed").all()
    assert claims["claim"].iloc[0] == "fine-tuning with w=33 raises precision"


def test_the_control_of_the_fid_row_has_seen_as_many_images():
    effects = {**EFFECTS, "control_fid": (0.01, 0.01, -0.1)}
    claims = make_claims("projectedgan-church", effects=effects)
    assert claims["effect"].iloc[[3, 5]].tolist() == pytest.approx([-0.10, -0.2])
    assert claims["verdict"].iloc[5] == "holds"


def test_several_seeds_give_an_interval_over_seeds():
    claims = make_claims("adm-bedroom", seeds=(0, 1), scale=(1.0, 2.0))
    # 000-1: 0.10 and 0.20; t(0.975, 1) = 12.7062.
    half = 12.7062047 * (0.1 / 2**0.5) / 2**0.5
    first = claims.iloc[0]
    assert first["effect"] == pytest.approx(0.15)
    assert first["low"] == pytest.approx(0.15 - half, rel=1e-6)
    assert first["verdict"] == "undecided"
    assert "2 training seeds" in first["notes"]


def test_one_repeat_decides_nothing():
    claims = make_claims("adm-bedroom", jitter=JITTER[:1])
    assert claims["low"].isna().all()
    assert set(claims["verdict"]) == {"undecided"}
    assert claims["notes"].str.contains("no interval").all()


def test_equal_rows_decide_nothing():
    same = dict.fromkeys(EFFECTS, (0.0, 0.0, 0.0))
    claims = make_claims("adm-bedroom", effects=same, jitter=0 * JITTER)
    assert (claims[["effect", "low", "high"]] == 0).all(axis=None)
    assert set(claims["verdict"]) == {"undecided"}
    assert claims["notes"].str.contains("all equal").all()


def test_all_blocks_take_the_effects_of_blocks_as_sample():
    half = {name: tuple(value / 2 for value in effect) for name, effect in EFFECTS.items()}
    names = ("adm-bedroom", "projectedgan-digits")
    made = [make_block(names[0]), make_block(names[1], effects=half)]
    rows, metrics = (list(chain(*parts)) for parts in zip(*made, strict=True))
    oracles = {name: make_oracle(name) for name in names}
    claims = claims_table1(rows, metrics, oracles, REPORTED, CATALOGUE)
    assert list(claims["block"]) == [*names, ALL_BLOCKS] * 6
    line = claims.iloc[2]
    assert (line["effect"], line["low"], line["high"]) == pytest.approx(t_interval([0.1, 0.05]))
    # The digits are not in the paper.
    assert line["paper_effect"] == pytest.approx(0.729 - 0.715)
    assert "2 holds, 0 does not hold, 0 undecided" in line["notes"]
    assert line["claim"] == claims["claim"].iloc[0]


def test_other_numbers_of_repeats_are_refused():
    rows, metrics = make_block("adm-bedroom")
    metrics[1]["repeats"] = metrics[1]["repeats"][:2]
    with pytest.raises(ValueError, match="other numbers of repeats"):
        claims_table1(
            rows, metrics, {"adm-bedroom": make_oracle("adm-bedroom")}, REPORTED, CATALOGUE
        )


def test_written_claims(tmp_path):
    claims = make_claims("adm-bedroom", "projectedgan-digits", "stylegan2-faces")
    csv, md = tmp_path / "table1.claims.csv", tmp_path / "table1.claims.md"
    write_claims(claims, csv, md)
    read = pd.read_csv(csv)
    assert len(read) == 24 and list(read.columns) == list(claims.columns)
    assert read["effect"].iloc[0] == 0.1 and "-0," not in csv.read_text()
    lines = md.read_text(encoding="utf-8").splitlines()
    overview = [line for line in lines if line.startswith("|")][:6]
    assert all(line.count("|") == 8 for line in overview)
    assert [line.split("|")[1].strip() for line in overview[2:]] == list(claims["block"][:4])
    assert sum(line.startswith("## 000-") for line in lines) == 6
    assert sum(line.startswith("| all blocks |") for line in lines) == 7
    assert "[+0.075, +0.125]" in md.read_text(encoding="utf-8")
