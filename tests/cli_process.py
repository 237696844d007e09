"""Runs of the installed command in a process of their own, with what they cost."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

PROGRAM = [sys.executable, "-m", "roofline"]

# Linux charges a child with the memory its parent had when it was started. This parent has none to speak of.
_STARTER = """
import json, os, sys
pid = os.posix_spawn(sys.argv[2], sys.argv[2:], os.environ)
_, status, usage = os.wait4(pid, 0)
with open(sys.argv[1], "w") as file:
    json.dump([os.waitstatus_to_exitcode(status), usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024], file)
"""


@dataclass(frozen=True)
class Run:
    """What a process wrote, returned and took."""

    code: int
    out: str
    err: str
    cpu_s: float
    rss_bytes: int


def roofline(*arguments: str | Path, cwd: Path | None = None) -> Run:
    """Run the command line and wait for it."""
    with tempfile.NamedTemporaryFile() as report:
        starter = [sys.executable, "-I", "-S", "-c", _STARTER, report.name]
        done = subprocess.run(
            [*starter, *PROGRAM, *map(str, arguments)],
            capture_output=True,
            text=True,
            check=True,
            cwd=cwd,
        )
        code, cpu_s, rss_bytes = json.loads(Path(report.name).read_text())
    return Run(code, done.stdout, done.stderr, cpu_s, rss_bytes)
