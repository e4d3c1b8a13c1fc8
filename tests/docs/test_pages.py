"""What the pages show works: Python runs, commands are understood, recipes are read, links lead somewhere."""

import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import gymnasium
import pytest
from gymnasium.utils.env_checker import check_env
from repository import FENCE, ROOT, blocks, pages

from goalmaze.envs.errors import GoalmazeError
from goalmaze.envs.families import known_families, unregister_family
from goalmaze.envs.solving import distances
from goalmaze.experiments import cli
from goalmaze.probes.audit.registry import audit_methods, unregister_audit_method

PAGES = [str(path.relative_to(ROOT)) for path in pages()]
NEEDS_PROCGEN = "docs/procgen.md"
"""A page whose Python needs Procgen; tests/envs/procgen/test_docs.py runs it in the environment that has Procgen."""

WITH_PYTHON = [page for page in PAGES if blocks((ROOT / page).read_text(), "python") and page != NEEDS_PROCGEN]


@pytest.fixture(autouse=True)
def _forget_extensions() -> Iterator[None]:
    """Remove the families and audit methods that a page registers."""
    families, methods = known_families(), audit_methods()
    yield
    for name in known_families().keys() - families:
        unregister_family(name)
    for name in audit_methods().keys() - methods:
        unregister_audit_method(name)


def snippets(page: str) -> list[str]:
    return blocks((ROOT / page).read_text(), "python")


def test_the_pages_are_found() -> None:
    assert {"README.md", "CONTRIBUTING.md", "CHANGELOG.md", "docs/guide.md", "docs/catalogue/methods.md"} <= set(PAGES)
    assert {"README.md", "docs/guide.md"} <= set(WITH_PYTHON)


@pytest.mark.parametrize("page", WITH_PYTHON)
def test_every_snippet_runs(page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    found = snippets(page)
    assert found
    names = {"__name__": "snippet"}
    for code in found:
        exec(compile(code, page, "exec"), names)


def test_snippets_that_need_procgen_are_python() -> None:
    found = snippets(NEEDS_PROCGEN)
    assert len(found) >= 3
    for code in found:
        compile(code, NEEDS_PROCGEN, "exec")


def family_of_the_readme() -> str:
    return next(code for code in snippets("README.md") if "class RedDoor" in code)


def test_the_family_of_the_readme_is_one_short_file_outside_of_the_package(tmp_path: Path) -> None:
    code = family_of_the_readme()
    assert len(code.strip().splitlines()) < 30
    (tmp_path / "red_door.py").write_text(code)
    made = "import gymnasium; print(type(gymnasium.make('{}goalmaze/RedDoor-v0').unwrapped.family).__module__)"

    def said(program: str) -> str:
        done = subprocess.run(
            [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=False
        )
        return done.stdout.strip() or done.stderr.strip().splitlines()[-1]

    assert said(made.format("red_door:")) == "red_door"
    assert said("import red_door; " + made.format("")) == "red_door"
    assert "Environment `RedDoor` doesn't exist" in said("import goalmaze.envs; " + made.format(""))


def test_the_family_of_the_readme_plays_by_its_words() -> None:
    names: dict[str, object] = {"__name__": "snippet"}
    exec(compile(family_of_the_readme(), "README.md", "exec"), names)
    env = gymnasium.make("goalmaze/RedDoor-v0", size=7, render_mode="ansi")
    check_env(env.unwrapped, skip_render_check=True)
    env.reset(seed=0)
    assert "X" in env.render()
    family, engine = env.unwrapped.family, env.unwrapped.engine
    way = distances(engine.levels(), engine.levels().cells("door"))[0]
    over, earned = False, (0.0, 0.0)
    while not over:
        action = min(range(4), key=lambda a: way[engine.agent[0] + (-7, 1, 7, -1)[a]])
        _, reward, over, _, info = env.step(action)
        earned = float(reward), info["cue_reward"]
    assert earned == (1.0, 1.0)
    moved = family.levels(0, range(20), "moved-bell")
    assert (moved.cells("door") != moved.cells("bell")).all()


def commands(text: str) -> list[list[str]]:
    """Return the arguments of every `goalmaze` command in the blocks of a page."""
    lines = [
        line.strip().removeprefix("$ ")
        for block in blocks(text, "", "sh", "bash", "console")
        for line in block.replace("\\\n", " ").splitlines()
    ]
    return [shlex.split(line, comments=True)[1:] for line in lines if line.startswith("goalmaze ")]


def understood(arguments: list[str]) -> bool:
    """Whether a command line can be parsed; folders that it wants to draw into are made."""
    if "--figures" in arguments:
        Path(arguments[arguments.index("--figures") + 1]).mkdir(parents=True, exist_ok=True)
    try:
        cli.parse(arguments)
    except GoalmazeError:
        return False
    except SystemExit as left:
        return not left.code
    return True


@pytest.mark.parametrize("page", PAGES)
def test_every_command_is_understood(page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert [command for command in commands((ROOT / page).read_text()) if not understood(command)] == []


def test_commands_are_found_and_wrong_ones_refused() -> None:
    found = commands("Text\n\n```\n$ goalmaze eval zoo:x \\\n    --levels 4   # a comment\nmake demo\n```\n")
    assert found == [["eval", "zoo:x", "--levels", "4"]]
    assert understood(found[0])
    assert not understood(["eval", "zoo:x", "--levls", "4"])
    assert len(commands((ROOT / "README.md").read_text())) >= 6


@pytest.mark.parametrize("page", PAGES)
def test_commands_named_in_the_text_exist(page: str) -> None:
    text = FENCE.sub("", (ROOT / page).read_text())
    named = {words[1] for code in re.findall(r"`(goalmaze\s[^`]+)`", text) if (words := code.split())}
    assert {name for name in named if name.islower() and name.isalpha()} <= set(cli.COMMANDS)


@pytest.mark.parametrize("page", [page for page in PAGES if blocks((ROOT / page).read_text(), "toml")])
def test_toml_is_read(page: str) -> None:
    for block in blocks((ROOT / page).read_text(), "toml"):
        assert tomllib.loads(block)


def slug(heading: str) -> str:
    """The anchor that GitHub, and the site, give a heading."""
    text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).replace("`", "")
    return re.sub(r"[^\w\- ]", "", text.strip().lower()).replace(" ", "-")


def anchors(text: str) -> set[str]:
    return {slug(heading) for heading in re.findall(r"^#+ (.*)", FENCE.sub("", text), flags=re.MULTILINE)}


def dead_links(page: Path) -> list[str]:
    """The links of a page to files or headings that are not there."""
    text = FENCE.sub("", page.read_text())
    dead = []
    for link in re.findall(r"\]\((?![a-z]+:)([^)\s]+)\)", text):
        file, _, anchor = link.partition("#")
        target = page.parent / file if file else page
        if not target.exists() or (anchor and anchor not in anchors(target.read_text())):
            dead.append(link)
    return dead


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_to_files_and_headings(page: str) -> None:
    assert dead_links(ROOT / page) == []


def test_planted_dead_links_are_found(tmp_path: Path) -> None:
    (tmp_path / "other.md").write_text("# A title, with `code`\n")
    page = tmp_path / "page.md"
    page.write_text(
        "# Top\n[a](other.md) [b](other.md#a-title-with-code) [c](#top) [d](https://x.org/#y) ![e](e.png)\n"
        "[f](missing.md) [g](other.md#no) [h](#bottom)\n```\n[i](in_code.md)\n```\n"
    )
    assert dead_links(page) == ["e.png", "missing.md", "other.md#no", "#bottom"]
