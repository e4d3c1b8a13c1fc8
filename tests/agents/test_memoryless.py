"""An agent without memory cannot learn Glimpse: one recipe, trained with objects always visible and visible once."""

from pathlib import Path

import goalmaze as gm


def solved(folder: Path, visible_steps: int) -> float:
    recipe = gm.Recipe(
        family="Glimpse",
        parameters={"size": 5, "visible_steps": visible_steps},
        network="grid",
        network_options={"channels": 8, "blocks": 4, "hidden": 32},
        steps=20_480,
        envs=64,
        threads=1,
    )
    agent = gm.train(recipe, folder / str(visible_steps))
    return gm.evaluate(agent, levels=256).agent.solved.value


def test_the_same_training_succeeds_where_the_goal_stays_visible_and_fails_where_it_must_be_remembered(
    tmp_path: Path,
) -> None:
    # 5x5 mazes are small: an agent that walks about reaches most exits before the time limit.
    assert solved(tmp_path, 0) > 0.95
    assert solved(tmp_path, 1) < 0.9
