"""What a job asks of a machine follows from the shapes of what it makes."""

import os
from pathlib import Path

import pytest
import yaml

from pseudodensity.plan.artifact import LOGS, PATHS, STATE_FILE, Artifact, state_of
from pseudodensity.plan.config import load_config
from pseudodensity.plan.plan import Plan
from pseudodensity.plan.resources import (
    LONGEST_MINUTES,
    MOST_MB,
    SHORTEST_MINUTES,
    images_at_once,
    of_attempt,
    priority,
    resources,
    round_as_on_a_cpu,
    stored_images,
    stored_images_of,
)

ROOT = Path(__file__).parents[2]
# Those whose scripts load a network and put images through it.
NETWORKS = {"features", "trained", "finetuned", "pool", "reals", "column", "scores"}
NETWORKS |= {"moved", "extremes", "costs", "auxiliary"}
LOGITS = {"reals": 100, "auxiliary": None}
ON_CPU = {"data", "extractor", "density", "feature_density", "imported", "experiment"}


def plan_of(tmp_path, **overlay) -> Plan:
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(overlay))
    config = load_config(ROOT / "config/config.yaml", [tmp_path / "mine.yaml"], {})
    return Plan(config, ROOT / "workflow/schemas", ROOT / "config/papers")


@pytest.fixture(scope="module")
def default(tmp_path_factory) -> Plan:
    return plan_of(tmp_path_factory.mktemp("plan"))


def asked(plan: Plan, **runtime) -> list[tuple[str, dict]]:
    """Kind and resources of every job."""
    config = plan.config | {"runtime": plan.config["runtime"] | runtime}
    return [
        (made.kind, resources(made, config)) for made in plan.artifacts.values() if not made.given
    ]


@pytest.mark.parametrize("device", ["cuda", "cuda:1"])
def test_every_job_that_runs_a_network_asks_for_one_gpu(default, device):
    gpus = {kind: found["gpu"] for kind, found in asked(default, device=device)}
    # Of an experiment that depends on whether it has a trained model.
    gpus["experiment"] = 0
    assert gpus == {kind: int(kind in NETWORKS) for kind in gpus}
    assert set(gpus) == (NETWORKS | ON_CPU) - {"imported"}


def test_an_experiment_asks_for_a_gpu_if_it_is_given_a_network(default):
    config = default.config | {"runtime": default.config["runtime"] | {"device": "cuda"}}
    made = [made for made in default.artifacts.values() if made.kind == "experiment"]
    asked_of = {True: set(), False: set()}
    for one in made:
        given = not {"checkpoint", "extractor", "classifier"}.isdisjoint(one.needs)
        asked_of[given].add(resources(one, config)["gpu"])
        module = one.spec["function"].partition(":")[0].replace(".", "/")
        text = (ROOT / f"workflow/pseudodensity/{module}.py").read_text()
        # Where there is none, a job on a cluster would look for a GPU that it did not ask for.
        assert given or 'settings["device"]' not in text, module
    assert asked_of == {True: {1}, False: {0}}


def test_none_does_on_a_cpu(default):
    assert all(found["gpu"] == 0 for _, found in asked(default))


def test_every_rule_asks_for_what_its_job_asks():
    """A rule of a network without `gpu` would run beside another on one card."""
    text = "".join(path.read_text() for path in (ROOT / "workflow/rules").glob("*.smk"))
    for kind in NETWORKS:
        assert f'gpu=asks("{kind}", "gpu")' in text, kind
    for kind in NETWORKS | {"data", "density", "imported"}:
        assert f'mem_mb=asks("{kind}", "mem_mb")' in text, kind
        assert f'disk_mb=asks("{kind}", "disk_mb")' in text, kind
        assert f'runtime=asks("{kind}", "runtime")' in text, kind


@pytest.mark.parametrize("batch_size", [1, 1000, 100_000])
def test_no_job_asks_for_more_memory_than_there_is_and_none_for_nothing(default, batch_size):
    for kind, found in asked(default, batch_size=batch_size):
        assert all(type(value) is int for value in found.values())
        # Beside features, of which the default scale has few.
        assert 2000 <= found["mem_mb"] <= 1.25 * MOST_MB == 25_000, kind
        assert SHORTEST_MINUTES <= found["runtime"] <= LONGEST_MINUTES
        assert found["disk_mb"] >= 100


def test_a_job_that_was_killed_asks_for_twice_the_memory_and_for_no_more_time_than_there_is():
    asked = {"gpu": 1, "mem_mb": 6000, "runtime": 30, "disk_mb": 100}
    assert of_attempt(asked, 1, had_enough=False) == asked
    more = {"gpu": 1, "mem_mb": 24000, "runtime": 120, "disk_mb": 100}
    assert of_attempt(asked, 3, had_enough=False) == more
    training = asked | {"runtime": LONGEST_MINUTES}
    assert of_attempt(training, 2, had_enough=False)["runtime"] == LONGEST_MINUTES


def test_a_training_that_was_cut_off_by_the_time_asks_for_no_more_memory():
    asked = {"gpu": 1, "mem_mb": 6000, "runtime": 700, "disk_mb": 100}
    assert of_attempt(asked, 2, had_enough=True) == asked | {"runtime": 1400}


def test_a_training_keeps_its_state_where_the_rules_say():
    name = "stylegan2-faces-precision-w2.5-seed0-0123456789"
    rules = "".join(path.read_text() for path in (ROOT / "workflow/rules").glob("*.smk"))
    assert 'workdir="results/work/{name}"' in rules
    path = PATHS["finetuned"].format(name=name)
    assert state_of(path) == f"results/work/{name}/{STATE_FILE}"


def faces(count: int, side: int) -> dict:
    return {"faces": {"images": count, "resolution": side}}


def data_of(plan: Plan) -> dict:
    return resources(plan.data.dataset("faces"), plan.config)


def test_images_of_a_thousand_pixels_ask_for_their_disk(tmp_path, default):
    """Decoded once into one array: FFHQ takes 220 GB."""
    large = data_of(plan_of(tmp_path, datasets=faces(70_000, 1024)))
    size = 70_000 * 3 * 1024**2 / 1e6
    assert size <= large["disk_mb"] < 1.01 * size + 1000
    # It is written image by image.
    assert large["mem_mb"] <= MOST_MB
    small = data_of(default)
    assert small["disk_mb"] < 200 and small["runtime"] < large["runtime"]


def of_pool(plan: Plan, start: int, stop: int, model: str = "stylegan2", dataset: str = "faces"):
    part = plan.pools.proposals(plan.models.pretrained(model, dataset, 0), stop)[-1]
    assert part.rows == f"{start:07d}-{stop:07d}"
    return part


@pytest.mark.parametrize("kind", ["pool", "column", "features", "data"])
def test_the_time_grows_with_the_images(kind, tmp_path):
    minutes = []
    for count in (20_000, 200_000):
        settings = faces(count, 128)
        plan = plan_of(tmp_path, datasets=settings, runtime={"proposals_per_file": count})
        part = of_pool(plan, 0, count)
        made = {
            "pool": part,
            "column": plan.pools.column("logits", LOGITS, [part], count)[0],
            "features": plan.data.features("faces", "judge_cnn"),
            "data": plan.data.dataset("faces"),
        }
        minutes.append(resources(made[kind], plan.config)["runtime"])
    # Ten times the images, beside what every job is given.
    first, second = (m - SHORTEST_MINUTES for m in minutes)
    assert first > 0 and (
        second == pytest.approx(10 * first, abs=10) or minutes[1] == LONGEST_MINUTES
    )


def test_a_pool_asks_for_the_disk_of_its_images_and_their_features(tmp_path):
    count, side = 1000, 256
    overlay = {"proposals_per_file": count, "stored_mb": 1_000}
    plan = plan_of(tmp_path, datasets=faces(count, side), runtime=overlay)
    pixels, features = 3 * side**2, len(plan.config["judges"]) * 4096 * 4
    asked = resources(of_pool(plan, 0, count), plan.config)["disk_mb"]
    assert asked == pytest.approx(count * (pixels + features) / 1e6 + 100, abs=1)


def test_a_model_of_many_calls_gets_more_time(tmp_path):
    sides, runtime = (
        {n: {"resolution": 64} for n in ("faces", "bedroom")},
        {"proposals_per_file": 5000},
    )
    plan = plan_of(tmp_path, datasets=sides, runtime=runtime)
    size = plan.config["runtime"]["proposals_per_file"]
    one = of_pool(plan, 0, size)
    many = of_pool(plan, 0, size, "iddpm", "bedroom")
    asked = [resources(m, plan.config)["runtime"] - SHORTEST_MINUTES for m in (many, one)]
    assert asked[0] > 1.5 * asked[1]
    assert priority(many, 1, plan.config) > priority(one, 1, plan.config)


def test_scores_of_large_pools_ask_for_their_features(tmp_path):
    memory = []
    for images in (1000, 10_000):
        overlay = {"sampling": {"images": images, "repeats": 3}}
        plan = plan_of(tmp_path, **overlay)
        (made, *_) = [m for m in plan.artifacts.values() if "seed0-frechet" in m.path]
        memory.append(resources(made, plan.config)["mem_mb"])
    assert memory[0] < memory[1] <= MOST_MB


def test_what_reads_all_features_of_a_million_images_asks_for_them(tmp_path):
    """4,096 numbers of four bytes, of reals and of two pools, each held twice; and for the time of all distances."""
    million = 1_000_000
    plan = plan_of(tmp_path, datasets=faces(million, 64))
    jobs = [m for m in plan.artifacts.values() if m.kind == "scores" and "faces" in m.path]
    made = max(jobs, key=lambda one: resources(one, plan.config)["mem_mb"])
    found = resources(made, plan.config)
    assert found["mem_mb"] >= 2 * million * 4096 * 4 / 1e6
    assert found["runtime"] - SHORTEST_MINUTES >= million**2 * 2 * 4096 / 1e11 / 60
    features = resources(plan.data.features("faces", "judge_cnn"), plan.config)
    assert features["mem_mb"] >= million * 4096 * 4 / 1e6


def test_singular_values_of_large_images_are_cut_into_jobs_that_end(tmp_path):
    """Of a mapping network three directions for each value that is kept; in style space all that a latent has."""
    blocks = {}
    for side in (64, 1024):
        plan = plan_of(tmp_path, datasets=faces(1000, side))
        parts = plan.pools.proposals(plan.models.pretrained("stylegan2", "faces", 0), 3000)
        for space in ("pixel", "style"):
            settings = {"kept": 64, "route": "auto", "spaces": [space], "extractors": []}
            column = plan.pools.column("singular_values", settings, parts, 3000)
            blocks[side, space] = column[0].span[1]
            longest = max(resources(one, plan.config)["runtime"] for one in column)
            assert longest < LONGEST_MINUTES, (side, space)
    assert blocks[64, "pixel"] == blocks[64, "style"] == min(3000, parts[0].span[1])
    assert blocks[1024, "pixel"] == 1200  # 250,000 passes of a megapixel, each latent 192 of 1.05


def test_small_images_are_all_stored_and_of_large_ones_a_few(default):
    config = default.config
    assert stored_images(config, 16, 15_000) == 15_000
    assert stored_images(config, 1024, 15_000) == config["sampling"]["kept_images"]
    assert stored_images(config, 1024, 3) == 3
    size = config["runtime"]["proposals_per_file"]
    assert stored_images_of(of_pool(default, 0, size), config) == size


def test_the_longest_training_starts_first_and_what_others_wait_for_before_it(default):
    made = list(default.artifacts.values())
    longest = max(m.spec["iterations"] for m in made if m.kind == "trained")
    kinds = ("data", "features", "scores", "pool", "finetuned")
    first = {m.kind: priority(m, longest, default.config) for m in made if m.kind in kinds}
    trained = {
        m.spec["iterations"]: priority(m, longest, default.config)
        for m in made
        if m.kind == "trained"
    }
    assert max(trained, key=trained.get) == longest
    # What finishes a block that is begun comes before the next training, so that its rows are printed early.
    assert min(first.values()) > max(trained.values())
    assert min(first["data"], first["features"]) > first["scores"] > first["pool"]


def test_jobs_inherit_that_convolutions_are_not_rounded(monkeypatch):
    monkeypatch.setenv("NVIDIA_TF32_OVERRIDE", "1")
    round_as_on_a_cpu()
    assert os.environ["NVIDIA_TF32_OVERRIDE"] == "0"


@pytest.mark.parametrize(("side", "drawn", "moved"), [(64, 500, 500), (1024, 15, 2)])
def test_a_job_takes_fewer_large_images_at_once_and_for_gradients_fewer_still(
    side, drawn, moved, tmp_path
):
    plan = plan_of(tmp_path, datasets={"faces": {"resolution": side}}, runtime={"batch_size": 500})
    checkpoint = plan.models.pretrained("stylegan2", "faces", 0)
    point = {"method": "truncation", "family": "style", "psi": 0.7}
    made = plan.pools.proposals(checkpoint, 10, point)
    assert images_at_once(plan.pools.proposals(checkpoint, 10)[0], plan.config) == drawn
    assert images_at_once(made[0], plan.config) == moved
    (column,) = plan.pools.column("logits", LOGITS, made, 10)
    assert images_at_once(column, plan.config) == moved, "its images may be made again"


def test_a_training_asks_for_what_its_batch_needs_and_on_a_gpu_for_less(tmp_path):
    def asked(device, **recipe):
        model = {"recipe": {"batch_size": 8, **recipe}}
        plan = plan_of(
            tmp_path,
            datasets={"faces": {"resolution": 256}},
            models={"stylegan2": model},
            runtime={"device": device},
        )
        return resources(plan.models.pretrained("stylegan2", "faces", 0), plan.config)["mem_mb"]

    assert asked("cpu") > asked("cpu", batch_size=2) > asked("cuda")


def test_a_job_asks_for_the_weights_of_its_public_file(tmp_path, default):
    def asked(path) -> list[int]:
        facts = {"architecture": "stylegan2"}
        source = Artifact("imported", "a", {}, files={"file": str(path)}, facts=facts)
        made = Artifact("finetuned", "b", {"recipe": {"batch_size": 1}}, {"parent": source})
        return [resources(one, default.config)["mem_mb"] for one in (source, made)]

    (tmp_path / "public.pkl").write_bytes(bytes(10_000_000))
    pairs = zip(asked(tmp_path / "public.pkl"), asked("nowhere.pkl"), strict=True)
    assert [with_file - without for with_file, without in pairs] == [30, 70]


def test_a_log_lies_where_the_rule_of_its_kind_writes_it():
    rules = {}
    for path in (ROOT / "workflow/rules").glob("*.smk"):
        for part in path.read_text().split("\nrule ")[1:] + [
            path.read_text().removeprefix("rule ")
        ]:
            rules[part.partition(":")[0]] = part
    assert set(LOGS) == set(PATHS)
    for kind, log in LOGS.items():
        assert f'log:\n        "{log}"' in rules[kind], kind
