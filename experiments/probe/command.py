"""`goalmaze probe`: what can be read from an agent's activations, and does it move the agent when written?"""

from __future__ import annotations

from goalmaze.agents.loading import load_agent
from goalmaze.experiments.probe.by_channel import ChannelReport, read_channels
from goalmaze.experiments.probe.by_checkpoint import CheckpointReport, read_checkpoints
from goalmaze.experiments.probe.by_site import ProbeReport, read_agent
from goalmaze.experiments.probe.config import ProbeConfig


def run(config: ProbeConfig) -> ProbeReport | ChannelReport | CheckpointReport:
    """Read an agent's sites, their channels one by one, or the checkpoints along its training.

    Raises:
        GoalmazeError: no such agent, site or target.
    """
    if config.by == "checkpoint":
        return read_checkpoints(config)
    agent = load_agent(config.agent)
    return read_channels(agent, config) if config.by == "channel" else read_agent(agent, config)
