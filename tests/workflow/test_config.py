"""Configs load and make a plan; schemas are closed and hold no defaults; mistakes are one line before any run."""

import re
from pathlib import Path

import pandas as pd
import pytest
import yaml
from jsonschema import Draft202012Validator

from pseudodensity.control.train.weights import RECIPE, check_recipe
from pseudodensity.generators.checking import check_networks
from pseudodensity.papers.latent_reweighting.table1 import LAWS, METHODS
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
    "latent_reweighting": set(),
    "metric_checks": set(),
    "low_density": set(),
    "polarity": set(),
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
    # But for the faces, whose generator `make faces` fetches.
    missing = {made.name: made.missing for made in known if made.missing}
    assert set(missing) == {"faces", "faces.frontier"}
    assert all("make faces" in why for why in missing.values())
    blocks = default.papers["pseudo_density"]["blocks"]
    assert {f"table1/{block}" for block in blocks} <= set(default.tables)


@pytest.mark.parametrize("scale", sorted(p.stem for p in SCALES.glob("*.yaml")))
def test_every_scale_is_an_overlay_of_what_differs(scale):
    overlay, whole = read(SCALES / f"{scale}.yaml"), read(DEFAULT)
    assert set(overlay) <= set(whole)
    # The others need downloads.
    if scale not in ("paper", "rehearsal", "real", "faces"):
        plan = planned(SCALES / f"{scale}.yaml")
        assert plan.tables["table1"].missing is None


def test_networks_that_the_papers_scale_trains_can_be_built():
    """Those of the embedded config that it does not replace as well: data sets are larger there."""
    config = load_config(DEFAULT, [SCALES / "paper.yaml"], {})
    check_networks({name: config[name] for name in ("datasets", "extractors", "models")})


def test_without_its_downloads_the_papers_scale_says_which_file_is_missing_first():
    with pytest.raises(ConfigError) as raised:
        planned(SCALES / "paper.yaml").target("table", "table1")
    message = str(raised.value)
    assert "\n" not in message and "does not exist" in message
    assert "downloads/lsun_uncond_100M_1200K_bs128.pt" in message


@pytest.fixture
def real_scale(tmp_path, monkeypatch) -> Plan:
    """The plan of real images and a foreign judge, where empty files and a set of names stand in for
    what must be fetched."""
    monkeypatch.setattr("pseudodensity.plan.data.version", lambda _: "0.1.0")
    fashion = read(SCALES / "real.yaml")["datasets"]["fashion"]
    for key in ("path", "labels"):
        (tmp_path / fashion[key]).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / fashion[key]).touch()
    monkeypatch.chdir(tmp_path)
    return planned(SCALES / "real.yaml")


def test_on_real_images_nothing_that_is_trained_on_them_judges(real_scale):
    target = real_scale.tables["table1"]
    assert target.missing is None
    jobs = {job.path: job for job in real_scale.jobs(target)}.values()
    extractors = {job.slug: job for job in jobs if job.kind == "extractor"}
    trained = {name for name, job in extractors.items() if job.spec["trained_on"]}
    assert trained == {"density_vit", "backbone_cnn"} and set(extractors) - trained == {
        "photographs"
    }
    # The drawn scenes teach one network what colour is; no density and no model is of them.
    kinds = ("density", "trained", "pool", "reals")
    told = {upstream.slug for job in jobs if job.kind in kinds for upstream in job.upstream()}
    assert "fashion" in told and not told & {"faces", "church", "bedroom", "digits"}
    scores = [job for job in jobs if job.kind == "scores"]
    assert scores and {job.spec["extractor"] for job in scores} == {"photographs"}


def test_latent_reweighting_on_real_images_is_of_nothing_that_is_drawn_here(real_scale):
    """Table 3 is judged by a classifier of its set, the others by the network that was never trained here."""
    judges = {"table2": "photographs", "table3": "fashion_cnn", "all_methods": "photographs"}
    for name, judge in judges.items():
        target = real_scale.tables[f"latent_reweighting/{name}"]
        assert target.missing is None, name
        assert {made.spec["extractor"] for made in target.inputs["scores"]} == {judge}
        trained = {
            (j.facts["model"], j.facts["dataset"])
            for j in real_scale.jobs(target)
            if j.kind == "trained"
        }
        assert trained == {("convgan" if name == "table3" else "projectedgan", "fashion")}
    rows = real_scale.tables["latent_reweighting/table3"].settings["rows"]
    reported = pd.read_csv(ROOT / "config/reported/latent_reweighting.csv")
    own = reported[reported["target"].eq("table3")]
    for row in rows:
        known = own["dataset"].eq(row["of_paper"]["dataset"]) & own["model"].eq(
            row["of_paper"]["model"]
        )
        assert known.any()
    fashion = real_scale.data.extractor("fashion_cnn")
    assert fashion.spec["trained_on"] == ["fashion"]


def test_real_images_that_were_not_fetched_are_said_in_one_line(real_scale, tmp_path):
    (tmp_path / read(SCALES / "real.yaml")["datasets"]["fashion"]["labels"]).unlink()
    with pytest.raises(
        ConfigError, match="fashion.labels is .* does not exist: put the labels"
    ) as raised:
        planned(SCALES / "real.yaml").target("table", "table1")
    assert "\n" not in str(raised.value)


@pytest.fixture
def papers_scale(tmp_path, monkeypatch) -> Plan:
    """The plan of the papers' scale, where an empty file or folder stands in for each download."""
    datasets = read(SCALES / "paper.yaml")["datasets"].values()
    for path in re.findall(r"\bdownloads/[\w./-]+", (SCALES / "paper.yaml").read_text()):
        stand_in = tmp_path / path
        stand_in.parent.mkdir(exist_ok=True, parents=True)
        if any(d.get("path") == path and d["kind"] == "folder" for d in datasets):
            stand_in.mkdir()
        else:
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


def test_the_rehearsal_of_the_papers_scale_makes_all_that_it_makes(papers_scale):
    rehearsal = planned(SCALES / "paper.yaml", SCALES / "rehearsal.yaml")
    for name, targets in papers_scale.of_paper.items():
        expected = {target.name for target in targets if not target.missing}
        there = {target.name for target in rehearsal.of_paper[name] if not target.missing}
        assert there == expected, name
    jobs = {
        job for target in rehearsal.of_paper["pseudo_density"] for job in rehearsal.jobs(target)
    }
    assert not any(resources(job, rehearsal.config)["gpu"] for job in jobs)


def test_at_the_papers_scale_diverse_rare_has_its_models_and_its_settings(papers_scale):
    missing = {t.name: t.missing for t in papers_scale.of_paper["diverse_rare"] if t.missing}
    assert not missing
    table = papers_scale.tables["diverse_rare/table1"]
    searched = [row["point"] for row in table.settings["rows"] if row["around"] is not None]
    assert {point["extractor"] for point in searched} == {"vgg16"}
    assert {point["neighbours"] for point in searched} == {100}
    volumes = [
        row["point"]["volumes"] for row in table.settings["rows"] if "polarity" in row["point"]
    ]
    assert volumes == [62_500, 62_500]  # of each of four repeats: 250,000
    small = papers_scale.tables["diverse_rare/table4"].settings["rows"]
    assert {row["point"].get("samples") for row in small} == {None, 5}


# Appendix E of the paper: lambda1, lambda2, m; layers; rates of critic and weights; steps of weights.
LATENT_WEIGHTS = {
    "progan": (20, 5, 3, [512] * 4, 1e-4, 1e-5, 3),
    "stylegan2": (30, 5, 2, [512] * 3, 1e-4, 1e-5, 3),
    "convgan": (10, 3, 3, [400] * 4, 4e-4, 1e-4, 1),
}


def test_at_the_papers_scale_latent_reweighting_has_its_models_and_its_settings(papers_scale):
    plan = papers_scale
    keys = ("lambda_norm", "lambda_clip", "largest", "widths", "lr_critic", "lr_weights")
    for model, wanted in LATENT_WEIGHTS.items():
        settings = plan.pools.auxiliaries.settings("latent_weight", model)
        assert tuple(settings[key] for key in (*keys, "weight_steps")) == wanted, model
        check_recipe({key: settings[key] for key in RECIPE})
    reported = pd.read_csv(ROOT / "config/reported/latent_reweighting.csv")
    for name in ("table2", "table3", "table4", "table5"):
        target = plan.tables[f"latent_reweighting/{name}"]
        assert target.missing is None
        shown = {tuple(row["of_paper"].values()) for row in target.settings["rows"]}
        printed = reported[reported["target"].eq(name)]
        assert shown == set(zip(printed["model"], printed["dataset"], strict=True)), name
    scores = plan.tables["latent_reweighting/table3"].inputs["scores"]
    judges = {(made.slug.split("-")[1], made.spec["extractor"]) for made in scores}
    assert judges == {("mnist", "mnist_cnn"), ("fashion", "fashion_cnn")}


def test_at_the_papers_scale_polarity_has_its_models_and_marks_what_is_circular(papers_scale):
    made = papers_scale.of_paper["polarity"]
    assert [target.name for target in made if target.missing] == []
    table = papers_scale.tables["polarity/table2"]
    blocks = {row["block"] for row in table.settings["rows"]}
    assert blocks == {"stylegan2-faces", "stylegan2-church", "stylegan3-faces", "progan-celebahq"}
    spaces = {row["point"].get("extractor") for row in table.settings["rows"]} - {None}
    assert spaces == set(table.settings["judges"]) == {"vgg16", "inception"}
    asked = [row["point"] for row in table.settings["rows"]]
    assert {point["top"] for point in asked if point["method"] == "polarity"} == {30}
    made = {j.path: j for j in papers_scale.jobs(table) if j.slug == "singular_values"}
    extractors = {tuple(job.spec["settings"]["extractors"]) for job in made.values()}
    assert extractors == {("inception", "vgg16")}, "all spaces of a model are of one sweep"
    (paths,) = papers_scale.tables["polarity/fig7"].inputs.values()
    assert paths.spec["settings"]["distance"] == paths.spec["settings"]["title"].upper() == "LPIPS"
    lpips = paths.needs["extractor"]
    assert set(lpips.files) == {"weights", "head_weights"} and not set(lpips.spec) & set(
        lpips.files
    )
    assert "features.lpips" in paths.modules and lpips.modules == ("features.lpips",)
    (shown,) = papers_scale.tables["polarity/fig6"].inputs["measured"]
    assert shown.needs["extractor"].modules == ("features.pretrained",)


def test_only_an_extractor_that_says_so_has_a_distance_of_its_own(default):
    names = default.config["extractors"]
    assert names and [default.data.distance(name) for name in names] == [None] * len(names)
    assert default.tables["polarity/fig7"].inputs["measured"].spec["settings"]["distance"] is None


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
    jobs = list({j.path: j for t in default.tables.values() for j in default.jobs(t)}.values())
    config = default.config
    used = {(j.facts["model"], j.facts["dataset"]) for j in jobs if j.kind == "trained"}
    assert used == set(default.models.pairs())
    assert {dataset for _, dataset in used} == set(config["datasets"])
    extractors = {job.path: job.slug for job in jobs if job.kind == "extractor"}
    assert set(extractors.values()) == set(config["extractors"])
    bases = {model["recipe"].get("base") for model in read(DEFAULT)["models"].values()}
    assert bases == set(config["recipes"])
    asked = {name for names in config["frontier"]["methods"].values() for name in names}
    pools = {
        job.spec["point"]["method"] for job in jobs if job.kind == "pool" and job.spec["point"]
    }
    assert set(config["methods"]) <= asked | pools
    grid = read(ROOT / "config/papers/pseudo_density.yaml")
    assert set(default.papers["pseudo_density"]["blocks"]) == set(grid["runs"])
    assert set(grid["fig4"]) <= asked


def test_every_reported_row_of_latent_reweighting_has_a_method_and_a_law():
    reported = pd.read_csv(ROOT / "config/reported/latent_reweighting.csv")
    table1 = reported[reported["target"].eq("table1")]
    assert set(table1["dataset"]) == {printed for _, printed in LAWS.values()}
    assert set(table1["setting"]) == {printed for _, printed in METHODS.values()} - {""}


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
    assert "" in found and set(found) >= OPEN.get(path.stem, set())
    for place, inner in found.items():
        closed = "additionalProperties" in inner
        assert closed != (place in OPEN.get(path.stem, ())), f"{place or 'top level'} is open"


def test_every_paper_has_a_schema_of_its_own(default):
    assert {path.stem for path in SCHEMAS} == {"config", *default.papers}


# ------------------------------------------------------------------------------- mistakes

# The kinds of mistakes: test_bad_configs.py.


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


def test_a_public_file_is_sampled_as_the_config_says_and_nothing_else_is_said_of_it(tmp_path):
    (tmp_path / "public.pt").write_bytes(b"")
    source = {"file": str(tmp_path / "public.pt"), "format": "openai", "sha256": None}
    mine = {"title": "Mine", "architecture": "diffusion", "pretraining": {"faces": source}}

    def made(generator):
        overlay = {"models": {"mine": mine | {"generator": generator}}}
        (tmp_path / "mine.yaml").write_text(yaml.safe_dump(overlay))
        return planned(tmp_path / "mine.yaml").models.pretrained("mine", "faces", 0)

    plain, few = made({}), made({"sampling_steps": 4})
    assert "sampling" not in plain.spec and few.spec["sampling"] == {"sampling_steps": 4}
    with pytest.raises(ConfigError, match=r"models\.mine\.generator\.dropout: .* take it out"):
        made({"dropout": 0.1})


DIGEST = "a" * 64


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"format": "torchscript", "sha256": None}, "TorchScript is code"),
        ({"format": "torchscript", "sha256": DIGEST}, "TorchScript is code"),
        ({"format": "torchscript", "sha256": DIGEST, "trusted": False}, "TorchScript is code"),
        ({"format": "torchscript", "sha256": None, "trusted": True}, "TorchScript is code"),
        ({"format": "exported", "sha256": DIGEST, "trusted": True}, "read as data"),
        ({"format": "exported", "sha256": None}, "does not go with"),
    ],
)
def test_code_of_strangers_is_refused_before_anything_runs(given, message, tmp_path):
    mine = {"title": "Mine", "architecture": "external", "latent_shape": [8]}
    overlay = {"models": {"mine": mine | {"pretraining": {"faces": {"file": "gan.pt", **given}}}}}
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(overlay))
    with pytest.raises(ConfigError, match=message) as raised:
        planned(tmp_path / "mine.yaml")
    assert "models.mine.pretraining.faces" in str(raised.value) and "\n" not in str(raised.value)


def test_trusted_torchscript_is_planned_and_its_trust_is_part_of_what_it_is(tmp_path):
    (tmp_path / "gan.pt").write_bytes(b"")
    source = {"file": str(tmp_path / "gan.pt"), "format": "torchscript"}
    source |= {"sha256": DIGEST, "trusted": True}
    mine = {"title": "Mine", "architecture": "external", "latent_shape": [8]}
    overlay = {"models": {"mine": mine | {"pretraining": {"faces": source}}}}
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(overlay))
    checkpoint = planned(tmp_path / "mine.yaml").models.pretrained("mine", "faces", 0)
    assert checkpoint.spec["source"] == {k: source[k] for k in ("format", "sha256", "trusted")}


def test_a_block_of_a_model_that_is_not_there_is_said_before_anything_runs(papers_scale):
    Path("downloads/bedroom.pkl").unlink()
    plan = planned(SCALES / "paper.yaml")
    with pytest.raises(ConfigError) as raised:
        plan.target("table", "table1")
    message = str(raised.value)
    assert "models.projectedgan.pretraining.bedroom.file is 'downloads/bedroom.pkl'" in message
    assert "download it from its owner first, or correct the path" in message
    # Those of other files are not held up, and what is drawn from a table that is not there is not drawn.
    lost = {"table1/projectedgan-bedroom", "table1", "fig4", "frontier/projectedgan-bedroom"}
    everything = (*plan.tables.values(), *plan.figures.values())
    assert lost <= {target.name for target in everything if target.missing == message}
    assert plan.target("table", "table1/adm-bedroom").missing is None
    assert plan.target("figure", "frontier/projectedgan-church").missing is None


def test_with_one_of_the_papers_data_sets_all_can_be_made_that_is_of_it_alone(papers_scale):
    for name, dataset in read(SCALES / "paper.yaml")["datasets"].items():
        if name != "church":
            for key in {"path", "labels"} & dataset.keys():
                place = Path(dataset[key])
                place.rmdir() if place.is_dir() else place.unlink()
    plan = planned(SCALES / "paper.yaml")
    made = {target.name for target in plan.tables.values() if not target.missing}
    assert {"table1/projectedgan-church", "latent_reweighting/table5", "polarity/table1"} <= made
    assert not {"table1/stylegan2-faces", "table1", "diverse_rare/table1"} & made
    for name in made:
        assert not any(job.absent for job in plan.jobs(plan.tables[name])), name
    # Claims are answered from the tables that can be made.
    claims = plan.target("table", "polarity/claims").inputs
    assert "table1" in claims and "table2" not in claims
