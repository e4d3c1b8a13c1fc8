"""The definitions of all numbers of a report; the keys are anchors of the page."""

from __future__ import annotations

from goalmaze.agents.training.sb3_environment import RECENT_EPISODES
from goalmaze.experiments.evaluate.agent_label import RULE
from goalmaze.experiments.evaluate.solved_levels import DISCOUNT
from goalmaze.experiments.reports.findings import FIT_LEVELS
from goalmaze.experiments.reports.highlights import MIN_DIRECTNESS
from goalmaze.experiments.statistics.comparisons import ALPHA

GLOSSARY: dict[str, tuple[str, str]] = {
    "label": ("label", RULE),
    "goal": (
        "goal and cue",
        "The goal is what the true reward is paid for. The cue is what was correlated with it in training. "
        "Each family of levels names both.",
    ),
    "capability": (
        "capability: reaches goal or cue",
        "Rate of levels on which the agent reached a goal or a cue within the time limit, no matter which. It measures "
        "whether the agent can navigate, not what its goal is.",
    ),
    "solved": ("solved", "Rate of levels on which the agent earned all true reward that the level offers."),
    "capable": (
        "capable",
        "Rate of levels on which all true reward, or all cue reward, was earned, over the levels on which what ends "
        "the episode does not block every path to the cue. The label's first bound is on this rate.",
    ),
    "directness": (
        "directness",
        "Fewest steps to the object that was reached first over the steps taken, 0 where none was reached; "
        "interquartile mean over levels. 1 is a shortest path.",
    ),
    "preference": (
        "cue preference",
        "Rate at which the cue was reached before the goal, over levels with one of each, neither on a shortest path "
        "to the other, on which either was reached. Where goals use up cues, such as keys: rate of levels on which "
        "it collected mostly useless cues, that is, more than half of the cues that no goal needs. 1 always follows "
        "the cue, 0 always the goal. It is undefined where every choice of a cue may also be one of the goal, "
        "as with one sign on the exit and another elsewhere.",
    ),
    "shift": (
        "shift",
        "A distribution of levels that differs from that of training. Level number i is the same maze under every "
        "shift, except for what the shift changes.",
    ),
    "distinguishing": (
        "distinguishing shift",
        "The shift of a family that separates goal and cue, so that behaviour distinguishes between them.",
    ),
    "geometry": (
        "geometry",
        "Which of goal and cue is nearer to the start, in fewest steps. An agent that goes to the nearer one looks "
        "as if it had a goal wherever that goal is near. An agent with a goal goes there whatever the geometry.",
    ),
    "balanced": (
        "mean over geometries",
        "The mean of the preferences of the five geometries, each with the same weight.",
    ),
    "regret": (
        "regret",
        f"Best possible true return of the level minus the agent's, both discounted by {DISCOUNT} a step for every "
        "agent.",
    ),
    "dial": (
        "dial",
        "One parameter of the family, set to another value than in training. Each agent is evaluated on the family "
        "that it was trained on, with that one parameter changed.",
    ),
    "held-out": (
        "held-out levels",
        "Levels of the evaluation split. They are drawn independently of the levels of training and of those on which "
        "a model is fitted, for every seed. Small mazes repeat: the line beside the grid says how many of them each "
        "agent has met in training.",
    ),
    "interval": (
        "interval [low, high]",
        "95 % intervals: Wilson's for rates; the percentile bootstrap over levels for means, directness and log-loss. "
        "A value has none where it would contain the true value too rarely: fewer than five training seeds, or a mean "
        "of scores that are the same on almost all levels.",
    ),
    "covers": (
        "intervals cover",
        "“levels”: sampling of levels, for this one trained agent; another training seed may lie outside. “seeds and "
        "levels”: sampling of both, where five or more agents differ in their training seed alone.",
    ),
    "star": (
        "star *",
        "The agent's capability differs from that on the training distribution: chi-squared test, Holm-adjusted "
        f"p < {ALPHA} over the agent's grid.",
    ),
    "holm": (
        "p (Holm)",
        "Holm-adjusted p-value: the family-wise error rate over the comparisons of the table; significant below "
        f"{ALPHA}. Two single agents are compared by sign flips of their differences on the same levels, groups of "
        "seeds by permutations of their runs.",
    ),
    "goal-model": (
        "goal model",
        "A hypothesis about the agent's goal: a distance, such as the steps to the cue, that the agent shortens by a "
        "softmax choice with lapses. Inverse temperature and lapse rate are fitted on "
        f"{FIT_LEVELS} other levels. “mixture” has the goal or the cue as its goal, one of them for a whole episode; "
        "“random” uses only the rate of each action.",
    ),
    "log-loss": (
        "log-loss",
        "Mean of -log(probability that the model gave to the action taken) until goal or cue is reached, in nats per "
        "action. Lower is better; four equal probabilities give 1.386.",
    ),
    "excess": ("excess log-loss", "Log-loss minus that of the best model, on the same levels."),
    "calibration": (
        "calibration error",
        "Expected calibration error: mean distance between the probability that a model gave to actions and the rate "
        "at which they were taken, in ten bins.",
    ),
    "explained": (
        "explained",
        "The fraction of the log-loss between “random” (0 %) and the agent's own probabilities (100 %) that the best "
        "model removes. No model can be expected to do better than the agent's own probabilities.",
    ),
    "unexplained": (
        "unexplained levels",
        "Rate of levels on which no goal model predicts the actions better than “random”. The drawings show those on "
        "which the best model's log-loss exceeds that of the agent's own probabilities most.",
    ),
    "direct": (
        "went straight",
        f"Directness of {MIN_DIRECTNESS} or more, so that the agent did not reach the object by wandering.",
    ),
    "seed-group": (
        "seed group",
        "Agents whose recipes and steps are the same except for the training seed.",
    ),
    "improvement": (
        "P(improvement)",
        "Probability of improvement (Agarwal et al., 2021): probability that a run of the first group is more direct "
        "than one of the second, ties counting half, mean over conditions. For one agent against one, levels are "
        "compared. 0.5 is no difference.",
    ),
    "training": (
        "training curves",
        f"From the run's log: means over the latest {RECENT_EPISODES:,} training episodes, with sampled actions, not "
        "on held-out levels.",
    ),
}
"""Anchor → the term and its definition."""
