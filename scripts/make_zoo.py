"""Train the agents of the zoo that are missing, and write the manifest: ``python scripts/make_zoo.py [NAME ...]``.

`agents/zoo/zoo.toml` holds the command of every agent. An interrupted run is resumed; an agent whose command changed is
trained again.
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

from tqdm import tqdm

from goalmaze.agents.loading import CHECKPOINT, RECIPE, ZOO_PREFIX, load_agent
from goalmaze.agents.training.checkpoint_schedule import CHECKPOINTS
from goalmaze.agents.training.log import LOG
from goalmaze.agents.training.training_state import STATE
from goalmaze.agents.zoo import HERE, MANIFEST, digests, manifest
from goalmaze.envs.json_data import JsonObject
from goalmaze.envs.levels import NO_SHIFT
from goalmaze.experiments.common.run_report import REPORT
from goalmaze.experiments.evaluate.agent_label import label
from goalmaze.experiments.evaluate.evaluation import evaluate_shifts
from goalmaze.experiments.train.report import REPORT_LEVELS

SHIPPED = (RECIPE, LOG, REPORT, CHECKPOINT, CHECKPOINTS)
"""The files and folders of a run that ship."""


def command_of(agent: JsonObject) -> str:
    """Return the command that trains an agent, without its folder."""
    return f"goalmaze train {agent['train']}"


def train(name: str, agent: JsonObject, runs: Path) -> Path:
    """Train one agent, or resume its training, and return its run folder."""
    run = runs / name
    if (run / REPORT).is_file() and not json.loads((run / REPORT).read_text("utf-8"))["interrupted"]:
        return run
    can_resume = (run / STATE).is_file()
    if run.exists() and not can_resume:
        shutil.rmtree(run)
    arguments = ["--resume", str(run)] if can_resume else [*shlex.split(agent["train"]), "--out", str(run)]
    command = [sys.executable, "-m", "goalmaze.experiments", "train", *arguments]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return run


def ship(name: str, run: Path) -> None:
    """Copy the shipped files of a run into the zoo."""
    shutil.rmtree(HERE / name, ignore_errors=True)
    (HERE / name).mkdir()
    for part in SHIPPED:
        if (run / part).is_dir():
            shutil.copytree(run / part, HERE / name / part)
        else:
            shutil.copy(run / part, HERE / name / part)
    # The report names the folder of the training machine, which means nothing to others.
    update_report(name, {"run": name})


def evaluate_again(name: str) -> None:
    """Evaluate an agent of the zoo again, after a change of the measures or of the rule of labels."""
    agent = load_agent(f"{ZOO_PREFIX}{name}")
    evaluations = evaluate_shifts(agent, REPORT_LEVELS, name)
    changes = {
        "label": label(evaluations[NO_SHIFT], evaluations[agent.family.distinguishing_shift]),
        "in_distribution": evaluations.pop(NO_SHIFT).json(),
        "shifts": {shift: evaluation.json() for shift, evaluation in evaluations.items()},
    }
    update_report(name, changes)


def update_report(name: str, changes: JsonObject) -> None:
    """Change entries of the report of an agent in the zoo."""
    path = HERE / name / REPORT
    path.write_text(json.dumps(json.loads(path.read_text("utf-8")) | changes, indent=2) + "\n", "utf-8", newline="\n")


def write_manifest(agents: JsonObject) -> None:
    """Write the manifest of the agents that are in the zoo."""
    entries = {}
    for name, agent in agents.items():
        folder = HERE / name
        if not (folder / REPORT).is_file():
            continue
        report = json.loads((folder / REPORT).read_text("utf-8"))
        entries[name] = {
            "command": command_of(agent),
            "purpose": agent["purpose"],
            "label": report["label"],
            "seconds": report["seconds"],
            "files": digests(folder),
        }
    MANIFEST.write_text(json.dumps(entries, indent=1) + "\n", "utf-8", newline="\n")


def main() -> None:
    """Train what is missing, or evaluate again."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="names of agents; all by default")
    parser.add_argument("--runs", type=Path, default=Path("runs/zoo"), help="the folder of the runs")
    parser.add_argument("--measure", action="store_true", help="only evaluate the agents of the zoo again")
    options = parser.parse_args()
    agents: JsonObject = tomllib.loads((HERE / "zoo.toml").read_text("utf-8"))
    if options.measure:
        for name in tqdm(options.names or manifest(), desc="evaluating", unit="agent"):
            evaluate_again(name)
        write_manifest(agents)
        return
    made = json.loads(MANIFEST.read_text("utf-8")) if MANIFEST.is_file() else {}
    options.runs.mkdir(parents=True, exist_ok=True)
    for name in options.names or agents:
        if made.get(name, {}).get("command") != command_of(agents[name]):
            ship(name, train(name, agents[name], options.runs))
            # After every agent: an interrupted run of this script keeps the agents that are done.
            write_manifest(agents)


if __name__ == "__main__":
    main()
