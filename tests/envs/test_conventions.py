"""The registered environments keep Gymnasium's and stable-baselines3's conventions."""

import copy
import json
import pickle
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.envs.registration import EnvSpec
from gymnasium.utils.env_checker import check_env
from stable_baselines3.common.env_checker import check_env as check_env_for_sb3

from goalmaze.envs.errors import GoalmazeError
from goalmaze.envs.families import known_families, make_family
from goalmaze.envs.observations.spec import MODES
from goalmaze.envs.registry import register_family
from goalmaze.envs.single import MazeEnv
from goalmaze.envs.vector import MazeVectorEnv

NAME = "goalmaze/GreenExit-v0"


@pytest.fixture
def _dummy_screen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    monkeypatch.setitem(MazeEnv.metadata, "render_fps", 1000)


@pytest.mark.usefixtures("_dummy_screen")
@pytest.mark.parametrize("render_mode", [None, *MazeEnv.metadata["render_modes"]])
@pytest.mark.parametrize("family", known_families())
def test_gymnasium_finds_no_fault_in_any_render_mode(family: str, render_mode: str | None) -> None:
    env = gymnasium.make(f"goalmaze/{family}-v0", render_mode=render_mode)
    check_env(env.unwrapped)
    env.close()


@pytest.mark.filterwarnings("ignore:It seems that your observation space  is an image but the upper and lower bounds")
@pytest.mark.filterwarnings("ignore:The minimal resolution for an image is 36x36")
@pytest.mark.usefixtures("_dummy_screen")
@pytest.mark.parametrize("render_mode", [None, *MazeEnv.metadata["render_modes"]])
@pytest.mark.parametrize("family", known_families())
def test_stable_baselines3_finds_no_fault_in_any_render_mode(family: str, render_mode: str | None) -> None:
    env = gymnasium.make(f"goalmaze/{family}-v0", render_mode=render_mode)
    check_env_for_sb3(env.unwrapped, warn=True, skip_render_check=render_mode is None)
    env.close()


@pytest.mark.filterwarnings("ignore:The minimal resolution for an image is 36x36")
@pytest.mark.filterwarnings("ignore:It seems that your observation space  is an image but the upper and lower bounds")
@pytest.mark.parametrize("family", ["GreenExit", "Sleeper"])
@pytest.mark.parametrize("observation", MODES)
def test_neither_finds_a_fault_in_any_observation_mode(family: str, observation: str) -> None:
    env = gymnasium.make(f"goalmaze/{family}-v0", observation=observation)
    check_env(env.unwrapped, skip_render_check=True)
    check_env_for_sb3(env.unwrapped, warn=True)


class OutOfItsSpace(MazeEnv):
    def reset(self, **arguments: Any) -> tuple[Any, dict[str, Any]]:
        planes, info = super().reset(**arguments)
        return planes + 5, info


def test_the_checkers_notice_an_observation_outside_its_space() -> None:
    with pytest.raises(AssertionError):
        check_env(OutOfItsSpace())
    with pytest.raises(AssertionError):
        check_env_for_sb3(OutOfItsSpace(), warn=False)


def test_the_module_in_the_name_registers_the_family() -> None:
    env = gymnasium.make("goalmaze.envs:goalmaze/GreenExit-v0", size=7, shift="moved-sign")
    planes, _ = env.reset(seed=1)
    assert planes.shape == (4, 7, 7)
    assert env.unwrapped.family == make_family("GreenExit", {"size": 7})
    with pytest.raises(gymnasium.error.NamespaceNotFound):
        gymnasium.make("goalmazes/GreenExit-v0")


def test_registering_twice_changes_nothing() -> None:
    before = dict(gymnasium.registry)
    for family in known_families().values():
        register_family(family)
    assert gymnasium.registry == before
    assert NAME in before


UNREGISTERED = """
import json, sys
import gymnasium
def made(name):
    try:
        return type(gymnasium.make(name).unwrapped).__name__
    except gymnasium.error.NamespaceNotFound:
        return None
before = made("goalmaze/Lava-v0"), "goalmaze.envs" in sys.modules
by_module = made("goalmaze.envs:goalmaze/Lava-v0")
import goalmaze.envs
gymnasium.register_envs(goalmaze.envs)
print(json.dumps([*before, by_module, made("goalmaze/Lava-v0"), made("goalmaze/Dish-v0")]))
"""


def test_importing_the_package_registers_the_families_in_a_fresh_process() -> None:
    said = subprocess.run([sys.executable, "-c", UNREGISTERED], capture_output=True, text=True, check=True).stdout
    assert json.loads(said) == [None, False, "MazeEnv", "MazeEnv", "MazeEnv"]


@pytest.mark.parametrize(
    "imports", ["gymnasium, goalmaze.envs", "goalmaze.envs, gymnasium", "goalmaze.envs.vector, gymnasium"]
)
def test_the_families_are_registered_whichever_package_is_imported_first(imports: str) -> None:
    code = f"""
import inspect
import {imports}
env = gymnasium.make("goalmaze/Lava-v0", size=5)
print(type(env.unwrapped).__name__, "make" in inspect.getsource(gymnasium))
"""
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert said.split() == ["MazeEnv", "True"]


def test_importing_the_package_does_not_import_gymnasium() -> None:
    code = "import sys, goalmaze.envs; print({'gymnasium', 'numpy'} & sys.modules.keys())"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert said.strip() == "set()"


def test_every_family_is_registered_with_both_entry_points() -> None:
    specs = {name: spec for name, spec in gymnasium.registry.items() if spec.namespace == "goalmaze"}
    procgen = specs.pop("goalmaze/ProcgenMaze-v0")
    assert (procgen.entry_point, procgen.vector_entry_point) == (
        "goalmaze.envs.procgen.single:ProcgenMazeEnv",
        "goalmaze.envs.procgen.vector:ProcgenVectorEnv",
    )
    ours = {name for name, kind in known_families().items() if kind.__module__.startswith("goalmaze.")}
    assert len(ours) == 11
    assert specs.keys() == {f"goalmaze/{family}-v0" for family in ours}
    for spec in specs.values():
        assert (spec.entry_point, spec.vector_entry_point) == (
            "goalmaze.envs.single:MazeEnv",
            "goalmaze.envs.vector:MazeVectorEnv",
        )
        assert spec.max_episode_steps is None  # the family's own time limit truncates


def tale(env: gymnasium.Env[Any, Any]) -> list[Any]:
    """What a random walk of 60 steps meets."""
    random = np.random.default_rng(0)
    told: list[Any] = [env.reset(seed=3)[0].tolist()]
    for _ in range(60):
        planes, *rest = env.step(int(random.integers(4)))
        told.append((planes.tolist(), *rest))
        if rest[1] or rest[2]:
            told.append(env.reset()[0].tolist())
    return told


SPECS: list[tuple[str, dict[str, Any]]] = [
    ("GreenExit", {"size": 7, "correlation": 0.25, "shift": "no-sign"}),
    ("Monsters", {"motion": "wanders", "harm": 2.0, "split": "fitting", "max_episode_steps": 5}),
    ("FollowLeader", {"beacons": 2, "numbered": True, "mixture": 0.5, "observation": "partial", "radius": 2}),
    ("Lava", {"algorithm": "kruskal", "tiles": 3, "observation": "rgb", "pixels": 2, "render_mode": "rgb_array"}),
    *[(name, {}) for name in ("ColourShape", "Corner", "Dish", "Glimpse", "KeysChests", "Pile", "Sleeper")],
]


@pytest.mark.parametrize(("name", "parameters"), SPECS, ids=[name for name, _ in SPECS])
def test_specs_survive_json(name: str, parameters: dict[str, Any]) -> None:
    env = gymnasium.make(f"goalmaze/{name}-v0", **parameters)
    assert env.spec is not None
    spec = EnvSpec.from_json(env.spec.to_json())
    assert spec == env.spec
    again = gymnasium.make(spec)
    assert again.unwrapped.family == env.unwrapped.family
    assert again.render_mode == parameters.get("render_mode")
    assert tale(again) == tale(env)


def test_a_spec_without_its_parameters_makes_another_environment() -> None:
    name, parameters = SPECS[1]
    plain, rich = gymnasium.make(f"goalmaze/{name}-v0"), gymnasium.make(f"goalmaze/{name}-v0", **parameters)
    assert tale(plain) != tale(rich)
    assert plain.spec != rich.spec


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"sise": 7}, r"^unknown parameter of Lava 'sise' \(did you mean 'size'\?\)$"),
        ({"size": 8}, r"^size is 8: mazes need an odd size"),
        ({"size": "9"}, r"^Lava: "),
        ({"shift": "moved-sign"}, r"^unknown shift 'moved-sign'"),
        ({"split": "test"}, r"^unknown split 'test'"),
        ({"observation": "rbg"}, r"^unknown observation mode 'rbg' \(did you mean 'rgb'\?\)$"),
    ],
)
def test_make_refuses_parameters_by_name(parameters: dict[str, Any], message: str) -> None:
    with pytest.raises(GoalmazeError, match=message):
        gymnasium.make("goalmaze/Lava-v0", **parameters)


@pytest.mark.parametrize("family", ["GreenExit", "Monsters", "FollowLeader"])
@pytest.mark.parametrize("observation", ["planes", "rgb"])
@pytest.mark.parametrize("again", [copy.deepcopy, lambda env: pickle.loads(pickle.dumps(env))])
def test_a_copied_environment_goes_on_by_itself(family: str, observation: str, again: Callable[[Any], Any]) -> None:
    single, many = MazeEnv(family, observation=observation), MazeVectorEnv(family, 3, observation=observation)
    single.reset(seed=1)
    many.reset(seed=1)
    for _ in range(7):
        single.step(1)
        many.step(np.ones(3, np.int64))
    other, others = again(single), again(many)
    for t in range(120):
        (seen, *ends), told = single.step(t % 4), other.step(t % 4)[0]
        assert np.array_equal(seen, told)
        if ends[1] or ends[2]:
            assert np.array_equal(single.reset()[0], other.reset()[0])
        assert np.array_equal(many.step(np.full(3, t % 4))[0], others.step(np.full(3, t % 4))[0])
    before = other.step(0)[0]
    single.step(2)
    assert np.array_equal(before, other._observe())


def test_misuse_is_named() -> None:
    env, many = MazeEnv("GreenExit"), MazeVectorEnv("GreenExit", 2)
    for early in (env, many):
        with pytest.raises(gymnasium.error.ResetNeeded, match="call reset before"):
            early.step(np.zeros(2, np.int64) if early is many else 0)
    with pytest.raises(GoalmazeError, match="leave reset_mask out"):
        many.reset(options={"reset_mask": np.array([True, False])})
    with pytest.raises(GoalmazeError, match="num_envs is 0"):
        MazeVectorEnv("GreenExit", 0)
    env.reset(seed=0)
    for wrong in (4, -1):
        with pytest.raises(GoalmazeError, match=f"action {wrong} is none of 0 to 3: up, right, down, left"):
            env.step(wrong)
    with pytest.raises(GoalmazeError, match=r"action 1\.5 is none of 0 to 3"):
        env.step(1.5)  # type: ignore[arg-type]
    env.step(np.array(1))  # type: ignore[arg-type]  # as stable-baselines3 predicts for one environment


def test_an_episode_that_has_ended_goes_on_after_a_reset_only() -> None:
    env = MazeEnv("GreenExit", size=5)
    env.reset(seed=0)
    while not any(env.step(0)[2:4]):
        pass
    with pytest.raises(gymnasium.error.ResetNeeded, match="the episode has ended: call reset"):
        env.step(0)
    env.reset()
    env.step(0)


@pytest.mark.parametrize("size", [5, 13])
def test_gymnasium_cuts_no_episode_off_before_the_familys_time_limit(size: int) -> None:
    env = gymnasium.make("goalmaze/FollowLeader-v0", size=size)
    env.reset(seed=0)
    limit = env.unwrapped.family.time_limit
    ends = [env.step(0)[2:4] for _ in range(limit)]
    assert ends == [(False, False)] * (limit - 1) + [(False, True)]
