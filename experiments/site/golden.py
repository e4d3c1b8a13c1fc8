"""Golden episodes: what Python computes, step by step, for the browser to compute again."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from goalmaze.agents.loading import Agent
from goalmaze.agents.policies import EditContext
from goalmaze.agents.rollout import observer, stepwise
from goalmaze.envs.engines import make_engine
from goalmaze.envs.json_data import JsonObject
from goalmaze.envs.levels import LevelBatch
from goalmaze.experiments.site.levels import level_texts
from goalmaze.probes.edits.base import Edit, applied


def golden_episodes(agent: Agent, levels: LevelBatch, seed: int = 0, edits: Sequence[Edit] = ()) -> list[JsonObject]:
    """Return one episode a level: actions, cells, logits and values at every step, and the returns.

    Args:
        agent: an agent of GreenExit.
        levels: B levels.
        seed: of the sampled actions; level b takes the random numbers of row b.
        edits: edits of all B levels, which act at every step.
    """
    policy, engine, rows = agent.policy, make_engine(levels), np.arange(len(levels))
    observe, texts = observer(policy, engine), level_texts(levels)
    episodes: list[JsonObject] = [
        {"level": text, "size": levels.width, "limit": levels.family.time_limit, "row": b, "steps": []}
        for b, text in enumerate(texts)
    ]
    returns = np.zeros((len(levels), 2))
    with applied(policy, edits):
        for record in stepwise(policy, levels, seed=seed):
            observations = torch.from_numpy(observe())
            with torch.inference_mode(), policy.about(EditContext.at_start(rows)):
                logits, values = agent.network(observations)
            engine.step(record.actions)
            returns += record.rewards
            for b in np.flatnonzero(record.active):
                episodes[b]["steps"].append(
                    {
                        "action": int(record.actions[b]),
                        "cell": int(record.agent[b]),
                        "logits": logits[b].tolist(),
                        "value": float(values[b]),
                    }
                )
    for row, episode in enumerate(episodes):
        episode["returns"] = returns[row].tolist()
    return episodes
