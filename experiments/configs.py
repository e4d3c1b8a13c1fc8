"""What each question depends on: one frozen piece of data a question. Imports nothing heavy, so help comes quickly."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro.conf

from goalmaze.envs.errors import GoalmazeError
from goalmaze.experiments.folders import check_folder

if TYPE_CHECKING:
    from goalmaze.experiments.live.settings import Settings

AgentName = Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="AGENT")]
MoreAgents = Annotated[tyro.conf.Positional[tuple[str, ...]], tyro.conf.arg(metavar="[AGENT [AGENT ...]]")]


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
        resume: an interrupted run folder to go on with; all else is as it was then.
        recipe: a TOML recipe, or the recipe.json of a run to repeat; the flags below override it.
        family: the world.
        size: rows and columns of the mazes, in cells.
        parameters: the family's parameters, such as salience=2 correlation=0.9.
        network: the network.
        network_options: its hyperparameters, such as channels=32.
        start: the agent whose weights to begin with, such as one trained on smaller mazes.
        steps: environment steps.
        seed: of levels, weights and sampled actions.
        threads: CPU threads, 0 for all.
        observation: what the agent sees.
        learner: "lean" is this package's PPO; "stock" (PPO), "a2c" and "dqn" are those of stable-baselines3.
        device: "cpu", "cuda", or "auto" for cuda where there is one.
        save_every: seconds between saves that a killed run can be resumed from.
        tensorboard: write TensorBoard's files into the run folder too.
        set: any other field of the recipe, such as entropy=0.02 shaping=0.
    """

    out: Path | None = None
    resume: Path | None = None
    recipe: Path | None = None
    family: str | None = None
    size: int | None = None
    parameters: tuple[str, ...] = ()
    network: str | None = None
    network_options: tuple[str, ...] = ()
    start: str | None = None
    steps: int | None = None
    seed: int | None = None
    threads: int | None = None
    observation: str | None = None
    learner: str | None = None
    device: str | None = None
    save_every: float = 30.0
    tensorboard: bool = False
    set: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.save_every < 0:
            raise GoalmazeError(f"--save-every is {self.save_every}: choose 0 or more seconds")


@dataclasses.dataclass(frozen=True, kw_only=True)
class SweepConfig(Question):
    """Train agents over seeds and dials, on processes of this machine or on a cluster, into one table.

    Attributes:
        plan: a TOML with a recipe, dials and seeds, or the name of one that ships.
        out: the folder of the sweep; runs/NAME where not given. Started again, a sweep goes on.
        workers: processes, 0 for one a core.
        cluster: address of a Dask scheduler, such as tcp://127.0.0.1:8786; its workers must see the folder too.
        save_every: seconds between saves that a run goes on from when its worker died.
        gather: train nothing; tell of the runs that are finished.
        markdown: print the table alone, for a page.
    """

    plan: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="PLAN")]
    out: Path | None = None
    workers: int = 0
    cluster: str = ""
    save_every: float = 30.0
    gather: bool = False
    markdown: bool = False

    def __post_init__(self) -> None:
        if self.workers < 0:
            raise GoalmazeError(f"--workers is {self.workers}: choose 1 or more, or 0 for one a core")
        if self.workers and self.cluster:
            raise GoalmazeError("--workers are those of this machine, --cluster has its own: leave one out")
        if self.save_every < 0:
            raise GoalmazeError(f"--save-every is {self.save_every}: choose 0 or more seconds")


@dataclasses.dataclass(frozen=True, kw_only=True)
class RunsConfig(Question):
    """List the runs in a folder: what was trained, how far, and what became of it.

    Attributes:
        folder: where to look for runs.
    """

    folder: tyro.conf.Positional[Path] = Path("runs")


@dataclasses.dataclass(frozen=True, kw_only=True)
class EvalConfig(Judged):
    """Say where agents go, in distribution or under a shift, beside scripted yardsticks.

    Attributes:
        agent: a run folder or zoo:NAME.
        others: further agents of that family, judged on the same levels.
        shift: a shift of the agent's family; "none" is the training distribution. Where not given it is that, and with
            --choices or --hypotheses the one in which goal and cue part.
        greedy: take the likeliest action instead of sampling.
        family: play another family, if the agent can see it.
        parameters: play with other parameters of the family, such as braid=0.5.
        grid: judge under every shift, and along dials of the world.
        dials: the dials of --grid, such as braid, or braid=0,0.5,1 with the values to try; all where not given.
        choices: tell the choices between goal and cue from the geometry of the levels.
        hypotheses: score rival accounts of what the agents want.
        figures: a folder for the pictures of --grid and --hypotheses.
    """

    agent: AgentName
    others: MoreAgents = ()
    shift: str | None = None
    greedy: bool = False
    family: str | None = None
    parameters: tuple[str, ...] = ()
    grid: bool = False
    dials: tuple[str, ...] = ()
    choices: bool = False
    hypotheses: bool = False
    figures: Path | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        asked = [f"--{name}" for name in ("grid", "choices", "hypotheses") if getattr(self, name)]
        if len(asked) > 1:
            raise GoalmazeError(f"{' and '.join(asked)} are different questions: ask one at a time")
        if self.dials and not self.grid:
            raise GoalmazeError("--dials are those of --grid: give it too")
        if self.grid and self.shift is not None:
            raise GoalmazeError("--grid plays every shift: leave --shift, or --grid")
        if self.figures is not None and not (self.grid or self.hypotheses):
            raise GoalmazeError("--figures are drawn of --grid and --hypotheses: give one of them")

    @property
    def agents(self) -> tuple[str, ...]:
        """All agents."""
        return (self.agent, *self.others)


@dataclasses.dataclass(frozen=True, kw_only=True)
class ReportConfig(Judged):
    """Write all that behaviour tells of one or several agents into one self-contained HTML file.

    Attributes:
        agent: a run folder or zoo:NAME.
        others: further agents; those of one family and size are judged on the same levels, the others by themselves.
        out: the file to write, ending in .html.
        dials: the dials of the shift grid, such as salience, or braid=0,0.5 with the values to try; braid and size
            where not given.
        greedy: take the likeliest action instead of sampling.
        levels: how many held-out levels judge, under every condition.
    """

    agent: AgentName
    others: MoreAgents = ()
    out: Path
    dials: tuple[str, ...] = ()
    greedy: bool = False
    levels: int = 256

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.levels < 2:
            raise GoalmazeError(f"--levels is {self.levels}: a report needs 2 levels or more")
        if self.out.suffix.lower() not in (".html", ".htm"):
            raise GoalmazeError(f"--out {self.out}: the report is an HTML file; let its name end in .html")

    @property
    def agents(self) -> tuple[str, ...]:
        """All agents."""
        return (self.agent, *self.others)


@dataclasses.dataclass(frozen=True, kw_only=True)
class ProbeConfig(Judged):
    """Read cells from an agent's activations, beside what a reading must beat and the steering that tests it.

    Attributes:
        agent: a run folder or zoo:NAME.
        sites: the sites to read; all where not given.
        targets: what to read; where not given the cells of goal and cue and the one pursued, with "all" all concepts.
        probe: "square" reads every square from its own channels, "window" from 3x3 squares, "global" from all features
            at once; sites that are no maps and answers about the whole maze always get "global".
        by: "site", "channel" for each channel of a map by itself, or "checkpoint" for each that the run kept.
        fit_levels: how many levels to fit on, never among those that judge.
        figures: with --by channel, a folder to draw the atlas of channels into.
    """

    agent: AgentName
    sites: tuple[str, ...] = ()
    targets: tuple[str, ...] = ()
    probe: Literal["square", "window", "global"] = "square"
    by: Literal["site", "channel", "checkpoint"] = "site"
    fit_levels: int = 2048
    figures: Path | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.fit_levels < 50:
            raise GoalmazeError(f"--fit-levels is {self.fit_levels}: choose 50 or more")
        if self.figures is not None and self.by != "channel":
            raise GoalmazeError("--figures draws the atlas of channels: add --by channel")
        check_folder(self.figures)


@dataclasses.dataclass(frozen=True, kw_only=True)
class RetargetConfig(Judged):
    """Send an agent to arbitrary cells by editing its activations, beside the controls.

    Attributes:
        agent: a run folder or zoo:NAME.
        sites: those to edit, each on its own; all maps where not given, or all sites where there are none.
        methods: the steering methods; a usual choice where not given.
        strength: factor on every edit.
        fit_levels: how many levels to find the edits on, never among those that judge.
        benchmark: judge with every control, by distance, at other sizes, and by what an edit leaves alone; where not
            given, of a crude and a learned pattern at the first map and at half depth.
        auto: search site, channels, method and strength on levels to fit on, and benchmark what is found.
        ledger: for every method at each site, how it reads beside how it steers and what it costs.
        sizes: with --benchmark, further sizes of mazes, in cells, such as 11 13.
        bounds: with --benchmark, also edits that know the maze, listed apart; slow.
        figures: a folder to draw pictures into, of the one site and method given or, with --auto, found.
    """

    agent: AgentName
    sites: tuple[str, ...] = ()
    methods: tuple[str, ...] = ()
    strength: float = 1.0
    fit_levels: int = 512
    benchmark: bool = False
    auto: bool = False
    ledger: bool = False
    sizes: tuple[int, ...] = ()
    bounds: bool = False
    figures: Path | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.fit_levels < 1:
            raise GoalmazeError(f"--fit-levels is {self.fit_levels}: choose 1 or more")
        if self.ledger and (self.benchmark or self.auto):
            raise GoalmazeError("--ledger is an answer of its own: leave out --benchmark and --auto")
        if (self.sizes or self.bounds) and not self.benchmark:
            raise GoalmazeError("--sizes and --bounds belong to --benchmark: add it")
        check_folder(self.figures)


@dataclasses.dataclass(frozen=True, kw_only=True)
class SceneConfig(Question):
    """A scene: one agent, unedited and edited, in one maze.

    Attributes:
        agent: a run folder or zoo:NAME.
        shift: of the levels shown.
        site: the map to edit; a usual one where not given.
        method: the steering method; a usual one for the site where not given.
        seed: of the levels and of the sampled actions.
        size: rows and columns of the mazes, in cells; the size trained on where not given.
        level: number of the level to begin with.
        strength: factor on the edit.
        edit: whether the edit is in force at every step or at the first alone.
        target: cell to send the edited agent to, row * columns + column; a random one where not given.
        scene: a link copied from the live page; it decides all of the above but the agent that it is for.
    """

    agent: AgentName
    shift: str = "none"
    site: str = ""
    method: str = ""
    seed: int = 0
    size: int | None = None
    level: int = 0
    strength: float = 1.0
    edit: Literal["every", "first"] = "every"
    target: int | None = None
    scene: str = ""

    def settings(self) -> Settings:
        """Return the scene as the live page holds it.

        Raises:
            GoalmazeError: a value is out of range, or the link holds no scene.
        """
        from goalmaze.experiments.live.settings import read_link, settings_of

        return read_link(self.scene) if self.scene else settings_of(self)


@dataclasses.dataclass(frozen=True, kw_only=True)
class LiveConfig(SceneConfig):
    """Watch the unedited and the edited agent side by side on a local web page, and move the goal by hand.

    Attributes:
        terminal: draw in the terminal instead.
        host: address to serve at; another than this machine's own lets others in.
        port: to serve at; 0 for a free one.
        no_browser: print the address and open no browser.
        runs: a folder of run folders that can be chosen too.
    """

    terminal: bool = False
    host: str = "127.0.0.1"
    port: int = 8765
    no_browser: bool = False
    runs: Path = Path("runs")

    def __post_init__(self) -> None:
        if not 0 <= self.port <= 65535:
            raise GoalmazeError(f"--port is {self.port}: choose 0 to 65535")


@dataclasses.dataclass(frozen=True, kw_only=True)
class RenderConfig(SceneConfig):
    """Write an episode of both agents to a file: a self-contained HTML replay, GIF, MP4 or PNG.

    Attributes:
        out: the file; its ending, .html, .gif, .mp4 or .png, says what it is to be.
    """

    out: Path


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
    """List the agents that ship with the package, show one, or measure again whether it is what it is said to be.

    Attributes:
        action: "list", "show" or "verify".
        name: the agent to show or verify.
        all: verify all of them.
    """

    action: tyro.conf.Positional[Literal["list", "show", "verify"]] = "list"
    name: tyro.conf.Positional[str] = ""
    all: bool = False


@dataclasses.dataclass(frozen=True, kw_only=True)
class NetworksConfig(Question):
    """List the networks with their size, cost, receptive field and sites.

    Attributes:
        network: only this one, with the shape of each site.
        network_options: hyperparameters to show it with, such as channels=32.
        family: the world whose mazes it sees.
        size: rows and columns of the mazes, in cells.
        observation: the observation mode; where not given, the one each network sees first.
    """

    network: tyro.conf.Positional[str] = ""
    network_options: tuple[str, ...] = ()
    family: str = "GreenExit"
    size: int = 9
    observation: str = ""

    def __post_init__(self) -> None:
        if self.network_options and not self.network:
            raise GoalmazeError("--network-options are those of one network: name it")


@dataclasses.dataclass(frozen=True, kw_only=True)
class ImportConfig(Question):
    """Turn a published agent into a run folder; only tensors are read from its file, and no code is run.

    Attributes:
        source: who published it: "langosco" for the feed-forward .pth files of procgenAISC.
        file: the file.
        out: the run folder to make.
        size: rows and columns of the mazes it is to play here, in cells.
        corner: side of the region where the cheese lies in training; the N of rand_region_N in the file's name where
            not given.
        world: "Corner" for our own mazes in 64x64 pictures, "ProcgenMaze" for the real one, which has its own size.
        mode: of Procgen's maze.
    """

    source: tyro.conf.Positional[Literal["langosco"]]
    file: tyro.conf.Positional[Path]
    out: Path
    size: int = 15
    corner: int | None = None
    world: Literal["Corner", "ProcgenMaze"] = "Corner"
    mode: Literal["easy", "hard", "memory"] = "hard"


@dataclasses.dataclass(frozen=True, kw_only=True)
class WorldsConfig(Question):
    """List the families of worlds and draw one level of each distribution.

    Attributes:
        family: only this one.
        size: rows and columns of the mazes, in cells.
        seed: of the levels.
        parameters: other parameters of that family, such as braid=0.5.
    """

    family: tyro.conf.Positional[str] = ""
    size: int = 9
    seed: int = 0
    parameters: tuple[str, ...] = ()


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
        name: "env" steps environments, "eval" rolls an agent out, "train" trains one, "probe" reads all of it,
            "live" drags a target on the live page, "procgen" steps Procgen's maze.
        full: sweep instead of one quick setting.
        family: with "env", "procgen" steps Procgen's maze, beside stock Procgen; all of our own where not given.
    """

    name: tyro.conf.Positional[Literal["env", "eval", "train", "probe", "live", "procgen"]]
    full: bool = False
    family: Literal["", "procgen"] = ""

    def __post_init__(self) -> None:
        if self.family and self.name not in ("env", self.family):
            raise GoalmazeError(f"--family {self.family} belongs to bench env, not to bench {self.name}: leave it out")
        if self.family:
            object.__setattr__(self, "name", self.family)
