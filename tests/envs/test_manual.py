"""Every sentence of the families' documentation is true of what an environment does."""

import dataclasses
import inspect
import pydoc
import re
from pathlib import Path

import gymnasium
import numpy as np
import pytest

from goalmaze.envs.cells import ABSENT
from goalmaze.envs.families import known_families, make_family
from goalmaze.envs.family_docs import SECTIONS, families_page, family_sections
from goalmaze.envs.levels import Family, LevelBatch
from goalmaze.envs.maze_engine import MazeEngine

FAMILIES = [name for name, kind in known_families().items() if kind.__module__.startswith("goalmaze.")]
DOCS = Path(__file__).parents[2] / "docs" / "catalogue"


def sections(text: str) -> dict[str, str]:
    parts = re.split(r"^## (.*)\n", text, flags=re.M)[1:]
    return {title: body.strip() for title, body in zip(parts[::2], parts[1::2], strict=True)}


def rows(text: str) -> list[list[str]]:
    """The cells of a table below its head."""
    lines = [line for line in text.splitlines() if line.startswith("|")][2:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def entered(family: Family, kind: str) -> tuple[float, float, bool]:
    """True reward, cue reward and end of the first step onto an object that stands alone in a bare room."""
    walls = np.ones((1, family.size, family.size), np.bool_)
    walls[:, 1:-1, 1:-1] = False
    objects = np.full((1, len(family.slots)), ABSENT)
    objects[0, family.slots.index(kind)] = family.size + 2
    episodes = MazeEngine.from_levels(LevelBatch(walls, np.array([family.size + 1]), objects, family))
    episodes.step(np.array([1]))
    return float(episodes.rewards[0, 0]), float(episodes.rewards[0, 1]), bool(episodes.terminated[0])


def documented(effects: str, which: str) -> float:
    found = re.search(rf"{which} reward ([+-][\d.]+)", effects)
    return float(found[1]) if found else 0.0


@pytest.mark.parametrize("name", FAMILIES)
def test_what_follows_from_an_object_is_what_follows(name: str) -> None:
    family = make_family(name)
    objects = rows(sections(family_sections(family))["Description"])
    assert [one[0] for one in objects] == [f"`{kind.name}`" for kind in family.object_types]
    for (title, _, _, planes, count, effects), kind in zip(objects, family.object_types, strict=True):
        assert int(count) == family.slots.count(kind.name)
        assert planes == (", ".join(f"`{plane}`" for plane in kind.shows_on) or "none")
        if kind.motion != "still" or kind.fills:
            continue
        true, cue, ended = entered(family, kind.name)
        conditional = re.search(r"counts only after|is lit|takes an item", effects) is not None
        assert true == pytest.approx(0.0 if conditional else documented(effects, "true"), abs=1e-3), title
        assert cue == pytest.approx(0.0 if conditional else documented(effects, "cue"), abs=1e-3), title
        if not conditional and "required" not in effects:
            assert ended == ("the episode ends" in effects), title


@pytest.mark.parametrize("name", FAMILIES)
def test_sections_agree_with_the_registered_environment(name: str) -> None:
    family = make_family(name)
    told_of = sections(family_sections(family))
    assert tuple(told_of) == SECTIONS
    env = gymnasium.make(f"goalmaze/{name}-v0")
    assert told_of["Observations"].startswith(f"uint8 {list(env.observation_space.shape or ())}")
    assert [plane for _, plane in re.findall(r"(\d) `([\w-]+)`", told_of["Observations"])] == list(family.plane_names)
    assert told_of["Actions"].startswith("`Discrete(4)`")
    assert env.action_space == gymnasium.spaces.Discrete(4)
    arguments = rows(told_of["Arguments"])
    assert {one[0].strip("`"): one[1].strip("`") for one in arguments} == {
        field.name: str(getattr(family, field.name)) for field in dataclasses.fields(family)
    }
    assert all(len(meaning) > 10 for _, _, meaning in arguments), arguments
    for shift, what in family.shifts.items():
        assert f"- `{shift}`: {what}" in told_of["Description"]


def test_truncation_comes_at_the_documented_step() -> None:
    said = re.search(
        r"truncated after (\d+) steps", sections(family_sections(make_family("GreenExit", {"size": 5})))["Episode end"]
    )
    assert said is not None
    env = gymnasium.make("goalmaze/GreenExit-v0", size=5, shift="moved-exit")
    env.reset(seed=0)
    cut = [env.step(0)[3] for _ in range(int(said[1]))]  # walking into the wall above
    assert cut == [False] * (len(cut) - 1) + [True]


@pytest.mark.parametrize("name", FAMILIES)
def test_help_shows_the_sections_once(name: str) -> None:
    kind = known_families()[name]
    shown = pydoc.plain(pydoc.render_doc(kind))
    assert all(shown.count(f"## {section}\n") == 1 for section in SECTIONS)
    assert (inspect.getdoc(kind) or "").startswith(("A maze", "A level"))


def test_parameters_show_in_the_sections() -> None:
    plain, other = (family_sections(make_family("Pile", {"dishes": dishes, "stay": 0})) for dishes in (6, 2))
    assert "`fork`" in plain
    assert "`spoon`" not in other
    assert "| `dishes` | `2` |" in other


def test_the_page_is_the_one_the_families_would_write() -> None:
    assert (DOCS / "families.md").read_text() == families_page(known_families()), (
        "write the page again by the command at its top"
    )
    assert all(f"\n## {name}\n" in families_page(known_families()) for name in FAMILIES)
