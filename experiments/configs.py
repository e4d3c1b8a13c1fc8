"""What each question depends on: one frozen piece of data a question. Imports nothing heavy, so help comes quickly."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated, Literal

import tyro.conf

from goalmaze.envs.errors import GoalmazeError

AgentName = Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="AGENT")]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Question:
    """What every command takes.

    Attributes:
        json: print one JSON object instead of text.
    """

    json: bool = False


@dataclasses.dataclass(frozen=True, kw_only=True)
class Judged(Question):
    """A question judged on held-out levels.

    Attributes:
        levels: how many held-out levels judge.
        seed: of the levels and of the agent's sampled actions.
        size: rows and columns of the mazes, in cells; the size trained on where not given.
    """

    levels: int = 512
    seed: int = 0
    size: int | None = None

    def __post_init__(self) -> None:
        if self.levels < 1:
            raise GoalmazeError(f"--levels is {self.levels}: choose 1 or more")
        if self.seed < 0:
            raise GoalmazeError(f"--seed is {self.seed}: choose 0 or more")


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrainConfig(Question):
    """Train an agent into a run folder.

    Attributes:
        out: the run folder to make; runs/FAMILY-seedN with a free number where not given.
        recipe: a TOML recipe, or the recipe.json of a run to repeat; the flags below override it.
        family: the world.
        size: rows and columns of the mazes, in cells.
        parameters: the family's parameters, such as salience=2 correlation=0.9.
        network: the network.
        network_options: its hyperparameters, such as channels=32.
        steps: environment steps.
        seed: of levels, weights and sampled actions.
        threads: CPU threads, 0 for all.
        set: any other field of the recipe, such as entropy=0.02 shaping=0.
    """

    out: Path | None = None
    recipe: Path | None = None
    family: str | None = None
    size: int | None = None
    parameters: tuple[str, ...] = ()
    network: str | None = None
    network_options: tuple[str, ...] = ()
    steps: int | None = None
    seed: int | None = None
    threads: int | None = None
    set: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True, kw_only=True)
class EvalConfig(Judged):
    """Say where an agent goes, in distribution or under a shift, beside scripted yardsticks.

    Attributes:
        agent: a run folder or zoo:NAME.
        shift: a shift of the agent's family; "none" is the training distribution.
        greedy: take the likeliest action instead of sampling.
    """

    agent: AgentName
    shift: str = "none"
    greedy: bool = False


@dataclasses.dataclass(frozen=True, kw_only=True)
class ProbeConfig(Judged):
    """Read cells from an agent's activations, beside what a reading must beat and the steering that tests it.

    Attributes:
        agent: a run folder or zoo:NAME.
        sites: the sites to read; all where not given.
        targets: what to read; all where not given.
        probe: "square" scores every square from its own channels, "global" from all features at once; sites that
            are no maps always get "global".
        fit_levels: how many levels to fit on, never among those that judge.
    """

    agent: AgentName
    sites: tuple[str, ...] = ()
    targets: tuple[str, ...] = ()
    probe: Literal["square", "global"] = "square"
    fit_levels: int = 2048

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.fit_levels < 50:
            raise GoalmazeError(f"--fit-levels is {self.fit_levels}: choose 50 or more")


@dataclasses.dataclass(frozen=True, kw_only=True)
class RetargetConfig(Judged):
    """Send an agent to arbitrary cells by editing its activations, beside the controls.

    Attributes:
        agent: a run folder or zoo:NAME.
        sites: the maps to edit, each on its own; all where not given.
        methods: the steering methods; all where not given.
        strength: factor on every edit.
        fit_levels: how many levels to find the edits on, never among those that judge.
    """

    agent: AgentName
    sites: tuple[str, ...] = ()
    methods: tuple[str, ...] = ()
    strength: float = 1.0
    fit_levels: int = 512

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.fit_levels < 1:
            raise GoalmazeError(f"--fit-levels is {self.fit_levels}: choose 1 or more")


@dataclasses.dataclass(frozen=True, kw_only=True)
class LiveConfig(Question):
    """Watch the unedited and the edited agent side by side in the terminal.

    Attributes:
        agent: a run folder or zoo:NAME.
        shift: of the levels shown.
        site: the map to edit.
        method: the steering method.
        seed: of the levels and of the sampled actions.
        size: rows and columns of the mazes, in cells; the size trained on where not given.
    """

    agent: AgentName
    shift: str = "none"
    site: str = "stem"
    method: str = "mean-pattern"
    seed: int = 0
    size: int | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class DemoConfig(Question):
    """Tell the whole story on a shipped agent: trained, shifted, read, retargeted.

    Attributes:
        agent: a run folder or zoo:NAME.
        out: where to write the picture.
    """

    agent: str = "zoo:green-exit"
    out: Path = Path("demo.png")


@dataclasses.dataclass(frozen=True, kw_only=True)
class ZooConfig(Question):
    """List the agents that ship with the package, or show one.

    Attributes:
        action: "list" or "show".
        name: the agent to show.
    """

    action: tyro.conf.Positional[Literal["list", "show"]] = "list"
    name: tyro.conf.Positional[str] = ""


@dataclasses.dataclass(frozen=True, kw_only=True)
class WorldsConfig(Question):
    """List the families of worlds and draw one level of each distribution.

    Attributes:
        family: only this one.
        size: rows and columns of the mazes, in cells.
        seed: of the levels.
    """

    family: tyro.conf.Positional[str] = ""
    size: int = 9
    seed: int = 0


@dataclasses.dataclass(frozen=True, kw_only=True)
class LeakageConfig(Judged):
    """Count the evaluation levels, and their first observations, that occur among a run's training levels.

    Attributes:
        agent: a run folder or zoo:NAME.
        shift: of the evaluation levels.
    """

    agent: AgentName
    shift: str = "none"


@dataclasses.dataclass(frozen=True, kw_only=True)
class BenchConfig(Question):
    """Measure speed on this machine.

    Attributes:
        name: "env" steps environments, "eval" rolls an agent out, "train" trains one.
        full: sweep instead of one quick setting.
    """

    name: tyro.conf.Positional[Literal["env", "eval", "train"]]
    full: bool = False
