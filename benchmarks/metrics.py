"""CPU time and memory of the metrics beside their peers and the products they cannot do without.

    python benchmarks/metrics.py [--threads 1] [--sizes 5000] [--dim 2048] [--repeats 3]

Prints one table per task, and beneath it the ratios that have a goal. Every measurement runs in a
fresh process on the same normal features (n real and n fake, float32), after a small warm-up; the
methods take turns, and the table shows medians of the repeats. `extra MB` is the peak of resident
memory above the features. `/ products` is CPU time over that of the float32 matrix products of the
full task, which are timed in the same process before and after: on a shared machine only ratios
mean much. `/ ours` is that ratio over the one of the first row. Torch and faiss bring matrix
products of their own: where those of faiss are the faster ones, its ratio may be below 1.
Linux only (it reads the peak from /proc).
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

TILE = 2048  # side of the timed matrix product


def manifold_ours(real, fake):
    from pseudodensity.metrics.manifold import manifold_metrics

    manifold_metrics(real, fake, k=3)


def manifold_scores(real, fake):
    from pseudodensity.metrics import manifold

    manifold.score(manifold.prepare({"features": real}, k=3), {"features": fake})


def manifold_prdc(real, fake):
    import prdc

    prdc.compute_prdc(real, fake, nearest_k=3)


def manifold_torch_fidelity(real, fake):
    import torch
    from torch_fidelity.metric_prc import prc_features_to_metric

    prc_features_to_metric(torch.from_numpy(fake), torch.from_numpy(real), verbose=False)


def knn_ours(real, fake):
    from pseudodensity.neighbors import knn

    knn(real, real, 10, exclude_self=True)


def knn_two_sets(real, fake):
    from pseudodensity.neighbors import knn

    knn(fake, real, 10)


def knn_density_ours(real, fake):
    from pseudodensity.density.knn import knn_density

    knn_density(real, k=10)


def knn_faiss(real, fake):
    import faiss

    index = faiss.IndexFlatL2(real.shape[1])
    index.add(real)
    index.search(real, 11)


def knn_sklearn(real, fake):
    from sklearn.neighbors import NearestNeighbors

    NearestNeighbors(n_neighbors=10, algorithm="brute").fit(real).kneighbors()


def frechet_ours(real, fake):
    from pseudodensity.metrics.frechet import frechet_distance

    frechet_distance(real, fake)


def frechet_sqrtm(real, fake):
    import numpy as np
    from scipy.linalg import sqrtm

    covariances = [np.cov(x, rowvar=False, dtype=np.float64) for x in (real, fake)]
    np.trace(sqrtm(covariances[0] @ covariances[1]))


def frechet_torch_fidelity(real, fake):
    import torch
    from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric

    both = [fid_features_to_statistics(torch.from_numpy(x)) for x in (fake, real)]
    fid_statistics_to_metric(*both, verbose=False)


@dataclass(frozen=True)
class Task:
    """A task: how many n x n x d products it takes, who does it, and the goals.

    methods: name -> (function, bytes of a full matrix that it needs per n^2). goals: (method, what
    its CPU time is divided by: "products" or a method, at most).
    """

    title: str
    products: int
    methods: dict[str, tuple[Callable, int]]
    goals: tuple[tuple[str, str, float], ...] = ()


TASKS = {
    "manifold": Task(
        "precision, recall, density, coverage, k = 3",
        3,
        {
            "manifold_metrics": (manifold_ours, 0),
            "all scores of metrics.manifold": (manifold_scores, 0),
            "prdc": (manifold_prdc, 12),
            "torch-fidelity (precision, recall only)": (manifold_torch_fidelity, 16),
        },
        (("manifold_metrics", "products", 1.15),),
    ),
    "knn": Task(
        "10 nearest neighbours without self",
        1,
        {
            "knn": (knn_ours, 0),
            "knn_density": (knn_density_ours, 0),
            "knn of fake in real": (knn_two_sets, 0),
            "faiss IndexFlatL2 (with self)": (knn_faiss, 0),
            "scikit-learn NearestNeighbors": (knn_sklearn, 0),
        },
        (("knn", "faiss IndexFlatL2 (with self)", 1.2),),
    ),
    "frechet": Task(
        "Fréchet distance",
        0,
        {
            "frechet_distance": (frechet_ours, 0),
            "scipy sqrtm": (frechet_sqrtm, 0),
            "torch-fidelity": (frechet_torch_fidelity, 0),
        },
    ),
}


def clocks() -> tuple[float, float]:
    return time.perf_counter(), time.process_time()


def elapsed(start: tuple[float, float]) -> tuple[float, float]:
    return tuple(now - then for now, then in zip(clocks(), start, strict=True))


def time_products(n: int, dim: int) -> tuple[float, float]:
    """Wall and CPU seconds of one n x n x dim product in float32, from 8 tiles of it."""
    import torch

    left, right = torch.randn(2, TILE, dim)
    out = torch.empty(TILE, TILE)
    torch.mm(left, right.T, out=out)
    start = clocks()
    for _ in range(8):
        torch.mm(left, right.T, out=out)
    return tuple(seconds / 8 * (n / TILE) ** 2 for seconds in elapsed(start))


def resident(field: str) -> float:
    """Resident memory of this process in MB: now (VmRSS) or at its peak (VmHWM)."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(field))


def measure(task: str, method: str, n: int, dim: int, threads: int) -> dict[str, float]:
    """One method in this process; see the module's docstring for the fields."""
    import numpy as np
    import torch

    torch.set_num_threads(threads)
    products = TASKS[task].products
    function = TASKS[task].methods[method][0]
    generator = np.random.default_rng(0)
    real, fake = (generator.standard_normal((n, dim), dtype=np.float32) for _ in range(2))
    function(real[:64, :32].copy(), fake[:64, :32].copy())
    before = time_products(n, dim)
    Path("/proc/self/clear_refs").write_text("5")  # forget the peak so far
    memory = resident("VmRSS")
    start = clocks()
    function(real, fake)
    wall, cpu = elapsed(start)
    extra = resident("VmHWM") - memory
    both = zip(before, time_products(n, dim), strict=True)
    product_wall, product_cpu = (products * sum(pair) / 2 for pair in both)
    return {
        "wall": wall,
        "cpu": cpu,
        "extra": extra,
        "product_wall": product_wall,
        "product_cpu": product_cpu,
    }


def measure_apart(task: str, method: str, n: int, options: argparse.Namespace) -> dict | str:
    """`measure` in a fresh process; a reason instead where it cannot run."""
    needed = TASKS[task].methods[method][1] * n * n / 2**30
    free = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30
    if needed > 0.8 * free:
        return f"skipped: needs {needed:.0f} GB, {free:.0f} GB free"
    threads = str(options.threads)
    names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
    # Waiting threads that spin would count as CPU time.
    environment = os.environ | dict.fromkeys(names, threads) | {"OMP_WAIT_POLICY": "passive"}
    command = [sys.executable, __file__, "--threads", threads, "--dim", str(options.dim)]
    command += ["--only", task, method, str(n)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        return "failed: " + (done.stderr.strip().splitlines() or ["killed"])[-1]
    return json.loads(done.stdout.splitlines()[-1])


def measure_all(task: str, n: int, options: argparse.Namespace) -> dict[str, dict | str]:
    """Medians of every method, which take turns so that a busier minute harms none of them."""
    runs = {method: [] for method in TASKS[task].methods}
    for _ in range(options.repeats):
        for method, results in runs.items():
            results.append(measure_apart(task, method, n, options))
    found = {}
    for method, results in runs.items():
        reasons = [result for result in results if isinstance(result, str)]
        medians = (
            {} if reasons else {k: statistics.median(r[k] for r in results) for k in results[0]}
        )
        found[method] = reasons[0] if reasons else medians
    return found


def print_task(task: str, n: int, options: argparse.Namespace) -> None:
    columns = ("wall s", "CPU s", "extra MB", "/ products", "/ ours")
    print(
        f"\n{TASKS[task].title}; n = {n} real and {n} fake, d = {options.dim}, "
        f"{options.threads} threads\n{'':42}" + "".join(f"{column:>11}" for column in columns)
    )
    found = measure_all(task, n, options)
    shares = {}
    for method, result in found.items():
        if isinstance(result, str):
            print(f"{method:42} {result}", flush=True)
            continue
        # Over the products where there are any, so that each stands by its own process's speed.
        limit = result["product_cpu"]
        shares[method] = result["cpu"] / (limit or 1)
        ratio = shares[method] / next(iter(shares.values()))
        print(
            f"{method:42}{result['wall']:11.2f}{result['cpu']:11.2f}{result['extra']:11.0f}"
            f"{shares[method] if limit else float('nan'):11.2f}{ratio:11.2f}",
            flush=True,
        )
    for method, over, most in TASKS[task].goals:
        if method in shares and over in {"products", *shares}:
            ratio = shares[method] / shares.get(over, 1)
            print(f"{method} over {over}: {ratio:.2f} (goal: at most {most})", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--sizes", type=int, nargs="+", default=[5000])
    parser.add_argument("--dim", type=int, default=2048)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--only", nargs=3, metavar=("TASK", "METHOD", "N"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.only:
        task, method, n = options.only
        print(json.dumps(measure(task, method, int(n), options.dim, options.threads)))
        return
    for n in options.sizes:
        for task in TASKS:
            print_task(task, n, options)


if __name__ == "__main__":
    main()
