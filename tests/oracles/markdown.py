"""Reads Markdown: sections by their headings, and the rows of tables."""

from __future__ import annotations

import re


def sections(text: str, depth: int) -> dict[str, str]:
    """Return the body of each section whose heading has `depth` hashes, up to the next heading of that depth."""
    parts = re.split(rf"^{'#' * depth} (.*)\n", text, flags=re.MULTILINE)[1:]
    return {title: body.strip() for title, body in zip(parts[::2], parts[1::2], strict=True)}


def table_rows(text: str) -> list[list[str]]:
    """Return the cells of all tables of a text, their headers left out."""
    lines = text.splitlines()
    rows = []
    for number, line in enumerate(lines):
        is_header = lines[number + 1 : number + 2] and re.fullmatch(r"[|\s:-]+", lines[number + 1])
        if line.startswith("|") and not is_header and not re.fullmatch(r"[|\s:-]+", line):
            rows.append([cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]])
    return rows
