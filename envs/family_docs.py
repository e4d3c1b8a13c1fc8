"""What a world is, told in Gymnasium's sections: written from its rules, so that the text cannot drift from them."""

from __future__ import annotations

import dataclasses
import inspect
import re

from goalmaze.envs.families import known_families
from goalmaze.envs.levels import Family
from goalmaze.envs.objects import ObjectType

SECTIONS = ("Description", "Actions", "Observations", "Reward", "Episode end", "Arguments", "Version history")

ACTIONS = "`Discrete(4)`: 0 up, 1 right, 2 down, 3 left. Walking into a wall changes nothing."

HISTORY = "- v0: first version."

MOTIONS = {
    "wanders": "walks at random",
    "chases": "comes for the agent",
    "leads": "walks to the required objects in their order",
    "misleads": "walks to the required objects in the reverse order",
}

_FIRST_SECTION = f"\n\n## {SECTIONS[0]}"

HEAD = """# Families

Generated from the code by `python -m goalmaze.experiments.catalogue.pages docs/`.

The same sections stand in `help(goalmaze.envs.families.known_families()["GreenExit"])`; `goalmaze families` draws a
level of each distribution.

What follows from an object follows when the agent stands on it for the first time. Beside its family's parameters every
environment takes `shift` (the level distribution), `split` (`training`, `fitting` or `evaluation`), `observation` with
its `pixels` or `radius`, and `render_mode` (`rgb_array`, `ansi` or `human`). `make_vec` takes `num_envs`, `copy` and
`autoreset_mode` as well (as text, such as `"SameStep"`, where the spec is to be written as JSON).
`reset(options={"levels": batch})` plays the first level of a `LevelBatch`; with `make_vec`,
`reset(options={"reset_mask": mask})` begins new episodes in some rows.
"""


def manual(family: Family) -> str:
    """Return the sections about a family with its parameters, as Markdown."""
    texts = (
        _description(family),
        ACTIONS,
        _observations(family),
        _reward(family),
        _episode_end(family),
        _arguments(family),
        HISTORY,
    )
    return "\n\n".join(f"## {section}\n{text}" for section, text in zip(SECTIONS, texts, strict=True))


def describe(kind: type[Family]) -> None:
    """Add the sections to the docstring of a family, where it lacks them, for those who call `help`."""
    own = inspect.getdoc(kind) or kind.name
    if _FIRST_SECTION not in own:
        kind.__doc__ = f"{own}\n\n{manual(kind())}"


def page() -> str:
    """Return the page on all families that come with the package, as Markdown."""
    parts = [HEAD]
    for name, kind in known_families().items():
        if kind.__module__.startswith("goalmaze."):
            parts.append(f"## {name}\n\n`goalmaze/{name}-v0`\n\n" + manual(kind()).replace("## ", "### ") + "\n")
    return "\n".join(parts)


def _own_words(kind: type[Family]) -> tuple[str, dict[str, str]]:
    """Return what a family's docstring says, and what it says of each parameter."""
    text = (inspect.getdoc(kind) or "").split(_FIRST_SECTION)[0]
    if kind.__doc__ is None or text.startswith(f"{kind.__name__}("):  # what dataclass writes where there is none
        return "", {}
    body, _, attributes = text.partition("\n\nAttributes:\n")
    entries = re.findall(r"^ {4}(\w+): (.*(?:\n {8}.*)*)", attributes, flags=re.M)
    return body, {name: " ".join(meaning.split()) for name, meaning in entries}


def _description(family: Family) -> str:
    kind = type(family)
    module = inspect.getmodule(kind)
    why = " ".join(((module.__doc__ if module else None) or "").partition("Why: ")[2].split())
    body, _ = _own_words(kind)
    parts = [body, f"Why this world: {why}" if why else "", f"The goal is `{family.goal}`, the cue `{family.cue}`."]
    rows = [
        f"| `{one.name}` | {one.letter} | {one.shape} | {_code(one.shows_on) or 'none'} | "
        f"{family.slots.count(one.name)} | {_effects(one)} |"
        for one in family.object_types
    ]
    parts.append("\n".join(["| object | letter | shape | planes | at most | what follows |", "|---" * 6 + "|", *rows]))
    shifts = [f"- `{shift}`: {what}" for shift, what in family.shifts.items()]
    parts.append("\n".join(["Shifts away from the training distribution:", "", *shifts]))
    parts.append(f"Under `{family.distinguishing_shift}` goal and cue always part.")
    return "\n\n".join(part for part in parts if part)


def _effects(kind: ObjectType) -> str:
    """Return what follows from standing on an object, and how it moves."""
    said = [
        (kind.after, f"counts only after `{kind.after}`"),
        (kind.lamp, f"counts only while `{kind.lamp}` is {'lit' if kind.while_lit else 'out'}"),
        (kind.needs, "takes an item, and does nothing without"),
        (kind.reward, f"true reward {kind.reward:+.3g}"),
        (kind.cue_reward, f"cue reward {kind.cue_reward:+.3g}"),
        (kind.spares, "an item held is used up instead of the reward"),
        (kind.gives, "the agent holds it from then on"),
        (kind.vanishes, "it is gone"),
        (kind.ends, "the episode ends"),
        (kind.required, "required"),
        (kind.fills, "fills its plane, has no place"),
        (kind.motion in MOTIONS, MOTIONS.get(kind.motion, "")),
    ]
    return "; ".join(text for holds, text in said if holds) or "nothing"


def _observations(family: Family) -> str:
    planes = ", ".join(f"{i} `{name}`" for i, name in enumerate(family.plane_names))
    shown = {name: value for name, value in family.values().items() if value != 1}
    strong = "".join(f"; `{name}` shows as {value}" for name, value in shown.items())
    held = " Items held show along the top wall." if any(kind.gives for kind in family.object_types) else ""
    return (
        f"uint8 [{family.planes}, {family.size}, {family.size}], one plane each for {planes}. 1 where the thing is, "
        f"0 elsewhere{strong}.{held} Other modes by the argument `observation`."
    )


def _reward(family: Family) -> str:
    true = [f"{kind.reward:+.3g} for `{kind.name}`" for kind in family.object_types if kind.reward]
    cue = [f"{kind.cue_reward:+.3g} for `{kind.name}`" for kind in family.object_types if kind.cue_reward]
    return (
        f'{", ".join(true)}; 0 otherwise. `info["cue_reward"]` is what an agent after the cue would have earned: '
        f"{', '.join(cue) or 'nothing'}. `family.optimal_returns(levels)` is the best that can be had."
    )


def _episode_end(family: Family) -> str:
    ends = [kind.name for kind in family.object_types if kind.ends]
    required = [kind.name for kind in family.object_types if kind.required]
    without = any(kind.required and kind.needs for kind in family.object_types)
    terminated = [f"on {_code(ends)}"] if ends else []
    if required:
        terminated.append(
            f"once every {_code(required)} was entered" + (", or no item is left for the others" if without else "")
        )
    return f"Terminated {' and '.join(terminated)}; truncated after {family.time_limit} steps at size {family.size}."


def _arguments(family: Family) -> str:
    meanings: dict[str, str] = {}
    for kind in reversed(type(family).__mro__):
        if issubclass(kind, Family):
            meanings |= _own_words(kind)[1]
    rows = [
        f"| `{field.name}` | {_code([str(getattr(family, field.name))])} | {meanings.get(field.name, '')} |"
        for field in dataclasses.fields(family)
    ]
    return "\n".join(["| argument | default | meaning |", "|---|---|---|", *rows])


def _code(names: tuple[str, ...] | list[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)
