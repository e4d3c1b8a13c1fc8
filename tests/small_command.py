"""A goalmaze in a process of its own that prints a small table, in whatever environment a test makes up."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from typing import Any, TypeAlias

PROGRAM = """
import sys, types
from goalmaze.experiments import cli
from goalmaze.experiments.common.results import Result
from goalmaze.experiments.common.tables import Table

class Small(Result):
    def json(self):
        return {"arrow": "→"}
    def blocks(self):
        return [Table(["maze", "é"], [["9×9 → 11×11", "“no” – 😀"]])]

module = types.ModuleType("small")
module.run = lambda config: BODY or Small()
sys.modules["small"] = module
cli.COMMANDS["runs"] = (cli.COMMANDS["runs"][0], "small")
sys.exit(cli.main())
"""
"""The command line with `goalmaze runs` replaced by a table that takes no time; BODY may do something before."""

Process: TypeAlias = subprocess.CompletedProcess[bytes]


def environment(changes: Mapping[str, str]) -> dict[str, str]:
    """Return the variables of this process with changes, without those that decide on encodings and colours."""
    decide = ("PYTHONUTF8", "PYTHONIOENCODING", "LC_ALL", "LANG", "MPLBACKEND", "COLUMNS", "GOALMAZE_TRACEBACK")
    return {name: value for name, value in os.environ.items() if name not in decide} | dict(changes)


def run_small(
    *arguments: str, body: str = "None", variables: Mapping[str, str] | None = None, **options: Any
) -> Process:
    """Run the small command line in a process of its own.

    Args:
        arguments: of the command line.
        body: an expression that `goalmaze runs` evaluates first.
        variables: changes of the environment.
        options: those of `subprocess.Popen`; without streams, both outputs are captured.
    """
    streams = {} if {"stdout", "stderr"} & options.keys() else {"capture_output": True}
    command = [sys.executable, "-c", PROGRAM.replace("BODY", body), *arguments]
    return subprocess.run(command, env=environment(variables or {}), timeout=60, check=False, **streams, **options)
