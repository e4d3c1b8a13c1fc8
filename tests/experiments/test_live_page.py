"""The live page in a real browser, driven over DevTools: seen, dragged, played, exported, stopped and found again."""

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("starlette", reason="pip install 'goalmaze[live]'")

from browser import CHROMIUM, Browser

from goalmaze.experiments.live.agent_store import AgentStore
from goalmaze.experiments.live.inspection import change, look
from goalmaze.experiments.live.render import rendered
from goalmaze.experiments.live.server import Server
from goalmaze.experiments.live.serving import listen
from goalmaze.experiments.live.serving import serving as under_way
from goalmaze.experiments.live.settings import Settings

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed: apt-get install chromium")
TOKEN = "a-token-of-the-test"


class Serving:
    """A server in a thread of its own, which can be stopped and started again at the same port."""

    def __init__(self, desk: AgentStore, settings: Settings, port: int = 0, token: str = TOKEN) -> None:
        self.socket = listen("127.0.0.1", port)
        self.port = self.socket.getsockname()[1]
        self.server = Server(desk, settings, token=token)
        self.address = f"http://127.0.0.1:{self.port}/?token={token}"
        self._running = contextlib.ExitStack()
        self._running.enter_context(under_way(self.server, self.socket))

    def stop(self) -> None:
        self._running.close()
        self.socket.close()


SETTINGS = Settings(agent="zoo:green-exit", seed=3)


@pytest.fixture(scope="module")
def desk() -> AgentStore:
    return AgentStore("zoo:green-exit")


@pytest.fixture(scope="module")
def serving(desk: AgentStore) -> Iterator[Serving]:
    serving = Serving(desk, SETTINGS)
    yield serving
    serving.stop()


@pytest.fixture(scope="module")
def one_browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    browser = Browser(tmp_path_factory.mktemp("chromium"))
    yield browser
    browser.close()


@pytest.fixture
def browser(one_browser: Browser) -> Browser:
    one_browser.size(1280, 900)
    return one_browser


OPEN = "document.body.dataset.connection === 'open' && document.body.dataset.painted !== undefined"
SCENE = "JSON.parse(atob(location.hash.replace('#scene=', '').replaceAll('-', '+').replaceAll('_', '/')))"
INK = """(() => { const board = document.getElementById('NAME'), side = board.width / SIZE;
 const c = new OffscreenCanvas(64, 64), pen = c.getContext('2d', {willReadFrequently: true});
 pen.drawImage(board, CELL % SIZE * side, Math.floor(CELL / SIZE) * side, side, side, 0, 0, 64, 64);
 return pen.getImageData(0, 0, 64, 64).data.reduce((h, v) => (h * 31 + v) | 0, 0); })()"""


def ink(board: str, cell: int, size: int = 9) -> str:
    """Return a script that gives a number for what a board shows in a cell."""
    return INK.replace("NAME", board).replace("SIZE", str(size)).replace("CELL", str(cell))


def opened(browser: Browser, address: str) -> Browser:
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


def free_cells(desk: AgentStore, settings: Settings = SETTINGS) -> tuple[list[int], Any]:
    scene = desk.scene(desk.completed(settings))
    taken = {scene.target, int(scene.level.start[0]), *scene.level.objects[0].tolist()}
    return [cell for cell, free in enumerate(scene.level.free()[0]) if free and cell not in taken], scene


def test_the_page_loads_with_an_empty_console_and_nothing_from_elsewhere(browser: Browser, serving: Serving) -> None:
    opened(browser, serving.address)
    assert "at the target in row" in browser.run("document.getElementById('sentence').textContent")
    assert browser.run("performance.getEntriesByType('resource').length") == 0
    unlabelled = """[...document.querySelectorAll('button, select, input, textarea, a, canvas[tabindex]')].filter(e =>
      !(e.getAttribute('aria-label') || e.textContent.trim() || e.closest('label'))).map(e => e.id)"""
    assert browser.run(unlabelled) == []
    assert browser.complaints == []
    browser.run("console.error('planted')")
    assert browser.run("1") == 1
    assert browser.complaints != [], "a complaint in the console would go unseen"


def test_a_dragged_target_changes_the_arrows_of_the_edited_agent_alone(
    browser: Browser, serving: Serving, desk: AgentStore
) -> None:
    opened(browser, serving.address)
    cells, scene = free_cells(desk)
    destination = cells[-1]
    before = look(scene, scene.edited, None, scene.edits, None)
    first, scene.target = scene.target, destination
    moved = change(before, look(scene, scene.edited, None, scene.edits, None))
    moved[[first, destination, scene.edited.cell]] = 0
    turned = int(moved.argmax())
    assert moved[turned] > 0.5
    seen = {board: browser.run(ink(board, turned)) for board in ("edited", "unedited")}
    drag(browser, [first, cells[3], destination])
    browser.wait(f"{SCENE}.target === {destination}")
    browser.wait(f"{ink('edited', turned)} !== {seen['edited']}")
    assert browser.run(ink("unedited", turned)) == seen["unedited"]
    browser.key("u")
    browser.wait(f"{SCENE}.target === {first}")
    browser.wait(f"{ink('edited', turned)} === {seen['edited']}")
    assert browser.complaints == []


def test_the_exit_the_agent_and_walls_are_moved_by_hand_and_by_keys(
    browser: Browser, serving: Serving, desk: AgentStore
) -> None:
    opened(browser, serving.address)
    cells, scene = free_cells(desk)
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
    assert browser.complaints == []


def test_the_episode_ends_at_the_target(browser: Browser, serving: Serving, desk: AgentStore) -> None:
    index = next(
        index
        for index in range(20)
        if played(desk, Settings(agent="zoo:green-exit", seed=3, index=index)).edited.outcome == "target"
    )
    opened(browser, serving.address)
    browser.run(f"(() => {{ const e = document.getElementById('index'); e.value = {index}; e.onchange(); }})()")
    browser.wait(f"{SCENE}.index === {index}")
    browser.run("document.getElementById('speed').value = 20")
    browser.key(" ")
    browser.wait("document.getElementById('outcome-edited').textContent === 'reached the target'")
    browser.wait("document.getElementById('tally').textContent.includes('target')")
    assert browser.run("document.getElementById('outcome-unedited').textContent") == "reached the exit"
    assert browser.complaints == []


def played(desk: AgentStore, settings: Settings) -> Any:
    scene = desk.scene(desk.completed(settings))
    while not scene.finished:
        scene.step()
    return scene


def test_a_finger_drags_at_phone_width_and_nothing_sticks_out(
    browser: Browser, serving: Serving, desk: AgentStore
) -> None:
    browser.size(390, 844, 2)
    browser.call("Emulation.setTouchEmulationEnabled", enabled=True)
    try:
        opened(browser, serving.address)
        assert browser.run("document.documentElement.scrollWidth") <= 390
        cells, scene = free_cells(desk)
        browser.run("document.getElementById('edited').scrollIntoView({block: 'center'})")
        browser.finger("touchStart", centre(browser, scene.target))
        browser.finger("touchMove", centre(browser, cells[2]))
        browser.finger("touchEnd")
        browser.wait(f"{SCENE}.target === {cells[2]}")
        assert browser.complaints == []
    finally:
        browser.call("Emulation.setTouchEmulationEnabled", enabled=False)


def test_a_link_restores_the_whole_scene(browser: Browser, serving: Serving, desk: AgentStore) -> None:
    opened(browser, serving.address)
    cells, scene = free_cells(desk)
    drag(browser, [scene.target, cells[5]])
    browser.wait(f"{SCENE}.target === {cells[5]}")
    browser.run("(() => { const e = document.getElementById('strength'); e.value = 1.5; e.oninput(); })()")
    browser.wait(f"{SCENE}.strength === 1.5")
    address, wanted = browser.run("location.href"), browser.run(SCENE)
    opened(browser, address)
    assert browser.run(SCENE) == wanted


def test_a_level_pasted_as_text_is_shown_and_a_broken_one_refused(browser: Browser, serving: Serving) -> None:
    opened(browser, serving.address)
    text = "#######\\n#A...G#\\n#.###.#\\n#.....#\\n#.###.#\\n#.....#\\n#######"
    paste = "(() => { document.getElementById('ascii').value = 'TEXT'; document.getElementById('paste').onclick(); })()"
    browser.run(paste.replace("TEXT", text))
    browser.wait(f"{SCENE}.size === 7")
    browser.run(paste.replace("TEXT", text.replace("A", ".")))
    browser.wait("document.getElementById('status').textContent.includes('no agent')")
    assert browser.run(f"{SCENE}.level.start") == 8


def test_the_replay_opens_from_disk(browser: Browser, desk: AgentStore, tmp_path: Path) -> None:
    scene = played(desk, SETTINGS)
    page = tmp_path / "replay.html"
    page.write_bytes(rendered(desk, SETTINGS, "html"))
    browser.open(page.as_uri())
    steps = max(scene.edited.steps, scene.unedited.steps)
    browser.wait(f"document.getElementById('clock').textContent === 'step {steps} of {steps}'", 60)
    assert browser.run("document.getElementById('outcome-edited').textContent").endswith(scene.edited.outcome)
    assert browser.run("performance.getEntriesByType('resource').length") == 0
    assert browser.complaints == []


def test_the_page_says_that_the_server_stopped_and_finds_it_again(browser: Browser, desk: AgentStore) -> None:
    first = Serving(desk, SETTINGS)
    opened(browser, first.address)
    cells, scene = free_cells(desk)
    drag(browser, [scene.target, cells[5]])
    browser.wait(f"{SCENE}.target === {cells[5]}")
    first.stop()
    browser.wait("document.getElementById('banner').textContent.includes('has stopped')")
    assert not browser.run("document.getElementById('banner').hidden")
    second = Serving(desk, SETTINGS, first.port)
    try:
        browser.wait("document.body.dataset.connection === 'open' && document.getElementById('banner').hidden")
        assert browser.run(f"{SCENE}.target") == cells[5]
    finally:
        second.stop()
    third = Serving(desk, SETTINGS, first.port, token="another-launch")
    try:
        browser.wait("document.getElementById('banner').textContent.includes('new address')")
    finally:
        third.stop()
        with contextlib.suppress(AssertionError):
            browser.open("about:blank")
