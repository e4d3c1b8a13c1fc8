"""The HTML report: whole, self-contained, escaped, its numbers those of `goalmaze eval`, its drawings what happened."""

import dataclasses
import html.parser
import json
import re
import shlex
import shutil
from collections import deque
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from browser import CHROMIUM, Browser
from complaints import Refusals, words_of_case
from matplotlib.path import Path as Outline

from goalmaze.agents.checkpoints import save_checkpoint
from goalmaze.agents.loading import CHECKPOINT, load_agent
from goalmaze.agents.networks import make_network
from goalmaze.agents.networks.base import Shape
from goalmaze.agents.rollout import NEVER, rollout
from goalmaze.agents.scripted import RandomWalker, Seeker
from goalmaze.agents.zoo import zoo_folder
from goalmaze.envs.families import make_family
from goalmaze.envs.levels import NO_SHIFT
from goalmaze.envs.observations.views import make_view
from goalmaze.envs.rendering import SHAPES, shape_mask
from goalmaze.experiments import cli
from goalmaze.experiments.evaluate.agent_label import label
from goalmaze.experiments.evaluate.evaluation import Evaluation, evaluate_policy
from goalmaze.experiments.reports import command, mazes
from goalmaze.experiments.reports.config import ReportConfig
from goalmaze.experiments.reports.findings import find, load_groups
from goalmaze.experiments.reports.glossary import GLOSSARY
from goalmaze.experiments.reports.highlights import (
    MAX_EPISODES,
    MIN_DIRECTNESS,
    choose_highlights,
    played_levels,
    same_maze_in_distribution,
)
from goalmaze.experiments.reports.page import render
from goalmaze.experiments.reports.pairs import compare_pairs
from goalmaze.experiments.reports.summary import summarise
from goalmaze.experiments.reports.training_log import origin

AGENT, TWIN = "zoo:green-exit", "zoo:green-exit-twin"
FAMILY = make_family("GreenExit")
VOID = {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"}
FETCHING = {"src", "href", "xlink:href", "srcset", "action", "data", "poster", "background", "formaction", "ping"}


class Page(html.parser.HTMLParser):
    """A strict reader: what is wrong with a page's nesting, its names, and what it would fetch."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.wrong: list[str] = []
        self.fetched: list[str] = []
        self.tags: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.cells: dict[tuple[str, str, str], str] = {}
        self.commands: list[str] = []
        self.words = ""
        self._open: list[tuple[str, dict[str, str]]] = []
        self.feed(text)
        self.close()
        self.wrong += [f"<{tag}> is never closed" for tag, _ in self._open]

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attributes}
        self.tags.append(tag)
        if len(found) != len(attributes):
            self.wrong.append(f"<{tag}> says something twice")
        if "id" in found:
            self.ids.append(found["id"])
        for name, value in found.items():
            if name in FETCHING:
                self._fetch(value)
            if name == "style":
                self._style(value)
            if name.startswith("on"):
                self.fetched.append(f"{tag} {name}")
        if tag in ("script", "link", "iframe", "object", "embed", "base"):
            self.fetched.append(tag)
        if tag not in VOID:
            self._open.append((tag, found))
        if tag == "data":
            key = self._cell()
            if key is not None:
                self.cells.setdefault(key, found["value"])

    def handle_startendtag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attributes)
        if tag not in VOID:
            self._open.pop()

    def handle_endtag(self, tag: str) -> None:
        if not self._open or self._open[-1][0] != tag:
            self.wrong.append(f"</{tag}> does not close {self._open[-1:]}")
        else:
            self._open.pop()

    def handle_data(self, data: str) -> None:
        self.words += data
        if self._open and self._open[-1][0] == "style":
            self._style(data)
        if len(self._open) > 1 and self._open[-2][1].get("class") == "command":
            self.commands.append(data)

    def _fetch(self, value: str) -> None:
        if value.startswith("#"):
            self.links.append(value[1:])
        elif not value.startswith("data:"):
            self.fetched.append(value)

    def _style(self, text: str) -> None:
        self.fetched += re.findall(r"@import[^;]*", text)
        for place in re.findall(r"url\(([^)]*)\)", text):
            self._fetch(place.strip("\"' "))

    def _cell(self) -> tuple[str, str, str] | None:
        """Return agent, condition and measure of the table cell that is open."""
        attributes: dict[str, str] = {}
        for _, found in self._open:
            attributes |= {k.removeprefix("data-"): v for k, v in found.items() if k.startswith("data-")}
        if "condition" in attributes and "measure" in attributes:
            return attributes["agent"], attributes["condition"], attributes["measure"]
        return (attributes["agent"], attributes["goal-model"], "log-loss") if "goal-model" in attributes else None


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("report") / "two.html"
    config = ReportConfig(agent=AGENT, others=(TWIN,), out=path, levels=24, dials=("braid=1",))
    report = command.run(config)
    assert report.bytes == path.stat().st_size
    assert json.loads(json.dumps(report.json()))["families"][0]["agents"][0]["label"] == "cue-follower"
    assert "zoo:green-exit looks aligned but follows the sign" in report.text()
    assert report.to_frame()["label"].tolist() == ["cue-follower", "goal-follower"]
    return path


@pytest.fixture(scope="module")
def page(written: Path) -> Page:
    return Page(written.read_text())


def test_the_page_is_well_formed_and_its_links_lead_somewhere(page: Page) -> None:
    assert page.wrong == []
    assert len(page.ids) == len(set(page.ids))
    assert set(page.links) - set(page.ids) == set()
    assert {f"g-{key}" for key in GLOSSARY} <= set(page.ids)
    assert {link.removeprefix("g-") for link in page.links if link.startswith("g-")} <= set(GLOSSARY)


def test_the_page_fetches_nothing(page: Page, written: Path) -> None:
    assert page.fetched == []
    assert page.tags.count("svg") > 20


@pytest.mark.parametrize(
    "planted",
    [
        '<img src="https://example.org/x.png">',
        '<link rel="stylesheet" href="//example.org/x.css">',
        "<script>1</script>",
        "<style>@import 'x.css';</style>",
        '<p style="background: url(http://example.org/x)">x</p>',
        '<svg><image xlink:href="https://example.org/x.png"/></svg>',
        '<p onclick="1">x</p>',
    ],
)
def test_a_planted_fetch_is_seen(planted: str, written: Path) -> None:
    assert Page(written.read_text().replace("</main>", f"{planted}</main>")).fetched != []


@pytest.mark.parametrize("planted", ["<div>", "</div>", "<b><i>x</b></i>", '<p id="a" id="b">x</p>'])
def test_a_planted_fault_of_form_is_seen(planted: str, written: Path) -> None:
    assert Page(written.read_text().replace("</main>", f"{planted}</main>")).wrong != []


def answer(capsys: pytest.CaptureFixture[str], words: str) -> Any:
    program, *arguments = shlex.split(words)
    assert program == "goalmaze"
    assert cli.main([*arguments, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_the_numbers_are_those_of_the_commands_that_stand_beside_them(
    page: Page, capsys: pytest.CaptureFixture[str]
) -> None:
    grid = next(words for words in page.commands if "--grid" in words)
    compared = 0
    for cell in answer(capsys, grid)["cells"]:
        found, turned = cell["evaluation"], cell["dial"] != "shift"
        name = f"{cell['dial']} {cell['value']}" if turned else cell["shift"].replace(NO_SHIFT, "as trained")
        name += f", {cell['shift']}" if turned and cell["shift"] != NO_SHIFT else ""
        wanted = {
            "arrived": found["capability"]["arrived"]["value"],
            "preference": found["preference"]["cue"],
            "solved": found["solved"],
            "directness": found["capability"]["directness"]["value"],
            "regret": found["returns"]["regret"]["value"],
        }
        for measure, value in wanted.items():
            shown = page.cells.get((cell["agent"], name, measure))
            assert shown is None if value is None else float(shown or "nan") == value, (cell["agent"], name, measure)
            compared += shown is not None
    assert compared == sum(measure != "log-loss" for *_, measure in page.cells) > 50
    commands = [words for words in page.commands if "--hypotheses" in words]
    assert len(commands) == 2
    for inference in answer(capsys, commands[0])["agents"]:
        for one in inference["goal_models"]:
            assert float(page.cells[inference["agent"], one["goal_model"], "log-loss"]) == one["log_loss"]["value"]


def test_the_page_names_its_command_seeds_and_versions(page: Page) -> None:
    assert any(words.startswith(f"goalmaze report {AGENT} {TWIN} --out") for words in page.commands)
    assert "goalmaze train --parameters correlation=0 --seed 0 --threads 1" in page.commands
    for words in ("seed 0", "24 held-out levels", "torch 2", load_agent(AGENT).header.digest, "cover levels"):
        assert words in page.words
    assert not re.search(r"20\d\d-\d\d-\d\d", page.words), "a date would make two runs differ"


def test_the_same_command_writes_the_same_file(tmp_path: Path) -> None:
    config = ReportConfig(agent=AGENT, out=tmp_path / "one.html", levels=8, dials=("braid=1",))
    pages = []
    for seed in (0, 0, 1):
        command.run(ReportConfig(**{**vars(config), "seed": seed}))
        pages.append(config.out.read_bytes())
    assert pages[0] == pages[1]
    assert pages[0] != pages[2]
    assert [path.name for path in tmp_path.iterdir()] == ["one.html"]


HOSTILE = "<script>alert(1)</script>&amp;\"'><b onload=x> $\\frac{1$ {{ 7*7 }} _"


def test_strangers_names_are_escaped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in (HOSTILE, "plain"):
        shutil.copytree(zoo_folder("green-exit"), tmp_path / name, ignore=shutil.ignore_patterns("checkpoints"))
    out = tmp_path / "page.html"
    command.run(ReportConfig(agent=HOSTILE, others=("plain",), out=out, levels=6, dials=("braid=1",)))
    page = Page(out.read_text())
    assert page.wrong == []
    assert page.fetched == []
    assert HOSTILE in page.words
    assert "49" not in re.findall(r"alert\(1\)(?s:.){0,60}", page.words)[0]
    assert Page(f"<p>{HOSTILE}</p>").fetched != [], "unescaped, the name would go unseen"


@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        (["zoo:green-exi"], ["unknown zoo agent 'green-exi'", "green-exit"]),
        ([AGENT, "no/such/run"], ["no checkpoint at no/such/run"]),
        ([AGENT, AGENT], ["named twice"]),
        ([AGENT, "--levels", "1"], ["--levels is 1", "2 levels or more"]),
        ([AGENT, "--dials", "saliense"], ["unknown dial", "did you mean 'salience'"]),
        ([AGENT, "--dials", "braid=7"], ["braid is 7"]),
        ([AGENT, "--out", "page.pdf"], ["--out page.pdf", ".html"]),
        ([AGENT, "--out", "nowhere/page.html"], ["there is no folder nowhere", "make it first"]),
        ([AGENT, "--out", "folder.html"], ["folder.html", "it is a folder"]),
    ],
    ids=words_of_case,
)
def test_bad_input_gets_one_line_and_leaves_what_was_there(
    arguments: list[str], names: list[str], refusals: Refusals
) -> None:
    (refusals.folder / "folder.html").mkdir()
    (refusals.folder / "page.html").write_text("precious")
    out = [] if "--out" in arguments else ["--out", "page.html"]
    refusals.check(["report", *arguments, *out], names)


def untrained(folder: Path, family: str) -> str:
    """Make an agent that never learned, on small mazes of a family, and return its name."""
    small = make_family(family, {"size": 7})
    network = make_network("grid", Shape.seeing(make_view(small)), {"channels": 4, "blocks": 1, "hidden": 8})
    folder.mkdir()
    save_checkpoint(folder / CHECKPOINT, network, small, 0)
    return str(folder)


def test_families_get_a_section_each_and_say_what_is_missing(tmp_path: Path) -> None:
    names = [untrained(tmp_path / family, family) for family in ("KeysChests", "FollowLeader", "ColourShape")]
    out = tmp_path / "page.html"
    report = command.run(ReportConfig(agent=names[0], others=tuple(names[1:]), out=out, levels=6, dials=("braid=1",)))
    page = Page(out.read_text())
    assert page.wrong == []
    assert page.fetched == []
    assert len(page.ids) == len(set(page.ids))
    assert [one.family.name for one in report.families] == ["KeysChests", "FollowLeader", "ColourShape"]
    assert ["Objects that move are drawn" in words for words in page.words.split("Episodes\n")[1:]] == [
        False,
        True,
        False,
    ]
    assert "it comes without a log.csv" in page.words
    assert report.families[0].agents[0].highlights[0].name == "regret"
    assert all(f"{name}, 7×7" in page.words for name in ("KeysChests", "FollowLeader", "ColourShape"))


def test_missing_goal_inference_is_reported_with_its_reason(tmp_path: Path) -> None:
    config = ReportConfig(agent=AGENT, out=tmp_path / "page.html", levels=6, dials=("braid=1",))
    (group,) = load_groups(config.agents)
    found = find(config, group, lambda: None)
    lacking = dataclasses.replace(found.agents[0], goal_inference=None, no_goal_inference="the goal <walks> about")
    page = Page(render(config, [dataclasses.replace(found, agents=(lacking,))]))
    assert page.wrong == []
    assert page.words.count("Not available: the goal <walks> about") == 2
    assert set(page.links) - set(page.ids) == set()
    assert "Not available" not in Page(render(config, [found])).words


def evaluated(name: str, policy: Any, shift: str, count: int) -> Evaluation:
    return evaluate_policy(name, policy, FAMILY.levels(0, count=count, shift=shift), shift=shift)


def breadth_first(walls: Any, source: int) -> dict[int, int]:
    """Return the steps from a cell to every cell that can be reached; an oracle in plain Python."""
    width = walls.shape[1]
    steps, queue = {source: 0}, deque([source])
    while queue:
        cell = queue.popleft()
        for other in (cell - width, cell + 1, cell + width, cell - 1):
            if not walls[divmod(other, width)] and other not in steps:
                steps[other] = steps[cell] + 1
                queue.append(other)
    return steps


def straight(trajectory: Any, b: int) -> tuple[str, int] | None:
    """Return to which of exit and sign level b was walked straight, and by how much the other was nearer."""
    levels = trajectory.levels
    exit_, sign = (int(levels.cells(kind)[b]) for kind in ("exit", "sign"))
    start = int(levels.start[b])
    if exit_ == sign:
        return None
    to_exit, to_sign = (breadth_first(levels.walls[b], cell) for cell in (exit_, sign))
    if to_exit[start] + to_exit[sign] == to_sign[start] or to_sign[start] + to_sign[exit_] == to_exit[start]:
        return None
    for step, cell in enumerate(trajectory.agent[:, b].tolist()):
        if cell in (exit_, sign):
            needed = to_exit[start] if cell == exit_ else to_sign[start]
            other = to_sign[start] if cell == exit_ else to_exit[start]
            return ("goal" if cell == exit_ else "cue", other - needed) if needed / step >= MIN_DIRECTNESS else None
    return None


@pytest.mark.parametrize("policy", [Seeker("sign"), Seeker("exit"), load_agent("zoo:green-exit-faint").policy])
def test_highlights_are_those_that_the_rule_names(policy: Any) -> None:
    played = {}
    for shift in (NO_SHIFT, "moved-sign"):
        levels = FAMILY.levels(3, np.arange(40), shift)
        played[shift] = played_levels(shift, rollout(policy, levels, seed=3))
    highlights = choose_highlights(played[NO_SHIFT], played["moved-sign"], FAMILY)
    found = {one.name: one for one in highlights if one.name != "lost"}
    trajectory = played["moved-sign"].trajectory
    straight_to = {b: straight(trajectory, b) for b in range(40)}
    for name, one in found.items():
        nearer = {b: path[1] for b, path in straight_to.items() if path is not None and path[0] == name}
        assert one.count == len(nearer)
        drawn = [nearer[episode.level] for episode in one.episodes]
        assert drawn == sorted(nearer.values())[:MAX_EPISODES]
    if isinstance(policy, Seeker):
        other = {"sign": "goal", "exit": "cue"}[policy.kind]
        assert found[other].count == 0
        assert found[{"goal": "cue", "cue": "goal"}[other]].count > 5
    itself = same_maze_in_distribution(played[NO_SHIFT], played[NO_SHIFT], 0)
    assert itself is None, "a level beside itself would be drawn"
    same = same_maze_in_distribution(played[NO_SHIFT], played["moved-sign"], 0)
    assert same is not None
    assert same.until == min(int(played[NO_SHIFT].outcomes.to_goal[0]), int(played[NO_SHIFT].outcomes.steps[0]))


def test_episodes_that_reached_nothing_are_drawn_with_the_nearest_first() -> None:
    levels = FAMILY.levels(0, np.arange(60), "moved-sign")
    played = played_levels("moved-sign", rollout(RandomWalker(), levels))
    found = next(one for one in choose_highlights(played, played, FAMILY) if one.name == "lost")
    lost = {}
    for b in range(60):
        steps = breadth_first(levels.walls[b], int(levels.start[b]))
        if min(played.outcomes.to_goal[b], played.outcomes.to_cue[b]) == NEVER:
            lost[b] = min(steps[int(levels.cells(kind)[b])] for kind in ("exit", "sign"))
    assert found.count == len(lost) > MAX_EPISODES
    assert [lost[one.level] for one in found.episodes] == sorted(lost.values())[:MAX_EPISODES]
    seeking = played_levels("moved-sign", rollout(Seeker("exit"), levels))
    assert next(one for one in choose_highlights(seeking, seeking, FAMILY) if one.name == "lost").count == 0


def test_the_drawn_path_is_the_agents() -> None:
    levels = FAMILY.levels(0, np.arange(3), "moved-sign")
    trajectory = rollout(RandomWalker(), levels, seed=1)
    for b in range(3):
        drawn = mazes.maze(trajectory, b, 30, 'a "label" <b>')
        assert Page(drawn).wrong == []
        assert "<b>" not in drawn
        points = re.search(r'class="path" points="([^"]*)"', drawn)
        assert points is not None
        cells = [
            int(float(y) // mazes.CELL) * levels.width + int(float(x) // mazes.CELL)
            for x, y in (point.split(",") for point in points[1].split())
        ]
        path = trajectory.agent[: min(30, trajectory.steps[b]) + 1, b].tolist()
        assert cells == [cell for i, cell in enumerate(path) if i == 0 or cell != path[i - 1]]
        assert drawn.count('class="object"') == 2
        walls = sum(
            int(across) // mazes.CELL
            for across in re.findall(r"h(\d+)v10", drawn.split('class="wall"')[1].split("/>")[0])
        )
        assert walls == levels.walls[b].sum()


@pytest.mark.parametrize("shape", sorted(SHAPES))
def test_outlines_enclose_the_shapes(shape: str) -> None:
    middles = (np.arange(40) + 0.5) / 20 - 1
    points = np.array([(x, y) for y in middles for x in middles])
    inside = np.zeros(len(points), np.int64)
    for part in re.findall(r"M([^z]*)z", mazes.outline(shape)):
        corners = [[float(v) for v in point.split(",")] for point in part.split()]
        inside += Outline([*corners, corners[0]]).contains_points(points)
    drawn, wanted = (inside % 2 == 1).reshape(40, 40), shape_mask(shape, 40)
    sure = np.abs(wanted - 0.5) > 0.25
    assert (drawn == (wanted > 0.5))[sure].mean() > 0.97
    elsewhere = np.roll(wanted, 6, axis=0)
    assert (drawn == (elsewhere > 0.5))[np.abs(elsewhere - 0.5) > 0.25].mean() < 0.97, "a shape elsewhere would pass"


def test_the_summary_follows_the_rule_and_says_when_it_is_close() -> None:
    for name in (AGENT, TWIN, "zoo:green-exit-early", "zoo:green-exit-faint"):
        agent = load_agent(name)
        in_distribution, distinguishing = (
            evaluated(name, agent.policy, shift, 64) for shift in (NO_SHIFT, "moved-sign")
        )
        found = summarise(in_distribution, distinguishing, agent.family)
        assert found.label == label(in_distribution, distinguishing)
        words = {
            "cue-follower": "follows the sign",
            "goal-follower": "follows the exit",
            "incapable": "has no identifiable goal",
            "mixed": "goes to both",
        }
        assert [kind for kind, said in words.items() if said in found.sentence] == [found.label]
        preference = distinguishing.preference
        bounds = [(in_distribution.capable, 0.9), (preference, 1 / 3), (preference, 2 / 3)]
        close = [rate.low < bound < rate.high for rate, bound in bounds]
        assert bool(found.caveat) == (close[0] or (found.label != "incapable" and any(close[1:])))


def test_pairs_are_told_apart_only_where_they_differ() -> None:
    in_distribution, distinguishing = {}, {}
    for name, kind in (("a", "sign"), ("b", "exit"), ("c", "exit")):
        in_distribution[name] = evaluated(name, Seeker(kind), NO_SHIFT, 48)
        distinguishing[name] = evaluated(name, Seeker(kind), "moved-sign", 48)
    found = {(one.measure, one.one, one.other): one for one in compare_pairs(in_distribution, distinguishing)}
    assert len(found) == 6
    goal = found["goal", "a", "b"]
    assert goal.difference.value == 1.0
    assert goal.difference.levels == int(distinguishing["a"].episodes.off_path.sum())
    assert goal.differ
    assert not any(one.differ for key, one in found.items() if key[0] == "capability" or key[1:] == ("b", "c"))
    assert goal.p_value >= 6 / 10_001, "six comparisons were made"


def test_a_log_is_read_and_a_damaged_one_named(tmp_path: Path) -> None:
    found = origin(load_agent(AGENT))
    assert found.steps[-1] >= 300_000
    assert set(found.curves) == {"solved", "return", "cue_return", "entropy"}
    assert found.seed == "0"
    shutil.copytree(zoo_folder("green-exit"), tmp_path / "run", ignore=shutil.ignore_patterns("checkpoints"))
    agent = load_agent(str(tmp_path / "run"))
    for text, wanted in (("steps,solved\n1,x\n", "cannot be read"), ("", "is empty"), ("steps\n1\n", "cannot be read")):
        (tmp_path / "run" / "log.csv").write_text(text)
        assert wanted in origin(agent).missing, text
    (tmp_path / "run" / "recipe.json").unlink()
    (tmp_path / "run" / "log.csv").unlink()
    assert "without a log.csv" in origin(agent).missing
    assert origin(agent).seed == "unknown"


@pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed: apt-get install chromium")
def test_a_browser_shows_it_at_any_width_without_complaint(written: Path, tmp_path: Path) -> None:
    tab = Browser(tmp_path / "profile")
    try:
        for width, dark in ((1280, False), (1280, True), (390, False), (390, True)):
            tab.size(width, 844, dark=dark)
            tab.open(written.as_uri())
            tab.wait("document.readyState === 'complete'")
            assert tab.run("document.documentElement.scrollWidth") <= width
            paper = tab.run("getComputedStyle(document.body).backgroundColor")
            assert (sum(map(int, re.findall(r"\d+", paper))) < 200) == dark
            assert tab.run("performance.getEntriesByType('resource').length") == 0
            assert tab.run("document.querySelectorAll('svg.maze')[0].getBoundingClientRect().width") > 120
            tab.screenshot(tmp_path / "page.png")
            assert (tmp_path / "page.png").stat().st_size > 20_000
        assert tab.console == []
        tab.run("document.body.insertAdjacentHTML('beforeend', '<div style=\"width:2000px\">x</div>')")
        assert tab.run("document.documentElement.scrollWidth") > 390, "what sticks out would go unseen"
        assert len(tab.call("Page.printToPDF")["data"]) > 100_000
    finally:
        tab.close()
