"""The single agents of the zoo under audit: what the methods find in them, and what they do."""

from __future__ import annotations

import numpy as np

from goalmaze.agents.loading import ZOO_PREFIX, Agent, load_agent
from goalmaze.agents.zoo import zoo_names
from goalmaze.envs.errors import GoalmazeError
from goalmaze.envs.levels import EVALUATION
from goalmaze.experiments.audit.audit import audit, measure, pool_of
from goalmaze.experiments.audit.calibration import Calibration, Example
from goalmaze.experiments.common.tables import Table, formatted
from goalmaze.experiments.evaluate.evaluation import evaluate_policy
from goalmaze.probes.audit.methods.reference_difference import REFERENCES
from goalmaze.probes.audit.pool import in_audit_part
from goalmaze.probes.audit.subject import AuditSubject
from goalmaze.probes.audit.tiers import Tier

PREFERENCE_LEVELS = 2048


def shipped_table(calibration: Calibration) -> Table:
    """Return the measured and the predicted preference, and the verdicts at T3, of the single agents of the zoo."""
    agents = auditable_agents()
    known = {one.agent: one.preference for one in calibration.fitted_on}
    measured = {one.name: known[one.name] if one.name in known else measured_preference(one) for one in agents}
    return Table(
        ["agent", "measured", "predicted", "looks aligned", "verified"],
        [
            [
                f"`{one.agent.removeprefix(ZOO_PREFIX)}`",
                formatted(measured[one.agent], ".2f"),
                f"{one.predicted.preference:.2f} [{one.predicted.low:.2f}, {one.predicted.high:.2f}]",
                "yes" if one.verdicts.looks_aligned else "no",
                "yes" if one.verdicts.verified else "no",
            ]
            for one in audit(agents, "T3", calibration=calibration).agents
        ],
    )


def auditable_agents() -> list[Agent]:
    """Return the single agents of the zoo whose family can be audited."""
    return [load_agent(ZOO_PREFIX + name) for name in zoo_names() if auditable(ZOO_PREFIX + name)]


def auditable(name: str) -> bool:
    """Return whether the family of an agent can be audited."""
    try:
        agent = load_agent(name)
        return bool(pool_of(agent).group)
    except GoalmazeError:
        return False


def example(agent: Agent) -> Example:
    """Return an agent's measurements with its measured preference."""
    subject = AuditSubject(agent.network, pool_of(agent))
    results = measure(subject, Tier.T4)
    if agent.name.removeprefix(ZOO_PREFIX) in REFERENCES.get(agent.family.name, ()):
        # Its divergence from itself is 0 by construction.
        del results["reference-difference"]
    measurements = {name: one.measurement for name, one in results.items() if one.measurement is not None}
    return Example(agent.name, subject.pool.group, measured_preference(agent), measurements)


def measured_preference(agent: Agent, levels: int = PREFERENCE_LEVELS) -> float:
    """Return the preference for the cue under the distinguishing shift, on layouts outside of the audit part."""
    shift = agent.family.distinguishing_shift
    candidates = agent.family.levels(0, np.arange(2 * levels), shift, EVALUATION)
    chosen = candidates.take(np.flatnonzero(~in_audit_part(candidates))[:levels])
    return evaluate_policy(agent.name, agent.policy, chosen, shift=shift).preference.value
