"""The list of points of a frontier, who can be asked for what, and how many proposals it takes."""

import pytest

from pseudodensity.plan.declared import modules_declaring
from pseudodensity.sweeps import (
    METHODS,
    PLAIN,
    check_methods,
    customary_family,
    frontier_points,
    importance_points,
    join_points,
    label,
    proposals_needed,
    why_not,
)

GRID = {
    "importance": {"tau": [20, 80], "w": [0.1, 10.0]},
    "fid": {"tau": [20], "w": [0.1, 1.0, 2.0]},
    "truncation": {"style": [0.5, 0.7], "scale": [0.9], "resample": [1.0]},
    "polarity": {"exponents": [-1.0, 1.0], "replacement": [True, False]},
}


def test_points_are_those_asked_for_plain_first_and_none_twice():
    assert frontier_points(GRID) == [
        PLAIN,
        *importance_points([20, 80], [0.1, 10.0]),
        {"method": "importance", "tau": 20, "w": 2.0},
    ]
    points = frontier_points(GRID, ["style", "polarity", "drs", "dot"])
    kinds = [point["method"] for point in points]
    assert [kinds.count(kind) for kind in ("truncation", "polarity", "drs", "dot")] == [2, 4, 3, 2]
    assert len({label(point) for point in points}) == len(points)
    assert join_points(points, points) == points


def test_every_architecture_says_what_it_serves_and_why_not_the_rest():
    for name in modules_declaring("generators", "DECLARATION"):
        for method in METHODS:
            reason = why_not(name, method)
            if reason is None:
                check_methods("mine", name, [method])
                continue
            with pytest.raises(ValueError, match=f"^{method} is asked of mine, which is {name}: "):
                check_methods("mine", name, [method])
    assert customary_family("stylegan2") == "style" and customary_family("diffusion") == "scale"
    with pytest.raises(ValueError, match="know no truncation"):
        customary_family("vqgpt")
    with pytest.raises(ValueError, match="no method 'magic'"):
        why_not("stylegan2", "magic")


@pytest.mark.parametrize("architecture", ["diffusion", "external", "vqgpt"])
def test_a_model_without_a_discriminator_is_told_so(architecture):
    assert "discriminator" in why_not(architecture, "drs")
    assert "discriminator" in why_not(architecture, "dot")


def test_proposals_by_the_closed_form():
    assert proposals_needed(1.0, 7) == 7
    assert proposals_needed(0.25, 7) == 28
    for wrong in (0.0, 1.5, float("nan")):
        with pytest.raises(ValueError, match="probability"):
            proposals_needed(wrong, 7)
