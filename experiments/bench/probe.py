"""`goalmaze bench probe`: every concept at every site of a zoo agent, with all baselines and controls."""

from __future__ import annotations

import time

import torch

from goalmaze.agents.loading import load_agent
from goalmaze.agents.zoo import zoo_names
from goalmaze.envs.json_data import JsonObject
from goalmaze.experiments.probe.by_site import probe
from goalmaze.experiments.probe.splits import ALL

SECONDS_WANTED = 60.0


def measure(full: bool) -> list[JsonObject]:
    """Return one row for each agent: the first of the zoo, or with `full` all of them.

    `seconds` are of the whole command: levels, activations, fits, controls and the steering test of every reading.
    """
    return [_row(f"zoo:{name}") for name in (zoo_names() if full else zoo_names()[:1])]


def _row(agent: str) -> JsonObject:
    begun, used = time.perf_counter(), time.process_time()
    report = probe(load_agent(agent), [ALL])
    seconds, spent = time.perf_counter() - begun, time.process_time() - used
    results = [one.result for one in report.probes]
    return {
        "agent": agent,
        "sites": len({result.site for result in results}),
        "targets": len(report.targets),
        "readings": len(results),
        "levels": report.header.levels,
        "fit_levels": report.fit_levels,
        "threads": torch.get_num_threads(),
        "seconds": seconds,
        "cpu_seconds": spent,
        "seconds_per_reading": seconds / len(results),
        "within_a_minute": seconds <= SECONDS_WANTED,
    }
