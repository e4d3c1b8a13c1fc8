"""`goalmaze probe`: what can be read from an agent's activations, and does it move the agent when written?"""

from __future__ import annotations

from goalmaze.agents.loading import load_agent
from goalmaze.experiments.configs import ProbeConfig
from goalmaze.experiments.reading.atlas import ProbeReport, read_agent
from goalmaze.experiments.reading.channels import ChannelReport, read_channels
from goalmaze.experiments.reading.checkpoints import CheckpointReport, read_checkpoints


def run(config: ProbeConfig) -> ProbeReport | ChannelReport | CheckpointReport:
    """Read an agent's sites, their channels one by one, or the checkpoints along its training.

    Raises:
        GoalmazeError: no such agent, site or target.
    """
    if config.by == "checkpoint":
        return read_checkpoints(config)
    agent = load_agent(config.agent)
    return read_channels(agent, config) if config.by == "channel" else read_agent(agent, config)
