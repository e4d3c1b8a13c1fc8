"""PPO (Schulman et al., 2017) with stable-baselines3's interface, whose rollouts stay tensors on the device.

Given the same random draws it learns exactly what `stable_baselines3.PPO` learns: the same minibatches, the same loss.
It is faster because it runs no Python for each environment and does not wait for the device after each minibatch. Its
own draws are addressed by seed, environment and step, see `goalmaze.agents.training.addressed_draws`.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, SupportsFloat, cast, overload

import numpy as np
import torch
from numpy.typing import NDArray
from stable_baselines3 import PPO
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.type_aliases import GymEnv, Schedule
from stable_baselines3.common.vec_env import VecEnv
from torch import Tensor, nn

from goalmaze.agents.networks.forward_pass import ForwardPass, masked_memory
from goalmaze.agents.training.addressed_draws import AddressedDraws, Draws
from goalmaze.agents.training.finite import check_finite
from goalmaze.agents.training.loss_term import LossTerm
from goalmaze.agents.training.losses import METRICS, LossWeights, ppo_loss
from goalmaze.agents.training.rollout_buffer import Minibatch, TensorRolloutBuffer
from goalmaze.agents.training.sb3_environment import EpisodeEnds, Info, MazeVecEnv
from goalmaze.agents.training.sb3_policy import MazePolicy
from goalmaze.envs.engines import Observations
from goalmaze.envs.errors import GoalmazeError

BOOTSTRAP_BATCH = 4096
"""Number of last observations in one forward pass."""

KL_TOLERANCE = 1.5
"""Updates stop at this multiple of `target_kl`, as in stable-baselines3."""


class TruncatedEpisodes(NamedTuple):
    """The E episodes that the time limit ended at one step of a rollout.

    Attributes:
        t: the step.
        rows: int [E], their environments.
        observations: [E, ...], their last observations.
        memory: [E, ...], the memory of a recurrent network after their last step; None for other networks.
    """

    t: int
    rows: NDArray[np.intp]
    observations: Tensor
    memory: Tensor | None


class Step(NamedTuple):
    """One step of B environments.

    Attributes:
        actions: int64 [B].
        rewards: float32 [B].
        dones: bool [B], the episodes that ended.
        ends: more about them.
    """

    actions: NDArray[np.int64]
    rewards: NDArray[np.float32]
    dones: NDArray[np.bool_]
    ends: EpisodeEnds


class TensorPPO(PPO):
    """`stable_baselines3.PPO` for a `MazePolicy` on a `MazeVecEnv`; the network may be recurrent.

    Callbacks, logger, `learn` and `predict` work as in stable-baselines3; a callback receives the same locals.

    Attributes:
        memory: [B, ...], the memory of a recurrent network; None before the first rollout and for other networks.
        draws: where its random numbers come from.
        term: what penalties add to loss and reward; None without any.
    """

    policy: MazePolicy
    clip_range: Schedule
    clip_range_vf: Schedule | None
    ep_info_buffer: deque[dict[str, float]]

    def __init__(self, policy: type[MazePolicy], env: VecEnv, **options: Any) -> None:
        super().__init__(policy, env, **{"rollout_buffer_class": TensorRolloutBuffer, **options})
        self.memory: Tensor | None = None
        self.term: LossTerm | None = None
        # Without a seed, any: drawn here once, so that the whole run has one.
        self.draws: Draws = AddressedDraws(_random_seed() if self.seed is None else self.seed)
        self._first_step = 0

    @staticmethod
    def _wrap_env(env: GymEnv, verbose: int = 0, monitor_wrapper: bool = True) -> VecEnv:  # noqa: ARG004
        """Return the environment without a wrapper: the networks take pictures [h, w, 3] as they are drawn."""
        return cast(VecEnv, env)

    @property
    def tensor_buffer(self) -> TensorRolloutBuffer:
        """The rollout buffer, with its type."""
        return cast(TensorRolloutBuffer, self.rollout_buffer)

    def collect_rollouts(
        self, env: VecEnv, callback: BaseCallback, rollout_buffer: object, n_rollout_steps: int
    ) -> bool:
        """Take T steps in every environment.

        Args:
            env: the environments, a `MazeVecEnv` without wrappers.
            callback: called before, in every step of, and after the rollout.
            rollout_buffer: the `TensorRolloutBuffer` to fill.
            n_rollout_steps: T.

        Returns:
            False if the callback stops training.

        Raises:
            GoalmazeError: the environments are no `MazeVecEnv`, or a number is not finite.
        """
        if not isinstance(env, MazeVecEnv):
            raise GoalmazeError(
                "algorithm ppo needs an unwrapped MazeVecEnv; use stable-baselines3's PPO for other environments"
            )
        buffer = cast(TensorRolloutBuffer, rollout_buffer)
        self.policy.set_training_mode(False)
        if self.policy.recurrent is not None and self.memory is None:
            self.memory = self.policy.initial_memory(env.num_envs)
        callback.on_rollout_start()
        if self.term is not None:
            self.term.begin_rollout(self.num_timesteps, self.num_timesteps // (n_rollout_steps * env.num_envs))
        buffer.trained = np.zeros((buffer.steps, buffer.envs), np.bool_) if env.curriculum.is_selective else None
        self._first_step = self.num_timesteps // env.num_envs
        self.draws.begin_rollout(self._first_step, n_rollout_steps, env.num_envs, self.device)
        # The memory before the first step: from here the update runs the network again over the whole rollout.
        buffer.memory = self.memory
        rewards = np.empty((buffer.steps, buffer.envs), np.float32)
        dones, truncated = cast("NDArray[np.bool_]", self._last_episode_starts), []
        for t in range(n_rollout_steps):
            actions, rewards[t], dones, ends = self._take_step(buffer, t, env, dones)
            self.num_timesteps += env.num_envs
            self._record_episodes(ends)
            if ends.truncated.any():
                truncated.append(self._truncated(t, ends))
            # Callbacks of stable-baselines3 read the local variables of its own loop.
            infos = LazyInfos(ends, env.num_envs)
            sb3_locals = {"actions": actions, "rewards": rewards[t], "dones": dones, "infos": infos, "n_steps": t}
            callback.update_locals({**locals(), **sb3_locals, "new_obs": env.observations})
            if not callback.on_step():
                return False
        # A copy, since the environments change their observations in place.
        self._last_obs, self._last_episode_starts = env.observations.copy(), dones
        self._finish_rollout(buffer, env, rewards, dones, truncated)
        callback.update_locals(locals())
        callback.on_rollout_end()
        return True

    def _take_step(
        self, buffer: TensorRolloutBuffer, t: int, env: MazeVecEnv, episode_starts: NDArray[np.bool_]
    ) -> Step:
        """Take step t of a rollout in every environment, and store everything that belongs to it except its reward."""
        actions = self._act(buffer, t, env, episode_starts).cpu().numpy()
        return Step(actions, *env.advance(actions))

    @torch.no_grad()
    def _act(self, buffer: TensorRolloutBuffer, t: int, env: MazeVecEnv, episode_starts: NDArray[np.bool_]) -> Tensor:
        """Return sampled actions int64 [B], and store everything that belongs to step t except its reward."""
        observations = buffer.observations[t]
        observations.copy_(self._on_host(env.observations), non_blocking=True)
        buffer.episode_starts[t] = torch.from_numpy(episode_starts)
        if buffer.trained is not None:
            buffer.trained[t] = env.curriculum.trains
        logits, values = self._outputs(observations, buffer.episode_starts[t])
        log_probs = torch.log_softmax(logits, dim=1)
        actions = self.draws.actions(t, log_probs.exp())
        buffer.actions[t], buffer.values[t] = actions, values
        buffer.log_probs[t] = log_probs.gather(1, actions.unsqueeze(1)).squeeze(1)
        return actions

    def _on_host(self, observations: Observations) -> Tensor:
        """Return observations [B, ...] as a tensor of the CPU, from which they are copied to the device."""
        return torch.from_numpy(observations)

    def _outputs(self, observations: Tensor, episode_starts: Tensor) -> tuple[Tensor, Tensor]:
        """Return logits [B, A] and values [B] of observations [B, ...], and update the memory.

        Args:
            observations: [B, ...].
            episode_starts: bool [B], the environments whose memory starts anew.
        """
        if self.memory is None:
            return self.policy.outputs(observations)
        memory = masked_memory(self.memory, episode_starts, self.policy.initial_memory(len(observations)))
        logits, values, self.memory = self.policy.step(observations, memory)
        return logits, values

    def _truncated(self, t: int, ends: EpisodeEnds) -> TruncatedEpisodes:
        """Return the truncated ones among the episodes that ended with step t."""
        observations = torch.from_numpy(ends.observations[ends.truncated])
        rows = ends.rows[ends.truncated]
        memory = None if self.memory is None else self.memory[torch.from_numpy(rows)]
        return TruncatedEpisodes(t, rows, observations, memory)

    @torch.no_grad()
    def _finish_rollout(
        self,
        buffer: TensorRolloutBuffer,
        env: MazeVecEnv,
        rewards: NDArray[np.float32],
        dones: NDArray[np.bool_],
        truncated: list[TruncatedEpisodes],
    ) -> None:
        """Bootstrap the values after the last step and after truncated episodes, and compute the advantages.

        Args:
            buffer: the rollout, filled except for its rewards.
            env: the environments after the last step.
            rewards: float32 [T, B], changed in place.
            dones: bool [B], the episodes that ended with the last step.
            truncated: the truncated episodes of all steps.
        """
        # The time limit is not part of the task, so the return goes on behind it: r + gamma * V(last observation).
        # In one batch of all steps, which is faster than a forward pass after each.
        if truncated:
            steps = np.concatenate([np.full(len(part.rows), part.t) for part in truncated])
            rows = np.concatenate([part.rows for part in truncated])
            rewards[steps, rows] += self.gamma * self._values_after(truncated).cpu().numpy()
        buffer.rewards.copy_(torch.from_numpy(rewards))
        penalty = None if self.term is None else self.term.reward(buffer.observations)
        if penalty is not None:
            buffer.rewards -= penalty
        episode_starts = torch.from_numpy(dones).to(self.device)
        observations = torch.from_numpy(env.observations)
        memory = self.memory
        if memory is not None:
            memory = masked_memory(memory, episode_starts, self.policy.initial_memory(len(memory)))
        buffer.compute_advantages(self._values(observations, memory), episode_starts)
        if env.curriculum.is_selective:
            env.curriculum.end_rollout(buffer.advantages.numpy())
        if buffer.observations.is_floating_point():
            check_finite("an observation", buffer.observations)
        check_finite("the network's output", buffer.advantages, buffer.log_probs)

    def _values_after(self, truncated: list[TruncatedEpisodes]) -> Tensor:
        """Return values [E] of the last observations of all truncated episodes."""
        observations = torch.split(torch.cat([part.observations for part in truncated]), BOOTSTRAP_BATCH)
        if self.memory is None:
            return torch.cat([self._values(part, None) for part in observations])
        memory = torch.split(torch.cat([cast(Tensor, part.memory) for part in truncated]), BOOTSTRAP_BATCH)
        return torch.cat([self._values(*parts) for parts in zip(observations, memory, strict=True)])

    def _values(self, observations: Tensor, memory: Tensor | None) -> Tensor:
        """Return values [b] of observations [b, ...] and memories [b, ...], without changing the memory in use."""
        observations = observations.to(self.device)
        if memory is None:
            return self.policy.outputs(observations)[1]
        return self.policy.step(observations, memory)[1]

    def _record_episodes(self, ends: EpisodeEnds) -> None:
        """Store the latest episodes in the buffer from which stable-baselines3 writes its own log."""
        # The buffer holds no more than its window, so earlier ones need no dictionary.
        latest = range(max(0, len(ends.rows) - self._stats_window_size), len(ends.rows))
        self.ep_info_buffer.extend(ends.summary(e) for e in latest)

    def train(self) -> None:
        """Update the network on the rollout.

        Raises:
            NotFiniteError: a loss, a gradient or a weight is NaN or infinite.
        """
        self.policy.set_training_mode(True)
        self._update_learning_rate(self.policy.optimizer)
        trained = self.tensor_buffer.trained
        if trained is not None and not trained.any():
            # The buffer of the curriculum is being filled, so nothing is replayed yet.
            return
        metrics: list[Tensor] = []
        weights, last_epoch = self._loss_weights(), 0
        for epoch in range(self.n_epochs):
            # stable-baselines3 logs the KL divergence of the last epoch alone.
            last_epoch = len(metrics)
            for batch in self._minibatches(epoch):
                metrics.append(self._update(batch, weights))
                if self._exceeds_kl_limit(metrics[-1]):
                    break
            self._n_updates += 1
            if self._exceeds_kl_limit(metrics[-1]):
                break
        # One transfer for the whole update. Checks after every minibatch would wait for the device each time.
        collected = torch.stack(metrics).cpu()
        if self.term is not None:
            self.term.end_update()
        check_finite("the loss", collected[:, METRICS.index("loss")])
        check_finite("the gradient", collected[:, -1])
        check_finite("a weight", *self._parameters)
        self._log(collected.numpy(), last_epoch, weights)

    def _loss_weights(self) -> LossWeights:
        """Return the coefficients of the loss at this point of training."""
        remaining = self._current_progress_remaining
        value_clip = None if self.clip_range_vf is None else self.clip_range_vf(remaining)
        clip = self.clip_range(remaining)
        return LossWeights(clip, value_clip, self.ent_coef, self.vf_coef, self.normalize_advantage)

    def _minibatches(self, epoch: int) -> Iterator[Minibatch]:
        """Yield the minibatches of one epoch: single steps, or whole sequences for a recurrent network."""
        buffer = self.tensor_buffer
        rollout = self._first_step // buffer.steps
        if self.policy.recurrent is None:
            steps, size = buffer.trained_steps(), self.batch_size
            if steps is None:
                return buffer.minibatches(size, self.draws.order(rollout, epoch, buffer.steps * buffer.envs))
            order = steps[self.draws.order(rollout, epoch, len(steps))]
            return buffer.minibatches(even_size(len(steps), size), order)
        envs, size = buffer.trained_environments(), self.batch_size // buffer.steps
        if envs is None:
            return buffer.sequences(size, self.draws.order(rollout, epoch, buffer.envs))
        order = envs[self.draws.order(rollout, epoch, len(envs))]
        return buffer.sequences(even_size(len(envs), size), order)

    def _update(self, batch: Minibatch, weights: LossWeights) -> Tensor:
        """Take an optimiser step, unless over the KL limit.

        Returns:
            float32 [7]: `METRICS`, and the norm of the gradient before clipping.
        """
        loss, metrics = self.loss(batch, weights)
        norm = torch.zeros((), device=self.device)
        if not self._exceeds_kl_limit(metrics):
            self.policy.optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            norm = nn.utils.clip_grad_norm_(self._parameters, self.max_grad_norm)
            self.policy.optimizer.step()
        return torch.cat([metrics, norm.detach().reshape(1)])

    def loss(self, batch: Minibatch, weights: LossWeights) -> tuple[Tensor, Tensor]:
        """Return the loss on a minibatch, and `METRICS` [6]; its gradient flows through time if it holds sequences."""
        if self.term is None:
            return minibatch_loss(self.policy.forward_pass, batch, weights)
        logits, values = self.policy.forward_pass.outputs(batch.observations)
        loss, metrics = ppo_loss(logits, values, batch, weights)
        return self.term.loss(loss, batch.observations, logits, values), metrics

    @property
    def _parameters(self) -> list[nn.Parameter]:
        groups = self.policy.optimizer.param_groups
        return [parameter for group in groups for parameter in group["params"]]

    def _exceeds_kl_limit(self, metrics: Tensor) -> bool:
        # Without a limit the number is not read, so there is no wait for the device.
        if self.target_kl is None:
            return False
        return float(metrics[METRICS.index("approx_kl")]) > KL_TOLERANCE * self.target_kl

    def _log(self, metrics: NDArray[np.float32], last_epoch: int, weights: LossWeights) -> None:
        """Log the metrics of all minibatches [N, 7] under the names of stable-baselines3."""
        logged: dict[str, SupportsFloat] = dict(zip(METRICS, metrics.mean(axis=0), strict=False))
        logged["approx_kl"] = metrics[last_epoch:, METRICS.index("approx_kl")].mean()
        logged["loss"] = metrics[-1, METRICS.index("loss")]
        returns = self.tensor_buffer.returns
        unexplained, variance = torch.var(returns - self.tensor_buffer.values), torch.var(returns)
        logged["explained_variance"] = 1 - unexplained / variance if variance else float("nan")
        logged |= {"n_updates": self._n_updates, "clip_range": weights.clip, "gradient_norm": metrics[:, -1].mean()}
        logged |= {} if weights.value_clip is None else {"clip_range_vf": weights.value_clip}
        for name, value in logged.items():
            self.logger.record(f"train/{name}", float(value))


def minibatch_loss(network: ForwardPass, batch: Minibatch, weights: LossWeights) -> tuple[Tensor, Tensor]:
    """Return the loss of a network on a minibatch, and `METRICS` [6]."""
    if batch.memory is None:
        return ppo_loss(*network.outputs(batch.observations), batch, weights)
    logits, values = unrolled(network, batch)
    logits, values, steps = logits.flatten(0, 1), values.flatten(), batch.flattened()
    if batch.trained is not None:
        chosen = batch.trained.flatten().nonzero().squeeze(1)
        logits, values, steps = logits[chosen], values[chosen], steps.take(chosen)
    return ppo_loss(logits, values, steps, weights)


def unrolled(network: ForwardPass, batch: Minibatch) -> tuple[Tensor, Tensor]:
    """Return logits [T, b, A] and values [T, b] of a recurrent network over sequences [T, b, ...].

    The memory is reset where an episode starts, and no gradient passes there (backpropagation through time, truncated
    at the start of the rollout).
    """
    envs = batch.episode_starts.shape[1]
    memory, initial = cast(Tensor, batch.memory), network.initial_memory(envs)
    # What depends on no memory runs once for all steps; only the recurrent part goes step by step.
    features = network.encode(batch.observations.flatten(0, 1))
    outputs = []
    for step_features, starts in zip(torch.split(features, envs), batch.episode_starts, strict=True):
        logits, values, memory = network.recur(step_features, masked_memory(memory, starts, initial))
        outputs.append((logits, values))
    return torch.stack([logits for logits, _ in outputs]), torch.stack([values for _, values in outputs])


def even_size(count: int, size: int) -> int:
    """Return a size of minibatches close to `size` that splits `count` steps into minibatches of nearly equal size."""
    return math.ceil(count / max(1, round(count / size)))


def _random_seed() -> int:
    """Return a seed for a run that was given none."""
    return int(np.random.default_rng().integers(2**31))


class LazyInfos(Sequence[Info]):
    """One info dictionary for each environment, made when it is read, since few callbacks read any.

    Args:
        ends: the episodes that ended with the step.
        envs: number of environments.
    """

    def __init__(self, ends: EpisodeEnds, envs: int) -> None:
        self._ends, self._envs = ends, envs

    def __len__(self) -> int:
        return self._envs

    @overload
    def __getitem__(self, index: int) -> Info: ...
    @overload
    def __getitem__(self, index: slice) -> list[Info]: ...
    def __getitem__(self, index: int | slice) -> Info | list[Info]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(self._envs))]
        # A range understands negative indices and raises IndexError; `rows` is in ascending order.
        row = range(self._envs)[index]
        e = int(np.searchsorted(self._ends.rows, row))
        return self._ends.info(e) if e < len(self._ends.rows) and self._ends.rows[e] == row else {}
