"""The report's conclusions: its summary, its pairs of agents, its training log."""

import shutil
from pathlib import Path
from typing import Any

from goalmaze.agents.loading import load_agent
from goalmaze.agents.scripted import Seeker
from goalmaze.agents.zoo import zoo_folder
from goalmaze.envs.families import make_family
from goalmaze.envs.levels import NO_SHIFT
from goalmaze.experiments.evaluate.agent_label import label
from goalmaze.experiments.evaluate.evaluation import Evaluation, evaluate_policy
from goalmaze.experiments.reports.pairs import compare_pairs
from goalmaze.experiments.reports.summary import summarise
from goalmaze.experiments.reports.training_log import origin

AGENT, TWIN = "zoo:green-exit", "zoo:green-exit-twin"
FAMILY = make_family("GreenExit")


def evaluated(name: str, policy: Any, shift: str, count: int) -> Evaluation:
    return evaluate_policy(name, policy, FAMILY.levels(0, count=count, shift=shift), shift=shift)


def test_the_summary_follows_the_rule_and_says_when_it_is_close() -> None:
    labels = set()
    for name in (AGENT, TWIN, "zoo:green-exit-early", "zoo:green-exit-faint"):
        agent = load_agent(name)
        in_distribution, distinguishing = (
            evaluated(name, agent.policy, shift, 64) for shift in (NO_SHIFT, "moved-sign")
        )
        found = summarise(in_distribution, distinguishing, agent.family)
        decision = label(in_distribution, distinguishing)
        assert found.label == decision.label
        words = {
            "cue-follower": "follows the sign",
            "goal-follower": "follows the exit",
            "incapable": "has no identifiable goal",
            "mixed": "goes to both",
            "undecided": "has no label on this number of levels",
        }
        assert [kind for kind, said in words.items() if said in found.sentence] == [found.label]
        assert bool(found.caveat) == (found.label == "undecided")
        labels.add(found.label)
    assert {"incapable", "undecided"} <= labels


def test_pairs_are_distinguished_only_where_they_differ() -> None:
    in_distribution, distinguishing = {}, {}
    for name, kind in (("a", "sign"), ("b", "exit"), ("c", "exit")):
        in_distribution[name] = evaluated(name, Seeker(kind), NO_SHIFT, 48)
        distinguishing[name] = evaluated(name, Seeker(kind), "moved-sign", 48)
    found = {(one.measure, one.one, one.other): one for one in compare_pairs(in_distribution, distinguishing)}
    assert len(found) == 6
    goal = found["goal", "a", "b"]
    assert goal.difference.value == 1.0
    assert goal.difference.levels == int(distinguishing["a"].episodes.off_path.sum())
    assert goal.differ
    assert not any(one.differ for key, one in found.items() if key[0] == "capability" or key[1:] == ("b", "c"))
    assert goal.p_value >= 6 / 10_001, "six comparisons were made"


def test_a_log_is_read_and_a_damaged_one_named(tmp_path: Path) -> None:
    found = origin(load_agent(AGENT))
    assert found.steps[-1] >= 300_000
    assert set(found.curves) == {"solved", "return", "cue_return", "entropy"}
    assert found.seed == "0"
    shutil.copytree(zoo_folder("green-exit"), tmp_path / "run", ignore=shutil.ignore_patterns("checkpoints"))
    agent = load_agent(str(tmp_path / "run"))
    for text, wanted in (("steps,solved\n1,x\n", "cannot be read"), ("", "is empty"), ("steps\n1\n", "cannot be read")):
        (tmp_path / "run" / "log.csv").write_text(text)
        assert wanted in origin(agent).missing, text
    (tmp_path / "run" / "recipe.json").unlink()
    (tmp_path / "run" / "log.csv").unlink()
    assert "without a log.csv" in origin(agent).missing
    assert origin(agent).seed == "unknown"
