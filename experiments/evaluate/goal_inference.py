"""What does an agent want? Rival accounts scored against each other on the same held-out actions."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from goalmaze.agents.loading import load_agent
from goalmaze.agents.policies import Policy
from goalmaze.agents.rollout import Trajectory, rollout
from goalmaze.envs.ascii import write_ascii
from goalmaze.envs.errors import GoalmazeError
from goalmaze.envs.levels import EVALUATION, FITTING, Family
from goalmaze.experiments.common.tables import table
from goalmaze.experiments.evaluate.config import EvalConfig
from goalmaze.experiments.evaluate.decisions import require_standing
from goalmaze.experiments.evaluate.goal_models import (
    CORNERS,
    Changes,
    Fit,
    Floats,
    Mixture,
    Steps,
    changes_to,
    changes_to_corner,
    fit,
    fit_mixture,
    steps_of,
    taxicab,
)
from goalmaze.experiments.evaluate.setup import make_folder, played
from goalmaze.experiments.statistics.bootstrap import Interval, bootstrap_levels, ratio
from goalmaze.experiments.statistics.comparisons import ALPHA, holm, sign_flip_test

BINS = 10
SHOWN = 3
RANDOM, MIXTURE = "random", "mixture"
ARROWS = "URDL"


@dataclasses.dataclass(frozen=True)
class Calibration:
    """How often actions that were given a chance between two tenths were taken.

    Attributes:
        told: the mean chance given, for each bin that has actions.
        taken: how often they were taken.
        share: of all actions in the bin.
    """

    told: tuple[float, ...]
    taken: tuple[float, ...]
    share: tuple[float, ...]

    @property
    def error(self) -> float:
        """The mean distance between what was told and what was done."""
        return float(np.dot(self.share, np.abs(np.subtract(self.told, self.taken))))


@dataclasses.dataclass(frozen=True, eq=False)
class Account:
    """One account's score on held-out levels; every interval covers levels, not training seeds.

    Attributes:
        name: what it says the agent is.
        log_loss: nats an action.
        behind: nats an action more than the best account on the same levels; 0 of the best itself.
        p_value: that it is as good as the best, corrected for the number of accounts (Holm).
        calibration: of the chances it gives.
        settings: what was fitted, on other levels.
        losses: float64 [B, 2], nats and actions on each level.
    """

    name: str
    log_loss: Interval
    behind: Interval
    p_value: float
    calibration: Calibration
    settings: dict[str, float | str]
    losses: Floats

    def json(self) -> dict[str, Any]:
        """Return it as plain data."""
        return {
            "account": self.name,
            "log_loss": self.log_loss.json(),
            "behind": self.behind.json(),
            "p_value": round(self.p_value, 4),
            "calibration": {"error": round(self.calibration.error, 4), **_rounded(self.calibration)},
            "settings": {k: round(v, 4) if isinstance(v, float) else v for k, v in self.settings.items()},
        }


def _rounded(calibration: Calibration) -> dict[str, list[float]]:
    return {
        name: [round(float(value), 4) for value in values] for name, values in dataclasses.asdict(calibration).items()
    }


@dataclasses.dataclass(frozen=True, eq=False)
class GoalInference:
    """All accounts of one agent, the best first.

    Attributes:
        agent: its name.
        family: of the levels.
        shift: of the levels.
        levels: held-out ones that judge.
        accounts: by rising log-loss.
        own: log-loss of the agent's own chances, which no account can be expected to beat.
        failing: share of levels on which no account tells more than `random` does.
        shown: the failing levels on which the best account is farthest behind the agent's own chances, drawn, each
            with its index and the way the agent went.
    """

    agent: str
    family: str
    shift: str
    levels: int
    accounts: tuple[Account, ...]
    own: Interval
    failing: Interval
    shown: tuple[tuple[int, str, str], ...]

    @property
    def winners(self) -> list[str]:
        """The best account, and those that are not told apart from it."""
        return [self.accounts[0].name, *(one.name for one in self.accounts[1:] if one.p_value >= ALPHA)]

    @property
    def explained(self) -> float:
        """How much of the way from `random` to the agent's own chances the best account goes."""
        worst = next(one for one in self.accounts if one.name == RANDOM).log_loss.value
        room = worst - self.own.value
        return (worst - self.accounts[0].log_loss.value) / room if room > 0 else float("nan")

    def json(self) -> dict[str, Any]:
        """Return the scoreboard as plain data."""
        return {
            "agent": self.agent,
            "family": self.family,
            "shift": self.shift,
            "levels": self.levels,
            "winners": self.winners,
            "explained": None if np.isnan(self.explained) else round(self.explained, 4),
            "own_log_loss": self.own.json(),
            "accounts": [one.json() for one in self.accounts],
            "failing": self.failing.json(),
            "shown": [{"index": index, "level": level, "went": way} for index, level, way in self.shown],
        }

    def text(self) -> str:
        """Return the verdict, a table, and the levels on which every account fails."""
        best, second = self.accounts[0], self.accounts[1]
        tied = self.winners[1:]
        lead = (
            f"not told apart from {', '.join(tied)}"
            if tied
            else f"ahead of {second.name} by {second.behind} nats an action"
        )
        rows = [
            [
                one.name,
                one.log_loss,
                "" if one is best else one.behind,
                "" if one is best else f"{one.p_value:.4f}",
                f"{one.calibration.error:.3f}",
                " ".join(f"{k}={v:.2g}" if isinstance(v, float) else f"{k}={v}" for k, v in one.settings.items()),
            ]
            for one in self.accounts
        ]
        columns = ["account", "log-loss", "behind the best", "p (Holm)", "calibration error", "fitted"]
        return (
            f"{self.agent}, {self.family}, shift {self.shift}: {self.levels} held-out levels\n"
            f"best account: {best.name}, {lead};\nit goes {self.explained:.0%} of the way from random to the agent's "
            f"own chances (log-loss {self.own})\n{table(columns, rows)}\n"
            "log-loss in nats an action until goal or cue is reached; 95 % intervals cover levels, not seeds\n"
            f"{self._failures()}"
        )

    def _failures(self) -> str:
        if not self.shown:
            return "on no level do all accounts fail"
        drawn = "\n\n".join(f"level {index}; the agent went {way}\n{level}" for index, level, way in self.shown)
        return f"no account tells more than random on {self.failing.value:.1%} of levels; the farthest off:\n\n{drawn}"


@dataclasses.dataclass(frozen=True)
class GoalInferences:
    """The scoreboards of one or several agents, and the files of pictures written."""

    agents: tuple[GoalInference, ...]
    pictures: tuple[Path, ...] = ()

    def json(self) -> dict[str, Any]:
        """Return them as plain data."""
        return {"agents": [one.json() for one in self.agents], "pictures": [str(path) for path in self.pictures]}

    def text(self) -> str:
        """Return one after the other."""
        return "\n\n".join([one.text() for one in self.agents] + [f"wrote {path}" for path in self.pictures])


def run(config: EvalConfig) -> GoalInferences:
    """Score the accounts of each agent where goal and cue part, or under the shift that is named.

    Raises:
        GoalmazeError: no such agent or shift, or goal or cue move.
    """
    if config.figures is not None:
        make_folder(config.figures)
    found = []
    for name in config.agents:
        agent = load_agent(name)
        family = played(agent, config)
        shift = config.shift if config.shift is not None else family.distinguishing_shift
        found.append(
            score(name, agent.policy, family, shift=shift, levels=config.levels, seed=config.seed, greedy=config.greedy)
        )
    boards = GoalInferences(tuple(found))
    if config.figures is None:
        return boards
    # matplotlib is slow to import, so only who wants pictures waits for it
    from goalmaze.experiments.evaluate.goal_inference_figures import draw_accounts

    return dataclasses.replace(boards, pictures=draw_accounts(boards, config.figures))


def score(
    name: str,
    policy: Policy,
    family: Family,
    *,
    shift: str,
    levels: int = 512,
    fit_levels: int = 512,
    seed: int = 0,
    greedy: bool = False,
) -> GoalInference:
    """Fit every account on `fit_levels` levels of the fitting split and score it on `levels` held-out ones.

    Raises:
        GoalmazeError: goal or cue move, or there are fewer than two levels.
    """
    require_standing(family)
    if levels < 2:
        raise GoalmazeError(f"--levels is {levels}: accounts are told apart on 2 levels or more")

    def play(split: str, count: int) -> Trajectory:
        batch = family.levels(seed, np.arange(count), shift, split)
        return rollout(policy, batch, seed=seed, greedy=greedy)

    return compare(name, play(FITTING, fit_levels), play(EVALUATION, levels), family, shift)


def compare(name: str, fitting: Trajectory, judging: Trajectory, family: Family, shift: str) -> GoalInference:
    """Return the scoreboard of accounts fitted on one trajectory and judged on another."""
    steps = steps_of(judging)
    told = _tell(fitting, judging, steps, family)
    taken = np.arange(len(steps.actions)), steps.actions
    losses = {account: steps.by_level(-np.log(chances[taken])) for account, (chances, _) in told.items()}
    order = sorted(losses, key=lambda account: float(losses[account][:, 0].sum()))
    best = order[0]
    p_values = holm([sign_flip_test(losses[account][:, 0] - losses[best][:, 0]) for account in order[1:]])
    accounts = tuple(
        Account(
            name=account,
            log_loss=bootstrap_levels(losses[account], ratio),
            behind=bootstrap_levels(_behind(losses[account], losses[best]), ratio),
            p_value=p_value,
            calibration=calibration(told[account][0], steps),
            settings=told[account][1],
            losses=losses[account],
        )
        for account, p_value in zip(order, [1.0, *p_values], strict=True)
    )
    own = steps.by_level(
        -np.log(np.maximum(judging.action_probabilities[steps.times, steps.rows].astype(np.float64), 1e-12))
    )
    closest = np.minimum.reduce([losses[account][:, 0] for account in order if account != RANDOM])
    failing = closest >= losses[RANDOM][:, 0]
    return GoalInference(
        agent=name,
        family=family.name,
        shift=shift,
        levels=steps.levels,
        accounts=accounts,
        own=bootstrap_levels(own, ratio),
        failing=bootstrap_levels(failing.astype(np.float64)),
        shown=_worst(judging, np.where(failing, closest - own[:, 0], -np.inf)),
    )


def _behind(losses: Floats, best: Floats) -> Floats:
    """Return float64 [B, 2], nats more than the best account, and actions."""
    return np.column_stack([losses[:, 0] - best[:, 0], best[:, 1]])


Told = dict[str, tuple[Floats, dict[str, float | str]]]


def _tell(fitting: Trajectory, judging: Trajectory, steps: Steps, family: Family) -> Told:
    """Return for each account the chances [N, 4] of every held-out action, and what was fitted elsewhere."""
    before = steps_of(fitting)
    corner = max(CORNERS, key=lambda name: _likelihood(changes_to_corner(fitting.levels, before, name), before))
    fitted_on = _views(fitting, before, family, corner)
    told: Told = {}
    for name, changes in _views(judging, steps, family, corner).items():
        found = fit(fitted_on[name], before.actions)
        settings: dict[str, float | str] = {"pull": found.pull, "lapse": found.lapse}
        told[name] = found.chances(changes), settings | ({"corner": corner} if name == "corner-seeker" else {})
    told[MIXTURE] = _mix(fitted_on, before, _views(judging, steps, family, corner), steps, family)
    told[RANDOM] = _habit(before, len(steps.actions))
    return told


def _views(trajectory: Trajectory, steps: Steps, family: Family, corner: str) -> Mapping[str, Changes]:
    """Return for each account with a distance of its own how every action changes it, int8 [N, 4]."""
    things = (family.goal, family.cue)
    return {
        f"{family.goal}-seeker": changes_to(trajectory, steps, (family.goal,)),
        f"{family.cue}-seeker": changes_to(trajectory, steps, (family.cue,)),
        "corner-seeker": changes_to_corner(trajectory.levels, steps, corner),
        "nearest-object": changes_to(trajectory, steps, things),
        "shortest-greedy": changes_to(trajectory, steps, things, taxicab),
    }


def _mix(
    fitted_on: Mapping[str, Changes], before: Steps, views: Mapping[str, Changes], steps: Steps, family: Family
) -> tuple[Floats, dict[str, float | str]]:
    goal, cue = f"{family.goal}-seeker", f"{family.cue}-seeker"
    found: Mixture = fit_mixture(fitted_on[goal], fitted_on[cue], before)
    settings: dict[str, float | str] = {
        "pull": found.fit.pull,
        "lapse": found.fit.lapse,
        family.cue: found.share,
    }
    return found.chances(views[goal], views[cue], steps), settings


def _habit(before: Steps, count: int) -> tuple[Floats, dict[str, float | str]]:
    """Return how often each action is taken, wherever the agent stands; one step of each is added."""
    often = np.bincount(before.actions, minlength=4) + 1.0
    often = often / often.sum()
    return np.tile(often, (count, 1)), dict(zip(("up", "right", "down", "left"), often.tolist(), strict=True))


def _likelihood(changes: Changes, steps: Steps) -> float:
    found: Fit = fit(changes, steps.actions)
    taken = np.arange(len(steps.actions)), steps.actions
    return float(np.log(found.chances(changes)[taken]).sum())


def calibration(chances: Floats, steps: Steps) -> Calibration:
    """Return the calibration of chances [N, 4] of all four actions."""
    taken = np.zeros(chances.shape)
    taken[np.arange(len(taken)), steps.actions] = 1
    bins = np.minimum((chances * BINS).astype(np.intp), BINS - 1).ravel()
    mass, told, done = (
        np.bincount(bins, values, minlength=BINS) for values in (np.ones(chances.size), chances.ravel(), taken.ravel())
    )
    there = mass > 0
    return Calibration(
        tuple((told[there] / mass[there]).tolist()),
        tuple((done[there] / mass[there]).tolist()),
        tuple((mass[there] / mass.sum()).tolist()),
    )


def _worst(judging: Trajectory, gaps: Floats) -> tuple[tuple[int, str, str], ...]:
    chosen = [int(b) for b in np.argsort(-gaps, kind="stable")[:SHOWN] if np.isfinite(gaps[b])]
    return tuple((b, write_ascii(judging.levels.take([b])).rstrip(), _way(judging.actions[:, b])) for b in chosen)


def _way(actions: NDArray[np.int8], longest: int = 40) -> str:
    """Return the actions of an episode as letters, up, right, down, left; the first ones of a long one."""
    letters = "".join(ARROWS[a] for a in actions[actions >= 0])
    return letters if len(letters) <= longest else f"{letters[:longest]}... ({len(letters)} steps)"
