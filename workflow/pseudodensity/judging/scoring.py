"""Sets of images chosen by methods, and what one metric says of each repeat of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np

from pseudodensity.columns.pool import Pool, open_pool
from pseudodensity.control.choice import Choice
from pseudodensity.plan.methods import method
from pseudodensity.progress import Progress
from pseudodensity.rng import numpy_generator

__all__ = ["Judge", "measure"]


# Real images of one half that a point must take to be judged; others have no scores.
FEWEST = 10


@dataclass(frozen=True)
class Judge:
    """One metric with its real side.

    Attributes:
        metric: a module of `metrics`. settings: what its `prepare` takes. extractor: whose features it
            looks at, or None.
        features: (N, d) of the real images by that extractor, or None. images: (N, 3, R, R) uint8.
        labels: (N,) int64, their classes, or None where they have none.
    """

    metric: ModuleType
    settings: Mapping[str, Any]
    extractor: str | None
    features: np.ndarray | None
    images: np.ndarray
    labels: np.ndarray | None = None

    def side(self, rows: np.ndarray | None = None) -> Any:
        """The real side, of all real images or of some."""
        given = {"features": self.features, "images": self.images, "labels": self.labels}
        real = {n: given[n] for n in self.metric.NEEDS if given[n] is not None}
        if rows is not None:
            real = {name: values[rows] for name, values in real.items()}
        return self.metric.prepare(real, **self.settings)

    def score(self, side: Any, pool: Pool, rows: np.ndarray) -> dict[str, float]:
        """What the metric says of some rows of a pool, with their mean pseudo density."""
        fake = {}
        if "features" in self.metric.NEEDS:
            fake["features"] = pool.features(self.extractor, rows)
        if "images" in self.metric.NEEDS:
            fake["images"] = pool.images(rows)
        labels = pool.labels(rows) if "labels" in self.metric.NEEDS else None
        if labels is not None:
            fake["labels"] = labels
        mean = float(pool.values("density")[rows].mean(dtype=np.float64))
        return {**self.metric.score(side, fake), "mean_density": mean}


def measure(
    items: Sequence[Mapping[str, Any]],
    judge: Judge,
    labels: np.ndarray,
    seed: int,
    images: int,
    repeats: int,
    progress: Progress,
) -> dict[str, Any]:
    """Scores of some sets: the content of a scores file.

    Args:
        items: sets as `pseudodensity.plan.pools.Item.described` gives them.
        labels: (N,) densities of the real images.
        seed: of the pools.
        images, repeats: of each set. Real images that are no fresh ones are judged half against half,
            all with as many fakes as the strictest point accepts: recall depends on their number. A
            point that takes hardly any has no repeats, and its note says why.

    Returns:
        ``rows``: one per item with pool, point, label, n and n_real (fakes and reals of a repeat),
        facts and repeats.
    """
    halves = [item for item in items if _is_split(item)]
    split = _halved(halves, judge, labels, seed, repeats) if halves else iter(())
    rows, side, opened = [], None, _Opened(labels, seed)
    for done, item in enumerate(items):
        progress.update(done, now=item["label"])
        if _is_split(item):
            rows.append(next(split))
            continue
        side = judge.side() if side is None else side
        pool = opened.pool(item)
        module = method(item["point"]["method"])
        choice = module.choose(pool, item["point"], images, repeats)
        scores = []
        for repeat, chosen in enumerate(choice.rows, 1):
            progress.update(done, now=f"repeat {repeat} of {len(choice.rows)} of {item['label']}")
            scores.append(judge.score(side, pool, chosen))
        counts = {"n": images, "n_real": len(judge.images)}
        rows.append(_row(item, scores, _facts(pool, choice, images, repeats), counts))
    progress.update(len(items))
    return {"rows": rows}


class _Opened:
    """The last pool that was read: items of one pool follow each other."""

    def __init__(self, labels: np.ndarray, seed: int):
        self.labels, self.seed = labels, seed
        self._key: Any = None
        self._pool: Pool | None = None

    def pool(self, item: Mapping[str, Any]) -> Pool:
        """The pool of an item, as far as its point may look."""
        key = (item["described"], item["columns"])
        if key != self._key:
            self._key = key
            self._pool = open_pool(item["described"], item["columns"], self.labels, self.seed)
        return self._pool if item["count"] is None else self._pool.first(item["count"])


def _row(
    item: Mapping[str, Any],
    scores: list[dict[str, float]],
    facts: dict[str, Any],
    counts: Mapping[str, int],
) -> dict[str, Any]:
    names = {key: item[key] for key in ("pool", "point", "label")}
    return {**names, **counts, "facts": facts, "repeats": scores}


def _facts(pool: Pool, choice: Choice, images: int, repeats: int) -> dict[str, Any]:
    chosen = np.concatenate([np.empty(0, np.int64), *choice.rows])
    notes = [choice.note]
    if len(choice.rows) < repeats:
        notes.append(f"the pool holds images for {len(choice.rows)} of {repeats} repeats")
    generated = choice.used if choice.generated is None else choice.generated
    passes = pool.facts.get("passes")
    counted = {"network_passes": sum(passes.values())} if passes else {}
    return {
        "acceptance": choice.acceptance,
        "acceptance_closed_form": choice.expected,
        "ess": choice.ess,
        "unique": len(np.unique(chosen)),
        "generator_calls": generated * pool.calls,
        "pool_calls": len(pool) * pool.calls,
        "training_acceptance": pool.facts.get("acceptance"),
        "how": pool.facts.get("how", ""),
        "note": "; ".join(filter(None, notes)),
    } | counted


# ---------------------------------------------------------------- one half against the other


def _is_split(item: Mapping[str, Any]) -> bool:
    """Whether its images are those of the data set, which must not be judged against themselves."""
    return method(item["point"]["method"]).POOL == "reals" and item["count"] is None


def _halved(
    items: Sequence[Mapping[str, Any]], judge: Judge, labels: np.ndarray, seed: int, repeats: int
) -> Any:
    """Rows of the scores file: accepted images of one half against all of the other."""
    pool = open_pool(items[0]["described"], {}, labels, seed)
    total, accepted, closed = len(pool), [], []
    for item in items:
        # One image at a time: all that are accepted.
        choice = method(item["point"]["method"]).choose(pool, item["point"], 1, total)
        accepted.append(np.concatenate([np.empty(0, np.int64), *choice.rows]))
        closed.append(choice.expected)
    orders = [numpy_generator(seed, "halves", r).permutation(total) for r in range(repeats)]
    middle = total // 2
    chosen = [[o[:middle][np.isin(o[:middle], rows)] for rows in accepted] for o in orders]
    sizes = np.array([[len(rows) for rows in halves] for halves in chosen])
    measured = sizes.min(0) >= FEWEST
    if not measured.any():
        raise ValueError(
            f"no point takes {FEWEST} of {middle} real images, one half of the data set: give it more "
            "images, or take a w nearer to 1"
        )
    fewest = int(sizes[:, measured].min())
    counts = {"n": fewest, "n_real": total - middle}
    scores: list[list[dict[str, float]]] = [[] for _ in items]
    for order, halves in zip(orders, chosen, strict=True):
        side = judge.side(order[middle:])
        for target, rows, enough in zip(scores, halves, measured, strict=True):
            if enough:
                target.append(judge.score(side, pool, rows[:fewest]))
    few = f"it takes fewer than {FEWEST} of {middle} real images"
    for item, found, rows, expected in zip(items, scores, accepted, closed, strict=True):
        facts = {
            "acceptance": len(rows) / total,
            "acceptance_closed_form": expected,
            "ess": None,
            "unique": len(rows),
            "generator_calls": 0,
            "pool_calls": 0,
            "training_acceptance": None,
            "how": "one half of the data set against the other",
            "note": "repeats share images: intervals are too narrow" if found else few,
        }
        yield _row(item, found, facts, counts)
