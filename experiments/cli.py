"""The command line: it parses, asks one question, prints the answer. What a question needs is imported when asked."""

from __future__ import annotations

import contextlib
import importlib
import io
import json
import sys
from collections.abc import Sequence
from typing import Annotated, Any, Protocol, Union, cast

import tyro

from goalmaze.envs.errors import GoalmazeError
from goalmaze.experiments.bench.config import BenchConfig
from goalmaze.experiments.catalogue.config import (
    FamiliesConfig,
    ImportConfig,
    LeakageConfig,
    NetworksConfig,
    RunsConfig,
    ZooConfig,
)
from goalmaze.experiments.common.config import CommandConfig
from goalmaze.experiments.demo.config import DemoConfig
from goalmaze.experiments.evaluate.config import EvalConfig
from goalmaze.experiments.live.config import LiveConfig, RenderConfig
from goalmaze.experiments.probe.config import ProbeConfig
from goalmaze.experiments.reports.config import ReportConfig
from goalmaze.experiments.retarget.config import RetargetConfig
from goalmaze.experiments.sweeps.config import SweepConfig
from goalmaze.experiments.train.config import TrainConfig

COMMANDS: dict[str, tuple[type[CommandConfig], str]] = {
    "demo": (DemoConfig, "goalmaze.experiments.demo.command"),
    "train": (TrainConfig, "goalmaze.experiments.train.command"),
    "sweep": (SweepConfig, "goalmaze.experiments.sweeps.command"),
    "runs": (RunsConfig, "goalmaze.experiments.catalogue.runs"),
    "eval": (EvalConfig, "goalmaze.experiments.evaluate.command"),
    "report": (ReportConfig, "goalmaze.experiments.reports.command"),
    "probe": (ProbeConfig, "goalmaze.experiments.probe.command"),
    "retarget": (RetargetConfig, "goalmaze.experiments.retarget.command"),
    "live": (LiveConfig, "goalmaze.experiments.live.command"),
    "render": (RenderConfig, "goalmaze.experiments.live.render"),
    "networks": (NetworksConfig, "goalmaze.experiments.catalogue.networks"),
    "import": (ImportConfig, "goalmaze.experiments.catalogue.import_"),
    "worlds": (FamiliesConfig, "goalmaze.experiments.catalogue.families"),
    "leakage": (LeakageConfig, "goalmaze.experiments.catalogue.leakage"),
    "zoo": (ZooConfig, "goalmaze.experiments.catalogue.zoo"),
    "bench": (BenchConfig, "goalmaze.experiments.bench.command"),
}
"""Command → its configuration, and the module whose `run` answers it."""

BAD_INPUT, INTERRUPTED = 2, 130


class Answer(Protocol):
    """What the `run` of every question returns."""

    def json(self) -> dict[str, Any]:
        """Return it as plain data."""

    def text(self) -> str:
        """Return it for a person."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code: 0, 2 for bad input (one line on standard error), 130 for Ctrl-C."""
    arguments = sys.argv[1:] if arguments is None else arguments
    try:
        question = parse(arguments)
        module = next(module for config, module in COMMANDS.values() if type(question) is config)
        answer: Answer = importlib.import_module(module).run(question)
    except GoalmazeError as error:
        print(f"goalmaze: {' '.join(str(error).split())}", file=sys.stderr)
        return BAD_INPUT
    except KeyboardInterrupt:
        print("goalmaze: interrupted", file=sys.stderr)
        return INTERRUPTED
    try:
        print(json.dumps(answer.json()) if question.json else answer.text(), flush=True)
    except BrokenPipeError:
        sys.stderr.close()
    return 0


def parse(arguments: Sequence[str]) -> CommandConfig:
    """Return the question that command-line arguments ask.

    Raises:
        GoalmazeError: they cannot be understood.
        SystemExit: help was asked for and printed.
    """
    questions = [
        Annotated[config, tyro.conf.subcommand(name, description=_first_line(config))]
        for name, (config, _) in COMMANDS.items()
    ]
    complaint = io.StringIO()
    try:
        with contextlib.redirect_stderr(complaint):
            question: CommandConfig = tyro.cli(
                cast(Any, Union[tuple(questions)]),  # noqa: UP007
                args=list(arguments),
                prog="goalmaze",
                description="Produce, measure, read and retarget goal misgeneralization in maze agents.",
                config=(tyro.conf.FlagCreatePairsOff,),
            )
    except SystemExit as exit_:
        if not exit_.code:
            raise
        raise GoalmazeError(_one_line(complaint.getvalue())) from None
    return question


def _first_line(config: type[CommandConfig]) -> str:
    return (config.__doc__ or "").strip().splitlines()[0]


def _one_line(boxed: str) -> str:
    """Condense the boxed complaint of the parser into one sentence: its first part, and what may have been meant."""
    parts: list[list[str]] = [[]]
    for line in boxed.splitlines()[1:]:
        words = line.strip("│╰╯─ ")
        if words:
            parts[-1].append(words)
        else:
            parts.append([])
    meant = [part[1] for part in parts[1:] if part and part[0].startswith("Perhaps you meant")]
    hint = f"; perhaps you meant: {meant[0]}" if meant else ""
    return f"{' '.join(parts[0])}{hint} (see --help)"
