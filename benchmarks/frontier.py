"""Generator calls of a frontier against those of its most demanding single point, per model.

    python benchmarks/frontier.py results/frontier/*.csv

`most demanding` is the point of importance sampling that looked at the most proposals: what it alone
would have cost. `together` is what all points of the frontier cost: the largest pool that one of them
needed, and the images that methods made for themselves. The goal is a ratio of at most 1.3. `alone` is
what every point would cost on its own. `acceptance` is the smallest ratio of measured acceptance and
closed form over the points of importance sampling; the goal is 0.95.
"""

import argparse
from pathlib import Path

import pandas as pd

OWN = ("truncation", "dot")  # methods that make their images themselves
REALS = ("held_out", "oracle", "training_copies")  # no generator is called


def summary(points: pd.DataFrame) -> dict[str, float]:
    """The columns of one model from its table of points."""
    points = points[points["generator_calls"].notna() & ~points["method"].isin(REALS)]
    own = points["method"].isin(OWN)
    importance = points[points["method"].eq("importance")]
    most = points[points["method"].isin(("plain", "importance"))]["generator_calls"].max()
    together = points[~own]["generator_calls"].max() + points[own]["generator_calls"].sum()
    ratios = importance["acceptance"] / importance["acceptance_closed_form"]
    return {
        "most demanding": most,
        "together": together,
        "ratio": together / most,
        "alone": points["generator_calls"].sum(),
        "acceptance": ratios.min(),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("tables", nargs="+", type=Path, help="results/frontier/*.csv")
    for path in parser.parse_args().tables:
        print(path.stem)
        for name, value in summary(pd.read_csv(path)).items():
            print(f"  {name:15s} {value:,.3f}" if value < 100 else f"  {name:15s} {value:,.0f}")


if __name__ == "__main__":
    main()
