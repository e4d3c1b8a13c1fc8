"""What a run learns beside PPO's loss: penalties, a KL term, and the teacher that takes the place of that loss.

Axes: T steps of a rollout, B environments, b observations, A actions.
"""

from __future__ import annotations

from typing import NamedTuple, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import log_softmax, mse_loss

from goalmaze.agents.devices import find_device
from goalmaze.agents.networks.base import Network, RecurrentNetwork
from goalmaze.agents.networks.registry import network_class
from goalmaze.agents.sites import find_site
from goalmaze.agents.training.directional_ablation import DirectionalAblation, span
from goalmaze.agents.training.gradient_routing import clear_unrouted, route_cue
from goalmaze.agents.training.penalties.base import Penalty
from goalmaze.agents.training.penalties.cue_planes import CuePlanes
from goalmaze.agents.training.penalties.registry import make_penalty, penalty_options
from goalmaze.agents.training.recipe import Recipe, Through
from goalmaze.agents.training.start import start_agent
from goalmaze.envs.errors import GoalmazeError
from goalmaze.envs.levels import Family
from goalmaze.envs.observations.views import View

LAST_PHASE = 0.8
"""Fraction of the steps after which a last phase begins, where no other is given."""

VALUE_WEIGHT = 0.5
"""Weight of the squared difference of values where a teacher is imitated, that of PPO's own value loss."""

REWARD_BATCH = 2048
"""Observations in one forward pass of the reward."""

WEIGHTS, PENALTY, ABLATION = "reference", "penalty", "ablation"
"""Prefixes of arrays in the training state."""

Arrays: TypeAlias = dict[str, NDArray[np.generic]]


class TermSettings(NamedTuple):
    """The settings of a recipe that the term follows.

    Attributes:
        penalties: penalties with their weights.
        through: how they act.
        kl: weight of the KL divergence from the agent that training starts from.
        begin: fraction of the steps before the reading is fitted and the term begins.
        every: number of updates between two fits, where the reading is refitted.
        ablated: the reading whose directions are ablated in training; None for none.
        routed: number of channels that the cue is routed to; 0 for no routing.
        steps: environment steps of the run.
        teacher: the network that is imitated in place of PPO's loss; None for none.
    """

    penalties: tuple[tuple[Penalty, float], ...]
    through: Through
    kl: float
    begin: float
    every: int
    ablated: Penalty | None
    routed: int
    steps: int
    teacher: Network | None


class LossTerm:
    """The state of the term in one training run.

    Args:
        settings: the settings.
        network: the network that is trained.
        planes: goal and cue in observations; needed for routing alone.

    Attributes:
        settings: as given.
        reference: the network that training started from, where it is needed; None before the first rollout.
        last: the means of penalty and KL divergence over the minibatches of the last update; NaN where unused.
    """

    def __init__(self, settings: TermSettings, network: Network, planes: CuePlanes | None) -> None:
        self.settings, self._network, self._planes = settings, network, planes
        self.reference: Network | None = None
        self.last = (float("nan"), float("nan"))
        self._fitted, self._minibatch = False, 0
        self._ablation: DirectionalAblation | None = None
        self._seen: list[tuple[float, float]] = []
        if settings.routed and planes is not None:
            route_cue(network, planes, settings.routed)

    def begin_rollout(self, steps: int, update: int) -> None:
        """Fit what is due before a rollout; a run that resumes here fits the same again.

        Args:
            steps: environment steps taken before.
            update: number of updates before.
        """
        settings = self.settings
        self._minibatch, self._seen = 0, []
        if steps == 0:
            self._begin_run()
        if steps < settings.begin * settings.steps:
            return
        refits = settings.through == "refitted" and update % settings.every == 0
        if refits or not self._fitted:
            for penalty, _ in settings.penalties:
                penalty.fit(self._network)
            self._fitted = True

    def _begin_run(self) -> None:
        """Keep the first weights, clear what is not routed, and begin the ablation."""
        settings, network = self.settings, self._network
        if settings.routed and self._planes is not None:
            clear_unrouted(network, self._planes, settings.routed)
        if settings.kl:
            self._keep_reference(network.state_dict())
        if settings.ablated is not None and self._ablation is None:
            settings.ablated.fit(network)
            site, directions = settings.ablated.directions(network)
            self._ablation = DirectionalAblation(network, site, span(directions))

    def _keep_reference(self, weights: dict[str, Tensor]) -> None:
        # A fresh network and no copy of the module, which would share its hooks.
        self.reference = self._network.untrained(0)
        self.reference.load_state_dict(weights)
        self.reference.requires_grad_(False)

    @torch.no_grad()
    def reward(self, observations: Tensor) -> Tensor | None:
        """Return float32 [T, B], what is taken from the rewards of a rollout; None where nothing is.

        Args:
            observations: [T, B, ...], those in which the actions were chosen.
        """
        if self.settings.through != "reward" or not self._fitted:
            return None
        parts = torch.split(observations.flatten(0, 1), REWARD_BATCH)
        total = torch.zeros(observations.shape[:2])
        for penalty, weight in self.settings.penalties:
            scores = torch.cat([penalty.scores(self._network, part) for part in parts])
            total += weight * scores.reshape(total.shape)
        self._seen.append((float(total.mean()), float("nan")))
        return total

    def loss(self, ppo: Tensor, observations: Tensor, logits: Tensor, values: Tensor) -> Tensor:
        """Return the loss of a minibatch with the term.

        Args:
            ppo: the loss of PPO.
            observations: [b, ...], of the minibatch.
            logits: [b, A], what the network answers.
            values: [b], the same.
        """
        settings = self.settings
        in_loss = settings.through != "reward" and self._fitted and bool(settings.penalties)
        penalty = divergence = float("nan")
        total = ppo
        if settings.teacher is not None:
            total, divergence = _imitation(settings.teacher, observations, logits, values)
        # A last phase has the term alone: what PPO would learn is left out.
        if in_loss and settings.through == "last-phase":
            total = torch.zeros_like(ppo)
        if in_loss:
            term = self._penalty()
            total, penalty = total + term, float(term.detach())
        if settings.kl and self.reference is not None:
            with torch.no_grad():
                before = log_softmax(self.reference(observations)[0].float(), dim=1)
            kl = _divergence(log_softmax(logits, dim=1), before)
            total, divergence = total + settings.kl * kl, float(kl.detach())
        self._minibatch += 1
        if in_loss or settings.kl or settings.teacher is not None:
            self._seen.append((penalty, divergence))
        return total

    def _penalty(self) -> Tensor:
        """Return the weighted sum of the mean scores of all penalties, each on its own levels."""
        parts = [
            weight * penalty.scores(self._network, penalty.inputs(self._minibatch)).mean()
            for penalty, weight in self.settings.penalties
        ]
        return torch.stack(parts).sum()

    def end_update(self) -> None:
        """Average what the minibatches of an update have shown."""
        with np.errstate(invalid="ignore"):
            seen = np.array(self._seen or [(np.nan, np.nan)])
        penalty, divergence = (float(column.mean()) for column in seen.T)
        self.last = (penalty, divergence)

    def figures(self) -> dict[str, float]:
        """Return the columns that the log holds: the weighted penalty and the KL divergence, in nats, of the update."""
        return {"penalty": self.last[0], "penalty_kl": self.last[1]}

    def arrays(self) -> Arrays:
        """Return what a resumed run needs, as arrays."""
        result: Arrays = {"fitted": np.array([self._fitted]), "last": np.array(self.last)}
        if self.reference is not None:
            for name, tensor in self.reference.state_dict().items():
                result[f"{WEIGHTS}/{name}"] = tensor.cpu().numpy()
        if self._fitted:
            for number, (penalty, _) in enumerate(self.settings.penalties):
                result |= {f"{PENALTY}{number}/{name}": array for name, array in penalty.arrays().items()}
        if self._ablation is not None:
            result[ABLATION] = self._ablation.basis.numpy()
        return result

    def restore(self, arrays: Arrays) -> None:
        """Restore what `arrays` returned.

        Raises:
            KeyError: something is missing.
        """
        self._fitted = bool(arrays["fitted"][0])
        self.last = (float(arrays["last"][0]), float(arrays["last"][1]))
        weights = _under(WEIGHTS, arrays)
        if weights:
            self._keep_reference({name: torch.from_numpy(array) for name, array in weights.items()})
        if self._fitted:
            for number, (penalty, _) in enumerate(self.settings.penalties):
                penalty.restore(_under(f"{PENALTY}{number}", arrays))
        if self.settings.ablated is not None and ABLATION in arrays:
            site = self.settings.ablated.site_of(self._network)
            self._ablation = DirectionalAblation(self._network, site, torch.from_numpy(arrays[ABLATION]))


def _imitation(teacher: Network, observations: Tensor, logits: Tensor, values: Tensor) -> tuple[Tensor, float]:
    """Return the loss of imitating a teacher on observations [b, ...], and the divergence from its policy in nats.

    Args:
        teacher: the network that is imitated.
        observations: [b, ...].
        logits: [b, A], of the network that is trained.
        values: [b], the same.
    """
    with torch.no_grad():
        taught, worth = teacher(observations)
    divergence = _divergence(log_softmax(taught.float(), dim=1), log_softmax(logits, dim=1))
    return divergence + VALUE_WEIGHT * mse_loss(values, worth.float()), float(divergence.detach())


def _divergence(one: Tensor, other: Tensor) -> Tensor:
    """Return the mean KL divergence, in nats, of policies from others, both as log-probabilities [b, A]."""
    return (one.exp() * (one - other)).sum(dim=1).mean()


def needs_term(recipe: Recipe) -> bool:
    """Return whether a recipe asks for anything that this module does."""
    return bool(recipe.penalty or recipe.penalty_kl or recipe.ablate_direction or recipe.route_cue or recipe.distill)


def check_term(recipe: Recipe) -> None:
    """Check that the settings of the term fit each other and the algorithm.

    Raises:
        GoalmazeError: they do not.
    """
    has_reading = bool(recipe.penalty or recipe.ablate_direction)
    if not has_reading and recipe.penalty_options:
        raise GoalmazeError("penalty_options are options of a penalty, and there is none: add --penalty NAME=WEIGHT")
    if not recipe.penalty and recipe.penalty_through != "loss":
        raise GoalmazeError(f"penalty_through is {recipe.penalty_through} without a penalty: add --penalty NAME=WEIGHT")
    if not needs_term(recipe):
        return
    if recipe.penalty_kl and not recipe.start:
        raise GoalmazeError("penalty_kl compares with the agent that training starts from: add --start AGENT")
    if recipe.algorithm != "ppo":
        raise GoalmazeError(
            f"algorithm {recipe.algorithm} takes no penalty, no routing and no agent to distill: choose ppo"
        )
    if issubclass(network_class(recipe.network), RecurrentNetwork):
        raise GoalmazeError(
            f"network {recipe.network} has a memory, which penalties, routing and distillation do not read: choose grid"
        )
    if find_device(recipe.device).type != "cpu":
        raise GoalmazeError("penalties, routing and distillation train on a CPU alone: add --device cpu")


def make_term(recipe: Recipe, family: Family, view: View, network: Network) -> LossTerm | None:
    """Return the term of a recipe for a network that is to be trained; None where the recipe has none.

    Raises:
        GoalmazeError: a penalty or an option is unknown, or does not apply to family, observations or network.
    """
    check_term(recipe)
    if not needs_term(recipe):
        return None
    options = penalty_options(recipe.penalty_options)
    if options.site:
        find_site(network, options.site)

    def made(name: str) -> Penalty:
        return make_penalty(name, family, view, recipe.seed, options)

    default = LAST_PHASE if recipe.penalty_through == "last-phase" else 0.0
    settings = TermSettings(
        penalties=tuple((made(name), weight) for name, weight in recipe.penalty.items()),
        through=recipe.penalty_through,
        kl=recipe.penalty_kl,
        begin=default if options.begin is None else options.begin,
        every=options.every,
        ablated=made(recipe.ablate_direction) if recipe.ablate_direction else None,
        routed=recipe.route_cue,
        steps=recipe.steps,
        teacher=_teacher(recipe, family, network) if recipe.distill else None,
    )
    if settings.ablated is not None and not settings.ablated.has_directions:
        raise GoalmazeError(f"{recipe.ablate_direction} reads no directions of an activation: ablate linear-probe")
    return LossTerm(settings, network, CuePlanes(family, view) if recipe.route_cue else None)


def _teacher(recipe: Recipe, family: Family, network: Network) -> Network:
    """Return the network that a recipe imitates.

    Raises:
        GoalmazeError: there is no such agent, it has a memory, or it is of another family or sees other observations.
    """
    agent = start_agent(recipe.distill, recipe.seed)
    if isinstance(agent.network, RecurrentNetwork):
        raise GoalmazeError(
            f"{agent.name} has a memory, which distillation does not read: distill a network such as grid"
        )
    if agent.family.name != family.name:
        raise GoalmazeError(
            f"{agent.name} is an agent of {agent.family.name}, and this run trains on {family.name}: choose the same "
            "family and mode"
        )
    seen, wanted = agent.network.shape, network.shape
    if (seen.spec, seen.observation[:1], seen.actions) != (wanted.spec, wanted.observation[:1], wanted.actions):
        raise GoalmazeError(
            f"{agent.name} sees observations {seen.observation} in mode {seen.spec.mode}, and this run "
            f"{wanted.observation} in mode {wanted.spec.mode}: choose the same family and mode"
        )
    return agent.network.requires_grad_(False)


def _under(prefix: str, arrays: Arrays) -> Arrays:
    start = f"{prefix}/"
    return {name.removeprefix(start): array for name, array in arrays.items() if name.startswith(start)}
