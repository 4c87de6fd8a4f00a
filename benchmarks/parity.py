"""Our numbers beside those of other programs, on the same arrays.

    python benchmarks/parity.py [--images 1000] [--dim 64] [--csv results/parity.csv]

One line per number, program and pair of sets; writes them as CSV too. `agrees` says whether both are
within the tolerance, relative to ours. Where a program is known to differ, `why` says so: such lines
are shown, and do not fail the run. A program that is not installed is named with the command that
installs it. Exit status 1: some number differs and nothing says why.
"""

import argparse
import importlib.util
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from pseudodensity.metrics import kernel
from pseudodensity.metrics.frechet import frechet_distance
from pseudodensity.metrics.manifold import manifold_metrics

K = 3
FAR = "moved by 1000"
PRODUCTS = "it takes distances from float32 products that are not centred"
OVERFLOW = "its kernel matrix is float32, and numbers of 1e18 cancel"


def normal(n: int, d: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((n, d), dtype=np.float32)


def pairs(n: int, d: int) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Name -> real and fake features."""
    real, fake = normal(n, d, 0), 1.1 * normal(n, d, 1) + np.float32(0.1)
    few = n // 5
    return {
        "plain": (real, fake),
        "one set": (real, real.copy()),
        "each five times": (np.tile(real[:few], (5, 1)), np.tile(fake[:few], (5, 1))),
        FAR: (real + 1000, fake + 1000),
        "fewer samples than dimensions": (real[: d // 2 + 2], fake[: d // 2 + 2]),
    }


def ours(real: np.ndarray, fake: np.ndarray) -> dict[str, float]:
    """All that others have. "<": balls without their border, the convention of prdc and piq."""
    open_balls = manifold_metrics(real, fake, K, inclusive=False)
    kid = kernel.score(kernel.prepare({"features": real}), {"features": fake})["kid"]
    return {
        "fid": frechet_distance(real, fake),
        "kid": kid,
        **manifold_metrics(real, fake, K),
        **{f"{name} <": value for name, value in open_balls.items()},
    }


def torch_fidelity(real: np.ndarray, fake: np.ndarray) -> dict[str, float]:
    from torch_fidelity import metric_fid, metric_kid, metric_prc

    sets = [torch.from_numpy(x) for x in (fake, real)]
    statistics = [metric_fid.fid_features_to_statistics(x) for x in sets]
    fid = metric_fid.fid_statistics_to_metric(*statistics, verbose=False)
    kid = metric_kid.kid_features_to_metric(
        *sets, kid_subsets=1, kid_subset_size=len(real), verbose=False
    )
    found = metric_prc.prc_features_to_metric(*sets, prc_neighborhood=K, verbose=False)
    return {
        "fid": fid[metric_fid.KEY_METRIC_FID],
        "kid": kid[metric_kid.KEY_METRIC_KID_MEAN],
        "precision": found[metric_prc.KEY_METRIC_PRECISION],
        "recall": found[metric_prc.KEY_METRIC_RECALL],
    }


def prdc(real: np.ndarray, fake: np.ndarray) -> dict[str, float]:
    from prdc import compute_prdc

    return {f"{name} <": value for name, value in compute_prdc(real, fake, nearest_k=K).items()}


def piq(real: np.ndarray, fake: np.ndarray) -> dict[str, float]:
    import piq

    sets = [torch.from_numpy(x) for x in (real, fake)]
    precision, recall = piq.PR(nearest_k=K).compute_metric(*sets)
    kid = piq.KID(average=False, subset_size=len(real)).compute_metric(*sets)
    return {
        "fid": float(piq.FID().compute_metric(*sets)),
        "kid": float(kid),
        "precision <": float(precision),
        "recall <": float(recall),
    }


def clean_fid(real: np.ndarray, fake: np.ndarray) -> dict[str, float]:
    from cleanfid import fid

    both = [(x.mean(0), np.cov(x, rowvar=False)) for x in (real, fake)]
    distance = fid.frechet_distance(*both[0], *both[1])
    kid = fid.kernel_distance(fake, real, num_subsets=1, max_subset_size=len(real))
    return {"fid": float(distance), "kid": float(kid)}


@dataclass(frozen=True)
class Peer:
    """A program. module: what it is imported as. why: (number, pair) -> why it differs there."""

    name: str
    module: str
    measure: Callable[[np.ndarray, np.ndarray], dict[str, float]]
    why: dict[tuple[str, str], str]


PEERS = (
    Peer(
        "torch-fidelity",
        "torch_fidelity",
        torch_fidelity,
        {("precision", FAR): PRODUCTS, ("recall", FAR): PRODUCTS, ("kid", FAR): OVERFLOW},
    ),
    Peer("prdc", "prdc", prdc, {}),
    Peer(
        "piq",
        "piq",
        piq,
        {
            ("precision <", "plain"): "it takes distances within 1e-5 of a radius for equal to it",
            ("precision <", FAR): PRODUCTS,
            ("recall <", FAR): PRODUCTS,
            ("kid", FAR): OVERFLOW,
        },
    ),
    Peer("clean-fid", "cleanfid", clean_fid, {("kid", FAR): OVERFLOW}),
)
# Relative; of a share that is counted only the rounding of float32.
TOLERANCES, ROUNDING = {"fid": 1e-3, "kid": 1e-3}, 1e-6
COLUMNS = [
    "pair",
    "number",
    "program",
    "ours",
    "theirs",
    "difference",
    "tolerance",
    "agrees",
    "why",
]


def compared(peer: Peer, sets: dict[str, tuple[np.ndarray, np.ndarray]]) -> list[dict]:
    """Lines of one program."""
    lines = []
    for pair, (real, fake) in sets.items():
        known = ours(real, fake)
        try:
            found = peer.measure(real, fake)
        except Exception as error:  # noqa: BLE001 (whatever a program raises is its answer)
            said = " ".join(f"{type(error).__name__}: {error}".split())
            lines.append({"pair": pair, "program": peer.name, "agrees": "no answer", "why": said})
            continue
        for number, theirs in found.items():
            tolerance = TOLERANCES.get(number, ROUNDING) * max(abs(known[number]), 1e-3)
            difference = theirs - known[number]
            line = {"pair": pair, "number": number, "program": peer.name, "ours": known[number]}
            line |= {"theirs": theirs, "difference": difference, "tolerance": tolerance}
            line["agrees"] = "yes" if abs(difference) <= tolerance else "no"
            line["why"] = "" if line["agrees"] == "yes" else peer.why.get((number, pair), "")
            lines.append(line)
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--images", type=int, default=1000)
    parser.add_argument("--dim", type=int, default=64)
    parser.add_argument("--csv", type=Path, default=Path("results/parity.csv"))
    options = parser.parse_args()
    torch.set_num_threads(1)
    sets, lines = pairs(options.images, options.dim), []
    for peer in PEERS:
        if importlib.util.find_spec(peer.module) is None:
            why = f"not installed: pip install {peer.name}"
            lines.append({"program": peer.name, "agrees": "skipped", "why": why})
        else:
            lines += compared(peer, sets)
    frame = pd.DataFrame(lines, columns=COLUMNS)
    options.csv.parent.mkdir(parents=True, exist_ok=True)
    frame.to_csv(options.csv, index=False, float_format="%.6g", lineterminator="\n")
    print(frame.to_string(index=False, na_rep="", float_format=lambda value: f"{value:.6g}"))
    unexplained = frame[frame["agrees"].eq("no") & frame["why"].eq("")]
    if len(unexplained):
        sys.exit(f"{len(unexplained)} numbers differ from ours, and nothing says why")


if __name__ == "__main__":
    main()
