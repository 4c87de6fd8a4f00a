"""The pictures of low-density diffusion: what their arrays hold, and what is said where H' was refused."""

from __future__ import annotations

import math

import pytest

from pseudodensity.control.guide.low_density_sampling import NO_PUSH
from pseudodensity.papers.low_density.refusal import refusal_of


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
    assert refusal_of(notes) == told
