"""Pickles of TensorFlow (StyleGAN2 and ProGAN), from networks of ours under the published names."""

from __future__ import annotations

import re

import numpy as np
import torch

from public_files.pickled import fake_modules, write

__all__ = [
    "Network",
    "progan_variables",
    "published_discriminator",
    "published_generator",
    "write_tensorflow",
]

SYNTHESIS = {"conv0": "Conv0_up", "conv1": "Conv1", "torgb": "ToRGB"}
DISCRIMINATOR = {"conv0": "Conv0", "conv1": "Conv1_down", "skip": "Skip", "fromrgb": "FromRGB"}


class Network:
    """Pickles as the published class does: by name, with a dictionary as state."""

    def __init__(self, function, variables, kwargs, components=None):
        self.content = {"version": 4, "name": function, "static_kwargs": kwargs}
        self.content |= {"build_func_name": function, "build_module_src": "raise SystemExit"}
        self.content |= {"variables": list(variables.items()), "components": components or {}}

    def __getstate__(self):
        return self.content


def write_tensorflow(path, root, module, network):
    """Pickle a root into a file; the module of its class ``network`` exists only meanwhile."""
    modules = fake_modules(**{module.replace(".", "__"): {network.__name__: network}})
    return write(path, root, modules, 4)


def stored(value: torch.Tensor, back_to_front: bool = False) -> np.ndarray:
    """In the layout of TensorFlow: pixels, inputs, outputs; or inputs, outputs."""
    array = value.numpy()
    if array.ndim == 4:
        array = array[:, :, ::-1, ::-1] if back_to_front else array
        return np.ascontiguousarray(array.transpose(2, 3, 1, 0))
    return np.ascontiguousarray(array.T) if array.ndim == 2 else array


def published_generator(network, **kwargs):
    mapping, synthesis, own = {}, {}, {}
    for name, value in network.state_dict().items():
        if match := re.fullmatch(r"mapping\.fc(\d)\.(\w+)", name):
            mapping[f"Dense{match[1]}/{match[2]}"] = stored(value)
        elif name == "mapping.w_avg":
            own["dlatent_avg"] = value.numpy()
        elif match := re.fullmatch(r"synthesis\.b(\d+)\.conv(\d)\.noise_const", name):
            number = 2 * int(np.log2(int(match[1]))) - 5 + int(match[2])
            synthesis[f"noise{number}"] = value.numpy()[None, None]
        elif name == "synthesis.b4.const":
            synthesis["4x4/Const/const"] = value.numpy()[None]
        elif match := re.fullmatch(r"synthesis\.b(\d+)\.(\w+)\.(affine\.)?(\w+)", name):
            size, layer, affine, kind = match.groups()
            if kind == "resample_filter":
                continue
            public = "Conv" if (size, layer) == ("4", "conv1") else SYNTHESIS[layer]
            value = value - 1 if affine and kind == "bias" else value
            kind = f"mod_{kind}" if affine else kind
            synthesis[f"{size}x{size}/{public}/{kind}"] = stored(value, layer == "conv0")
    components = {
        "mapping": Network("G_mapping", mapping, {}),
        "synthesis": Network("G_synthesis_stylegan2", synthesis, {}),
    }
    return Network("G_main", own, {"dlatent_avg_beta": 0.99, **kwargs}, components)


def published_discriminator(network):
    variables = {}
    for name, value in network.state_dict().items():
        block, layer, kind = name.split(".") if name.count(".") == 2 else ("", "", "filter")
        size = block.removeprefix("b")
        names = {"conv": "Conv", "fc": "Dense0"} if block == "b4" else DISCRIMINATOR
        if "filter" not in kind:
            public = "Output" if layer == "out" else f"{size}x{size}/{names[layer]}"
            variables[f"{public}/{kind}"] = stored(value)
    return Network("D_stylegan2", variables, {"mbstd_group_size": 2, "architecture": "resnet"})


# Our layer of a ProGAN at 4 px, at larger sizes and at the image -> the public one.
PROGAN_4 = {"": "Dense", "conv": "Conv", "dense0": "Dense0", "dense1": "Dense1"}
PROGAN_COLOURS = {"torgb": "ToRGB_lod0", "fromrgb": "FromRGB_lod0"}


def progan_variables(network, generator: bool) -> dict[str, np.ndarray]:
    """Variables of the last stage of growing of a ProGAN generator or discriminator of ours."""
    larger = {"conv0": "Conv0_up" if generator else "Conv0"}
    larger["conv1"] = "Conv1" if generator else "Conv1_down"
    variables = {"lod": np.float32(0)}
    for name, value in network.state_dict().items():
        layer, _, kind = name.rpartition(".")
        block, _, own = layer.partition(".")
        public = PROGAN_COLOURS.get(layer)
        if public is None:
            size = block.removeprefix("b")
            public = f"{size}x{size}/{(PROGAN_4 if size == '4' else larger)[own]}"
        if public.endswith("Conv0_up") and value.ndim == 4:
            # Outputs before inputs, back to front.
            value = value.flip(2, 3).permute(2, 3, 0, 1).contiguous().numpy()
        else:
            value = stored(value)
        variables[f"{public}/{kind}"] = value
    return variables
