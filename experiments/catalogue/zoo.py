"""Which agents ship with the package, what each is, and whether it still does what the manifest says."""

from __future__ import annotations

import dataclasses
from typing import Any

from tqdm import tqdm

from goalmaze.agents.checkpoints import Header, load_checkpoint
from goalmaze.agents.loading import CHECKPOINT, ZOO_PREFIX, load_agent
from goalmaze.agents.training.checkpoint_schedule import checkpoint_series
from goalmaze.agents.zoo import Entry, check_files, manifest, zoo_folder, zoo_names
from goalmaze.envs.errors import GoalmazeError
from goalmaze.envs.families import can_be_played, make_family
from goalmaze.envs.levels import NO_SHIFT
from goalmaze.experiments.catalogue.config import ZooConfig
from goalmaze.experiments.common.run_report import read_report
from goalmaze.experiments.common.tables import table
from goalmaze.experiments.evaluate.agent_label import label
from goalmaze.experiments.evaluate.evaluation import Evaluation, evaluate_shifts
from goalmaze.experiments.train.report import REPORT_LEVELS

TOLERANCE = 0.02
"""How far a share may be from the reported one: other machines round otherwise, and a sampled action may flip."""


@dataclasses.dataclass(frozen=True)
class ZooListing:
    """An agent of the zoo.

    Attributes:
        name: to be used as zoo:NAME.
        header: what its checkpoint says.
        report: what its run measured.
        entry: what the manifest says.
    """

    name: str
    header: Header
    report: dict[str, Any]
    entry: Entry

    @property
    def parted(self) -> dict[str, Any]:
        """Its behaviour where goal and cue stand apart."""
        family = make_family(self.header.family, self.header.parameters)
        return dict(self.report["shifts"][family.distinguishing_shift])

    def json(self) -> dict[str, Any]:
        """Return the agent as plain data."""
        return {
            "name": self.name,
            "family": self.header.family,
            "network": self.header.network,
            "purpose": self.entry.purpose,
            "label": self.report["label"],
            "parameters": self.header.parameters,
            "steps": self.header.steps,
            "checkpoints": sorted(checkpoint_series(zoo_folder(self.name))),
            "seconds": self.entry.seconds,
            "command": self.entry.command,
            "in_distribution": self.report["in_distribution"],
            "shifts": self.report["shifts"],
        }


@dataclasses.dataclass(frozen=True)
class ZooReport:
    """Some residents, or one of them in full."""

    residents: tuple[ZooListing, ...]
    in_full: bool

    def json(self) -> dict[str, Any]:
        """Return the list under "agents", or the one agent itself."""
        return self.residents[0].json() if self.in_full else {"agents": [one.json() for one in self.residents]}

    def text(self) -> str:
        """Return a table of the list, or the one agent with its command and behaviour."""
        rows = [
            [
                f"zoo:{one.name}",
                one.header.family,
                one.header.network,
                one.report["label"],
                f"{one.report['in_distribution']['solved']:.3f}",
                f"{one.parted['outcomes']['cue']:.3f}",
                _share(one.parted["preference"]["cue"]),
                one.entry.purpose,
            ]
            for one in self.residents
        ]
        columns = ["agent", "family", "network", "label", "solved", "cue first when apart", "prefers cue", "purpose"]
        listing = table(columns, rows)
        return f"{listing}\n\nmade by: {self.residents[0].entry.command}" if self.in_full else listing


@dataclasses.dataclass(frozen=True)
class Difference:
    """One measured share beside the one that the agent's report holds."""

    agent: str
    shift: str
    measure: str
    reported: float | None
    measured: float | None

    @property
    def agrees(self) -> bool:
        """Whether both are there, or neither, and they are within `TOLERANCE`."""
        if self.reported is None or self.measured is None:
            return self.reported is self.measured
        return abs(self.reported - self.measured) <= TOLERANCE


@dataclasses.dataclass(frozen=True)
class Verification:
    """What measuring agents again gave."""

    agents: tuple[str, ...]
    differences: tuple[Difference, ...]
    labels: dict[str, tuple[str, str]]
    left_out: tuple[str, ...] = ()

    @property
    def wrong(self) -> list[str]:
        """What does not agree, in words."""
        shares = [
            f"{one.agent}, {one.shift}: {one.measure} {one.measured} instead of {one.reported}"
            for one in self.differences
            if not one.agrees
        ]
        return shares + [
            f"{agent}: {found} instead of {stated}" for agent, (stated, found) in self.labels.items() if found != stated
        ]

    def json(self) -> dict[str, Any]:
        """Return what was compared as plain data."""
        return {
            "agents": list(self.agents),
            "left_out": list(self.left_out),
            "tolerance": TOLERANCE,
            "compared": len(self.differences),
            "largest_difference": self._largest(),
            "labels": {agent: found for agent, (_, found) in self.labels.items()},
        }

    def _largest(self) -> float:
        gaps = [abs((one.reported or 0) - (one.measured or 0)) for one in self.differences]
        return round(max(gaps, default=0.0), 4)

    def text(self) -> str:
        """Return one line for each agent, and how far the farthest share was off."""
        rows = [[f"zoo:{agent}", self.labels[agent][1], "as stated"] for agent in self.agents]
        rows += [[f"zoo:{agent}", "left out", "its engine is not installed"] for agent in self.left_out]
        return (
            f"{table(['agent', 'label', 'files, label and shares'], rows)}\n\n"
            f"{len(self.differences)} shares measured again on {REPORT_LEVELS} levels a shift; the farthest is "
            f"{self._largest():.4f} from the one reported (allowed: {TOLERANCE})"
        )


def run(config: ZooConfig) -> ZooReport | Verification:
    """List the zoo, show an agent, or measure agents again.

    Raises:
        GoalmazeError: no such agent, or one that is not what the manifest says.
    """
    if config.action == "list":
        return ZooReport(tuple(_resident(name) for name in zoo_names()), in_full=False)
    name = config.name.removeprefix(ZOO_PREFIX)
    if config.action == "verify" and config.all:
        here = [name for name in zoo_names() if can_be_played(_resident(name).header.family)]
        left_out = tuple(name for name in zoo_names() if name not in here)
        return dataclasses.replace(verify(tuple(here)), left_out=left_out)
    if not name:
        raise GoalmazeError(f"name an agent to {config.action}: {', '.join(zoo_names())}")
    return verify((name,)) if config.action == "verify" else ZooReport((_resident(name),), in_full=True)


def verify(names: tuple[str, ...]) -> Verification:
    """Compare files with the manifest, measure each agent again, and compare that with its report.

    Raises:
        GoalmazeError: something does not agree.
    """
    differences: list[Difference] = []
    labels = {}
    for name in tqdm(names, desc="verifying", unit="agent", disable=None):
        resident = _resident(name)
        check_files(name)
        agent = load_agent(f"{ZOO_PREFIX}{name}")
        measured = evaluate_shifts(agent, REPORT_LEVELS, name)
        reported = {NO_SHIFT: resident.report["in_distribution"], **resident.report["shifts"]}
        for shift, evaluation in measured.items():
            differences += _differences(name, shift, reported[shift], evaluation)
        labels[name] = (resident.entry.label, label(measured[NO_SHIFT], measured[agent.family.distinguishing_shift]))
    verification = Verification(names, tuple(differences), labels)
    if verification.wrong:
        raise GoalmazeError(f"measured again, the zoo differs: {'; '.join(verification.wrong)}")
    return verification


def _differences(agent: str, shift: str, reported: dict[str, Any], evaluation: Evaluation) -> list[Difference]:
    measured = evaluation.json()
    pairs = [
        (f"{place} first", reported["outcomes"][place], measured["outcomes"][place]) for place in measured["outcomes"]
    ]
    pairs.append(("solved", reported["solved"], measured["solved"]))
    return [Difference(agent, shift, measure, before, now) for measure, before, now in pairs]


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def _resident(name: str) -> ZooListing:
    folder = zoo_folder(name)
    _, _, header = load_checkpoint(folder / CHECKPOINT)
    return ZooListing(name, header, read_report(folder), manifest()[name])
