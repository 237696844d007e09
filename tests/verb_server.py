"""Runs verbs in forks of one process that has loaded what they need: a matrix of runs in seconds, not minutes.

Reads cases from standard input, one line of JSON each, and answers each with a line: ``code``, ``out``, ``err``. A
fork has streams, folders and environment of its own, set as the case says before the program begins.
"""

from __future__ import annotations

import io
import json
import os
import signal
import sys
import tempfile
import time
import traceback
from pathlib import Path
from typing import Any

FULL = "/dev/full"
STARTED = "a process was started"
"""What a fork says whose verb got so far that it starts a process, where the case wants none."""


def answer(case: dict[str, Any]) -> dict[str, Any]:
    """Run one case; its keys are those of `_prepare`, ``words``, ``limit_s``."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        child = os.fork()
        if child == 0:
            try:
                os._exit(_run(case, folder))
            finally:
                os._exit(70)
        end = time.monotonic() + case.get("limit_s", 300)
        code: int | None = None
        while code is None and time.monotonic() < end:
            done, status = os.waitpid(child, os.WNOHANG)
            if done:
                code = os.waitstatus_to_exitcode(status)
            time.sleep(0.005)
        if code is None:
            os.killpg(child, signal.SIGKILL)
            os.waitpid(child, 0)
        texts = {
            stream: (folder / stream).read_text(errors="surrogateescape")
            if (folder / stream).exists()
            else ""
            for stream in ("out", "err")
        }
        return {"code": code, **texts}


def _run(case: dict[str, Any], folder: Path) -> int:
    os.setsid()
    _prepare(case, folder)
    from roofline.cli import main

    try:
        main(case["words"])
    except SystemExit as stopped:
        code = stopped.code if isinstance(stopped.code, int) else int(bool(stopped.code))
    except BaseException:
        traceback.print_exc()
        code = 1
    # As Python does when it ends.
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):
            code = 120
    return code


def _prepare(case: dict[str, Any], folder: Path) -> None:
    """Give a fork its place in the world.

    Args:
        case: ``cwd``, ``variables`` (None takes one away), ``out`` and ``err`` (a path, or None for a closed stream),
            ``encoding`` of the terminal, ``nobody`` (a user without an entry), ``bound`` (permissions hold for root),
            ``alone`` (no process may be started).
        folder: Where what is written to the streams is kept.
    """
    os.chdir(case["cwd"])
    for name, value in case.get("variables", {}).items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value
    if case.get("nobody"):
        import pwd

        def unknown(_uid: int) -> pwd.struct_passwd:
            raise KeyError("uid not found")

        pwd.getpwuid = unknown
    if case.get("bound"):
        from tests.cli_process import obey_permissions

        obey_permissions()
    if case.get("alone"):
        import subprocess

        def refused(*_arguments: object, **_options: object) -> None:
            sys.stderr.write(STARTED)
            sys.stderr.flush()
            os._exit(0)

        subprocess.Popen = refused  # type: ignore[assignment, misc]
    for number, name in ((1, "stdout"), (2, "stderr")):
        path = case.get(name[3:], folder / name[3:])
        if path is None:
            os.close(number)
            stream = None
        else:
            opened = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
            os.dup2(opened, number)
            os.close(opened)
            raw = io.BufferedWriter(io.FileIO(number, "w", closefd=False))
            stream = io.TextIOWrapper(
                raw,
                case.get("encoding", "utf-8"),
                "strict" if name == "stdout" else "backslashreplace",
                line_buffering=name == "stderr",
            )
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)


def main() -> None:
    """Load what verbs load, then answer until there is nothing more to read."""
    import importlib

    sys.path.append(str(Path(__file__).parents[1]))
    for module in ("numpy", "onnx", "pandas", "roofline.cli", "roofline.model", "roofline.chart"):
        importlib.import_module(module)
    answers = os.fdopen(os.dup(1), "w")
    for line in sys.stdin:
        answers.write(json.dumps(answer(json.loads(line))) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()
