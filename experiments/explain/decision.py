"""What drove one decision of an agent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch

from goalmaze.agents.loading import Agent
from goalmaze.envs.actions import ACTIONS
from goalmaze.envs.errors import GoalmazeError
from goalmaze.envs.levels import EVALUATION, NO_SHIFT, LevelBatch
from goalmaze.experiments.explain.decision_report import DecisionReport, ElementRow
from goalmaze.experiments.explain.trust import best_methods
from goalmaze.probes.decisions.counterfactuals import counterfactuals_of
from goalmaze.probes.decisions.elements import every_element, in_words
from goalmaze.probes.decisions.method import DecisionMethod, Floats, Study
from goalmaze.probes.decisions.moments import decisions_at
from goalmaze.probes.decisions.registry import decision_methods, find_decision_method

ORDERED_BY = "shapley"
"""The method that orders the elements, if it is among those asked for: it divides all of the margin among them."""

OF_MANY_ELEMENTS = ("occlusion", "integrated-gradients", "policy-gradient")
"""Methods whose cost does not grow with the sets of elements. The first is used where none was benchmarked."""


def explain(
    agent: Agent,
    *,
    level: int,
    step: int = 1,
    shift: str = NO_SHIFT,
    methods: Sequence[str] = (),
    seed: int = 0,
) -> DecisionReport:
    """Explain one decision: what each object, wall and open square nearby contributes, by several methods.

    Args:
        agent: the agent, loaded or made in memory.
        level: index of the evaluation level.
        step: number of the decision in its episode, 1 for the first.
        shift: the distribution of the level, "none" for that of training.
        methods: methods of explaining; all but the baselines where not given.
        seed: of the level and of the actions sampled before.

    Returns:
        The elements, the most important first, each with the action that the agent takes without it.

    Raises:
        GoalmazeError: a method or the shift is unknown, no method applies, or the episode ends before that step.

    Example:
        >>> import goalmaze as gm
        >>> report = gm.explain(gm.load("zoo:green-exit"), level=17, step=4, shift="moved-sign")
        >>> report.action in ("up", "right", "down", "left"), len(report.rows) > 2
        (True, True)
    """
    chosen = [find_decision_method(name) for name in methods] or [
        one for one in decision_methods().values() if not one.baseline
    ]
    levels = agent.family.levels(seed, np.array([level]), shift, EVALUATION)
    decisions = decisions_at(agent.policy, levels, np.array([step - 1], np.int64), seed)
    return _report(agent, Study.of(decisions, seed), chosen, shift, level, seed)


def explain_state(agent: Agent, level: LevelBatch, steps: int, seed: int = 0) -> DecisionReport:
    """Explain the decision after some steps on a level of any origin, by the method that is trusted most.

    Unlike `explain`, it names every object, every wall that could be open and every square that could be closed.

    Args:
        agent: the agent.
        level: one level.
        steps: steps taken before the decision.
        seed: of the actions sampled in them.

    Raises:
        GoalmazeError: the episode ends before, or an item is held.
    """
    decisions = decisions_at(agent.policy, level, np.array([steps], np.int64), seed)
    # Methods that run the network on all sets of elements do not apply to all squares of a maze.
    names = [name for name in best_methods(agent.name) if name in OF_MANY_ELEMENTS]
    method = find_decision_method(next(iter(names), OF_MANY_ELEMENTS[0]))
    study = Study(decisions, every_element(decisions.states), counterfactuals_of(decisions.states, [[]], seed), seed)
    return _report(agent, study, [method], NO_SHIFT, 0, seed)


def _report(
    agent: Agent, study: Study, chosen: Sequence[DecisionMethod], shift: str, level: int, seed: int
) -> DecisionReport:
    """Return the report of the one decision of a study.

    Raises:
        GoalmazeError: none of the methods applies.
    """
    decisions = study.decisions
    refused = {one.name: reason for one in chosen if (reason := one.refusal(study))}
    applied = [one for one in chosen if one.name not in refused]
    if not applied:
        raise GoalmazeError(f"no method applies: {'; '.join(refused.values())}; choose others with --methods")
    attributions = {one.name: one.attributions(study)[0] for one in applied}
    main = ORDERED_BY if ORDERED_BY in attributions else applied[0].name
    return DecisionReport(
        agent.name,
        agent.family.name,
        shift,
        level,
        int(decisions.steps[0]) + 1,
        seed,
        decisions.states,
        tuple(float(p) for p in decisions.probabilities[0]),
        tuple(sorted(_rows(study, attributions), key=lambda row: -row.attributions[main])),
        main,
        refused,
    )


def _rows(study: Study, attributions: Mapping[str, Floats]) -> list[ElementRow]:
    """Return the elements of a study's one decision, with the action that the agent takes without each."""
    decisions = study.decisions
    rows, _ = study.places
    with torch.inference_mode():
        logs = decisions.outputs(decisions.observe(study.toggled, rows), rows)[0]
    return [
        ElementRow(
            element=in_words(element, decisions.states, 0),
            type=element.type,
            cell=element.cell,
            steps=element.steps,
            without=ACTIONS[int(logs[e].argmax())],
            attributions={name: float(values[e]) for name, values in attributions.items()},
        )
        for e, element in enumerate(study.elements[0])
    ]
