"""torch's compiler stays unloaded where libraries only mention it, and is whole where it is used."""

import os
import subprocess
import sys

import pytest

# Everything that loads the compiler in a job that compiles nothing.
MENTIONED = """
import sys
import torch
import pseudodensity.features.small, pseudodensity.generators.diffusion
weight = torch.ones(1, requires_grad=True)
weight.sum().backward()
torch.optim.Adam([weight]).step()
loaded = {name for name in sys.modules if name.startswith("torch._dynamo.")}
assert loaded == {"torch._dynamo.utils"}, loaded
"""
WHOLE = """
import torch._dynamo.eval_frame
assert torch._dynamo is sys.modules["torch._dynamo"]
assert torch._dynamo.eval_frame is sys.modules["torch._dynamo.eval_frame"]
assert torch._dynamo.OptimizedModule is torch._dynamo.eval_frame.OptimizedModule
assert torch._dynamo.disable.__module__ == "torch._dynamo.decorators"
assert torch._dynamo.utils.is_compile_supported.__module__ == "torch._dynamo.utils"
"""


def run(code: str, disable: str) -> None:
    environment = {**os.environ, "TORCHDYNAMO_DISABLE": disable}
    subprocess.run([sys.executable, "-c", code], check=True, env=environment)


# By a part of it, by what it alone defines, and by the part that answers for itself.
@pytest.mark.parametrize(
    "use",
    [
        "import torch._dynamo.eval_frame",
        "torch._dynamo.reset()",
        "from torch._dynamo.utils import counters",
    ],
)
def test_it_is_loaded_by_use_once_and_not_by_mention(use: str) -> None:
    run(f"{MENTIONED}{use}{WHOLE}", "1")


def test_it_is_left_alone_without_torchs_own_switch() -> None:
    run("import sys, pseudodensity; assert 'idle' not in str(sys.meta_path), sys.meta_path", "0")
