"""The messages a page may send: one type each, named by the key `do`; all others are refused."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from goalmaze.envs.errors import GoalmazeError
from goalmaze.experiments.live.settings import Cell, Change, Name

MAX_MESSAGE_BYTES = 16_384


class BaseMessage(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, tag_field="do"):
    """The fields of all messages.

    Attributes:
        n: the number the page gave the message; a state carries the number of the last message that was
            handled before it.
        drag: the number of a drag, 0 for none; the changes of one drag are undone together.
    """

    n: Annotated[int, Meta(ge=0, le=2**53)] = 0
    drag: Annotated[int, Meta(ge=0, le=2**53)] = 0


class Choose(BaseMessage, frozen=True, kw_only=True, tag="choose"):
    """Change settings."""

    change: Change


class Move(BaseMessage, frozen=True, kw_only=True, tag="move"):
    """Put the agent, the target, or the `which`-th object of a type on a cell."""

    what: Name
    cell: Cell
    which: Annotated[int, Meta(ge=0, lt=64)] = 0


class Wall(BaseMessage, frozen=True, kw_only=True, tag="wall"):
    """Add or remove a wall."""

    cell: Cell
    up: bool


class Paste(BaseMessage, frozen=True, kw_only=True, tag="paste"):
    """Change to a level given as text."""

    text: Annotated[str, Meta(max_length=4096)]


class Inspect(BaseMessage, frozen=True, kw_only=True, tag="inspect"):
    """Show the activation of a map; that of the edited site where empty."""

    site: Name


class Step(BaseMessage, frozen=True, kw_only=True, tag="step"):
    """Let both agents take one step."""


class Restart(BaseMessage, frozen=True, kw_only=True, tag="restart"):
    """Begin the episodes of both agents anew."""


class Undo(BaseMessage, frozen=True, kw_only=True, tag="undo"):
    """Undo the last change."""


class Clear(BaseMessage, frozen=True, kw_only=True, tag="clear"):
    """Set the counts of outcomes to zero."""


Message = Choose | Move | Wall | Paste | Inspect | Step | Restart | Undo | Clear

_decoder: msgspec.json.Decoder[Message] = msgspec.json.Decoder(Message)


def read_message(data: str | bytes) -> Message:
    """Return the message in JSON text.

    Raises:
        GoalmazeError: it is too long, not JSON, or none of the known messages.
    """
    if len(data) > MAX_MESSAGE_BYTES:
        raise GoalmazeError(f"the message has {len(data)} characters: at most {MAX_MESSAGE_BYTES} are allowed")
    try:
        return _decoder.decode(data)
    # Deeply nested JSON raises a RecursionError, which would end the connection without a message.
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise GoalmazeError(f"message not understood: {error}") from None


def supersedes(new: Message, old: Message) -> bool:
    """Return whether a message replaces an earlier one that still waits: the same object, dragged on."""
    # Only the last cell of a drag matters. Without this, a fast drag would queue more messages than can be answered.
    return (
        isinstance(new, Move)
        and isinstance(old, Move)
        and (new.what, new.which, new.drag) == (old.what, old.which, old.drag)
    )
