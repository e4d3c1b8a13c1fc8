"""`goalmaze probe`: from its options to probes by site, by channel or by checkpoint."""

from __future__ import annotations

import dataclasses

from goalmaze.agents.loading import load_agent, locate
from goalmaze.agents.population import is_population, load_population
from goalmaze.agents.training.checkpoint_schedule import checkpoint_series
from goalmaze.envs.errors import GoalmazeError
from goalmaze.experiments.common.folders import make_folder
from goalmaze.experiments.probe.by_channel import ChannelReport, probe_channels
from goalmaze.experiments.probe.by_checkpoint import CheckpointReport, probe_checkpoints
from goalmaze.experiments.probe.by_population import PopulationProbes, probe_population
from goalmaze.experiments.probe.by_site import ProbeOptions, ProbeReport, probe
from goalmaze.experiments.probe.config import ProbeConfig


def run(config: ProbeConfig) -> ProbeReport | PopulationProbes | ChannelReport | CheckpointReport:
    """Probe the sites of an agent or a population, the channels of an agent's maps, or the checkpoints of its run.

    Raises:
        GoalmazeError: an agent, site or target is unknown.
    """
    options: ProbeOptions = {
        "targets": config.targets,
        "sites": config.sites,
        "shift": config.shift,
        "fit_shift": config.fit_shift,
        "size": config.size,
        "levels": config.levels,
        "fit_levels": config.fit_levels,
        "seed": config.seed,
    }
    if is_population(config.agent):
        if config.by != "site":
            raise GoalmazeError(
                f"--by {config.by} reads one agent, and {config.agent} is a population; name one of it, such as "
                f"{config.agent}/0"
            )
        return _probe_population(config, options)
    if config.figures is not None and config.by != "channel":
        raise GoalmazeError("--figures needs --by channel or a population: add the option, or leave --figures out")
    if config.by == "checkpoint":
        place = locate(config.agent)
        number = "" if place.number is None else f"/{place.number}"
        # A run keeps few checkpoints of small networks, so all are loaded at once.
        series = checkpoint_series(place.path)
        checkpoints = {steps: load_agent(f"{path}{number}", config.device) for steps, path in series.items()}
        return probe_checkpoints(config.agent, checkpoints, kind=config.probe, **options)
    agent = load_agent(config.agent, config.device)
    if config.figures is not None:
        make_folder(config.figures, "--figures")
    if config.by == "site":
        return probe(agent, probe=config.probe, **options)
    report = probe_channels(agent, **options)
    if config.figures is None:
        return report
    # matplotlib is slow to import, and only figures need it.
    from goalmaze.experiments.probe.by_channel_figures import draw_channels

    return dataclasses.replace(report, pictures=tuple(draw_channels(report, config.figures)))


def _probe_population(config: ProbeConfig, options: ProbeOptions) -> PopulationProbes:
    population = load_population(config.agent, config.device)
    if config.figures is not None:
        make_folder(config.figures, "--figures")
    probes = probe_population(population, kind=config.probe, **options)
    if config.figures is None:
        return probes
    # matplotlib is slow to import, and only figures need it.
    from goalmaze.experiments.common.plots import save_figures
    from goalmaze.experiments.common.seed_figures import draw_seed_rows

    figure = draw_seed_rows(
        probes.panels(), f"{probes.reports.heading}: probes by site", "score of the probe", "best baseline, median"
    )
    return dataclasses.replace(probes, pictures=tuple(save_figures({"probes": figure}, config.figures)))
