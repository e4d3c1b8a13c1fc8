"""One connected page: its messages, its answers and its scene."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import deque

import msgspec
from starlette.websockets import WebSocket, WebSocketDisconnect

from goalmaze.envs.errors import GoalmazeError
from goalmaze.envs.json_data import JsonObject
from goalmaze.experiments.live import messages
from goalmaze.experiments.live.agent_store import FitRequest
from goalmaze.experiments.live.security import RateLimit
from goalmaze.experiments.live.session import Session
from goalmaze.experiments.live.settings import Settings, read_link
from goalmaze.experiments.live.workers import Workers

MAX_WAITING = 256
"""Messages of one page that may wait. Where so many do, the server reads no more of them until there is room."""

RATE, BURST = 200.0, 400.0
"""Messages of one page that are handled in a second, and the number it may save up."""

READ_RATE, READ_BURST = 2000.0, 4000.0
"""The same for messages that are read, of which one drag needs only the last."""

SEND_SECONDS = 30.0
"""A page that has not received an answer after this time is disconnected."""

UNREAD, FAILED = 4008, 1011
"""Codes of a closed connection: the page did not read its answers; the server failed."""

log = logging.getLogger("goalmaze.live")


class ClosedError(Exception):
    """Ends a connection.

    Args:
        code: of the closed websocket.
        reason: shown on the page, at most 123 bytes.
    """

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code, self.reason = code, reason


class Client:
    """One connected page.

    Every message is answered: by a state whose `n` is its number or a later one, or by an error with its number. Its
    messages wait in a queue, where a newer move of one drag replaces the older one. No message is dropped; where too
    many come, the server stops reading, and the page's own connection holds them back.

    Answers do not queue: no message is handled and no state is made until the previous answers were sent. A slow page
    therefore costs no computation and delays no other page.

    Args:
        workers: the threads behind the pages.
        settings: the scene that is opened without a link.
        socket: the connection.
    """

    def __init__(self, workers: Workers, settings: Settings, socket: WebSocket) -> None:
        self._workers, self._settings, self._socket = workers, settings, socket
        self._inbox: deque[messages.Message | messages.Refusal] = deque()
        self._received, self._room = asyncio.Event(), asyncio.Event()
        self._room.set()
        self._outbox: dict[str, bytes] = {}
        self._errors: deque[bytes] = deque()
        self._answers_ready, self._answers_sent = asyncio.Event(), asyncio.Event()
        self._answers_sent.set()
        self._scene_changed, self._state_sent = asyncio.Event(), asyncio.Event()
        self._menu_of: tuple[str, str] | None = None
        self._session: Session | None = None
        self._fitting: asyncio.Task[object] | None = None
        self._measuring: asyncio.Task[None] | None = None
        self._handled = 0

    async def serve(self) -> None:
        """Serve the page until it disconnects.

        Raises:
            ClosedError: the server ends the connection.
        """
        loops = (self._receive, self._handle_all, self._show_states, self._send, self._fit_probes)
        # Any loop may end the connection: receiving when the page leaves, sending when it no longer answers.
        tasks = [asyncio.create_task(loop()) for loop in loops]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                error = task.exception()
                if isinstance(error, ClosedError):
                    raise error
                if error is not None and not isinstance(error, WebSocketDisconnect):
                    raise ClosedError(FAILED, self._failure("serving the page", error)[:100]) from error
        finally:
            tasks += [] if self._measuring is None else [self._measuring]
            for task in tasks:
                task.cancel()
            # Waits until the cancelled loops have ended, so that none uses the socket after it was closed.
            await asyncio.gather(*tasks, return_exceptions=True)
            if self._session is not None:
                # In the thread of the session, so that nothing is kept after it.
                with contextlib.suppress(RuntimeError):
                    await self._workers.inference(self._session.close)

    def _answer(self, kind: str, data: JsonObject) -> None:
        # One answer of each kind: a newer state replaces one that was not sent yet.
        self._outbox[kind] = msgspec.json.encode(data)
        self._answers_sent.clear()
        self._answers_ready.set()

    def _answer_error(self, text: str, n: int = 0) -> None:
        # All errors are sent, because each answers another message.
        self._errors.append(
            msgspec.json.encode(
                {"kind": "error", "n": n, "text": text.removeprefix("level 0: ").removeprefix("level 0, ")}
            )
        )
        self._answers_sent.clear()
        self._answers_ready.set()

    def _failure(self, action: str, error: BaseException) -> str:
        """Report an error that nobody expected, and return the sentence that tells the page."""
        log.error("goalmaze live: %s failed", action, exc_info=error)
        return f"{action} failed: {type(error).__name__}: {' '.join(str(error).split())[:200]}"

    async def _receive(self) -> None:
        reading = RateLimit(READ_RATE, READ_BURST)
        while True:
            # Not reading is what holds back a page that sends too much: its own connection fills.
            await self._room.wait()
            await reading.take()
            packet = await self._socket.receive()
            if packet["type"] == "websocket.disconnect":
                return
            message = messages.read_or_refuse(packet.get("text") or packet.get("bytes") or "")
            if isinstance(message, messages.Cancel):
                # Acts at once: the message that waits for the fit keeps all later ones waiting.
                for task in (self._fitting, self._measuring):
                    if task is not None:
                        task.cancel()
            if self._inbox and messages.supersedes(message, self._inbox[-1]):
                self._inbox[-1] = message
            else:
                self._inbox.append(message)
            if len(self._inbox) >= MAX_WAITING:
                self._room.clear()
            self._received.set()

    async def _handle_all(self) -> None:
        await self._open()
        budget = RateLimit(RATE, BURST)
        while True:
            while self._inbox:
                await self._answers_sent.wait()
                if not isinstance(self._inbox[0], messages.Refusal):
                    # Taken before the message leaves the queue: while it waits, a newer move can replace it there.
                    await budget.take()
                message = self._inbox.popleft()
                self._room.set()
                if isinstance(message, messages.Refusal):
                    self._answer_error(message.text, message.n)
                else:
                    await self._handle(message)
            self._received.clear()
            await self._received.wait()

    async def _open(self) -> None:
        """Open the scene in the page's link; without a link, or where that fails, the scene of the command."""
        link = self._socket.query_params.get("scene", "")
        if link:
            try:
                self._session = await self._new_session(read_link(link))
            except GoalmazeError as error:
                self._answer_error(str(error))
            except Exception as error:
                self._answer_error(self._failure("opening the scene of the link", error))
        if self._session is None:
            self._session = await self._new_session(self._settings)
        self._scene_changed.set()

    async def _new_session(self, settings: Settings) -> Session:
        store = self._workers.store
        completed = await self._workers.inference(store.complete, settings)
        fitted = await self._fit(await self._workers.inference(store.missing_edit, completed))
        session = await self._workers.inference(Session, store, completed)
        # Held until the session has it, so that the store cannot have dropped it.
        del fitted
        return session

    async def _fit(self, request: FitRequest | None) -> object:
        """Return what a request asks for once it is fitted, None without a request.

        Raises:
            GoalmazeError: the page has cancelled it.
        """
        if request is None:
            return None
        self._answer("busy", {"kind": "busy", "text": request.text()})
        self._fitting = asyncio.create_task(self._workers.fit(request))
        try:
            await asyncio.wait([self._fitting])
            if self._fitting.cancelled():
                raise GoalmazeError("the fit was cancelled; the scene is as before")
            return self._fitting.result()
        finally:
            # Without effect on a fit that has ended; otherwise the page has left.
            self._fitting.cancel()
            self._fitting = None

    async def _handle(self, message: messages.Message) -> None:
        assert self._session is not None
        workers, session = self._workers, self._session
        if isinstance(message, messages.Measure):
            self._start_measuring(message, session.settings)
        try:
            fitted = None
            if isinstance(message, messages.Choose | messages.Undo | messages.Paste):
                fitted = await self._fit(await workers.inference(session.missing_edit, message))
            await workers.inference(session.handle, message)
            if isinstance(message, messages.Why):
                self._answer("why", await workers.inference(session.why))
            del fitted
        except GoalmazeError as error:
            self._answer_error(str(error), message.n)
        except Exception as error:
            self._answer_error(self._failure(f"'{_name(message)}'", error), message.n)
        self._handled = message.n
        self._scene_changed.set()

    def _start_measuring(self, message: messages.Measure, settings: Settings) -> None:
        """Measure in the background; what was measured before for this page is no longer waited for."""
        if self._measuring is not None:
            self._measuring.cancel()
        self._measuring = asyncio.create_task(self._measure(message, settings))

    async def _measure(self, message: messages.Measure, settings: Settings) -> None:
        try:
            result = await self._workers.measure(settings, message.what)
        except GoalmazeError as error:
            self._answer_error(str(error), message.n)
        except Exception as error:
            self._answer_error(self._failure(f"measuring the {message.what}", error), message.n)
        else:
            self._answer("measured", {"kind": "measured", **result})

    async def _fit_probes(self) -> None:
        """Fit the probe of the inspected map after each state, while the scene is shown already."""
        failed: set[FitRequest] = set()
        while True:
            await self._state_sent.wait()
            self._state_sent.clear()
            if self._session is None:
                continue
            request = await self._workers.inference(self._session.missing_probe)
            if request is None or request in failed:
                continue
            # Not tried again where it fails: it would fail after every state.
            failed.add(request)
            try:
                await self._workers.fit(request)
                failed.discard(request)
            except GoalmazeError as error:
                self._answer_error(str(error))
            except Exception as error:
                self._answer_error(self._failure(f"fitting a probe at {request.site}", error))
            self._scene_changed.set()

    async def _show_states(self) -> None:
        """Send the state whenever it has changed and the previous answers were sent."""
        while True:
            await self._scene_changed.wait()
            await self._answers_sent.wait()
            # Cleared before the state is made: a change that comes meanwhile sets it again and is sent next.
            self._scene_changed.clear()
            n = self._handled
            try:
                menu, state = await self._workers.inference(self._menu_and_state)
            except Exception as error:
                self._answer_error(self._failure("showing the scene", error) + "; undo the last change", n)
                continue
            if menu is not None:
                self._answer("menu", menu)
            self._answer("state", {**state, "n": n})
            self._state_sent.set()

    def _menu_and_state(self) -> tuple[JsonObject | None, JsonObject]:
        """Return the menu, None where it is the same as before, and the state."""
        assert self._session is not None
        menu_of = (self._session.settings.agent, self._session.settings.family)
        menu = None if menu_of == self._menu_of else self._session.menu()
        state = self._session.state()
        # Kept last: where the state fails, the next one comes with the menu.
        self._menu_of = menu_of
        return menu, state

    async def _send(self) -> None:
        while True:
            await self._answers_ready.wait()
            self._answers_ready.clear()
            # A page needs the menu before the first state.
            for kind in ("menu", "busy", "state", "measured", "why"):
                if kind in self._outbox:
                    await self._send_one(self._outbox.pop(kind))
            while self._errors:
                await self._send_one(self._errors.popleft())
            if not self._outbox and not self._errors:
                self._answers_sent.set()

    async def _send_one(self, data: bytes) -> None:
        try:
            async with asyncio.timeout(SEND_SECONDS):
                await self._socket.send_text(data.decode())
        except TimeoutError:
            raise ClosedError(UNREAD, f"this page did not read its answers for {SEND_SECONDS:.0f} seconds") from None


def _name(message: messages.Message) -> str:
    """Return the name of a message, the value of its key `do`."""
    return str(type(message).__struct_config__.tag)
