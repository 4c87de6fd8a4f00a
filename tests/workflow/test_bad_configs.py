"""Every kind of mistake in a config is one line before anything runs: where it is, and how to mend it."""

import os
from pathlib import Path

import pytest
import yaml
from sklearn.datasets import load_digits

from pseudodensity.generators.checking import check_device, check_networks
from pseudodensity.plan.artifact import benchmark_of
from pseudodensity.plan.config import load_config, merge
from pseudodensity.plan.consistency import DIGITS
from pseudodensity.plan.errors import ConfigError
from pseudodensity.plan.plan import Plan
from pseudodensity.plan.targets import listing, targets, unknown

ROOT = Path(__file__).parents[2]
TABLE = yaml.safe_load(Path(__file__).with_name("bad_configs.yaml").read_text())
LONGEST = 600


def planned(*overlays: Path, given=None) -> Plan:
    """The plan of the default config with overlays."""
    config = load_config(ROOT / "config/config.yaml", overlays, given or {})
    return Plan(config, ROOT / "workflow/schemas", ROOT / "config/papers")


def spread(dotted: dict) -> dict:
    """An overlay whose keys were dotted places."""
    overlay: dict = {}
    for place, value in dotted.items():
        for key in reversed(place.split(".")):
            value = {key: value}
        overlay = merge(overlay, value)
    return overlay


def assert_one_line(raised, parts):
    message = str(raised.value)
    assert "\n" not in message and len(message) < LONGEST
    for part in parts:
        assert part in message


def test_the_table_has_more_than_a_hundred_kinds_of_mistakes():
    assert sum(map(len, TABLE.values())) >= 105


@pytest.mark.parametrize("what", TABLE["planned"])
def test_a_mistake_is_said_while_planning(what, tmp_path):
    overlay, *parts = TABLE["planned"][what]
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(spread(overlay)))
    with pytest.raises(ConfigError) as raised:
        planned(tmp_path / "mine.yaml")
    assert_one_line(raised, parts)


@pytest.mark.parametrize("what", TABLE["absent"])
def test_a_file_that_is_not_there_is_said_where_it_is_asked_for(what, tmp_path):
    overlay, *parts = TABLE["absent"][what]
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(spread(overlay)))
    plan = planned(tmp_path / "mine.yaml")
    assert plan.target("table", "table1").missing is None
    ((section, entries),) = spread(overlay).items()
    (name,) = entries
    of = {"datasets": (name, "judge_cnn"), "extractors": ("faces", name)}
    features = plan.data.features(*of[section])
    plan.add([features])
    (needed,) = (one for one in features.upstream() if one.absent)
    with pytest.raises(ConfigError) as raised:
        plan.made(needed.kind, {"name": needed.name})
    assert_one_line(raised, parts)
    assert features.lacks == str(raised.value)


@pytest.mark.parametrize("what", TABLE["files"])
def test_a_file_that_is_no_config_names_itself(what, tmp_path):
    text, *parts = TABLE["files"][what]
    (tmp_path / "mine.yaml").write_text(text)
    with pytest.raises(ConfigError) as raised:
        planned(tmp_path / "mine.yaml")
    assert_one_line(raised, parts)
    assert str(raised.value).startswith(str(tmp_path / "mine.yaml"))


@pytest.mark.parametrize("what", TABLE["given"])
def test_a_mistake_on_the_command_line(what):
    given, *parts = TABLE["given"][what]
    with pytest.raises(ConfigError) as raised:
        planned(given=given)
    assert_one_line(raised, parts)


@pytest.mark.parametrize("what", TABLE["networks"])
def test_a_network_that_cannot_be_built(what, tmp_path):
    """The plan takes it, so that what refuses it is the network; only what it names is built."""
    overlay, *parts = TABLE["networks"][what]
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(spread(overlay)))
    config = load_config(ROOT / "config/config.yaml", [tmp_path / "mine.yaml"], {})
    named = {place.split(".")[1] for place in overlay}
    models = {name: model for name, model in config["models"].items() if name in named}
    used = named | {model["backbone"] for model in models.values() if "backbone" in model}
    extractors = {name: one for name, one in config["extractors"].items() if name in used}
    with pytest.raises(ConfigError) as raised:
        check_networks(config | {"models": models, "extractors": extractors})
    assert_one_line(raised, parts)


def test_the_networks_of_the_default_config_can_be_built():
    """One of each kind: all models take seconds more."""
    config = load_config(ROOT / "config/config.yaml", [], {})
    few = {name: config["models"][name] for name in ("stylegan2", "projectedgan", "biggan")}
    check_networks(config | {"models": few})


@pytest.mark.parametrize("name", ["a FIFO", "bytes", "too much", "a folder", "nothing"])
def test_what_is_no_text_is_refused_by_name(name, tmp_path):
    path = tmp_path / "mine.yaml"
    if name == "a FIFO":
        os.mkfifo(path)
    elif name == "bytes":
        path.write_bytes(b"\xff\xfe\x00")
    elif name == "too much":
        path.write_text("# long\n" * 200_000)
    elif name == "a folder":
        path.mkdir()
    with pytest.raises(ConfigError) as raised:
        planned(path)
    assert_one_line(raised, [str(path)])


def test_a_file_that_may_not_be_read(tmp_path, monkeypatch):
    """Whoever runs tests as root may read everything, so the question is answered for them."""
    photos = tmp_path / "photos"
    photos.mkdir()
    mine = {"kind": "folder", "path": str(photos), "title": "mine", "images": None}
    mine |= {"resolution": 16, "mirror": True, "density_k": 5, "max_unreadable": 0}
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump({"datasets": {"mine": mine}}))
    monkeypatch.setattr(os, "access", lambda path, mode: str(path) != str(photos))
    with pytest.raises(ConfigError) as raised:
        planned(tmp_path / "mine.yaml")
    assert_one_line(raised, ["datasets.mine.path", "which you may not read: chmod"])


def test_what_reads_like_a_number_is_one(tmp_path):
    """YAML 1.1 takes 1e-3 for text, and merges keys by <<; a date is a title."""
    text = "recipes:\n  gan: &gan {lr_generator: 1e-3}\n  mine: {<<: *gan}\n"
    (tmp_path / "mine.yaml").write_text(text + "datasets: {faces: {title: 2026-01-02}}\n")
    config = load_config(ROOT / "config/config.yaml", [tmp_path / "mine.yaml"], {})
    assert config["recipes"]["mine"] == {"lr_generator": 0.001}
    assert config["datasets"]["faces"]["title"] == "2026-01-02"
    given = load_config(
        ROOT / "config/config.yaml", [], {"seeds": "[0, 1]", "density": {"n": "1e1"}}
    )
    assert given["seeds"] == [0, 1] and given["density"]["n"] == 10


def test_the_number_of_digits_is_that_of_scikit_learn():
    assert len(load_digits().images) == DIGITS


@pytest.mark.parametrize(
    ("device", "count", "says"),
    [
        ("cuda", 0, "torch sees no GPU on this machine: write one of cpu, or install"),
        ("cuda:1", 1, "torch sees 1 GPU on this machine: write one of cpu, cuda:0, or install"),
    ],
)
def test_a_gpu_that_is_not_there(device, count, says, monkeypatch):
    monkeypatch.setattr("torch.cuda.device_count", lambda: count)
    with pytest.raises(ConfigError) as raised:
        check_device(device)
    assert_one_line(raised, ["config: runtime.device", says])


def test_a_gpu_that_is_there(monkeypatch):
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    for device in ("cpu", "cuda", "cuda:1"):
        check_device(device)


# ------------------------------------------------------------------------------- targets


@pytest.fixture(scope="module")
def default() -> Plan:
    """The plan of the default config."""
    return planned()


@pytest.mark.parametrize(
    ("asked", "near"),
    [
        ("results/tabel1.csv", "results/table1.csv"),
        ("table1", "results/table1.csv"),
        ("results/fig4.jpg", "results/fig4"),
        ("results/frontier/stylegan2-face.png", "results/frontier/stylegan2-faces.png"),
        ("results/density/digit.csv", "results/density/digits.csv"),
        ("pseudo_densty", "pseudo_density"),
    ],
)
def test_a_misspelt_target_names_the_nearest_first(default, asked, near):
    message = str(unknown(default, asked))
    assert f"{asked} is no target; the nearest are {near}" in message
    assert "`snakemake targets` lists all" in message and "\n" not in message


def test_the_list_of_targets_has_all_and_says_what_they_are(default):
    text = listing(default)
    found = targets(default)
    assert all(path in text for path in found)
    assert {"results/table1.csv", "results/density/digits.csv", "results/fig4.png"} <= set(found)
    assert found["results/table1.csv"].caption in text
    assert "not measured yet" in text
    # Of the default config only the faces need a download.
    whys = [line for line in text.splitlines() if "not with this config" in line]
    assert whys and all("run `make faces`" in why for why in whys)


def test_the_list_says_why_a_target_cannot_be_made(tmp_path):
    source = {"file": "nowhere.pt2", "format": "exported", "sha256": None}
    mine = {"title": "Mine", "architecture": "external", "latent_shape": [8]}
    overlay = {"models": {"mine": mine | {"pretraining": {"faces": source}}}}
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(overlay))
    text = listing(planned(tmp_path / "mine.yaml"))
    after = text.partition("results/frontier/mine-faces.csv")[2]
    assert "not with this config: config: models.mine.pretraining.faces.file is" in after[:300]


def test_the_list_sums_what_was_measured(default, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    jobs = default.jobs(targets(default)["results/density/digits.csv"])
    measured, damaged = (Path(benchmark_of(job.path)) for job in jobs[:2])
    for path in (measured, damaged):
        path.parent.mkdir(parents=True, exist_ok=True)
    # As the page and the findings count: what the cores did, not how long somebody waited.
    measured.write_text("s\th:m:s\tcpu_time\n600.0\t0:10:00\t90.0\n")
    damaged.write_text("s\th:m:s\tcpu_time\n600.0\n")
    after = listing(default).partition("results/density/digits.csv")[2].splitlines()
    cost = f"{len(jobs)} jobs, 0 of them done; 1.5 core minutes in all; {len(jobs) - 1} not"
    assert cost in after[2]


# ------------------------------------------------------------------------------- by Snakemake itself


def lines(done, part: str) -> list[str]:
    """Lines of what a run said that have a part in them; it failed, and without making anything."""
    assert done.returncode != 0
    return [line for line in (done.stdout + done.stderr).splitlines() if part in line]


def test_a_network_that_cannot_be_built_stops_the_run_before_its_first_job(workflow):
    wrong = workflow.write("wrong.yaml", {"extractors": {"density_vit": {"patch": 5}}})
    done = workflow.run(*workflow.asking("results/density/digits.csv", overlays=(wrong,)))
    (line,) = lines(done, "patch 5 must divide size 16")
    assert line.startswith("config: extractors.density_vit cannot be built: ")
    assert not list(workflow.folder.glob("results/*/*"))


def test_a_network_that_cannot_be_built_stops_no_run_that_has_no_use_for_it(workflow):
    """So it is at the papers' scale, whose images are too large for a model of the default config."""
    wrong = workflow.write("wrong.yaml", {"datasets": {"bedroom": {"resolution": 18}}})
    overlays = [workflow.folder / name for name in (*workflow.overlays, wrong)]
    asked = planned(*overlays).data.extractor("digits_cnn").path
    done = workflow.run(*workflow.asking(asked, overlays=(wrong,)))
    assert done.returncode == 0, done.stdout + done.stderr
    assert (workflow.folder / asked).is_file()


def test_a_misspelt_target_is_one_line_and_all_can_be_listed(workflow):
    (line,) = lines(workflow.run("-n", "results/tabel1.csv"), "is no target")
    assert "the nearest are results/table1.csv" in line
    done = workflow.run("targets")
    assert done.returncode == 0, done.stderr
    assert "results/table1.csv\n    Fine-tuning with importance sampling" in done.stdout


def test_another_working_folder_is_refused_in_one_line(workflow):
    (line,) = lines(workflow.run("-n", "-d", "elsewhere"), "runs in its own folder")
    assert f"cd {workflow.folder}" in line
