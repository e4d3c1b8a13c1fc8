"""How long does the atlas take: every concept at every site of a zoo agent, with all that each reading must beat?"""

from __future__ import annotations

import time
from typing import Any

import torch

from goalmaze.agents.loading import load_agent
from goalmaze.agents.zoo import zoo_names
from goalmaze.experiments.probe.by_site import ALL, read_agent
from goalmaze.experiments.probe.config import ProbeConfig

SECONDS_WANTED = 60.0


def measure(full: bool) -> list[dict[str, Any]]:
    """Return one row for each agent: the first of the zoo, or with `full` all of them.

    `seconds` are of the whole command: levels, activations, fits, controls and the steering test of every reading.
    """
    return [_row(f"zoo:{name}") for name in (zoo_names() if full else zoo_names()[:1])]


def _row(agent: str) -> dict[str, Any]:
    config = ProbeConfig(agent=agent, targets=(ALL,))
    begun, used = time.perf_counter(), time.process_time()
    report = read_agent(load_agent(agent), config)
    seconds, spent = time.perf_counter() - begun, time.process_time() - used
    readings = len(report.readings)
    return {
        "agent": agent,
        "sites": len({one.reading.site for one in report.readings}),
        "targets": len({one.reading.concept for one in report.readings}),
        "readings": readings,
        "levels": config.levels,
        "fit_levels": config.fit_levels,
        "threads": torch.get_num_threads(),
        "seconds": seconds,
        "cpu_seconds": spent,
        "seconds_per_reading": seconds / readings,
        "within_a_minute": seconds <= SECONDS_WANTED,
    }
