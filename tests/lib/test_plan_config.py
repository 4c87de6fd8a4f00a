"""How overlays meet, and mistakes that need more than one key of a config to be seen.

What a config of a user may get wrong key by key stands in tests/workflow/test_config.py.
"""

from pathlib import Path

import pytest
import yaml

from pseudodensity.plan.config import load_config, merge, read_yaml
from pseudodensity.plan.errors import ConfigError
from pseudodensity.plan.methods import check_methods, metric_settings
from pseudodensity.plan.plan import Plan

ROOT = Path(__file__).parents[2]
DEFAULT, SMOKE = ROOT / "config/config.yaml", ROOT / "config/scales/smoke.yaml"


def loaded(tmp_path, *overlays: dict, given: dict | None = None, base: dict | None = None) -> dict:
    """The config of a base with overlays, all from files."""
    paths = []
    for i, content in enumerate((base, *overlays)):
        paths.append(DEFAULT if content is None else tmp_path / f"{i}.yaml")
        if content is not None:
            paths[-1].write_text(yaml.safe_dump(content, sort_keys=False))
    return load_config(paths[0], paths[1:], given or {})


# ------------------------------------------------------------------------------- meeting


def test_mappings_meet_key_by_key_and_all_else_is_replaced():
    base = {"a": {"b": 1, "c": {"d": 2}}, "list": [1, 2], "x": {"y": 1}, "kept": 0}
    over = {"a": {"c": {"e": 3}}, "list": [3], "x": 5, "new": {"z": None}}
    merged = merge(base, over)
    expected = {"b": 1, "c": {"d": 2, "e": 3}}
    assert merged == {"a": expected, "list": [3], "x": 5, "kept": 0, "new": {"z": None}}
    # Neither side is written to.
    assert base["a"]["c"] == {"d": 2} and over["a"] == {"c": {"e": 3}}
    assert merge({"a": {"b": 1}}, {"a": None}) == {"a": None}


ENTRIES = {
    "datasets": ({"kind": "procedural", "scene": "faces"}, {"kind": "folder", "path": "p"}),
    "extractors": ({"kind": "small_cnn", "widths": [1]}, {"kind": "vgg16", "weights": "w"}),
    "models": ({"architecture": "diffusion", "generator": {"a": 1}}, {"architecture": "external"}),
}


@pytest.mark.parametrize("section", ENTRIES)
def test_an_entry_that_names_its_kind_replaces_and_another_changes_what_it_says(section, tmp_path):
    old, new = ENTRIES[section]
    base = {section: {"mine": old, "other": old}, "runtime": {"device": "cpu"}}
    replaced = loaded(tmp_path, {section: {"mine": new}}, base=base)
    assert replaced == base | {section: {"mine": new, "other": old}}
    changed = loaded(tmp_path, {section: {"mine": {"title": "t"}}}, base=base)
    assert changed[section] == {"mine": old | {"title": "t"}, "other": old}
    # Also where it names the kind that was there: it is described whole.
    again = loaded(tmp_path, {section: {"mine": dict(list(old.items())[:1])}}, base=base)
    assert again[section]["mine"] == dict(list(old.items())[:1])


@pytest.mark.parametrize("section", ENTRIES)
def test_what_was_replaced_does_not_come_back_with_another_overlay(section, tmp_path):
    old, new = ENTRIES[section]
    more = {"title": "t"}
    first, second = {section: {"mine": {"note": 1}}}, {section: {"mine": new}}
    config = loaded(
        tmp_path, first, second, {section: {"mine": more}}, base={section: {"mine": old}}
    )
    assert config[section]["mine"] == new | more


def test_the_paper_replaces_every_model_that_it_describes(tmp_path):
    """Of the embedded StyleGAN2 no layer width is left over, whatever came in between."""
    paper = ROOT / "config/scales/paper.yaml"
    config = load_config(DEFAULT, [SMOKE, paper], {})
    described = read_yaml(paper)["models"]
    for name in described:
        assert config["models"][name]["generator"] == described[name]["generator"], name
    assert config["models"]["stylegan2"] == described["stylegan2"]
    # Its density says only what differs.
    assert config["density"]["epochs"] == 100 and config["density"]["n"] == 1


def test_the_command_line_wins_over_all(tmp_path):
    config = loaded(tmp_path, {"seeds": [1]}, {"seeds": [2]}, given={"seeds": [3]})
    assert config["seeds"] == [3]


def test_the_values_of_the_command_line_are_those_of_a_file(tmp_path):
    """`--config seeds=[1,2] 'density={epochs: 3, dedup: no}'` comes with strings within."""
    given = {"seeds": ["1", "2"], "density": {"epochs": "3", "dedup": "no", "extractor": "vit"}}
    given |= {"datasets": {"faces": {"stands_for": "null", "title": "a: b"}}}
    config = loaded(tmp_path, given=given)
    assert config["seeds"] == [1, 2] and config["density"]["n"] == 1
    density = {key: config["density"][key] for key in ("epochs", "dedup", "extractor")}
    assert density == {"epochs": 3, "dedup": False, "extractor": "vit"}
    faces = config["datasets"]["faces"]
    assert faces["stands_for"] is None and faces["title"] == "a: b" and faces["scene"] == "faces"


# ------------------------------------------------------------------------------- recipes


def test_a_recipe_is_the_named_one_with_what_the_model_says_otherwise(tmp_path):
    base = {"recipes": {"gan": {"lr": 1, "augment": ["color"]}, "other": {"lr": 9}}}
    base["models"] = {
        "a": {"recipe": {"base": "gan", "lr": 2}},
        "b": {"recipe": {"lr": 3}},
        "c": {"title": "no recipe"},
    }
    models = loaded(tmp_path, base=base)["models"]
    assert models["a"]["recipe"] == {"lr": 2, "augment": ["color"]}
    assert models["b"]["recipe"] == {"lr": 3} and models["c"] == {"title": "no recipe"}
    # An overlay of the named recipe reaches its models, and one may name another.
    models = loaded(tmp_path, {"recipes": {"gan": {"augment": []}}}, base=base)["models"]
    assert models["a"]["recipe"] == {"lr": 2, "augment": []}
    changed = loaded(tmp_path, {"models": {"a": {"recipe": {"base": "other"}}}}, base=base)
    assert changed["models"]["a"]["recipe"] == {"lr": 2}


# ------------------------------------------------------------------------------- reading


def test_an_empty_file_changes_nothing(tmp_path):
    (tmp_path / "empty.yaml").write_text("# only a comment\n")
    assert read_yaml(tmp_path / "empty.yaml") == {}


@pytest.mark.parametrize(
    ("text", "line"), [("a: 1\nb: {c: 1, c: 2}\n", 2), ("a:\n  - b: 1\n    b: 1\n", 3)]
)
def test_a_key_that_stands_twice_is_found_in_every_corner(text, line, tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=f"mine.yaml, line {line}: the key '[bc]' stands twice"):
        read_yaml(path)


def test_a_key_given_in_two_files_is_an_overlay_and_no_mistake(tmp_path):
    assert loaded(tmp_path, {"seeds": [1]}, {"seeds": [2]})["seeds"] == [2]


# ------------------------------------------------------------------------------- mistakes


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"drs": {"calibration": 3}},
            "methods.drs.calibration is 3: give one of isotonic, logistic",
        ),
        ({"drs": {"gamma_percentile": "80"}}, "methods.drs.gamma_percentile is '80'"),
        ({"polarity": {"volumes": 1.5}}, "methods.polarity.volumes is 1.5: give a value like 2000"),
        ({"dot": {"steps": True}}, "methods.dot.steps is True"),
        ({"plain": {"x": 1}}, "methods.plain.x is no setting of it; known settings: none"),
    ],
)
def test_a_value_of_another_kind_than_a_methods_default_is_refused(settings, message):
    with pytest.raises(ConfigError) as error:
        check_methods(settings)
    assert message in str(error.value) and "\n" not in str(error.value)


def test_a_whole_number_stands_for_any_number():
    check_methods({"drs": {"gamma_percentile": 80}, "dot": {"step_size": 1, "steps": 3}})


@pytest.mark.parametrize("settings", [{"k": 3}, {"k": 3, "extractor": "judge_cnn"}])
def test_a_metric_needs_an_extractor_exactly_if_it_looks_at_features(settings):
    if "extractor" in settings:
        assert metric_settings("manifold", settings) == {"k": 3}
        return
    with pytest.raises(ConfigError, match="metrics.manifold needs `extractor` exactly if"):
        metric_settings("manifold", settings)


MISTAKES = {
    "a recipe of one data set that no trainer reads": (
        {"models": {"iddpm": {"pretraining": {"bedroom": {"recipe": {"r1_gamma": 1.0}}}}}},
        "models.iddpm.pretraining.bedroom.recipe.r1_gamma is nothing that its trainer reads",
    ),
    "a discriminator of a model that has none": (
        {"models": {"iddpm": {"discriminator": {"width": 8}}}},
        "models.iddpm.discriminator: a diffusion model has none",
    ),
    "fakes of a model that sees none": (
        {"models": {"iddpm": {"finetuning": {"fake_weight": "reciprocal"}}}},
        "models.iddpm.finetuning.fake_weight must be none",
    ),
    "lengths of paths without a mapping network": (
        {"models": {"projectedgan": {"recipe": {"path_length_weight": 2.0}}}},
        "models.projectedgan.recipe.path_length_weight must be 0",
    ),
    "a Wasserstein loss without a penalty": (
        {"models": {"projectedgan": {"recipe": {"loss": "wasserstein"}}}},
        "models.projectedgan.recipe.gradient_penalty must be above 0",
    ),
    "a Wasserstein loss in fine-tuning only": (
        {"models": {"projectedgan": {"finetuning": {"recipe": {"loss": "wasserstein"}}}}},
        "models.projectedgan.finetuning.recipe.gradient_penalty must be above 0",
    ),
    "a generator that needs a setting": (
        {
            "models": {
                "vqgpt": {
                    "title": "V",
                    "architecture": "vqgpt",
                    "generator": {"patch": 2},
                    "recipe": {"base": "autoregressive"},
                    "pretraining": {"church": {"iterations": 3}},
                }
            }
        },
        "models.vqgpt.generator.channels is missing",
    ),
    "a projected discriminator without its network": (
        {
            "models": {
                "mine": {
                    "title": "S",
                    "architecture": "projectedgan",
                    "generator": {"z_dim": 8, "ngf": 4},
                    "discriminator": {"width": 8, "head_end": 4, "input_size": 16},
                    "recipe": {"base": "gan"},
                    "pretraining": {"faces": {"iterations": 3}},
                }
            }
        },
        "models.mine.backbone: name one frozen extractor, or give discriminator.features",
    ),
    "a projected discriminator with two of them": (
        {"models": {"projectedgan": {"discriminator": {"features": {"kind": "timm"}}}}},
        "models.projectedgan.backbone: name one frozen extractor",
    ),
    "an extractor that is trained on nothing known": (
        {"extractors": {"judge_cnn": {"trained_on": ["facs"]}}},
        "extractors.judge_cnn.trained_on names 'facs'",
    ),
    "a backbone that is not described": (
        {"models": {"projectedgan": {"backbone": "bone"}}},
        "models.projectedgan.backbone names 'bone', which is not described under extractors",
    ),
}


@pytest.mark.parametrize("what", MISTAKES)
def test_a_mistake_is_one_line_before_anything_runs(what, tmp_path):
    overlay, message = MISTAKES[what]
    config = loaded(tmp_path, overlay)
    with pytest.raises(ConfigError) as error:
        Plan(config, ROOT / "workflow/schemas", ROOT / "config/papers")
    assert message in str(error.value) and "\n" not in str(error.value)


def test_images_without_replacement_that_volumes_cannot_give_are_refused(tmp_path):
    config = loaded(tmp_path, {"methods": {"polarity": {"volumes": 500}}})
    with pytest.raises(ConfigError, match=r"1000 .* raise methods\.polarity\.volumes") as error:
        Plan(config, ROOT / "workflow/schemas", ROOT / "config/papers")
    assert "without replacement" in str(error.value) and "\n" not in str(error.value)
