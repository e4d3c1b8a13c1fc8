"""Produce, measure, read and retarget goal misgeneralization in maze agents.

    import goalmaze as gm

    agent = gm.load("zoo:green-exit")
    print(gm.evaluate(agent, shift="moved-sign"))

Every name below is imported from its module when it is first used, so that importing `goalmaze` costs nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from goalmaze.agents.networks.base import Network as Network
    from goalmaze.agents.networks.external import wrap_module as wrap_module
    from goalmaze.agents.networks.registry import known_networks as known_networks
    from goalmaze.agents.networks.registry import register_network as register_network
    from goalmaze.agents.population import Population as Population
    from goalmaze.agents.population import load_population as load_population
    from goalmaze.agents.rollout import Trajectory as Trajectory
    from goalmaze.agents.training.recipe import Recipe as Recipe
    from goalmaze.agents.zoo import zoo_names as zoo_names
    from goalmaze.envs.errors import GoalmazeError as GoalmazeError
    from goalmaze.envs.families import known_families as known_families
    from goalmaze.envs.levels import Family as Family
    from goalmaze.envs.levels import LevelBatch as LevelBatch
    from goalmaze.envs.objects import ObjectType as ObjectType
    from goalmaze.envs.objects import Placement as Placement
    from goalmaze.envs.observations.spec import ObservationSpec as ObservationSpec
    from goalmaze.envs.registry import register_family as register_family
    from goalmaze.experiments.api.agent import Agent as Agent
    from goalmaze.experiments.api.evaluation import evaluate as evaluate
    from goalmaze.experiments.api.functions import family as family
    from goalmaze.experiments.api.functions import fit_edit as fit_edit
    from goalmaze.experiments.api.functions import load as load
    from goalmaze.experiments.api.functions import rollout as rollout
    from goalmaze.experiments.api.functions import train as train
    from goalmaze.experiments.audit.audit import audit as audit
    from goalmaze.experiments.card.card import card as card
    from goalmaze.experiments.common.results import Result as Result
    from goalmaze.experiments.common.tables import Table as Table
    from goalmaze.experiments.evaluate.comparison import compare as compare
    from goalmaze.experiments.evaluate.goal_inference import infer_goals as infer_goals
    from goalmaze.experiments.evaluate.grid import grid as grid
    from goalmaze.experiments.evaluate.population_comparison import compare_populations as compare_populations
    from goalmaze.experiments.explain.decision import explain as explain
    from goalmaze.experiments.explain.features import explain_features as explain_features
    from goalmaze.experiments.explain.units import explain_units as explain_units
    from goalmaze.experiments.plans.plans import plans as plans
    from goalmaze.experiments.probe.by_site import probe as probe
    from goalmaze.experiments.retarget.comparison import retarget as retarget
    from goalmaze.experiments.retarget.rewriting import rewrite_memory as rewrite_memory
    from goalmaze.probes.audit.registry import audit_methods as audit_methods
    from goalmaze.probes.audit.registry import register_audit_method as register_audit_method
    from goalmaze.probes.context import FitContext as FitContext
    from goalmaze.probes.edits.base import Edit as Edit
    from goalmaze.probes.edits.fitted import FittedEdit as FittedEdit
    from goalmaze.probes.edits.goal_move import GoalMove as GoalMove
    from goalmaze.probes.edits.patterns import GoalPattern as GoalPattern
    from goalmaze.probes.steering.base import SteeringMethod as SteeringMethod
    from goalmaze.probes.steering.registry import register_method as register_method
    from goalmaze.probes.steering.registry import steering_methods as steering_methods

_HOMES = {
    "Agent": "experiments.api.agent",
    "Edit": "probes.edits.base",
    "Family": "envs.levels",
    "FitContext": "probes.context",
    "FittedEdit": "probes.edits.fitted",
    "GoalMove": "probes.edits.goal_move",
    "GoalPattern": "probes.edits.patterns",
    "GoalmazeError": "envs.errors",
    "LevelBatch": "envs.levels",
    "Network": "agents.networks.base",
    "ObjectType": "envs.objects",
    "ObservationSpec": "envs.observations.spec",
    "Placement": "envs.objects",
    "Population": "agents.population",
    "Recipe": "agents.training.recipe",
    "Result": "experiments.common.results",
    "SteeringMethod": "probes.steering.base",
    "Table": "experiments.common.tables",
    "Trajectory": "agents.rollout",
    "audit": "experiments.audit.audit",
    "audit_methods": "probes.audit.registry",
    "card": "experiments.card.card",
    "compare": "experiments.evaluate.comparison",
    "compare_populations": "experiments.evaluate.population_comparison",
    "evaluate": "experiments.api.evaluation",
    "explain": "experiments.explain.decision",
    "explain_features": "experiments.explain.features",
    "explain_units": "experiments.explain.units",
    "family": "experiments.api.functions",
    "fit_edit": "experiments.api.functions",
    "grid": "experiments.evaluate.grid",
    "infer_goals": "experiments.evaluate.goal_inference",
    "known_families": "envs.families",
    "known_networks": "agents.networks.registry",
    "load": "experiments.api.functions",
    "load_population": "agents.population",
    "plans": "experiments.plans.plans",
    "probe": "experiments.probe.by_site",
    "register_audit_method": "probes.audit.registry",
    "register_family": "envs.registry",
    "register_method": "probes.steering.registry",
    "register_network": "agents.networks.registry",
    "retarget": "experiments.retarget.comparison",
    "rewrite_memory": "experiments.retarget.rewriting",
    "rollout": "experiments.api.functions",
    "steering_methods": "probes.steering.registry",
    "train": "experiments.api.functions",
    "wrap_module": "agents.networks.external",
    "zoo_names": "agents.zoo",
}
"""Exported name → the module that defines it."""

__all__ = ["__version__", *_HOMES]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from goalmaze.envs.versions import installed_version

        return installed_version("goalmaze")
    if name not in _HOMES:
        raise AttributeError(f"module 'goalmaze' has no attribute '{name}'")
    value = getattr(importlib.import_module(f"goalmaze.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
