"""Train the agents of the zoo that are missing, and write the manifest: ``python scripts/make_zoo.py [NAME ...]``.

What to train is in `agents/zoo/zoo.toml`. An interrupted run goes on; an agent whose command changed is
trained anew.
"""

from __future__ import annotations

import argparse
import json
import shlex
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

from tqdm import tqdm

from goalmaze.agents.loading import ZOO_PREFIX, load_agent
from goalmaze.agents.zoo import HERE, MANIFEST, digests, manifest
from goalmaze.envs.levels import NO_SHIFT
from goalmaze.experiments.evaluate.agent_label import label
from goalmaze.experiments.evaluate.evaluation import evaluate_shifts
from goalmaze.experiments.train.command import REPORT_LEVELS

KEPT = ("recipe.json", "log.csv", "report.json", "checkpoint.safetensors", "checkpoints")


def command_of(agent: dict[str, Any]) -> str:
    """Return the command that makes an agent, but for where it puts it."""
    return f"goalmaze train {agent['train']}"


def train(name: str, agent: dict[str, Any], runs: Path) -> Path:
    """Train one agent, or go on with it, and return its run folder."""
    run = runs / name
    command = [sys.executable, "-m", "goalmaze.experiments", "train"]
    if (run / "report.json").is_file() and not json.loads((run / "report.json").read_text())["interrupted"]:
        return run
    goes_on = (run / "state.safetensors").is_file()
    if run.exists() and not goes_on:
        shutil.rmtree(run)
    subprocess.run(
        [*command, "--resume", str(run)] if goes_on else [*command, *shlex.split(agent["train"]), "--out", str(run)],
        check=True,
        stdout=subprocess.DEVNULL,
    )
    return run


def ship(name: str, run: Path) -> None:
    """Copy what ships of a run into the zoo."""
    shutil.rmtree(HERE / name, ignore_errors=True)
    (HERE / name).mkdir()
    for part in KEPT:
        if (run / part).is_dir():
            shutil.copytree(run / part, HERE / name / part)
        else:
            shutil.copy(run / part, HERE / name / part)
    report = json.loads((HERE / name / "report.json").read_text())
    (HERE / name / "report.json").write_text(json.dumps(report | {"run": name}, indent=2) + "\n")


def measure(name: str) -> None:
    """Measure an agent of the zoo again, for when what is measured or the rule of labels has changed."""
    agent = load_agent(f"{ZOO_PREFIX}{name}")
    found = evaluate_shifts(agent, REPORT_LEVELS, name)
    path = HERE / name / "report.json"
    report = json.loads(path.read_text()) | {
        "label": label(found[NO_SHIFT], found[agent.family.distinguishing_shift]),
        "in_distribution": found.pop(NO_SHIFT).json(),
        "shifts": {shift: evaluation.json() for shift, evaluation in found.items()},
    }
    path.write_text(json.dumps(report, indent=2) + "\n")


def write_manifest(agents: dict[str, Any]) -> None:
    """Write the manifest of the agents that are there."""
    entries = {}
    for name, agent in agents.items():
        folder = HERE / name
        if not (folder / "report.json").is_file():
            continue
        report = json.loads((folder / "report.json").read_text())
        entries[name] = {
            "command": command_of(agent),
            "purpose": agent["purpose"],
            "label": report["label"],
            "seconds": report["seconds"],
            "files": digests(folder),
        }
    MANIFEST.write_text(json.dumps(entries, indent=1) + "\n")


def main() -> None:
    """Make what is missing."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("names", nargs="*", help="agents to make; all where none is named")
    arguments.add_argument("--runs", type=Path, default=Path("runs/zoo"))
    arguments.add_argument("--measure", action="store_true", help="only measure those that are there again")
    chosen = arguments.parse_args()
    agents: dict[str, Any] = tomllib.loads((HERE / "zoo.toml").read_text())
    if chosen.measure:
        for name in tqdm(chosen.names or manifest(), desc="measuring", unit="agent"):
            measure(name)
        write_manifest(agents)
        return
    made = json.loads(MANIFEST.read_text()) if MANIFEST.is_file() else {}
    chosen.runs.mkdir(parents=True, exist_ok=True)
    for name in chosen.names or agents:
        if made.get(name, {}).get("command") != command_of(agents[name]):
            ship(name, train(name, agents[name], chosen.runs))
            write_manifest(agents)


if __name__ == "__main__":
    main()
