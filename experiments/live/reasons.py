"""Why the agent goes where it goes: its next decision in words and over the squares, as the page shows it."""

from __future__ import annotations

import numpy as np

from goalmaze.envs.errors import GoalmazeError
from goalmaze.envs.json_data import JsonObject
from goalmaze.experiments.explain.decision import explain_state
from goalmaze.experiments.live.scene import WALKING, Scene

LISTED = 5
"""Elements that the page lists, those that matter most."""


def reasons(scene: Scene) -> JsonObject:
    """Return what drives the next decision of the unedited agent, and whether the method may be trusted for it.

    `heat` holds a number for each cell: by how much what is there raises the margin of the action. Where there is no
    decision to explain, `words` say why.
    """
    episode = scene.unedited
    cells = scene.level.walls[0].size
    nothing = {"kind": "why", "step": episode.steps + 1, "rows": [], "heat": [0.0] * cells, "method": "", "trust": ""}
    if episode.outcome != WALKING:
        return {**nothing, "words": "The episode has ended, so there is no decision to explain. Restart it."}
    try:
        # The same random numbers as in the scene, so that the agent comes to the same cell with the same memory.
        report = explain_state(scene.agent, scene.level, episode.steps, scene.seed + scene.index)
    except GoalmazeError as error:
        return {**nothing, "words": f"This decision cannot be explained: {error}."}
    heat = np.zeros(cells)
    for row in report.rows:
        heat[row.cell] += row.attributions[report.method]
    ranked = sorted(report.rows, key=lambda row: -abs(row.attributions[report.method]))
    trust = report.trust
    return {
        **nothing,
        "words": f"In step {episode.steps + 1} the agent {report.reason()}",
        "rows": [
            {"element": row.element, "without": row.without, "value": round(row.attributions[report.method], 2)}
            for row in ranked[:LISTED]
        ],
        "heat": [round(float(one), 3) for one in heat],
        "method": report.method,
        "trust": trust.text,
        "trusted": trust.trusted,
    }
