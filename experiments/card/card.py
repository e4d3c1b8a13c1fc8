"""Making the card of an agent."""

from __future__ import annotations

import dataclasses
import hashlib
import os
import platform
import shlex
from collections.abc import Mapping
from pathlib import Path

import msgspec
import torch

from goalmaze.agents.loading import Agent
from goalmaze.agents.networks.base import Network
from goalmaze.envs.json_data import JsonObject
from goalmaze.envs.levels import NO_SHIFT, LevelBatch
from goalmaze.envs.versions import installed_version
from goalmaze.experiments.audit.audit import AgentAudit, audit, pool_of
from goalmaze.experiments.audit.calibration import shipped_calibration
from goalmaze.experiments.audit.truth import graded_preference, preference_levels
from goalmaze.experiments.audit.verdict import Prediction
from goalmaze.experiments.card.document import (
    FORMAT,
    CardData,
    Example,
    Process,
    Quantity,
    Subject,
    mark_results,
    overall,
    sealed,
)
from goalmaze.experiments.card.example import example_of
from goalmaze.experiments.card.policy import SIDE_CHANNELS, Policy, load_policy
from goalmaze.experiments.card.render import card_blocks
from goalmaze.experiments.common.results import Result
from goalmaze.experiments.common.tables import Table, number
from goalmaze.experiments.evaluate.evaluation import evaluate_policy
from goalmaze.experiments.evaluate.solved_levels import SolvedLevels
from goalmaze.experiments.statistics.intervals import Rate
from goalmaze.probes.audit.tiers import TIERS, Tier
from goalmaze.probes.audit.unused_inputs import unused_inputs

SEED = 0

LIMITATIONS = (
    "One preference is predicted: goal or cue, as the family names them. Another goal that agrees with both in "
    "training is not looked for.",
    "Behaviour is measured under the shifts of the family. Other shifts are not covered.",
    "Intervals of rates cover levels, not training seeds. The interval of the prediction is that of agents of other "
    "recipes in the zoo; an agent unlike all of them may lie outside.",
    "An agent that was trained against this audit is not covered.",
)


@dataclasses.dataclass(frozen=True)
class Card(Result):
    """The card of one agent.

    Attributes:
        data: all that it holds.
    """

    data: CardData

    def json(self) -> JsonObject:
        """Return the card as plain data."""
        found: JsonObject = msgspec.to_builtins(self.data)
        return found

    def blocks(self) -> list[str | Table]:
        """Return the outcome, the marks and the results."""
        return card_blocks(self.data)


def card(
    agent: Agent,
    policy: Policy | Path | None = None,
    *,
    auditor: str = "not named",
    command: str = "",
    page: str = "",
) -> Card:
    """Make the audit card of an agent: results beside pass marks, with all that is needed to measure them again.

    Args:
        agent: the agent.
        policy: the pass marks, or a file of them; those of the package by default.
        auditor: who makes the card.
        command: the command that made it; of the command line by default.
        page: address of a page of `goalmaze site`, as seen from the card, that opens a level; no link where empty.

    Raises:
        GoalmazeError: the family of the agent cannot be audited, the policy cannot be used, or the page cannot show the
            agent.

    Example:
        >>> import goalmaze as gm
        >>> gm.card(gm.load("zoo:green-exit")).data.outcome  # doctest: +SKIP
        'fail'
    """
    policy = policy if isinstance(policy, Policy) else load_policy(policy)
    example = example_of(agent, page, agent.name, SEED) if page else None
    pool = pool_of(agent, policy.pool_levels)
    audited = audit(agent, policy.tier, levels=policy.pool_levels).agents[0]
    shifts, levels = _evaluated(agent, policy.levels)
    results = _audit_results(audited, pool.group, unused_inputs(pool).fraction) | shifts
    marks = mark_results(policy, results)
    tier = Tier[policy.tier]
    return Card(
        sealed(
            CardData(
                format=FORMAT,
                auditor=auditor,
                subject=subject_of(agent),
                scope=(
                    f"One agent in {agent.family.name} at size {agent.family.size}: its training distribution, every "
                    "shift of the family, and the prediction of which of goal and cue it pursues where they differ."
                ),
                method=f"goalmaze audit at tier {tier}; episodes with sampled actions; Wilson intervals of 95 %",
                access=f"{tier}: {TIERS[tier]}; {len(audited.accesses)} accesses by audit methods, none above "
                f"{max(one.tier for one in audited.accesses)}. Evaluations play episodes on all shifts.",
                process=_process(
                    command or f"goalmaze card {shlex.quote(agent.name)} --out card.html", pool.address, levels, example
                ),
                policy=policy,
                results=results,
                evidence=(*audited.verdicts.evidence, *audited.rivals),
                never_lit=audited.unused,
                limitations=LIMITATIONS,
                marks=marks,
                outcome=overall(marks),
            )
        )
    )


def _process(command: str, pool: str, levels: Mapping[str, LevelBatch], example: Example | None) -> Process:
    return Process(
        command=command,
        environment=environment(),
        seed=SEED,
        pool=pool,
        levels_sha256={name: levels_digest(batch) for name, batch in levels.items()},
        calibration_sha256=hashlib.sha256(msgspec.json.encode(shipped_calibration())).hexdigest(),
        example=example,
    )


def environment() -> dict[str, str]:
    """Return what decides whether numbers are equal bit for bit."""
    versions = {name: installed_version(name) for name in ("goalmaze", "torch", "numpy", "numba")}
    return versions | {
        "python": platform.python_version(),
        "machine": f"{platform.system()} {platform.machine()} {torch.backends.cpu.get_cpu_capability()}",
        "threads": f"{torch.get_num_threads()} of {os.cpu_count()}",
    }


def weights_digest(network: Network) -> str:
    """Return SHA-256 of a network: its class, options, shape and all tensors of its state."""
    state = hashlib.sha256(f"{network.name} {network.options} {network.shape}".encode())
    for name, tensor in sorted(network.state_dict().items()):
        array = tensor.detach().cpu().contiguous().numpy()
        state.update(f"{name} {array.dtype} {array.shape}".encode())
        state.update(array.tobytes())
    return state.hexdigest()


def levels_digest(levels: LevelBatch) -> str:
    """Return SHA-256 of the content of levels."""
    return hashlib.sha256("".join(levels.hashes()).encode()).hexdigest()


def subject_of(agent: Agent) -> Subject:
    """Return what a card says about its agent; nothing is measured."""
    parameters = ", ".join(f"{name}={value}" for name, value in agent.family.parameters.items())
    return Subject(agent.name, agent.family.name, parameters, agent.network.name, weights_digest(agent.network))


def _audit_results(audited: AgentAudit, group: str, unused: float) -> dict[str, Quantity]:
    verdicts, predicted = audited.verdicts, audited.predicted
    results = {
        "training.completed": _of(audited.completed),
        "predicted.preference": _predicted(predicted),
        # Beside the prediction: what is known without any method that reads goal and cue.
        **{
            f"side_channels.{name}": _predicted(verdicts.side_channels.get(name, Prediction()))
            for name in SIDE_CHANNELS
        },
        "looks_aligned": Quantity(float(verdicts.looks_aligned)),
        "verified": Quantity(float(verdicts.verified)),
        "unused.fraction": Quantity(number(unused)),
    }
    control = audited.results["control"].measurement if "control" in audited.results else None
    results["control.standard_errors"] = Quantity(
        None if control is None else number(control.features["standard errors"])
    )
    found = None if predicted.method is None else shipped_calibration().find(group, predicted.method)
    results["side_channels.lead"] = (
        Quantity(None)
        if found is None
        else Quantity(number(found.lead), number(found.lead_low), number(found.lead_high))
    )
    return results


def _evaluated(agent: Agent, count: int) -> tuple[dict[str, Quantity], dict[str, LevelBatch]]:
    family = agent.family
    results, batches = {}, {}
    for shift in (NO_SHIFT, *family.shifts):
        batches[shift] = family.levels(SEED, count=count, shift=shift)
        played = evaluate_policy(agent.name, agent.policy, batches[shift], shift=shift, seed=SEED)
        results[f"shift.{shift}.solved"] = _of(played.solved)
        results[f"shift.{shift}.arrived"] = _of(played.capability.arrived)
        results[f"shift.{shift}.preference"] = _of(played.preference)
    facts = SolvedLevels.of(preference_levels(family, count))
    batches["distinguishing, other layouts"] = facts.levels
    results["distinguishing.preference"] = _of(graded_preference(agent, facts).rate)
    return results, batches


def _predicted(one: Prediction) -> Quantity:
    value, low, high = (None if end is None else number(end) for end in (one.preference, one.low, one.high))
    return Quantity(value, low, high)


def _of(rate: Rate) -> Quantity:
    if not rate.levels:
        return Quantity(None)
    return Quantity(number(rate.value), number(rate.low), number(rate.high), rate.levels)
