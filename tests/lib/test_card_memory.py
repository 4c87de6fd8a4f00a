"""The parts that paper.yaml works a batch through fit a card of 40 GB.

Computed without a card, from shapes alone: what a training holds for good and what autograd keeps of one part.
"""

from collections.abc import Callable, Iterable
from pathlib import Path

import pytest
import torch
import yaml

from pseudodensity.control.train.adversarial import squared_slope
from pseudodensity.generators.build import build_discriminator, build_generator

ROOT = Path(__file__).parents[2]
MODELS = yaml.safe_load((ROOT / "config/scales/paper.yaml").read_text())["models"]
# The rest is for what lives for one operation only: gradients of maps, and workspaces.
HELD = 0.8 * 40e9
# float32 of a generator: weights, gradients, two moments and the average; of a discriminator no average.
COPIES_OF_G, COPIES_OF_D = 5, 4
# Shapes of the public files, beside what paper.yaml says of them; as an import finds them.
UNET = {"blocks": 2, "norm_groups": 32, "patch": 1, "network": "diffusers", "training_steps": 1000}
UNET |= {"schedule": "linear", "prediction": "epsilon", "rescale_vb": False}
DIFFUSION = {
    "iddpm": {"channels": [128, 128, 256, 256, 512, 512], "attention_levels": [4]}
    | {"flavour": "iddpm", "head_channels": None, "dropout": 0.0},
    "adm": {"channels": [256, 256, 512, 512, 1024, 1024], "attention_levels": [3, 4, 5]}
    | {"flavour": "adm", "head_channels": 64, "dropout": 0.1},
}
GANS = {"stylegan2": {}, "stylegan3": {"recompute": True}}


def part_of(name: str) -> int:
    recipe = MODELS[name]["recipe"]
    return recipe["batch_size"] // recipe["accumulate"]


def kept(modules: Iterable[torch.nn.Module], graph: Callable[[], torch.Tensor]) -> int:
    """Bytes that a backward pass through a graph needs, beside those of the modules."""
    own = {id(t.untyped_storage()) for m in modules for t in (*m.parameters(), *m.buffers())}
    seen = {}  # storages themselves, so that no later one takes the place of one that is gone

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if id(storage) not in own:
            seen[id(storage)] = storage
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        graph()
    return sum(storage.nbytes() for storage in seen.values())


def held(module: torch.nn.Module, copies: int) -> int:
    return copies * sum(p.nbytes for p in module.parameters())


def test_what_autograd_keeps_of_a_layer_is_its_input_and_is_counted_once():
    with torch.device("meta"):
        layers = torch.nn.Sequential(torch.nn.Linear(10, 20), torch.nn.Sigmoid())
        x = torch.randn(3, 10)
        # The input of the linear map, and the result of the sigmoid.
        assert kept([layers], lambda: layers(x)) == 4 * (3 * 10 + 3 * 20)
        assert held(layers, 5) == 5 * 4 * (10 * 20 + 20)


@pytest.mark.parametrize("name", DIFFUSION)
def test_a_part_of_a_diffusion_model_fits(name):
    settings = UNET | DIFFUSION[name] | MODELS[name]["generator"]
    part = part_of(name)
    with torch.device("meta"):
        model = build_generator("diffusion", 256, settings).train()
        images, times = torch.randn(part, 3, 256, 256), torch.zeros(part)
        graph = kept([model], lambda: model.unet(images, times))
    assert held(model, COPIES_OF_G) + graph < HELD


@pytest.mark.parametrize("name", GANS)
def test_a_part_of_a_gan_of_1024_px_fits_in_each_of_its_steps(name):
    with torch.device("meta"):
        g = build_generator(name, 1024, GANS[name]).eval()
        d = build_discriminator(name, 1024, MODELS[name]["discriminator"]).train()
        z, real, fake = (
            torch.randn(part_of(name), *s) for s in (g.latent_shape, *[(3, 1024, 1024)] * 2)
        )
        steps = {
            "generator": kept([g, d], lambda: d(g(z))),
            "discriminator": kept([g, d], lambda: sum(d.judge_both([real], [fake]))),
            "R1": kept([g, d], lambda: squared_slope(d(real.requires_grad_()), real)),
        }
    fixed = held(g, COPIES_OF_G) + held(d, COPIES_OF_D)
    assert {step: fixed + graph < HELD for step, graph in steps.items()} == dict.fromkeys(
        steps, True
    )
