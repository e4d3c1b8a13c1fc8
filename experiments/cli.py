"""The command line: it parses, runs one command and prints the result. Heavy imports wait until a command runs."""

from __future__ import annotations

import contextlib
import dataclasses
import importlib
import json
import os
import re
import shutil
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Union, cast

import tyro

from goalmaze.envs.errors import GoalmazeError, StopError
from goalmaze.envs.extensions import load_extension
from goalmaze.envs.versions import installed_version
from goalmaze.experiments.audit.challenge.config import ChallengeConfig, ScoreConfig
from goalmaze.experiments.audit.config import AuditConfig
from goalmaze.experiments.bench.config import BenchConfig
from goalmaze.experiments.card.config import CardConfig, CardVerifyConfig
from goalmaze.experiments.catalogue.config import (
    FamiliesConfig,
    ImportConfig,
    LeakageConfig,
    NetworksConfig,
    RunsConfig,
    ZooConfig,
)
from goalmaze.experiments.common import console
from goalmaze.experiments.common.choices import listing
from goalmaze.experiments.common.config import CommandConfig, OutputOptions
from goalmaze.experiments.common.results import Result
from goalmaze.experiments.demo.config import DemoConfig
from goalmaze.experiments.evaluate.config import EvalConfig
from goalmaze.experiments.explain.config import ExplainConfig
from goalmaze.experiments.formation.config import FormationConfig
from goalmaze.experiments.live.config import LiveConfig, RenderConfig
from goalmaze.experiments.plans.config import PlansConfig
from goalmaze.experiments.probe.config import ProbeConfig
from goalmaze.experiments.reports.config import ReportConfig
from goalmaze.experiments.retarget.config import RetargetConfig
from goalmaze.experiments.site.config import SiteConfig
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
    "audit": (AuditConfig, "goalmaze.experiments.audit.command"),
    "audit challenge": (ChallengeConfig, "goalmaze.experiments.audit.challenge.command"),
    "audit score": (ScoreConfig, "goalmaze.experiments.audit.challenge.score_command"),
    "card": (CardConfig, "goalmaze.experiments.card.command"),
    "card verify": (CardVerifyConfig, "goalmaze.experiments.card.verify_command"),
    "explain": (ExplainConfig, "goalmaze.experiments.explain.command"),
    "formation": (FormationConfig, "goalmaze.experiments.formation.command"),
    "plans": (PlansConfig, "goalmaze.experiments.plans.command"),
    "retarget": (RetargetConfig, "goalmaze.experiments.retarget.command"),
    "live": (LiveConfig, "goalmaze.experiments.live.command"),
    "render": (RenderConfig, "goalmaze.experiments.live.render"),
    "site": (SiteConfig, "goalmaze.experiments.site.command"),
    "networks": (NetworksConfig, "goalmaze.experiments.catalogue.networks"),
    "import": (ImportConfig, "goalmaze.experiments.catalogue.import_"),
    "families": (FamiliesConfig, "goalmaze.experiments.catalogue.families"),
    "leakage": (LeakageConfig, "goalmaze.experiments.catalogue.leakage"),
    "zoo": (ZooConfig, "goalmaze.experiments.catalogue.zoo"),
    "bench": (BenchConfig, "goalmaze.experiments.bench.command"),
}
"""Command → its configuration, and the module whose function `run` takes it. Help imports the first alone."""

RENAMED = {"worlds": "families", "evaluate": "eval"}
"""Former or likely name of a command → its name."""

DESCRIPTION = """Produce, measure, read and retarget goal misgeneralization in maze agents.

AGENT is a run folder or zoo:NAME. `goalmaze COMMAND --help` shows the options and an example, `goalmaze --version` the
version. Exit codes: 0 success, 1 failure, 2 bad input, 130 or 143 interrupted by
Ctrl-C or SIGTERM."""

FAILED, BAD_INPUT, INTERRUPTED = 1, 2, 130

MIN_WIDTH = 80
"""Narrowest terminal that text is laid out for, in characters."""

UNWRAPPED = 4_000
"""A width at which the parser wraps no message, in characters."""

TRACEBACK = "GOALMAZE_TRACEBACK"
"""The environment variable that, if it is set, has the same effect as --traceback."""

COLOUR = re.compile(r"\x1b\[[0-9;]*m")
"""A code with which a terminal changes its colour."""


@dataclasses.dataclass(frozen=True)
class Call:
    """A parsed command line.

    Attributes:
        config: the options of the command.
        output: how the result is printed.
    """

    config: CommandConfig
    output: OutputOptions


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command, print its result and return the exit code.

    The code is 0; `BAD_INPUT`; `INTERRUPTED` for Ctrl-C, or 143 for SIGTERM; or `FAILED` where the result cannot be
    printed, memory is short, or goalmaze has a fault. Each of them but 0 comes with one line on standard error.
    """
    console.prepare_streams()
    if arguments is None:
        # Commands draw into files only. The backend of a notebook, inherited from its terminal, can be missing here.
        os.environ["MPLBACKEND"] = "agg"
        arguments = sys.argv[1:]
    try:
        _run(arguments)
    except GoalmazeError as error:
        console.complain(str(error))
        return BAD_INPUT
    except StopError as error:
        console.complain(str(error))
        return error.exit_code
    except KeyboardInterrupt:
        console.complain("interrupted")
        return INTERRUPTED
    except console.OutputError as error:
        console.complain(str(error))
        return FAILED
    except Exception as error:  # the last net: no other error reaches a person as a traceback
        if "--traceback" in arguments or os.environ.get(TRACEBACK):
            traceback.print_exc()
        console.complain(_explanation(error))
        # A name that the system refuses to open is bad input like any other.
        return BAD_INPUT if isinstance(error, OSError) and error.filename is not None else FAILED
    return 0


def _run(arguments: Sequence[str]) -> None:
    """Run one command and print its result."""
    if list(arguments) == ["--version"]:
        console.write(f"goalmaze {installed_version('goalmaze')}")
        return
    call = parse(arguments)
    # Before the command's module, so that names of your own are registered when it looks them up.
    for name in call.output.imports:
        load_extension(name)
    module = next(module for config, module in COMMANDS.values() if type(call.config) is config)
    console.write(_printed(importlib.import_module(module).run(call.config), call.output))


def _explanation(error: Exception) -> str:
    """Return what happened and what to do, for an error that no part of goalmaze expected."""
    if isinstance(error, MemoryError) or re.search(r"out of memory|can't allocate memory", str(error)):
        return "there is not enough memory for this: choose fewer levels or environments, or smaller mazes"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror if error.filename is None else f"{error.filename}: {error.strerror}"
    frame = traceback.extract_tb(error.__traceback__)[-1]
    place = f"{Path(frame.filename).name}, line {frame.lineno}"
    return (
        f"unexpected {type(error).__name__}: {str(error) or 'no message'} ({place}); unless that is code of your own, "
        "this is a fault of goalmaze: please report it with the command and what --traceback prints"
    )


def parse(arguments: Sequence[str]) -> Call:
    """Parse a command line.

    Raises:
        GoalmazeError: a command, option or value is unknown or missing.
        SystemExit: the command line held --help, which is printed.
        OutputError: the help cannot be printed.
    """
    if arguments and arguments[0] in RENAMED:
        raise GoalmazeError(f"there is no command '{arguments[0]}': use goalmaze {RENAMED[arguments[0]]}")
    # A command of two words is one word for the parser.
    if " ".join(arguments[:2]) in COMMANDS:
        arguments = [" ".join(arguments[:2]), *arguments[2:]]
    # Only the help of a single command lists names, because reading them from the source files takes time.
    helps = bool({"-h", "--help"} & set(arguments))
    listed = {arguments[0]} if helps else set()
    calls = [
        Annotated[_call_type(config), tyro.conf.subcommand(name, description=_description(config, name in listed))]
        for name, (config, _) in COMMANDS.items()
    ]
    # tyro prints a box of many lines for bad input. A terminal and a log are better served by one line. It looks at
    # standard output for colours even where it prints to standard error, and loops in a terminal of five characters.
    shown, complaint = console.TerminalText(helps and console.is_terminal()), console.TerminalText(coloured=False)
    width = max(MIN_WIDTH, shutil.get_terminal_size().columns) if helps else UNWRAPPED
    try:
        with contextlib.redirect_stdout(shown), contextlib.redirect_stderr(complaint), console.layout_width(width):
            parsed: Any = tyro.cli(
                cast(Any, Union[tuple(calls)]),  # noqa: UP007
                args=list(arguments),
                prog="goalmaze",
                description=DESCRIPTION,
                config=(tyro.conf.FlagCreatePairsOff, tyro.conf.OmitArgPrefixes),
            )
    except SystemExit as exit_:
        if exit_.code:
            raise GoalmazeError(_one_line(COLOUR.sub("", complaint.getvalue()))) from None
        console.write(shown.getvalue().rstrip("\n"))
        raise
    config: CommandConfig = parsed.config
    # A page that is served until Ctrl-C prints no JSON object; a level that is played once does.
    if isinstance(config, LiveConfig) and parsed.output.json:
        config = dataclasses.replace(config, summary=True)
    return Call(config, parsed.output)


def _call_type(config: type[CommandConfig]) -> type:
    """Return a dataclass of a command's options and the output options, whose flags are not prefixed by field names."""
    return dataclasses.make_dataclass(
        "Call",
        [
            ("config", Annotated[config, tyro.conf.arg(name="")]),
            ("output", Annotated[OutputOptions, tyro.conf.arg(name="")]),
        ],
    )


def _description(config: type[CommandConfig], whole: bool) -> str:
    """Return the first line of a docstring; with examples and names where help is about this command alone."""
    first = (config.__doc__ or "").strip().splitlines()[0]
    if not whole:
        return first
    examples = "\n".join(["Examples:", *(f"  {example}" for example in config.examples)])
    return "\n\n".join([first, examples, *(listing(kind) for kind in config.lists)])


def _printed(result: Result, output: OutputOptions) -> str:
    if output.json:
        return json.dumps(result.json())
    for wanted, export in ((output.csv, result.csv), (output.latex, result.latex), (output.markdown, result.markdown)):
        if wanted:
            return export().rstrip("\n")
    # A file or a pipe gets lines of any length, so that tables are not cut into parts.
    width = max(MIN_WIDTH, shutil.get_terminal_size().columns) if console.is_terminal() else None
    return result.text(width)


def _one_line(boxed: str) -> str:
    """Return the parser's message in a box as one sentence: its first part, and its suggestion where it has one."""
    parts: list[list[str]] = [[]]
    for line in boxed.splitlines()[1:]:
        words = line.strip("│╰╯─ ")
        if words:
            parts[-1].append(words)
        else:
            parts.append([])
    suggestions = [part[1] for part in parts[1:] if part and part[0].startswith("Perhaps you meant")]
    hint = f"; perhaps you meant: {suggestions[0]}" if suggestions else ""
    return f"{' '.join(parts[0])}{hint} (see --help)"
