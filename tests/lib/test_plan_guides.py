"""Which checkpoints can have the networks that guidance asks, said while planning."""

from pathlib import Path

import pytest

from pseudodensity.plan.config import load_config
from pseudodensity.plan.errors import ConfigError
from pseudodensity.plan.plan import Plan

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def plan() -> Plan:
    config = load_config(ROOT / "config/config.yaml", [], {})
    return Plan(config, ROOT / "workflow/schemas", ROOT / "config/papers")


def test_a_diffusion_model_without_classes_has_the_classifier_of_real_images_alone(plan):
    checkpoint = plan.models.pretrained("iddpm", "bedroom", 0)
    found = plan.pools.auxiliaries.of("real_classifier", checkpoint)
    assert set(found.needs) == {"checkpoint", "data"}
    assert found.spec["settings"]["images"] == 5000
    with pytest.raises(
        ConfigError, match="noisy_embedder is asked of iddpm, but it tells"
    ) as raised:
        plan.pools.auxiliaries.of("noisy_embedder", checkpoint)
    assert "this one has none" in str(raised.value) and "\n" not in str(raised.value)


@pytest.mark.parametrize("name", ["noisy_embedder", "real_classifier"])
@pytest.mark.parametrize("model", ["stylegan2", "biggan"])
def test_a_model_without_reverse_steps_has_neither(plan, model, name):
    dataset = next(data for own, data in plan.models.pairs() if own == model)
    checkpoint = plan.models.pretrained(model, dataset, 0)
    with pytest.raises(ConfigError, match="steps of a diffusion model, and this is none"):
        plan.pools.auxiliaries.of(name, checkpoint)
