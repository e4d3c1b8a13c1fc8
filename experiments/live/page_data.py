"""A scene at one moment as plain data, which the page, the replay and the films are drawn from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from goalmaze.envs.json_data import JsonObject
from goalmaze.envs.rendering import scene_data
from goalmaze.experiments.live.inspection import Inspection, policy_change
from goalmaze.experiments.live.scene import AgentEpisode, Scene, edit_refusal
from goalmaze.experiments.page.appearance import packed

MAX_CHANNELS = 64
"""Channels of a map that are sent to a page."""

Floats = NDArray[np.float32]


def frame_data(scene: Scene, inspections: Mapping[str, Inspection]) -> JsonObject:
    """Return a scene at one moment, with the inspection of each of its agents; arrays are `packed`."""
    level, episodes = scene.level, scene.episodes
    maps = [one.maps for one in inspections.values() if one.maps is not None]
    # Maps of two networks of different shapes have no common scale.
    low, high = _channel_ranges([one for one in maps if one.shape == maps[0].shape])
    data = {
        "height": level.height,
        "width": level.width,
        # One character a cell is half the size of a JSON list.
        "walls": (level.walls[0] + np.uint8(ord("0"))).tobytes().decode(),
        "start": int(level.start[0]),
        "target": -1 if scene.fitted_edit is None else scene.target,
        "index": scene.index,
        "family": scene.family.name,
        "goal": scene.family.goal,
        "cue": scene.family.cue,
        "limit": scene.family.time_limit,
        "finished": scene.finished,
        "tally": scene.tally,
        "description": edit_description(scene),
        "refusal": edit_refusal(scene.family),
        "scale": [[round(float(a), 3), round(float(b), 3)] for a, b in zip(low, high, strict=True)],
        "sides": {name: _side(scene, episodes[name], one, low, high) for name, one in inspections.items()},
    }
    if "edited" in inspections and scene.other is None:
        change = policy_change(inspections["unedited"], inspections["edited"])
        # Walls have no policy; counted, they would dilute the mean change.
        standable = inspections["unedited"].probabilities.any(axis=1)
        data["changed"] = packed(change)
        data["mean_change"] = round(float(change[standable].mean()), 3) if standable.any() else 0.0
    return data


def _side(scene: Scene, episode: AgentEpisode, inspection: Inspection, low: ArrayLike, high: ArrayLike) -> JsonObject:
    """Return one agent's half of a frame; `low` and `high` are the range of each channel."""
    present = episode.engine.present()
    objects = scene_data(present, 0, episode.cell, steps=episode.steps)["objects"]
    slots = [k for k, cell in enumerate(present.objects[0]) if cell >= 0]
    numbers = [scene.level.slots[:k].count(scene.level.slots[k]) for k in slots]
    side = {
        "agent": episode.cell,
        "trail": episode.trail,
        "outcome": episode.outcome,
        "returns": episode.returns.round(3).tolist(),
        "objects": [
            {"type": one["kind"], "cell": one["cell"], "which": which, "hidden": one["hidden"]}
            for one, which in zip(objects, numbers, strict=True)
        ],
        "probabilities": packed(inspection.probabilities),
        # Zero where the agent stands on an object, and so has no policy of its own cell in the field.
        "here": [round(float(one), 4) for one in inspection.probabilities[episode.cell]],
    }
    if inspection.maps is not None and len(inspection.maps[:MAX_CHANNELS]) == len(np.asarray(low)):
        # A channel that is constant in both agents has no span to divide by.
        span = np.maximum(np.asarray(high) - np.asarray(low), 1e-9)[:, None, None]
        side["maps"] = packed((inspection.maps[:MAX_CHANNELS] - np.asarray(low)[:, None, None]) / span)
    if inspection.reading is not None:
        # The square root keeps small probabilities visible in 8 bits.
        side["reading"] = packed(np.sqrt(inspection.reading))
        heading = int(inspection.reading.argmax())
        # A wall is no place to go to, so it is never named.
        if not scene.level.walls[0].flat[heading]:
            side["heading"] = heading
    return side


def _channel_ranges(maps: Sequence[Floats]) -> tuple[Floats, Floats]:
    """Return the lowest and highest value of each channel in both agents, so that one colour means one value."""
    if not maps:
        return np.zeros(0, np.float32), np.zeros(0, np.float32)
    both = np.stack(maps)[:, :MAX_CHANNELS]
    return both.min(axis=(0, 2, 3)), both.max(axis=(0, 2, 3))


def edit_description(scene: Scene) -> str:
    """Return one sentence on the edit of a scene."""
    refusal = edit_refusal(scene.family)
    if scene.other is not None:
        return "Two agents act in the same maze, moved by the same random numbers. Nothing is edited."
    if scene.fitted_edit is None or refusal:
        return refusal or "There is no edit."
    if scene.strength == 0:
        return "The strength is 0, so the edit changes nothing and both agents are the same."
    row, column = divmod(scene.target, scene.level.width)
    steps = "at every step" if scene.first_steps is None else "at the first step only"
    strength = "" if scene.strength == 1 else f", with strength {scene.strength:g}"
    return (
        f"The edit at site {scene.fitted_edit.site} moves the {scene.family.goal} in the agent's activations to the "
        f"target in row {row}, column {column}, {steps}{strength}; it leaves the maze as it is."
    )
