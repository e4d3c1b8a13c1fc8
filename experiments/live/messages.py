"""What a page may ask for: one type a message, told apart by `do`, nothing else understood."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from goalmaze.envs.errors import GoalmazeError
from goalmaze.experiments.live.settings import Cell, Change, Name

MAX_MESSAGE_BYTES = 16_384
"""Bytes."""


class Message(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, tag_field="do"):
    """What all have in common.

    Attributes:
        n: the page's number for it; the answer carries the number of the last message it takes into account.
        drag: changes with the same number, other than 0, are undone together.
    """

    n: Annotated[int, Meta(ge=0, le=2**53)] = 0
    drag: Annotated[int, Meta(ge=0, le=2**53)] = 0


class Choose(Message, frozen=True, kw_only=True, tag="choose"):
    """Change settings."""

    change: Change


class Move(Message, frozen=True, kw_only=True, tag="move"):
    """Put the agent, the target, or the `which`-th object of a kind on a cell."""

    what: Name
    cell: Cell
    which: Annotated[int, Meta(ge=0, lt=64)] = 0


class Wall(Message, frozen=True, kw_only=True, tag="wall"):
    """Put a wall up or take it down."""

    cell: Cell
    up: bool


class Paste(Message, frozen=True, kw_only=True, tag="paste"):
    """Turn to a level drawn as text."""

    text: Annotated[str, Meta(max_length=4096)]


class Look(Message, frozen=True, kw_only=True, tag="look"):
    """Look at another map than the one edited; at that one where empty."""

    site: Name


class Step(Message, frozen=True, kw_only=True, tag="step"):
    """One step of both agents."""


class Restart(Message, frozen=True, kw_only=True, tag="restart"):
    """Both agents back to the start."""


class Undo(Message, frozen=True, kw_only=True, tag="undo"):
    """Take the last change back."""


class Clear(Message, frozen=True, kw_only=True, tag="clear"):
    """Set the counters to zero."""


Known = Choose | Move | Wall | Paste | Look | Step | Restart | Undo | Clear

_decoder: msgspec.json.Decoder[Known] = msgspec.json.Decoder(Known)


def read_message(data: str | bytes) -> Known:
    """Return the message in JSON text.

    Raises:
        GoalmazeError: it is too large, not JSON, or none of the known messages.
    """
    if len(data) > MAX_MESSAGE_BYTES:
        raise GoalmazeError(f"the message has {len(data)} characters: {MAX_MESSAGE_BYTES} is the most")
    try:
        return _decoder.decode(data)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise GoalmazeError(f"message not understood: {error}") from None


def supersedes(new: Known, old: Known) -> bool:
    """Return whether a message makes an earlier one, still waiting, pointless: the same thing dragged on."""
    return (
        isinstance(new, Move)
        and isinstance(old, Move)
        and (new.what, new.which, new.drag) == (old.what, old.which, old.drag)
    )
