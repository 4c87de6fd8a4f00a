"""All claims of the main paper on effects that are put in."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from scipy.stats import t

from pseudodensity.artifacts import save_json
from pseudodensity.papers.pseudo_density import claims as module
from pseudodensity.papers.pseudo_density.claims_images import (
    cost_lines,
    density_lines,
    objective_lines,
    perturbation_lines,
)
from pseudodensity.papers.pseudo_density.claims_sampling import (
    combination_lines,
    discriminator_lines,
    frontier_lines,
    likelihood_lines,
)
from pseudodensity.papers.pseudo_density.claims_table1 import table1_lines
from pseudodensity.report.claims import ALL_BLOCKS, claims_frame
from pseudodensity.report.statistics import t_interval
from pseudodensity.report.table import write_table

CONFIG = Path(__file__).parents[2] / "config"
BLOCKS = yaml.safe_load((CONFIG / "papers/pseudo_density.yaml").read_text())["runs"]
REPORTED = pd.read_csv(CONFIG / "reported/pseudo_density.csv")
CATALOGUE = pd.read_csv(CONFIG / "reported/claims.csv")
NOISE = np.array([0.1, -0.2, 0.3])  # of the latents: the same in each row, gone in a difference
JITTER = np.array([0.01, 0.0, -0.01])
# setting -> what it adds to precision, recall and the logarithm of FID; fine-tuning alone adds the
# control's.
EFFECTS = {
    "pretrained": (0.0, 0.0, 0.0),
    "precision": (0.15, -0.10, 0.9),
    "recall": (-0.05, 0.20, 0.7),
    "fid": (0.05, 0.0, -0.3),
    "control": (0.05, 0.02, -0.5),
}
HALF = 4.302653 * 0.01 / 3**0.5  # of a 95 % t-interval over three repeats with JITTER


@dataclass
class Found:
    repeats: list
    facts: dict = field(default_factory=dict)
    label: str = ""


class Book(dict):
    def find(self, pool, point):
        return self[pool]


def make_repeats(effect, scale=1.0, jitter=JITTER) -> list[dict[str, float]]:
    return [
        {
            "precision": 0.5 + scale * effect[0] + noise + wobble,
            "recall": 0.5 + scale * effect[1] + noise + wobble,
            "fid": float(np.exp(0.7 + scale * effect[2] + noise + wobble)),
        }
        for noise, wobble in zip(NOISE, jitter, strict=False)
    ]


def make_block(block: str, effects=EFFECTS, seeds=(0,), scale=(1.0,), jitter=JITTER, data=None):
    """Rows and a book; the effects of seed i are multiplied by scale[i]."""
    run, rows, book = BLOCKS[block], [], Book()
    names = {"block": block, "dataset": data or run["dataset"], "model": run["model"]}
    names |= {"reported": run["reported"], "point": {"method": "plain"}}
    places = [
        (seed, factor, name) for seed, factor in zip(seeds, scale, strict=True) for name in effects
    ]
    tuned = ("precision", "recall", "fid")
    places += [(None, 1.0, name) for name in ("oracle", *(f"oracle_{t}" for t in tuned))]
    for seed, factor, setting in places:
        weights = run.get(setting.removeprefix("oracle_"), {"tau": None, "w": None})
        pool = f"{block}-{setting}-{seed}"
        rows.append(names | {"setting": setting, "seed": seed, "pool": pool, **weights})
        effect = EFFECTS.get(setting.removeprefix("oracle_"), (0, 0, 0))
        effect = effect if seed is None else effects[setting]
        still = setting in ("pretrained", "control", "oracle")
        book[pool] = Found(make_repeats(effect, factor, 0 * jitter if still else jitter))
    return rows, book


def make_claims(*blocks, **changes) -> pd.DataFrame:
    made = [make_block(block, **changes) for block in blocks]
    return frame_of(made)


def frame_of(made) -> pd.DataFrame:
    rows = [row for contrast, _ in made for row in contrast]
    book = Book({pool: found for _, contrast in made for pool, found in contrast.items()})
    return claims_frame(table1_lines(rows, book, REPORTED), CATALOGUE)


# ------------------------------------------------------------------------------- Table 1


def test_an_oracle_is_of_the_repeats_that_enough_real_images_are_left_for():
    """Of one repeat of two its effect, of none none; the model's own effects are as they were."""
    whole = make_claims("projectedgan-church", "stylegan2-faces").set_index(["block", "id"])
    made = [make_block(name) for name in ("projectedgan-church", "stylegan2-faces")]
    made[0][1]["projectedgan-church-oracle_recall-None"].repeats[1:] = []
    made[1][1]["stylegan2-faces-oracle_precision-None"].repeats[:] = []
    claims = frame_of(made).set_index(["block", "id"])
    pd.testing.assert_series_equal(claims["effect"], whole["effect"])
    few = claims.loc[("projectedgan-church", "000-3")]
    assert few["oracle_effect"] == pytest.approx(0.2 + JITTER[0]) and np.isnan(few["oracle_low"])
    none = claims.loc[("stylegan2-faces", "000-1")]
    assert np.isnan(none["oracle_effect"]) and "too few real images" in none["notes"]
    # Over all blocks: those that have one.
    both = [
        claims.loc[(name, "000-1")]["oracle_effect"]
        for name in ("all blocks", "projectedgan-church")
    ]
    assert both[0] == pytest.approx(both[1])


def test_an_oracle_whose_scores_lack_one_is_refused_in_one_line():
    rows, book = make_block("projectedgan-church")
    del book["projectedgan-church-oracle_recall-None"].repeats[0]["recall"]
    with pytest.raises(ValueError, match="scores lack 'recall': delete the scores and run again"):
        frame_of([(rows, book)])


def test_effects_are_paired_differences_from_the_control():
    claims = make_claims("projectedgan-church")
    assert list(claims["id"]) == ["000-1", "000-2", "000-3", "000-4", "000-5", "000-5"]
    assert claims["measured"].str.endswith("pre-trained model").tolist() == [False] * 4 + [
        True,
        False,
    ]
    assert claims["effect"].tolist() == pytest.approx([0.10, -0.12, 0.18, -0.10, -0.3, 0.2])
    # The noise of the latents (sd 0.25) is gone, the rows' own (sd 0.01) is left.
    assert (claims["high"] - claims["effect"]).tolist() == pytest.approx([HALF] * 6, rel=1e-5)
    assert list(claims["verdict"]) == [
        *("up in this pair", "down in this pair", "up in this pair", "down in this pair"),
        *("down in this pair", "up in this pair"),
    ]
    assert list(claims["answer"]) == [
        *["as claimed in this pair"] * 5,
        "not reproduced at this scale",
    ]
    # From the pre-trained row, which is what the paper compares.
    assert claims["from_pretrained"].tolist() == pytest.approx([0.15, -0.1, 0.2, -0.05, -0.3, -0.3])
    printed = [
        0.658 - 0.577,
        0.418 - 0.512,
        0.540 - 0.512,
        0.494 - 0.577,
        *[np.log(1.58 / 1.62)] * 2,
    ]
    assert claims["paper_effect"].tolist() == pytest.approx(printed)
    assert claims["oracle_effect"].tolist() == pytest.approx([0.15, -0.10, 0.20, -0.05, -0.3, -0.3])
    assert list(claims["expected"]) == ["holds"] * 6
    assert claims["notes"].str.contains("3 sampling repeats of one training seed").all()
    assert claims["claim"].iloc[0] == "fine-tuning with w=33 raises precision"
    assert claims["scale"].tolist() == ["difference"] * 4 + ["log-ratio"] * 2


def test_the_control_of_the_fid_row_has_seen_as_many_images():
    effects = {**EFFECTS, "control_fid": (0.01, 0.01, -0.1)}
    claims = make_claims("projectedgan-church", effects=effects)
    assert claims["effect"].iloc[[3, 5]].tolist() == pytest.approx([-0.10, -0.2])
    assert claims["answer"].iloc[5] == "as claimed in this pair"


def test_two_seeds_give_an_interval_over_seeds_and_no_verdict_word():
    claims = make_claims("adm-bedroom", seeds=(0, 1), scale=(1.0, 2.0))
    # 000-1: 0.10 and 0.20; t(0.975, 1) = 12.7062.
    half = 12.7062047 * (0.1 / 2**0.5) / 2**0.5
    first = claims.iloc[0]
    assert first["effect"] == pytest.approx(0.15)
    assert first["low"] == pytest.approx(0.15 - half, rel=1e-6)
    assert first["verdict"] == "undecided"
    assert "2 training seeds" in first["notes"]


def test_three_seeds_may_hold():
    claims = make_claims("adm-bedroom", seeds=(0, 1, 2), scale=(1.0, 1.01, 1.02))
    assert list(claims["verdict"]) == ["holds"] * 5 + ["does not hold"]
    assert list(claims["answer"]) == ["reproduced"] * 5 + ["not reproduced at this scale"]


def test_one_repeat_decides_nothing():
    claims = make_claims("adm-bedroom", jitter=JITTER[:1])
    assert claims["low"].isna().all()
    assert set(claims["verdict"]) == {"no interval"}
    assert claims["notes"].str.contains("no interval").all()


def test_equal_rows_decide_nothing():
    same = dict.fromkeys(EFFECTS, (0.0, 0.0, 0.0))
    claims = make_claims("adm-bedroom", effects=same, jitter=0 * JITTER)
    assert (claims[["effect", "low", "high"]] == 0).all(axis=None)
    assert set(claims["verdict"]) == {"undecided"}
    assert claims["notes"].str.contains("all equal").all()


def test_all_blocks_join_the_data_sets():
    half = {name: tuple(value / 2 for value in effect) for name, effect in EFFECTS.items()}
    names = ("adm-bedroom", "projectedgan-digits")
    claims = frame_of([make_block(names[0]), make_block(names[1], effects=half)])
    assert list(claims["block"]) == [*names, ALL_BLOCKS] * 6
    line = claims.iloc[2]
    assert (line["effect"], line["low"], line["high"]) == pytest.approx(t_interval([0.1, 0.05]))
    # The digits are not in the paper, so ours beside the paper's is without them too.
    assert line["paper_effect"] == pytest.approx(0.729 - 0.715)
    assert line["from_pretrained"] == pytest.approx(0.15)
    assert line["as_claimed"] == "2 of 2" and "over the 1 blocks" in line["notes"]
    # FID of the two blocks as log-ratios from the control.
    assert claims.iloc[17]["effect"] == pytest.approx((0.2 + 0.1) / 2)


def test_other_numbers_of_repeats_and_missing_rows_are_refused():
    rows, book = make_block("adm-bedroom")
    book["adm-bedroom-precision-0"].repeats.pop()
    with pytest.raises(ValueError, match="other numbers of repeats"):
        frame_of([(rows, book)])
    rows, book = make_block("adm-bedroom")
    with pytest.raises(ValueError, match="need the row oracle of adm-bedroom"):
        frame_of([([row for row in rows if row["setting"] != "oracle"], book)])


# ------------------------------------------------------------------------------- frontiers

SCORES = ("precision", "recall", "fid")


def point(method, precision, recall, fid=3.0, half=0.01, repeats=4, block="a", **settings):
    names = {"block": block, "dataset": f"data of {block}", "model": "M", "method": method}
    found = names | dict(zip(SCORES, (precision, recall, fid), strict=True))
    for score in SCORES:
        found[f"{score}_error"] = half / t.ppf(0.975, repeats - 1) if repeats > 1 else np.nan
    empty = dict.fromkeys(("tau_percent", "w", "psi"), np.nan) | {"family": None, "by": None}
    return empty | {"setting": method, "repeats": repeats} | found | settings


def importance(precision, recall, w, tau=50, **options):
    return point("importance", precision, recall, tau_percent=tau, w=w, **options)


def verdicts(lines) -> pd.DataFrame:
    return claims_frame(lines, CATALOGUE)


PLAIN = point("plain", 0.5, 0.5)
WEIGHTED = [
    importance(0.3, 0.7, 0.01),
    importance(0.4, 0.6, 0.1),
    importance(0.6, 0.4, 10.0),
    importance(0.8, 0.2, 100.0),
]


def test_weights_move_precision_and_recall_and_are_monotone():
    lines = frontier_lines(pd.DataFrame([PLAIN, *WEIGHTED]), ())
    found = verdicts(lines)[lambda frame: frame["id"].eq("000-8")]
    assert found["effect"].tolist() == pytest.approx([0.3, -0.3, -0.2, 0.2, 1.0, -1.0])
    # Two means with the same half width: sqrt(2) of it with 6 degrees of freedom instead of 3.
    half = 0.01 * 2**0.5 * 2.446912 / 3.182446
    assert found["high"].iloc[0] - 0.3 == pytest.approx(half, rel=1e-5)
    assert found["verdict"].tolist()[4:] == ["no interval"] * 2
    assert found["answer"].tolist()[4:] == ["as claimed, without a test"] * 2
    assert "tau 50 %, w 100" in found["notes"].iloc[0]
    assert "4 of 4 steps" in found["notes"].iloc[4]
    swapped = [*WEIGHTED[:2], importance(0.8, 0.2, 10.0), importance(0.7, 0.2, 100.0)]
    lines = frontier_lines(pd.DataFrame([PLAIN, *swapped]), ())
    assert lines[4]["effect"] == pytest.approx(0.9) and "3 of 4" in lines[4]["notes"]


def test_dominance_is_the_share_of_the_region_that_is_won():
    rivals = [point("truncation", 0.7, 0.45, family="style", psi=0.7)]
    found = verdicts(frontier_lines(pd.DataFrame([PLAIN, *WEIGHTED, *rivals]), ()))
    line = found[found["id"].eq("000-9")].iloc[0]
    # To .7 truncation keeps .45 against .4 and .2; beyond it has nothing.
    assert line["effect"] == pytest.approx((0.1 - 0.2) / 0.3)
    assert line["answer"] == "not as claimed, without a test"
    polarity = found[found["id"].eq("000-10")].iloc[0]
    assert polarity["verdict"] == (
        "not tested here: no model of this config was sampled by polarity"
    )


def test_dominance_over_blocks_counts_signs():
    blocks = []
    for block, recall in {"a": 0.1, "b": 0.1, "c": 0.45}.items():
        blocks += [{**p, "block": block, "dataset": block} for p in (PLAIN, *WEIGHTED)]
        blocks.append(point("polarity", 0.8, recall, block=block) | {"dataset": block})
    found = verdicts(frontier_lines(pd.DataFrame(blocks), ()))
    lines = found[found["id"].eq("000-10")]
    assert lines["effect"].tolist() == pytest.approx([1, 1, -1, 1 / 3])
    assert lines["as_claimed"].tolist() == ["yes", "yes", "no", "2 of 3"]


def test_scaled_latents_of_diffusion_models():
    scaled = [
        point("truncation", 0.48, 0.3, 6.0, family="scale", psi=0.7),
        point("truncation", 0.45, 0.4, 4.0, family="scale", psi=0.95),
        point("truncation", 0.60, 0.3, 4.0, family="scale", psi=1.1),
    ]
    table = pd.DataFrame([PLAIN, *WEIGHTED, *scaled])
    found = verdicts(frontier_lines(table, ["a"]))
    lines = found[found["id"].eq("000-11")]
    assert lines["effect"].tolist() == pytest.approx([-0.02, np.log(2)])
    assert "psi 0.7" in lines["notes"].iloc[0]
    found = verdicts(frontier_lines(table, ()))
    assert found[found["id"].eq("000-11")]["verdict"].str.startswith("not tested here").all()


def test_single_repeats_have_no_interval():
    scaled = [point("truncation", 0.48, 0.3, 6.0, repeats=1, family="scale", psi=0.7)]
    found = verdicts(frontier_lines(pd.DataFrame([PLAIN, *WEIGHTED, *scaled]), ["a"]))
    lines = found[found["id"].eq("000-11")]
    assert lines["low"].isna().all() and set(lines["verdict"]) == {"no interval"}


def test_discriminator_methods_against_the_plain_model():
    rivals = [point("drs", 0.5, 0.5, 3.5, setting="DRS, calibrated"), point("dot", 0.6, 0.5, 2.0)]
    found = verdicts(discriminator_lines(pd.DataFrame([PLAIN, *rivals]), REPORTED))
    assert found["id"].tolist() == ["000-12"] * 4 + ["000-13"] * 2
    assert found["effect"].tolist() == pytest.approx([0, 0.1, 0, 0, 0.5, -1])
    assert found["answer"].tolist() == [
        *("no difference seen", "not reproduced at this scale"),
        *("no difference seen", "no difference seen"),
        *("as claimed in this pair", "not reproduced at this scale"),
    ]
    assert found["paper_effect"].tolist()[4:] == pytest.approx([2.95 - 2.79, 3.44 - 2.79])
    assert "DRS, calibrated" in found["measured"].iloc[0]
    none = verdicts(discriminator_lines(pd.DataFrame([PLAIN, *WEIGHTED]), REPORTED))
    assert none["verdict"].str.startswith("not tested here").all() and len(none) == 3


def test_combinations_against_either_alone():
    def line(precision, paper, group="precision", **settings):
        found = point("plain", precision, 0.5) | {"group": group, "at_inference": np.nan}
        found |= {"paper_precision": paper, "paper_recall": np.nan, "tuned_w": np.nan}
        return found | settings

    truncated = {"method": "truncation", "at_inference": "truncation"}
    table = pd.DataFrame(
        [
            line(0.5, 0.685, group=None),
            line(0.7, 0.811, tuned_w=33.0),
            line(0.8, 0.854, **truncated),
            line(0.75, 0.938, tuned_w=33.0, **truncated),
        ]
    )
    found = verdicts(combination_lines(table))
    assert found["effect"].tolist() == pytest.approx([0.05, -0.05])
    assert found["paper_effect"].tolist() == pytest.approx([0.938 - 0.811, 0.938 - 0.854])
    assert found["answer"].tolist() == [
        "as claimed in this pair",
        "not reproduced at this scale",
    ]


def test_likelihood_against_pseudo_density():
    by_density = [{**p, "by": "pseudo density"} for p in WEIGHTED]
    by_likelihood = [
        importance(0.45, 0.45, 0.01, by="log-likelihood"),
        importance(0.7, 0.1, 100.0, by="log-likelihood"),
    ]
    found = verdicts(likelihood_lines(pd.DataFrame([PLAIN, *by_density, *by_likelihood])))
    assert found["effect"].tolist() == pytest.approx([1, 1, -0.05])
    assert found["answer"].iloc[2] == "as claimed in this pair"


# ------------------------------------------------------------------------------- images, costs


def moved(objective, row, changes, block="a"):
    names = {"block": block, "dataset": block, "model": "M", "objective": objective, "row": row}
    return [names | {"sample": i, "change": change} for i, change in enumerate(changes)]


def test_perturbation_over_the_images_of_a_model():
    table = moved("density", "towards", [0.29, 0.3, 0.31]) + moved("density", "original", [0, 0, 0])
    table += moved("density", "away", [-0.2, -0.3, 0.1])
    found = verdicts(perturbation_lines(pd.DataFrame(table)))
    assert found["effect"].tolist()[:2] == pytest.approx([0.3, -0.4 / 3])
    assert found["verdict"].tolist() == [
        *("up in this pair", "undecided"),
        "not tested here: needs people",
    ]
    assert "3 of 3 images" in found["notes"].iloc[0] and "2 of 3" in found["notes"].iloc[1]


def test_objectives_are_compared_image_by_image():
    table = moved("density", "towards", [1.2, 2.3, 3.1]) + moved("density", "away", [9, 9, 9])
    table += moved("discriminator", "towards", [0.2, 1.2, 2.2])
    table += moved("random", "towards", [0.1, -0.1, 0.0])
    found = verdicts(objective_lines(pd.DataFrame(table)))
    low, high = t_interval([1.0, 1.1, 0.9])[1:]
    assert found[["low", "high"]].iloc[0].tolist() == pytest.approx([low, high])
    assert found["answer"].tolist()[:2] == ["as claimed in this pair", "no difference seen"]


def test_densities_by_data_set():
    fit = {"r2": 0.8, "spearman": 0.9}
    qualities = [("bedroom", {"fit": fit, "truth": {"spearman_pseudo_density": 0.6}})]
    qualities += [("digits", {"fit": {"r2": None, "spearman": None}, "truth": None})]
    unique, fitted = density_lines(qualities)
    found = verdicts(unique + fitted)
    assert found["id"].tolist() == ["000-6"] * 2 + ["000-19"] * 3
    assert found["effect"].tolist()[::2][:2] == pytest.approx([0.6, 0.8])
    assert found["verdict"].tolist()[1::3] == ["not tested here: needs people"] * 2
    assert not found["verdict"].str.contains("hold").any()


COSTS = {"tau_percent": np.nan, "w": np.nan, "acceptance": 1.0, "acceptance_closed_form": np.nan}
COSTS |= {"proposals": 1000, "repeats": 3, "paper_seconds_per_1000": np.nan}


def cost(method, seconds, half=0.01, **settings):
    times = {"seconds_per_1000": seconds, "seconds_low": seconds - half}
    return COSTS | times | {"method": method, "seconds_high": seconds + half} | settings


def test_costs():
    table = pd.DataFrame(
        [
            cost("plain", 1.0),
            cost(
                "importance sampling",
                2.0,
                tau_percent=50,
                w=0.01,
                acceptance=0.51,
                acceptance_closed_form=0.5,
                paper_seconds_per_1000=26,
            ),
            cost("importance sampling", 2.0, tau_percent=80, w=33.0),
            cost("DOT, setting of the paper", 20.0, paper_seconds_per_1000=290),
            cost("training", 4.0, paper_seconds_per_1000=56),
            cost("training with importance sampling", 5.0, paper_seconds_per_1000=74),
        ]
    )
    found = verdicts(cost_lines(table, {"block": "a", "dataset": "b", "model": "M"}))
    assert found["id"].tolist() == ["000-15"] * 2 + ["000-16"] * 2
    assert found["effect"].tolist()[:3] == pytest.approx([0.01, np.log(0.1), np.log(1.25)])
    # Of 1,000 coins: 1.96 standard deviations of .0158.
    assert found["high"].iloc[0] - 0.01 == pytest.approx(1.96 * 0.0158, rel=0.01)
    assert found["paper_effect"].tolist()[1:3] == pytest.approx(np.log([26 / 290, 74 / 56]))
    assert found["answer"].tolist()[:3] == [
        "no difference seen",
        *["as claimed in this pair"] * 2,
    ]


# ------------------------------------------------------------------------------- all of them


def test_all_claims_of_the_paper_are_answered(tmp_path, monkeypatch):
    """Also by a config that makes nothing but Table 1."""
    rows, book = make_block("adm-bedroom")
    lines = table1_lines(rows, book, REPORTED)
    monkeypatch.setattr(module, "_of_table1", lambda inputs, settings: lines)
    quality = tmp_path / "quality.json"
    save_json(quality, {"fit": {"r2": 0.8, "spearman": 0.9}, "truth": None})
    reported = CONFIG / "reported"
    inputs = {"reported": reported / "pseudo_density.csv", "catalogue": reported / "claims.csv"}
    settings = {"density_datasets": ["digits"], "diffusion": [], "overhead": {}}
    table = module.claims(inputs | {"density": [quality]}, settings)
    wanted = CATALOGUE.loc[CATALOGUE["paper"].eq(0), "id"].tolist()
    assert len(wanted) == 19 and list(dict.fromkeys(table.frame["id"])) == wanted
    assert table.frame["answer"].notna().all()
    figure = tmp_path / "fig4.csv"
    pd.DataFrame([PLAIN, *WEIGHTED]).to_csv(figure, index=False)
    table = module.claims(inputs | {"density": [quality], "fig4": figure}, settings)
    assert table.frame["id"].eq("000-8").sum() == 6
    # A table that is there and has no rows for the claim: it is not passed over.
    plain = tmp_path / "table3.csv"
    pd.DataFrame([PLAIN | {"group": np.nan, "tuned_w": np.nan}]).to_csv(plain, index=False)
    found = module.claims(inputs | {"density": [quality], "table3": plain}, settings).frame
    (answer,) = found.loc[found["id"].eq("000-17"), "answer"]
    assert answer.startswith("not tested here: table3 of this config has no rows")
    files = [tmp_path / f"claims.{kind}" for kind in ("csv", "md", "tex")]
    write_table(table, *files)
    text = files[1].read_text()
    assert sum(line.startswith("## 000-") for line in text.splitlines()) == 19
    assert "relative to the local spacing of the real images" in text
    assert "this config makes no fig6" in text
