"""Take the screenshots of the documentation anew: ``python scripts/take_screenshots.py docs/pictures``.

Writes report.png, the top of the report on zoo:green-exit; live.png and live-phone.png, the live page during an
episode; and explorable.png, explorable-forced.png and explorable-phone.png, the static page. `--states FOLDER` writes
every state of the static page that the tests look at. Needs Chromium. The pages print the commands of the other
pictures.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from goalmaze.experiments import cli
from goalmaze.experiments.live.agent_store import AgentStore
from goalmaze.experiments.live.server import Server
from goalmaze.experiments.live.serving import listen, serving
from goalmaze.experiments.live.settings import Settings

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from browser import Browser
from page_states import STATES, bring, keep_picture

AGENT = "zoo:green-exit"
SCENE = Settings(agent=AGENT, size=13, seed=3, index=11)
STEPS = 8
TOKEN = "screenshots"
LOADED = "document.body.dataset.connection === 'open' && document.body.dataset.painted !== undefined"
READ = "document.getElementById('heading-text').textContent.includes('right in')"


def take_report(browser: Browser, page: Path, pictures: Path) -> None:
    """Write the top of a report."""
    browser.size(1180, 1330)
    browser.open(page.as_uri())
    browser.wait("document.readyState === 'complete'")
    browser.screenshot(pictures / "report.png")


def take_live(browser: Browser, pictures: Path) -> None:
    """Write the live page in an episode, wide and light, then narrow and dark with the colours of the probe."""
    with serving(Server(AgentStore(AGENT), SCENE, token=TOKEN), listen("127.0.0.1", 0)) as port:
        for name, width, height, dark in (("live", 1280, 800, False), ("live-phone", 390, 844, True)):
            browser.size(width, height, dark=dark)
            browser.open(f"http://127.0.0.1:{port}/?token={TOKEN}")
            browser.wait(LOADED, 120)
            browser.wait(READ, 300)
            if dark:
                browser.run("(e => { e.value = 'reading'; e.onchange(); })(document.getElementById('overlay'))")
            for step in range(1, STEPS + 1):
                browser.run("document.getElementById('step').click()")
                browser.wait(f"document.getElementById('clock').textContent.includes('step {step} of')")
            browser.wait("new Promise(done => setTimeout(() => done(true), 1500))")
            browser.screenshot(pictures / f"{name}.png")


def take_site(browser: Browser, site: Path, pictures: Path, states: Path | None) -> None:
    """Write the step that rewrites a goal in three states of the page, and all states into a folder of theirs."""
    browser.size(1280, 900)
    browser.open((site / "index.html").as_uri())
    browser.wait("STAGES.length > 6", 120)
    named = {"rewrite": "explorable", "forced": "explorable-forced", "phone": "explorable-phone"}
    for name, state in STATES.items():
        browser.size(*state.size, **state.media)
        bring(browser, state)
        if states is not None:
            keep_picture(browser, f"site-{name}", state, states)
        if name in named:
            keep_picture(browser, named[name], state, pictures)


def main() -> None:
    """Take the screenshots into the folder that the command line names."""
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("pictures", type=Path)
    arguments.add_argument("--states", type=Path, help="a folder for pictures of every state of the static page")
    arguments.add_argument("--site", type=Path, help="a folder that goalmaze site wrote, instead of a new one")
    given = arguments.parse_args()
    pictures = given.pictures
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder, "report.html")
        cli.main(["report", AGENT, "--out", str(report)])
        site = given.site or Path(folder, "site")
        if given.site is None:
            cli.main(["site", "--out", str(site)])
        browser = Browser(Path(folder, "profile"))
        try:
            take_live(browser, pictures)
            take_report(browser, report, pictures)
            take_site(browser, site.resolve(), pictures, given.states)
        finally:
            browser.close()


if __name__ == "__main__":
    main()
