"""What is said where the real/synthetic classifier must not steer, so that beta does nothing."""

from __future__ import annotations

from collections.abc import Iterable

from pseudodensity.control.guide.low_density_sampling import FEW_PUSHES, NO_PUSH

__all__ = ["refusal_of", "told_of_beta"]


def refusal_of(notes: Iterable[object]) -> str:
    """A sentence for a caption from the notes of sets of images; "" where beta pushed, or none is asked.

    notes: column ``note`` of a table, with NaN where there is none.
    """
    for note in notes:
        if isinstance(note, str) and NO_PUSH in note:
            return (
                f"H' was refused, so that beta does nothing here: {note.partition(NO_PUSH)[2][2:]}."
            )
    return ""


def told_of_beta(notes: Iterable[object]) -> str:
    """`refusal_of`, or a sentence on the few steps in which beta pushed; "" where it always did."""
    notes = list(notes)
    few = [note for note in notes if isinstance(note, str) and FEW_PUSHES in note]
    return refusal_of(notes) or (f"{few[0][0].upper()}{few[0][1:]}." if few else "")
