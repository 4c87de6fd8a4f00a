"""How much a job has to do: counted from what it is made from, the same way in a small run as in a large one."""

from pathlib import Path

import pytest
import yaml

from pseudodensity.plan.config import load_config
from pseudodensity.plan.plan import Plan
from pseudodensity.plan.work import amount, subject

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def plan(tmp_path_factory) -> Plan:
    overlay = tmp_path_factory.mktemp("plan") / "mine.yaml"
    models = {"iddpm": {"generator": {"sampling_steps": 20}}}
    overlay.write_text(yaml.safe_dump({"models": models}))
    config = load_config(ROOT / "config/config.yaml", [overlay], {})
    return Plan(config, ROOT / "workflow/schemas", ROOT / "config/papers")


def whole(plan, artifact) -> tuple[int, str]:
    found = amount(artifact, plan.config)
    return found.whole, found.unit


def test_trainings_count_the_images_that_they_are_shown(plan):
    made = plan.models.pretrained("stylegan2", "faces", 0)
    spec = made.spec
    assert whole(plan, made) == (spec["iterations"] * spec["recipe"]["batch_size"], "images")
    assert subject(made) == "stylegan2, faces"


def test_pools_count_their_rows_and_those_of_diffusion_models_each_pass(plan):
    for model, data, passes, unit in (
        ("stylegan2", "faces", 1, "images"),
        ("iddpm", "bedroom", 20, "passes"),
    ):
        parent = plan.models.pretrained(model, data, 0)
        size = plan.config["runtime"]["proposals_per_file"]
        assert whole(plan, plan.pools.proposals(parent, 1)[0]) == (size * passes, unit)
        tuned = plan.models.finetuned(parent, "recall", 20, 0.03, False)
        assert whole(plan, plan.pools.proposals(tuned, 1)[0]) == (size * passes, unit)


@pytest.mark.parametrize(("steps", "passes"), [(None, 1000), (50, 50)])
def test_a_public_diffusion_model_counts_its_steps_or_those_of_its_training(
    tmp_path, steps, passes
):
    file = {"file": str(tmp_path / "model.pt"), "format": "openai", "sha256": None}
    (tmp_path / "model.pt").touch()
    model = {"title": "IDDPM", "architecture": "diffusion", "pretraining": {"bedroom": file}}
    model["generator"] = {"sampling_steps": steps} if steps else {}
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump({"models": {"public": model}}))
    config = load_config(ROOT / "config/config.yaml", [tmp_path / "mine.yaml"], {})
    public = Plan(config, ROOT / "workflow/schemas", ROOT / "config/papers")
    (part, *_) = public.pools.proposals(public.models.pretrained("public", "bedroom", 0), 100)
    assert amount(part, config).passes == passes


def test_a_method_with_steps_counts_each(plan):
    point = {"method": "perturbation", "towards": "less", "steps": 7, "step_size": 0.1, "bound": 1}
    checkpoint = plan.models.pretrained("stylegan2", "faces", 0)
    (made,) = plan.pools.proposals(checkpoint, 30, point)
    assert whole(plan, made) == (210, "passes")
    assert subject(made) == "stylegan2, faces, perturbation"
    (column,) = plan.pools.column("logits", {"reals": 10, "auxiliary": None}, [made], 30)
    assert whole(plan, column) == (30, "images")
    assert subject(column) == "stylegan2, faces, perturbation, logits"


def test_what_goes_through_a_data_set_counts_its_images(plan):
    images = plan.config["datasets"]["faces"]["images"]
    assert whole(plan, plan.data.dataset("faces")) == (images, "images")
    assert whole(plan, plan.data.features("faces", plan.data.steering)) == (images, "images")
    epochs = plan.config["density"]["epochs"]
    assert whole(plan, plan.data.density("faces")) == (images * epochs, "images x epochs")


def test_volumes_count_the_directions_that_they_take(plan):
    checkpoint = plan.models.pretrained("stylegan2", "faces", 0)
    settings = {"extractors": [], "kept": 4, "route": "auto", "spaces": ["pixel"]}
    (made,) = plan.pools.column("singular_values", settings, plan.pools.proposals(checkpoint, 9), 9)
    assert whole(plan, made) == (9 * 3 * 4, "passes")


def test_nothing_is_said_of_what_grows_otherwise(plan):
    kinds = {}
    for made in plan.artifacts.values():
        if not made.given:
            kinds.setdefault(made.kind, set()).add(amount(made, plan.config) is None)
            assert subject(made)
    unknown = {kind for kind, found in kinds.items() if True in found}
    assert unknown == {"scores", "experiment", "extremes", "costs"}


def parts(plan, model, count, point=None):
    return [made.rows for made in plan.pools.proposals(model, count, point)]


@pytest.fixture(scope="module")
def large(tmp_path_factory) -> Plan:
    """Images of 256 px, in files of 10,000."""
    overlay = tmp_path_factory.mktemp("plan") / "large.yaml"
    config = {name: {"resolution": 256} for name in ("faces", "bedroom")}
    models = {"iddpm": {"generator": {"sampling_steps": 50}}}
    runtime = {"proposals_per_file": 10_000}
    overlay.write_text(yaml.safe_dump({"datasets": config, "models": models, "runtime": runtime}))
    resolved = load_config(ROOT / "config/config.yaml", [overlay], {})
    return Plan(resolved, ROOT / "workflow/schemas", ROOT / "config/papers")


def test_a_pool_of_large_images_and_many_passes_is_cut_into_jobs_that_end(large, plan):
    """No number depends on it: the parts of a pool share its digest."""
    gan = large.models.pretrained("stylegan2", "faces", 0)
    diffusion = large.models.pretrained("iddpm", "bedroom", 0)
    assert parts(large, gan, 10_000) == ["0000000-0010000"]
    # 10 times 50 passes of .0655 million pixels: 1,464 images, in hundreds.
    assert parts(large, diffusion, 2000) == ["0000000-0001400", "0001400-0002800"]
    small = plan.models.pretrained("iddpm", "bedroom", 0)
    assert len(parts(plan, small, 10_000)) == 1


def test_images_that_belong_together_stay_in_one_part(large):
    model = large.models.pretrained("iddpm", "bedroom", 0)
    for samples, rows in ((10, 1400), (7, 1400), (30, 1200)):
        found = parts(large, model, 2100, PARTICLES | {"particles": samples})
        assert found[0] == f"0000000-{rows:07d}" and rows % samples == 0


PARTICLES = {"method": "particle_guidance", "strength": 1.0, "steps": 50, "step": "ancestral"}
PARTICLES |= {"least_sigma": 1.0, "from_time": 0.0, "to_time": 1000.0}
