"""The ledger: its stages name what the papers make, and a model that was pushed is trained nowhere again."""

import re
import subprocess
from pathlib import Path

import pytest
import yaml
from conftest import ROOT, SMOKE, Workflow

from pseudodensity.plan.config import load_config
from pseudodensity.plan.plan import Plan

# Tables of single blocks and models, whose names depend on the config.
FOLDERS = ("results/frontier", "results/table1")


def plan_of(*overlays: Path) -> Plan:
    config = load_config(ROOT / "config/config.yaml", list(overlays), {})
    return Plan(config, ROOT / "workflow/schemas", ROOT / "config/papers")


@pytest.fixture(scope="module")
def plan() -> Plan:
    """The plan of the default config."""
    return plan_of()


@pytest.fixture(scope="module")
def stages() -> dict[str, dict]:
    """Paper -> its stage."""
    return yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]


def outs(stage: dict) -> dict[str, dict]:
    """Path -> its flags."""
    return {path: flags for out in stage["outs"] for path, flags in out.items()}


def test_every_paper_that_this_config_makes_has_a_stage_that_asks_for_all_of_it(plan, stages):
    made = {
        paper for paper, targets in plan.of_paper.items() if any(not t.missing for t in targets)
    }
    assert set(stages) == made
    for paper, stage in stages.items():
        assert stage["cmd"] == f"snakemake {paper} --cores all"
        assert f"config/papers/{paper}.yaml" in stage["deps"]
        for path in stage["deps"]:
            assert (ROOT / path).exists(), path


def test_every_table_of_a_paper_stands_in_its_stage_and_nothing_else_does(plan, stages):
    for paper, stage in stages.items():
        listed = {path for path in outs(stage) if path.endswith(".csv")}
        makes = {path for t in plan.of_paper[paper] if not t.missing for path in t.outputs}
        tables = {path for path in makes if path.endswith(".csv")}
        folders = [folder for folder in FOLDERS if folder in outs(stage)]
        inside = {path for path in tables if path.startswith(tuple(f"{f}/" for f in folders))}
        assert listed == tables - inside, paper
        assert all(any(path.startswith(f"{f}/") for path in inside) for f in folders)


def test_what_takes_training_is_kept_in_one_stage_and_removed_by_none(plan, stages):
    """DVC removes what is not persistent, and refuses a path that two stages have."""
    kinds = ("trained", "finetuned", "auxiliary", "extractor", "experiment", "feature_density")
    kinds += ("data", "features", "density")  # what they are made from
    needed = {"/".join(a.path.split("/")[:2]) for a in plan.artifacts.values() if a.kind in kinds}
    stored = [
        path
        for stage in stages.values()
        for path, flags in outs(stage).items()
        if flags.get("cache", True)
    ]
    assert sorted(stored) == sorted(needed)
    assert all(
        flags["persist"] is True for stage in stages.values() for flags in outs(stage).values()
    )


# ------------------------------------------------------------------------------- for real


class Ledger(Workflow):
    """A copy of the workflow under git and DVC, or a clone of one."""

    def tool(self, *command: str) -> subprocess.CompletedProcess:
        """A program in the folder: return code, and all that it says as stdout."""
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
        environment = self.environment | {"GIT_CONFIG_GLOBAL": "/dev/null"}
        return subprocess.run(
            command, cwd=self.folder, env=environment, text=True, check=False, **pipes
        )

    def done(self, *command: str) -> str:
        """What a program says that must not fail."""
        found = self.tool(*command)
        assert found.returncode == 0, f"{command}: {found.stdout[-3000:]}"
        return found.stdout

    def commit(self) -> None:
        """All files as they are."""
        who = ("-c", "user.name=test", "-c", "user.email=test@localhost")
        self.done("git", "add", "--all")
        self.done("git", *who, "commit", "--quiet", "--message", "as it is")

    def clone(self, folder: Path) -> "Ledger":
        """A fresh one, as of a colleague: what git has, and no results."""
        self.done("git", "clone", "--quiet", str(self.folder), str(folder))
        fresh = object.__new__(Ledger)
        fresh.folder = folder
        assert not list(folder.glob("results/checkpoints"))
        return fresh


@pytest.fixture(scope="module")
def pushed(tmp_path_factory) -> tuple[Ledger, Path, str]:
    """A ledger of one small model that was made and pushed; the store; where the model lies."""
    ledger = Ledger(tmp_path_factory.mktemp("ledger"))
    for name in (".gitignore", ".dvcignore"):
        (ledger.folder / name).write_text((ROOT / name).read_text())
    checkpoint = plan_of(ROOT / SMOKE).models.pretrained("projectedgan", "digits", 0).path
    # The stage of the paper, asked for one model of it.
    stage = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]["pseudo_density"]
    kept = ("results/checkpoints", "results/data", "results/extractors")
    stage |= {
        "cmd": f"snakemake --cores 1 --configfile {SMOKE} -- {checkpoint}",
        "outs": [{path: flags} for path, flags in outs(stage).items() if path in kept],
    }
    ledger.write("dvc.yaml", {"stages": {"pseudo_density": stage}})
    store = tmp_path_factory.mktemp("store")
    ledger.done("git", "init", "--quiet")
    ledger.done("dvc", "init", "--quiet")
    ledger.done("dvc", "remote", "add", "-d", "store", str(store))
    ledger.done("dvc", "remote", "modify", "store", "verify", "true")
    ledger.done("dvc", "repro")
    ledger.commit()
    ledger.done("dvc", "push")
    assert (ledger.folder / checkpoint).is_file()
    return ledger, store, checkpoint


@pytest.mark.slow
def test_what_was_pulled_into_a_fresh_clone_is_not_trained_again(pushed, tmp_path):
    ledger, _, checkpoint = pushed
    fresh = ledger.clone(tmp_path / "fresh")
    fresh.done("dvc", "pull")
    assert (fresh.folder / checkpoint).read_bytes() == (ledger.folder / checkpoint).read_bytes()
    smoke = ("--configfile", SMOKE)
    touched = fresh.run("--touch", "--cores", "1", *smoke)
    assert touched.returncode == 0, touched.stderr[-3000:]
    assert "Nothing to be done" in fresh.done("snakemake", "-n", *smoke, "--", checkpoint)
    # What stands on the model is made, and the model is not.
    planned = fresh.done("snakemake", "-n", *smoke, "--", "results/table1/projectedgan-digits.csv")
    jobs = {line.split()[0] for line in planned.splitlines() if line[-1:].isdigit()}
    assert "finetuned" in jobs and "trained" not in jobs


@pytest.mark.slow
def test_a_file_that_was_changed_in_the_store_is_refused(pushed, tmp_path):
    ledger, store, checkpoint = pushed
    content = (ledger.folder / checkpoint).read_bytes()
    (stored,) = [p for p in store.rglob("*") if p.is_file() and p.read_bytes() == content]
    stored.chmod(0o644)
    try:
        stored.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
        fresh = ledger.clone(tmp_path / "fresh")
        pulled = fresh.tool("dvc", "pull")
        assert pulled.returncode != 0, pulled.stdout
        assert re.search(r"failed for following targets:\s+results/checkpoints\n", pulled.stdout)
        assert not (fresh.folder / checkpoint).exists()
    finally:
        stored.write_bytes(content)
