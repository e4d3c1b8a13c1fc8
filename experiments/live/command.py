"""`goalmaze live`: the page by default, the terminal where asked for, neither with --json."""

from __future__ import annotations

import dataclasses
import logging
import sys
import threading
import webbrowser
from typing import Any

from goalmaze.agents.allocator import keep_large_blocks
from goalmaze.envs.errors import GoalmazeError
from goalmaze.experiments.live import terminal
from goalmaze.experiments.live.agent_store import AgentStore
from goalmaze.experiments.live.config import LiveConfig
from goalmaze.experiments.live.security import is_loopback
from goalmaze.experiments.live.settings import settings_of


@dataclasses.dataclass(frozen=True)
class Served:
    """A page was served until it was stopped."""

    address: str

    def json(self) -> dict[str, Any]:
        """Return the address as plain data."""
        return {"address": self.address}

    def text(self) -> str:
        """Return nothing more to say."""
        return "stopped"


def run(config: LiveConfig) -> terminal.LiveReport | Served:
    """Show a scene until the person stops; with --summary, play one level without showing it.

    Raises:
        GoalmazeError: no such agent, shift, site or method; nowhere to draw; the extra `live` is not installed, or the
            port is taken.
    """
    if config.terminal or config.summary:
        return terminal.run(config)
    settings = settings_of(config)
    desk = AgentStore(config.agent, config.runs)
    desk.completed(settings)
    try:
        from goalmaze.experiments.live.server import Server
        from goalmaze.experiments.live.serving import hosted, listen
    except ImportError as error:
        raise GoalmazeError(
            f"the page needs {error.name}: pip install 'goalmaze[live]', or add --terminal to watch here"
        ) from None
    import torch

    torch.set_num_threads(1)
    keep_large_blocks()
    stop_signals = listen(config.host, config.port)
    server = Server(desk, settings, host=config.host)
    address = address_of(config.host, stop_signals.getsockname()[1], server.token)
    if not is_loopback(config.host):
        print(
            f"goalmaze: warning: {config.host} lets other machines in; who has the address can play with your agents, "
            "and it travels unencrypted. ssh -L with the usual --host is safer.",
            file=sys.stderr,
        )
    print(f"goalmaze live at {address}\nCtrl-C stops it.", flush=True)
    if not config.no_browser:
        opener = threading.Timer(0.5, webbrowser.open, [address])
        opener.daemon = True
        opener.start()
    logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)
    hosted(server).run(sockets=[stop_signals])
    server.close()
    return Served(address.partition("?")[0])


def address_of(host: str, port: int, token: str) -> str:
    """Return what to open in a browser on this machine."""
    name = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)
    return f"http://{name}:{port}/?token={token}"
