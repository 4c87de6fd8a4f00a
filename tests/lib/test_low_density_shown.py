"""The pictures of low-density diffusion: what their arrays hold, and what is said where H' was refused."""

from __future__ import annotations

import math

import pytest

from pseudodensity.control.guide.low_density_sampling import FEW_PUSHES, NO_PUSH
from pseudodensity.papers.low_density.refusal import refusal_of, told_of_beta


@pytest.mark.parametrize(
    ("notes", "told"),
    [
        ([math.nan, "", "one repeat"], ""),
        (
            [math.nan, f"beta 1 {NO_PUSH}: it is at chance"],
            "H' was refused, so that beta does nothing here: it is at chance.",
        ),
    ],
)
def test_a_caption_says_why_a_classifier_was_refused(notes, told):
    assert refusal_of(notes) == told_of_beta(notes) == told


def test_a_caption_says_in_how_few_steps_beta_pushed():
    notes = ["", f"beta 1 {FEW_PUSHES} 2 of 4 steps: it is at chance"]
    assert refusal_of(notes) == ""
    assert told_of_beta(notes) == "Beta 1 pushed in 2 of 4 steps: it is at chance."
    refused = [*notes, f"beta 2 {NO_PUSH}: it overfits"]
    assert told_of_beta(refused) == refusal_of(refused) != ""
