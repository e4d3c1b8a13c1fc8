"""The settings of PPO that a population takes from its recipe."""

from __future__ import annotations

import dataclasses
from typing import Self

from goalmaze.agents.training.loss_term import needs_term
from goalmaze.agents.training.losses import LossWeights
from goalmaze.agents.training.recipe import Recipe
from goalmaze.envs.errors import GoalmazeError

VALUE_WEIGHT = 0.5
"""Weight of the value loss, stable-baselines3's default."""

IGNORED_OPTIONS = ("stats_window_size",)
"""Options of stable-baselines3's PPO that change nothing but its own log."""


@dataclasses.dataclass(frozen=True)
class Settings:
    """The settings of PPO for each agent of a population.

    Attributes:
        rollout_steps: steps T of each environment between two updates.
        batch_size: single steps in one minibatch.
        epochs: passes over each rollout.
        discount: discount per step.
        gae_lambda: lambda of generalised advantage estimation.
        gradient_clip: largest norm of an agent's gradient.
        weights: coefficients of the loss.
    """

    rollout_steps: int
    batch_size: int
    epochs: int
    discount: float
    gae_lambda: float
    gradient_clip: float
    weights: LossWeights

    @classmethod
    def of(cls, recipe: Recipe) -> Self:
        """Return the settings of a recipe; its algorithm options replace ours, as for one agent.

        Raises:
            GoalmazeError: the algorithm is not "ppo", or it has an option that a population does not take.
        """
        if recipe.algorithm != "ppo":
            raise GoalmazeError(
                f"a population as one program is trained by algorithm ppo, not {recipe.algorithm}: choose device cpu, "
                "which trains every agent by itself"
            )
        if needs_term(recipe):
            raise GoalmazeError(
                "a population as one program takes no penalty, no routing and no agent to distill: add --device cpu"
            )
        if recipe.weight_decay:
            raise GoalmazeError("a population as one program takes no weight_decay: add --device cpu")
        options = {name: value for name, value in recipe.algorithm_options.items() if name not in IGNORED_OPTIONS}
        steps = int(options.pop("n_steps", recipe.rollout_steps))
        batch = int(options.pop("batch_size", recipe.envs * recipe.rollout_steps // recipe.minibatches))
        value_clip = options.pop("clip_range_vf", None)
        settings = cls(
            rollout_steps=steps,
            batch_size=batch,
            epochs=int(options.pop("n_epochs", recipe.epochs)),
            discount=float(options.pop("gamma", recipe.discount)),
            gae_lambda=float(options.pop("gae_lambda", recipe.gae_lambda)),
            gradient_clip=float(options.pop("max_grad_norm", recipe.gradient_clip)),
            weights=LossWeights(
                clip=float(options.pop("clip_range", recipe.clip)),
                value_clip=None if value_clip is None else float(value_clip),
                entropy=float(options.pop("ent_coef", recipe.entropy)),
                value=float(options.pop("vf_coef", VALUE_WEIGHT)),
                normalize=bool(options.pop("normalize_advantage", True)),
            ),
        )
        refused = sorted(name for name, value in options.items() if value)
        if refused:
            raise GoalmazeError(
                f"a population as one program takes no option {refused[0]} of algorithm ppo: leave it out, or choose "
                "device cpu, which trains every agent by itself"
            )
        if recipe.envs * steps % batch:
            raise GoalmazeError(
                f"a rollout of {recipe.envs} x {steps} steps does not split into minibatches of {batch}: change "
                "batch_size or n_steps"
            )
        return settings
