"""The script of three minutes: what somebody new reads and does on the static page, and how long that takes.

`python tests/story_walk.py FOLDER` walks a page that `goalmaze site` wrote, in a real browser, and prints the table.
"""

from __future__ import annotations

import dataclasses
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from browser import Browser

WORDS_A_MINUTE = 200
"""A slow reader of a foreign language."""

CLICK_SECONDS, DRAG_SECONDS = 1.5, 3.0
"""To find a button and press it; to drag an object or a slider."""

MAX_SECONDS = 180

STAGE = "STAGES.find((stage) => stage.prefix === 'NAME')"

WORDS = """(() => {
  const shown = (one) => one.checkVisibility() && !one.closest('button, select, summary, .chart, .value');
  const walker = document.createTreeWalker(document.querySelector('SECTION'), NodeFilter.SHOW_TEXT);
  let words = 0;
  while (walker.nextNode()) {
    const parts = walker.currentNode.textContent.split(/\\s+/).filter((word) => /[\\p{L}\\p{N}]/u.test(word));
    if (shown(walker.currentNode.parentElement)) words += parts.length;
  }
  return words; })()"""
"""A script that counts the words in a part of the page, without those on controls and charts."""


@dataclasses.dataclass(frozen=True)
class Walked:
    """One step of the walk.

    Attributes:
        title: of the step.
        words: number of words to read.
        acted: seconds for clicks and drags.
        waited: seconds in which the page moves or counts.
        outcome: what the page showed in the end.
    """

    title: str
    words: int
    acted: float
    waited: float
    outcome: str

    @property
    def seconds(self) -> float:
        """Seconds of the step."""
        return 60 * self.words / WORDS_A_MINUTE + self.acted + self.waited


class Walk:
    """A person on the page, who looks for what the text says and uses the mouse.

    Attributes:
        acted: seconds for clicks and drags in this step.
        waited: seconds that the page took in this step.
    """

    def __init__(self, page: Browser) -> None:
        self.page = page
        self.acted = self.waited = 0.0

    def text(self, name: str) -> str:
        found: str = self.page.run(f"byId('{name}').textContent")
        return found

    def _centre(self, script: str) -> tuple[float, float]:
        self.page.run(f"({script}).scrollIntoView({{ block: 'center', behavior: 'instant' }})")
        x, y = self.page.run(f"(b => [b.left + b.width / 2, b.top + b.height / 2])(({script}).getBoundingClientRect())")
        return x, y

    def click(self, name: str) -> None:
        """Press a button where the person sees it."""
        at = self._centre(f"byId('{name}')")
        self.page.mouse("mousePressed", *at)
        self.page.mouse("mouseReleased", *at)
        self.acted += CLICK_SECONDS

    def play(self, name: str) -> None:
        """Press Play and watch the episode at the speed of the page; the walk itself does not wait that long."""
        stage = STAGE.replace("NAME", name)
        speed = self.page.run(f"{stage}.pace")
        self.page.run(f"{stage}.pace = 1000")
        self.click(f"{name}-play")
        self.page.wait(f"!{stage}.playing && {stage}.state.finished")
        self.waited += self.page.run(f"{stage}.at") / speed
        self.page.run(f"{stage}.pace = {speed}")

    def test(self, name: str, output: str) -> str:
        """Press the button that plays many mazes, wait for its end, and return what it says."""
        label = self.text(name)
        begun = self.page.run("performance.now()")
        self.click(name)
        self.page.wait(f"byId('{name}').textContent === {label!r} && byId('{output}').textContent", 60)
        self.waited += (self.page.run("performance.now()") - begun) / 1000
        return self.text(output)

    def slide(self, name: str, value: int) -> None:
        """Move a slider."""
        self._centre(f"byId('{name}')")
        self.page.run(f"byId('{name}').value = {value}; byId('{name}').dispatchEvent(new Event('input'))")
        self.acted += DRAG_SECONDS

    def drag(self, name: str, side: str, what: str) -> bool:
        """Drag an object to a cell far from it, and return whether the arrows of the maze changed."""
        stage, board = STAGE.replace("NAME", name), f"byId('{name}-{side}')"
        self._centre(board)
        before = self.page.run(f"{stage}.session._fields['{side}'].field.join()")
        start, goal, size = self.page.run(
            f"(s => {{ const from = s._positionOf('{what}'), {{ level, target }} = s.session;"
            " const far = distancesFrom(level, from);"
            " const free = [...far.keys()].filter((c) => far[c] > 0 && c !== level.start && c !== target"
            " && !level.objects.some((one) => one.cell === c));"
            f" return [from, free.sort((a, b) => far[b] - far[a])[0], level.size]; }})({stage})"
        )
        box = self.page.run(f"(b => [b.left, b.top, b.width])({board}.getBoundingClientRect())")

        def at(cell: int) -> tuple[float, float]:
            return box[0] + (cell % size + 0.5) * box[2] / size, box[1] + (cell // size + 0.5) * box[2] / size

        self.page.mouse("mousePressed", *at(start))
        self.page.mouse("mouseMoved", *at(goal))
        self.page.mouse("mouseReleased", *at(goal))
        self.page.wait(f"{stage}._positionOf('{what}') === {goal}")
        self.acted += DRAG_SECONDS
        changed: bool = self.page.run(f"{stage}.session._fields['{side}'].field.join()") != before
        return changed


def _aligned(walk: Walk) -> str:
    walk.play("aligned")
    assert walk.text("aligned-outcome-unedited") == "reached the exit"
    return walk.test("aligned-run", "aligned-result")


def _moved(walk: Walk) -> str:
    walk.play("moved")
    assert walk.text("moved-outcome-unedited") == "reached the sign"
    assert walk.drag("moved", "unedited", "sign"), "the arrows turn after the sign"
    return walk.test("moved-run", "moved-result")


BRIGHTEST = """(s => { const { level } = s.session, { view } = s, cells = level.walls.length;
  const { maps } = s.state.sides.unedited;
  const map = maps.subarray(view.channel * cells, (view.channel + 1) * cells);
  return map.indexOf(Math.max(...map)) === cellOf(level, 'sign');
})(STAGES.find((stage) => stage.prefix === 'inside'))"""


def _inside(walk: Walk) -> str:
    assert walk.page.run(BRIGHTEST), "the brightest cell is the sign"
    walk.drag("inside", "unedited", "sign")
    assert walk.page.run(BRIGHTEST), "the brightest cell follows the sign"
    first = walk.text("inside-result")
    walk.slide("inside-layer", 4)
    assert "layer 4" in walk.text("inside-layer-text")
    return first


def _reading(walk: Walk) -> str:
    walk.slide("reading-layer", 3)
    assert walk.page.run("byId('reading-chart').querySelectorAll('.bar').length") > 3
    assert "maze alone" in walk.text("reading-chart")
    return walk.text("reading-result")


def _rewrite(walk: Walk) -> str:
    walk.play("rewrite")
    assert walk.text("rewrite-outcome-unedited") == "reached the exit"
    assert walk.text("rewrite-outcome-edited") == "reached the target"
    assert walk.drag("rewrite", "edited", "target"), "the arrows follow the target"
    return walk.test("rewrite-run", "rewrite-result")


def _audit(walk: Walk) -> str:
    before = walk.text("audit-result")
    walk.slide("audit-seed", int(walk.page.run("byId('audit-seed').max")))
    assert walk.text("audit-result") != before
    return walk.text("audit-result")


STEPS: dict[str, tuple[Callable[[Walk], str], str]] = {
    "aligned": (_aligned, "It looks aligned."),
    "moved": (_moved, "It went to the sign in"),
    "inside": (_inside, "the brightest cell is the sign in"),
    "reading": (_reading, "the maze alone:"),
    "rewrite": (_rewrite, "Edited, it reached the target first in"),
    "audit": (_audit, "Measured:"),
}
"""Section → what is done there, and what the page promises."""


def walked(page: Browser) -> Iterator[Walked]:
    """Walk through a page that was just loaded: the introduction, and every step."""
    yield Walked("(introduction)", page.run(WORDS.replace("SECTION", ".top > div")), 0, 0, "")
    for section, (act, promise) in STEPS.items():
        walk = Walk(page)
        outcome = act(walk)
        assert promise in outcome, (section, outcome)
        title = page.run(f"byId('{section}-title').lastChild.textContent.trim()")
        yield Walked(title, page.run(WORDS.replace("SECTION", f"#{section} .words")), walk.acted, walk.waited, outcome)


def main() -> None:
    """Walk the page in the folder that the command line names, and print a table."""
    with tempfile.TemporaryDirectory() as profile:
        page = Browser(Path(profile))
        try:
            page.size(1280, 900)
            page.open(Path(sys.argv[1], "index.html").resolve().as_uri())
            page.wait("STAGES.length > 6")
            total = 0.0
            print("| from | step | words | seconds | the page says |\n|---|---|---|---|---|")
            for one in walked(page):
                clock = f"{int(total) // 60}:{int(total) % 60:02}"
                print(f"| {clock} | {one.title} | {one.words} | {one.seconds:.0f} | {one.outcome} |")
                total += one.seconds
            print(f"{total:.0f} seconds")
        finally:
            page.close()


if __name__ == "__main__":
    main()
