"""The run table: what names an artefact, what does not, and what cannot be asked for."""

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from pseudodensity.runs import ConfigError, Plan, check_config

ROOT = Path(__file__).parents[2]


def read(path: str) -> dict[str, Any]:
    return yaml.safe_load((ROOT / path).read_text())


CONFIG = read("config/smoke.yaml")
PAPER = read("config/papers/pseudo_density.yaml")
SCHEMAS = {name: read(f"workflow/schemas/{name}.yaml") for name in ("config", "paper")}

# One GAN with a filter of fakes, one projected GAN with a backbone, one diffusion model. Their
# recipes are pinned here because the expectations below depend on them.
CONFIG["table1"]["blocks"] = ["iddpm-bedroom", "stylegan2-faces", "projectedgan-digits"]
for dataset in CONFIG["datasets"].values():
    dataset["mirror"] = False
for extractor in CONFIG["extractors"].values():
    extractor["trained_on"] = ["faces", "bedroom"]
CONFIG["models"]["stylegan2"]["finetuning"] |= {"images": 24, "fid_images": 16}
CONFIG["models"]["stylegan2"]["recipe"]["batch_size"] = 8

Edit = Callable[[dict[str, Any], dict[str, Any]], Any]


def plan_of(edit: Edit | None = None) -> Plan:
    config, paper = copy.deepcopy(CONFIG), copy.deepcopy(PAPER)
    if edit:
        edit(config, paper)
    check_config(config, SCHEMAS["config"], "config")
    check_config(paper, SCHEMAS["paper"], "paper")
    return Plan(config, paper)


def put(place: str, value: Any) -> Edit:
    """An edit that sets ``a.b.c`` of the config, or of the paper's list with a leading ``paper:``."""

    def edit(config, paper):
        node = paper if place.startswith("paper:") else config
        *parents, last = place.removeprefix("paper:").split(".")
        for key in parents:
            node = node[key]
        node[last] = value

    return edit


def drop(place: str) -> Edit:
    def edit(config, _):
        *parents, last = place.split(".")
        for key in parents:
            config = config[key]
        del config[last]

    return edit


def digests(plan: Plan) -> dict[tuple, str]:
    """Digest of everything, by what it is for a person."""
    found = {}
    for dataset in plan.config["datasets"]:
        found["data", dataset] = plan.data(dataset).digest
        found["density", dataset] = plan.density(dataset).digest
        found["oracle", dataset] = plan.oracle(dataset).digest
        for name in plan.config["extractors"]:
            found["features", dataset, name] = plan.features(dataset, name).digest
    for name in plan.config["extractors"]:
        found["extractor", name] = plan.extractor(name).digest
    for c in plan.checkpoints.values():
        found["checkpoint", c.dataset, c.model, c.setting] = c.artifact.digest
        found["samples", c.dataset, c.model, c.setting] = plan.samples(c).digest
    for block in plan.block_ids:
        run, (seed,) = plan.paper["table1"]["blocks"][block], plan.config["seeds"]
        found["metrics", run["dataset"], run["model"]] = plan.metrics(block, seed).digest
    return found


BASE = digests(plan_of())


def changed(edit: Edit) -> set[tuple]:
    after = digests(plan_of(edit))
    assert after.keys() == BASE.keys()
    return {key for key in BASE if after[key] != BASE[key]}


def pick(*kinds: str, **where: Any) -> set[tuple]:
    """Keys of the kinds; ``dataset``, ``model`` and ``setting`` narrow them (tuples: one of)."""
    position = {"dataset": 1, "model": 2, "setting": 3}

    def fits(key):
        return all(
            len(key) > position[name]
            and key[position[name]] in (value if isinstance(value, tuple) else (value,))
            for name, value in where.items()
        )

    return {key for key in BASE if key[0] in kinds and fits(key)}


STEERED = ("precision", "recall", "fid")
TUNED = (*STEERED, "control", "control_fid")


def with_results(checkpoints: set[tuple]) -> set[tuple]:
    """With their samples, and with the metrics of the blocks that they stand in."""
    metrics = {("metrics", *c[1:3]) for c in checkpoints} & BASE.keys()
    return checkpoints | {("samples", *c[1:]) for c in checkpoints} | metrics


# ------------------------------------------------------------------------------- what changes what

JUDGED = pick("samples", "metrics", "oracle")
STEERING = pick("density") | pick("checkpoint", setting=STEERED) | JUDGED
FACES = pick("density", "oracle", "samples", "metrics", dataset="faces")

CHANGES = [
    ("datasets.faces.density_k", 6, FACES | pick("checkpoint", dataset="faces", setting=STEERED)),
    ("sampling.images", 65, JUDGED),
    ("sampling.seed", 1, JUDGED),
    ("metrics.k", 5, pick("metrics", "oracle")),
    ("density.n", 2, STEERING),
    ("density.epochs", 4, STEERING),
    (
        "extractors.density_vit.depth",
        2,
        STEERING
        | {("extractor", "density_vit")}
        | {k for k in BASE if k[0] == "features" and k[2] == "density_vit"},
    ),
    (
        "extractors.judge_cnn.training.seed",
        7,
        JUDGED
        | {("extractor", "judge_cnn")}
        | {k for k in BASE if k[0] == "features" and k[2] == "judge_cnn"},
    ),
    (
        "extractors.backbone_cnn.training.seed",
        7,
        with_results(pick("checkpoint", model="projectedgan"))
        | {("extractor", "backbone_cnn")}
        | {k for k in BASE if k[0] == "features" and k[2] == "backbone_cnn"},
    ),
    ("models.stylegan2.recipe.r1_gamma", 9, with_results(pick("checkpoint", model="stylegan2"))),
    ("models.iddpm.generator.dropout", 0.1, with_results(pick("checkpoint", model="iddpm"))),
    (
        "models.stylegan2.pretraining.faces.iterations",
        7,
        with_results(pick("checkpoint", model="stylegan2")),
    ),
    (
        "models.stylegan2.finetuning.recipe.lr_generator",
        0.5,
        with_results(pick("checkpoint", model="stylegan2", setting=TUNED)),
    ),
    (
        "models.stylegan2.finetuning.images",
        32,
        with_results(
            pick("checkpoint", model="stylegan2", setting=("precision", "recall", "control"))
        ),
    ),
    (
        "models.stylegan2.finetuning.fid_images",
        8,
        with_results(pick("checkpoint", model="stylegan2", setting=("fid", "control_fid"))),
    ),
    (
        "models.stylegan2.finetuning.fake_weight",
        0.33,
        with_results(pick("checkpoint", model="stylegan2", setting=("precision", "recall"))),
    ),
    (
        "paper:table1.blocks.stylegan2-faces.recall.w",
        0.04,
        with_results(pick("checkpoint", model="stylegan2", setting="recall"))
        | pick("oracle", dataset="faces"),
    ),
    (
        "paper:table1.blocks.stylegan2-faces.precision.tau",
        70,
        with_results(pick("checkpoint", model="stylegan2", setting="precision"))
        | pick("oracle", dataset="faces"),
    ),
    ("seeds", [1], with_results(pick("checkpoint"))),
]


@pytest.mark.parametrize(("place", "value", "expected"), CHANGES, ids=[c[0] for c in CHANGES])
def test_a_setting_changes_exactly_what_depends_on_it(place, value, expected):
    assert changed(put(place, value)) == expected


def test_images_change_all_that_was_learned_from_them():
    # Digits train no extractor here, so other data sets are not touched.
    digits = {key for key in BASE if key[1] == "digits"}
    assert changed(put("datasets.digits.images", 150)) == digits
    # Faces do: only what used neither their images nor a network that did is left.
    untouched = pick("data", dataset=("bedroom", "digits"))
    untouched |= pick("checkpoint", model="iddpm", setting=("pretrained", "control"))
    assert changed(put("datasets.faces.images", 150)) == set(BASE) - untouched


def test_mirroring_changes_training_but_not_the_images():
    after = changed(put("datasets.digits.mirror", True))
    assert after == with_results(pick("checkpoint", dataset="digits"))
    assert ("extractor", "density_vit") in changed(put("datasets.faces.mirror", True))


NO_CHANGE = [
    ("runtime.device", "cuda"),
    ("runtime.batch_size", 7),
    ("datasets.faces.title", "other"),
    ("datasets.faces.stands_for", None),
    ("models.stylegan2.title", "other"),
    ("paper:table1.blocks.stylegan2-faces.reported", None),
]


@pytest.mark.parametrize(("place", "value"), NO_CHANGE, ids=[c[0] for c in NO_CHANGE])
def test_what_may_not_change_a_number_names_nothing(place, value):
    assert changed(put(place, value)) == set()


def test_the_order_of_keys_names_nothing():
    def shuffle(value):
        if isinstance(value, dict):
            return {key: shuffle(value[key]) for key in sorted(value, reverse=True)}
        return value

    def edit(config, paper):
        for settings in (config, paper):
            reordered = shuffle(settings)
            settings.clear()
            settings.update(reordered)

    assert changed(edit) == set()


def test_the_place_of_a_public_file_names_nothing(tmp_path):
    def plan(folder: str) -> Plan:
        file = tmp_path / folder / "model.pkl"
        file.parent.mkdir()
        file.touch()

        def edit(config, _):
            source = {"file": str(file), "format": "nvlabs", "sha256": "0" * 64}
            config["models"]["stylegan2"]["pretraining"]["faces"] = source
            public = {"kind": "inception", "weights": str(file), "sha256": "1" * 64}
            config["extractors"]["judge_cnn"] = public

        return plan_of(edit)

    here, there = plan("here"), plan("there")
    assert digests(here) == digests(there)
    (imported,) = [c for c in here.checkpoints.values() if c.origin == "imported"]
    assert imported.path.startswith("results/checkpoints/imported/")
    assert str(tmp_path) not in json.dumps(imported.artifact.spec)


def test_names_are_unique_and_safe_for_files():
    plan = plan_of(put("seeds", [0, 1]))
    # Three blocks with their rows, and the autoregressive model, which stands in none.
    assert len(plan.checkpoints) == 2 * (5 + 6 + 6 + 1)
    assert len({c.artifact.digest for c in plan.checkpoints.values()}) == len(plan.checkpoints)
    for name, checkpoint in plan.checkpoints.items():
        assert name == checkpoint.name and name.replace("-", "").replace("_", "").isalnum()


# ------------------------------------------------------------------------------- rows and controls


def settings_of(plan: Plan, block: str) -> list[str]:
    return [row["setting"] for row in plan.table1_rows() if row["block"] == block]


def test_a_control_exists_for_each_number_of_images():
    plan = plan_of()
    assert settings_of(plan, "stylegan2-faces") == ["pretrained", *TUNED]
    assert settings_of(plan, "iddpm-bedroom") == ["pretrained", *STEERED, "control"]
    for row in plan.table1_rows():
        control = "control_fid" if row["setting"] == "fid" else "control"
        if row["setting"] in STEERED and row["block"] == "stylegan2-faces":
            (match,) = [
                r
                for r in plan.table1_rows()
                if r["block"] == row["block"] and r["setting"] == control
            ]
            assert match["images"] == row["images"] and (match["tau"], match["w"]) == (None, 1)


def test_a_control_differs_from_its_row_in_the_weights_only():
    plan = plan_of()
    by_setting = {c.setting: c for c in plan.block("stylegan2-faces", 0)}
    for ours, control in (("precision", "control"), ("fid", "control_fid")):
        steered, plain = (dict(by_setting[s].artifact.spec) for s in (ours, control))
        steered.pop("density")
        assert steered.pop("importance")["w"] != 1
        assert plain.pop("importance") == {"tau": None, "w": 1.0, "fake_weight": "none"}
        assert steered == plain


def test_rows_repeat_for_every_seed_and_name_files():
    plan = plan_of(put("seeds", [0, 5]))
    rows = plan.table1_rows()
    assert [r["seed"] for r in rows if r["block"] == "iddpm-bedroom"] == [0] * 5 + [5] * 5
    assert len({r["samples"] for r in rows}) == len(rows)
    assert len({r["metrics"] for r in rows}) == len({(r["block"], r["seed"]) for r in rows})
    assert {r["oracle"] for r in rows} == {
        f"results/metrics/oracle-{plan.oracle(d).name}.json" for d in plan.config["datasets"]
    }


def test_images_of_a_row_are_those_it_is_trained_on():
    plan = plan_of(put("models.stylegan2.finetuning.images", 21))  # 21 / 8 rounds to 3 steps
    images = {r["setting"]: r["images"] for r in plan.table1_rows() if r["model"] == "StyleGAN2"}
    assert images["precision"] == images["control"] == 24 and images["fid"] == 16
    few = plan_of(put("models.stylegan2.finetuning.images", 1))
    assert {r["images"] for r in few.table1_rows() if r["setting"] == "precision"} >= {8}


def test_a_fine_tuned_recipe_is_the_models_with_changes():
    plan = plan_of(put("models.stylegan2.finetuning.recipe", {"r1_gamma": 7}))
    recipe = {c.setting: c.artifact.spec["recipe"] for c in plan.block("stylegan2-faces", 0)}
    assert recipe["precision"] == recipe["pretrained"] | {"r1_gamma": 7}


def test_fewer_blocks_leave_the_names_of_the_others():
    plan = plan_of(put("table1.blocks", ["stylegan2-faces"]))
    in_blocks = {c.artifact.digest for c in plan.checkpoints.values() if c.model != "vqgpt"}
    assert in_blocks == {BASE[key] for key in pick("checkpoint", model="stylegan2")}


# ------------------------------------------------------------------------------- what is refused

IMPOSSIBLE = [
    # (what is wrong, the edit, what the message must name)
    ("unknown key", put("denisty", {}), ["denisty", "known keys", "density"]),
    ("unknown inner key", put("sampling.seeds", 1), ["sampling", "seeds", "known keys"]),
    ("unknown recipe key", put("models.iddpm.recipe.beta", 1), ["models.iddpm.recipe", "beta"]),
    ("missing key", drop("judges"), ["judges"]),
    ("wrong type", put("datasets.faces.mirror", "yes"), ["datasets.faces.mirror", "yes"]),
    ("unknown kind", put("datasets.faces.kind", "web"), ["datasets.faces.kind", "web"]),
    ("no scene", drop("datasets.faces.scene"), ["datasets.faces", "scene"]),
    ("no images", put("datasets.faces.images", 0), ["datasets.faces.images"]),
    ("device", put("runtime.device", "gpu"), ["runtime.device", "gpu"]),
    ("no seeds", put("seeds", []), ["seeds"]),
    ("tau above", put("paper:table1.blocks.iddpm-bedroom.fid.tau", 101), ["fid.tau", "101"]),
    ("tau below", put("paper:table1.blocks.iddpm-bedroom.fid.tau", -1), ["fid.tau", "-1"]),
    ("w zero", put("paper:table1.blocks.iddpm-bedroom.recall.w", 0), ["recall.w", "0"]),
    ("w negative", put("paper:table1.blocks.iddpm-bedroom.recall.w", -33.0), ["recall.w"]),
    (
        "w not a number",
        put("paper:table1.blocks.iddpm-bedroom.recall.w", float("nan")),
        ["recall.w", "finite"],
    ),
    (
        "w infinite",
        put("paper:table1.blocks.iddpm-bedroom.recall.w", float("inf")),
        ["recall.w", "finite"],
    ),
    ("k not below N", put("datasets.faces.density_k", 200), ["datasets.faces.density_k", "200"]),
    ("metric k not below N", put("metrics.k", 64), ["metrics.k", "sampling.images", "64"]),
    ("unknown block", put("table1.blocks", ["gpt"]), ["table1.blocks", "gpt", "known blocks"]),
    ("missing model", drop("models.stylegan2"), ["stylegan2-faces", "models.stylegan2"]),
    ("missing data set", drop("datasets.digits"), ["projectedgan-digits", "datasets.digits"]),
    (
        "no pretraining on the data set",
        put("models.stylegan2.pretraining", {"bedroom": {"iterations": 1}}),
        ["models.stylegan2.pretraining.faces"],
    ),
    ("no iterations", put("models.iddpm.pretraining.bedroom.iterations", 0), ["iterations"]),
    ("judge that steers", put("judges.fid", "density_vit"), ["judges", "density_vit"]),
    ("unknown judge", put("judges.fid", "inception"), ["inception", "extractors"]),
    ("unknown steering", put("density.extractor", "clip"), ["clip", "extractors"]),
    ("unknown backbone", put("models.projectedgan.backbone", "lite0"), ["lite0", "extractors"]),
    (
        "unknown training set",
        put("extractors.judge_cnn.trained_on", ["cats"]),
        ["extractors.judge_cnn.trained_on", "cats"],
    ),
    ("untrained extractor", drop("extractors.judge_cnn.trained_on"), ["judge_cnn", "trained_on"]),
    (
        "missing folder",
        put(
            "datasets.faces",
            {
                "kind": "folder",
                "title": "x",
                "path": "/no/such/folder",
                "images": None,
                "resolution": 16,
                "mirror": False,
                "density_k": 5,
                "max_unreadable": 0,
            },
        ),
        ["datasets.faces.path", "/no/such/folder"],
    ),
    (
        "missing checkpoint file",
        put(
            "models.stylegan2.pretraining.faces",
            {"file": "/no/such/model.pkl", "format": "nvlabs", "sha256": None},
        ),
        ["models.stylegan2.pretraining.faces.file", "/no/such/model.pkl"],
    ),
    (
        "missing weights file",
        put(
            "extractors.judge_cnn",
            {"kind": "inception", "weights": "/no/such/file.pt", "sha256": "0" * 64},
        ),
        ["extractors.judge_cnn.weights", "/no/such/file.pt"],
    ),
    ("no digest", put("extractors.judge_cnn", {"kind": "vgg16", "weights": "x"}), ["sha256"]),
    ("recipe without a rate", drop("models.stylegan2.recipe.lr_generator"), ["lr_generator"]),
    ("recipe of another family", drop("models.iddpm.recipe.lr"), ["models.iddpm.recipe", "'lr'"]),
    ("no generator", drop("models.stylegan2.generator"), ["models.stylegan2", "generator"]),
    ("no discriminator", drop("models.stylegan2.discriminator"), ["stylegan2", "discriminator"]),
    ("no backbone", drop("models.projectedgan.backbone"), ["models.projectedgan", "backbone"]),
    (
        "path length without a mapping",
        put("models.projectedgan.recipe.path_length_weight", 2),
        ["models.projectedgan.recipe.path_length_weight"],
    ),
    (
        "fakes of a diffusion model",
        put("models.iddpm.finetuning.fake_weight", "reciprocal"),
        ["models.iddpm.finetuning.fake_weight"],
    ),
    ("fake weight zero", put("models.stylegan2.finetuning.fake_weight", 0), ["fake_weight"]),
    ("unknown augmentation", put("models.stylegan2.recipe.augment", ["mixup"]), ["augment"]),
]


@pytest.mark.parametrize(
    ("edit", "named"), [c[1:] for c in IMPOSSIBLE], ids=[c[0] for c in IMPOSSIBLE]
)
def test_the_impossible_is_refused_in_one_line_that_names_the_place(edit, named):
    with pytest.raises(ConfigError) as error:
        plan_of(edit)
    message = str(error.value)
    assert "\n" not in message and len(message) < 500
    assert message.startswith(("config", "paper"))
    for part in named:
        assert part in message, message
