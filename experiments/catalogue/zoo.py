"""`goalmaze zoo`: the trained agents that ship with the package, and whether they still behave as reported."""

from __future__ import annotations

import dataclasses
import time

from tqdm import tqdm

from goalmaze.agents.checkpoints import Header, load_checkpoint
from goalmaze.agents.loading import CHECKPOINT, ZOO_PREFIX, load_agent
from goalmaze.agents.training.checkpoint_schedule import checkpoint_series
from goalmaze.agents.zoo import ManifestEntry, check_files, manifest, population_names, zoo_folder, zoo_names
from goalmaze.envs.errors import GoalmazeError
from goalmaze.envs.families import can_be_played, make_family
from goalmaze.envs.json_data import JsonObject, ReadonlyJsonObject
from goalmaze.envs.levels import NO_SHIFT
from goalmaze.experiments.catalogue.config import ZooConfig
from goalmaze.experiments.catalogue.zoo_populations import HEADERS as POPULATION_HEADERS
from goalmaze.experiments.catalogue.zoo_populations import ZooPopulation, sampled_numbers, zoo_population
from goalmaze.experiments.common.results import Result
from goalmaze.experiments.common.run_report import read_report
from goalmaze.experiments.common.tables import Table, formatted
from goalmaze.experiments.evaluate.agent_label import RULE, LabelDecision, label, label_of_report
from goalmaze.experiments.evaluate.evaluation import Evaluation, evaluate_shifts
from goalmaze.experiments.jobs.report import REPORT_LEVELS

TOLERANCE = 0.02
"""Largest difference from the reported rate: rounding differs between machines and can change a sampled action."""

SAMPLE = 4
"""Number of agents of a population that are evaluated again by default; the digests of its files cover all."""

HEADERS = ("agent", "family", "network", "label", "solved", "cue first", "cue preference", "purpose")


@dataclasses.dataclass(frozen=True)
class ZooAgent:
    """An agent of the zoo.

    Attributes:
        name: loaded as zoo:NAME.
        header: of its checkpoint.
        report: the evaluation at the end of its training.
        entry: of the manifest.
    """

    name: str
    header: Header
    report: JsonObject
    entry: ManifestEntry

    @property
    def distinguishing_shift(self) -> str:
        """The distinguishing shift of its family."""
        return make_family(self.header.family, self.header.parameters).distinguishing_shift

    @property
    def label(self) -> LabelDecision:
        """Its label, from the rates in its report."""
        return label_of_report(self.report, self.distinguishing_shift)

    def json(self) -> JsonObject:
        """Return the agent as plain data."""
        return {
            "name": self.name,
            "family": self.header.family,
            "network": self.header.network,
            "purpose": self.entry.purpose,
            "label": self.label.label,
            "label_reason": self.label.reason or None,
            "parameters": self.header.parameters,
            "steps": self.header.steps,
            "checkpoints": sorted(checkpoint_series(zoo_folder(self.name))),
            "seconds": self.entry.seconds,
            "command": self.entry.command,
            "in_distribution": self.report["in_distribution"],
            "shifts": self.report["shifts"],
        }

    def row(self) -> list[object]:
        """Return the agent as a row under `HEADERS`."""
        distinguishing = self.report["shifts"][self.distinguishing_shift]
        return [
            f"{ZOO_PREFIX}{self.name}",
            self.header.family,
            self.header.network,
            self.label.label,
            formatted(self.report["in_distribution"]["solved"], ".3f"),
            formatted(distinguishing["outcomes"]["cue"], ".3f"),
            formatted(distinguishing["preference"]["cue"], ".2f"),
            self.entry.purpose,
        ]


@dataclasses.dataclass(frozen=True)
class ZooReport(Result):
    """Agents of the zoo.

    Attributes:
        agents: all, or one.
        in_full: whether the report is on one agent, with the command that trained it.
        populations: all, where it is not.
    """

    agents: tuple[ZooAgent, ...]
    in_full: bool
    populations: tuple[ZooPopulation, ...] = ()

    def json(self) -> JsonObject:
        """Return the lists under "agents" and "populations", or the one agent itself.

        Populations are listed without the reports of their agents.
        """
        agents = [one.json() for one in self.agents]
        if self.in_full:
            return agents[0]
        populations = [one.json() | {"agents": len(one.agents)} for one in self.populations]
        return {"label_rule": RULE, "agents": agents, "populations": populations}

    def blocks(self) -> list[str | Table]:
        """Return a table of the agents, and the command of a single agent."""
        listing = Table(HEADERS, [one.row() for one in self.agents])
        notes = "solved: in distribution; cue first, cue preference: under the family's distinguishing shift"
        undecided = [f"{one.name} is {one.label}" for one in self.agents if one.label.reason]
        command = [f"made by: {self.agents[0].entry.command}"] if self.in_full else []
        return [listing, "\n".join([notes, *undecided]), *command, *self._populations()]

    def _populations(self) -> list[str | Table]:
        if not self.populations:
            return []
        note = (
            "solved, cue preference: mean over agents, lowest and highest; an agent is loaded as zoo:NAME/0 and so on"
        )
        return [Table(POPULATION_HEADERS, [one.row() for one in self.populations], title="populations"), note]


@dataclasses.dataclass(frozen=True)
class Difference:
    """One measured rate and the one in the agent's report; None where no level counts."""

    agent: str
    shift: str
    measure: str
    reported: float | None
    measured: float | None

    @property
    def agrees(self) -> bool:
        """Whether both are numbers within `TOLERANCE`, or both are None."""
        if self.reported is None or self.measured is None:
            return self.reported is self.measured
        return abs(self.reported - self.measured) <= TOLERANCE


@dataclasses.dataclass(frozen=True)
class Verification(Result):
    """The result of evaluating agents again.

    Attributes:
        agents: their names.
        differences: all rates that were compared.
        labels: agent → its label, from the rates measured again.
        left_out: agents whose engine is not installed.
        sampled: population → number of its agents that were evaluated again, and of all.
        seconds: wall-clock seconds that it took.
    """

    agents: tuple[str, ...]
    differences: tuple[Difference, ...]
    labels: dict[str, str]
    left_out: tuple[str, ...] = ()
    sampled: dict[str, tuple[int, int]] = dataclasses.field(default_factory=dict)
    seconds: float = 0.0

    @property
    def wrong(self) -> list[str]:
        """Descriptions of all that does not agree."""
        return [
            f"{one.agent}, {one.shift}: {one.measure} {one.measured} instead of {one.reported}"
            for one in self.differences
            if not one.agrees
        ]

    def json(self) -> JsonObject:
        """Return what was compared as plain data."""
        return {
            "agents": list(self.agents),
            "left_out": list(self.left_out),
            "tolerance": TOLERANCE,
            "compared": len(self.differences),
            "largest_difference": self._largest(),
            "labels": self.labels,
            "sampled": {name: {"evaluated": some, "agents": count} for name, (some, count) in self.sampled.items()},
            "seconds": round(self.seconds, 1),
        }

    def _largest(self) -> float:
        differences = [abs((one.reported or 0) - (one.measured or 0)) for one in self.differences]
        return round(max(differences, default=0.0), 4)

    def blocks(self) -> list[str | Table]:
        """Return one row for each agent, and the largest difference of a rate."""
        rows = [[f"{ZOO_PREFIX}{agent}", self.labels[agent], "agree"] for agent in self.agents]
        rows += [[f"{ZOO_PREFIX}{agent}", "left out", "its engine is not installed"] for agent in self.left_out]
        return [
            Table(["agent", "label", "files and rates"], rows),
            f"{len(self.differences)} rates measured again on {REPORT_LEVELS} levels a shift; the largest difference "
            f"from a report is {self._largest():.4f} (allowed: {TOLERANCE})",
            *self._samples(),
        ]

    def _samples(self) -> list[str]:
        """Return how many agents of each population were evaluated, and what all of them would take."""
        each = self.seconds / max(len(self.agents), 1)
        return [
            f"{name}: {some} of {count} agents evaluated again; all of them take about {each * count:.0f} s: "
            f"goalmaze zoo verify {name} --agents 0"
            for name, (some, count) in self.sampled.items()
            if some < count
        ]


def run(config: ZooConfig) -> ZooReport | ZooPopulation | Verification:
    """List the zoo, show an agent or a population, or verify them.

    Raises:
        GoalmazeError: no such agent, or one that does not agree with the manifest or its report.
    """
    if config.action == "list":
        populations = tuple(zoo_population(name) for name in population_names())
        return ZooReport(tuple(zoo_agent(name) for name in zoo_names()), in_full=False, populations=populations)
    name = config.name.removeprefix(ZOO_PREFIX)
    if config.action == "verify" and config.all:
        families = {name: zoo_agent(name).header.family for name in zoo_names()}
        families |= {name: zoo_population(name).header.family for name in population_names()}
        playable = tuple(name for name, family in families.items() if can_be_played(family))
        left_out = tuple(name for name in families if name not in playable)
        verified = verify(playable, config.device, config.agents)
        return dataclasses.replace(verified, left_out=left_out)
    if not name:
        raise GoalmazeError(f"name an agent to {config.action}: {', '.join([*zoo_names(), *population_names()])}")
    if config.action == "verify":
        return verify((name,), config.device, config.agents)
    return zoo_population(name) if name in population_names() else ZooReport((zoo_agent(name),), in_full=True)


def zoo_agent(name: str) -> ZooAgent:
    """Return an agent of the zoo with its report and manifest entry.

    Raises:
        GoalmazeError: no such agent.
    """
    folder = zoo_folder(name)
    _, _, header = load_checkpoint(folder / CHECKPOINT)
    return ZooAgent(name, header, read_report(folder), manifest()[name])


def verify(names: tuple[str, ...], device: str = "cpu", sample: int = SAMPLE) -> Verification:
    """Compare files with the manifest, evaluate each agent again on a device, and compare the rates with its report.

    Args:
        names: agents and populations of the zoo.
        device: the device.
        sample: number of agents of each population that are evaluated again; 0 for all.

    Raises:
        GoalmazeError: something does not agree.
    """
    begun = time.perf_counter()
    # All agents are evaluated before the first disagreement is reported, so that one run of hours names all of them.
    differences: list[Difference] = []
    labels: dict[str, str] = {}
    sampled: dict[str, tuple[int, int]] = {}
    reports: dict[str, ReadonlyJsonObject] = {}
    for name in names:
        # Files first: a changed weight would only show as a slightly different rate.
        check_files(name)
        if name in population_names():
            agents = zoo_population(name).agents
            numbers = sampled_numbers(len(agents), sample)
            sampled[name] = (len(numbers), len(agents))
            reports |= {f"{name}/{number}": agents[number] for number in numbers}
        else:
            reports[name] = zoo_agent(name).report
    for name, report in tqdm(reports.items(), desc="verifying", unit="agent", disable=None):
        agent = load_agent(f"{ZOO_PREFIX}{name}", device)
        measured = evaluate_shifts(agent, REPORT_LEVELS, name)
        reported = {NO_SHIFT: report["in_distribution"], **report["shifts"]}
        for shift, evaluation in measured.items():
            differences += _differences(name, shift, reported[shift], evaluation)
        labels[name] = label(measured[NO_SHIFT], measured[agent.family.distinguishing_shift]).label
    seconds = time.perf_counter() - begun
    verification = Verification(tuple(reports), tuple(differences), labels, sampled=sampled, seconds=seconds)
    if verification.wrong:
        raise GoalmazeError(f"measured again, the zoo differs: {'; '.join(verification.wrong)}")
    return verification


def _differences(agent: str, shift: str, reported: JsonObject, evaluation: Evaluation) -> list[Difference]:
    measured = evaluation.json()
    first = [(f"{name} first", reported["outcomes"][name], now) for name, now in measured["outcomes"].items()]
    pairs = [*first, ("solved", reported["solved"], measured["solved"])]
    return [Difference(agent, shift, measure, before, now) for measure, before, now in pairs]
