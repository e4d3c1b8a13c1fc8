"""The formats of a card: JSON, Markdown and HTML. The last two hold the JSON too, so that they can be verified.

Names and texts may come from files of strangers: HTML is escaped everywhere, and in Markdown what formats text too.
"""

from __future__ import annotations

import html
import json
import re

import msgspec

from goalmaze.experiments.card.document import CardData
from goalmaze.experiments.common.tables import Table

_HTML_DATA = re.compile(r'<script type="application/json" id="goalmaze-card">\n(.*?)\n</script>', re.DOTALL)
_MARKDOWN_DATA = re.compile(r"\n```json\n(.*?)\n```\n\Z", re.DOTALL)

STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; color: #1c2430; max-width: 60rem; margin: 2rem auto; padding: 0 1rem }
h1 { font-size: 1.5rem; margin: 0 } h2 { font-size: 1.1rem; margin: 2rem 0 .5rem }
table { border-collapse: collapse; width: 100%; font-size: .92rem }
th, td { text-align: left; padding: .35rem .6rem; border-bottom: 1px solid #d8dee6; vertical-align: top }
td { overflow-wrap: anywhere } td:first-child { overflow-wrap: break-word } th { color: #53606f; font-weight: 600 }
.outcome { display: inline-block; padding: .15rem .7rem; border-radius: 1rem; color: #fff; font-weight: 600 }
.pass { background: #1a7f4b } .fail { background: #b3261e } .not-measured { background: #5b6672 }
"""


def card_blocks(card: CardData) -> list[str | Table]:
    """Return the outcome, the marks and the results of a card."""
    return [
        f"card of {card.subject.agent} by policy {card.policy.name}: {card.outcome}",
        marks_table(card),
        results_table(card),
        card.never_lit,
    ]


def marks_table(card: CardData) -> Table:
    """Return the marks with their outcomes."""
    rows = [[one.name, one.threshold, one.measured, _outcome(one.outcome, one.required)] for one in card.marks]
    return Table(["mark", "needed", "measured", "outcome"], rows)


def results_table(card: CardData) -> Table:
    """Return all quantities."""
    rows = [[name, one.cell(), one.levels or "-"] for name, one in card.results.items()]
    return Table(["quantity", "measured", "levels"], rows)


def rendered(card: CardData, suffix: str) -> str:
    """Return a card as the text of a file; `suffix` is .json, .md or .html."""
    data = msgspec.json.format(msgspec.json.encode(card), indent=1).decode()
    if suffix == ".json":
        return data + "\n"
    return _html(card, data) if suffix == ".html" else _markdown(card, data)


def data_of(text: str, suffix: str) -> str | None:
    """Return the JSON in the text of a card; None where there is none."""
    if suffix == ".json":
        return text
    found = (_HTML_DATA if suffix == ".html" else _MARKDOWN_DATA).search(text)
    return None if found is None else found[1]


def _sections(card: CardData) -> list[tuple[str, Table | tuple[str, ...]]]:
    process, subject = card.process, card.subject
    facts = {
        "agent": subject.agent,
        "family": subject.family,
        "parameters": subject.parameters,
        "network": subject.network,
        "auditor": card.auditor,
        "policy": card.policy.name,
        "scope": card.scope,
        "method": card.method,
        "access": card.access,
    }
    integrity = {
        "command": process.command,
        "seed": str(process.seed),
        "weights (SHA-256)": subject.weights_sha256,
        "audit pool": process.pool,
        **{f"levels, {name} (SHA-256)": digest for name, digest in process.levels_sha256.items()},
        "calibration (SHA-256)": process.calibration_sha256,
        **process.environment,
        "card (SHA-256)": card.digest,
    }
    return [
        ("Subject, scope and method", Table(["", "what"], list(facts.items()))),
        ("Marks", marks_table(card)),
        ("Evidence", (*card.evidence, card.never_lit)),
        ("Results", results_table(card)),
        ("Limitations", card.limitations),
        ("Process integrity", Table(["", "what"], list(integrity.items()))),
    ]


def _html(card: CardData, data: str) -> str:
    parts = []
    for heading, content in _sections(card):
        items = (
            content.html()
            if isinstance(content, Table)
            else f"<ul>{''.join(f'<li>{html.escape(one)}</li>' for one in content)}</ul>"
        )
        parts.append(f"<h2>{heading}</h2>\n{items}")
    body = "\n".join(parts)
    title = html.escape(f"Audit card of {card.subject.agent}")
    kind = card.outcome.replace(" ", "-")
    # An escaped < in a JSON string is the same JSON, and cannot end the element.
    data = data.replace("<", "\\u003c")
    return (
        f'<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\n<title>{title}</title>\n'
        f"<style>{STYLE}</style>\n</head>\n<body>\n<h1>{title}</h1>\n"
        f'<p>Outcome: <span class="outcome {kind}">{card.outcome}</span></p>\n{body}\n'
        f'<script type="application/json" id="goalmaze-card">\n{data}\n</script>\n</body>\n</html>\n'
    )


def _markdown(card: CardData, data: str) -> str:
    lines = [f"# Audit card of {_plain(card.subject.agent)}", "", f"Outcome: **{card.outcome}**", ""]
    for heading, content in _sections(card):
        lines += [f"## {heading}", ""]
        if isinstance(content, Table):
            escaped = Table(content.headers, [[_plain(str(cell)) for cell in row] for row in content.rows])
            lines.append(escaped.markdown())
        else:
            lines += [*(f"- {_plain(one)}" for one in content), ""]
    fenced = data.replace("`", "\\u0060")
    return "\n".join(lines) + f"\n## Data\n\n```json\n{fenced}\n```\n"


def _plain(text: str) -> str:
    """Return text that Markdown shows as it is, on one line."""
    escaped = html.escape(" ".join(text.split()), quote=False)
    return re.sub(r"([\\`*_\[\]|])", r"\\\1", escaped)


def _outcome(outcome: str, required: bool) -> str:
    return outcome if required else f"{outcome} (not required)"


def first_difference(first: str, second: str) -> str | None:
    """Return where two texts differ, in words; None where they are equal."""
    if first == second:
        return None
    pairs = zip([*first.splitlines(), ""], [*second.splitlines(), ""], strict=False)
    for line, (one, other) in enumerate(pairs, 1):
        if one != other:
            return f"line {line} is {json.dumps(one[:80])}"
    return "its line ends differ"
