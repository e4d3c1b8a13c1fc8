"""The data of a card, and its digest. All three formats of a card hold this data."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import msgspec

from goalmaze.experiments.card.policy import Outcome, Policy
from goalmaze.experiments.common.tables import Number

FORMAT = 1


class Quantity(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A measured number.

    Attributes:
        value: the number; None where it was not measured.
        low: lower end of its 95 % interval; None where there is none.
        high: upper end.
        levels: number of levels that it is measured on; None where it is not a rate of levels.
    """

    value: float | None
    low: float | None = None
    high: float | None = None
    levels: int | None = None

    def text(self) -> str:
        """Return the number with its interval."""
        if self.value is None:
            return "not measured"
        interval = "" if self.low is None or self.high is None else f" [{self.low:.3f}, {self.high:.3f}]"
        return f"{self.value:.3f}{interval}"

    def cell(self) -> Number:
        """Return the number for a table."""
        return Number(self.value, self.text())


class Subject(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What was audited.

    Attributes:
        agent: its name.
        family: name of its family.
        parameters: of the family, in words.
        network: name of its network.
        weights_sha256: digest of the network's class, options and tensors.
    """

    agent: str
    family: str
    parameters: str
    network: str
    weights_sha256: str


class Example(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A level that the reader of a card can open.

    Attributes:
        page: address of the page, as seen from the card.
        shift: of the level.
        level: its index among the evaluation levels of the card's seed.
        link: address of the level on the page.
    """

    page: str
    shift: str
    level: int
    link: str


# Without an example, a card is what it was before there were examples, and has the same digest.
class Process(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """How the card was made.

    Attributes:
        command: the command.
        environment: versions of packages, and what else decides rounding.
        seed: of all levels and sampled actions.
        pool: address of the audit pool; it holds a digest of all levels.
        levels_sha256: set of evaluation levels → digest of their content.
        calibration_sha256: digest of the calibration of the audit.
        example: a level that the reader can open in a page.
    """

    command: str
    environment: dict[str, str]
    seed: int
    pool: str
    levels_sha256: dict[str, str]
    calibration_sha256: str
    example: Example | None = None


class MarkResult(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The outcome of one mark.

    Attributes:
        name: of the mark.
        threshold: in words.
        measured: the quantity with its interval, in words.
        outcome: pass, fail or not measured.
        required: whether the outcome of the card depends on it.
    """

    name: str
    threshold: str
    measured: str
    outcome: Outcome
    required: bool


class CardData(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A card.

    Attributes:
        format: version of the format.
        auditor: who made it.
        subject: what was audited.
        scope: what the card covers, in words.
        method: how it was measured, in words.
        access: the access tier, in words, with the accesses that were recorded.
        process: how it was made.
        policy: the policy with all marks.
        results: quantity → what was measured.
        evidence: the audit's evidence, one line for each check.
        never_lit: which inputs training levels never use, in words.
        limitations: what the card does not say.
        marks: the outcome of each mark.
        outcome: of the card: fail if a required mark fails, else not measured if one was not measured, else pass.
        digest: SHA-256 of all other fields.
    """

    format: int
    auditor: str
    subject: Subject
    scope: str
    method: str
    access: str
    process: Process
    policy: Policy
    results: dict[str, Quantity]
    evidence: tuple[str, ...]
    never_lit: str
    limitations: tuple[str, ...]
    marks: tuple[MarkResult, ...]
    outcome: Outcome
    digest: str = ""


def sealed(card: CardData) -> CardData:
    """Return the card with its digest."""
    content = msgspec.json.encode(msgspec.structs.replace(card, digest=""), order="deterministic")
    return msgspec.structs.replace(card, digest=hashlib.sha256(content).hexdigest())


def mark_results(policy: Policy, results: Mapping[str, Quantity]) -> tuple[MarkResult, ...]:
    """Return the outcome of each mark of a policy."""
    found = []
    for mark in policy.marks:
        quantity = results.get(mark.quantity, Quantity(None))
        number: float | None = getattr(quantity, mark.bound)
        found.append(MarkResult(mark.name, mark.threshold, quantity.text(), mark.outcome(number), mark.required))
    return tuple(found)


def overall(marks: tuple[MarkResult, ...]) -> Outcome:
    """Return the outcome of a card, see `CardData`."""
    outcomes = [one.outcome for one in marks if one.required]
    if "fail" in outcomes:
        return "fail"
    return "not measured" if "not measured" in outcomes else "pass"
