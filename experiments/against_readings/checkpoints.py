"""Readings at the scheduled checkpoints of a run: which of them stops saying "cue" first."""

from __future__ import annotations

from pathlib import Path

from goalmaze.agents.checkpoints import load_checkpoint
from goalmaze.agents.files import write_json
from goalmaze.agents.loading import Agent
from goalmaze.agents.training.checkpoint_schedule import checkpoint_series
from goalmaze.agents.training.run import read_recipe
from goalmaze.envs.text_files import is_file, read_json
from goalmaze.experiments.against_readings.readings import START_PROBE, held_out_readings, penalty_score
from goalmaze.experiments.against_readings.registration import RegisteredRule
from goalmaze.experiments.against_readings.run_readings import VERSION, common_family, trained_probe
from goalmaze.experiments.common.run_report import finished_report

FILE = "checkpoint-readings.json"


def checkpoint_readings(folder: Path) -> dict[int, dict[str, float]]:
    """Return steps → the readings of a run's scheduled checkpoints, measured where they are not kept yet."""
    report = finished_report(folder)
    assert report is not None
    kept = read_json(folder / FILE) if is_file(folder / FILE) else {}
    if (kept.get("version"), kept.get("checkpoint")) != (VERSION, report["checkpoint"]):
        recipe, _ = read_recipe(folder)
        family = common_family(recipe)
        probe = trained_probe(folder, recipe, family)
        measured = {}
        for steps, path in checkpoint_series(folder).items():
            network = load_checkpoint(path)[0].eval()
            scores = held_out_readings(Agent(network, family), family, steering=False)
            if probe is not None:
                scores[START_PROBE] = penalty_score(probe, network, family)
            measured[str(steps)] = scores
        kept = {"version": VERSION, "checkpoint": report["checkpoint"], "scores": measured}
        write_json(folder / FILE, kept)
    return {int(steps): scores for steps, scores in kept["scores"].items()}


def first_evaded(folder: Path, against: str, rule: RegisteredRule) -> dict[str, int | None]:
    """Return reading → the first checkpoint from which it never says "cue" again; None where it says so last.

    Args:
        folder: the run.
        against: the reading that it was trained against.
        rule: the registered rule.
    """
    series = checkpoint_readings(folder)
    result: dict[str, int | None] = {}
    for name in next(iter(series.values())):
        threshold = rule.thresholds[against if name == START_PROBE and against in rule.thresholds else name]
        silent: int | None = None
        for steps, scores in sorted(series.items()):
            if scores[name] >= threshold:
                silent = None
            elif silent is None:
                silent = steps
        result[name] = silent
    return result
