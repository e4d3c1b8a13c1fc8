"""The formats of a card: JSON, Markdown and HTML. The last two hold the JSON too, so that they can be verified.

Names and texts may come from files of strangers: HTML is escaped everywhere, and in Markdown what formats text too.
"""

from __future__ import annotations

import html
import json
import re
import shlex

import msgspec

from goalmaze.experiments.card.document import CardData
from goalmaze.experiments.common.style_sheet import style_sheet
from goalmaze.experiments.common.tables import Table

_HTML_DATA = re.compile(r'<script type="application/json" id="goalmaze-card">\n(.*?)\n</script>', re.DOTALL)
_MARKDOWN_DATA = re.compile(r"\n```json\n(.*?)\n```\n\Z", re.DOTALL)

STYLE = """
* { box-sizing: border-box; }
body { margin: 0; padding: 28px 24px 40px; background: var(--paper); color: var(--ink); font: 16px/1.5 var(--font); }
main { max-width: 1000px; margin: 0 auto; }
.kicker { margin: 0; color: var(--muted); font-size: 14px; }
h1 { font-size: 30px; line-height: 1.15; margin: 2px 0 12px; letter-spacing: -0.02em; overflow-wrap: anywhere; }
h2 { font-size: 22px; line-height: 1.2; margin: 0 0 10px; letter-spacing: -0.01em; }
a { color: var(--accent); }
:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px; }
section { margin: 0 0 22px; padding: 20px 24px; background: var(--card); border: 1px solid var(--line);
  border-radius: 12px; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: 14px; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: 6px 10px; border-top: 1px solid var(--line); vertical-align: top; }
thead th { border-top: 0; color: var(--muted); font-weight: 600; }
td { overflow-wrap: anywhere; } td:first-child { overflow-wrap: break-word; }
ul { margin: 0; padding-left: 20px; }
.outcome { display: inline-block; padding: 2px 12px; border-radius: 20px; color: var(--on-outcome); font-weight: 600; }
.pass { background: var(--good); } .fail { background: var(--bad); } .not-measured { background: var(--muted); }
@media (max-width: 600px) {
  body { padding: 16px 12px; } section { padding: 14px; border-radius: 10px; }
  h1 { font-size: 24px; } h2 { font-size: 20px; }
}
@media print {
  body { padding: 0; font-size: 10.5pt; } section { border: 0; padding: 0; } h2 { break-after: avoid; }
  tr { break-inside: avoid; } .outcome { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
}
@media (forced-colors: active) { .outcome { border: 2px solid; } }
"""


_EXAMPLE = "the first evaluation level on which behaviour tells goal and cue apart"
_LIVE = "With the package, this opens the agent in a maze whose objects can be moved and whose goal can be edited"


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
        ("Subject, scope and method", Table(["item", "content"], list(facts.items()))),
        ("Marks", marks_table(card)),
        ("Evidence", (*card.evidence, card.never_lit)),
        ("Results", results_table(card)),
        ("Limitations", card.limitations),
        ("Process integrity", Table(["item", "content"], list(integrity.items()))),
    ]


def _html(card: CardData, data: str) -> str:
    parts = []
    for heading, content in _sections(card):
        items = (
            f'<div class="wide" tabindex="0" role="region" aria-label="{heading}">{content.html()}</div>'
            if isinstance(content, Table)
            else f"<ul>{''.join(f'<li>{html.escape(one)}</li>' for one in content)}</ul>"
        )
        parts.append(f"<section>\n<h2>{heading}</h2>\n{items}\n</section>")
    body = "\n".join((*parts, f"<section>\n<h2>Open a level</h2>\n{_example_html(card)}\n</section>"))
    title = html.escape(f"Audit card of {card.subject.agent}")
    kind = card.outcome.replace(" ", "-")
    # An escaped < in a JSON string is the same JSON, and cannot end the element.
    data = data.replace("<", "\\u003c")
    return (
        f'<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\n<title>{title}</title>\n'
        f"<style>\n{style_sheet()}{STYLE}</style>\n</head>\n<body>\n<main>\n"
        f'<p class="kicker">goalmaze · audit card</p>\n<h1>{title}</h1>\n'
        f'<p>Outcome: <span class="outcome {kind}">{card.outcome}</span></p>\n{body}\n</main>\n'
        f'<script type="application/json" id="goalmaze-card">\n{data}\n</script>\n</body>\n</html>\n'
    )


def _example_html(card: CardData) -> str:
    example, command = card.process.example, f"<p><code>{html.escape(_live_command(card))}</code></p>"
    if example is None:
        return f"<p>{_LIVE}:</p>\n{command}"
    link = f'<a href="{html.escape(example.link)}">Open level {example.level} under {html.escape(example.shift)}</a>'
    return f"<p>{link}: {_EXAMPLE}. {_LIVE}:</p>\n{command}"


def _live_command(card: CardData) -> str:
    example = card.process.example
    shift = "" if example is None else f" --shift {shlex.quote(example.shift)} --level {example.level}"
    return f"goalmaze live {shlex.quote(card.subject.agent)}{shift}"


def _markdown(card: CardData, data: str) -> str:
    lines = [f"# Audit card of {_plain(card.subject.agent)}", "", f"Outcome: **{card.outcome}**", ""]
    for heading, content in _sections(card):
        lines += [f"## {heading}", ""]
        if isinstance(content, Table):
            escaped = Table(content.headers, [[_plain(str(cell)) for cell in row] for row in content.rows])
            lines.append(escaped.markdown())
        else:
            lines += [*(f"- {_plain(one)}" for one in content), ""]
    example = card.process.example
    opened = "" if example is None else f"[Open level {example.level}](<{example.link}>): {_EXAMPLE}. "
    lines += ["## Open a level", "", f"{opened}{_LIVE}: {_plain(_live_command(card))}", ""]
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
