"""Messages of other libraries within our own."""

__all__ = ["one_line"]

LONGEST = 200  # characters: PyTorch lists every weight that does not fit


def one_line(error: Exception) -> str:
    """What an error says, on one line and cut to a readable length; its type if it says nothing."""
    return " ".join(str(error).split())[:LONGEST] or type(error).__name__
