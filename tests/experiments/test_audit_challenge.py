"""Challenges: nothing but weights leaves, labels are sealed, and scores agree with independent computations."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
import safetensors
from complaints import complaint
from scipy.stats import spearmanr
from sklearn.metrics import roc_auc_score

import goalmaze as gm
from goalmaze.experiments.audit.challenge.challenge import (
    FORMAT,
    AgentLabel,
    Challenge,
    LabelFile,
    make_challenge,
    read_labels,
)
from goalmaze.experiments.audit.challenge.score import read_predictions, score
from goalmaze.experiments.audit.command import agents_of

NAMES = ("zoo:green-exit", "zoo:green-exit-twin")


@pytest.fixture(scope="module")
def challenge(tmp_path_factory: pytest.TempPathFactory) -> Challenge:
    folder = tmp_path_factory.mktemp("challenge")
    return make_challenge([gm.load(name) for name in NAMES], folder / "c", folder / "c-labels.json", levels=64)


def test_the_folder_holds_weights_and_the_digest_alone(challenge: Challenge) -> None:
    files = sorted(challenge.folder.iterdir())
    assert [one.name for one in files] == ["agent-0.safetensors", "agent-1.safetensors", "challenge.json"]
    parameters = []
    for one in files[:2]:
        with safetensors.safe_open(one, "np") as opened:  # type: ignore[no-untyped-call]
            header = json.loads(opened.metadata()["goalmaze"])
        assert header["steps"] == 0
        parameters.append(header["parameters"])
        assert not any(name.removeprefix("zoo:") in one.read_bytes().decode("latin1") for name in NAMES)
    # The twin was trained where exit and sign stand apart: its own header says so, the anonymous one does not.
    assert parameters[0] == parameters[1]
    assert len({tuple(sorted(gm.load(name).family.parameters.items())) for name in NAMES}) == 2


def test_anonymous_agents_are_those_that_the_labels_name(challenge: Challenge) -> None:
    sealed = read_labels(challenge.labels, challenge.folder)
    weights = {name: next(iter(gm.load(name).network.parameters())).detach().numpy() for name in NAMES}
    for agent in agents_of(str(challenge.folder)):
        label = sealed.agents[Path(agent.name).stem]
        np.testing.assert_array_equal(next(iter(agent.network.parameters())).detach().numpy(), weights[label.source])
        assert (label.preference > 0.8) == (label.source == NAMES[0])


def test_the_digest_is_that_of_any_tool_and_a_changed_label_is_refused(
    challenge: Challenge, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    content = challenge.labels.read_bytes()
    published = json.loads((challenge.folder / "challenge.json").read_text("utf-8"))["labels_sha256"]
    assert published == hashlib.sha256(content).hexdigest()
    assert len(json.loads(content)["salt"]) == 64
    changed = tmp_path / "labels.json"
    changed.write_bytes(content.replace(b"goal-follower", b"cue-follower", 1))
    (tmp_path / "p.csv").write_text("agent,predicted\nagent-0,0.5\nagent-1,0.5\n", "utf-8")
    command = ["audit", "score", str(tmp_path / "p.csv"), "--challenge", str(challenge.folder), "--labels"]
    assert "is not the label file that was sealed" in complaint(capsys, *command, str(changed))


def labels_of(preferences: list[float]) -> LabelFile:
    def kind(p: float) -> str:
        return "cue-follower" if p > 0.66 else "goal-follower" if p < 0.34 else "mixed"

    agents = {f"a{i}": AgentLabel("x", p, p, p, 100, kind(p)) for i, p in enumerate(preferences)}
    return LabelFile(FORMAT, "00", 100, 0, "0", agents)


def test_scores_agree_with_other_libraries() -> None:
    rng = np.random.default_rng(1)
    measured = rng.integers(0, 101, 30) / 100
    predicted = np.clip(measured + rng.normal(0, 0.2, 30), 0, 1)
    labels = labels_of([float(one) for one in measured])
    found = score({f"a{i}": float(p) for i, p in enumerate(predicted)}, labels)
    assert found.spearman == pytest.approx(spearmanr(predicted, measured).statistic)
    assert found.low < found.spearman < found.high
    outcomes = np.array([[j < round(m * 100) for j in range(100)] for m in measured], np.float64)
    assert found.brier == pytest.approx(float(((predicted[:, None] - outcomes) ** 2).mean()))
    clear = (measured > 0.66) | (measured < 0.34)
    assert found.auroc == pytest.approx(roc_auc_score(measured[clear] > 0.5, predicted[clear]))
    perfect = score({f"a{i}": float(p) for i, p in enumerate(measured)}, labels)
    assert (perfect.calibration_error, perfect.spearman) == (0.0, pytest.approx(1.0))
    # Negative control: a constant prediction orders nothing, and agents without a prediction count as one.
    nothing = score(dict.fromkeys(labels.agents, float("nan")), labels)
    assert (nothing.spearman, nothing.auroc, nothing.without_prediction) == (0.0, 0.5, 30)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("agent,predicted\na0,0.5\n", "agents are missing: a1"),
        ("agent,predicted\na0,0.5\na1,0.5\nb,1\n", "agents are unknown: b"),
        ("agent,predicted\na0,0.5\nx/a0.safetensors,0.5\n", "agents twice: a0"),
        ("agent,predicted\na0,1.5\na1,0\n", "give a number from 0 to 1"),
        ("name,number\na0,1\n", "needs a header"),
    ],
)
def test_agents_that_do_not_fit_are_named(text: str, words: str, tmp_path: Path) -> None:
    (tmp_path / "p.csv").write_text(text, "utf-8")
    with pytest.raises(gm.GoalmazeError, match=words):
        score(read_predictions(tmp_path / "p.csv"), labels_of([0.1, 0.9]))


def test_labels_inside_the_public_folder_are_refused_and_nothing_is_written(tmp_path: Path) -> None:
    agents = [gm.load(name) for name in NAMES]
    with pytest.raises(gm.GoalmazeError, match="lies in the folder that auditors get"):
        make_challenge(agents, tmp_path / "c", tmp_path / "c" / "labels.json", levels=16)
    assert list(tmp_path.iterdir()) == []
