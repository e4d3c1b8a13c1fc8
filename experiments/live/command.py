"""`goalmaze live`: serves the page, draws in the terminal (--terminal) or plays one level undrawn (--summary)."""

from __future__ import annotations

import dataclasses
import logging
import sys
import threading
import webbrowser

from goalmaze.agents.allocator import keep_large_blocks
from goalmaze.envs.errors import GoalmazeError
from goalmaze.envs.json_data import JsonObject
from goalmaze.experiments.common.results import Result
from goalmaze.experiments.common.tables import Table
from goalmaze.experiments.live import terminal
from goalmaze.experiments.live.agent_store import AgentStore
from goalmaze.experiments.live.config import LiveConfig
from goalmaze.experiments.live.security import is_loopback
from goalmaze.experiments.live.settings import settings_of


@dataclasses.dataclass(frozen=True)
class ServedPage(Result):
    """A page that was served until it was stopped.

    Attributes:
        address: its address, without the token.
    """

    address: str

    def json(self) -> JsonObject:
        """Return the address as plain data."""
        return {"address": self.address}

    def blocks(self) -> list[str | Table]:
        """Return a note that the server has stopped."""
        return ["stopped"]


def run(config: LiveConfig) -> terminal.LiveReport | ServedPage:
    """Serve a scene until it is interrupted; with --terminal or --summary, see `terminal.run`.

    Raises:
        GoalmazeError: no such agent, shift, site or method; there is no terminal to draw in; the extra `live` is not
            installed, or the port is taken.
    """
    if config.terminal or config.summary:
        return terminal.run(config)
    if config.share and not config.share.startswith(("https://", "http://", "file://")):
        raise GoalmazeError(f"'{config.share}' is no address; give one that begins with https://, http:// or file://")
    settings = settings_of(config)
    store = AgentStore(config.agent, config.runs, config.device)
    # Invalid settings are refused before the server starts.
    store.complete(settings)
    try:
        from goalmaze.experiments.live.server import Server
        from goalmaze.experiments.live.serving import listen, uvicorn_server
    except ImportError as error:
        raise GoalmazeError(
            f"the page needs {error.name}: pip install 'goalmaze[live]', or add --terminal to draw in the terminal"
        ) from None
    import torch

    # One forward pass of a small maze is over before a second thread has started.
    torch.set_num_threads(1)
    keep_large_blocks()
    listener = listen(config.host, config.port)
    server = Server(store, settings, host=config.host, copy=config.share)
    address = address_of(config.host, listener.getsockname()[1], server.token)
    if not is_loopback(config.host):
        print(
            f"goalmaze: warning: {config.host} lets other machines connect. Anyone with the address can use your "
            "agents, and the connection is not encrypted. ssh -L with the default --host is safer.",
            file=sys.stderr,
        )
    print(f"goalmaze live at {address}\nCtrl-C stops it.", flush=True)
    if not config.no_browser:
        # After the server has begun to listen; a daemon, so that the timer does not keep the process alive.
        opener = threading.Timer(0.5, webbrowser.open, [address])
        opener.daemon = True
        opener.start()
    # Keeps uvicorn's messages about connections that Ctrl-C interrupts out of the terminal.
    logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)
    uvicorn_server(server).run(sockets=[listener])
    server.close()
    # The token is a secret of this launch and must not end up in a result that is saved.
    return ServedPage(address.partition("?")[0])


def address_of(host: str, port: int, token: str) -> str:
    """Return the address to open in a browser on this machine."""
    name = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)
    return f"http://{name}:{port}/?token={token}"
