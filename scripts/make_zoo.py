"""Train the agents of the zoo that are missing, and write the manifest: ``python scripts/make_zoo.py [NAME ...]``.

`agents/zoo/zoo.toml` holds the command of every agent. An interrupted run is resumed; an agent whose command changed is
trained again. Nothing is taken for done because it exists: a run must be of the command, and its report that of its
checkpoint.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import shlex
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

from tqdm import tqdm

from goalmaze.agents.files import new_folder, write_atomically, write_json
from goalmaze.agents.loading import CHECKPOINT, RECIPE, ZOO_PREFIX, load_agent
from goalmaze.agents.training.checkpoint_schedule import CHECKPOINTS
from goalmaze.agents.training.log import LOG
from goalmaze.agents.training.recipe import Recipe
from goalmaze.agents.training.run import read_recipe
from goalmaze.agents.training.training_state import STATE
from goalmaze.agents.zoo import HERE, MANIFEST, digests, manifest
from goalmaze.envs.errors import GoalmazeError
from goalmaze.envs.json_data import JsonObject
from goalmaze.envs.levels import NO_SHIFT
from goalmaze.experiments.cli import parse
from goalmaze.experiments.common.run_report import REPORT, finished_report
from goalmaze.experiments.evaluate.agent_label import label
from goalmaze.experiments.evaluate.evaluation import evaluate_shifts
from goalmaze.experiments.jobs.report import REPORT_LEVELS
from goalmaze.experiments.train.command import read_settings
from goalmaze.experiments.train.config import TrainConfig

SHIPPED = (RECIPE, LOG, REPORT, CHECKPOINT, CHECKPOINTS)
"""The files and folders of a run that ship."""


def command_of(agent: JsonObject) -> str:
    """Return the command that trains an agent, without its folder."""
    return f"goalmaze train {agent['train']}"


def train(name: str, agent: JsonObject, runs: Path) -> Path:
    """Train one agent, or resume its training, and return its run folder."""
    run = runs / name
    can_resume = is_run_of(run, agent) and (run / STATE).is_file()
    if can_resume and finished_report(run) is not None:
        return run
    if run.exists() and not can_resume:
        shutil.rmtree(run)
    arguments = ["--resume", str(run)] if can_resume else [*shlex.split(agent["train"]), "--out", str(run)]
    command = [sys.executable, "-m", "goalmaze.experiments", "train", *arguments]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return run


def is_run_of(run: Path, agent: JsonObject) -> bool:
    """Return whether a folder holds a run of an agent's command; its recipe has all defaults filled in."""
    config = parse(["train", *shlex.split(agent["train"])]).config
    assert isinstance(config, TrainConfig)
    try:
        recorded = plain(read_recipe(run)[0])
    except GoalmazeError:
        return False
    wanted = plain(read_settings(config))
    # The number of threads and the device are those of the machine where the command leaves them open.
    open_ended = {"threads": 0, "device": "auto"}
    return all(
        all(recorded[name].get(key) == one for key, one in value.items())
        if isinstance(value, dict)
        else value in (recorded[name], open_ended.get(name, recorded[name]))
        for name, value in wanted.items()
    )


def plain(recipe: Recipe) -> JsonObject:
    """Return a recipe as JSON holds it."""
    data: JsonObject = json.loads(json.dumps(dataclasses.asdict(recipe)))
    return data


def ship(name: str, run: Path) -> None:
    """Copy the shipped files of a run into the zoo; they appear there at once."""
    with new_folder(HERE / name, replace=True) as folder:
        for part in SHIPPED:
            if (run / part).is_dir():
                shutil.copytree(run / part, folder / part)
            else:
                shutil.copy(run / part, folder / part)
        # The report names the folder of the training machine, which means nothing to others.
        update_report(folder, {"run": name})


def evaluate_again(name: str) -> None:
    """Evaluate an agent of the zoo again, after a change of the measures or of the rule of labels."""
    agent = load_agent(f"{ZOO_PREFIX}{name}")
    evaluations = evaluate_shifts(agent, REPORT_LEVELS, name)
    decision = label(evaluations[NO_SHIFT], evaluations[agent.family.distinguishing_shift])
    changes = {
        "label": decision.label,
        "label_reason": decision.reason or None,
        "in_distribution": evaluations.pop(NO_SHIFT).json(),
        "shifts": {shift: evaluation.json() for shift, evaluation in evaluations.items()},
    }
    update_report(HERE / name, changes)


def update_report(folder: Path, changes: JsonObject) -> None:
    """Change entries of the report in a run folder."""
    path = folder / REPORT
    write_json(path, json.loads(path.read_text("utf-8")) | changes)


def write_manifest(agents: JsonObject) -> None:
    """Write the manifest of the agents that are in the zoo."""
    entries, former = {}, former_entries()
    for name, agent in agents.items():
        folder = HERE / name
        report = finished_report(folder)
        if report is None:
            # An agent that ships as far as its training got is no finished run; it stays as it was listed.
            if former.get(name, {}).get("files") == digests(folder):
                entries[name] = former[name]
            continue
        entries[name] = {
            # An agent whose command changed keeps its former one until it has been trained again.
            "command": command_of(agent) if is_run_of(folder, agent) else former.get(name, {}).get("command", ""),
            "purpose": agent["purpose"],
            "seconds": report["seconds"],
            "files": digests(folder),
        }
    write_atomically(MANIFEST, f"{json.dumps(entries, indent=1)}\n".encode())


def former_entries() -> dict[str, JsonObject]:
    """Return agent → its entry in the manifest as it is."""
    return json.loads(MANIFEST.read_text("utf-8")) if MANIFEST.is_file() else {}


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
    options.runs.mkdir(parents=True, exist_ok=True)
    for name in options.names or agents:
        if former_entries().get(name, {}).get("command") != command_of(agents[name]):
            ship(name, train(name, agents[name], options.runs))
            # After every agent: an interrupted run of this script keeps the agents that are done.
            write_manifest(agents)


if __name__ == "__main__":
    main()
