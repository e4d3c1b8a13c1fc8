"""The live page in a real browser over DevTools: drawing, dragging, playback, replays, and a server that restarts."""

import contextlib
import dataclasses
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

pytest.importorskip("starlette", reason="pip install 'goalmaze[live]'")

from browser import CHROMIUM, Browser
from page_controls import RECORDER, check_used, fire, unnamed
from page_scripts import DRAWING, FLOOD, LIMITED_ADDRESSES, OPEN, OVERLAPS, SCENE

from goalmaze.envs import look
from goalmaze.experiments.live import agent_store, client, measuring, server, workers
from goalmaze.experiments.live.agent_store import AgentStore, FitRequest
from goalmaze.experiments.live.inspection import inspect_agent, policy_change
from goalmaze.experiments.live.reasons import reasons
from goalmaze.experiments.live.render import render_episode
from goalmaze.experiments.live.server import Server
from goalmaze.experiments.live.serving import listen, serving
from goalmaze.experiments.live.session import Session
from goalmaze.experiments.live.settings import Settings
from goalmaze.experiments.page import headings
from goalmaze.experiments.page.headings import HeadingProbe
from goalmaze.probes.readout.fitting import SquareProbe

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed: apt-get install chromium")
TOKEN = "a-token-of-the-test"


class RunningServer:
    """A server in another thread, which can be stopped and started again at the same port."""

    def __init__(self, store: AgentStore, settings: Settings, port: int = 0, token: str = TOKEN) -> None:
        self.socket = listen("127.0.0.1", port)
        self.port = self.socket.getsockname()[1]
        self.server = Server(store, settings, token=token)
        self.address = f"http://127.0.0.1:{self.port}/?token={token}"
        self._running = contextlib.ExitStack()
        self._running.enter_context(serving(self.server, self.socket))

    def stop(self) -> None:
        self._running.close()
        self.socket.close()


SETTINGS = Settings(agent="zoo:green-exit", seed=3)


@pytest.fixture(scope="module")
def store() -> AgentStore:
    return AgentStore("zoo:green-exit")


@pytest.fixture(scope="module")
def running(store: AgentStore) -> Iterator[RunningServer]:
    running = RunningServer(store, SETTINGS)
    yield running
    running.stop()


@pytest.fixture(scope="module")
def one_browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    browser = Browser(tmp_path_factory.mktemp("chromium"))
    yield browser
    browser.close()


@pytest.fixture
def browser(one_browser: Browser) -> Browser:
    one_browser.size(1280, 900)
    return one_browser


def drawing(board: str, cell: int, size: int = 9) -> str:
    """Return a script that gives a hash of what a maze shows in a cell."""
    return DRAWING.replace("NAME", board).replace("SIZE", str(size)).replace("CELL", str(cell))


def open_page(browser: Browser, address: str) -> Browser:
    browser.open(address)
    browser.wait(OPEN, 90)
    return browser


def centre(browser: Browser, cell: int, board: str = "edited", size: int = 9) -> tuple[float, float]:
    box = browser.run(f"(b => [b.left, b.top, b.width])(document.getElementById('{board}').getBoundingClientRect())")
    row, column = divmod(cell, size)
    return box[0] + (column + 0.5) * box[2] / size, box[1] + (row + 0.5) * box[2] / size


def drag(browser: Browser, cells: list[int], board: str = "edited") -> None:
    browser.mouse("mousePressed", *centre(browser, cells[0], board))
    for cell in cells[1:]:
        browser.mouse("mouseMoved", *centre(browser, cell, board))
        time.sleep(0.03)
    browser.mouse("mouseReleased", *centre(browser, cells[-1], board))


def free_cells(store: AgentStore, settings: Settings = SETTINGS) -> tuple[list[int], Any]:
    scene = store.scene(store.complete(settings))
    occupied = {scene.target, int(scene.level.start[0]), *scene.level.objects[0].tolist()}
    return [cell for cell, free in enumerate(scene.level.free()[0]) if free and cell not in occupied], scene


def test_the_page_loads_with_an_empty_console_and_no_other_resources(browser: Browser, running: RunningServer) -> None:
    open_page(browser, running.address)
    assert "to the target in row" in browser.run("document.getElementById('description').textContent")
    assert browser.run("performance.getEntriesByType('resource').length") == 0
    unlabelled = """[...document.querySelectorAll('button, select, input, textarea, a, canvas[tabindex]')].filter(e =>
      !(e.getAttribute('aria-label') || e.textContent.trim() || e.closest('label'))).map(e => e.id)"""
    assert browser.run(unlabelled) == []
    assert browser.console == []
    browser.run("console.error('planted')")
    assert browser.run("1") == 1
    assert browser.console != [], "a message in the console would not be noticed"


def test_a_dragged_target_changes_the_arrows_of_the_edited_agent_only(
    browser: Browser, running: RunningServer, store: AgentStore
) -> None:
    open_page(browser, running.address)
    cells, scene = free_cells(store)
    destination = cells[-1]
    before = inspect_agent(scene, scene.edited, None, scene.edits, None)
    first, scene.target = scene.target, destination
    change = policy_change(before, inspect_agent(scene, scene.edited, None, scene.edits, None))
    change[[first, destination, scene.edited.cell]] = 0
    changed = int(change.argmax())
    assert change[changed] > 0.5
    drawn = {board: browser.run(drawing(board, changed)) for board in ("edited", "unedited")}
    drag(browser, [first, cells[3], destination])
    browser.wait(f"{SCENE}.target === {destination}")
    browser.wait(f"{drawing('edited', changed)} !== {drawn['edited']}")
    assert browser.run(drawing("unedited", changed)) == drawn["unedited"]
    browser.key("u")
    browser.wait(f"{SCENE}.target === {first}")
    browser.wait(f"{drawing('edited', changed)} === {drawn['edited']}")
    assert browser.console == []


def test_objects_agent_and_walls_are_moved_by_mouse_and_keys(
    browser: Browser, running: RunningServer, store: AgentStore
) -> None:
    open_page(browser, running.address)
    cells, scene = free_cells(store)
    exit_cell, start = int(scene.level.cells("exit")[0]), int(scene.level.start[0])
    browser.key("3")
    drag(browser, [exit_cell, cells[0]], "unedited")
    browser.wait(f"{SCENE}.level && {SCENE}.level.objects[0] === {cells[0]}")
    drag(browser, [start, cells[1]], "unedited")
    browser.wait(f"{SCENE}.level.start === {cells[1]}")
    browser.run("document.querySelector('[data-tool=wall]').click()")
    drag(browser, [cells[4]], "unedited")
    browser.wait(f"{SCENE}.level.walls[{cells[4]}] === '1'")
    browser.key("1")
    target = browser.run(f"{SCENE}.target")
    browser.key("ArrowLeft")
    browser.key("ArrowRight")
    browser.key("ArrowUp")
    browser.wait(f"{SCENE}.target !== {target}")
    assert browser.console == []


def test_the_panel_says_why_the_agent_moves_and_whether_the_method_may_be_trusted(
    browser: Browser, running: RunningServer, store: AgentStore
) -> None:
    open_page(browser, running.address)
    rows = "document.getElementById('why-rows').children.length"
    text = "document.getElementById('why-NAME').textContent"
    assert not browser.run(rows), "a closed panel asks nothing"
    browser.run("document.getElementById('why-panel').open = true")
    browser.wait(rows)
    scene = store.scene(store.complete(SETTINGS))
    expected = reasons(scene)
    assert browser.run(text.replace("NAME", "words")) == expected["words"]
    assert browser.run(text.replace("NAME", "trust")) == expected["trust"]
    heat = np.array(expected["heat"])
    still = int(np.flatnonzero((np.abs(heat) < 0.01 * np.abs(heat).max()) & scene.level.free()[0])[0])
    pixel = """(c => { const pen = new OffscreenCanvas(1, 1).getContext('2d', {willReadFrequently: true});
      pen.drawImage(c, (CELL % 9 + 0.9) * c.width / 9, (Math.floor(CELL / 9) + 0.9) * c.width / 9, 1, 1, 0, 0, 1, 1);
      return [...pen.getImageData(0, 0, 1, 1).data]; })(document.getElementById('why-heat'))"""
    for cell, blue in ((int(heat.argmax()), True), (still, False)):
        colour = browser.run(pixel.replace("CELL", str(cell)))
        assert (colour[2] > colour[0]) == blue
    browser.run("document.getElementById('step').click()")
    browser.wait(f"{text.replace('NAME', 'words')}.startsWith('In step 2 ')")
    scene.step()
    assert browser.run(text.replace("NAME", "words")) == reasons(scene)["words"]
    assert browser.console == []


def test_the_episode_ends_at_the_target(browser: Browser, running: RunningServer, store: AgentStore) -> None:
    index = next(
        index
        for index in range(20)
        if played(store, Settings(agent="zoo:green-exit", seed=3, index=index)).edited.outcome == "target"
    )
    open_page(browser, running.address)
    browser.run(f"(() => {{ const e = document.getElementById('index'); e.value = {index}; e.onchange(); }})()")
    browser.wait(f"{SCENE}.index === {index}")
    browser.run("document.getElementById('speed').value = 20")
    browser.key(" ")
    browser.wait("document.getElementById('outcome-edited').textContent === 'reached the target'")
    browser.wait("document.getElementById('tally').textContent.includes('target')")
    assert browser.run("document.getElementById('outcome-unedited').textContent") == "reached the exit"
    assert browser.console == []


def played(store: AgentStore, settings: Settings) -> Any:
    scene = store.scene(store.complete(settings))
    while not scene.finished:
        scene.step()
    return scene


def test_a_finger_drags_at_phone_width_and_the_page_fits(
    browser: Browser, running: RunningServer, store: AgentStore
) -> None:
    browser.size(390, 844, 2)
    browser.call("Emulation.setTouchEmulationEnabled", enabled=True)
    try:
        open_page(browser, running.address)
        assert browser.run("document.documentElement.scrollWidth") <= 390
        cells, scene = free_cells(store)
        browser.run("document.getElementById('edited').scrollIntoView({block: 'center'})")
        browser.finger("touchStart", centre(browser, scene.target))
        browser.finger("touchMove", centre(browser, cells[2]))
        browser.finger("touchEnd")
        browser.wait(f"{SCENE}.target === {cells[2]}")
        assert browser.console == []
    finally:
        browser.call("Emulation.setTouchEmulationEnabled", enabled=False)


def test_a_link_restores_the_whole_scene(browser: Browser, running: RunningServer, store: AgentStore) -> None:
    open_page(browser, running.address)
    cells, scene = free_cells(store)
    drag(browser, [scene.target, cells[5]])
    browser.wait(f"{SCENE}.target === {cells[5]}")
    browser.run("(() => { const e = document.getElementById('strength'); e.value = 1.5; e.oninput(); })()")
    browser.wait(f"{SCENE}.strength === 1.5")
    address, wanted = browser.run("location.href"), browser.run(SCENE)
    open_page(browser, address)
    assert browser.run(SCENE) == wanted


def test_a_level_pasted_as_text_is_shown_and_a_broken_one_refused(browser: Browser, running: RunningServer) -> None:
    open_page(browser, running.address)
    text = "#######\\n#A...G#\\n#.###.#\\n#.....#\\n#.###.#\\n#.....#\\n#######"
    paste = "(() => { document.getElementById('ascii').value = 'TEXT'; document.getElementById('paste').onclick(); })()"
    browser.run(paste.replace("TEXT", text))
    browser.wait(f"{SCENE}.size === 7")
    browser.run(paste.replace("TEXT", "#" * 70_000))
    browser.wait("document.getElementById('status').textContent.includes('at most 4096')")
    browser.run(paste.replace("TEXT", text.replace("A", ".")))
    browser.wait("document.getElementById('status').textContent.includes('no agent')")
    assert browser.run(f"{SCENE}.level.start") == 8


def test_the_replay_opens_from_disk(browser: Browser, store: AgentStore, tmp_path: Path) -> None:
    scene = played(store, SETTINGS)
    page = tmp_path / "replay.html"
    page.write_bytes(render_episode(store, SETTINGS, "html"))
    browser.open(page.as_uri())
    steps = max(scene.edited.steps, scene.unedited.steps)
    browser.wait(f"document.getElementById('clock').textContent === 'step {steps} of {steps}'", 60)
    assert browser.run("document.getElementById('outcome-edited').textContent").endswith(scene.edited.outcome)
    assert browser.run("performance.getEntriesByType('resource').length") == 0
    assert browser.console == []


def flood(browser: Browser, cells: list[int], milliseconds: int) -> dict[str, Any]:
    script = FLOOD.replace("CELLS", str(cells)).replace("MILLISECONDS", str(milliseconds))
    counts: dict[str, Any] = browser.run(script)
    return counts


def limit_messages(patch: pytest.MonkeyPatch, rate: float) -> None:
    """Let a page send `rate` messages a second, after three at once."""
    patch.setattr(client, "RATE", rate)
    patch.setattr(client, "BURST", 3.0)


def test_a_drag_at_240_events_a_second_is_followed_to_its_end(
    browser: Browser, running: RunningServer, store: AgentStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A machine on which 240 answers a second are possible exceeds the rate; here the rate is lower instead.
    limit_messages(monkeypatch, 12.0)
    open_page(browser, running.address)
    cells, scene = free_cells(store)
    browser.run(LIMITED_ADDRESSES)
    browser.run("navigator.clipboard.writeText = async (text) => { window.copied = text; }")
    counts = flood(browser, [scene.target, *cells], 2500)
    assert counts["events"] > 2.4 * 240
    assert counts["moves"] <= counts["frames"] + 1, "more than one move in a frame"
    assert counts["painted"] > 10
    assert counts["last"] > 1800, "the page stopped painting"
    row, column = divmod(cells[-1], 9)
    label = f"document.getElementById('edited').ariaLabel.includes('target at row {row}, column {column}')"
    browser.wait(label, 10)
    browser.run("document.getElementById('copy-link').click()")
    copied = SCENE.replace("location.hash", "window.copied.slice(window.copied.indexOf('#'))")
    assert browser.run(copied)["target"] == cells[-1], "the copied link is stale"
    browser.wait(f"{SCENE}.target === {cells[-1]}")
    assert browser.run("window.addresses") <= 5
    assert browser.console == []
    with pytest.raises(AssertionError, match="too many"):
        browser.run("for (let i = 0; i < 11; i++) history.replaceState(null, '', location.href)")


def test_a_server_that_no_longer_answers_would_be_noticed(
    browser: Browser, running: RunningServer, store: AgentStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    limit_messages(monkeypatch, 0.01)
    open_page(browser, running.address)
    cells, scene = free_cells(store)
    counts = flood(browser, [scene.target, *cells], 1200)
    assert counts["painted"] < 10


def test_playing_keeps_a_level_edited_by_hand(browser: Browser, running: RunningServer, store: AgentStore) -> None:
    open_page(browser, running.address)
    cells, scene = free_cells(store)
    assert "training distribution" in browser.run("document.getElementById('shift-text').textContent")
    drag(browser, [int(scene.level.start[0]), cells[1]])
    browser.wait(f"{SCENE}.level && {SCENE}.level.start === {cells[1]}")
    assert "training distribution" not in browser.run("document.getElementById('shift-text').textContent")
    browser.run("document.getElementById('speed').value = 20")
    playing = "document.getElementById('play').ariaPressed === 'true'"
    # On a busy machine the first step can pass between two looks.
    begun = f"{playing} && /^step [1-9]/.test(document.getElementById('clock').textContent)"
    browser.key(" ")
    browser.wait(begun)
    browser.wait(f"!({playing})", 60)
    assert "stays" in browser.run("document.getElementById('status').textContent")
    assert browser.run(f"{SCENE}.level.start") == cells[1]
    browser.key(" ")
    browser.wait(begun)
    browser.key("n")
    browser.wait(f"{SCENE}.level === null")
    assert "training distribution" in browser.run("document.getElementById('shift-text').textContent")


def test_a_reading_is_shown_where_it_is_evidence_alone_and_never_names_a_wall(
    browser: Browser, store: AgentStore
) -> None:
    running = RunningServer(store, SETTINGS)
    try:
        open_page(browser, running.address)
        reading = "document.getElementById('heading-text').textContent"
        browser.wait(f"{reading}.includes('right in')", 90)
        text = browser.run(reading)
        assert re.search(r"right in \d\.\d\d of \d+ mazes that it was not fitted on", text), text
        assert re.search(r"on the observation is right in \d\.\d\d\.", text), text
        assert text.endswith("no evidence of more than the observation shows, so no cell is shown."), text
        settings = store.complete(SETTINGS)
        kept = store.probe(settings, "stem")
        assert kept is not None
        assert not kept.above
        state = Session(store, settings).state()
        assert not {"reading", "heading"} & state["sides"]["unedited"].keys()
        scene = store.scene(settings)
        maps = inspect_agent(scene, scene.unedited, "stem", [], None).maps
        assert maps is not None
        walls = scene.level.walls[0]
        inner = walls.copy()
        inner[[0, -1]] = inner[:, [0, -1]] = False
        for sign, words in ((100, "no cell, as the highest score is not on a free one"), (-100, "unedited: ")):
            direction = sign * torch.from_numpy(maps[:, inner].mean(axis=1) - maps[:, ~walls].mean(axis=1))
            probe = dataclasses.replace(kept, probe=SquareProbe(direction), p=0.0)
            with planted(store, settings, probe):
                browser.key(".")
                browser.wait(f"{reading}.includes('It reads more than the observation shows')")
                assert words in browser.run(reading)
                assert "wall" not in browser.run(reading)
    finally:
        running.stop()


@contextlib.contextmanager
def planted(store: AgentStore, settings: Settings, probe: HeadingProbe) -> Iterator[None]:
    request = FitRequest("probe", settings.agent, store.family(settings), "stem")
    before = store._fits.get(request)
    store._fits.put(request, probe)
    try:
        yield
    finally:
        store._fits.put(request, before)


def test_arrows_that_the_edit_changed_are_coloured_over_every_colour(
    browser: Browser, running: RunningServer, store: AgentStore
) -> None:
    open_page(browser, running.address)
    _, scene = free_cells(store)
    change = policy_change(
        inspect_agent(scene, scene.unedited, None, [], None),
        inspect_agent(scene, scene.edited, None, scene.edits, None),
    )
    change[[scene.target, scene.edited.cell, *scene.level.objects[0].tolist()]] = 0
    cell = int(change.argmax())
    coloured = """(() => { const board = document.getElementById('NAME'), side = board.width / 9;
      const data = board.getContext('2d').getImageData(COLUMN * side, ROW * side, side, side).data;
      let count = 0;
      for (let i = 0; i < data.length; i += 4)
        count += Math.hypot(data[i] - RED, data[i + 1] - GREEN, data[i + 2] - BLUE) < 12;
      return count; })()"""
    for name, value in zip(("RED", "GREEN", "BLUE"), look.PAGE["changed-arrow"].light, strict=True):
        coloured = coloured.replace(name, str(value))
    coloured = coloured.replace("ROW", str(cell // 9)).replace("COLUMN", str(cell % 9))
    browser.run("(e => { e.value = 'changed'; e.onchange(); })(document.getElementById('overlay'))")
    browser.wait(f"{coloured.replace('NAME', 'edited')} > 8")
    browser.run("(e => { e.value = 'channel'; e.onchange(); })(document.getElementById('overlay'))")
    browser.wait(f"{coloured.replace('NAME', 'edited')} > 8")
    assert browser.run(coloured.replace("NAME", "unedited")) == 0


@pytest.mark.parametrize(
    ("width", "height"), [(1280, 900), (640, 450), (390, 844), (320, 568), (844, 390)], ids=lambda side: str(side)
)
def test_nothing_overlaps_on_a_screen_a_phone_and_at_twice_the_zoom(
    browser: Browser, running: RunningServer, width: int, height: int
) -> None:
    browser.size(width, height, 2)
    open_page(browser, running.address)
    assert browser.run("document.documentElement.scrollWidth") <= width
    browser.run("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
    assert browser.run(OVERLAPS) == []
    browser.run("document.getElementById('tools').style.marginTop = '-60px'")
    assert browser.run(OVERLAPS) != [], "an overlap would not be noticed"


FILE, EVERY = "test_a_file_is_made_or_the_page_says_why_not", "test_every_control_reaches_the_server_and_has_a_name"
CONTROLS = {
    **dict.fromkeys(("html", "gif", "mp4", "png"), FILE),
    **dict.fromkeys(("method", "cancel"), "test_a_long_fit_is_cancelled_on_the_page"),
    "lamp": "test_the_lamp_switch_is_there_for_sleepers_alone",
    **dict.fromkeys(("unedited", "edited", "tools"), "test_objects_agent_and_walls_are_moved_by_mouse_and_keys"),
    **dict.fromkeys(("paste", "ascii"), "test_a_level_pasted_as_text_is_shown_and_a_broken_one_refused"),
    **dict.fromkeys(
        ("help", "close", "theme", "word", "summary", "skip", "copy-link", "copy-text", "open-story"), EVERY
    ),
    **dict.fromkeys(("play", "step", "restart", "next", "undo", "scrubber", "speed"), EVERY),
    **dict.fromkeys(("preset", "agent", "other", "checkpoint", "family", "shift", "size", "index", "seed"), EVERY),
    **dict.fromkeys(("by-hand", "site", "strength", "edit", "arrows", "overlay", "inspected-site", "channels"), EVERY),
    **dict.fromkeys(("tally-run", "effect-run", "layers-run"), EVERY),
}
"""Every public control of the page, and the test that uses it."""


def test_every_control_reaches_the_server_and_has_a_name(
    browser: Browser, store: AgentStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("TALLY_MAZES", "EFFECT_MAZES"):
        monkeypatch.setattr(measuring, name, 6)
    monkeypatch.setattr(headings, "READING_LEVELS", 12)
    running = RunningServer(store, SETTINGS)
    running.server._write_story = lambda: {"data.js": b"", "population.js": b""}
    try:
        open_page(browser, running.address)
        browser.run(RECORDER)
        browser.run("navigator.clipboard.writeText = async (text) => { window.copied = text; }")
        stage, setting = "INSTRUMENT.stage", "INSTRUMENT.state.settings"
        fire(browser, "copy-link")
        link = browser.wait("window.copied")
        assert TOKEN not in link
        assert link.startswith(f"http://127.0.0.1:{running.port}/#scene=")
        fire(browser, "copy-text")
        browser.wait("window.copied.includes('#########')")
        fire(browser, "step")
        browser.wait(f"{stage}.at === 1")
        fire(browser, "scrubber", 3)
        browser.wait(f"{stage}.at === 3")
        fire(browser, "scrubber", 1)
        assert browser.run(f"[{stage}.frame.sides.unedited.trail.length, stepsOf({stage}.state)]") == [2, 3]
        fire(browser, "restart")
        browser.wait(f"stepsOf({stage}.state) === 0")
        fire(browser, "speed", 20)
        fire(browser, "play")
        browser.wait(f"{stage}.at > 1")
        fire(browser, "play")
        for name, value in (("index", "5"), ("seed", "1"), ("shift", "moved-sign"), ("size", "7"), ("edit", "first")):
            fire(browser, name, value)
            browser.wait(f"String({setting}['{name}']) === '{value}'", 60)
        fire(browser, "next")
        browser.wait(f"{setting}.index === 6")
        fire(browser, "undo")
        browser.wait(f"{setting}.index === 5")
        fire(browser, "strength", 1.5)
        browser.wait(f"{setting}.strength === 1.5")
        fire(browser, "site", "block1")
        browser.wait(f"{setting}.site === 'block1'", 60)
        fire(browser, "inspected-site", "block2")
        browser.wait("INSTRUMENT.state.inspected_site === 'block2'")
        fire(browser, "arrows", "change")
        fire(browser, "overlay", "changed")
        assert browser.run(f"[{stage}.view.arrows, {stage}.view.overlay]") == ["change", "changed"]
        browser.run("document.getElementById('channels').children[3].click()")
        assert browser.run(f"[{stage}.view.overlay, {stage}.view.channel]") == ["channel", 3]
        for what, words in (("tally", "reached first"), ("effect", "6 mazes at each strength"), ("layers", "layer")):
            fire(browser, f"{what}-run")
            browser.wait(f"document.getElementById('measured').textContent.includes('{words}')", 90)
        fire(browser, "checkpoint", 1)
        browser.wait(f"{setting}.agent.endsWith('@2048')", 60)
        fire(browser, "agent", "zoo:green-exit")
        browser.wait(f"{setting}.agent === 'zoo:green-exit'", 60)
        fire(browser, "preset", "0")
        browser.wait(f"{setting}.other === 'zoo:green-exit-twin' && {setting}.index === 21", 60)
        browser.run("document.getElementById('edited').focus()")
        browser.key("ArrowUp")
        browser.key("ArrowLeft")
        browser.key("ArrowDown")
        browser.wait("INSTRUMENT.state.by_hand")
        assert browser.run("document.getElementById('caption').textContent").startswith("This maze was edited by hand.")
        fire(browser, "other", "")
        browser.wait(f"{setting}.other === ''", 60)
        start = browser.run("INSTRUMENT.state.start")
        fire(browser, "next")
        browser.wait("!INSTRUMENT.state.by_hand")
        fire(browser, "by-hand", "0")
        browser.wait(f"INSTRUMENT.state.by_hand && INSTRUMENT.state.start === {start}", 60)
        keys = browser.run("controlKeys()")
        assert sorted(keys) == sorted(CONTROLS)
        other = browser.run("INSTRUMENT.menu.families.at(-1)")
        fire(browser, "family", other)
        browser.wait(f"{setting}.family === '{other}'", 60)
        assert f"never trained in {other}" in browser.run("document.getElementById('caption').textContent")
        browser.run("document.querySelector('summary').click(); document.querySelector('.word').click()")
        assert browser.run("document.querySelector(':popover-open').textContent.length") > 40
        browser.run("document.querySelector('a.skip:not(.of-story)').click()")
        fire(browser, "help")
        browser.run("document.querySelector('dialog button').click()")
        fire(browser, "theme")
        assert set(CONTROLS.values()) <= {name for name in globals() if name.startswith("test_")}
        assert unnamed(browser) == []
        browser.run("document.body.append(Object.assign(document.createElement('input'), { type: 'range' }))")
        assert unnamed(browser) == ["slider"], "a control without a name would not be noticed"
        assert set(browser.run("controlKeys()")) - set(CONTROLS), "a control without a test would not be noticed"
        browser.run("localStorage.clear()")
        fire(browser, "open-story")
        check_used(browser, CONTROLS, EVERY)
        browser.wait("location.pathname === '/story'", 60)
    finally:
        running.stop()


def test_a_file_is_made_or_the_page_says_why_not(
    browser: Browser, running: RunningServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    open_page(browser, running.address)
    browser.run("document.getElementById('html').click()")
    browser.wait("document.getElementById('status').textContent.includes('The html file is ready')")

    def failing(*_: object) -> bytes:
        raise OSError("planted")

    monkeypatch.setattr(workers, "render_episode", failing)
    browser.run("document.getElementById('html').click()")
    browser.wait("document.getElementById('status').textContent.includes('html file failed: OSError: planted')")
    assert browser.run("document.body.dataset.connection") == "open"


def test_a_page_too_many_says_so_and_opens_when_another_is_closed(
    browser: Browser, running: RunningServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    browser.open("about:blank")
    monkeypatch.setattr(server, "MAX_CLIENTS", 0)
    browser.open(running.address)
    browser.wait("document.getElementById('banner').textContent === 'Too many pages are open: close one.'")
    monkeypatch.undo()
    browser.wait(OPEN)


def test_a_long_fit_is_cancelled_on_the_page(
    browser: Browser, running: RunningServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    open_page(browser, running.address)

    def endless(method: Any, context: Any, site: str) -> None:
        while True:
            context.activations(context.levels.take([0]), site)

    monkeypatch.setattr(agent_store, "fit_method", endless)
    browser.run("(e => { e.value = 'das'; e.onchange(); })(document.getElementById('method'))")
    browser.wait("!document.getElementById('cancel').hidden")
    browser.run("document.getElementById('cancel').click()")
    browser.wait("document.getElementById('status').textContent.includes('was cancelled')")
    browser.wait("document.getElementById('method').value === 'mean-pattern'")
    assert browser.run("document.getElementById('cancel').hidden")


def test_the_page_reports_a_stopped_server_and_reconnects(browser: Browser, store: AgentStore) -> None:
    first = RunningServer(store, SETTINGS)
    open_page(browser, first.address)
    cells, scene = free_cells(store)
    drag(browser, [scene.target, cells[5]])
    browser.wait(f"{SCENE}.target === {cells[5]}")
    first.stop()
    browser.wait("document.getElementById('banner').textContent.includes('has stopped')")
    assert not browser.run("document.getElementById('banner').hidden")
    second = RunningServer(store, SETTINGS, first.port)
    try:
        browser.wait("document.body.dataset.connection === 'open' && document.getElementById('banner').hidden")
        assert browser.run(f"{SCENE}.target") == cells[5]
    finally:
        second.stop()
    third = RunningServer(store, SETTINGS, first.port, token="another-launch")
    try:
        browser.wait("document.getElementById('banner').textContent.includes('new address')")
    finally:
        third.stop()
        with contextlib.suppress(AssertionError):
            browser.open("about:blank")


def test_the_lamp_switch_is_there_for_sleepers_alone(browser: Browser, running: RunningServer) -> None:
    open_page(browser, running.address)
    assert browser.run("document.getElementById('lamp-row').hidden"), "a switch without a lamp"
    browser.run("(e => { e.value = 'zoo:sleeper'; e.onchange(); })(document.getElementById('agent'))")
    browser.wait("!document.getElementById('lamp-row').hidden", 30)
    for wanted, shift in ((True, "lit"), (False, "unlit")):
        lamp = "document.getElementById('lamp')"
        browser.run(f"(e => {{ e.checked = {str(wanted).lower()}; e.onchange(); }})({lamp})")
        browser.wait(f"{SCENE}.shift === '{shift}' && {lamp}.checked === {str(wanted).lower()}", 30)
