"""The states of the static page: what is set and pressed to see each, and what is looked at."""

from __future__ import annotations

import base64
import dataclasses
import gzip
import io
import json
import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from browser import Browser
from numpy.typing import NDArray
from PIL import Image
from repository import ROOT

AXE = ROOT / "tests" / "vendor" / "axe-4.14.1.min.js.gz"
GOLDEN = ROOT / "tests" / "golden" / "site"
PICTURES = os.environ.get("GOALMAZE_PICTURES", "")
"""A folder that gets a picture of every state, where CI keeps them."""

BLOCKS = 18
"""Blocks along a side of a maze that are compared: two a cell at 9×9."""

WIDE, PHONE, ACROSS, ZOOM, PAPER = (1280, 900), (390, 844), (844, 390), (640, 450), (794, 1123)


@dataclasses.dataclass(frozen=True)
class State:
    """One state of the page.

    Attributes:
        size: of the window.
        media: what the reader asks for, as `Browser.size` takes it.
        script: brings the page there.
        ready: a script that is true once the page is there.
        boards: ids of the mazes to compare.
        section: where a picture is taken; the whole page where empty.
    """

    size: tuple[int, int] = WIDE
    media: Mapping[str, bool] = dataclasses.field(default_factory=dict)
    script: str = ""
    ready: str = "true"
    boards: tuple[str, ...] = ()
    section: str = ""


def _played(name: str) -> str:
    return f"(s => !s.playing && s.state.finished)(STAGES.find((s) => s.prefix === '{name}'))"


MOVED = State(script="byId('moved-play').click()", ready=_played("moved"), boards=("moved-unedited",), section="moved")
REWRITE = State(
    script="byId('rewrite-play').click()",
    ready=_played("rewrite"),
    boards=("rewrite-unedited", "rewrite-edited"),
    section="rewrite",
)
SLID = "byId('inside-layer').value = 2; byId('inside-layer').oninput(); byId('inside-channels').children[4].click()"

STATES: dict[str, State] = {
    "aligned": State(boards=("aligned-unedited",), section="aligned"),
    "moved": MOVED,
    "inside": State(script=SLID, boards=("inside-unedited",), section="inside"),
    "reading": State(boards=("reading-unedited",), section="reading"),
    "rewrite": REWRITE,
    "audit": State(boards=("audit-unedited",), section="audit"),
    "instrument": State(boards=("unedited", "edited"), section="instrument"),
    "formation": State(boards=("formation-unedited",), section="formation"),
    "dark": dataclasses.replace(REWRITE, media={"dark": True}),
    "phone": dataclasses.replace(REWRITE, size=PHONE),
    "across": dataclasses.replace(MOVED, size=ACROSS),
    "zoom": dataclasses.replace(REWRITE, size=ZOOM),
    "print": dataclasses.replace(REWRITE, size=PAPER, media={"printed": True}, section=""),
    "forced": dataclasses.replace(REWRITE, media={"forced": True}),
    "forced-dark": dataclasses.replace(MOVED, media={"forced": True, "dark": True}),
}


def bring(page: Browser, state: State) -> None:
    """Bring a page that was just loaded into a state."""
    page.run("STAGES.forEach((stage) => { stage.pace = 1000; })")
    page.run(state.script or "0")
    page.wait(state.ready)
    page.run("redrawAll()")


def blocks(page: Browser, board: str) -> NDArray[np.float64]:
    """Return float64 [BLOCKS, BLOCKS, 3], the mean colour of every block of a maze that the page shows."""
    data = page.run(f"byId('{board}').toDataURL()")
    picture = Image.open(io.BytesIO(base64.b64decode(data.partition(",")[2]))).convert("RGB")
    return np.asarray(picture.resize((BLOCKS, BLOCKS), Image.Resampling.BOX), np.float64)


def golden(name: str, board: str) -> Path:
    return GOLDEN / f"{name}-{board}.png"


def keep_picture(page: Browser, name: str, state: State, folder: str | Path = PICTURES) -> None:
    """Write a picture of a state for people into a folder; nothing where there is none."""
    if not folder:
        return
    Path(folder).mkdir(parents=True, exist_ok=True)
    if state.section:
        page.run(f"byId('{state.section}').scrollIntoView()")
    page.wait("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => done(true))))")
    page.screenshot(Path(folder, f"{name}.png"), whole=not state.section)


def axe_violations(page: Browser, *, only: str = "") -> list[str]:
    """Return what axe-core finds wrong in the page, one line each; by one rule alone where it is named."""
    page.run(gzip.decompress(AXE.read_bytes()).decode() + "; 0")
    tags = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
    # Style sheets are not fetched again, which the page forbids.
    options = json.dumps({"runOnly": [only] if only else tags, "resultTypes": ["violations"], "preload": False})
    lines = "found.violations.map((one) => one.id + ': ' + one.nodes[0].html)"
    found: list[str] = page.run(f"axe.run(document, {options}).then((found) => {lines})")
    return found


TAB_STOPS = """[...document.querySelectorAll('a[href], button, input, select, textarea, [tabindex]')]
  .filter((one) => one.tabIndex >= 0 && !one.disabled && one.checkVisibility()).length"""
"""A script that counts what Tab must reach."""

FOCUS = """(() => { const one = document.activeElement, style = getComputedStyle(one);
  window.reached = (window.reached ?? new Set()).add(one);
  const outlined = style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 2;
  return [reached.size, one.matches(':focus-visible') && outlined, one.id || one.outerHTML.slice(0, 80)]; })()"""
"""A script that gives how many elements had the focus, whether the focus is visible, and what has it."""


def differences(page: Browser, name: str, state: State) -> dict[str, float]:
    """Return board → largest difference of a block's colour from the golden picture, of 255."""
    found = {}
    for board in state.boards:
        expected = np.asarray(Image.open(golden(name, board)).convert("RGB"), np.float64)
        found[board] = float(np.abs(blocks(page, board) - expected).max())
    return found


def write_golden(page: Browser) -> None:
    """Write the golden pictures of all states anew, from a page that was just loaded."""
    GOLDEN.mkdir(parents=True, exist_ok=True)
    for name, state in STATES.items():
        page.size(*state.size, **state.media)
        bring(page, state)
        for board in state.boards:
            Image.fromarray(np.rint(blocks(page, board)).astype(np.uint8)).save(golden(name, board), optimize=True)
