"""What a family declares is checked where it is registered, and every slip is named in one line."""

import dataclasses
import math
import re
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
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
    ({"values": lambda family: {"bell": 256}}, "'bell' shows with the value 256: choose an integer from 0 to 255"),
    ({"values": lambda family: {"bell": 1.5}}, "'bell' shows with the value 1.5: choose an integer from 0 to 255"),
    (
        {"distinguishing_shift": "moved"},
        "unknown distinguishing shift 'moved' (did you mean 'moved-bell'?)",
    ),
    (
        {"shifts": {"none": "", "moved-bell": ""}},
        "'none' is the name of the training distribution: give the shift another one",
    ),
    (
        {"placements": lambda family, shift: {NO_SHIFT: (AGENT, AT_DOOR)}[shift]},
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
    # A missing comma, or one value where several are declared.
    ({"slots": ("door")}, "slots is 'door': give a tuple of names, such as ('door',)"),
    (
        {"object_types": DOOR},
        r"object_types is ObjectType(name='door', letter='D', colour=(213, 94, 0), sha…: "
        "give a tuple, such as (ObjectType(...),)",
    ),
    ({"shifts": ("moved-bell",)}, "shifts is ('moved-bell',): map the name of each shift to what it means"),
    ({"stacked_glyphs": {"X": "door"}}, "stacked_glyphs is {'X': 'door'}: map each letter to a tuple of object types"),
    (looks(planes="bell"), "'bell' has the planes 'bell': give a tuple of names, such as ('door',)"),
    (
        {"placements": lambda family, shift: AT_DOOR},
        "placements('none') returns a Placement: return a tuple of Placement(...)",
    ),
    # Values of the wrong type.
    (looks(colour=(True, 0, 0)), "'bell' has the colour (True, 0, 0): give three integers from 0 to 255"),
    (looks(reward="1"), "reward of 'bell' is '1': give a number"),
    (looks(cue_reward=math.nan), "cue_reward of 'bell' is nan: give a number"),
    (looks(vanishes="no"), "vanishes of 'bell' is 'no': give True or False"),
    (looks(letter=5), "5 is no letter for text pictures: give one character"),
    ({"time_limit": property(lambda family: 0)}, "time_limit is 0: give the number of steps of the longest episode"),
    # Objects without effect, or with effects that exclude each other.
    ({"cue": "door"}, "goal and cue are both 'door': name two object types"),
    (
        {"object_types": (dataclasses.replace(DOOR, reward=0), BELL)},
        "the goal 'door' has the reward 0: give it a positive one",
    ),
    (looks(cue_reward=0.0), "the cue 'bell' has the cue reward 0.0: give it a positive one"),
    (looks(planes=("wall",)), "'bell' shows on the plane 'wall', which holds no objects: choose another one"),
    (
        looks(gives=True, motion="wanders"),
        "'bell' is an item and moves: an item held lies on the top wall, so let it be still",
    ),
    (looks(fills=True, vanishes=True), "'bell' fills its planes: it cannot move, vanish or be held"),
    (looks(needs=True), "'bell' needs an item, and no object gives one: set gives=True for one"),
    (looks(motion="leads"), "'bell' leads, and no object is required: set required=True for one"),
    (looks(after="bell"), "'bell' counts only after itself, by `after`: leave one `after` out"),
    (
        {"object_types": (DOOR, dataclasses.replace(BELL, gives=True)), "slots": ("door", *["bell"] * 20)},
        "RedDoor has 21 slots: 64 is the most, and items must be among the first 9, so that items held can show along "
        "the top wall",
    ),
    (
        {"stacked_glyphs": {"X": ("door", "bell"), "Y": ("bell", "door")}},
        "stacked glyph 'Y' stands for ('bell', 'door'), which is empty or has a letter",
    ),
    ({"stacked_glyphs": {"X": ("door",)}}, "stacked glyph 'X' stands for ('door',), which is empty or has a letter"),
    # Placements that leave out an object or cannot be followed.
    (
        {"placements": rules(AGENT, Placement("bell"))},
        "placements('none'): the goal 'door' is never placed: add Placement('door')",
    ),
    (
        {"placements": rules(AGENT, Placement("door", probability=0.0))},
        "placements('none'): the goal 'door' is never placed: add Placement('door')",
    ),
    (
        {"placements": rules(AGENT, AT_DOOR)},
        "placements('moved-bell'): the cue 'bell' is never placed: add Placement('bell')",
    ),
    (
        {"placements": rules(AGENT, Placement("bell", on="door"), AT_DOOR)},
        "placements('none'): 'bell' comes before 'door', on which it depends: place 'door' first",
    ),
    (
        {"placements": rules(AGENT, AT_DOOR, Placement("bell", on="door"))},
        "placements('moved-bell'): 'bell' is put on 'door', and this shift is to keep them apart: move one of them",
    ),
    # Whatever a method of the user's raises.
    ({"values": lambda family: 1 / 0}, "ZeroDivisionError: division by zero (line HERE of test_family_checks.py)"),
    (
        {"ranges": lambda family: {"bels": (0, 1)}},
        "AttributeError: 'RedDoor' object has no attribute 'bels' (line HERE of levels.py)",
    ),
    (
        {"__post_init__": lambda family: None},
        "an even size is accepted, of which there are no mazes: call super().__post_init__()",
    ),
]


@pytest.mark.parametrize(("changes", "message"), SLIPS)
def test_a_slip_is_named_in_one_line(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(GoalmazeError) as error:
        register_family(declared(**changes))
    said = re.sub(r"line \d+ of", "line HERE of", str(error.value))
    assert said == (message if "class RedDoor" in message else f"family 'RedDoor': {message}")
    assert "RedDoor" not in known_families()
    assert "goalmaze/RedDoor-v0" not in gymnasium.registry


@pytest.mark.parametrize(
    ("default", "kind", "message"),
    [
        ([1], list[int], r"parameter 'bells' is \[1\]: use a number, a text, True or False, or a tuple of them"),
        (object(), object, r"parameter 'bells' is <object .*>: use a number"),
        ("three", int, "its parameters cannot be read back from a checkpoint: Expected `int`, got `str`"),
    ],
)
def test_a_parameter_that_no_checkpoint_can_hold_is_named(default: Any, kind: type, message: str) -> None:
    bells = ("bells", kind, dataclasses.field(default_factory=lambda: default))
    odd = dataclasses.make_dataclass("Odd", [bells], bases=(declared(),), frozen=True, namespace={"name": "Odd"})
    with pytest.raises(GoalmazeError, match=f"^family 'Odd': {message}"):
        register_family(odd)
    fine = ("bells", int, dataclasses.field(default=3))
    register_family(
        dataclasses.make_dataclass("Odd", [fine], bases=(declared(),), frozen=True, namespace={"name": "Odd"})
    )


@pytest.mark.parametrize(
    ("slip", "message"),
    [
        ({"on": "door", "region": 2}, "the placement of 'bell' has on and region: choose one place"),
        ({"in_corner": True, "aside_from": "door"}, "has in_corner and aside_from: choose one place"),
        ({"which": -1}, "which of the placement of 'bell' is -1: choose 0 or more"),
        ({"region": -2}, "region of the placement of 'bell' is -2: choose 0 or more"),
    ],
)
def test_a_placement_with_two_places_or_a_negative_number_is_refused(slip: dict[str, Any], message: str) -> None:
    with pytest.raises(GoalmazeError, match=message):
        Placement("bell", **slip)


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


def test_a_subclass_has_a_name_of_its_own() -> None:
    @dataclasses.dataclass(frozen=True)
    class LargeExit(GreenExit):
        size: int = 13

    with pytest.raises(GoalmazeError) as error:
        register_family(LargeExit)
    assert str(error.value) == (
        "family class LargeExit has the name 'GreenExit' of its base: give it a name of its own"
    )
    assert known_families()["GreenExit"] is GreenExit


def test_a_base_that_is_registered_by_mistake_breaks_no_other_family() -> None:
    with pytest.raises(GoalmazeError, match="family class Base lacks name, goal, cue"):
        register_family(type("Base", (Family,), {"__doc__": "A base without a name."}))
    assert register_family(declared()) is known_families()["RedDoor"]
    assert make_family("GreenExit") == GreenExit()


def test_a_shipped_name_is_refused_also_before_the_shipped_families_are_imported(tmp_path: Path) -> None:
    # A process of its own: here the shipped families are imported already.
    source = textwrap.dedent(
        """
        import dataclasses
        import goalmaze as gm

        @gm.register_family
        @dataclasses.dataclass(frozen=True)
        class GreenExit(gm.Family):
            name = "GreenExit"
            object_types = slots = ()
            goal = cue = distinguishing_shift = ""
            shifts = {}

            def placements(self, shift):
                return ()
        """
    )
    (tmp_path / "mine.py").write_text(source)
    code = "from goalmaze.envs.extensions import load_extension; load_extension('mine.py')"
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert done.stderr.strip().splitlines()[-1] == (
        "goalmaze.envs.errors.GoalmazeError: --import mine.py: the family name 'GreenExit' is in use by "
        "goalmaze.envs.families.green_exit.GreenExit: choose another name (line 5 of mine.py)"
    )


def test_a_family_that_is_not_registered_is_named_with_the_remedy() -> None:
    family = declared()
    with pytest.raises(GoalmazeError, match="the family 'RedDoor' is not registered: put @register_family above"):
        make_family(family.name)
    with pytest.raises(GoalmazeError, match="unknown family 'GreenExt'"):
        make_family("GreenExt")
