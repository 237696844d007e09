"""Runs one step in a process of its own, with limits of time and memory on it and its children."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Generic, TypeVar

from roofline.child import start_python
from roofline.temporary import temporary_folder
from roofline.validate.measuring.environment import memory_bytes
from roofline.validate.measuring.steps import Action, RaisedError, Report
from roofline.validate.records.failure import Failure, FailureKind
from roofline.validate.records.plain import from_plain, to_plain
from roofline.validate.records.record import Status

R = TypeVar("R")

_POLL_S = 0.1
"""Between two looks at a step's time and memory. What looks takes CPU time from two timed threads."""

_MEMORY_SHARE = 0.9
_LOG_TAIL = 4000


@dataclass(frozen=True, slots=True)
class Outcome(Generic[R]):
    """How a process ended: its answer, or why there is none."""

    status: Status
    failure: Failure | None = None
    answer: R | None = None
    """None unless it ended well."""
    raised: RaisedError | None = None
    """The error that it met, where that is one of this library's."""
    seconds: float = 0.0
    log: str = ""
    """The last part of what it wrote on standard error."""

    @property
    def reason(self) -> str:
        """Why there is no answer, in one line."""
        return self.failure.detail if self.failure is not None else ""


def run_step(
    action: Action[R],
    *,
    environment: Mapping[str, str],
    time_limit_s: float,
    memory_limit_bytes: int = 0,
    report: Callable[[str, int, int], None] | None = None,
) -> Outcome[R]:
    """Run `roofline.validate.measuring.worker` on a request and wait for its answer.

    Args:
        action: What the worker is to do; written to a file as JSON.
        environment: Variables added to this process's own.
        time_limit_s: Seconds after which it is ended; 0 or less is no limit.
        memory_limit_bytes: Resident bytes, all its processes together, at which it is ended; 0
            takes 90 % of the machine's memory.
        report: Told of progress the worker announces.

    Returns:
        The answer, or a status that says how the process failed. It never raises for what the
        worker did.
    """
    limit = memory_limit_bytes or int(memory_bytes() * _MEMORY_SHARE)
    start = time.monotonic()
    steps = [action.title()]
    request = {"action": action.title(), "request": to_plain(action)}
    with temporary_folder() as folder:
        (folder / "request.json").write_text(json.dumps(request), encoding="utf-8")
        with (folder / "log").open("wb") as log:
            process = start_python(
                "-m",
                "roofline.validate.measuring.worker",
                str(folder),
                str(os.getpid()),
                # Compilers and runtimes make temporary folders of their own, which go with this one.
                variables={"PYTHONUNBUFFERED": "1", "TMPDIR": str(folder), **environment},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                start_new_session=True,
            )
            try:
                listener = threading.Thread(
                    target=_listen, args=(process, steps, report), daemon=True
                )
                listener.start()
                stopped = _watch(process, start, time_limit_s, limit)
                listener.join(timeout=1.0)
            finally:
                _end(process)
        tail = (folder / "log").read_bytes()[-_LOG_TAIL:].decode(errors="replace")
        seconds = time.monotonic() - start
        where = f" in the step {steps[-1]!r}"
        if stopped is not None:
            status, failure = stopped
            detailed = replace(failure, detail=f"{failure.detail}{where}")
            return Outcome(status, detailed, seconds=seconds, log=tail)
        return _verdict(action, process.returncode, folder / "result.json", seconds, tail, where)


def _listen(
    process: subprocess.Popen[bytes],
    steps: list[str],
    report: Callable[[str, int, int], None] | None,
) -> None:
    """Pass on what the worker announces, and note its steps."""
    for line in process.stdout or ():
        with contextlib.suppress(ValueError, TypeError):
            what, done, total = json.loads(line)
            steps.append(what)
            if report is not None:
                report(what, done, total)


def _watch(
    process: subprocess.Popen[bytes], start: float, time_limit_s: float, memory_limit: int
) -> tuple[Status, Failure] | None:
    memory = SessionMemory(process.pid)
    while True:
        try:
            process.wait(_POLL_S)
        except subprocess.TimeoutExpired:
            pass
        else:
            return None
        if 0 < time_limit_s < time.monotonic() - start:
            detail = f"ended after the time limit of {time_limit_s:g} s"
            return Status.TIMEOUT, Failure(FailureKind.TIME_LIMIT, detail)
        if memory_limit and memory.resident_bytes() > memory_limit:
            limit = f"{memory_limit / 1e9:.3g} GB"
            detail = f"ended at the memory limit of {limit}"
            return Status.OUT_OF_MEMORY, Failure(FailureKind.MEMORY, detail)


def _end(process: subprocess.Popen[bytes]) -> None:
    """End the process and every child it left behind, and only those (they share its session)."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    if process.stdout is not None:
        process.stdout.close()


def _verdict(
    action: Action[R], code: int, path: Path, seconds: float, tail: str, where: str
) -> Outcome[R]:
    if path.exists():
        report = from_plain(Report, json.loads(path.read_text(encoding="utf-8")))
        answer = None if report.answer is None else action.answer(report.answer)
        return Outcome(report.status, report.failure, answer, report.raised, seconds, tail)
    if code == -signal.SIGKILL:
        detail = f"ended by the system (SIGKILL){where}, most likely for want of memory"
        failure = Failure(FailureKind.MEMORY, detail)
        return Outcome(Status.OUT_OF_MEMORY, failure, seconds=seconds, log=tail)
    crash = f"crashed ({signal.Signals(-code).name})" if code < 0 else ""
    how = crash or f"ended with exit code {code}"
    failure = Failure(FailureKind.CRASH, f"{how}{where}{_last_line(tail)}")
    return Outcome(Status.FAILED, failure, seconds=seconds, log=tail)


def _last_line(tail: str) -> str:
    """Return the last line of a log, and the place in the code when it ends in a traceback."""
    lines = [line.strip() for line in tail.splitlines() if line.strip()]
    if not lines:
        return ""
    frames = [line for line in lines if line.startswith('File "')]
    place = re.search(r'/([^/"]+)", line (\d+)', frames[-1]) if frames else None
    return f": {lines[-1]}" + (f" ({place[1]}:{place[2]})" if place else "")


class SessionMemory:
    """The resident memory of all processes of a session (Linux; elsewhere 0).

    It is asked for again and again beside what is timed, so a process of another session is looked at only once.
    """

    def __init__(self, session: int) -> None:
        self._session = session
        self._others: set[str] = set()
        self._page = os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 4096

    def resident_bytes(self) -> int:
        """Return the bytes that are resident now."""
        try:
            running = {name for name in os.listdir("/proc") if name.isdecimal()}  # noqa: PTH208
        except OSError:
            return 0
        self._others &= running
        return sum(map(self._resident_bytes, running - self._others))

    def _resident_bytes(self, process: str) -> int:
        try:
            with open(f"/proc/{process}/stat", encoding="utf-8") as file:  # noqa: PTH123
                # The command, in brackets, may hold spaces: fields are counted from its end.
                fields = file.read().rpartition(")")[2].split()
            session, pages = int(fields[3]), int(fields[21])
        except (OSError, ValueError, IndexError):
            return 0
        if session != self._session:
            self._others.add(process)
            return 0
        return pages * self._page
