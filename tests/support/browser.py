"""A real browser, driven by its DevTools protocol over two pipes.

It needs nothing but Chromium.

The protocol is described at https://chromedevtools.github.io/devtools-protocol/ - messages are JSON and end with a
zero byte; the browser reads file descriptor 3 and writes 4.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import select
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome-headless-shell", "chrome")
_FLAGS = (
    *("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"),
    *("--disable-component-update", "--disable-sync", "--disable-dev-shm-usage", "--mute-audio", "--hide-scrollbars"),
    *("--disable-features=Translate,OptimizationHints", "--remote-debugging-pipe", "--window-size=1280,800"),
)
# gives the pipes the numbers that the browser expects; only the child may do that
_START = (
    "import os, sys; r, w = map(int, sys.argv[1:3]); r2, w2 = os.dup(r), os.dup(w); os.dup2(r2, 3); os.dup2(w2, 4);"
    "os.set_inheritable(3, True); os.set_inheritable(4, True); os.execvp(sys.argv[3], sys.argv[3:])"
)
_KEYS = {"Tab": 9, "Enter": 13, "Escape": 27, "PageUp": 33, "PageDown": 34, "End": 35, "Home": 36}
_KEYS |= {"ArrowLeft": 37, "ArrowUp": 38, "ArrowRight": 39, "ArrowDown": 40}


def find() -> str | None:
    """Return the path of PYDATATRACKER_BROWSER or an installed browser."""
    return os.environ.get("PYDATATRACKER_BROWSER") or next(filter(None, map(shutil.which, NAMES)), None)


class BrowserError(Exception):
    """The browser failed, or a condition did not become true in time."""


class Browser:
    """A browser with a fresh profile and one page."""

    def __init__(self, program: str) -> None:
        self._home = tempfile.mkdtemp(prefix="browser-")
        read, their_write = os.pipe()
        their_read, write = os.pipe()
        self._process = subprocess.Popen(
            [sys.executable, "-c", _START, str(their_read), str(their_write), program, *_FLAGS]
            + [f"--user-data-dir={self._home}", "about:blank"],
            pass_fds=(their_read, their_write),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(their_read)
        os.close(their_write)
        self._read, self._write = read, write
        self._pending = b""
        self._number = 0
        self._session: str | None = None
        self.trouble: list[str] = []  # errors and warnings of the console, exceptions, requests that left the page
        self.requests: list[str] = []
        target = next(each for each in self.call("Target.getTargets")["targetInfos"] if each["type"] == "page")
        self._session = self.call("Target.attachToTarget", targetId=target["targetId"], flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        with contextlib.suppress(BrowserError, OSError):
            self._session = None
            self.call("Browser.close")
        os.close(self._write)
        os.close(self._read)
        self._process.wait(20)
        shutil.rmtree(self._home, ignore_errors=True)

    # ---- the protocol

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        """Call a method of the protocol and return its result.

        Raises BrowserError.
        """
        self._number += 1
        message = {"id": self._number, "method": method, "params": params}
        if self._session is not None:
            message["sessionId"] = self._session
        data = json.dumps(message).encode() + b"\0"
        while data:
            data = data[os.write(self._write, data) :]
        for answer in self._messages():
            if answer.get("id") == self._number:
                if "error" in answer:
                    raise BrowserError(f"{method}: {answer['error']['message']}")
                result: dict[str, Any] = answer["result"]
                return result
        raise BrowserError(f"{method}: the browser is gone")

    def _messages(self, seconds: float = 60) -> Iterator[dict[str, Any]]:
        while True:
            while b"\0" not in self._pending:
                if not select.select([self._read], [], [], seconds)[0]:
                    raise BrowserError(f"no answer for {seconds} s")
                more = os.read(self._read, 1 << 20)
                if not more:
                    return
                self._pending += more
            text, _, self._pending = self._pending.partition(b"\0")
            message = json.loads(text)
            self._note(message.get("method"), message.get("params", {}))
            yield message

    def _note(self, event: str | None, params: dict[str, Any]) -> None:
        if event == "Runtime.exceptionThrown":
            details = params["exceptionDetails"]
            self.trouble.append(details.get("exception", {}).get("description") or details["text"])
        elif event == "Runtime.consoleAPICalled" and params["type"] in ("error", "warning", "assert"):
            self.trouble.append(f"console: {params['args']}")
        elif event == "Log.entryAdded" and params["entry"]["level"] in ("error", "warning"):
            self.trouble.append(f"{params['entry']['source']}: {params['entry']['text']}")
        elif event == "Page.javascriptDialogOpening":
            self.trouble.append(f"a dialog: {params['message']}")
        elif event == "Network.requestWillBeSent":
            self.requests.append(params["request"]["url"])

    # ---- the actions of a person

    def open(self, address: str | Path) -> None:
        """Go to an address, or a file, and wait until it is loaded."""
        self.call("Page.navigate", url="about:blank")  # the old page may report trouble until it is gone
        self.until("document.readyState === 'complete' && location.href === 'about:blank'")
        self.trouble.clear()
        self.requests.clear()
        url = address.resolve().as_uri() if isinstance(address, Path) else address
        self.call("Page.navigate", url=url)
        self.until("document.readyState === 'complete'")

    def run(self, code: str) -> Any:
        """Return the value of an expression; a promise is awaited.

        Raises BrowserError if it throws.
        """
        found = self.call("Runtime.evaluate", expression=code, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in found:
            details = found["exceptionDetails"]
            raise BrowserError(details.get("exception", {}).get("description") or details["text"])
        return found["result"].get("value")

    def until(self, code: str, seconds: float = 30) -> Any:
        """Return the value of an expression once it is true.

        Raises BrowserError if it does not become true.
        """
        end = time.monotonic() + seconds
        while not (value := self.run(code)):
            if time.monotonic() > end:
                raise BrowserError(f"never became true: {code}")
            time.sleep(0.01)
        return value

    def settle(self) -> None:
        """Wait until all changes are drawn."""
        self.run("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")

    def press(self, *keys: str) -> None:
        """Press keys one after the other: letters, or names as ArrowLeft."""
        for key in keys:
            code = {"windowsVirtualKeyCode": _KEYS[key]} if key in _KEYS else {"text": key}
            self.call("Input.dispatchKeyEvent", type="keyDown", key=key, **code)
            self.call("Input.dispatchKeyEvent", type="keyUp", key=key)
        self.settle()

    def click(self, selector: str) -> None:
        """Press the mouse in the middle of the first element that matches."""
        spot = self.run(
            f"(() => {{ const box = document.querySelector({json.dumps(selector)}).getBoundingClientRect();"
            " return [box.left + box.width / 2, box.top + box.height / 2]; })()"
        )
        for kind in ("mousePressed", "mouseReleased"):
            self.call(
                "Input.dispatchMouseEvent", type=kind, x=spot[0], y=spot[1], button="left", buttons=1, clickCount=1
            )
        self.settle()

    def text(self, selector: str) -> str:
        """Return the text of the first element that matches."""
        return str(self.run(f"document.querySelector({json.dumps(selector)}).textContent"))

    def texts(self, selector: str) -> list[str]:
        """Return the texts of all visible elements that match."""
        found: list[str] = self.run(
            f"[...document.querySelectorAll({json.dumps(selector)})].filter(e => e.offsetParent).map(e => e.textContent)"
        )
        return found

    def picture(self, path: Path, *, dark: bool = False, width: int = 1280, height: int = 800, scale: int = 1) -> None:
        """Write the visible page as PNG, with a scale."""
        theme = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        self.call("Emulation.setEmulatedMedia", features=theme)
        size = {"width": width, "height": height, "deviceScaleFactor": scale, "mobile": False}
        self.call("Emulation.setDeviceMetricsOverride", **size)
        self.settle()
        self.settle()
        path.write_bytes(base64.b64decode(self.call("Page.captureScreenshot", format="png")["data"]))
