"""Memory of a session's processes, as it is watched beside a timed run."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

import pytest

from roofline.child import start_python
from roofline.validate.measuring.process import SessionMemory

pytestmark = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc")

HOLDING = "import sys; block = bytearray(60_000_000); print(1, flush=True); sys.stdin.read()"
FORKING = f"import os; os.fork(); {HOLDING}"


def watched(code: str, lines: int) -> int:
    with start_python(
        "-S", "-c", code, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
    ) as process:
        assert process.stdout is not None
        memory = SessionMemory(process.pid)
        memory.resident_bytes()
        for _ in range(lines):
            process.stdout.readline()
        return memory.resident_bytes()


def test_a_process_that_grows_is_seen_to_grow():
    assert 60_000_000 < watched(HOLDING, 1) < 120_000_000


def test_children_count_even_those_that_came_later():
    assert 120_000_000 < watched(FORKING, 2) < 240_000_000


def test_a_look_costs_little_beside_what_is_timed():
    memory = SessionMemory(os.getsid(0))
    memory.resident_bytes()
    start = time.process_time()
    for _ in range(20):
        memory.resident_bytes()
    # Ten looks a second may take 2 % of a core, on a machine with hundreds of processes too.
    assert (time.process_time() - start) / 20 < 0.002
