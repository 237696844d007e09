"""Runs of Python and of the installed command in processes of their own, with what they cost."""

from __future__ import annotations

import ctypes
import json
import os
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from roofline.child import command, start_python
from roofline.cli import main

# Linux charges a child with the memory its parent had when it was started. This parent has none to speak of.
_STARTER = """
import json, os, sys
pid = os.posix_spawn(sys.argv[2], sys.argv[2:], os.environ)
_, status, usage = os.wait4(pid, 0)
with open(sys.argv[1], "w") as file:
    json.dump([os.waitstatus_to_exitcode(status), usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024], file)
"""


_CAP_DAC_OVERRIDE = 1
_PR_CAPBSET_DROP = 24

BOUND_ON_TX2 = ("-p", "tx2:maxn", "-d", "fp16", "--model", "equation1")
"""Arguments of a prediction by Equation 1, the same for whatever is predicted."""


def obey_permissions() -> None:
    """Let a root user's child obey permissions of files as anybody's does; to be called in it before it starts."""
    if os.getuid() == 0:
        ctypes.CDLL(None).prctl(_PR_CAPBSET_DROP, _CAP_DAC_OVERRIDE, 0, 0, 0)


@dataclass(frozen=True)
class Run:
    """What a process wrote, returned and took."""

    code: int
    out: str
    err: str
    cpu_s: float
    rss_bytes: int


def run_python(
    *arguments: str | bytes | Path,
    check: bool = False,
    timeout: float | None = None,
    variables: Mapping[str, str] | None = None,
    **options: Any,
) -> subprocess.CompletedProcess[str]:
    """Run Python and wait for it; what it writes is caught as text."""
    words = [str(word) if isinstance(word, Path) else word for word in arguments]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with start_python(*words, variables=variables, **{**pipes, **options}) as process:
        try:
            out, err = process.communicate(timeout=timeout)
        except BaseException:
            process.kill()
            raise
    done = subprocess.CompletedProcess(process.args, process.returncode, out, err)
    if check:
        assert done.returncode == 0, done.stderr
    return done


def run_roofline(
    *arguments: str | bytes | Path, **options: Any
) -> subprocess.CompletedProcess[str]:
    """Run the command line and wait for it; see `run_python`."""
    return run_python("-m", "roofline", *arguments, **options)


def roofline(*arguments: str | Path, cwd: Path | None = None) -> Run:
    """Run the command line, wait for it and weigh it."""
    with tempfile.NamedTemporaryFile() as report:
        program = command("-m", "roofline", *map(str, arguments))
        done = run_python("-S", "-c", _STARTER, report.name, *program, check=True, cwd=cwd)
        code, cpu_s, rss_bytes = json.loads(Path(report.name).read_text())
    return Run(code, done.stdout, done.stderr, cpu_s, rss_bytes)


def answered(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    """Run the command line in this process; return its exit code and what it wrote to standard output and error."""
    with pytest.raises(SystemExit) as stopped:
        main([str(argument) for argument in arguments])
    out, err = capsys.readouterr()
    return int(stopped.value.code or 0), out, err
