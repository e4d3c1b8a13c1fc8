"""What a family declares is checked where it is registered, and every slip is named in one line."""

import dataclasses
from collections.abc import Callable, Iterator
from typing import Any

import gymnasium
import pytest

from goalmaze.envs.errors import GoalmazeError
from goalmaze.envs.families import known_families, make_family, register_family, unregister_family
from goalmaze.envs.families.green_exit import GreenExit
from goalmaze.envs.levels import NO_SHIFT, Family
from goalmaze.envs.objects import ObjectType, Placement

DOOR = ObjectType("door", letter="D", colour=(213, 94, 0), shape="door", ends=True, reward=1.0)
BELL = ObjectType("bell", letter="B", colour=(240, 228, 66), shape="diamond", cue_reward=1.0)


def place(family: Family, shift: str) -> tuple[Placement, ...]:
    bell = Placement("bell", on="door") if shift == NO_SHIFT else Placement("bell")
    return Placement("agent"), Placement("door"), bell


def declared(**changes: Any) -> type[Family]:
    """A family class with some of its attributes changed, or left out where None."""
    attributes = {
        "name": "RedDoor",
        "object_types": (DOOR, BELL),
        "slots": ("door", "bell"),
        "stacked_glyphs": {"X": ("door", "bell")},
        "goal": "door",
        "cue": "bell",
        "shifts": {"moved-bell": "the bell stands elsewhere"},
        "distinguishing_shift": "moved-bell",
        "placements": place,
    } | changes
    kept = {name: value for name, value in attributes.items() if value is not None}
    return dataclasses.dataclass(frozen=True)(type("RedDoor", (Family,), {"__module__": __name__, **kept}))


@pytest.fixture(autouse=True)
def _forget_families() -> Iterator[None]:
    before = dict(known_families())
    yield
    for name in known_families().keys() - before:
        unregister_family(name)
    assert known_families() == before


def test_a_sound_family_registers_and_is_found_by_name() -> None:
    family = register_family(declared())
    assert make_family("RedDoor", {"size": 7}) == family(size=7)
    assert gymnasium.make("goalmaze/RedDoor-v0", size=7).unwrapped.family == family(size=7)
    unregister_family("RedDoor")
    assert "RedDoor" not in known_families()
    assert "goalmaze/RedDoor-v0" not in gymnasium.registry


def looks(**changes: Any) -> dict[str, Any]:
    return {"object_types": (DOOR, dataclasses.replace(BELL, **changes))}


def rules(*placements: Placement) -> Callable[[Family, str], tuple[Placement, ...]]:
    return lambda family, shift: placements


AGENT, AT_DOOR = Placement("agent"), Placement("door")

SLIPS: list[tuple[dict[str, Any], str]] = [
    ({"name": None}, "family class RedDoor lacks name: define it"),
    ({"name": "red door"}, "family class RedDoor has the name 'red door': give letters and digits"),
    ({"goal": None}, "family class RedDoor lacks goal: define it"),
    ({"distinguishing_shift": None}, "family class RedDoor lacks distinguishing_shift: define it"),
    ({"placements": None, "slots": None}, "family class RedDoor lacks placements, slots: define it"),
    ({"goal": "dor"}, "unknown goal 'dor' (did you mean 'door'?)"),
    ({"cue": "belt"}, "unknown cue 'belt' (did you mean 'bell'?)"),
    ({"slots": ("door", "bel")}, "unknown object type in slots 'bel' (did you mean 'bell'?)"),
    ({"slots": ("door",)}, "no slot holds 'bell': add it to slots"),
    ({"slots": ("door", *["bell"] * 64)}, "there are 65 slots: 64 is the most"),
    (
        {"stacked_glyphs": {"X": ("door", "bull")}},
        "unknown object type of stacked glyph 'X' 'bull' (did you mean 'bell'?)",
    ),
    ({"stacked_glyphs": {"D": ("door", "bell")}}, "letter 'D' is used twice: choose another one"),
    ({"stacked_glyphs": {"A": ("door", "bell")}}, "letter 'A' is used twice: choose another one"),
    (looks(letter="D"), "letter 'D' is used twice: choose another one"),
    (looks(letter="be"), "'be' is no letter for text pictures: give one character"),
    (looks(name="door"), "object type 'door' is used twice: choose another one"),
    (looks(name="agent"), "unknown cue 'bell' (known: agent, door)"),
    (looks(planes=("a", "b", "c")), "'bell' shows on 3 planes: name 2 at most"),
    (
        looks(colour=(0, 0, 256)),
        "'bell' has the colour (0, 0, 256): give three integers from 0 to 255",
    ),
    (looks(colour=(0.5, 0, 0)), "'bell' has the colour (0.5, 0, 0): give three integers from 0 to 255"),
    (looks(colour=(0, 0)), "'bell' has the colour (0, 0): give three integers from 0 to 255"),
    (looks(shape="diamnd"), "unknown shape of 'bell' 'diamnd' (did you mean 'diamond'?)"),
    (looks(motion="wander"), "unknown motion of 'bell' 'wander' (did you mean 'wanders'?)"),
    (looks(after="gate"), "unknown `after` of 'bell' 'gate' (known: bell, door)"),
    (looks(lamp="lam"), "unknown `lamp` of 'bell' 'lam' (known: bell, door)"),
    ({"values": lambda family: {"bill": 2}}, "unknown object type in values 'bill' (did you mean 'bell'?)"),
    ({"values": lambda family: {"bell": 256}}, "'bell' shows with the value 256: choose 0 to 255"),
    (
        {"distinguishing_shift": "moved"},
        "unknown distinguishing shift 'moved' (did you mean 'moved-bell'?)",
    ),
    (
        {"shifts": {"none": "", "moved-bell": ""}},
        "'none' is the name of the training distribution: give the shift another one",
    ),
    (
        {"placements": lambda family, shift: {NO_SHIFT: (AGENT,)}[shift]},
        "placements knows no shift 'moved-bell': add it",
    ),
    ({"placements": rules(AT_DOOR)}, "placements('none'): nothing places the agent: add Placement('agent')"),
    (
        {"placements": rules(AGENT, Placement("dor"))},
        "placements('none'): unknown object type in a placement 'dor' (did you mean 'door'?)",
    ),
    (
        {"placements": rules(AGENT, Placement("door", 1))},
        "placements('none'): a placement names number 1 of 'door': slots hold it 1 times",
    ),
    (
        {"placements": rules(AGENT, Placement("bell", on="dor"))},
        "placements('none'): unknown object type in a placement 'dor' (did you mean 'door'?)",
    ),
]


@pytest.mark.parametrize(("changes", "message"), SLIPS)
def test_a_slip_is_named_in_one_line(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(GoalmazeError) as error:
        register_family(declared(**changes))
    assert str(error.value) == (message if "class RedDoor" in message else f"family 'RedDoor': {message}")
    assert "RedDoor" not in known_families()


def test_a_placement_of_an_impossible_probability_is_refused() -> None:
    with pytest.raises(GoalmazeError, match=r"probability of the placement of 'door' is 1\.5: choose 0 to 1"):
        Placement("door", probability=1.5)


def test_a_class_without_dataclass_or_with_a_parameter_without_default_is_refused() -> None:
    plain = type("Plain", (declared(),), {"name": "Plain"})
    with pytest.raises(GoalmazeError, match=r"Plain is no dataclass: add @dataclasses\.dataclass\(frozen=True\)"):
        register_family(plain)
    bells = ("bells", int, dataclasses.field(kw_only=True))
    wide = dataclasses.make_dataclass("Wide", [bells], bases=(declared(),), frozen=True)
    with pytest.raises(GoalmazeError, match="family class Wide: parameter 'bells' needs a default"):
        register_family(wide)


def test_a_name_in_use_is_refused_and_the_shipped_family_stays() -> None:
    with pytest.raises(GoalmazeError) as error:
        register_family(declared(name="GreenExit"))
    assert str(error.value) == (
        "the family name 'GreenExit' is in use by goalmaze.envs.families.green_exit.GreenExit: choose another name"
    )
    assert known_families()["GreenExit"] is GreenExit


def test_a_class_may_be_defined_again_as_in_a_notebook() -> None:
    register_family(declared())
    again = register_family(declared(time_limit=property(lambda family: 3)))
    assert known_families()["RedDoor"] is again


def test_bases_are_not_families_and_subclasses_of_families_are() -> None:
    class Base(Family):
        """An abstract base without a name, which several families could share."""

    assert not any(family is Base for family in known_families().values())
    assert make_family("GreenExit") == GreenExit()

    @register_family
    @dataclasses.dataclass(frozen=True)
    class LargeExit(GreenExit):
        name = "LargeExit"
        size: int = 13

    assert make_family("LargeExit").levels(count=2).height == 13


def test_a_family_that_is_not_registered_is_named_with_the_remedy() -> None:
    family = declared()
    with pytest.raises(GoalmazeError, match="the family 'RedDoor' is not registered: put @register_family above"):
        make_family(family.name)
    with pytest.raises(GoalmazeError, match="unknown family 'GreenExt'"):
        make_family("GreenExt")
