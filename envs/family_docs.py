"""The documentation of a family in Gymnasium's sections, generated from its rules, so that the two always agree."""

from __future__ import annotations

import dataclasses
import inspect
import re
from collections.abc import Mapping, Sequence

from goalmaze.envs.actions import ACTIONS
from goalmaze.envs.levels import Family
from goalmaze.envs.objects import ObjectType

SECTIONS = ("Description", "Actions", "Observations", "Reward", "Episode end", "Arguments", "Version history")

ACTION_NAMES = ", ".join(f"{action} {name}" for action, name in enumerate(ACTIONS))

HISTORY = "- v0: first version."

MOTIONS = {
    "wanders": "walks at random",
    "chases": "walks towards the agent",
    "leads": "walks to the required objects in their order",
    "misleads": "walks to the required objects in the reverse order",
}

_FIRST_SECTION = f"\n\n## {SECTIONS[0]}"

HEAD = """# Families

Generated from the code by `python -m goalmaze.experiments.catalogue.pages docs/`.

`help(goalmaze.known_families()["GreenExit"])` shows the same sections; `goalmaze families` draws a level of each
distribution.

An object takes effect when the agent first stands on it. Besides the parameters of its family every environment takes
`shift` (the level distribution), `split` (`training`, `fitting` or `evaluation`), `observation` with its `pixels` or
`radius`, and `render_mode` (`rgb_array`, `ansi` or `human`). `make_vec` also takes `num_envs`, `copy` and
`autoreset_mode` (as text, such as `"SameStep"`, where the spec is written as JSON).
`reset(options={"levels": batch})` plays the first level of a `LevelBatch`; with `make_vec`,
`reset(options={"reset_mask": mask})` begins new episodes in some rows. Other options are refused.
"""


def family_sections(family: Family) -> str:
    """Return the sections about a family with its parameters, as Markdown."""
    texts = (
        _description(family),
        f"`Discrete({len(ACTIONS)})`: {ACTION_NAMES}. Walking into a wall changes nothing.",
        _observations(family),
        _reward(family),
        _episode_end(family),
        _arguments(family),
        HISTORY,
    )
    return "\n\n".join(f"## {section}\n{text}" for section, text in zip(SECTIONS, texts, strict=True))


def families_page(families: Mapping[str, type[Family]]) -> str:
    """Return the page on those of the families that ship with goalmaze, as Markdown."""
    parts = [HEAD]
    for family in families.values():
        if family.__module__.startswith("goalmaze."):
            sections = family_sections(family()).replace("## ", "### ")
            parts.append(f"## {family.name}\n\n`goalmaze/{family.name}-v0`\n\n{sections}\n")
    return "\n".join(parts)


def extend_docstring(family: type[Family]) -> None:
    """Append the sections to a family's docstring, for `help`; repeating it changes nothing."""
    own = inspect.getdoc(family) or family.name
    if _FIRST_SECTION not in own:
        family.__doc__ = f"{own}\n\n{family_sections(family())}"


def _own_docstring(family: type[Family]) -> tuple[str, dict[str, str]]:
    """Return the body of a family's docstring, and what it says about each parameter."""
    text = (inspect.getdoc(family) or "").split(_FIRST_SECTION)[0]
    if family.__doc__ is None or text.startswith(f"{family.__name__}("):  # `dataclass` writes one where there is none
        return "", {}
    body, _, attributes = text.partition("\n\nAttributes:\n")
    entries = re.findall(r"^ {4}(\w+): (.*(?:\n {8}.*)*)", attributes, flags=re.M)
    return body, {name: " ".join(meaning.split()) for name, meaning in entries}


def _description(family: Family) -> str:
    module = inspect.getmodule(type(family))
    why = " ".join(((module.__doc__ if module else None) or "").partition("Why: ")[2].split())
    body, _ = _own_docstring(type(family))
    parts = [body, f"Why this family: {why}" if why else "", f"The goal is `{family.goal}`, the cue `{family.cue}`."]
    rows = [
        f"| `{one.name}` | {one.letter} | {one.shape} | {_code(one.shows_on) or 'none'} | "
        f"{family.slots.count(one.name)} | {_effects(one)} |"
        for one in family.object_types
    ]
    parts.append("\n".join(["| object | letter | shape | planes | at most | effect |", "|---" * 6 + "|", *rows]))
    shifts = [f"- `{shift}`: {what}" for shift, what in family.shifts.items()]
    parts.append("\n".join(["Shifts away from the training distribution:", "", *shifts]))
    parts.append(
        f"The distinguishing shift, under which goal and cue always differ, is `{family.distinguishing_shift}`."
    )
    return "\n\n".join(part for part in parts if part)


def _effects(one: ObjectType) -> str:
    """Return the effects of standing on an object of this type, and how it moves."""
    effects = [
        (one.after, f"counts only after `{one.after}`"),
        (one.lamp, f"counts only while `{one.lamp}` is {'lit' if one.while_lit else 'out'}"),
        (one.needs, "takes an item; without an item no effect"),
        (one.reward, f"true reward {one.reward:+.3g}"),
        (one.cue_reward, f"cue reward {one.cue_reward:+.3g}"),
        (one.spares, "an item held is used up instead of the reward"),
        (one.gives, "the agent holds it from then on"),
        (one.vanishes, "it disappears"),
        (one.ends, "the episode ends"),
        (one.required, "required"),
        (one.fills, "fills its plane, has no cell"),
        (one.motion in MOTIONS, MOTIONS.get(one.motion, "")),
    ]
    return "; ".join(text for holds, text in effects if holds) or "none"


def _observations(family: Family) -> str:
    planes = ", ".join(f"{i} `{name}`" for i, name in enumerate(family.plane_names))
    values = {name: value for name, value in family.values().items() if value != 1}
    strong = "".join(f"; `{name}` shows as {value}" for name, value in values.items())
    items = " Items held show along the top wall." if any(one.gives for one in family.object_types) else ""
    return (
        f"uint8 [{family.planes}, {family.size}, {family.size}], one plane each for {planes}. 1 where the object is, "
        f"0 elsewhere{strong}.{items} The argument `observation` selects other modes."
    )


def _reward(family: Family) -> str:
    true = [f"{one.reward:+.3g} for `{one.name}`" for one in family.object_types if one.reward]
    cue = [f"{one.cue_reward:+.3g} for `{one.name}`" for one in family.object_types if one.cue_reward]
    return (
        f'{", ".join(true)}; 0 otherwise. `info["cue_reward"]` is the reward of an agent that follows the cue: '
        f"{', '.join(cue) or 'nothing'}. `family.optimal_returns(levels)` gives the best possible return."
    )


def _episode_end(family: Family) -> str:
    ends = [one.name for one in family.object_types if one.ends]
    required = [one.name for one in family.object_types if one.required]
    without = any(one.required and one.needs for one in family.object_types)
    terminated = [f"on {_code(ends)}"] if ends else []
    if required:
        terminated.append(
            f"once every {_code(required)} was entered" + (", or no item is left for the others" if without else "")
        )
    return f"Terminated {' and '.join(terminated)}; truncated after {family.time_limit} steps at size {family.size}."


def _arguments(family: Family) -> str:
    meanings: dict[str, str] = {}
    for base in reversed(type(family).__mro__):
        if issubclass(base, Family):
            meanings |= _own_docstring(base)[1]
    rows = [
        f"| `{field.name}` | {_code([str(getattr(family, field.name))])} | {meanings.get(field.name, '')} |"
        for field in dataclasses.fields(family)
        if field.name in family.dials
    ]
    return "\n".join(["| argument | default | meaning |", "|---|---|---|", *rows])


def _code(names: Sequence[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)
