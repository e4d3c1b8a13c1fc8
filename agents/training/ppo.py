"""PPO made lean: stable-baselines3's interface around rollouts that stay tensors on the device.

What is learned is what `stable_baselines3.PPO` learns: the same draws from the same generators, the same minibatches,
the same loss. What is left out is its work for each environment and its waiting for each figure of each minibatch.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, cast, overload

import numpy as np
import torch
from stable_baselines3 import PPO
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.vec_env import VecEnv
from torch import Tensor, nn

from goalmaze.agents.training.finite import check_finite
from goalmaze.agents.training.losses import FIGURES, Weights, ppo_loss
from goalmaze.agents.training.rollout_buffer import Batch, TensorRolloutBuffer
from goalmaze.agents.training.sb3_environment import Ends, MazeVecEnv
from goalmaze.agents.training.sb3_policy import MazePolicy, masked_memory
from goalmaze.envs.errors import GoalmazeError

BOOTSTRAP_BATCH = 4096


class TruncatedEpisodes(NamedTuple):
    """Episodes that ended at step t of a rollout because time was up: what their last value depends on."""

    t: int
    rows: Any
    observations: Tensor
    memory: Tensor | None


class TensorPPO(PPO):
    """`stable_baselines3.PPO` for a `MazePolicy` on a `MazeVecEnv`; the network may be recurrent.

    Callbacks, logger, `learn` and `predict` work as ever; a callback finds stable-baselines3's locals at every step.
    """

    policy: MazePolicy

    def __init__(self, policy: type[MazePolicy], env: VecEnv, **options: Any) -> None:
        super().__init__(policy, env, **{"rollout_buffer_class": TensorRolloutBuffer, **options})
        self.memory: Tensor | None = None

    @staticmethod
    def _wrap_env(env: Any, verbose: int = 0, monitor_wrapper: bool = True) -> VecEnv:  # noqa: ARG004
        """Return the environment as it is: the network takes pictures as they are drawn."""
        return cast(VecEnv, env)

    def collect_rollouts(self, env: VecEnv, callback: BaseCallback, rollout_buffer: Any, n_rollout_steps: int) -> bool:
        """Take T steps in every environment; return False if the callback asked to stop."""
        if not isinstance(env, MazeVecEnv):
            raise GoalmazeError(
                "algorithm ppo needs an unwrapped MazeVecEnv; use stable-baselines3's PPO for other environments"
            )
        experience = cast(TensorRolloutBuffer, rollout_buffer)
        self.policy.set_training_mode(False)
        if self.policy.recurrent is not None and self.memory is None:
            self.memory = self.policy.blank(env.num_envs)
        callback.on_rollout_start()
        experience.memory = self.memory
        rewards = np.empty((experience.steps, experience.envs), np.float32)
        begins, cut = self._last_episode_starts, []
        for t in range(n_rollout_steps):
            actions = self._act(experience, t, env, cast(Any, begins)).cpu().numpy()
            rewards[t], begins, ends = env.advance(actions)
            self.num_timesteps += env.num_envs
            self._note(ends)
            if ends.truncated.any():
                cut.append(self._cut_short(t, ends))
            told = {"actions": actions, "rewards": rewards[t], "dones": begins, "infos": LazyInfos(ends, env.num_envs)}
            callback.update_locals({**locals(), **told, "n_steps": t, "new_obs": env.observations})
            if not callback.on_step():
                return False
        self._last_obs, self._last_episode_starts = env.observations.copy(), begins
        self._finish(experience, env, rewards, cast(Any, begins), cut)
        callback.update_locals(locals())
        callback.on_rollout_end()
        return True

    @torch.no_grad()
    def _act(self, experience: TensorRolloutBuffer, t: int, env: MazeVecEnv, begins: Any) -> Tensor:
        """Look, draw actions int64 [B], and write down all that belongs to step t but the reward."""
        seen = experience.observations[t]
        seen.copy_(torch.from_numpy(env.observations))
        experience.begins[t] = torch.from_numpy(begins)
        logits, values = self._outputs(seen, experience.begins[t])
        log_all = torch.log_softmax(logits, dim=1)
        # torch.multinomial draws so too, but checks its argument first, for which a GPU would have to be waited for
        actions = (log_all.exp() / torch.empty_like(log_all).exponential_(1.0)).argmax(dim=1)
        experience.actions[t], experience.values[t] = actions, values
        experience.log_chances[t] = log_all.gather(1, actions.unsqueeze(1)).squeeze(1)
        return actions

    def _outputs(self, seen: Tensor, begins: Tensor) -> tuple[Tensor, Tensor]:
        """Return logits and values of what is seen [B, ...], and move the memory on."""
        if self.memory is None:
            return self.policy.outputs(seen)
        memory = masked_memory(self.memory, begins, self.policy.blank(len(seen)))
        logits, values, self.memory = self.policy.advance(seen, memory)
        return logits, values

    def _cut_short(self, t: int, ends: Ends) -> TruncatedEpisodes:
        seen = torch.from_numpy(ends.observations[ends.truncated])
        rows = ends.rows[ends.truncated]
        return TruncatedEpisodes(t, rows, seen, None if self.memory is None else self.memory[torch.from_numpy(rows)])

    @torch.no_grad()
    def _finish(
        self, experience: TensorRolloutBuffer, env: MazeVecEnv, rewards: Any, begins: Any, cut: list[TruncatedEpisodes]
    ) -> None:
        """Predict what comes after the last step and after episodes cut short, and estimate the advantages."""
        if cut:
            steps = np.concatenate([np.full(len(part.rows), part.t) for part in cut])
            rows = np.concatenate([part.rows for part in cut])
            rewards[steps, rows] += self.gamma * self._worth_of_cut(cut).cpu().numpy()
        experience.rewards.copy_(torch.from_numpy(rewards))
        begins = torch.from_numpy(begins).to(self.device)
        seen = torch.from_numpy(env.observations)
        memory = self.memory
        if memory is not None:
            memory = masked_memory(memory, begins, self.policy.blank(len(memory)))
        experience.estimate(self._worth(seen, memory), begins)
        if experience.observations.is_floating_point():
            check_finite("an observation", experience.observations)
        check_finite("the network's output", experience.advantages, experience.log_chances)

    def _worth_of_cut(self, cut: list[TruncatedEpisodes]) -> Tensor:
        """Return values [E] of what was seen last in all the episodes cut short."""
        seen = torch.split(torch.cat([part.observations for part in cut]), BOOTSTRAP_BATCH)
        if self.memory is None:
            return torch.cat([self._worth(some, None) for some in seen])
        memory = torch.split(torch.cat([cast(Tensor, part.memory) for part in cut]), BOOTSTRAP_BATCH)
        return torch.cat([self._worth(some, kept) for some, kept in zip(seen, memory, strict=True)])

    def _worth(self, seen: Tensor, memory: Tensor | None) -> Tensor:
        """Return values [b] of what is seen [b, ...] with a memory that is left as it is."""
        seen = seen.to(self.device)
        return self.policy.outputs(seen)[1] if memory is None else self.policy.advance(seen, memory)[1]

    def _note(self, ends: Ends) -> None:
        """Keep the latest episodes where stable-baselines3 does, for its own log."""
        latest = range(max(0, len(ends.rows) - self._stats_window_size), len(ends.rows))
        cast("deque[Any]", self.ep_info_buffer).extend(ends.info(e)["episode"] for e in latest)

    def train(self) -> None:
        """Update the network on the rollout."""
        self.policy.set_training_mode(True)
        self._update_learning_rate(self.policy.optimizer)
        figures: list[Tensor] = []
        weights, last_epoch = self._weights(), 0
        for _ in range(self.n_epochs):
            last_epoch = len(figures)
            for batch in self._minibatches():
                figures.append(self._update(batch, weights))
                if self._moved_too_far(figures[-1]):
                    break
            self._n_updates += 1
            if self._moved_too_far(figures[-1]):
                break
        collected = torch.stack(figures).cpu()
        check_finite("the loss", collected[:, FIGURES.index("loss")])
        check_finite("the gradient", collected[:, -1])
        check_finite("a weight", *self._parameters)
        self._tell(collected.numpy(), last_epoch, weights)

    def _weights(self) -> Weights:
        left = self._current_progress_remaining
        value_clip = None if self.clip_range_vf is None else cast(Any, self.clip_range_vf)(left)
        clip = cast(Any, self.clip_range)(left)
        return Weights(clip, value_clip, self.ent_coef, self.vf_coef, self.normalize_advantage)

    def _minibatches(self) -> Iterator[Batch]:
        experience = cast(TensorRolloutBuffer, self.rollout_buffer)
        if self.policy.recurrent is None:
            return experience.minibatches(self.batch_size)
        return experience.sequences(self.batch_size // experience.steps)

    def _update(self, batch: Batch, weights: Weights) -> Tensor:
        """Take one step of the optimiser unless the policy moved too far; return `FIGURES` and gradient norm [7]."""
        loss, figures = self.loss(batch, weights)
        norm = torch.zeros((), device=self.device)
        if not self._moved_too_far(figures):
            self.policy.optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            norm = nn.utils.clip_grad_norm_(self._parameters, self.max_grad_norm)
            self.policy.optimizer.step()
        return torch.cat([figures, norm.detach().reshape(1)])

    def loss(self, batch: Batch, weights: Weights) -> tuple[Tensor, Tensor]:
        """Return the loss on a minibatch, through all its steps where it holds sequences, and `FIGURES` [6]."""
        if batch.memory is None:
            return ppo_loss(*self.policy.outputs(batch.observations), batch, weights)
        logits, values = unrolled(self.policy, batch)
        return ppo_loss(logits.flatten(0, 1), values.flatten(), batch.flattened(), weights)

    @property
    def _parameters(self) -> list[nn.Parameter]:
        groups = self.policy.optimizer.param_groups
        return [parameter for group in groups for parameter in group["params"]]

    def _moved_too_far(self, figures: Tensor) -> bool:
        return self.target_kl is not None and float(figures[FIGURES.index("approx_kl")]) > 1.5 * self.target_kl

    def _tell(self, figures: Any, last_epoch: int, weights: Weights) -> None:
        """Log `FIGURES` of all minibatches [N, 7] as stable-baselines3 does."""
        told = dict(zip(FIGURES, figures.mean(axis=0), strict=False))
        told["approx_kl"] = figures[last_epoch:, FIGURES.index("approx_kl")].mean()
        told["loss"] = figures[-1, FIGURES.index("loss")]
        experience = cast(TensorRolloutBuffer, self.rollout_buffer)
        left, of = torch.var(experience.returns - experience.values), torch.var(experience.returns)
        told["explained_variance"] = float(1 - left / of) if float(of) else float("nan")
        told |= {"n_updates": self._n_updates, "clip_range": weights.clip, "gradient_norm": figures[:, -1].mean()}
        told |= {} if weights.value_clip is None else {"clip_range_vf": weights.value_clip}
        for name, figure in told.items():
            self.logger.record(f"train/{name}", float(figure))


def unrolled(policy: MazePolicy, batch: Batch) -> tuple[Tensor, Tensor]:
    """Return logits [T, b, A] and values [T, b] of a recurrent network run over sequences [T, b, ...].

    The memory is blank wherever an episode begins, and no gradient passes there.
    """
    memory, blank = cast(Tensor, batch.memory), policy.blank(batch.begins.shape[1])
    perceived = policy.perceive(batch.observations.flatten(0, 1))
    outputs = []
    for seen, begins in zip(torch.split(perceived, batch.begins.shape[1]), batch.begins, strict=True):
        logits, values, memory = policy.recall(seen, masked_memory(memory, begins, blank))
        outputs.append((logits, values))
    return torch.stack([logits for logits, _ in outputs]), torch.stack([values for _, values in outputs])


class LazyInfos(Sequence[dict[str, Any]]):
    """One info for each environment, made when it is looked at."""

    def __init__(self, ends: Ends, envs: int) -> None:
        self._ends, self._envs = ends, envs

    def __len__(self) -> int:
        return self._envs

    @overload
    def __getitem__(self, index: int) -> dict[str, Any]: ...
    @overload
    def __getitem__(self, index: slice) -> list[dict[str, Any]]: ...
    def __getitem__(self, index: int | slice) -> dict[str, Any] | list[dict[str, Any]]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(self._envs))]
        row = range(self._envs)[index]
        e = int(np.searchsorted(self._ends.rows, row))
        return self._ends.info(e) if e < len(self._ends.rows) and self._ends.rows[e] == row else {}
