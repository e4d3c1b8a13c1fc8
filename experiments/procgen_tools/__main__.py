"""Measures an agent on Procgen's maze: ``python -m goalmaze.experiments.procgen_tools AGENT [--levels N] [--json]``."""

from __future__ import annotations

import argparse
import sys

from goalmaze.agents.loading import load_agent
from goalmaze.experiments.common.printing import print_result
from goalmaze.experiments.common.results import ResultHeader
from goalmaze.experiments.procgen_tools.report import ProcgenReport
from goalmaze.experiments.procgen_tools.study import by_region, by_vector, heat_maps, heat_rows, procgen_family

REGIONS = (1, 3, 5, 7, 9, 11, 13, 15)


def measure(
    name: str, *, site: str, methods: list[str], levels: int, maps: int, fit_levels: int, seed: int = 0
) -> ProcgenReport:
    """Return the report of an agent.

    Args:
        name: of the agent.
        site: of vectors and edits.
        methods: steering methods.
        levels: number of held-out levels a region, and from which those of the vectors are taken.
        maps: number of levels for heat maps.
        fit_levels: number of levels that methods are fitted on.
        seed: of levels, actions and noise.

    Raises:
        GoalmazeError: there is no such agent, site or method, or the agent is not of `ProcgenMaze`.
    """
    agent = load_agent(name)
    family = procgen_family(agent)
    return ProcgenReport(
        ResultHeader(agent.name, family.name, family.size, levels, seed),
        site,
        by_region(agent, REGIONS, levels, seed),
        by_vector(agent, site, levels, seed),
        heat_rows(heat_maps(agent, site, methods, maps, fit_levels, seed)),
    )


def main() -> int:
    """Print the report of the agent that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("agent", help="a run folder or zoo:NAME, of family ProcgenMaze")
    parser.add_argument("--site", default="embedder.block1.res2", help="of vectors and edits")
    parser.add_argument("--methods", nargs="*", default=["cell-means"], help="steering methods for the heat maps")
    parser.add_argument("--levels", type=int, default=512, help="held-out levels")
    parser.add_argument("--maps", type=int, default=100, help="levels of the heat maps")
    parser.add_argument("--fit-levels", type=int, default=512, help="levels that methods are fitted on")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    chosen = parser.parse_args()
    return print_result(
        lambda: measure(
            chosen.agent,
            site=chosen.site,
            methods=chosen.methods,
            levels=chosen.levels,
            maps=chosen.maps,
            fit_levels=chosen.fit_levels,
        ),
        chosen.json,
    )


if __name__ == "__main__":
    sys.exit(main())
