"""Pickles of NVlabs (StyleGAN2 and 3) and of ProjectedGAN, from modules of ours, which have the public names."""

from __future__ import annotations

import pickle
import sys
import warnings
from collections import OrderedDict
from types import ModuleType
from unittest import mock

import numpy as np
from torch import nn
from torch.nn.utils import parametrize

__all__ = [
    "NVLABS",
    "EasyDict",
    "Persistent",
    "fake_modules",
    "persistent",
    "published_projectedgan",
    "with_hooks",
    "write",
]


def fake_modules(**contents: dict) -> dict[str, ModuleType]:
    """Importable modules "a.b" (written a__b) with the given contents, and their packages."""
    modules = {}
    for spelled, content in contents.items():
        parts = spelled.split("__")
        for i in range(1, len(parts) + 1):
            modules.setdefault(".".join(parts[:i]), ModuleType(".".join(parts[:i])))
        module = modules[".".join(parts)]
        for name, value in content.items():
            value.__module__ = ".".join(parts)
            setattr(module, name, value)
    return modules


def _reconstruct_persistent_obj(meta):
    raise AssertionError("the loader of the published code must never run")


class EasyDict(dict):
    pass


NVLABS = fake_modules(
    torch_utils__persistence={"_reconstruct_persistent_obj": _reconstruct_persistent_obj},
    dnnlib__util={"EasyDict": EasyDict},
)


class Persistent:
    """Pickles as an object of torch_utils.persistence does."""

    def __init__(self, class_name, state, source):
        self.meta = EasyDict(type="class", version=6, module_src=source, class_name=class_name)
        self.meta["state"] = state

    def __reduce__(self):
        return _reconstruct_persistent_obj, (self.meta,)


def persistent(module: nn.Module, source: str, kwargs=None, root=True) -> Persistent:
    """The published form of one of our StyleGAN modules, whose names are the public ones."""
    state = {
        "training": False,
        "_parameters": OrderedDict(module._parameters),
        "_buffers": OrderedDict(module._buffers),
        "_non_persistent_buffers_set": set(module._non_persistent_buffers_set),
        "_modules": OrderedDict(
            (name, None if child is None else persistent(child, source, root=False))
            for name, child in module._modules.items()
        ),
        "_forward_hooks": OrderedDict(),
        "_init_args": (),
        "_init_kwargs": EasyDict(kwargs or {}),
        "weight_gain": np.float64(0.25),
        "size": np.array([4, 4]),
    }
    if root:
        state |= {"c_dim": 0, "img_resolution": module.resolution}
    return Persistent(type(module).__name__, state, source)


def write(path, content, modules, protocol, pickler=pickle.Pickler):
    """Pickle ``content`` into a file; the modules that it names exist only meanwhile."""
    with mock.patch.dict(sys.modules, modules), open(path, "wb") as handle:
        pickler(handle, protocol).dump(content)
    return path


def with_hooks(build, trained: nn.Module) -> nn.Module:
    """The same network with the spectral normalisation of the published files, by hooks."""
    # Built anew: copies of a parametrised layer share a class, which the removal alters.
    module = build()
    module.load_state_dict(trained.state_dict())
    for layer in list(module.modules()):
        if not parametrize.is_parametrized(layer):
            continue
        norm = layer.parametrizations.weight
        stored = norm.original.detach(), norm[0]._u.clone(), norm[0]._v.clone()
        parametrize.remove_parametrizations(layer, "weight")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)
            nn.utils.spectral_norm(layer)
        for name, tensor in zip(("weight_orig", "weight_u", "weight_v"), stored, strict=True):
            getattr(layer, name).data.copy_(tensor)
    return module.eval().requires_grad_(False)


def _renamed(module: nn.Module, package: str) -> dict[str, ModuleType]:
    """Move the classes of all our modules to ``package``, in place; the modules to import."""
    classes = {}
    for layer in module.modules():
        if not type(layer).__module__.startswith("torch."):
            name = type(layer).__name__
            classes.setdefault(name, type(name, (type(layer),), {}))
            layer.__class__ = classes[name]
    return fake_modules(**{package: classes})


def _published_discriminator(build, trained: nn.Module) -> nn.Module:
    """The same network with hooks and the nesting of the published feature network."""
    module = with_hooks(build, trained)
    stages = module.feature_network.pretrained
    nested = nn.Module()
    act = nn.ReLU6()
    nested.layer0 = nn.Sequential(
        stages.conv_stem, stages.bn1, act, stages.blocks[0], stages.blocks[1]
    )
    nested.layer1 = nn.Sequential(stages.blocks[2])
    nested.layer2 = nn.Sequential(stages.blocks[3], stages.blocks[4])
    nested.layer3 = nn.Sequential(stages.blocks[5], stages.blocks[6])
    module.feature_network.pretrained = nested
    return module


def published_projectedgan(
    build, build_d, networks: dict[str, nn.Module]
) -> tuple[dict[str, nn.Module], dict[str, ModuleType]]:
    """The published form of G, D and G_ema of a ProjectedGAN, and the modules that its pickle names.

    build, build_d: what builds a generator and a discriminator like these.
    """
    public = {
        "G": with_hooks(build, networks["G"]),
        "D": _published_discriminator(build_d, networks["D"]),
        "G_ema": with_hooks(build, networks["G_ema"]),
    }
    modules = _renamed(public["G"], "pg_modules__G") | _renamed(
        public["G_ema"], "pg_modules__G_ema"
    )
    # The stages of timm first: what is left is of the project.
    stages = public["D"].feature_network.pretrained
    modules |= _renamed(stages, "timm__models__efficientnet_blocks")
    modules |= _renamed(public["D"], "pg_modules__discriminator")
    return public, modules
