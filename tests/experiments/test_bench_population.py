"""`goalmaze bench population`, and the script that checks a GPU, small on a CPU."""

from __future__ import annotations

import dataclasses
import importlib.util
import json
import subprocess
import sys
from importlib.machinery import SourceFileLoader
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
import torch
from repository import ROOT

from goalmaze.agents.networks.stacked import StackedNetwork
from goalmaze.agents.training.algorithms import make_algorithm, make_environments, network_of
from goalmaze.agents.training.population.program import make_learner
from goalmaze.envs.errors import GoalmazeError
from goalmaze.experiments.bench import gpu_check
from goalmaze.experiments.bench import population as bench
from goalmaze.experiments.bench.config import BenchConfig
from goalmaze.experiments.bench.gpu_check import SAME_PASSES, SMALL, ShortRun, agreement, compared, relative_error
from goalmaze.experiments.bench.population import NetworksAlone, population_recipe

SCRIPT = ROOT / "scripts" / "check_gpu"


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.mark.parametrize("network", ["grid", "lstm"])
def test_the_bound_does_the_passes_of_a_rollout_and_no_more(network: str, monkeypatch: pytest.MonkeyPatch) -> None:
    options = {**SMALL["network_options"], **({"units": 8} if network == "lstm" else {})}
    recipe = population_recipe("cpu", **{**SMALL, "network": network, "network_options": options})
    learner = make_learner(recipe, (0, 1, 2))
    learner.rollout()
    before = learner.tensors()
    bound = NetworksAlone(learner)
    passes: list[tuple[bool, int]] = []
    true = StackedNetwork.per_agent

    def counted(self: StackedNetwork, function: object, *inputs: torch.Tensor, **rest: object) -> object:
        passes.append((torch.is_grad_enabled(), inputs[0].shape[1]))
        return true(self, function, *inputs, **rest)  # type: ignore[arg-type, type-var]

    monkeypatch.setattr(StackedNetwork, "per_agent", counted)
    bound.rollout()
    # Every agent acts in its 16 environments at 16 steps, and learns from 8 minibatches of 32 steps, twice.
    acting = [rows for is_learning, rows in passes if not is_learning]
    learning = [rows for is_learning, rows in passes if is_learning]
    assert acting == [16] * 16
    assert learning == ([32] * 16 if network == "grid" else [32, *[2] * 16] * 16)
    assert all(torch.equal(tensor, before[name]) for name, tensor in learner.tensors().items())
    moved = [not torch.equal(tensor, before[name]) for name, tensor in bound._network.tensors().items()]
    assert sum(moved) > len(moved) / 2


def test_the_rates_of_a_population_are_measured_by_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    class Alone:
        """Stands in for a process that trains one agent."""

        def __init__(self, recipe: object) -> None:
            self.recipe = recipe

        def __enter__(self) -> Alone:
            return self

        def __exit__(self, *_: object) -> None:
            pass

        def rate(self) -> float:
            return 100.0

    monkeypatch.setattr(bench, "worker", Alone)
    rows = bench.compare(population_recipe("cpu", **SMALL), 2, turns=2)
    assert [(row["agents"], row["device"], row["program"]) for row in rows] == [
        (2, "cpu", "stacked"),
        (2, "cpu", "pool"),
    ]
    assert all(row["single_steps_per_s"] == 100.0 for row in rows)
    stacked = rows[0]
    assert stacked["steps_per_s"] > 0
    # The bound leaves out the environments, the loss and the logs.
    assert stacked["bound_steps_per_s"] > 0
    assert stacked["times_single"] == pytest.approx(stacked["steps_per_s"] / 100, rel=0.5)


def test_a_device_belongs_to_the_population(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(GoalmazeError, match="--device belongs to bench population"):
        BenchConfig(name="env", device="cpu")
    with pytest.raises(GoalmazeError, match="no CUDA device"):
        bench.measure(full=False, device="cuda")


def test_two_runs_on_one_device_agree_and_a_changed_one_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    runs: list[tuple[ShortRun, ShortRun]] = []

    def kept(cpu: ShortRun, other: ShortRun) -> dict[str, object]:
        runs.append((cpu, other))
        return compared(cpu, other)

    monkeypatch.setattr(gpu_check, "compared", kept)
    result = agreement("cpu", small=True)
    assert result["ok"]
    assert [result[name]["same_actions"] for name in ("one agent", "three agents")] == [[1.0] * 2] * 2
    # The first of three agents is the one agent: seed 0 of the same recipe, in another program.
    # Those of the control come after them.
    one, three = (pair[0] for pair in runs[:2])
    assert torch.equal(three.actions[0].unflatten(1, (3, 16))[:, 0], one.actions[0])
    for change in (
        {"observations": one.observations + 1},
        {"actions": [1 - one.actions[0], *one.actions[1:]]},
        {"before": {name: tensor + 1e-6 for name, tensor in one.before.items()}},
        {"after": {name: tensor * 1.2 for name, tensor in one.after.items()}},
    ):
        assert not compared(one, dataclasses.replace(one, **change))["ok"]  # type: ignore[arg-type]


def test_passes_in_float32_agree_and_those_of_rounded_weights_do_not() -> None:
    assert agreement("cpu", small=True)["passes"] == {"ok": True, "outputs": 0.0, "gradient": 0.0}
    algorithm = make_algorithm(recipe := population_recipe("cpu", **SMALL), make_environments(recipe))
    network, observations = network_of(algorithm), torch.as_tensor(algorithm.env.reset())  # type: ignore[union-attr]
    exact = gpu_check._outputs_and_gradient(network, observations)
    with torch.no_grad():
        for parameter in network.parameters():
            # Ten bits of the mantissa are what TF32 keeps.
            parameter.copy_(parameter.half().float())
    rounded = gpu_check._outputs_and_gradient(network, observations)
    assert min(relative_error(*pair) for pair in zip(exact, rounded, strict=True)) > SAME_PASSES


def script() -> ModuleType:
    """Return the script as a module."""
    loader = SourceFileLoader("check_gpu", str(SCRIPT))
    spec = importlib.util.spec_from_loader("check_gpu", loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    return module


def test_the_script_reports_what_fails_and_goes_on(capsys: pytest.CaptureFixture[str]) -> None:
    check = script()
    results = {
        "agreement": '{"ok": true, "device": "cpu"}',
        "one_agent": "",
        "population": '{"ok": false, "device": "cpu"}',
        "bench": '{"ok": true, "device": "cpu"}',
    }

    def finished(command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        part = command[3]
        if part == "bench":
            raise subprocess.TimeoutExpired(command, 1.0, stderr=b"its last words")
        return subprocess.CompletedProcess(command, 0, f"a message\n{results[part]}", "Traceback: KeyError")

    check.subprocess = type(
        "Subprocess", (), {"run": staticmethod(finished), "TimeoutExpired": subprocess.TimeoutExpired}
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["check_gpu", "--device", "cpu", "--small"])
        with pytest.raises(SystemExit) as ended:
            check.main()
    assert ended.value.code == 1
    content = json.loads(capsys.readouterr().out)
    assert not content["ok"]
    assert {name: part["ok"] for name, part in content["parts"].items()} == {
        "agreement": True,
        "one_agent": False,
        "population": False,
        "bench": False,
    }
    assert content["parts"]["one_agent"]["error"] == "Traceback: KeyError"
    assert content["parts"]["bench"]["stderr"] == "its last words"
    assert sum(check.PARTS.values()) >= check.SECONDS


@pytest.mark.parametrize(("flags", "factor"), [([], 1), (["--small"], 4)])
def test_small_runs_have_longer_limits(flags: list[str], factor: int, capsys: pytest.CaptureFixture[str]) -> None:
    check, limits, now = script(), [], [0.0]

    def slow(part: str, _device: str, _small: bool, seconds: float) -> dict[str, object]:
        limits.append(seconds)
        # Every part takes as long as a loaded machine took for it in small.
        now[0] += 80 * factor
        return {"ok": True}

    check.run = slow
    check.time = SimpleNamespace(monotonic=lambda: now[0])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["check_gpu", "--device", "cpu", *flags])
        with pytest.raises(SystemExit) as ended:
            check.main()
    assert ended.value.code == 0
    assert json.loads(capsys.readouterr().out)["ok"]
    # The last part has what the others left of the whole.
    assert limits == [factor * limit for limit in (110, 80, 110, 350 - 3 * 80)]


def test_the_script_runs_a_part_in_a_process_of_its_own() -> None:
    # A part that there is none of is the quickest one to fail.
    result = script().run("nonsense", "cpu", True, 120)
    assert not result["ok"]
    assert "KeyError: 'nonsense'" in result["error"]


def test_without_a_gpu_the_script_says_so_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["check_gpu"])
        patch.setattr(torch.cuda, "is_available", lambda: False)
        with pytest.raises(SystemExit) as ended:
            script().main()
    assert ended.value.code == 2
    error = capsys.readouterr().err
    assert error.startswith("check_gpu: torch finds no CUDA device here")
    assert len(error.splitlines()) == 1


def test_every_part_of_the_script_is_one_of_the_module() -> None:
    assert list(script().PARTS) == list(gpu_check.PARTS)
    assert np.all(np.array(list(script().PARTS.values())) > 0)
