"""The messages a page may send: one type each, named by the key `do`; all others are refused."""

from __future__ import annotations

import dataclasses
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from goalmaze.envs.errors import GoalmazeError
from goalmaze.experiments.live.settings import Cell, Change, Name, validation_text

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


class Cancel(BaseMessage, frozen=True, kw_only=True, tag="cancel"):
    """Stop waiting for the edit that is being fitted for this page."""


class Wall(BaseMessage, frozen=True, kw_only=True, tag="wall"):
    """Add or remove a wall."""

    cell: Cell
    up: bool


class Paste(BaseMessage, frozen=True, kw_only=True, tag="paste"):
    """Change to a level given as text, or to the scene of a link."""

    text: Annotated[str, Meta(max_length=8400)]


class Inspect(BaseMessage, frozen=True, kw_only=True, tag="inspect"):
    """Show the activation of a map; that of the edited site where empty."""

    site: Name


class Step(BaseMessage, frozen=True, kw_only=True, tag="step"):
    """Let both agents take one step."""


class Restart(BaseMessage, frozen=True, kw_only=True, tag="restart"):
    """Begin the episodes of both agents anew."""


class Undo(BaseMessage, frozen=True, kw_only=True, tag="undo"):
    """Undo the last change."""


class Measure(BaseMessage, frozen=True, kw_only=True, tag="measure"):
    """Measure the agents of the scene on many mazes, in the background."""

    what: Literal["tally", "effect", "layers"]


class Why(BaseMessage, frozen=True, kw_only=True, tag="why"):
    """Explain the next decision of the unedited agent."""


class Clear(BaseMessage, frozen=True, kw_only=True, tag="clear"):
    """Set the counts of outcomes to zero."""


Message = Choose | Move | Wall | Paste | Inspect | Step | Restart | Undo | Clear | Cancel | Measure | Why


@dataclasses.dataclass(frozen=True)
class Refusal:
    """A message that was not understood.

    Attributes:
        n: the number that the page gave it, 0 where it has none.
        text: why it was refused.
    """

    n: int
    text: str


class _Numbered(msgspec.Struct):
    """The number of a message, read from a message that is not understood otherwise."""

    n: Annotated[int, Meta(ge=0, le=2**53)] = 0


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
        raise GoalmazeError(f"the message was not understood: {validation_text(error)}") from None


def read_or_refuse(data: str | bytes) -> Message | Refusal:
    """Return the message in JSON text, or the refusal that answers it."""
    try:
        return read_message(data)
    except GoalmazeError as error:
        return Refusal(_number(data), str(error))


def _number(data: str | bytes) -> int:
    try:
        return msgspec.json.decode(data, type=_Numbered).n
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return 0


def supersedes(new: Message | Refusal, old: Message | Refusal) -> bool:
    """Return whether a message replaces an earlier one that still waits: the same object or slider, dragged on."""
    # Only the end of a drag matters. Without this, a fast drag would queue more messages than can be answered.
    if isinstance(new, Move) and isinstance(old, Move):
        return (new.what, new.which, new.drag) == (old.what, old.which, old.drag)
    if isinstance(new, Choose) and isinstance(old, Choose) and new.drag:
        return new.drag == old.drag and _names(new.change) == _names(old.change)
    return False


def _names(change: Change) -> set[str]:
    """Return the names of the settings that a change holds."""
    return {name for name in change.__struct_fields__ if getattr(change, name) is not msgspec.UNSET}
