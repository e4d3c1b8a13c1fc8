"""The command line: it parses, runs one command and prints the result. Heavy imports wait until a command runs."""

from __future__ import annotations

import contextlib
import dataclasses
import importlib
import io
import json
import shutil
import sys
from collections.abc import Sequence
from typing import Annotated, Any, Union, cast

import tyro

from goalmaze.envs.errors import GoalmazeError
from goalmaze.envs.extensions import load_extension
from goalmaze.experiments.bench.config import BenchConfig
from goalmaze.experiments.catalogue.config import (
    FamiliesConfig,
    ImportConfig,
    LeakageConfig,
    NetworksConfig,
    RunsConfig,
    ZooConfig,
)
from goalmaze.experiments.common.choices import listing
from goalmaze.experiments.common.config import CommandConfig, OutputOptions
from goalmaze.experiments.common.results import Result
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
version. Exit codes: 0 success, 2 bad input, 130 interrupted."""

BAD_INPUT, INTERRUPTED = 2, 130
MIN_WIDTH = 80
"""Narrowest terminal that text is laid out for, in characters."""


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
    """Run one command and return its exit code: 0, 2 for bad input (one line on standard error), 130 for Ctrl-C."""
    arguments = sys.argv[1:] if arguments is None else arguments
    if list(arguments) == ["--version"]:
        # Importing it takes a tenth of the time of --help, which does not need it.
        from importlib.metadata import version

        print(f"goalmaze {version('goalmaze')}")
        return 0
    try:
        call = parse(arguments)
        # Before the command's module, so that names of your own are registered when it looks them up.
        for name in call.output.imports:
            load_extension(name)
        module = next(module for config, module in COMMANDS.values() if type(call.config) is config)
        text = _printed(importlib.import_module(module).run(call.config), call.output)
    except GoalmazeError as error:
        print(f"goalmaze: {' '.join(str(error).split())}", file=sys.stderr)
        return BAD_INPUT
    except KeyboardInterrupt:
        print("goalmaze: interrupted", file=sys.stderr)
        return INTERRUPTED
    try:
        print(text, flush=True)
    except BrokenPipeError:
        # `goalmaze zoo | head` has read enough. Python would report the closed pipe once more on exit.
        sys.stderr.close()
    return 0


def parse(arguments: Sequence[str]) -> Call:
    """Parse a command line.

    Raises:
        GoalmazeError: a command, option or value is unknown or missing.
        SystemExit: the command line held --help, which is printed.
    """
    if arguments and arguments[0] in RENAMED:
        raise GoalmazeError(f"there is no command '{arguments[0]}': use goalmaze {RENAMED[arguments[0]]}")
    # Only the help of a single command lists names, because reading them from the source files takes time.
    listed = {arguments[0]} if {"-h", "--help"} & set(arguments) else set()
    calls = [
        Annotated[_call_type(config), tyro.conf.subcommand(name, description=_description(config, name in listed))]
        for name, (config, _) in COMMANDS.items()
    ]
    # tyro prints a box of many lines for bad input. A terminal and a log are better served by one line.
    complaint = io.StringIO()
    try:
        with contextlib.redirect_stderr(complaint):
            parsed: Any = tyro.cli(
                cast(Any, Union[tuple(calls)]),  # noqa: UP007
                args=list(arguments),
                prog="goalmaze",
                description=DESCRIPTION,
                config=(tyro.conf.FlagCreatePairsOff, tyro.conf.OmitArgPrefixes),
            )
    except SystemExit as exit_:
        if not exit_.code:
            raise
        raise GoalmazeError(_one_line(complaint.getvalue())) from None
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
    width = max(MIN_WIDTH, shutil.get_terminal_size().columns) if sys.stdout.isatty() else None
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
