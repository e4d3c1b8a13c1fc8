"""The order of the tests: files that take longest come first, so that the processes of `scripts/gate` end together."""

from __future__ import annotations

import pytest

LONGEST = (
    "test_sweep_runner",
    "test_notebooks",
    "test_reports",
    "test_retarget_sites",
    "test_probe",
    "test_resume",
    "test_sweep_cluster",
    "test_shipped_agent",
    "test_population_evaluation",
    "test_sae",
    "test_sweep_results",
    "test_kernels",
    "test_crashes",
    "test_live_server",
    "test_families_command",
    "test_import",
    "test_bench_train",
    "test_das",
    "test_environments",
    "test_retarget_floors",
    "test_cli",
)
"""Files whose tests take 20 seconds or more together, the longest first."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the tests of `LONGEST` first; all others keep their order."""
    rank = {name: place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: rank.get(item.path.stem, len(LONGEST)))
