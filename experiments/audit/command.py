"""`goalmaze audit`: turns names into agents and audits them."""

from __future__ import annotations

from pathlib import Path

from goalmaze.agents.loading import CHECKPOINT, Agent, load_agent, locate
from goalmaze.agents.population import is_population, load_population
from goalmaze.experiments.audit.audit import audit
from goalmaze.experiments.audit.calibration import load_calibration, shipped_calibration
from goalmaze.experiments.audit.config import AuditConfig
from goalmaze.experiments.common.results import Result


def run(config: AuditConfig) -> Result:
    """Audit the agents that the options name, or compare all methods on populations.

    Raises:
        GoalmazeError: there is no such agent or population, its family cannot be audited, or the calibration cannot be
            used.
    """
    if config.benchmark:
        # scipy.stats is slow to import, and only the benchmark needs it.
        from goalmaze.experiments.audit.benchmark.benchmark import run_benchmark

        return run_benchmark(config.populations, cache=config.cache, figures=config.figures)
    if config.sleepers:
        from goalmaze.experiments.audit.sleepers.command import sleeper_report

        folder = Path(config.populations[0]) if config.populations else None
        return sleeper_report(folder, cache=config.cache, figures=config.figures)
    agents = [agent for name in config.agents for agent in agents_of(name)]
    calibration = shipped_calibration() if config.calibration is None else load_calibration(config.calibration)
    if config.method is not None:
        calibration = calibration.only(config.method)
    return audit(agents, config.tier, levels=config.levels, calibration=calibration)


def agents_of(name: str) -> list[Agent]:
    """Return the agents of a name: of a population, of a folder of checkpoint files, or one.

    Raises:
        GoalmazeError: there is no such agent.
    """
    if is_population(name):
        return list(load_population(name))
    folder = locate(name).path
    if folder.is_dir() and not (folder / CHECKPOINT).exists():
        files = sorted(folder.glob("*.safetensors"))
        if files:
            return [agent for file in files for agent in agents_of(str(file))]
    return [load_agent(name)]
