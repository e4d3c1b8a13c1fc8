"""What every number of a report means; the keys are anchors of the page."""

from __future__ import annotations

from goalmaze.agents.training.sb3_environment import RECENT_EPISODES
from goalmaze.experiments.evaluate.outcomes import DISCOUNT
from goalmaze.experiments.reports.findings import FIT_LEVELS
from goalmaze.experiments.reports.highlights import DIRECT
from goalmaze.experiments.reports.summary import RULE
from goalmaze.experiments.statistics.comparisons import ALPHA

GLOSSARY: dict[str, tuple[str, str]] = {
    "label": ("label", RULE),
    "goal": (
        "goal and cue",
        "The goal is what the true reward is paid for; the cue is what went along with it in training. "
        "Each family of levels names both.",
    ),
    "capability": (
        "capability: gets somewhere",
        "Share of levels on which the agent reached a goal or a cue, whichever, within the time limit. "
        "It asks whether the agent gets where it goes, not where it goes.",
    ),
    "solved": ("solved", "Share of levels on which all the true reward that there was to be had was earned."),
    "capable": (
        "capable",
        "Share of levels on which all the true reward, or all the cue's reward, was earned, of those on which what "
        "ends the episode does not bar every way to the cue; the label's first bound.",
    ),
    "directness": (
        "directness",
        "Fewest steps to what was reached first over the steps taken to it, 0 where nothing was reached; the "
        "interquartile mean over levels. 1 is a shortest way.",
    ),
    "preference": (
        "goal: prefers the cue",
        "How often the cue was reached before the goal, on levels with one of each, neither on a shortest way to the "
        "other, where either was reached. In families with several goals or cues: how often more than half of the "
        "cues were taken that no goal needs. 1 is a pure cue-follower, 0 a pure goal-follower; levels on which the "
        "agent got nowhere do not count.",
    ),
    "geometry": (
        "geometry",
        "Which of goal and cue is nearer to the start, by fewest steps. An agent that takes the nearer looks like one "
        "with a goal wherever that goal happens to be near; one with a goal goes there whatever the geometry.",
    ),
    "balanced": (
        "every geometry alike",
        "The mean of the preferences of the five geometries, as if each were as frequent as any other.",
    ),
    "regret": (
        "regret",
        f"Best true return that an agent who knows the rules could have had on the level, less the one had; both "
        f"discounted by {DISCOUNT} a step, whatever the agent was trained with.",
    ),
    "shift": (
        "shift",
        "A distribution of levels that differs from training. Level number i is the same maze under every shift, as "
        "far as the shift leaves it.",
    ),
    "dial": (
        "dial",
        "One parameter of the world turned away from where it stood in training. Each agent plays in the world it was "
        "trained in with that one dial turned.",
    ),
    "held-out": (
        "held-out levels",
        "Levels of the evaluation split: unrelated to those of training, and to those on which something is fitted, "
        "whatever the seed.",
    ),
    "interval": (
        "interval [low, high]",
        "95 % intervals. Of shares: Wilson's. Of means, directness and log-loss: the percentile bootstrap over levels.",
    ),
    "covers": (
        "what an interval covers",
        "“levels”: chance over which levels were drawn, for this one trained agent; another training seed may lie "
        "outside. “seeds and levels”: chance over both, told only where two or more agents differ by their "
        "training seed alone.",
    ),
    "star": (
        "star *",
        f"The agent gets somewhere more or less often than on the training distribution: chi-squared test, p < {ALPHA} "
        "after Holm's correction over the agent's grid.",
    ),
    "holm": (
        "p (Holm)",
        f"Chance of a difference at least this large where there is none, corrected over all comparisons of the table "
        f"by Holm's procedure; below {ALPHA} it is called a difference. Tests of two single agents flip the signs of "
        "their differences on the same levels; tests of groups of seeds deal the runs anew.",
    ),
    "account": (
        "account",
        "A rival explanation of the agent's steps: a distance of its own, such as the steps to the cue, which the "
        f"agent is said to shorten. Pull and lapse are fitted on {FIT_LEVELS} other levels. “mixture” is after goal or "
        "cue, one of them for a whole episode; “random” knows only how often each action is taken.",
    ),
    "log-loss": (
        "log-loss",
        "How badly an account foretells the actions taken until goal or cue is reached, in nats an action: the mean of "
        "-log(chance it gave the action). Less is better; four equal chances give 1.386.",
    ),
    "behind": ("behind the best", "Nats an action more than the best account, on the same levels."),
    "calibration": (
        "calibration error",
        "Mean distance between the chance an account gave to actions and how often they were taken, in ten bins.",
    ),
    "explained": (
        "explained",
        "How far the best account goes from “random” (0 %) to the agent's own chances (100 %), which no account can be "
        "expected to beat.",
    ),
    "failing": (
        "no account tells",
        "Share of levels on which no account foretells the actions better than “random”; drawn are those on which the "
        "best account is farthest behind the agent's own chances.",
    ),
    "direct": (
        "went straight",
        f"Directness of {DIRECT} or more: the agent is said to have gone there on purpose, and not to have happened "
        "upon it.",
    ),
    "alike": (
        "trained alike",
        "Agents whose recipes and steps are the same but for the training seed; they are taken together.",
    ),
    "improvement": (
        "chance of improvement",
        "How likely a run of the first group is more direct than one of the second, ties counting half, the mean over "
        "conditions; for one agent against one the levels themselves are compared. 0.5 is no difference.",
    ),
    "training": (
        "training curves",
        f"From the run's log: means over the latest {RECENT_EPISODES:,} episodes that ended in training, with sampled "
        "actions, not on held-out levels.",
    ),
}
"""Anchor → the term and its definition."""
