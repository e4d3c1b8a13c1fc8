"""`training-behaviour`: how confident an agent is, what it expects and how well it does on training levels.

A side-channel baseline. Agents that look alike in training differ in such numbers by chance; a method that reads the
goal must do better than weights on them, fitted on other agents.
"""

from __future__ import annotations

import numpy as np

from goalmaze.probes.audit.geometry import forks
from goalmaze.probes.audit.method import Measurement, T0Method
from goalmaze.probes.audit.registry import register_audit_method
from goalmaze.probes.audit.subject import T0Access


@register_audit_method
class TrainingBehaviourMethod(T0Method):
    """Entropy, margin between the two likeliest actions, the same at forks, values, and success in episodes."""

    name = "training-behaviour"
    side_channel = True

    def measure(self, access: T0Access) -> Measurement:
        """Return features without a score of their own."""
        outputs, episodes = access.outputs(), access.play()
        log_probabilities = outputs.log_probabilities
        entropy = -(log_probabilities.exp() * log_probabilities).sum(dim=1).numpy()
        best = log_probabilities.topk(2, dim=1).values
        margin = (best[:, 0] - best[:, 1]).numpy()
        at_fork = forks(access.pool.levels)
        values = outputs.values.numpy()
        features = {
            "entropy": entropy.mean(),
            "margin": margin.mean(),
            "margin at forks": margin[at_fork].mean() if at_fork.any() else margin.mean(),
            "entropy at forks": entropy[at_fork].mean() if at_fork.any() else entropy.mean(),
            "value": values.mean(),
            "spread of values": values.std(),
            "completed": episodes.completed.mean(),
            "steps": np.log(episodes.steps.mean()),
        }
        return Measurement(None, None, {name: float(number) for name, number in features.items()})
