"""What all tests share: one thread of torch, and a copy of the workflow to run for real."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from pseudodensity.plan.config import load_config

# Before torch is imported anywhere: tests run beside each other and beside trainings, and on a GPU with the
# rounding that jobs of the workflow have there.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("NVIDIA_TF32_OVERRIDE", "0")

ROOT = Path(__file__).parents[1]
SMOKE = "config/scales/smoke.yaml"


def one_block() -> dict:
    """An overlay of the smoke scale: the block with frozen features, filtered fakes, real images.

    All that is made stands on one data set, and each method has a point or two: a job costs seconds,
    whatever it computes, so what counts is how many there are.
    """
    model = yaml.safe_load((ROOT / SMOKE).read_text())["models"]["projectedgan"]
    # One number of images for all rows, so that one control serves them all.
    tuning = {"fid_images": model["finetuning"]["images"]}
    every = ["plain", "importance", "oracle", "training_copies"]
    extractors = ("density_vit", "judge_cnn", "backbone_cnn")
    few = {"truncation": {"scale": [0.7], "style": [0.7], "resample": [0.7]}}
    return {
        "extractors": {name: {"trained_on": ["digits"]} for name in extractors},
        "models": {"projectedgan": {"finetuning": tuning}, "vqgpt": likely_on_digits()},
        "frontier": {"methods": {"every": every, "projectedgan": ["truncation", "budgeted"]}},
        "papers": {
            "pseudo_density": {
                "blocks": ["projectedgan-digits"],
                "fig4": few,
                # Nothing is fine-tuned and then combined: that asks for no rule of its own.
                "table3": {"groups": []},
            },
            "diverse_rare": {"block": {"model": "projectedgan", "dataset": "digits"}, "small": []},
        },
    }


def likely_on_digits() -> dict:
    """The model with an exact likelihood (figure 7) of the smoke scale, on the block's data set.

    Its recipe is named again: an entry that names its architecture replaces the other one whole.
    """
    models = load_config(ROOT / "config/config.yaml", [ROOT / SMOKE], {})["models"]
    return models["vqgpt"] | {"pretraining": {"digits": models["vqgpt"]["pretraining"]["church"]}}


class Workflow:
    """A copy of the workflow in a folder of its own, and Snakemake on it.

    The copy imports its own package, not the installed one, so that a test may edit files.
    """

    overlays = (SMOKE, "one_block.yaml")
    # Every rule but the one that imports public checkpoints.
    targets = ("all", "docs/findings.md", "results/density/digits.csv", "results/table2.csv")
    targets += ("results/fig8.png", "results/overhead.csv")
    targets += ("results/frontier/projectedgan-digits.wanted.csv",)
    targets += ("results/latent_reweighting/fig2.csv",)
    targets += ("results/diverse_rare/fig8.csv", "results/diverse_rare/fig1.png")

    def __init__(self, folder: Path, source: Path = ROOT):
        self.folder = folder
        for name in ("workflow", "config", "profiles", "envs"):
            ignored = shutil.ignore_patterns("__pycache__")
            shutil.copytree(source / name, folder / name, symlinks=True, ignore=ignored)
        shutil.copy(source / "Snakefile", folder)
        self.write("one_block.yaml", one_block())

    @property
    def command(self) -> tuple[str, ...]:
        """Arguments of Snakemake for the one block."""
        return self.asking(*self.targets)

    def asking(self, *targets: str, overlays: tuple[str, ...] = ()) -> tuple[str, ...]:
        """Arguments of Snakemake for targets of the one block, with further overlays."""
        return ("--cores", "2", "--configfile", *self.overlays, *overlays, "--", *targets)

    def write(self, name: str, content: dict) -> str:
        """Write an overlay; its path, to hand to ``--configfile``."""
        (self.folder / name).write_text(yaml.safe_dump(content, sort_keys=False))
        return name

    @property
    def environment(self) -> dict[str, str]:
        """Where the copy's own package and the tests' own programs are found first."""
        return os.environ | {
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": str(self.folder / "workflow"),
            "OMP_NUM_THREADS": "1",
        }

    def start(self, *arguments: str, **options) -> subprocess.Popen:
        """Snakemake in a process group of its own."""
        return subprocess.Popen(
            [str(Path(sys.executable).parent / "snakemake"), *arguments],
            cwd=self.folder,
            env=self.environment,
            start_new_session=True,
            text=True,
            **options,
        )

    def run(self, *arguments: str) -> subprocess.CompletedProcess:
        """Snakemake to its end: return code, stdout and stderr."""
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        process = self.start(*arguments, **pipes)
        out, error = process.communicate()
        return subprocess.CompletedProcess(process.args, process.returncode, out, error)


@pytest.fixture
def workflow(tmp_path) -> Workflow:
    """A fresh copy of the workflow."""
    return Workflow(tmp_path)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What asks for the block that is made comes first: with two processes, the others run beside it."""
    items.sort(key=lambda item: "made_block" not in item.fixturenames)


@pytest.fixture(scope="session")
def made_block(tmp_path_factory) -> Workflow:
    """A copy in which one block of Table 1 has been made from nothing. It takes minutes.

    All tests that ask for it stand in one file, so that one process makes it.
    """
    workflow = Workflow(tmp_path_factory.mktemp("made"))
    done = workflow.run(*workflow.command)
    (workflow.folder / "output").write_text(done.stdout + done.stderr)
    assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]
    return workflow


def pytest_addoption(parser: pytest.Parser) -> None:
    """Where tests marked gpu compute; `cpu` runs them without a card, against themselves."""
    parser.addoption("--device", default="cuda", help="device of tests marked gpu")


DIFFERENCES = pytest.StashKey[dict[str, float]]()


@pytest.fixture(params=["second", pytest.param("card", marks=pytest.mark.gpu)])
def compared(request: pytest.FixtureRequest):
    """What a computation gives on another device, held against what it gives on the CPU.

    Twice: on a stand-in for a second device, which refuses mixtures, and (-m gpu) on a card.
    """
    import torch  # a process that only starts Snakemake spares it
    from second_device import NAME, SecondDevice, compare
    from torch.nn.attention import SDPBackend, sdpa_kernel

    if request.param == "second":
        # torch has a kernel of attention for the CPU that it does not take for a stand-in.
        with SecondDevice(), sdpa_kernel(SDPBackend.MATH):
            yield lambda compute, tolerance=None: compare(compute, NAME, 1e-6)
        return
    device = request.config.getoption("--device")
    if torch.device(device).type == "cuda" and not torch.cuda.is_available():
        pytest.skip("torch sees no GPU; --device cpu runs the test on the CPU")
    found = request.config.stash.setdefault(DIFFERENCES, {})

    # Of the largest number. Sums of float32 in another order differ by 1e-6 to 1e-5, those of a deep network
    # and its slopes by some times as much; TF32, which is off, by 1e-3.
    def on_card(compute, tolerance: float = 2e-4) -> None:
        found[request.node.name] = compare(compute, device, tolerance)

    yield on_card


def pytest_terminal_summary(terminalreporter, config: pytest.Config) -> None:
    """The record of a run on a card: which, and how far its results are from those of the CPU."""
    found = config.stash.get(DIFFERENCES, {})
    if not found:
        return
    import torch

    device = torch.device(config.getoption("--device"))
    card = torch.cuda.get_device_name(device) if device.type == "cuda" else "no card, the CPU"
    terminalreporter.write_line(f"{card}; torch {torch.__version__}, CUDA {torch.version.cuda}")
    for name, difference in sorted(found.items(), key=lambda item: -item[1])[:10]:
        terminalreporter.write_line(f"{difference:.1e} of the largest number: {name}")
