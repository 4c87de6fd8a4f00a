"""Generator calls of a frontier against those of its most demanding single point, per model.

    python benchmarks/frontier.py results/frontier/*.json

`most demanding` is the point of importance sampling that looked at the most proposals: what it
alone would have cost. `figure 4` is what all its points cost together: the largest pool that one
of them needed, and the images that truncation made for itself. DOT makes images too, but belongs to
figure 6. The goal is a ratio of at most 1.3. `alone` is what every point would cost on its own.
`acceptance` is the smallest ratio of measured acceptance and closed form over the points; the goal
is 0.95. `density` is what pseudo density adds to the seconds of plain generation.
"""

import argparse
import json
from pathlib import Path

METHODS = ("plain", "importance", "truncation", "polarity")


def summary(scores: dict) -> dict[str, float]:
    """The columns of one model from the content of its scores file."""
    points = [point for point in scores["points"] if point["method"] in METHODS]
    drawn = [point for point in points if point["method"] != "truncation"]
    most = max(p["generator_calls"] for p in points if p["method"] in ("plain", "importance"))
    made = sum(calls for name, calls in scores["calls"].items() if name.startswith("truncation"))
    ratios = [
        point["acceptance"] / point["acceptance_closed_form"]
        for point in points
        if point["method"] == "importance"
    ]
    seconds = scores["seconds"]
    return {
        "most demanding": most,
        "figure 4": max(p["generator_calls"] for p in drawn) + made,
        "ratio": (max(p["generator_calls"] for p in drawn) + made) / most,
        "drawn": scores["calls"]["pool"] + made,
        "drawn ratio": (scores["calls"]["pool"] + made) / most,
        "alone": sum(point["generator_calls"] for point in points),
        "acceptance": min(ratios, default=float("nan")),
        "density %": 100 * seconds["steering"] / seconds["generator"],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("scores", nargs="+", type=Path, help="results/frontier/*.json")
    for path in parser.parse_args().scores:
        columns = summary(json.loads(path.read_text()))
        print(path.stem)
        for name, value in columns.items():
            print(f"  {name:15s} {value:,.3f}" if value < 100 else f"  {name:15s} {value:,.0f}")


if __name__ == "__main__":
    main()
