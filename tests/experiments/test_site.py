"""The static page in a real browser, opened from disk: its numbers against Python's, and every control."""

import base64
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from browser import CHROMIUM, Browser
from page_controls import RECORDER, check_used, fire, unnamed
from page_scripts import OVERLAPS
from page_states import FOCUS, STATES, TAB_STOPS, axe_violations, bring, differences, keep_picture
from story_walk import MAX_SECONDS, STEPS, WORDS, walked

import goalmaze as gm
from goalmaze.agents.loading import Agent, locate
from goalmaze.agents.rollout import rollout
from goalmaze.envs.levels import LevelBatch
from goalmaze.envs.solving import distances
from goalmaze.experiments import cli
from goalmaze.experiments.live.agent_store import AgentStore
from goalmaze.experiments.live.links import level_link
from goalmaze.experiments.live.messages import Step
from goalmaze.experiments.live.session import Session
from goalmaze.experiments.live.settings import Settings, read_link, write_link
from goalmaze.experiments.page import headings
from goalmaze.experiments.page.presets import PRESETS
from goalmaze.experiments.retarget.task import make_fit_context
from goalmaze.experiments.site.agents import FIT_LEVELS
from goalmaze.experiments.site.command import FILES, MAX_BYTES
from goalmaze.experiments.site.golden import golden_episodes
from goalmaze.experiments.site.levels import clear_levels
from goalmaze.probes.edits.base import Edit
from goalmaze.probes.edits.goal_move import GoalMove
from goalmaze.probes.steering.mean_pattern import MeanPatternMethod
from goalmaze.probes.targets import draw_targets

CUE, TWIN = "zoo:green-exit", "zoo:green-exit-twin"
SLEEPER, HONEST = "zoo:sleeper", "zoo:sleeper-honest"
SMALL = ("--agents", CUE, TWIN, SLEEPER, HONEST, "--population-agents", "3", "--levels", "8", "--audit-levels", "16")

COMPARE = """(() => {
  const golden = GOLDEN, { data, rules } = AGENTS.find((one) => one.name === golden.agent);
  const arena = new Arena(SIMD), network = networkOf(data.network, arena);
  const pattern = golden.site && patternOf(data.patterns.find((one) => one.site === golden.site));
  arena.floats[(network.stack[3].weights >> 2) + 5] += PERTURBED;
  let worst = 0, wrong = 0, field = 0;
  golden.episodes.forEach((given, b) => {
    const level = readLevel(given.level, given.size, golden.family);
    const episode = new Episode(level, given.limit, {}, rules);
    const exit = cellOf(level, "exit");
    const edit = golden.site ? patternEdit(pattern, given.size, exit, golden.targets[b], golden.strength) : null;
    const at = (cell) => network.forward(observe(level, cell, data.salience), given.size, cell, edit);
    given.steps.forEach((step, i) => {
      const { logits, value } = at(episode.cell);
      [...logits, value].forEach((one, k) => {
        const other = [...step.logits, step.value][k];
        worst = Math.max(worst, Math.abs(one - other) / Math.max(1, Math.abs(other)));
      });
      const action = sampled(softmax(logits), uniform(golden.seed, given.row, i));
      episode.step(action);
      wrong += (action !== step.action) + (episode.cell !== step.cell);
    });
    const over = episode.terminated || episode.steps === given.limit;
    wrong += !over + (episode.returns[0] !== given.returns[0]) + (episode.returns[1] !== given.returns[1]);
    const cells = [...level.walls.keys()].filter((cell) => !level.walls[cell]);
    const all = network.field(observe(level, -1, data.salience), given.size, cells, edit);
    for (const cell of b ? [] : cells) {
      softmax(at(cell).logits).forEach((one, k) => { field = Math.max(field, Math.abs(one - all[4 * cell + k])); });
    }
  });
  return { simd: arena.simd, worst, wrong, field };
})()"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site") / "page"
    with pytest.MonkeyPatch.context() as patch:
        # Fewer mazes for the probes: a page of small numbers, in seconds.
        patch.setattr(headings, "READING_LEVELS", 24)
        assert cli.main(["site", "--out", str(folder), *SMALL]) == 0
    return folder


@pytest.fixture(scope="module")
def one_browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    if CHROMIUM is None:
        pytest.skip("chromium is not installed: apt-get install chromium")
    browser = Browser(tmp_path_factory.mktemp("chromium"))
    yield browser
    browser.close()


STORY = ("aligned", "moved", "inside", "reading", "rewrite", "audit", "formation")
STORY_CONTROLS = ("play", "restart", "next", "undo", "scrubber", "tools", "unedited")
EVERY_STAGE, HAND = "test_every_stage_of_the_story_has_all_of_its_controls", "test_objects_are_moved_by_mouse_and_keys"
STEPS_TEST, TIME, ALL = "test_the_steps_of_the_story", "test_time_is_a_control", "test_the_controls_of_the_instrument"
FRAME, SHARE = "test_the_frame_of_the_page", "test_scenes_are_shared_as_links_and_text"

CONTROLS = {
    **{f"{prefix}-{name}": EVERY_STAGE for prefix in STORY for name in STORY_CONTROLS},
    "rewrite-edited": EVERY_STAGE,
    **dict.fromkeys(("aligned-run", "moved-run", "rewrite-run", "audit-run", "inside-layer"), STEPS_TEST),
    **dict.fromkeys(("inside-channels", "rewrite-strength", "audit-seed", "formation-agent"), STEPS_TEST),
    "formation-step": STEPS_TEST,
    **dict.fromkeys(("reading-layer", "reading-agent"), "test_readings_that_are_no_evidence_and_walls_are_not_named"),
    **dict.fromkeys(("undo", "next", "tools", "unedited", "edited", "by-hand"), HAND),
    **dict.fromkeys(("step", "scrubber", "restart", "speed", "play"), TIME),
    **dict.fromkeys(("preset", "lamp", "agent", "other", "checkpoint", "shift", "size", "index"), ALL),
    **dict.fromkeys(("site", "method", "strength", "edit", "arrows", "overlay", "inspected-site", "channels"), ALL),
    **dict.fromkeys(("tally-run", "effect-run", "layers-run"), ALL),
    **dict.fromkeys(("copy-link", "copy-text", "ascii", "paste"), SHARE),
    **dict.fromkeys(("theme", "help", "close", "nav", "skip", "summary", "word", "cancel"), FRAME),
}
"""Every public control of the page, and the test that uses it."""


@pytest.fixture
def page(one_browser: Browser, folder: Path, request: pytest.FixtureRequest) -> Iterator[Browser]:
    one_browser.size(1280, 900)
    one_browser.open(f"{folder.as_uri()}/index.html")
    one_browser.wait("INSTRUMENT.state")
    one_browser.run(RECORDER)
    yield one_browser
    check_used(one_browser, CONTROLS, request.node.originalname)
    assert one_browser.console == []


def golden_of(
    agent: Agent, levels: LevelBatch, seed: int = 0, edits: Sequence[Edit] = (), **more: Any
) -> dict[str, Any]:
    """Return golden episodes with what the page needs to compute them again."""
    episodes = golden_episodes(agent, levels, seed, edits)
    return {"agent": agent.name, "family": agent.family.name, "seed": seed, "episodes": episodes, **more}


def compare(page: Browser, golden: dict[str, Any], simd: str = "true", perturbed: float = 0.0) -> dict[str, Any]:
    script = COMPARE.replace("GOLDEN", json.dumps(golden)).replace("SIMD", simd).replace("PERTURBED", str(perturbed))
    result: dict[str, Any] = page.run(script)
    return result


def test_the_browser_computes_what_python_does(page: Browser) -> None:
    agent = gm.load(CUE)
    levels = [agent.family.levels(0, np.arange(2), shift, "evaluation") for shift in ("moved-sign", "many-signs")]
    levels.append(agent.family.resized(13).levels(0, np.arange(2), "apples", "evaluation"))
    for batch in levels:
        golden = golden_of(agent, batch, seed=3)
        # Plain JavaScript takes ten times as long, so it computes the small mazes alone.
        for simd in ("true", "false") if batch.width == 9 else ("true",):
            result = compare(page, golden, simd)
            assert result["worst"] < 1e-5, result
            assert result["field"] < 1e-5, result
            assert result["wrong"] == 0, result
    assert compare(page, golden)["simd"], "the browser of the test has WebAssembly with SIMD"
    assert compare(page, golden, perturbed=1e-2)["worst"] > 1e-5, "a perturbed weight would not be noticed"
    golden["episodes"][0]["steps"][0]["cell"] += 1
    assert compare(page, golden)["wrong"] == 1, "a wrong cell would not be noticed"


def test_the_browser_edits_as_python_does(page: Browser) -> None:
    agent, strength = gm.load(CUE), 1.5
    levels = agent.family.levels(0, clear_levels(agent.family, 2), "moved-sign", "evaluation")
    targets = draw_targets(levels, 0)
    context = make_fit_context(agent.policy, agent.family, FIT_LEVELS, 0)
    for site in ("stem", "block2"):
        edit = MeanPatternMethod().fit(context, site).edit(GoalMove.on(levels, targets), strength)
        golden = golden_of(agent, levels, edits=[edit], site=site, targets=targets.tolist(), strength=strength)
        result = compare(page, golden)
        assert (result["worst"] < 1e-5, result["field"] < 1e-5, result["wrong"]) == (True, True, 0), result
        golden["strength"] = 1.4
        assert compare(page, golden)["worst"] > 1e-5, "another strength would not be noticed"


@pytest.mark.parametrize("name", [SLEEPER, HONEST])
def test_the_lamp_of_sleepers_has_the_rules_of_python(page: Browser, name: str) -> None:
    agent, outcomes = gm.load(name), {}
    for shift in ("lit", "unlit"):
        golden = golden_of(agent, agent.family.levels(0, np.arange(6), shift, "evaluation"), seed=1)
        result = compare(page, golden)
        assert (result["worst"] < 1e-5, result["field"] < 1e-5, result["wrong"]) == (True, True, 0), result
        outcomes[shift] = [episode["returns"] for episode in golden["episodes"]]
    # In the dark a sleeper's sign pays both rewards; its twin's gives the cue reward alone.
    assert ([1.0, 1.0] in outcomes["unlit"]) == (name == SLEEPER)
    assert [1.0, 1.0] not in outcomes["lit"]
    # A lamp that works the other way round is noticed.
    page.run("RULES.Sleeper.effects.sign.lit = RULES.HonestSleeper.effects.exit.lit = true")
    assert compare(page, golden)["wrong"] > 0


def test_agents_of_the_population_and_their_checkpoints_are_those_of_python(page: Browser) -> None:
    population = gm.load_population("zoo:lottery-green")
    level = population[2].family.levels(0, np.arange(1), "moved-sign", "evaluation")
    for python, script in (
        (population[2], "SEEDS[2].agent"),
        (population.at(2048)[0], "FORMATION.find((one) => one.number === 0).checkpoints[0].agent"),
    ):
        golden = golden_episodes(python, level)[0]
        text, first = golden["level"], golden["steps"][0]
        logits = page.run(f"(l => {script}.at(l, l.start).logits)(readLevel('{text}', 7))")
        assert np.allclose(logits, first["logits"], rtol=1e-5, atol=1e-5)
    report = json.loads((locate("zoo:lottery-green").path / "report.json").read_text())
    measured = page.run("SEEDS.map((seed) => seed.measured.value)")
    assert measured == [one["shifts"]["moved-sign"]["preference"]["cue"] for one in report["agents"][:3]]


def test_the_page_loads_from_disk_alone_and_every_control_has_a_name(page: Browser, folder: Path) -> None:
    assert sum(path.stat().st_size for path in folder.iterdir()) < MAX_BYTES
    assert {path.name for path in folder.iterdir()} == {"index.html", *FILES, "data.js", "population.js"}
    used = page.run("performance.getEntriesByType('resource').map((one) => one.name)")
    assert all(name.startswith(folder.as_uri()) for name in used)
    assert (
        page.run("[...document.querySelectorAll('[id]')].map(e => e.id).filter((id, i, all) => all.indexOf(id) < i)")
        == []
    )
    assert page.run("[...document.querySelectorAll('nav a')].every((a) => document.querySelector(a.hash))")
    assert unnamed(page) == []
    page.run("document.querySelector('main').append(document.createElement('button'))")
    assert unnamed(page) == ["button"], "a control without a name would not be noticed"


@pytest.mark.parametrize(("width", "height"), [(360, 740), (740, 360), (640, 450), (1280, 900)])
def test_the_page_fits_phones_and_zoom(page: Browser, width: int, height: int) -> None:
    page.size(width, height, dark=width == 360)
    page.run("dispatchEvent(new Event('resize'))")
    assert page.run("document.documentElement.scrollWidth") <= width
    page.wait(f"document.documentElement.dataset.theme === '{'dark' if width == 360 else 'light'}'")
    page.run("byId('theme').click()")
    assert page.run("document.documentElement.dataset.theme") == ("light" if width == 360 else "dark")


MAX_DIFFERENCE = 16.0
"""Of the mean colour of a block, of 255: lines are drawn a little differently by other versions of the browser."""


def test_every_state_is_drawn_as_it_was_and_nothing_overlaps(page: Browser) -> None:
    for name, state in STATES.items():
        page.size(*state.size, **state.media)
        bring(page, state)
        assert page.run("document.documentElement.scrollWidth") <= state.size[0], name
        assert page.run(OVERLAPS) == [], name
        assert max(differences(page, name, state).values()) < MAX_DIFFERENCE, (name, differences(page, name, state))
        keep_picture(page, f"site-{name}", state)
    # Another theme, another step or an empty maze would be noticed.
    page.size(*STATES["rewrite"].size)
    bring(page, STATES["rewrite"])
    assert min(differences(page, "forced", STATES["forced"]).values()) > 2 * MAX_DIFFERENCE
    page.run("byId('rewrite-restart').click(); redrawAll()")
    assert min(differences(page, "rewrite", STATES["rewrite"]).values()) > 2 * MAX_DIFFERENCE
    page.run("document.querySelectorAll('canvas').forEach((one) => { one.width = 10; })")
    assert min(differences(page, "rewrite", STATES["rewrite"]).values()) > 2 * MAX_DIFFERENCE
    page.run("byId('moved-title').style.marginBottom = '-60px'")
    assert page.run(OVERLAPS) != [], "an overlap would not be noticed"


def test_somebody_new_walks_the_story_in_three_minutes(page: Browser) -> None:
    steps = list(walked(page))
    assert len(steps) == 1 + len(STEPS)
    assert sum(one.seconds for one in steps) <= MAX_SECONDS, [(one.title, one.seconds) for one in steps]
    assert sum(one.words for one in steps) > 300, "the words were counted"
    page.run("byId('moved-title').parentElement.append('word '.repeat(300))")
    counted = page.run(WORDS.replace("SECTION", "#moved .words"))
    assert counted == 300 + next(one.words for one in steps if one.title == "Move the sign"), "longer texts take longer"


def test_axe_finds_nothing_wrong(page: Browser) -> None:
    assert axe_violations(page) == []
    page.run("byId('theme').click()")
    assert axe_violations(page, only="color-contrast") == []
    planted = "<p style='color: var(--line)'>faint</p><img src='data:,'><div role='button'></div>"
    page.run(f'document.querySelector("main").insertAdjacentHTML("afterbegin", "{planted}")')
    found = {one.partition(":")[0] for one in axe_violations(page)}
    assert {"color-contrast", "image-alt", "aria-command-name"} <= found


def test_tab_reaches_every_control_and_the_focus_is_visible(page: Browser) -> None:
    page.run("document.querySelector('main').append(Object.assign(document.createElement('button'), { tabIndex: -1 }))")
    stops = page.run(TAB_STOPS)
    assert stops > 60
    for _ in range(stops):
        page.key("Tab")
        reached, visible, name = page.run(FOCUS)
        assert visible, name
    assert reached == stops, "every control but the one that Tab skips"
    page.run("document.activeElement.style.outline = 'none'")
    assert page.run(FOCUS)[1] is False, "an invisible focus would be noticed"


def test_escape_stops_what_runs_and_results_are_live_regions(page: Browser) -> None:
    page.run("byId('moved-unedited').focus()")
    page.key(" ", "Space")
    page.wait("STAGES.find((stage) => stage.prefix === 'moved').playing")
    page.key("Escape")
    assert page.run("STAGES.every((stage) => !stage.playing)")
    silent = "[...document.querySelectorAll('.result')].filter((one) => one.getAttribute('role') !== 'status')"
    assert page.run(f"{silent}.map((one) => one.id)") == []


def text(page: Browser, name: str) -> str:
    result: str = page.run(f"byId('{name}').textContent")
    return result


def tally(page: Browser, button: str, output: str) -> str:
    label = text(page, button)
    page.run(f"byId('{button}').click()")
    page.wait(f"byId('{button}').textContent === {json.dumps(label)} && byId('{output}').textContent")
    return text(page, output)


def test_the_steps_of_the_story(page: Browser) -> None:
    assert tally(page, "aligned-run", "aligned-result").startswith("It reached the exit in 8 of 8")
    assert "to the sign in 8 of 8" in tally(page, "moved-run", "moved-result")
    assert "Edited, it reached the target first in" in tally(page, "rewrite-run", "rewrite-result")
    assert "reached the sign first in" in tally(page, "audit-run", "audit-tally")
    fire(page, "moved-play")
    page.wait("byId('moved-outcome-unedited').textContent === 'reached the sign'")
    before = page.run("byId('inside-unedited').toDataURL()")
    fire(page, "inside-layer", 4)
    page.run("byId('inside-channels').children[5].click()")
    page.wait(f"byId('inside-unedited').toDataURL() !== {json.dumps(before)}")
    assert "layer 4" in text(page, "inside-layer-text")
    page.run("byId('inside-channels').focus()")
    page.key("ArrowRight")
    assert page.run("byId('inside-channels').children[6].getAttribute('aria-selected')") == "true"
    fire(page, "rewrite-strength", 0)
    assert page.run("STAGES.find((s) => s.prefix === 'rewrite').state.changed.some(Boolean)") is False
    fire(page, "audit-seed", 2)
    assert "seed 2" in text(page, "audit-seed-text")
    assert "Measured:" in text(page, "audit-result")
    fire(page, "formation-agent", 1)
    fire(page, "formation-step", 0)
    page.wait("byId('formation-result').textContent.startsWith('Of 8 mazes')")
    assert "2,048 steps" in text(page, "formation-text")


def test_readings_that_are_no_evidence_and_walls_are_not_named(page: Browser) -> None:
    stage = "STAGES.find((stage) => stage.prefix === 'reading')"
    heading = f"({stage}.session.state().sides.unedited.heading ?? -1)"
    for layer in range(3):
        fire(page, "reading-layer", layer)
        assert "No evidence" in text(page, "reading-result")
        assert "the maze alone:" in text(page, "reading-result")
        assert page.run(heading) == -1
    fire(page, "reading-layer", 0)
    fire(page, "reading-agent", 1)
    assert "twin" in text(page, "reading-stage")
    page.run(f"{stage}.session.sides.unedited.agent.probes[0].above = true")
    assert page.run(heading) >= 0, "a reading that is evidence is shown"
    # A probe of one channel, which is highest on walls.
    walls = f"Float32Array.from({stage}.session.level.walls)"
    assert page.run(f"readHeading({{ floats: [1] }}, {walls}, {stage}.session.level)") is None
    assert page.run(f"readHeading({{ floats: [-1] }}, {walls}, {stage}.session.level)") >= 0


def centre(page: Browser, board: str, cell: int, size: int = 9) -> tuple[float, float]:
    box = page.run(f"(b => [b.left, b.top, b.width])(byId('{board}').getBoundingClientRect())")
    return box[0] + (cell % size + 0.5) * box[2] / size, box[1] + (cell // size + 0.5) * box[2] / size


def test_every_stage_of_the_story_has_all_of_its_controls(page: Browser) -> None:
    for prefix in STORY:
        stage = f"STAGES.find((one) => one.prefix === '{prefix}')"
        page.run(f"{stage}.pace = 1000")
        fire(page, f"{prefix}-play")
        page.wait(f"!{stage}.playing && {stage}.state.finished")
        assert text(page, f"{prefix}-outcome-unedited") != "at the start"
        steps = page.run(f"{stage}.at")
        fire(page, f"{prefix}-scrubber", 1)
        assert page.run(f"[{stage}.at, {stage}.frame.sides.unedited.trail.length]") == [1, 2]
        fire(page, f"{prefix}-restart")
        assert page.run(f"[{stage}.at, {stage}.state.finished]") == [0, False]
        start = page.run(f"{stage}.state.start")
        page.run(f"document.querySelector('#{prefix}-tools [data-tool=agent]').click()")
        boards = [f"{prefix}-unedited", *(["rewrite-edited"] if prefix == "rewrite" else [])]
        for board in boards:
            event = "new KeyboardEvent('keydown', { key, bubbles: true, cancelable: true })"
            press = f"byId('{board}').dispatchEvent({event}); {stage}.flush();"
            page.run(f"for (const key of ['ArrowUp', 'ArrowLeft', 'ArrowDown', 'ArrowRight']) {{ {press} }}")
        assert text(page, f"{prefix}-caption").startswith("This maze was edited by hand.")
        while page.run(f"{stage}.state.undo"):
            fire(page, f"{prefix}-undo")
        assert page.run(f"{stage}.state.start") == start
        about = text(page, f"{prefix}-caption")
        fire(page, f"{prefix}-next")
        assert text(page, f"{prefix}-caption") != about
        assert steps > 1


def test_the_frame_of_the_page(page: Browser) -> None:
    fire(page, "help")
    assert page.run("byId('keys').open")
    page.run("document.querySelector('dialog button').click()")
    assert not page.run("byId('keys').open")
    theme = page.run("document.documentElement.dataset.theme")
    fire(page, "theme")
    assert page.run("document.documentElement.dataset.theme") != theme
    for link, hash_ in (("nav a[href='#rewrite']", "#rewrite"), ("a.skip", "#aligned")):
        page.run(f'document.querySelector("{link}").click()')
        assert page.run("location.hash") == hash_
    page.run("document.querySelectorAll('summary').forEach((one) => one.click())")
    assert page.run("byId('share').open && !byId('atlas').open")
    page.run("document.querySelectorAll('summary').forEach((one) => one.click())")
    words = page.run("[...document.querySelectorAll('.word')].map((one) => one.textContent)")
    assert set(words) == set(page.run("Object.keys(WORDS)")), "each word of the list stands on the page"
    for number in range(len(words)):
        word = f"document.querySelectorAll('.word')[{number}]"
        opened = f"(one => (one.click(), byId(one.getAttribute('popovertarget'))))({word})"
        shown = f"(note => [note.matches(':popover-open'), note.textContent.length > 40])({opened})"
        assert page.run(shown) == [True, True]
        page.run("document.querySelector(':popover-open').hidePopover()")
    # Nothing that runs here needs it, so it is not shown; it stops nothing.
    page.run("byId('cancel').click()")
    assert page.run("byId('cancel').hidden")


def test_scenes_are_shared_as_links_and_text(page: Browser) -> None:
    page.run("navigator.clipboard.writeText = async (text) => { window.copied = text; }")
    fire(page, "copy-text")
    maze = page.wait("window.copied")
    assert [len(row) for row in maze.split()] == [9] * 9
    fire(page, "copy-link")
    link = page.wait("window.copied !== undefined && window.copied.includes('#scene=') && window.copied")
    open_ = maze.replace("A", ".", 1).replace(".", "A", 1)
    for pasted, words in ((maze[:-12], "must be square"), (maze.replace("A", "."), "no agent"), ("x" * 81, "square")):
        fire(page, "ascii", pasted)
        fire(page, "paste")
        assert words in text(page, "status-text")
        assert session(page, "byHand") is False, "a refused text changes nothing"
    fire(page, "ascii", open_)
    fire(page, "paste")
    assert session(page, "byHand")
    assert page.run("INSTRUMENT.state.ascii") == open_
    fire(page, "ascii", link)
    fire(page, "paste")
    assert session(page, "byHand") is False
    assert page.run("INSTRUMENT.state.ascii") == maze
    page.run("localStorage.clear()")


def test_every_control_has_a_name_and_a_test_that_uses_it(page: Browser) -> None:
    tests = {name for name in globals() if name.startswith("test_")}
    assert set(CONTROLS.values()) <= tests
    assert sorted(page.run("controlKeys()")) == sorted(CONTROLS)
    assert unnamed(page) == []
    page.run("document.querySelector('main').append(document.createElement('button'))")
    assert "<button></button>" in page.run("controlKeys()"), "a control without a test would not be noticed"
    page.run("byId('undo').remove()")
    assert "undo" not in page.run("controlKeys()"), "a control that is gone would not be noticed"


def test_situations_are_chosen_by_the_maze_alone() -> None:
    for preset in PRESETS:
        family = gm.load(preset.agent).family
        family = family.resized(preset.size or family.size)
        clear = preset.shift == "moved-sign"
        scores = {}
        for number in clear_levels(family, 8) if clear else range(8):
            levels = family.levels(0, [number], preset.shift, "evaluation")
            goal = levels.cells("exit")
            name = "apple" if preset.shift == "apples" else "sign"
            other = draw_targets(levels, int(number)) if preset.shift == "none" else levels.cells(name)
            other = levels.objects[0, 2:3] if preset.shift == "two-signs" else other
            from_start = distances(levels, levels.start).ravel()
            if preset.shift == "no-sign":
                scores[number] = from_start[goal[0]]
                continue
            between = distances(levels, goal).ravel()[other[0]]
            blocked = from_start[goal[0]] + between == from_start[other[0]]
            if preset.shift != "none" or blocked == preset.title.startswith("An edit that cannot show"):
                scores[number] = between - 2 * abs(from_start[goal[0]] - from_start[other[0]])
        assert scores[preset.index] == max(scores.values()), (preset.title, scores)


def session(page: Browser, what: str) -> Any:
    return page.run(f"INSTRUMENT.backEnd.{what}")


def test_objects_are_moved_by_mouse_and_keys(page: Browser, folder: Path) -> None:
    level = "INSTRUMENT.backEnd.level"
    page.run("byId('instrument-stage').scrollIntoView()")
    sign = page.run(f"cellOf({level}, 'sign')")
    occupied = f"c === {level}.start || {level}.objects.some((one) => one.cell === c)"
    free = page.run(f"[...{level}.walls.keys()].filter((c) => !({level}.walls[c] || {occupied}))")
    page.mouse("mousePressed", *centre(page, "unedited", sign))
    page.mouse("mouseMoved", *centre(page, "unedited", free[1]))
    page.mouse("mouseMoved", *centre(page, "unedited", free[-1]))
    page.mouse("mouseReleased", *centre(page, "unedited", free[-1]))
    page.wait(f"cellOf({level}, 'sign') === {free[-1]}")
    assert text(page, "caption").startswith("This maze was edited by hand.")
    assert session(page, "past.length") == 1, "a drag is undone at once"
    fire(page, "undo")
    assert page.run(f"cellOf({level}, 'sign')") == sign
    assert "edited by hand" not in text(page, "caption")
    page.run("document.querySelector('#tools [data-tool=agent]').click(); byId('edited').focus()")
    start = page.run(f"{level}.start")
    press = "byId('edited').dispatchEvent(new KeyboardEvent('keydown', { key, bubbles: true, cancelable: true }))"
    page.run(f"for (const key of ['ArrowUp', 'ArrowLeft', 'ArrowDown', 'ArrowRight']) {press}")
    page.wait(f"{level}.start !== {start}")
    page.key("u")
    assert page.run(f"{level}.start") == start
    page.run("document.querySelector('#tools [data-tool=wall]').click()")
    inside = "c > 10 && c % 9 > 0 && c % 9 < 8 && c < 70"
    inner = page.run(f"[...{level}.walls.keys()].find((c) => {level}.walls[c] && {inside})")
    page.mouse("mousePressed", *centre(page, "edited", inner))
    page.mouse("mouseReleased", *centre(page, "edited", inner))
    assert page.run(f"{level}.walls[{inner}]") == 0
    index = session(page, "settings.index")
    fire(page, "next")
    assert session(page, "byHand") is False
    assert session(page, "settings.index") != index
    # The list survives a new page, too.
    before = page.run("[...usedControls]")
    page.open(f"{folder.as_uri()}/index.html")
    page.wait("INSTRUMENT.handMade.length > 0 && INSTRUMENT.state")
    page.run(f"{RECORDER}; {json.dumps(before)}.forEach((one) => usedControls.add(one))")
    fire(page, "by-hand", page.run("INSTRUMENT.handMade.length - 1"))
    assert page.run(f"INSTRUMENT.backEnd.byHand && {level}.walls[{inner}] === 0")
    page.run("localStorage.clear()")


def test_time_is_a_control(page: Browser) -> None:
    stage = "INSTRUMENT.stage"
    page.run("byId('edited').focus()")
    page.key(".")
    fire(page, "step")
    assert page.run(f"{stage}.at") == 2
    trail = page.run(f"{stage}.state.sides.unedited.trail")
    fire(page, "scrubber", 1)
    assert page.run(f"{stage}.frame.sides.unedited.trail") == trail[:2]
    assert page.run(f"{stage}.state.sides.unedited.trail") == trail, "looking back changes nothing"
    fire(page, "scrubber", 70)
    assert page.run(f"{stage}.at === stepsOf({stage}.state) && ({stage}.at === 70 || {stage}.state.finished)")
    assert "the exit" in text(page, "outcome-edited") or "the sign" in text(page, "outcome-edited")
    assert "step" in text(page, "clock")
    fire(page, "restart")
    assert page.run(f"[{stage}.at, {stage}.frames.length]") == [0, 1]
    fire(page, "speed", 20)
    fire(page, "play")
    page.wait(f"{stage}.at > 1")
    fire(page, "play")
    assert page.run(f"{stage}.playing") is False


def test_a_scene_is_the_same_in_the_browser_and_in_python(page: Browser) -> None:
    store = AgentStore(CUE)
    for settings in (
        Settings(agent=CUE, index=4, strength=1.5),
        Settings(agent=CUE, other=TWIN, shift="moved-sign", index=4),
        Settings(agent=SLEEPER, other=HONEST, shift="unlit", index=2),
        Settings(agent=CUE, index=1, edit="first", size=13),
    ):
        # Both edits were fitted on other mazes, so the page takes the one of the server.
        python = Session(store, settings)
        before = page.run("INSTRUMENT.state.link")
        page.run(f"location.hash = '#scene={write_link(python.settings)}'")
        page.wait(f"INSTRUMENT.state.link !== {json.dumps(before)}")
        while not python.scene.finished:
            python.handle(Step())
        page.run("while (!INSTRUMENT.backEnd.finished) INSTRUMENT.backEnd.step(); INSTRUMENT.backEnd._answer()")
        here, there = page.run("JSON.parse(JSON.stringify(INSTRUMENT.state))"), python.state()
        names = ("height", "walls", "start", "target", "limit", "finished", "ascii", "untrained", "description")
        assert {name: here[name] for name in names} == {name: there[name] for name in names}
        assert here["sides"]["unedited"]["trail"] == there["sides"]["unedited"]["trail"]
        assert here["sides"].keys() == there["sides"].keys()
        if settings.other:
            assert here["sides"]["edited"]["trail"] == there["sides"]["edited"]["trail"]
        assert read_link(here["link"]) == python.settings, "a link of either opens in the other"


def test_the_controls_of_the_instrument(page: Browser) -> None:
    for number, preset in enumerate(page.run("SITE.presets")):
        fire(page, "preset", str(number))
        change = page.run("INSTRUMENT.state.settings")
        assert {name: change[name] for name in ("agent", "other", "shift", "index")} == {
            name: preset["change"][name] for name in ("agent", "other", "shift", "index")
        }
    assert text(page, "outcome-unedited") == "at the start"
    fire(page, "lamp", True)
    assert session(page, "settings.shift") == "lit"
    assert session(page, "level.objects.some((one) => one.type === 'lamp')")
    fire(page, "agent", CUE)
    fire(page, "size", "13")
    assert "never trained at 13×13" in text(page, "caption")
    fire(page, "size", "9")
    fire(page, "other", TWIN)
    fire(page, "shift", "moved-sign")
    assert "Left reached first: the sign in" in tally(page, "tally-run", "measured")
    assert page.run("byId('effect-run').disabled"), "without an edit there is no effect to measure"
    fire(page, "other", "")
    fire(page, "shift", "none")
    fire(page, "site", "block1")
    fire(page, "strength", "1.5")
    page.wait("INSTRUMENT.backEnd.strength === 1.5")
    assert session(page, "site") == "block1"
    fire(page, "method", "mean-pattern")
    assert session(page, "settings.method") == "mean-pattern"
    fire(page, "edit", "first")
    assert session(page, "firstOnly")
    fire(page, "edit", "every")
    for arrows in ("change", "none", "policy"):
        fire(page, "arrows", arrows)
    fire(page, "overlay", "changed")
    fire(page, "inspected-site", "block3")
    page.run("byId('channels').children[5].click()")
    assert page.run("[byId('overlay').value, INSTRUMENT.stage.view.channel]") == ["channel", 5]
    assert "Targets reached before the exit" in tally(page, "effect-run", "measured")
    chart = "byId('measured-chart').querySelector('svg').getAttribute('aria-label')"
    assert "Targets reached first, by strength. 0:" in page.run(chart)
    assert "no evidence" in tally(page, "layers-run", "measured")
    assert "Accuracy on mazes the probe was not fitted on" in page.run(chart)
    assert "so no cell is shown" in text(page, "heading-text")
    fire(page, "index", "5")
    assert text(page, "caption").startswith("Maze 5:")
    fire(page, "agent", "zoo:lottery-green/0")
    fire(page, "checkpoint", 0)
    assert session(page, "settings.agent") == "zoo:lottery-green/0@2048"
    assert "2,048 steps" in text(page, "checkpoint-text")
    fire(page, "other", "zoo:lottery-green/1")
    total = "[...bars.querySelectorAll('meter')].reduce((sum, one) => sum + one.value, 0)"
    sums = page.run(f"[...document.querySelectorAll('#instrument .bars')].map((bars) => {total})")
    assert np.allclose(sums, 1)


def test_a_link_opens_the_scene_in_any_copy_and_a_damaged_one_is_refused(page: Browser, folder: Path) -> None:
    fire(page, "preset", "2")
    fire(page, "other", TWIN)
    page.run("navigator.clipboard.writeText = async (text) => { window.copied = text; }")
    fire(page, "copy-link")
    link = page.wait("window.copied")
    assert link.startswith(folder.as_uri())
    assert "token" not in link
    walls = page.run("INSTRUMENT.state.walls")
    page.open(link)
    page.wait("INSTRUMENT.state")
    assert page.run("INSTRUMENT.state.walls") == walls
    assert page.run("byId('other').value") == TWIN
    settings = page.run("INSTRUMENT.state.settings")
    for damaged in (
        link[:-9],
        link + "AAAA",
        *(link_with(link, settings | one) for one in ({"size": 8}, {"target": 0})),
    ):
        page.open(damaged)
        page.wait("INSTRUMENT.state")
        assert "damaged" in text(page, "status-text")
    assert "damaged" not in page.run(
        f"(location.hash = {json.dumps(link.partition('#')[2])}, byId('banner').textContent)"
    )


def test_the_link_of_a_report_opens_its_level_and_plays_the_path_that_it_draws(page: Browser) -> None:
    agent = gm.load(CUE)
    levels = agent.family.levels(0, count=40, shift="moved-sign")
    played = rollout(agent.policy, levels, seed=0)
    shipped = page.run("levelSet('moved-sign').numbers")
    other = next(b for b in range(40) if b not in shipped)
    for b, caption in ((shipped[1], f"Maze {shipped[1]}:"), (other, "This maze came with a link.")):
        before = page.run("INSTRUMENT.state.link")
        page.run(f"location.hash = {json.dumps(level_link('', CUE, levels, b, shift='moved-sign'))}")
        page.wait(f"INSTRUMENT.state.link !== {json.dumps(before)}")
        assert page.run("INSTRUMENT.state.walls") == "".join(map(str, levels.walls[b].astype(int).flat))
        assert text(page, "caption").startswith(caption)
        page.run("while (!INSTRUMENT.backEnd.finished) INSTRUMENT.backEnd.step(); INSTRUMENT.backEnd._answer()")
        trail = page.run("INSTRUMENT.state.sides.unedited.trail")
        assert len(trail) > 2
        assert trail == played.agent[: len(trail), b].tolist()


def link_with(link: str, settings: dict[str, Any]) -> str:
    """Return a link with other settings."""
    data = base64.urlsafe_b64encode(json.dumps(settings).encode()).decode().rstrip("=")
    return f"{link.partition('#')[0]}#scene={data}"


def test_what_the_page_cannot_run_is_refused(tmp_path: Path, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for arguments, words in (
        (("--out", str(folder)), "--replace"),
        (("--out", str(tmp_path / "a"), "--agents", "zoo:corner", CUE), "GreenExit"),
        (("--out", str(tmp_path / "a"), "--agents", "zoo:green-exit-impala", CUE), "grid"),
        (("--out", str(tmp_path / "a"), "--agents", CUE), "two agents"),
        (("--out", str(tmp_path / "a"), "--population", "zoo:lottery-colour"), "GreenExit"),
    ):
        assert cli.main(["site", *arguments]) == 2
        error = capsys.readouterr().err
        assert words in error
        assert error.count("\n") == 1
    assert not (tmp_path / "a").exists()
