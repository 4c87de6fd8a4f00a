"""Configs load and make a plan; schemas are closed and hold no defaults; mistakes are one line before any run."""

import math
import re
from pathlib import Path

import pandas as pd
import pytest
import yaml
from jsonschema import Draft202012Validator

from pseudodensity.plan.config import load_config
from pseudodensity.plan.errors import ConfigError
from pseudodensity.plan.plan import Plan
from pseudodensity.plan.resources import ON_DEVICE, resources

ROOT = Path(__file__).parents[2]
DEFAULT = ROOT / "config/config.yaml"
SCALES = ROOT / "config/scales"
SCHEMAS = sorted((ROOT / "workflow/schemas").glob("*.yaml"))

# Open on purpose: these settings are the arguments of files of the package, and the plan refuses one that
# such a file does not take.
OPEN = {
    "config": {
        "$defs.extractor",
        "$defs.model.properties.generator",
        "$defs.model.properties.discriminator",
    },
    "metric_checks": set(),
    "pseudo_density": set(),
}
# They constrain what another part of the schema closes.
CONDITIONS = {"if", "then", "else", "allOf"}


def read(path: Path):
    return yaml.safe_load(path.read_text())


def planned(*overlays: Path, given=None) -> Plan:
    """The plan of the default config with overlays."""
    config = load_config(DEFAULT, overlays, given or {})
    return Plan(config, ROOT / "workflow/schemas", ROOT / "config/papers")


@pytest.fixture(scope="module")
def default() -> Plan:
    """The plan of the default config."""
    return planned()


# ------------------------------------------------------------------------------- what ships


def test_the_default_config_makes_all_that_it_names(default):
    assert default.artifacts and default.tables and default.figures
    known = (*default.tables.values(), *default.figures.values())
    assert not [made.name for made in known if made.missing]
    blocks = default.papers["pseudo_density"]["blocks"]
    assert {f"table1/{block}" for block in blocks} <= set(default.tables)


@pytest.mark.parametrize("scale", sorted(p.stem for p in SCALES.glob("*.yaml")))
def test_every_scale_is_an_overlay_of_what_differs(scale):
    overlay, whole = read(SCALES / f"{scale}.yaml"), read(DEFAULT)
    assert set(overlay) <= set(whole)
    if scale != "paper":
        plan = planned(SCALES / f"{scale}.yaml")
        assert plan.tables["table1"].missing is None


def test_without_its_downloads_the_papers_scale_says_which_file_is_missing_first():
    with pytest.raises(ConfigError) as raised:
        planned(SCALES / "paper.yaml")
    message = str(raised.value)
    assert "\n" not in message and "does not exist" in message and "downloads/ffhq1024" in message


@pytest.fixture
def papers_scale(tmp_path, monkeypatch) -> Plan:
    """The plan of the papers' scale, where an empty file stands in for each download."""
    for path in re.findall(r"\bdownloads/[\w.-]+", (SCALES / "paper.yaml").read_text()):
        stand_in = tmp_path / path
        stand_in.parent.mkdir(exist_ok=True)
        stand_in.touch()
    monkeypatch.chdir(tmp_path)
    return planned(SCALES / "paper.yaml")


def test_at_the_papers_scale_table1_is_whole_and_its_networks_run_on_gpus(papers_scale):
    plan = papers_scale
    blocks = read(SCALES / "paper.yaml")["papers"]["pseudo_density"]["blocks"]
    target = plan.tables["table1"]
    assert target.missing is None
    assert list(dict.fromkeys(row["block"] for row in target.settings["rows"])) == blocks
    jobs = plan.jobs(target)
    kinds = {job.kind for job in jobs}
    assert kinds >= {"data", "extractor", "features", "density", "imported", "finetuned", "pool"}
    # Nothing is trained from scratch.
    assert "trained" not in kinds
    imported = {(j.facts["model"], j.facts["dataset"]) for j in jobs if j.kind == "imported"}
    assert imported == {tuple(block.split("-")) for block in blocks}
    for job in jobs:
        asked = resources(job, plan.config)
        assert asked["gpu"] == (job.kind in ON_DEVICE), job.path
        assert asked["mem_mb"] > 0 and asked["runtime"] > 0
    assert {"data", "density", "imported"}.isdisjoint(ON_DEVICE)
    # 70,000 images of 1,024 px as bytes are 220 GB.
    (faces,) = [job for job in jobs if job.path.startswith("results/data/faces-")]
    assert 220_000 < resources(faces, plan.config)["disk_mb"] < 240_000


@pytest.mark.parametrize("scale", ["embedded", "paper"])
def test_what_judges_neither_steers_nor_trains(scale, request):
    plan = request.getfixturevalue("default" if scale == "embedded" else "papers_scale")
    config = plan.config
    used = {config["density"]["extractor"]}
    used |= {model["backbone"] for model in config["models"].values() if "backbone" in model}
    judges = {*config["judges"], *(m["extractor"] for m in config["metrics"].values())}
    assert not used & judges


def test_nothing_of_the_default_config_is_left_unused(default):
    """What no table needs would be trained by nobody, and a recipe or a run would mislead its readers."""
    jobs = {j.path: j for t in default.tables.values() for j in default.jobs(t)}.values()
    config = default.config
    used = {(j.facts["model"], j.facts["dataset"]) for j in jobs if j.kind == "trained"}
    assert used == set(default.models.pairs())
    assert {dataset for _, dataset in used} == set(config["datasets"])
    extractors = {job.path: job.slug for job in jobs if job.kind == "extractor"}
    assert set(extractors.values()) == set(config["extractors"])
    bases = {model["recipe"].get("base") for model in read(DEFAULT)["models"].values()}
    assert bases == set(config["recipes"])
    asked = {name for names in config["frontier"]["methods"].values() for name in names}
    assert set(config["methods"]) <= asked
    grid = read(ROOT / "config/papers/pseudo_density.yaml")
    assert set(default.papers["pseudo_density"]["blocks"]) == set(grid["runs"])
    assert set(grid["fig4"]) <= asked


def test_every_reported_row_exists():
    reported = pd.read_csv(ROOT / "config/reported/pseudo_density.csv")
    known = set(zip(reported["dataset"], reported["model"], strict=True))
    for block, run in read(ROOT / "config/papers/pseudo_density.yaml")["runs"].items():
        if run["reported"] is not None:
            assert (run["reported"]["dataset"], run["reported"]["model"]) in known, block


# ------------------------------------------------------------------------------- schemas


def objects(schema, place=""):
    """Every subschema that describes an object, with its place."""
    if isinstance(schema, dict):
        if schema.get("type") == "object" or schema.get("type") == ["object", "null"]:
            yield place, schema
        for key, value in schema.items():
            if key not in CONDITIONS:
                yield from objects(value, f"{place}.{key}" if place else key)
    elif isinstance(schema, list):
        for index, value in enumerate(schema):
            yield from objects(value, f"{place}.{index}")


@pytest.mark.parametrize("path", SCHEMAS, ids=lambda p: p.stem)
def test_schemas_are_schemas_without_defaults_and_closed(path):
    schema = read(path)
    Draft202012Validator.check_schema(schema)
    assert not re.search(r"\bdefault:", path.read_text())
    found = dict(objects(schema))
    assert "" in found and set(found) >= OPEN[path.stem]
    for place, inner in found.items():
        closed = "additionalProperties" in inner
        assert closed != (place in OPEN[path.stem]), f"{place or 'top level'} is open"


def test_every_paper_has_a_schema_of_its_own(default):
    assert {path.stem for path in SCHEMAS} == {"config", *default.papers}


# ------------------------------------------------------------------------------- mistakes

# What a user's overlay says; what the message must name, and how it must say to mend it.
MISTAKES = {
    "an unknown key": ({"denisty": {}}, "top level", "'denisty'", "known keys: datasets, density,"),
    "an unknown key of a section": (
        {"density": {"kk": 3}},
        "config, density:",
        "known keys: batch",
    ),
    "a misspelt setting of a generator": (
        {"models": {"stylegan2": {"generator": {"zdim": 3}}}},
        "models.stylegan2.generator.zdim",
        "known settings: z_dim, w_dim,",
    ),
    "a misspelt setting of a discriminator": (
        {"models": {"stylegan2": {"discriminator": {"widht": 3}}}},
        "models.stylegan2.discriminator.widht",
        "known settings: channel_base,",
    ),
    "a misspelt setting of an extractor": (
        {"extractors": {"judge_cnn": {"widht": [3]}}},
        "extractors.judge_cnn.widht",
        "known settings: size, widths, blocks",
    ),
    "a misspelt setting of an extractor's training": (
        {"extractors": {"judge_cnn": {"training": {"epoch": 3}}}},
        "extractors.judge_cnn.training.epoch",
        "known settings: seed, epochs,",
    ),
    "a misspelt key of a recipe": (
        {"models": {"stylegan2": {"recipe": {"lr_genrator": 0.1}}}},
        "models.stylegan2.recipe",
        "'lr_genrator'",
        "known keys: augment,",
    ),
    "a key of another trainer's recipe": (
        {"models": {"iddpm": {"recipe": {"lr_generator": 0.1}}}},
        "models.iddpm.recipe.lr_generator",
        "known keys: batch_size, lr,",
    ),
    "the same in fine-tuning": (
        {"models": {"iddpm": {"finetuning": {"recipe": {"lr_generator": 0.1}}}}},
        "models.iddpm.finetuning.recipe.lr_generator",
        "known keys: batch_size, lr,",
    ),
    "an unknown recipe": (
        {"models": {"iddpm": {"recipe": {"base": "difusion"}}}},
        "models.iddpm.recipe.base is 'difusion'",
        "there are diffusion, gan,",
    ),
    "an unknown architecture": (
        {
            "models": {
                "mine": {
                    "title": "Mine",
                    "architecture": "difusion",
                    "pretraining": {"faces": {"iterations": 3}},
                }
            }
        },
        "models.mine.architecture is 'difusion'",
        "choose one of diffusion, external,",
    ),
    "a model on a data set that is not there": (
        {"models": {"iddpm": {"pretraining": {"bedrom": {"iterations": 3}}}}},
        "models.iddpm.pretraining names 'bedrom'",
        "there are faces, bedroom,",
    ),
    "a model that is both trained and downloaded": (
        {
            "models": {
                "iddpm": {
                    "pretraining": {"bedroom": {"file": "a", "format": "openai", "sha256": None}}
                }
            }
        },
        "models.iddpm.pretraining.bedroom",
        "give either iterations or file, format, sha256",
    ),
    "an unknown method": (
        {"frontier": {"methods": {"every": ["plain", "drss"]}}},
        "frontier.methods.every names 'drss'",
        "methods are held_out,",
    ),
    "a method of a model that cannot serve it": (
        {"frontier": {"methods": {"iddpm": ["drs"]}}},
        "frontier.methods: drs is asked of iddpm",
        "needs a discriminator, and there is none: take it out",
    ),
    "methods of a model that is not there": (
        {"frontier": {"methods": {"idpm": ["plain"]}}},
        "frontier.methods names 'idpm'",
        "not under models",
    ),
    "an unknown setting of a method": (
        {"methods": {"drs": {"gama": 3}}},
        "methods.drs.gama",
        "known settings: gamma_percentile,",
    ),
    "an unknown word for a setting of a method": (
        {"methods": {"drs": {"calibration": "isotnic"}}},
        "methods.drs.calibration is 'isotnic'",
        "give one of isotonic, logistic",
    ),
    "an unknown key of a grid": (
        {"papers": {"pseudo_density": {"fig4": {"truncation": {"styl": [0.7]}}}}},
        "papers.pseudo_density.fig4.truncation.styl",
        "known keys: style, scale, resample",
    ),
    "a value of another kind in a grid": (
        {"papers": {"pseudo_density": {"fig4": {"polarity": {"exponents": ["low"]}}}}},
        "papers.pseudo_density.fig4.polarity.exponents has 'low'",
        "give values like -0.1 or 0.1",
    ),
    "an unknown word in a grid": (
        {"papers": {"pseudo_density": {"fig4": {"drs": {"variants": ["exct"]}}}}},
        "papers.pseudo_density.fig4.drs.variants has 'exct'",
        "give values like 'exact' or 'paper' or 'shifted'",
    ),
    "settings of an unknown method": (
        {"methods": {"drss": {}}},
        "methods.drss is no method",
        "known: held_out,",
    ),
    "a goal for an unknown score": (
        {"frontier": {"wanted": [{"score": "precisoin", "at_least": 0.8}]}},
        "frontier.wanted names 'precisoin'",
        "scores of the metrics are precision,",
    ),
    "an unknown block": (
        {"papers": {"pseudo_density": {"blocks": ["stylegan-faces"]}}},
        "papers.pseudo_density.blocks names 'stylegan-faces'",
        "known blocks: iddpm-bedroom,",
    ),
    "an unknown block of a figure": (
        {"papers": {"pseudo_density": {"fig6": {"block": "stylegan-faces"}}}},
        "papers.pseudo_density.fig6.block names 'stylegan-faces'",
        "known blocks: iddpm-bedroom,",
    ),
    "an unknown method of figure 4": (
        {"papers": {"pseudo_density": {"fig4": {"importnce": {"tau": [50]}}}}},
        "papers.pseudo_density.fig4.importnce is no method",
        "known: held_out,",
    ),
    "an unknown key of a paper": (
        {"papers": {"pseudo_density": {"bloks": []}}},
        "papers.pseudo_density, top level",
        "known keys: blocks,",
    ),
    "an unknown paper": (
        {"papers": {"pseudodensity": {}}},
        "papers.pseudodensity is no paper",
        "there are metric_checks, pseudo_density",
    ),
    "a judge that also steers": (
        {"judges": ["density_vit"]},
        "judges or metrics use 'density_vit'",
        "name another one",
    ),
    "a metric that looks at what steers": (
        {"metrics": {"frechet": {"extractor": "density_vit"}}},
        "judges or metrics use 'density_vit'",
        "name another one",
    ),
    "more neighbours than images": (
        {"datasets": {"faces": {"density_k": 5000}}},
        "datasets.faces.density_k is 5000",
        "k must be smaller than the number of images",
    ),
    "no number of images where there is no end of them": (
        {"datasets": {"faces": {"images": None}}},
        "datasets.faces.images",
        "not of type 'integer'",
    ),
    "a folder of images that is not there": (
        {
            "datasets": {
                "mine": {
                    "kind": "folder",
                    "path": "nowhere/photos",
                    "title": "mine",
                    "images": None,
                    "resolution": 16,
                    "mirror": True,
                    "density_k": 5,
                    "max_unreadable": 0,
                }
            }
        },
        "datasets.mine.path is 'nowhere/photos', which does not exist",
        "put the images there or correct the path",
    ),
    "weights that are not there": (
        {"extractors": {"vgg": {"kind": "vgg16", "weights": "nowhere.pth", "sha256": "0" * 64}}},
        "extractors.vgg.weights is 'nowhere.pth', which does not exist",
        "download it from its owner first",
    ),
    "an unknown metric": (
        {"metrics": {"fid": {"extractor": "judge_cnn"}}},
        "metrics.fid is no metric",
        "choose one of clipped, earth_mover, frechet",
    ),
    "an unknown setting of a metric": (
        {"metrics": {"manifold": {"kk": 3}}},
        "metrics.manifold.kk",
        "known settings: k",
    ),
    "no number": (
        {"density": {"n": math.nan}},
        "density.n: nan",
        "is not a finite number: write one",
    ),
    "no end": ({"frontier": {"keep": math.inf}}, "frontier.keep: inf", "is not a finite number"),
}


@pytest.mark.parametrize("what", MISTAKES)
def test_a_mistake_is_one_line_that_names_the_place_and_says_how_to_mend_it(what, tmp_path):
    overlay, *parts = MISTAKES[what]
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(overlay))
    with pytest.raises(ConfigError) as raised:
        planned(tmp_path / "mine.yaml")
    message = str(raised.value)
    assert "\n" not in message and len(message) < 400
    for part in parts:
        assert part in message


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("seeds: [0]\ndensity:\n  n: 1\nseeds: [1]\n", "line 4: the key 'seeds' stands twice"),
        ("density:\n  n: 1\n  n: 2\n", "line 3: the key 'n' stands twice: keep one of them"),
        ("seeds: [0\n", "is no YAML"),
        ("- 1\n", "holds no keys: write `name: value` lines"),
    ],
    ids=["twice", "twice inside", "no YAML", "a list"],
)
def test_an_overlay_that_cannot_be_read_names_file_and_line(text, complaint, tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError) as raised:
        planned(path)
    message = str(raised.value)
    assert message.startswith(str(path)) and complaint in message and "\n" not in message


def test_an_overlay_that_is_not_there(tmp_path):
    with pytest.raises(ConfigError, match=r"mine\.yaml cannot be read \(.*\): correct the path"):
        planned(tmp_path / "mine.yaml")


def test_a_generator_of_ones_own_that_is_not_there_is_said_where_it_is_asked_for(tmp_path):
    """Whoever has downloaded one of ten files can make what needs that one."""
    source = {"file": "nowhere.pt2", "format": "exported", "sha256": None}
    mine = {"title": "Mine", "architecture": "external", "latent_shape": [8]}
    overlay = {"models": {"mine": mine | {"pretraining": {"faces": source}}}}
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(overlay))
    plan = planned(tmp_path / "mine.yaml")
    assert plan.tables["table1"].missing is None
    with pytest.raises(ConfigError) as raised:
        plan.target("table", "frontier/mine-faces")
    message = str(raised.value)
    assert "models.mine.pretraining.faces.file is 'nowhere.pt2', which does not exist" in message
    assert "correct the path" in message and "\n" not in message


def test_a_block_of_a_model_that_is_not_there_is_said_before_anything_runs(papers_scale):
    Path("downloads/bedroom.pkl").unlink()
    with pytest.raises(ConfigError) as raised:
        planned(SCALES / "paper.yaml")
    message = str(raised.value)
    assert "models.projectedgan.pretraining.bedroom.file is 'downloads/bedroom.pkl'" in message
    assert "download it from its owner first, or correct the path" in message
