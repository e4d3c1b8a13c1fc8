"""`goalmaze retarget`: from its options to the comparison, the benchmark, the search or the ledger."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from goalmaze.agents.loading import Agent, load_agent
from goalmaze.agents.population import is_population, load_population
from goalmaze.agents.sites import is_memory_site, map_sites, usual_sites
from goalmaze.envs.errors import GoalmazeError
from goalmaze.envs.levels import FITTING
from goalmaze.experiments.common.folders import make_folder
from goalmaze.experiments.common.progress import progress
from goalmaze.experiments.common.results import ResultHeader
from goalmaze.experiments.evaluate.training_overlap import quick_overlap
from goalmaze.experiments.retarget.benchmark import benchmark, resized_tasks
from goalmaze.experiments.retarget.by_population import PopulationRetargeting, retarget_population
from goalmaze.experiments.retarget.candidates import Candidate, compatible_pairs, fit_candidate, half_depth
from goalmaze.experiments.retarget.comparison import RetargetReport, retarget
from goalmaze.experiments.retarget.config import RetargetConfig
from goalmaze.experiments.retarget.ledger import Ledger, ledger
from goalmaze.experiments.retarget.report import SteeringReport
from goalmaze.experiments.retarget.rewrite_report import RewriteReport
from goalmaze.experiments.retarget.rewriting import rewrite_memory
from goalmaze.experiments.retarget.rewriting_by_population import PopulationRewriting, rewrite_population
from goalmaze.experiments.retarget.search import LAST_MAZES, Search, search
from goalmaze.experiments.retarget.second_goal import SecondGoalReport, first_goal, rewrite_second_goal
from goalmaze.experiments.retarget.task import RetargetingTask, TaskLevels, draw_retargeting_task, make_fit_context
from goalmaze.probes.context import FitContext
from goalmaze.probes.steering import steering_methods

BENCHMARKED = ("mean-pattern", "expert-pattern")
"""Methods that the benchmark evaluates at maps of squares where none are named."""


def run(
    config: RetargetConfig,
) -> RetargetReport | PopulationRetargeting | PopulationRewriting | SteeringReport | RewriteReport | SecondGoalReport:
    """Run the comparison of sites and methods, or the experiment that the options select.

    Raises:
        GoalmazeError: no such agent, site or method, or a site that a method does not fit.
    """
    if is_population(config.agent):
        return _retarget_population(config)
    agent = load_agent(config.agent, config.device)
    steered = bool(config.figures is not None or config.benchmark or config.auto or config.ledger)
    if config.once or (not steered and _leads_with_memory(agent, config)):
        return _rewrite(agent, config) if first_goal(agent.family) is None else _rewrite_second_goal(agent, config)
    return steer(agent, config) if steered else _compare(agent, config)


def _leads_with_memory(agent: Agent, config: RetargetConfig) -> bool:
    """Return whether the memory is what to edit: a site of it is named, or none, and the family hides its goal."""
    if config.sites or config.methods:
        return any(is_memory_site(agent.network, site) for site in config.sites)
    return bool(agent.network.memory_sites()) and agent.family.visible_steps_by_type[agent.family.goal] > 0


def _rewrite(agent: Agent, config: RetargetConfig) -> RewriteReport:
    memoryless = None if config.memoryless is None else load_agent(config.memoryless, config.device)
    return rewrite_memory(
        agent,
        config.methods,
        sites=config.sites,
        after=config.after,
        memoryless=memoryless,
        size=config.size,
        levels=config.levels,
        fit_levels=config.fit_levels,
        seed=config.seed,
        benchmark=config.benchmark,
    )


def _rewrite_second_goal(agent: Agent, config: RetargetConfig) -> SecondGoalReport:
    given = [name for name in ("sites", "methods", "memoryless") if getattr(config, name)]
    given += ["after"] if config.after != RetargetConfig.after else []
    if given:
        raise GoalmazeError(
            f"--{given[0]} is for one goal, and {config.agent} has two: the second is rewritten in its whole memory "
            "after the first step; leave the option out"
        )
    return rewrite_second_goal(
        agent, size=config.size, levels=config.levels, fit_levels=config.fit_levels, seed=config.seed
    )


def _retarget_population(config: RetargetConfig) -> PopulationRetargeting | PopulationRewriting:
    of_one = [name for name in ("auto", "ledger") if getattr(config, name)]
    of_one += ["benchmark"] if config.benchmark and not config.once else []
    if of_one:
        raise GoalmazeError(
            f"--{of_one[0]} takes one agent, and {config.agent} is a population; name one of it, such as "
            f"{config.agent}/0"
        )
    population = load_population(config.agent, config.device)
    first = population[0]
    if config.once or (config.figures is None and _leads_with_memory(first, config)):
        if first_goal(first.family) is not None:
            raise GoalmazeError(
                f"the agents of {config.agent} have two goals in order, which --once rewrites for one agent at a time; "
                f"name one of it, such as {config.agent}/0"
            )
        return rewrite_population(population, lambda agent: _rewrite(agent, config))
    if config.figures is not None:
        make_folder(config.figures, "--figures")
    result = retarget_population(population, lambda agent: _compare(agent, config))
    if config.figures is None:
        return result
    # matplotlib is slow to import, so it is loaded only where something is drawn.
    from goalmaze.experiments.common.plots import save_figures
    from goalmaze.experiments.common.seed_figures import draw_seed_rows

    figure = draw_seed_rows(
        result.panels(), f"{result.reports.heading}: retargeting", "rate of mazes on which the target was reached first"
    )
    return dataclasses.replace(result, pictures=tuple(save_figures({"retargeting": figure}, config.figures)))


def _compare(agent: Agent, config: RetargetConfig) -> RetargetReport:
    return retarget(
        agent,
        config.methods,
        sites=config.sites,
        size=config.size,
        levels=config.levels,
        fit_levels=config.fit_levels,
        strength=config.strength,
        seed=config.seed,
        shift=config.shift,
        moved=config.moved,
    )


def steer(agent: Agent, config: RetargetConfig) -> SteeringReport:
    """Run the search, the benchmark or the ledger that the options select, and draw the figures.

    Raises:
        GoalmazeError: no such site or method, or a site that a method does not fit.
    """
    # Everything that can be refused is checked before the first fit, which takes minutes.
    family = agent.family.resized(config.size)
    compatible_pairs(agent.network, config.sites, config.methods, BENCHMARKED)
    if config.sizes and not map_sites(agent.network):
        raise GoalmazeError(
            f"the network of {agent.name} has no maps of squares, so its edits fit mazes of "
            f"{family.size}x{family.size} only: leave --sizes out"
        )
    if config.figures is not None:
        make_folder(config.figures, "--figures")
    drawn = TaskLevels(config.shift, config.moved)
    tasks = resized_tasks(draw_retargeting_task(family, config.levels, config.seed, drawn=drawn), config.sizes)
    context = make_fit_context(agent.policy, family, config.fit_levels, config.seed)
    kept = ledger(context, tasks[0], _ledger_pairs(config, agent), config.strength) if config.ledger else None
    searched = _search(config, context, drawn) if config.auto else None
    candidates: list[Candidate] = []
    if searched is not None:
        # The search used fitting mazes only, so its best edit is benchmarked like one that was named.
        candidates = [searched.chosen]
    elif config.benchmark or not config.ledger:
        candidates = _named_candidates(config, agent, context)
    evaluated = None
    if config.benchmark or config.auto:
        evaluated = benchmark(agent.policy, tasks, candidates, config.oracles)
    return SteeringReport(
        ResultHeader(agent.name, family.name, family.size, config.levels, config.seed),
        config.fit_levels,
        quick_overlap(agent, tasks[0].levels),
        drawn,
        search=searched,
        benchmark=evaluated,
        ledger=kept,
        pictures=() if config.figures is None else _draw(agent, tasks[0], candidates, kept, config.figures),
    )


def _search(config: RetargetConfig, context: FitContext, drawn: TaskLevels) -> Search:
    # Another seed than that of the fitting mazes, so that candidates are compared on mazes they were not fitted on.
    selection = draw_retargeting_task(context.family, LAST_MAZES, config.seed + 1, FITTING, drawn)
    # Only an edit of squares can be written at other sizes.
    sites = config.sites or (map_sites(context.policy.network) if config.sizes else ())
    return search(context, selection, sites, config.methods)


def _named_candidates(config: RetargetConfig, agent: Agent, context: FitContext) -> list[Candidate]:
    """Return the edits of the sites and methods named, or of the usual ones."""
    sites = config.sites or tuple(dict.fromkeys((usual_sites(agent.network)[0], half_depth(agent.network))))
    pairs = compatible_pairs(agent.network, sites, config.methods, BENCHMARKED)
    return [
        fit_candidate(context, site, method, config.strength) for site, method in progress(pairs, "fitting", "edit")
    ]


def _ledger_pairs(config: RetargetConfig, agent: Agent) -> list[tuple[str, str]]:
    """Return the sites and methods named, or all methods at two usual sites."""
    sites = config.sites or (usual_sites(agent.network)[1], half_depth(agent.network))
    if config.methods:
        return compatible_pairs(agent.network, sites, config.methods)
    return [(site, one.name) for site in sites for one in steering_methods().values() if one.suits(agent.network, site)]


def _draw(
    agent: Agent, task: RetargetingTask, candidates: list[Candidate], kept: Ledger | None, folder: Path
) -> tuple[Path, ...]:
    """Draw the first candidate and the ledger, where there are any, and return the files."""
    # matplotlib is slow to import, so it is loaded only where something is drawn.
    from goalmaze.experiments.retarget.figures import draw_edit
    from goalmaze.experiments.retarget.ledger_figures import draw_ledger

    files = draw_edit(agent.policy, task, candidates[0], folder) if candidates else []
    files += [] if kept is None else draw_ledger(kept, folder)
    return tuple(files)
