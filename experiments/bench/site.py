"""`goalmaze bench site`: how fast the static page follows a dragged target in a headless browser."""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

import numpy as np

from goalmaze.agents.files import write_atomically
from goalmaze.agents.loading import load_agent
from goalmaze.envs.errors import GoalmazeError
from goalmaze.envs.json_data import JsonObject
from goalmaze.experiments.page.appearance import appearance
from goalmaze.experiments.site.agents import agent_data
from goalmaze.experiments.site.command import page_files
from goalmaze.experiments.site.levels import LARGE, small_level_sets

AGENT, LEVELS = "zoo:green-exit", 16
SECONDS = {False: 4, True: 20}
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
START_SECONDS = 120
"""Longest time for the start of the browser."""

MIN_UPDATES = 60.0
"""The goal of the page, in updates a second."""

NO_POPULATION: JsonObject = {
    "name": "",
    "size": LARGE,
    "salience": 1,
    "steps": 0,
    "agents": [],
    "networks": [],
    "formation": [],
}


def measure(full: bool) -> list[JsonObject]:
    """Return two rows: with WebAssembly, and in plain JavaScript.

    An update moves the target of a maze of `LARGE` cells a side, computes the edited agent's policy in every cell, and
    draws both mazes.

    Raises:
        GoalmazeError: there is no browser, it does not answer, or the page is too slow with WebAssembly.
    """
    browser = next((path for name in BROWSERS if (path := shutil.which(name))), None)
    if browser is None:
        raise GoalmazeError("bench site needs Chromium: apt-get install chromium")
    with tempfile.TemporaryDirectory() as folder:
        page = Path(folder)
        for name, content in _files().items():
            write_atomically(page / name, content)
        rows = [_row(browser, page, SECONDS[full], query) for query in ("", "&plain")]
    if rows[0]["updates_per_s"] < MIN_UPDATES:
        raise GoalmazeError(
            f"the page missed its goal of {MIN_UPDATES:.0f} updates a second: {rows[0]['updates_per_s']:.0f} with a "
            f"median of {rows[0]['p50_ms']:.0f} ms; close what else runs on this machine and measure again"
        )
    return rows


def _files() -> JsonObject:
    agent = load_agent(AGENT)
    data = {
        "version": "",
        "appearance": appearance(agent.family),
        "families": {},
        "levels": small_level_sets(agent.family.resized(LARGE), LEVELS),
        "presets": [],
        "agents": [agent_data(agent, probes=False)],
    }
    return {**page_files(data, NO_POPULATION, bench=True)}


def _row(browser: str, page: Path, seconds: int, query: str) -> JsonObject:
    """Return the measurement of one page.

    Raises:
        GoalmazeError: the browser does not answer.
    """
    command = [
        *(browser, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-extensions"),
        *(f"--user-data-dir={page / ('profile' + query)}", "--window-size=1280,900", "--dump-dom"),
        f"{(page / 'bench.html').as_uri()}?seconds={seconds}{query}",
    ]
    try:
        limit = START_SECONDS + 2 * seconds
        done = subprocess.run(command, capture_output=True, encoding="utf-8", timeout=limit, check=False)
    except subprocess.TimeoutExpired:
        raise GoalmazeError("the browser did not answer in time; close what else runs and measure again") from None
    match = re.search(r'<pre id="result">(\{.*?\})</pre>', done.stdout, re.DOTALL)
    if match is None:
        raise GoalmazeError("the browser did not run the page; try another version of Chromium")
    result = json.loads(html.unescape(match[1]))
    p50, p99 = np.percentile(result["delays"], [50, 99])
    return {
        "size": LARGE,
        "simd": result["simd"],
        "updates": len(result["delays"]),
        "updates_per_s": 1000 / float(np.mean(result["delays"])),
        "p50_ms": float(p50),
        "p99_ms": float(p99),
    }
