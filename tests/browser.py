"""A tab of a headless Chromium, controlled through its debugging port."""

from __future__ import annotations

import base64
import contextlib
import itertools
import json
import shutil
import subprocess
import time
import urllib.request
from pathlib import Path
from typing import Any

import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
NAVIGATED = "Inspected target navigated or closed"
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--hide-scrollbars",
    "--remote-debugging-port=0",
]


class Browser:
    """One tab of a headless Chromium."""

    def __init__(self, profile: Path) -> None:
        assert CHROMIUM is not None
        connect = pytest.importorskip("websockets.sync.client", reason="pip install 'goalmaze[live]'").connect
        command = [CHROMIUM, *FLAGS, f"--user-data-dir={profile}", "about:blank"]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        port_file = profile / "DevToolsActivePort"
        deadline = time.monotonic() + 60
        while not (port_file.exists() and "\n" in port_file.read_text()):
            assert time.monotonic() < deadline, "chromium did not start"
            time.sleep(0.05)
        port = port_file.read_text().splitlines()[0]
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/json") as answer:
            tabs = [tab for tab in json.load(answer) if tab["type"] == "page"]
        self._stack = contextlib.ExitStack()
        self._socket = self._stack.enter_context(
            connect(tabs[0]["webSocketDebuggerUrl"], max_size=2**26, compression=None)
        )
        self._numbers = itertools.count(1)
        self.console: list[str] = []
        for domain in ("Runtime", "Log", "Page"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **parameters: Any) -> Any:
        number = next(self._numbers)
        self._socket.send(json.dumps({"id": number, "method": method, "params": parameters}))
        while True:
            message = json.loads(self._socket.recv(60))
            if message.get("id") == number:
                assert "error" not in message, message
                return message["result"]
            self._note(message)

    def _note(self, message: dict[str, Any]) -> None:
        if message["method"] == "Runtime.exceptionThrown":
            details = message["params"]["exceptionDetails"]
            self.console.append(details.get("exception", {}).get("description", details["text"]))
        elif message["method"] == "Log.entryAdded":
            self.console.append(message["params"]["entry"]["text"])
        elif message["method"] == "Runtime.consoleAPICalled":
            self.console.append(str(message["params"]["args"]))

    def run(self, script: str) -> Any:
        result = self.call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in result, result
        return result["result"].get("value")

    def _evaluated(self, script: str) -> Any:
        try:
            return self.run(script)
        except AssertionError as error:
            # A page that is being left answers no question; the page after it does.
            if NAVIGATED in str(error):
                return None
            raise

    def wait(self, script: str, seconds: float = 30) -> Any:
        deadline = time.monotonic() + seconds
        safe = f"(() => {{ try {{ return {script}; }} catch {{ return false; }} }})()"
        while not (value := self._evaluated(safe)):
            assert time.monotonic() < deadline, f"never true: {script}; console: {self.console}"
            time.sleep(0.03)
        return value

    def size(
        self,
        width: int,
        height: int,
        scale: float = 1,
        *,
        dark: bool = False,
        forced: bool = False,
        printed: bool = False,
    ) -> None:
        """Set the window: its size in pixels of CSS, the pixels of the screen for each, and what the reader asks for.

        `forced` emulates colours that the reader forces, as high contrast of Windows does; `printed` a printed page.
        """
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=scale,
            mobile=width < 600,
        )
        features = [
            {"name": "prefers-color-scheme", "value": "dark" if dark else "light"},
            {"name": "forced-colors", "value": "active" if forced else "none"},
        ]
        self.call("Emulation.setEmulatedMedia", media="print" if printed else "", features=features)

    def open(self, address: str) -> None:
        self.call("Page.navigate", url="about:blank")
        self.console.clear()
        self.call("Page.navigate", url=address)

    def screenshot(self, path: Path, *, whole: bool = False) -> None:
        data = self.call("Page.captureScreenshot", captureBeyondViewport=whole)["data"]
        path.write_bytes(base64.b64decode(data))

    def mouse(self, kind: str, x: float, y: float) -> None:
        button = {} if kind == "mouseMoved" else {"button": "left", "clickCount": 1}
        self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, buttons=1, **button)

    def finger(self, kind: str, *points: tuple[float, float]) -> None:
        self.call("Input.dispatchTouchEvent", type=kind, touchPoints=[{"x": x, "y": y} for x, y in points])

    def key(self, key: str, code: str = "") -> None:
        text = {"text": key} if len(key) == 1 else {}
        self.call("Input.dispatchKeyEvent", type="keyDown", key=key, code=code or key, **text)
        self.call("Input.dispatchKeyEvent", type="keyUp", key=key, code=code or key)

    def close(self) -> None:
        self._stack.close()
        self._process.terminate()
        self._process.wait(20)
