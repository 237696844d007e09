"""A real tracker and real servers as processes of this machine, for whatever runs on boards."""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path

import pytest

from roofline.child import start_python
from roofline.validate.tvm.boards.tracker import BoardError, Tracker

KEY = "test-board"
"""What the servers are called by."""


class Process:
    """A process and all its children, which can be ended or stopped at once."""

    def __init__(self, log: Path, *command: str, cwd: Path | None = None) -> None:
        self.log = log
        with log.open("wb") as file:
            self.process = start_python(
                "-m", *command, stdout=file, stderr=file, start_new_session=True, cwd=cwd
            )

    def send(self, what: signal.Signals) -> None:
        os.killpg(self.process.pid, what)

    def end(self) -> None:
        try:
            self.send(signal.SIGKILL)
        except ProcessLookupError:
            return
        self.process.wait()


@contextmanager
def running(folder: Path, cwd: Path | None = None) -> Generator[tuple[Tracker, list[Process]]]:
    """Start a tracker and two servers, and end them with the context.

    Args:
        folder: Where their logs go.
        cwd: Where they are started; by default here.
    """
    port = _free_port()
    here = ("--host", "127.0.0.1")
    tracker = Tracker("127.0.0.1", port)
    started = [
        Process(
            folder / "tracker.log", "tvm.exec.rpc_tracker", *here, "--port", str(port),
            "--port-end", str(port + 1), cwd=cwd,
        )
    ]  # fmt: skip
    try:
        for number in range(2):
            at = _free_port()
            started.append(
                Process(
                    folder / f"server{number}.log", "tvm.exec.rpc_server", *here, "--port", str(at),
                    "--port-end", str(at + 1), "--tracker", str(tracker), "--key", KEY, cwd=cwd,
                )
            )  # fmt: skip
        _wait(lambda: len(tracker.servers().get(KEY, ())) == 2)
        yield tracker, started[1:]
    finally:
        for process in started:
            process.end()


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])


def _wait(check: Callable[[], bool], limit: float = 180.0) -> None:
    end = time.monotonic() + limit
    while time.monotonic() < end:
        try:
            if check():
                return
        except BoardError:
            pass
        time.sleep(0.5)
    pytest.fail(f"not within {limit} s")
