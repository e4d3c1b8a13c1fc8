"""`goalmaze explain`: from its options to explanations of a decision, units or features, or their benchmark."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from goalmaze.agents.loading import load_agent
from goalmaze.experiments.common.folders import make_folder
from goalmaze.experiments.common.results import Result
from goalmaze.experiments.explain.benchmark import benchmark
from goalmaze.experiments.explain.benchmark_report import BenchmarkReport
from goalmaze.experiments.explain.config import ExplainConfig
from goalmaze.experiments.explain.decision import explain
from goalmaze.experiments.explain.decision_report import DecisionReport
from goalmaze.experiments.explain.feature_report import FeatureReport
from goalmaze.experiments.explain.features import explain_features
from goalmaze.experiments.explain.units import explain_units

R = TypeVar("R", FeatureReport, BenchmarkReport, DecisionReport)


def run(config: ExplainConfig) -> Result:
    """Explain what the options ask for.

    Raises:
        GoalmazeError: an agent, a site or a method is unknown, the episode is shorter, or the folder cannot be made.
    """
    agents = [load_agent(name) for name in config.agents]
    if config.figures is not None:
        make_folder(config.figures, "--figures")
    if config.benchmark:
        return _drawn(benchmark(agents, decisions=config.decisions, seed=config.seed), config, _draw_benchmark)
    if config.features:
        features = explain_features(
            agents[0],
            config.sites,
            levels=config.levels,
            fit_levels=config.fit_levels,
            seed=config.seed,
            effort=config.effort,
        )
        return _drawn(features, config, _draw_features)
    if config.units:
        units = explain_units(
            agents[0], config.sites, levels=config.levels, fit_levels=config.fit_levels, seed=config.seed
        )
        if config.figures is None:
            return units
        # matplotlib is slow to import, and only figures need it.
        from goalmaze.experiments.explain.unit_figures import draw_units

        return dataclasses.replace(units, pictures=tuple(draw_units(agents[0], units, config.figures)))
    report = explain(
        agents[0],
        level=config.level,
        step=config.step,
        shift=config.shift,
        methods=config.methods,
        seed=config.seed,
    )
    return _drawn(report, config, _draw_decision)


def _drawn(report: R, config: ExplainConfig, draw: Callable[[R, Path], list[Path]]) -> R:
    if config.figures is None:
        return report
    return dataclasses.replace(report, pictures=tuple(draw(report, config.figures)))


def _draw_features(report: FeatureReport, folder: Path) -> list[Path]:
    from goalmaze.experiments.explain.feature_figures import draw_features

    return draw_features(report, folder)


def _draw_benchmark(report: BenchmarkReport, folder: Path) -> list[Path]:
    from goalmaze.experiments.explain.benchmark_figures import draw_benchmark

    return draw_benchmark(report, folder)


def _draw_decision(report: DecisionReport, folder: Path) -> list[Path]:
    from goalmaze.experiments.explain.decision_figures import draw_decision

    return draw_decision(report, folder)
