"""The HTML report: whole, self-contained, escaped, its numbers those of `goalmaze eval`, its drawings what happened."""

import dataclasses
import itertools
import json
import re
import shlex
import shutil
from pathlib import Path
from typing import Any

import pytest
from browser import CHROMIUM, Browser
from complaints import Refusals, words_of_case
from page_states import axe_violations
from strict_html import Page

from goalmaze.agents.checkpoints import save_checkpoint
from goalmaze.agents.loading import CHECKPOINT, load_agent
from goalmaze.agents.networks import make_network
from goalmaze.agents.networks.base import Shape
from goalmaze.agents.zoo import zoo_folder
from goalmaze.envs.families import make_family
from goalmaze.envs.levels import EVALUATION, NO_SHIFT
from goalmaze.envs.observations.views import make_view
from goalmaze.experiments import cli
from goalmaze.experiments.card.render import rendered
from goalmaze.experiments.card.verify import read_card
from goalmaze.experiments.live.settings import read_link
from goalmaze.experiments.reports import command, mazes
from goalmaze.experiments.reports.config import ReportConfig
from goalmaze.experiments.reports.findings import find, load_groups
from goalmaze.experiments.reports.glossary import GLOSSARY
from goalmaze.experiments.reports.page import render

AGENT, TWIN = "zoo:green-exit", "zoo:green-exit-twin"
CARDS = Path(__file__).parent.parent / "golden" / "cards"


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("report") / "two.html"
    config = ReportConfig(agent=AGENT, others=(TWIN,), out=path, levels=24, dials=("braid=1",), page="site/index.html")
    report = command.run(config)
    assert report.bytes == path.stat().st_size
    assert json.loads(json.dumps(report.json()))["families"][0]["agents"][0]["label"] == "undecided"
    assert "zoo:green-exit has no label on this number of levels" in report.text()
    assert report.to_frame()["label"].tolist() == ["undecided", "undecided"], "24 levels are too few"
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
    assert all(link.startswith("site/index.html#scene=") for link in page.followed)


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


def test_links_and_commands_open_the_levels_that_are_drawn(written: Path) -> None:
    # The twin has another training distribution.
    text, families = written.read_text(), {name: load_agent(name).family for name in (AGENT, TWIN)}
    drawing = r'<path class="wall" d="([^"]+)"/>(?:(?!</figure>).)*href="site/index.html#scene=([\w-]+)"'
    drawings, shifts = re.findall(drawing, text), set()
    assert len(drawings) > 4
    for walls, link in drawings:
        scene = read_link(link)
        assert scene.level is not None
        family = families[scene.agent]
        linked = scene.level.level(family)
        assert linked.hashes() == family.levels(scene.seed, [scene.index], scene.shift, EVALUATION).hashes()
        assert mazes.maze_walls(linked.walls[0]) == walls, "another maze than the one above the link"
        shifts.add(scene.shift)
    assert shifts == {NO_SHIFT, "moved-sign"}
    commands = re.findall(r"<code>(goalmaze live [^<]+)</code>", text)
    assert commands
    for words in commands:
        options = dict(itertools.pairwise(shlex.split(words)))
        address = int(options["--seed"]), [int(options["--level"])], options["--shift"], EVALUATION
        assert mazes.maze_walls(families[options["live"]].levels(*address).walls[0]) in text


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
        ([AGENT, "--page", "javascript:alert(1)"], ["--page 'javascript:alert(1)'", "index.html"]),
        (["zoo:corner", "--page", "site/index.html"], ["the page runs none of these agents", "leave it out"]),
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
        assert axe_violations(tab) == []
        assert tab.console == []
        tab.run("document.body.insertAdjacentHTML('beforeend', '<div style=\"width:2000px\">x</div>')")
        assert tab.run("document.documentElement.scrollWidth") > 390, "what sticks out would go unseen"
        assert len(tab.call("Page.printToPDF")["data"]) > 100_000
        # A card has the same look, and is opened in the same browser.
        card = tmp_path / "card.html"
        card.write_text(rendered(read_card(CARDS / "green-exit.json"), ".html"), "utf-8")
        for width, forced in ((1280, False), (390, False), (390, True)):
            tab.size(width, 844, forced=forced)
            tab.open(card.as_uri())
            tab.wait("document.readyState === 'complete'")
            assert tab.run("document.documentElement.scrollWidth") <= width
            outcome = tab.run(
                "(s => [s.color, s.backgroundColor])(getComputedStyle(document.querySelector('.outcome')))"
            )
            assert outcome[0] != outcome[1], "the outcome can be read"
        assert axe_violations(tab) == []
    finally:
        tab.close()
