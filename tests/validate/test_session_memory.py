"""Memory of a session's processes, as it is watched beside a timed run."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import IO, Any

import pytest

from roofline.child import start_python
from roofline.validate.measuring import process
from roofline.validate.measuring.process import SessionMemory

pytestmark = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc")

HOLDING = "import sys; block = bytearray(60_000_000); print(1, flush=True); sys.stdin.read()"
FORKING = f"import os; os.fork(); {HOLDING}"


def watched(code: str, lines: int) -> int:
    with start_python(
        "-S", "-c", code, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
    ) as child:
        assert child.stdout is not None
        memory = SessionMemory(child.pid)
        memory.resident_bytes()
        for _ in range(lines):
            child.stdout.readline()
        return memory.resident_bytes()


def test_a_process_that_grows_is_seen_to_grow():
    assert 60_000_000 < watched(HOLDING, 1) < 120_000_000


def test_children_count_even_those_that_came_later():
    assert 120_000_000 < watched(FORKING, 2) < 240_000_000


def test_a_process_of_another_session_is_looked_at_once(monkeypatch: pytest.MonkeyPatch):
    looked: list[str] = []

    def opened(path: str, **options: Any) -> IO[Any]:
        looked.append(path.split("/")[2])
        return open(path, **options)  # noqa: PTH123

    monkeypatch.setattr(process, "open", opened, raising=False)
    memory = SessionMemory(os.getsid(0))
    with start_python(
        "-S", "-c", HOLDING, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
    ) as elsewhere:
        memory.resident_bytes()
        assert {str(os.getpid()), str(elsewhere.pid)} <= set(looked)
        looked.clear()
        memory.resident_bytes()
    # The runner's own session may grow; what belongs to another one is known by then.
    assert str(os.getpid()) in looked
    assert str(elsewhere.pid) not in looked
