from __future__ import annotations

import os
import time

import pytest

from roofline.validate.tvm.tuning.forked_timing import Outcome, race

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")


def build(candidate):
    kind, value = candidate
    if kind == "unbuildable":
        raise ValueError("no such loop")
    if kind == "crash in build":
        os.kill(os.getpid(), 9)
    if kind == "hang in build":
        time.sleep(3600)

    def timer(best):
        if kind == "crash":
            os.kill(os.getpid(), 9)
        if kind == "hang":
            time.sleep(3600)
        if kind == "best":
            return best if best < 1e9 else -1.0
        return value

    return timer


def outcomes(candidates, **limits):
    limits = {"workers": 2, "build_limit_s": 1.0, "run_limit_s": 1.0, **limits}
    return race(candidates, build, **limits)


@pytest.mark.parametrize("workers", [1, 2, 5])
def test_outcomes_come_in_the_order_of_the_candidates(workers):
    found = outcomes([("ok", float(i)) for i in range(1, 8)], workers=workers)
    assert found == [Outcome(float(i)) for i in range(1, 8)]


@pytest.mark.parametrize(
    "bad", ["unbuildable", "crash in build", "hang in build", "crash", "hang"]
)
def test_a_bad_candidate_costs_only_itself(bad):
    found = outcomes([("ok", 1.0), ("ok", 2.0), (bad, 0.0), ("ok", 3.0), ("ok", 4.0), ("ok", 5.0)])
    assert [entry.seconds for entry in found] == [1.0, 2.0, None, 3.0, 4.0, 5.0]
    assert found[2].error


def test_the_best_time_so_far_is_passed_on():
    assert outcomes([("ok", 3.0), ("ok", 2.0), ("best", 0)], workers=1)[2].seconds == 2.0


def test_nothing_to_race():
    assert outcomes([]) == []


def test_no_child_is_left_behind():
    outcomes([("ok", 1.0), ("hang", 0.0)])
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)
