"""The reverse question: needs in closed form, and machines sorted by what they cost."""

from __future__ import annotations

import json

import pytest

from roofline import Workload, platform
from roofline.cli import main
from roofline.errors import OptionError
from roofline.model import Wish, advise, predict

WORK = Workload.from_table("net", ops=8e9, weights=25e6, bits=8, source="test")


def keys(*names: str):
    return [platform(name) for name in names]


def test_needs_are_operations_and_bytes_times_the_rate():
    (need,) = advise(WORK, keys("edgetpu:fast"), Wish(fps=100), datatypes=["int8"]).needs
    assert need.peak == 8e9 * 100
    assert need.bandwidth == 25e6 * 100
    assert need.capacity == 25e6


def test_a_batch_spares_bandwidth_and_a_low_efficiency_asks_for_more():
    (need,) = advise(
        WORK, keys("edgetpu:fast"), Wish(fps=100, efficiency=0.5), datatypes=["int8"], batches=[4]
    ).needs
    assert need.peak == 8e9 * 100 / 0.5
    assert need.bandwidth == 25e6 * 100 / 4 / 0.5


@pytest.mark.parametrize("fps", [1.0, 119.0, 121.0, 499.0, 501.0, 1e6])
def test_a_machine_suits_exactly_when_it_meets_the_needs(fps):
    machines = keys("zcu102-dpu", "ultra96-dpu", "ncs", "h100-sxm")
    advice = advise(WORK, machines, Wish(fps=fps, efficiency=1), datatypes=["int8"])
    (need,) = advice.needs
    for candidate in advice.candidates:
        machine = platform(candidate.prediction.platform)
        enough = machine.peak("int8") >= need.peak and machine.bandwidth >= need.bandwidth
        assert candidate.suits == enough


def test_limits_and_unknown_figures():
    machines = keys("edgetpu:fast", "h100-sxm")
    advice = advise(
        WORK, machines, Wish(1, watts=100, price=1e6, efficiency=1), datatypes=["int8"]
    )
    by_key = {entry.prediction.platform: entry for entry in advice.candidates}
    # The file of the one says no price: nobody knows whether it is within the limit.
    assert platform("edgetpu:fast").price is None
    assert by_key["edgetpu:fast"].answer == "unknown"
    assert by_key["edgetpu:fast"].doubts == ("price unknown",)
    assert not by_key["edgetpu:fast"].suits
    assert by_key["h100-sxm"].answer == "no"
    assert by_key["h100-sxm"].obstacles == (f"{platform('h100-sxm').tdp:g} W",)


def test_a_bound_alone_is_never_a_yes():
    found = advise(WORK, keys("ncs"), Wish(fps=1), datatypes=["int8"], model="equation1")
    assert [(entry.answer, entry.low_fps) for entry in found.candidates] == [("unknown", None)]
    found = advise(WORK, keys("ncs"), Wish(fps=1e9), datatypes=["int8"], model="equation1")
    assert [entry.answer for entry in found.candidates] == ["no"]


def test_those_that_suit_come_by_the_low_end():
    advice = advise(
        WORK,
        keys("agx-xavier:maxn", "ncs", "hailo-8"),
        Wish(1, efficiency=0.3),
        datatypes=["int8"],
    )
    low = [entry.low_fps for entry in advice.candidates]
    assert low == sorted(low, reverse=True)


def test_machines_without_the_unit_are_named():
    advice = advise(WORK, keys("tx2:maxn", "ncs"), Wish(fps=1), datatypes=["int8"])
    assert advice.without_unit == ("tx2:maxn",)


def test_a_candidate_carries_the_prediction_of_predict():
    (candidate,) = advise(
        WORK, keys("ncs"), Wish(fps=1, efficiency=0.25), datatypes=["int8"]
    ).candidates
    alone = predict(WORK, platform("ncs"), datatype="int8")
    assert candidate.prediction.throughput_fps == alone.throughput_fps
    assert candidate.expected_fps == 0.25 * alone.throughput_fps


@pytest.mark.parametrize(
    "wrong", [{"fps": 0}, {"fps": 1, "watts": -1}, {"fps": 1, "efficiency": 2}]
)
def test_wishes_that_make_no_sense_are_refused(wrong):
    with pytest.raises(OptionError):
        Wish(**wrong)


def test_no_machine_is_refused():
    with pytest.raises(OptionError, match="no machine"):
        advise(WORK, [], Wish(fps=1))


def run(capsys, *arguments: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as stopped:
        main(["advise", *arguments])
    out, err = capsys.readouterr()
    return int(stopped.value.code or 0), out, err


def test_the_command_answers_and_says_when_nothing_does(capsys):
    asked = ("--efficiency", "0.5", "-d", "int8", "--format", "json")
    code, out, err = run(capsys, "cnv", "--min-fps", "100", *asked)
    document = json.loads(out)
    assert (code, err) == (0, "")
    assert document["machines"][0]["suits"] is True
    assert document["needs"][0]["peak_op_s"] == pytest.approx(200 * 0.469449728e9)
    code, out, err = run(capsys, "cnv", "--min-fps", "1e15", "-d", "int8", "-p", "ncs")
    assert code == 1
    assert "needs at least" in out
    assert err == "roofline: no machine reaches it\n"
    code, _, err = run(capsys, "cnv", "--min-fps", "-3", "-p", "ncs")
    assert (code, err.count("\n")) == (2, 1)
