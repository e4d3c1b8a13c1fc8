"""The files of the page, and the page with one of its two back ends."""

from __future__ import annotations

import importlib.resources
from collections.abc import Sequence
from typing import Literal

from goalmaze.experiments.common.style_sheet import style_sheet

LOOK = "look.css"
"""The colours and fonts, which are no file but come from `goalmaze.envs.look`."""

STYLES = (LOOK, "style.css", "site.css")

FRAME_SCRIPTS = ("draw.js", "page.js", "charts.js", "texts.js", "stage.js")
"""Scripts of every stage, in the order in which they run."""

NETWORK_SCRIPTS = ("simd.js", "network.js", "rules.js", "agents.js", "session.js")
"""Scripts that run networks and rules in the browser; `data.js` and `population.js` come before them."""

STORY_SCRIPTS = ("story.js", "lottery.js")
STATIC_SCRIPTS, PYTHON_SCRIPTS = ("static.js",), ("socket.js", "why.js")
"""The back ends of the instrument."""

START_SCRIPTS = ("instrument.js", "start.js")
DATA_SCRIPTS = ("data.js", "population.js")
"""Scripts that `goalmaze.experiments.site` writes."""

STATIC_PAGE = (*FRAME_SCRIPTS, *NETWORK_SCRIPTS, *STORY_SCRIPTS, *STATIC_SCRIPTS, *START_SCRIPTS)
PYTHON_PAGE = (*FRAME_SCRIPTS, *PYTHON_SCRIPTS, *START_SCRIPTS)
PYTHON_PAGE_WITH_STORY = (*FRAME_SCRIPTS, *NETWORK_SCRIPTS, *STORY_SCRIPTS, *PYTHON_SCRIPTS, *START_SCRIPTS)

STATIC_POLICY = "connect-src 'none'; form-action 'none'; base-uri 'none'; object-src 'none'; frame-src 'none'"


def page_file(name: str) -> str:
    """Return the text of one of the page's files."""
    if name == LOOK:
        return style_sheet()
    return (importlib.resources.files("goalmaze.experiments.page") / "assets" / name).read_text("utf-8")


def static_page() -> str:
    """Return the page that needs no server; its styles and scripts are files beside it."""
    styles = [f'<link rel="stylesheet" href="{name}">' for name in STYLES]
    scripts = [f'<script src="{name}"></script>' for name in (*DATA_SCRIPTS, *STATIC_PAGE)]
    policy = f'<meta http-equiv="Content-Security-Policy" content="{STATIC_POLICY}">'
    return _page("static", story=True, head=[policy], styles=styles, scripts=scripts)


def served_page(nonce: str, data: Sequence[str] = (), copy: str = "") -> str:
    """Return the page whose instrument runs in Python, as one file; it uses scripts and styles with the nonce alone.

    Args:
        nonce: of this answer.
        data: addresses of `DATA_SCRIPTS`; without them the page has no story.
        copy: the address of a static copy, to which copied links lead; links lead to this server where it is empty.
    """
    names = PYTHON_PAGE_WITH_STORY if data else PYTHON_PAGE
    styles = [f'<style nonce="{nonce}">{page_file(name)}</style>' for name in STYLES]
    scripts = [f'<script nonce="{nonce}" src="{address}"></script>' for address in data]
    scripts.append(f'<script nonce="{nonce}">' + "\n".join(map(page_file, names)) + "</script>")
    return _page("python", story=bool(data), head=[], styles=styles, scripts=scripts, copy=copy)


def _page(
    back_end: Literal["static", "python"],
    *,
    story: bool,
    head: Sequence[str],
    styles: Sequence[str],
    scripts: Sequence[str],
    copy: str = "",
) -> str:
    parts = {
        "<!--POLICY-->": "\n".join(head),
        "<!--STYLES-->": "\n".join(styles),
        'data-back-end="BACK_END"': f'data-back-end="{back_end}"',
        'data-story="STORY"': f'data-story="{"yes" if story else "no"}" data-copy="{_attribute(copy)}"',
        "<!--SCRIPTS-->": "\n".join(scripts),
    }
    page = page_file("index.html")
    for place, text in parts.items():
        page = page.replace(place, text)
    return page


def _attribute(text: str) -> str:
    return text.replace("&", "&amp;").replace('"', "&quot;").replace("<", "&lt;")
