"""The claims of low-density diffusion, answered from small tables whose answer is known."""

import math
from pathlib import Path

import pandas as pd
import pytest

from pseudodensity.papers.low_density.claims import ANSWERS, claims
from pseudodensity.papers.low_density.claims_images import (
    above_lines,
    correlation_lines,
    follows_lines,
    likelihood_lines,
    nearest_lines,
)
from pseudodensity.papers.low_density.claims_sampling import (
    cost_lines,
    fidelity_lines,
    hardness_lines,
    loss_lines,
    smoothing_lines,
    step_lines,
)
from pseudodensity.papers.low_density.targets import ANSWERING

CATALOGUE = Path(__file__).parents[2] / "config/reported/claims.csv"
NAMES = {"block": "adm-digits", "model": "ADM", "dataset": "digits"}
REFUSED = "beta 1 gave no push: the classifier cannot steer"


def estimate(name, effect, error=0.01):
    ends = {f"{name}_low": effect - error, f"{name}_high": effect + error}
    return {name: effect, f"{name}_p": 1e-4 if abs(effect) > error else 0.5} | ends


def score(name, value):
    return {name: value, f"{name}_error": 0.01}


def strengths():
    """Hardness 1 + 10 alpha; beta 0.3 gains .05 of precision, beta 1 is refused."""
    lines = [(None, 0, 0, 0.8, "")]
    lines += [("contrastive", alpha, 0, 0.8 - alpha, "") for alpha in (0.1, 0.3)]
    lines += [("contrastive", 0.3, 0.3, 0.55, ""), ("contrastive", 0.3, 1, 0.5, REFUSED)]
    lines += [("random", alpha, 0, 0.7 - alpha, "") for alpha in (0.1, 0.3)]
    rows = []
    for loss, alpha, beta, precision, note in lines:
        row = NAMES | {"method": "low_density", "loss": loss, "alpha": alpha, "beta": beta}
        row |= score("median_hardness", 1 + 10 * alpha) | score("precision", precision)
        matched = math.nan if loss != "contrastive" or beta else 0.1
        rows.append(row | {"repeats": 4, "note": note} | estimate("matched", matched))
    return pd.DataFrame(rows)


def effects(lines):
    return [line.get("effect") for line in lines]


def test_hardness_is_that_of_the_greatest_alpha_of_each_loss():
    found = hardness_lines(strengths())
    assert effects(found) == pytest.approx([3, 3])
    assert "contrastive" in found[0]["measured"] and "random" in found[1]["measured"]
    # Of two means with errors of .01 and 4 repeats each: Welch's interval.
    assert found[0]["high"] - 3 == pytest.approx(2.4469 * math.sqrt(2) * 0.01, rel=1e-3)


def test_a_beta_that_gave_no_push_is_not_tested():
    gained, refused, *beside = fidelity_lines(strengths())
    assert gained["effect"] == pytest.approx(0.05) and gained["sign"] == 1
    assert refused["verdict"].endswith(REFUSED)
    assert effects(beside) == pytest.approx([0.1, 0.1])


def test_a_chance_of_one_half_is_no_effect():
    rows = []
    for name, plain in (("plain", math.nan), ("guided", 0.7), ("random", 0.5), ("gan", 0.3)):
        row = NAMES | {"extractor": "judge", "measure": "avg_knn", "set": name}
        rows.append(row | estimate("above_plain", plain) | estimate("above_held_out", 0.4))
    table = pd.DataFrame(rows)
    guided, random = above_lines("002-3")(table)
    assert guided["effect"] == pytest.approx(0.2) and guided["low"] == pytest.approx(0.19)
    assert random["effect"] == pytest.approx(0) and "AvgkNN in judge" in random["measured"]
    (plain,) = follows_lines(table)
    assert plain["effect"] == pytest.approx(-0.1) and plain["sign"] == 0


def test_ratios_become_logarithms():
    near = NAMES | {"set": "guided"} | estimate("over_reals", 1.2) | {"paper_over_reals": 1.45}
    (line,) = nearest_lines(pd.DataFrame([near, NAMES | {"set": "held-out reals"}]))
    assert line["effect"] == pytest.approx(math.log(1.2))
    assert line["paper_effect"] == pytest.approx(math.log(1.45))
    rows = []
    for number in (1, 2, 3):
        for best, cheaper in ((True, 2.0 * number), (False, 9.0)):
            row = NAMES | {"range": number, "best": best, "alpha": 0.1, "paper_cheaper": math.nan}
            hours = estimate("cheaper_hours", 1.5 * cheaper)
            rows.append(row | estimate("cheaper_calls", cheaper) | hours)
    found = cost_lines(pd.DataFrame(rows))
    assert effects(found) == pytest.approx([math.log(x) for x in (4, 6, 6, 9)])


def test_correlations_likelihoods_losses_and_smoothing():
    rows = [
        NAMES | {"set": name, "title": name} | estimate("avg_knn", 0.3) | estimate("lof", 0.1)
        for name in ("held_out", "gan", "plain")
    ]
    found = correlation_lines("002-9", 1)(pd.DataFrame(rows))
    assert effects(found) == [0.3, 0.1] * 2 and {line["sign"] for line in found} == {1}
    rows = [
        NAMES | {"set": name, "title": name} | estimate("change", change)
        for name, change in (("plain", 0.0), ("guided", -0.5), ("edges", 3.0))
    ]
    assert effects(likelihood_lines(pd.DataFrame(rows))) == [0.0, -0.5]
    rows = [
        NAMES | {"loss": loss, "alpha": 0.1} | estimate("against_reference", value)
        for loss, value in (("contrastive", math.nan), ("plain", -0.02), ("random", -0.2))
    ]
    assert effects(loss_lines(pd.DataFrame(rows))) == [-0.02]
    rows = [
        NAMES | {"smoothing": s, "repeats": 4} | score("precision", 0.8 - s) for s in (0, 0.1, 0.6)
    ]
    assert effects(smoothing_lines(pd.DataFrame(rows))) == pytest.approx([-0.1, -0.6])


def test_few_steps_are_compared_with_plain_and_with_many():
    rows = []
    for steps in (100, 10):
        for role in ("plain", "guided", "random direction"):
            row = NAMES | {"role": role, "steps": float(steps)}
            row |= estimate("median_hardness_change", steps)
            rows.append(row | estimate("precision_beside_most", -0.001 * steps))
    found = step_lines(pd.DataFrame(rows))
    assert effects(found) == pytest.approx([10, -0.01]) and "10 DDIM" in found[0]["measured"]


def test_every_claim_is_answered_and_those_without_a_table_say_so(tmp_path):
    path = tmp_path / "fig4.csv"
    strengths().to_csv(path, index=False)
    frame = claims({"catalogue": CATALOGUE, "fig4": path}, {}).frame
    catalogue = pd.read_csv(CATALOGUE)
    assert (
        set(frame["id"])
        == {c for c in catalogue["id"] if c.startswith("002-")}
        == {a for a, _, _ in ANSWERS}
    )
    other = frame[~frame["id"].isin(["002-1", "002-2"])]
    assert other["verdict"].str.startswith("not tested here").all()
    assert not frame["verdict"].isin(["holds", "does not hold"]).any(), "one training seed"
    assert set(ANSWERING) == {name for _, name, _ in ANSWERS}
