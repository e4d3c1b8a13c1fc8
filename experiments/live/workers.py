"""The threads behind the pages: one for the agents that act, others for fits and exports."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from typing import ParamSpec, TypeVar

from goalmaze.envs.json_data import JsonObject
from goalmaze.experiments.live.agent_store import AgentStore, FitRequest
from goalmaze.experiments.live.fit_control import MAX_LONG_FITS, QUICK_FITS, FitControl, FitSlots
from goalmaze.experiments.live.measuring import measure
from goalmaze.experiments.live.render import render_episode
from goalmaze.experiments.live.settings import Settings

P = ParamSpec("P")
T = TypeVar("T")


class _RunningFit:
    """A fit with the number of pages that wait for it."""

    def __init__(self, control: FitControl, task: asyncio.Future[object]) -> None:
        self.control, self.task, self.pages = control, task, 0


class Workers:
    """The threads behind the pages. All methods but `close` are called from the event loop.

    Args:
        store: the agents, and the edits and probes fitted for them.
    """

    def __init__(self, store: AgentStore) -> None:
        self.store = store
        # One thread: scenes share the agents' networks, whose hooks must not run for two pages at once.
        self._inference = ThreadPoolExecutor(1, "goalmaze-inference")
        # A waiting long fit keeps its thread, so there are more threads than long fits.
        self._fits = ThreadPoolExecutor(MAX_LONG_FITS + 2 * QUICK_FITS, "goalmaze-fit")
        self._exports = ThreadPoolExecutor(1, "goalmaze-export")
        self._slots = FitSlots()
        self._running: dict[FitRequest, _RunningFit] = {}

    async def inference(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a function of the agents that act, which all pages take turns at."""
        return await _run(self._inference, function, *args, **kwargs)

    async def fit(self, request: FitRequest) -> object:
        """Return a fitted edit or probe. Pages that need the same one wait for one fit.

        Cancelling the task that awaits this stops the wait; a fit that no page waits for is ended.
        """
        running = self._running.get(request)
        if running is None or running.control.cancelled.is_set():
            control = FitControl(self._slots)
            running = _RunningFit(control, asyncio.ensure_future(_run(self._fits, self._fit, request, control)))
            # The exception of a fit that nobody awaits any more has been dealt with.
            running.task.add_done_callback(lambda task: task.cancelled() or task.exception())
            self._running[request] = running
        running.pages += 1
        try:
            return await asyncio.shield(running.task)
        finally:
            running.pages -= 1
            if not running.pages:
                running.control.cancelled.set()
                if self._running.get(request) is running:
                    del self._running[request]

    def _fit(self, request: FitRequest, control: FitControl) -> object:
        with control:
            return self.store.fit(request, control.watch)

    async def export(self, settings: Settings, extension: str) -> bytes:
        """Return the episode of a scene as a file, made on a copy of the agent and so beside the pages."""
        return await _run(self._exports, self._export, settings, extension)

    async def background(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a function that uses none of the agents that act, beside the pages."""
        return await _run(self._exports, function, *args, **kwargs)

    async def measure(self, settings: Settings, what: str) -> JsonObject:
        """Return a measurement of the agents of a scene, made on copies of them and so beside the pages."""
        return await _run(self._exports, self._measure, settings, what)

    def _measure(self, settings: Settings, what: str) -> JsonObject:
        scene = self.store.scene(settings)
        scene.agent = self.store.copy_of(settings.agent)
        scene.other = None if scene.other is None else self.store.copy_of(settings.other)
        scene.restart()
        return measure(scene, what)

    def _export(self, settings: Settings, extension: str) -> bytes:
        return render_episode(self.store, settings, extension, self.store.copy_of(settings.agent))

    def close(self) -> None:
        """Stop all threads; a fit ends at its next forward pass, and another function runs to its end."""
        for running in list(self._running.values()):
            running.control.cancelled.set()
        for pool in (self._inference, self._fits, self._exports):
            pool.shutdown(wait=False, cancel_futures=True)


async def _run(executor: Executor, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    call = functools.partial(function, *args, **kwargs)
    return await asyncio.get_running_loop().run_in_executor(executor, call)
