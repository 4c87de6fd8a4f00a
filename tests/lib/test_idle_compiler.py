"""torch's compiler stays unloaded where libraries only mention it, and is whole where it is used."""

import os
import subprocess
import sys

import pytest

# Everything that loads the compiler in a job that compiles nothing.
LIBRARIES = """
import sys
import torch
import pseudodensity.features.small, pseudodensity.generators.diffusion
weight = torch.ones(1, requires_grad=True)
weight.sum().backward()
torch.optim.Adam([weight]).step()
loaded = {name for name in sys.modules if name.startswith("torch._dynamo.")}
"""


def run(code: str, disable: str) -> None:
    environment = {**os.environ, "TORCHDYNAMO_DISABLE": disable}
    subprocess.run([sys.executable, "-c", code], check=True, env=environment)


def test_libraries_do_not_load_it() -> None:
    run(f"{LIBRARIES}\nassert loaded == {{'torch._dynamo.utils'}}, loaded", "1")


def test_it_is_left_alone_without_torchs_own_switch() -> None:
    run(f"{LIBRARIES}\nassert 'torch._dynamo.eval_frame' in loaded", "0")


@pytest.mark.parametrize(
    "use",
    [
        "import torch._dynamo.eval_frame",
        "from torch._dynamo.utils import counters",
        "torch.compile(lambda x: x + 1)(torch.ones(2))",
        "torch._dynamo.reset()",
    ],
)
def test_use_loads_all_of_it_once(use: str) -> None:
    code = f"""{LIBRARIES}
import pseudodensity
{use}
import torch._dynamo.eval_frame
assert torch._dynamo is sys.modules["torch._dynamo"]
assert torch._dynamo.eval_frame is sys.modules["torch._dynamo.eval_frame"]
assert torch._dynamo.disable.__module__ == "torch._dynamo.decorators"
assert torch._dynamo.OptimizedModule is torch._dynamo.eval_frame.OptimizedModule
assert torch._dynamo.utils.is_compile_supported("cpu") in (True, False)
"""
    run(code, "1")
