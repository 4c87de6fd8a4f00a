"""Which runs the figures of samples show: the paper's, or the nearest that a config makes.

Light, as `runs`: never imports torch.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pseudodensity.plan.declared import declared_by_name
from pseudodensity.runs import FORMAT, Artifact, Checkpoint, ConfigError, Plan
from pseudodensity.sweeps import PLAIN, importance_points

__all__ = ["FigureRuns"]


class FigureRuns:
    """The figures of ``plan.paper`` on the checkpoints of ``plan``, first training seed."""

    def __init__(self, plan: Plan):
        self.plan = plan

    # ---------------------------------------------------------------- blocks

    def stand_in(self, block: str, *, with_discriminator: bool = False) -> str:
        """The block to show for one of the paper, see `Plan.nearest_block`. ConfigError: none."""
        found = self.plan.block_ids
        if with_discriminator:
            found = [b for b in found if self._has_discriminator(b)]
        nearest = self.plan.nearest_block(block, found)
        if nearest is None:
            kind = "a block whose model has a discriminator" if with_discriminator else "a block"
            raise ConfigError(f"config: a figure of {block} needs {kind} in table1.blocks")
        return nearest

    def checkpoint(self, block: str) -> Checkpoint:
        """The pre-trained model of a block."""
        return next(self.plan.block(block, self.plan.config["seeds"][0]))

    def _has_discriminator(self, block: str) -> bool:
        model = self.plan.paper["table1"]["blocks"][block]["model"]
        name = self.plan.config["models"][model]["architecture"]
        return declared_by_name("generators", "DECLARATION", name)[1]["discriminator"] is not None

    def _names(self, block: str, wanted: str) -> dict[str, Any]:
        """How a shown block is called, and which one of the paper it is shown for."""
        checkpoint = self.checkpoint(block)
        dataset = self.plan.config["datasets"][checkpoint.dataset]
        reported = self.plan.paper["table1"]["blocks"][wanted]["reported"]
        return {
            "block": block,
            "model": self.plan.config["models"][checkpoint.model]["title"],
            "dataset": dataset["title"],
            "stands_for": dataset.get("stands_for"),
            "paper": f"{reported['model']} on {reported['dataset']}",
        }

    def _of_samples(self, kind: str, block: str) -> dict[str, Any]:
        """What every artefact of samples of a block is made from."""
        checkpoint = self.checkpoint(block)
        return {
            "kind": kind,
            "format": FORMAT,
            "checkpoint": checkpoint.artifact.digest,
            "density": self.plan.density(checkpoint.dataset).digest,
            "seed": self.plan.config["sampling"]["seed"],
        }

    # ---------------------------------------------------------------- perturbation

    @property
    def perturbation_figures(self) -> list[str]:
        """Names of the figures of perturbed samples."""
        return list(self.plan.paper["perturbation"]["figures"])

    def perturbed(self, block: str, objective: str) -> Artifact:
        """Samples of a block moved towards more and less of an objective."""
        rules = self.plan.paper["perturbation"]
        kind = "gan" if self._has_discriminator(block) else "diffusion"
        spec = self._of_samples("perturbed", block) | {
            "objective": objective,
            "settings": rules["settings"][kind],
            "images": rules["images"],
        }
        return Artifact(f"{block}-{objective}", spec)

    def perturbation_panels(self, figure: str) -> list[dict[str, Any]]:
        """The panels of a figure in order, none twice: names, objective, settings and the
        artefact that holds the samples. ConfigError: the config makes no block for it."""
        described = self.plan.paper["perturbation"]["figures"][figure]
        panels: dict[str, dict[str, Any]] = {}
        for objective in described["objectives"]:
            for wanted in described["blocks"]:
                needs = "discriminator" in described["objectives"]
                block = self.stand_in(wanted, with_discriminator=needs)
                artifact = self.perturbed(block, objective)
                panel = self._names(block, wanted) | {"objective": objective}
                panel |= {"columns": described["columns"], **artifact.spec["settings"]}
                panels.setdefault(artifact.name, panel | {"samples": _path(artifact)})
        return list(panels.values())

    @property
    def perturbed_samples(self) -> Mapping[str, tuple[Artifact, Checkpoint]]:
        """Name -> artefact and its checkpoint, of all perturbed samples that the config allows."""
        found = {}
        for block in self.plan.block_ids:
            objectives = ["density", "random"]
            if self._has_discriminator(block):
                objectives.append("discriminator")
            for objective in objectives:
                artifact = self.perturbed(block, objective)
                found[artifact.name] = (artifact, self.checkpoint(block))
        return found

    # ---------------------------------------------------------------- extremes

    def extremes(self, block: str) -> Artifact:
        """The least and the most dense samples of a block, with real images beside them."""
        described = self.plan.paper["fig2"]
        counts = {name: described[name] for name in ("generations", "images")}
        return Artifact(block, self._of_samples("extremes", block) | counts)

    def extreme_panels(self) -> list[dict[str, Any]]:
        """The models of Figure 2 in order, none twice: names, and where their extremes lie.
        ConfigError: the config makes no block."""
        panels: dict[str, dict[str, Any]] = {}
        for wanted in self.plan.paper["fig2"]["blocks"]:
            block = self.stand_in(wanted)
            artifact = self.extremes(block)
            panel = self._names(block, wanted) | {"samples": _path(artifact)}
            panels.setdefault(block, panel | {"generations": artifact.spec["generations"]})
        return list(panels.values())

    @property
    def extreme_samples(self) -> Mapping[str, tuple[Artifact, Checkpoint]]:
        """Name -> artefact and its checkpoint, of every block."""
        artifacts = {block: self.extremes(block) for block in self.plan.block_ids}
        return {a.name: (a, self.checkpoint(block)) for block, a in artifacts.items()}

    # ---------------------------------------------------------------- overhead

    def overhead(self) -> tuple[Checkpoint, dict[str, Any]]:
        """The model whose costs are measured, and what to measure: settings of the paper's list,
        the spec of the fine-tuning whose cost counts, and names. ConfigError: there is no GAN."""
        settings = dict(self.plan.paper["overhead"])
        wanted = settings.pop("block")
        block = self.stand_in(wanted, with_discriminator=True)
        _, tuned, *_ = self.plan.block(block, self.plan.config["seeds"][0])
        names = ("recipe", "mirror", "seed", "importance", "resolution")
        training = {name: tuned.artifact.spec[name] for name in names}
        seed = self.plan.config["sampling"]["seed"]
        described = {"training": training, "seed": seed, **self._names(block, wanted)}
        return self.checkpoint(block), settings | described

    # ---------------------------------------------------------------- likelihood

    def autoregressive_name(self) -> str:
        """<model>-<dataset> of Figure 7. ConfigError: the config has no autoregressive model."""
        found = self.plan.autoregressive(self.plan.config["seeds"][0])
        if not found:
            raise ConfigError(
                "config: fig7 needs a model of architecture vqgpt under models, pre-trained on a "
                "data set of this config"
            )
        return f"{found[0].model}-{found[0].dataset}"

    def likelihood(self, frontier: Artifact) -> Artifact:
        """Scores of importance sampling by likelihood at the points of Figure 4.

        frontier: of the same model; it names the pool and how points are judged.
        """
        names = ("pool", "real", "k", "images", "repeats")
        spec = {"kind": "likelihood", "format": FORMAT, **{n: frontier.spec[n] for n in names}}
        grid = self.plan.paper["fig4"]["importance"]
        points = [PLAIN, *importance_points(grid["tau"], grid["w"])]
        return Artifact(frontier.slug, spec | {"points": points})


def _path(artifact: Artifact) -> str:
    return f"results/{artifact.spec['kind']}/{artifact.name}.safetensors"
