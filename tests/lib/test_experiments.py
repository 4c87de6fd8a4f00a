"""An experiment: a paper's own computation, kept like every artefact."""

import numpy as np
import pytest
import torch

from pseudodensity.artifacts import ArtifactError
from pseudodensity.plan.experiments import experiment
from pseudodensity.report.samples import load_arrays, load_facts
from pseudodensity.tensors import save_tensors

FUNCTION = "papers.toy.training:train"


def test_its_path_depends_on_function_settings_and_what_it_is_made_from():
    first = experiment("toy", FUNCTION, {"steps": 3})
    assert first.path == f"results/experiments/toy-{first.digest}.safetensors"
    assert first.modules == ("papers.toy.training",)
    assert experiment("another word", FUNCTION, {"steps": 3}).digest == first.digest
    others = [
        experiment("toy", FUNCTION, {"steps": 4}),
        experiment("toy", "papers.toy.training:evaluate", {"steps": 3}),
        experiment("toy", FUNCTION, {"steps": 3}, {"base": first}),
    ]
    assert len({made.digest for made in [first, *others]}) == 4
    assert others[-1].inputs == {"base": first.path}
    assert experiment("toy", FUNCTION, {}, imports=("rng",)).modules[1] == "rng"


def test_tables_read_its_arrays_and_facts(tmp_path):
    path = tmp_path / "toy.safetensors"
    save_tensors(path, {"points": torch.ones(2, 3)}, {}, {"loss": 0.5})
    assert np.array_equal(load_arrays(path, ["points"])["points"], np.ones((2, 3)))
    assert load_facts(path) == {"loss": 0.5}
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(ArtifactError, match="is damaged"):
        load_facts(path)
