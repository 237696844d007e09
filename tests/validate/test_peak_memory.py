"""The resident set of a run is its own, whatever started it."""

from __future__ import annotations

import subprocess
import sys

import pytest

from roofline.child import start_python

OWN = (
    "from roofline.validate.measuring.environment import peak_rss_bytes\n"
    "held = bytearray(b'x') * {held}\n"
    "print(peak_rss_bytes())"
)


def peak_of_a_child(held: int) -> int:
    child = start_python("-c", OWN.format(held=held), stdout=subprocess.PIPE, text=True)
    written, _ = child.communicate()
    assert child.returncode == 0
    return int(written)


@pytest.mark.skipif(sys.platform != "linux", reason="read from /proc")
def test_the_program_that_starts_a_run_is_not_counted():
    ballast = bytearray(b"x") * 600_000_000
    assert peak_of_a_child(1) < 300_000_000 < len(ballast)
    del ballast


def test_what_a_run_holds_is_counted():
    assert peak_of_a_child(200_000_000) > 200_000_000
