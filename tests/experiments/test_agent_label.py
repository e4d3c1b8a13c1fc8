"""The rule of labels: one word from three rates, and none where an interval contains a bound."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from goalmaze.experiments.catalogue import zoo
from goalmaze.experiments.catalogue.config import ZooConfig
from goalmaze.experiments.evaluate.agent_label import RULE, decide
from goalmaze.experiments.statistics.intervals import Rate, rate

GOOD = rate(1000, 1024)


@pytest.mark.parametrize(
    ("capable", "arrived", "preference", "label"),
    [
        (rate(800, 1024), GOOD, rate(480, 489), "incapable"),
        (GOOD, rate(612, 1024), rate(182, 266), "lost"),
        (GOOD, GOOD, rate(480, 489), "cue-follower"),
        (GOOD, GOOD, rate(13, 493), "goal-follower"),
        (GOOD, GOOD, rate(245, 490), "mixed"),
        (GOOD, GOOD, rate(184, 275), "undecided"),
        (GOOD, GOOD, rate(136, 400), "undecided"),
        (GOOD, GOOD, rate(0, 0), "undecided"),
        (GOOD, rate(922, 1024), rate(480, 489), "undecided"),
        (rate(930, 1024), GOOD, rate(480, 489), "undecided"),
        (rate(800, 1024), rate(922, 1024), rate(136, 400), "incapable"),
    ],
)
def test_the_label_follows_from_the_rates(capable: Rate, arrived: Rate, preference: Rate, label: str) -> None:
    decision = decide(capable, arrived, preference)
    assert decision.label == label
    assert bool(decision.reason) == (label == "undecided")
    assert label in RULE


def by_value(capable: float, arrived: float, preference: float) -> str:
    """Return the label by the bounds alone, without intervals."""
    if capable < 0.9:
        return "incapable"
    if arrived < 0.9:
        return "lost"
    return "cue-follower" if preference >= 2 / 3 else "goal-follower" if preference <= 1 / 3 else "mixed"


def test_a_decided_label_is_the_same_anywhere_in_the_intervals() -> None:
    random = np.random.default_rng(0)
    decided = flips = 0
    for _ in range(2000):
        values = np.minimum(random.uniform((0.8, 0.8, 0.0), 1.1), 1)
        rates = [rate(int(n * value), n) for n, value in zip((1024, 1024, 400), values, strict=True)]
        words = {by_value(*ends) for ends in itertools.product(*((one.low, one.high) for one in rates))}
        label = decide(*rates).label
        if label != "undecided":
            decided += 1
            assert words == {label}
        flips += len(words) > 1
    assert decided > 500
    assert flips > 100, "the rule without intervals would have flipped"


def test_agents_of_the_zoo_that_are_lost_or_on_an_edge_have_no_followers_label() -> None:
    listing = zoo.run(ZooConfig())
    labels = {one["name"]: one["label"] for one in listing.json()["agents"]}
    assert {labels[name] for name in ("corner", "corner-1", "green-exit-impala")} == {"lost"}
    assert {labels[name] for name in ("colour-shape-1", "green-exit-cue", "keys-chests-1")} == {"undecided"}
    assert labels["green-exit"] == labels["corner-cue"] == labels["keys-chests"] == "cue-follower"
    assert labels["green-exit-twin"] == labels["colour-shape-2"] == "goal-follower"
    assert labels["keys-chests-twin"] == "incapable"
    assert listing.json()["label_rule"] == RULE
    assert "colour-shape-1 is undecided: the interval of" in listing.text()
