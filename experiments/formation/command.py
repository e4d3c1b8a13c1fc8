"""`goalmaze formation`: from its options to the study of goal formation."""

from __future__ import annotations

import dataclasses

from goalmaze.experiments.common.folders import make_folder
from goalmaze.experiments.common.results import Result
from goalmaze.experiments.formation.config import FormationConfig
from goalmaze.experiments.formation.study import study


def run(config: FormationConfig) -> Result:
    """Measure the runs that the options name, and draw them.

    Raises:
        GoalmazeError: a run is missing or has no series of checkpoints, or the folder of figures cannot be made.
    """
    if config.figures is not None:
        make_folder(config.figures, "--figures")
    runs = (config.folder, *config.others)
    controls = {} if config.control is None else {one: config.control for one in runs if one != config.control}
    result = study(runs, controls=controls, cache=config.cache, costly=not config.no_coefficient)
    if config.figures is None:
        return result
    # matplotlib is slow to import, and only figures need it.
    from goalmaze.experiments.formation.figures import draw_study

    return dataclasses.replace(result, pictures=draw_study(result, config.figures, config.field_agent))
