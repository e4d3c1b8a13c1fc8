"""`goalmaze eval`: turns names into agents and families, runs one of the experiments, and draws its figures."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TypedDict

from goalmaze.agents.loading import load_agent
from goalmaze.agents.population import is_population, load_population
from goalmaze.envs.errors import GoalmazeError
from goalmaze.envs.levels import NO_SHIFT
from goalmaze.experiments.common.folders import make_folder
from goalmaze.experiments.common.results import Result
from goalmaze.experiments.evaluate.comparison import Comparison, compare
from goalmaze.experiments.evaluate.config import EvalConfig
from goalmaze.experiments.evaluate.ensemble import AskingResult, ask_for_help
from goalmaze.experiments.evaluate.evaluation import EvaluationReport, evaluate
from goalmaze.experiments.evaluate.goal_inference import GoalInferences, infer_goals
from goalmaze.experiments.evaluate.grid import Grid, conditions_of, grid, read_dials
from goalmaze.experiments.evaluate.population import evaluate_population
from goalmaze.experiments.evaluate.population_comparison import PopulationComparison, compare_populations
from goalmaze.experiments.evaluate.population_result import PopulationEvaluation
from goalmaze.experiments.evaluate.setup import evaluation_family, load_together


def run(config: EvalConfig) -> Result:
    """Run the experiment that the options name: agents, populations, a grid, choices, or goal inference.

    Raises:
        GoalmazeError: an agent, shift, family, parameter or dial is unknown, or they do not fit.
    """
    if config.choices:
        # scikit-learn is slow to import, and only this experiment needs it
        from goalmaze.experiments.evaluate import regression

        return regression.run(config)
    if config.grid:
        return _grid(config)
    if config.hypotheses:
        return _infer_goals(config)
    if config.ensemble is not None:
        return _ask(config, config.ensemble)
    populations = [is_population(name) for name in config.agents]
    if any(populations):
        if not all(populations):
            population, agent = (config.agents[populations.index(wanted)] for wanted in (True, False))
            raise GoalmazeError(f"{population} is a population and {agent} is not: name {population}/0, or populations")
        return _evaluate_populations(config)
    if config.figures is not None:
        raise GoalmazeError("--figures belong to --grid, --hypotheses and populations: add an option, or leave it out")
    return _compare(config) if config.others else _evaluate(config)


class _Options(TypedDict):
    """The options that every experiment takes."""

    levels: int
    seed: int
    greedy: bool


def _options(config: EvalConfig) -> _Options:
    return {"levels": config.levels, "seed": config.seed, "greedy": config.greedy}


def _evaluate(config: EvalConfig) -> EvaluationReport:
    agent = load_agent(config.agent, config.device)
    family = evaluation_family(agent, config)
    shift, unseen_walls = config.shift or NO_SHIFT, config.unseen_walls
    return evaluate(
        agent, shift=shift, family=family, unseen_walls=unseen_walls, think=config.think, **_options(config)
    )


def _compare(config: EvalConfig) -> Comparison:
    agents = load_together(config.agents, config.device)
    families = [evaluation_family(agent, config) for agent in agents]
    shift, unseen_walls = config.shift or NO_SHIFT, config.unseen_walls
    return compare(agents, shift=shift, families=families, unseen_walls=unseen_walls, **_options(config))


def _evaluate_populations(config: EvalConfig) -> PopulationEvaluation | PopulationComparison:
    if config.think:
        raise GoalmazeError(f"--think takes one agent: name one of the population, such as {config.agent}/0")
    if config.others and config.unseen_walls:
        raise GoalmazeError("--unseen-walls takes one population: leave out the others, or --unseen-walls")
    populations = [load_population(name, config.device) for name in config.agents]
    families = [[evaluation_family(agent, config) for agent in population] for population in populations]
    folder = _figures_folder(config)
    result: PopulationEvaluation | PopulationComparison
    if config.others:
        result = compare_populations(populations, shift=config.shift, families=families, **_options(config))
    else:
        result = evaluate_population(
            populations[0],
            shift=config.shift,
            families=families[0],
            unseen_walls=config.unseen_walls,
            **_options(config),
        )
    if folder is None:
        return result
    # matplotlib is slow to import, and only figures need it
    from goalmaze.experiments.evaluate.population_figures import draw_populations

    evaluations = result.populations if isinstance(result, PopulationComparison) else [result]
    return dataclasses.replace(result, pictures=draw_populations(evaluations, folder))


def _ask(config: EvalConfig, members: int) -> AskingResult:
    if not is_population(config.agent):
        raise GoalmazeError(f"--ensemble takes a population and {config.agent} is one agent: name a population")
    population = load_population(config.agent, config.device)
    family = evaluation_family(population[0], config)
    return ask_for_help(population, members, family=family, **_options(config))


def _grid(config: EvalConfig) -> Grid:
    agents = load_together(config.agents, config.device)
    families = [evaluation_family(agent, config) for agent in agents]
    dials = read_dials(config.dials, families[0])
    conditions_of(families, dials)  # refuses bad values before the folder is made
    folder = _figures_folder(config)
    result = grid(agents, dials=dials, families=families, **_options(config))
    if folder is None:
        return result
    # matplotlib is slow to import, and only figures need it
    from goalmaze.experiments.evaluate.grid_figures import draw_grid

    return dataclasses.replace(result, pictures=draw_grid(result, folder))


def _infer_goals(config: EvalConfig) -> GoalInferences:
    agents = [load_agent(name, config.device) for name in config.agents]
    families = [evaluation_family(agent, config) for agent in agents]
    folder = _figures_folder(config)
    result = infer_goals(agents, shift=config.shift, families=families, **_options(config))
    if folder is None:
        return result
    from goalmaze.experiments.evaluate.goal_inference_figures import draw_goal_inferences

    return dataclasses.replace(result, pictures=draw_goal_inferences(result, folder))


def _figures_folder(config: EvalConfig) -> Path | None:
    """Make the folder for figures before anything is evaluated, and return it; None where none is named."""
    if config.figures is not None:
        make_folder(config.figures, "--figures")
    return config.figures
