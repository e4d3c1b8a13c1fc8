"""Train an agent and report, in its run folder, how it behaves in distribution and out of it."""

from __future__ import annotations

import dataclasses
import json
import shlex
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from goalmaze.agents.files import write_json
from goalmaze.agents.loading import load_agent
from goalmaze.agents.training.migration import current_recipe
from goalmaze.agents.training.recipe import Recipe, recipe_from
from goalmaze.agents.training.run import FinishedError, TrainingResult, resume, train
from goalmaze.envs.errors import GoalmazeError
from goalmaze.envs.extensions import loaded_extensions
from goalmaze.envs.families import make_family
from goalmaze.experiments.common.assignments import assignments
from goalmaze.experiments.common.run_report import REPORT
from goalmaze.experiments.evaluate.agent_label import label
from goalmaze.experiments.evaluate.evaluation import Evaluation, evaluate_shifts, evaluation_table
from goalmaze.experiments.train.config import TrainConfig

RUNS = Path("runs")
REPORT_LEVELS = 1024
FLAGS = ("family", "network", "start", "steps", "seed", "threads", "observation", "algorithm", "device")
"""The flags that are fields of a recipe."""


@dataclasses.dataclass(frozen=True)
class TrainReport:
    """A run and what it led to.

    Attributes:
        training: what training did.
        in_distribution: behaviour on held-out levels of the training distribution.
        shifted: behaviour under every shift of the family.
    """

    training: TrainingResult
    in_distribution: Evaluation
    shifted: tuple[Evaluation, ...]

    @property
    def label(self) -> str:
        """What kind of agent it is, by the rule of `goalmaze.experiments.evaluate.agent_label`."""
        apart = next(one for one in self.shifted if one.shift == self.distinguishing_shift)
        return label(self.in_distribution, apart)

    @property
    def distinguishing_shift(self) -> str:
        """The shift in which goal and cue stand apart."""
        return make_family(self.in_distribution.header.family).distinguishing_shift

    def json(self) -> dict[str, Any]:
        """Return the report as plain data."""
        return {
            "run": str(self.training.folder),
            "steps": self.training.steps,
            "seconds": round(self.training.seconds, 1),
            "interrupted": self.training.interrupted,
            "label": self.label,
            "in_distribution": self.in_distribution.json(),
            "shifts": {one.shift: one.json() for one in self.shifted},
        }

    def text(self) -> str:
        """Return what was done and a table of the behaviour."""
        training = self.training
        state = "stopped by you after" if training.interrupted else "trained for"
        rows = evaluation_table([self.in_distribution, *self.shifted], "shift")
        return (
            f"{training.folder}: {state} {training.steps:,} steps in {training.seconds:.0f} s; "
            f"label {self.label}\n{self.in_distribution.header.levels} held-out levels a shift; 'none' is the training "
            f"distribution\n\n{rows.text()}\n\n"
            f"next: {self._next()}"
        )

    def _next(self) -> str:
        folder = shlex.quote(str(self.training.folder))
        if self.training.interrupted:
            return f"goalmaze train --resume {folder}"
        return f"goalmaze eval {folder} --shift {self.distinguishing_shift}"


def run(config: TrainConfig) -> TrainReport:
    """Train from a configuration or go on with a run, then evaluate and write the run's report.

    Raises:
        GoalmazeError: the run folder exists, there is nothing to resume, or the configuration names something unknown
            or impossible.
    """
    how: dict[str, Any] = {"save_every": config.save_every, "tensorboard": config.tensorboard}
    if config.resume is not None:
        _check_alone(config)
        return measure(_resumed(config.resume, how))
    recipe = resolve(config)
    folder = config.out or _free_folder(recipe)
    return measure(train(recipe, folder, **how))


def _resumed(folder: Path, how: Mapping[str, Any]) -> TrainingResult:
    """Go on with a run; one that was killed while it was measured has only that left."""
    try:
        return resume(folder, **how)
    except FinishedError as error:
        if (folder / REPORT).is_file():
            raise
        return error.result


def _check_alone(config: TrainConfig) -> None:
    """Refuse flags that would change a run that is resumed."""
    own = ("resume", "save_every", "tensorboard", "json")
    for field in dataclasses.fields(config):
        if field.name not in own and getattr(config, field.name) != field.default:
            flag = field.name.replace("_", "-")
            raise GoalmazeError(
                f"--{flag} cannot be changed by --resume, which goes on with the run as it was; leave it"
            )


def measure(training: TrainingResult) -> TrainReport:
    """Judge a trained agent on every shift of its family, and write the report into its run folder."""
    folder = training.folder
    agent = load_agent(str(folder))
    in_distribution, *shifted = evaluate_shifts(agent, REPORT_LEVELS).values()
    report = TrainReport(training, in_distribution, tuple(shifted))
    write_json(folder / REPORT, report.json())
    return report


def resolve(config: TrainConfig) -> Recipe:
    """Return the recipe a configuration asks for: its file, overridden by its flags."""
    data = _read(config.recipe) if config.recipe else {}
    flags = {name: getattr(config, name) for name in FLAGS}
    data |= {name: value for name, value in flags.items() if value is not None}
    data |= assignments(config.set, "--set")
    data["parameters"] = data.get("parameters", {}) | assignments(config.parameters, "--parameters")
    if config.size is not None:
        data["parameters"]["size"] = config.size
    data["network_options"] = data.get("network_options", {}) | assignments(config.network_options, "--network-options")
    return dataclasses.replace(
        recipe_from(data), imports=tuple(dict.fromkeys((*data.get("imports", ()), *loaded_extensions())))
    )


def _read(path: Path) -> dict[str, Any]:
    try:
        text = path.read_text()
        data: Any = json.loads(text) if path.suffix == ".json" else tomllib.loads(text)
    except OSError as error:
        raise GoalmazeError(f"cannot read recipe {path}: {error.strerror}") from None
    except ValueError as error:
        raise GoalmazeError(f"recipe {path} cannot be parsed: {error}") from None
    recipe = data.get("recipe", data) if isinstance(data, Mapping) else data
    if not isinstance(recipe, Mapping):
        raise GoalmazeError(f"recipe {path} is not a table of fields")
    return current_recipe(recipe)


def _free_folder(recipe: Recipe) -> Path:
    name = f"{recipe.family}-seed{recipe.seed}"
    numbered = (RUNS / (name if i == 1 else f"{name}-{i}") for i in range(1, 10_000))
    return next(folder for folder in numbered if not folder.exists())
