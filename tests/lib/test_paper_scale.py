"""What the papers' scale costs, from the jobs of a small run: on made-up jobs whose cost is known."""

import csv
from pathlib import Path

import pandas as pd
import pytest
import yaml

from pseudodensity.plan.artifact import benchmark_of
from pseudodensity.plan.config import load_config
from pseudodensity.plan.plan import Plan
from pseudodensity.plan.resources import resources
from pseudodensity.plan.work import subject
from pseudodensity.report.paper_scale import (
    jobs_frame,
    measured_frame,
    measured_jobs,
    paper_frame,
    papers_frame,
)
from pseudodensity.report.paper_scale_page import (
    CARD_RATE,
    CARD_SHARE,
    downloads_frame,
    late_jobs,
    named_files,
    write_paper_scale,
)

ROOT = Path(__file__).parents[2]
START, SECOND = 8.0, 0.5  # seconds of a start, and of an image
FASTER = 40


def plan_of(folder: Path, name: str, per_file: int, device: str) -> Plan:
    runtime = {"proposals_per_file": per_file, "device": device}
    (folder / name).write_text(yaml.safe_dump({"runtime": runtime}))
    config = load_config(ROOT / "config/config.yaml", [folder / name], {})
    return Plan(config, ROOT / "workflow/schemas", ROOT / "config/papers")


@pytest.fixture(scope="module")
def plans(tmp_path_factory) -> tuple[Plan, Plan]:
    """Of a small run on a CPU, and of the scale of which it is a rehearsal."""
    folder = tmp_path_factory.mktemp("plans")
    small, large = (("small.yaml", 20, "cpu"), ("large.yaml", 1000, "cuda"))
    return plan_of(folder, *small), plan_of(folder, *large)


def pools(plan: Plan) -> list:
    """Parts of plain pools of one model, fine-tuned or not."""
    return [
        made
        for made in plan.artifacts.values()
        if made.kind == "pool" and subject(made) == "stylegan2, faces"
    ]


def run(artifact, size: int) -> None:
    """Write what a job leaves."""
    count = 20
    paths = [Path(p) for p in (artifact.path, artifact.log, benchmark_of(artifact.path))]
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
    paths[0].write_bytes(bytes(size))
    # It had a third of a core.
    line = f"pool: {count}/{count} images, {1 / SECOND / 3} images/s"
    last = "peak memory 1234 MB; 10.00 s of CPU time in 30.00 s"
    paths[1].write_text(f"2026-01-01 00:00:00  {line}\n2026-01-01 00:00:00  {last}\n")
    paths[2].write_text(f"s\tcpu_time\n{START + 3 * SECOND * count}\t9\n")


@pytest.fixture
def costs(plans, tmp_path, monkeypatch):
    """After the first part of a pool of the small run, of 20 images and 2,000 bytes."""
    monkeypatch.chdir(tmp_path)
    run(pools(plans[0])[0], 2000)
    return measured_jobs(plans[0])


def of_pool(frame):
    (line,) = frame[(frame["rule"] == "pool") & (frame["about"] == "stylegan2, faces")].to_dict(
        "records"
    )
    return line


def test_the_start_of_a_job_is_told_from_what_it_counts(costs):
    (group,) = costs
    assert group == ("pool", "stylegan2, faces")
    line = of_pool(measured_frame(costs))
    assert (line["seconds"], line["start"], line["memory_mb"]) == (SECOND, START, 1234)
    assert (line["jobs"], line["unit"], line["file_mb"]) == (1, "images", 0.002)


def test_the_papers_scale_has_the_start_of_each_job_and_the_seconds_of_each_image(plans, costs):
    """Beside the files with their 100 bytes an image, images are stored where all of them are small."""
    plan, parts = plans[1], pools(plans[1])
    line = of_pool(paper_frame(jobs_frame(plan, costs, FASTER)))
    images = 1000 * len(parts)
    assert line["jobs"] == len(parts) > 1
    assert line["core_hours"] == pytest.approx((START * len(parts) + SECOND * images) / 3600)
    assert line["gpu_hours"] == pytest.approx(SECOND * images / FASTER / 3600)
    assert line["longest"] == pytest.approx((START + SECOND * 1000 / FASTER) / 60)
    side = plan.config["datasets"]["faces"]["resolution"]
    assert line["disk_gb"] == pytest.approx(images * (100 + 3 * side * side) / 1e9)
    assert line["asked_mb"] == resources(parts[0], plan.config)["mem_mb"]


def test_nothing_is_computed_of_what_was_not_measured(plans, costs):
    jobs = jobs_frame(plans[1], costs, FASTER)
    frame = paper_frame(jobs)
    assert frame["core_hours"].notna().sum() == 1
    papers = papers_frame(plans[1], jobs).set_index("paper")
    assert 0 < papers.loc["pseudo density", "known"] < papers.loc["pseudo density", "jobs"]
    assert papers["known"].min() == 0


def test_the_page_says_what_ran_what_it_costs_and_what_is_not_known(plans, costs, tmp_path):
    rate = CARD_RATE * CARD_SHARE / FASTER
    files = ROOT / "config/scales/paper_files.csv"
    path = tmp_path / "paper_scale.md"
    write_paper_scale(
        *plans, files, path, rate=rate, run={"commit": "c0ffee", "config": "mine.yaml"}
    )
    text = path.read_text()
    assert "commit c0ffee, config: mine.yaml" in text and f"worth {FASTER} cores" in text
    assert "| stylegan2, faces | 1 | images | 0.5 | 8 | 1234 |" in text
    ran, missing = text.partition("## Not computed")[::2]
    assert "did not write how much CPU time" not in text
    assert "Not run here:" in missing and "- scores (" in missing
    assert "- trained (" in missing and "### trained" not in ran


def test_the_page_says_of_how_many_jobs_the_time_is_not_that_of_a_core(plans, costs, tmp_path):
    """What a job without CPU time waited for others counts, so that its image takes three times as long."""
    log = Path(pools(plans[0])[0].log)
    log.write_text(log.read_text().partition(";")[0] + "\n")
    files, path = ROOT / "config/scales/paper_files.csv", tmp_path / "paper_scale.md"
    write_paper_scale(*plans, files, path, rate=1e9, run={"commit": "", "config": ""})
    assert "Of 1 jobs 1 did not write how much CPU time they took" in path.read_text()
    assert of_pool(measured_frame(measured_jobs(plans[0])))["seconds"] == pytest.approx(3 * SECOND)


def test_every_file_of_the_papers_scale_has_an_owner():
    config = yaml.safe_load((ROOT / "config/scales/paper.yaml").read_text())
    with open(ROOT / "config/scales/paper_files.csv", newline="") as handle:
        told = {f"downloads/{line['file']}" for line in csv.DictReader(handle)}
    assert set(named_files(config)) == told


def test_a_file_is_as_large_as_that_of_the_rehearsal_and_data_as_large_as_decoded(
    tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "downloads/rehearsal"
    folder.mkdir(parents=True)
    (folder / "church.pkl").write_bytes(bytes(5_000_000))
    config = {
        "datasets": {"faces": {"path": "downloads/ffhq1024", "images": 100, "resolution": 10}}
    }
    rehearsed = {"models": [{"file": "downloads/rehearsal/church.pkl"}]}
    files = ROOT / "config/scales/paper_files.csv"
    sizes = downloads_frame(config, files, rehearsed).set_index("file")["gb"]
    assert sizes["church.pkl"] == 0.005 and sizes["ffhq1024"] == 100 * 300 / 1e9
    assert sizes.drop(["church.pkl", "ffhq1024"]).isna().all()


def test_a_job_that_would_be_killed_is_named():
    line = {"rule": "pool", "about": "a", "longest": 40.0, "asked_minutes": 30}
    said = late_jobs(pd.DataFrame([line, line | {"about": "b", "longest": 20}]))
    assert "pool (a)" in said and "(b)" not in said
