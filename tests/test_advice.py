"""The reverse question: needs in closed form, and machines sorted by what they cost."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pytest

from roofline import Workload, load, platform
from roofline._load import decoder
from roofline.advice import (
    Candidate,
    Limit,
    Wish,
    advise,
    advise_decoder,
    curve,
    probability_faster,
    survivors,
    verdict,
)
from roofline.advice.accuracies import known_accuracies
from roofline.advice.candidate import part_of
from roofline.advice.judgement import LEAST_MEMORY
from roofline.advice.remedies import SHARES, with_remedies
from roofline.advice.search import BATCHES, rank
from roofline.chart import charts, read_rows
from roofline.cli import main
from roofline.decoding.request import Phase, Request, Spread
from roofline.errors import DatatypeError, NoBasisError, OptionError, TableError
from roofline.model import predict, requirement
from roofline.model._network_facts import class_of
from roofline.spec import platform_keys

from .cli_process import answered

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
    assert [hurdle.text for hurdle in by_key["edgetpu:fast"].doubts] == ["price unknown"]
    assert not by_key["edgetpu:fast"].suits
    assert by_key["h100-sxm"].answer == "no"
    assert [hurdle.text for hurdle in by_key["h100-sxm"].obstacles] == [
        f"{platform('h100-sxm').tdp:g} W"
    ]


def test_a_bound_alone_is_never_a_yes():
    found = advise(WORK, keys("ncs"), Wish(fps=1), datatypes=["int8"], model="equation1")
    assert [(entry.answer, entry.low) for entry in found.candidates] == [("unknown", None)]
    found = advise(WORK, keys("ncs"), Wish(fps=1e9), datatypes=["int8"], model="equation1")
    assert [entry.answer for entry in found.candidates] == ["no"]


def test_those_that_suit_come_by_the_low_end():
    advice = advise(
        WORK,
        keys("agx-xavier:maxn", "ncs", "hailo-8"),
        Wish(1, efficiency=0.3),
        datatypes=["int8"],
    )
    low = [entry.low for entry in advice.candidates]
    assert low == sorted(low, reverse=True)


def test_machines_without_the_unit_are_named():
    advice = advise(WORK, keys("tx2:maxn", "ncs"), Wish(fps=1), datatypes=["int8"])
    assert advice.without_unit == ("tx2:maxn",)


def test_a_datatype_that_no_machine_has_is_refused():
    with pytest.raises(DatatypeError, match="tx2:maxn has no int8 unit"):
        advise(WORK, keys("tx2:maxn"), Wish(fps=1), datatypes=["int8"])


def test_an_estimate_without_a_basis_anywhere_is_refused():
    with pytest.raises(NoBasisError, match="calibrated has no basis"):
        advise(WORK, keys("ncs", "hailo-8"), Wish(fps=1), datatypes=["int8"], model="calibrated")


def test_a_candidate_carries_the_prediction_of_predict():
    (candidate,) = advise(
        WORK, keys("ncs"), Wish(fps=1, efficiency=0.25), datatypes=["int8"]
    ).candidates
    alone = predict(WORK, platform("ncs"), datatype="int8")
    assert candidate.prediction.throughput_fps == alone.throughput_fps
    assert candidate.expected == 0.25 * alone.throughput_fps


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
    return answered(capsys, "advise", *arguments)


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


def candidate(
    key: str = "a", low=80.0, middle=100.0, high=125.0, watts=10.0, price=100.0, asked=50.0
):
    prediction = replace(
        predict(WORK, platform("ncs"), datatype="int8"), platform=key, throughput_fps=middle, interval_fps=(low, high)
    )  # fmt: skip
    return Candidate((part_of(prediction, Wish(fps=asked)),), price, watts, 1, ())


def test_networks_that_share_a_machine_share_its_time():
    nets = [WORK, replace(WORK, name="other")]
    wish = Wish(fps=30, rates={"other": 10}, efficiency=1)
    (entry,) = advise(nets, keys("ncs"), wish, datatypes=["int8"]).candidates
    alone = predict(WORK, platform("ncs"), datatype="int8").throughput_fps
    assert entry.low == pytest.approx(1 / (30 / alone + 10 / alone))
    row = entry.record()
    assert row["low_fps"] is None
    assert row["low_headroom"] == entry.low
    assert [part["asked_fps"] for part in row["networks"]] == [30, 10]


def test_a_rate_for_a_stranger_and_shared_machines_without_rates_are_refused():
    with pytest.raises(OptionError, match="none of the networks"):
        advise(WORK, keys("ncs"), Wish(fps=1, rates={"x": 2}))
    with pytest.raises(OptionError, match="need a rate each"):
        advise([WORK, replace(WORK, name="b")], keys("ncs"), Wish(latency=1))


@pytest.mark.parametrize(
    ("streams", "per_unit"), [(1, 3), (3, 3), (4, 3), (16, 3), (16, 1), (7, 8)]
)
def test_streams_are_not_divided_between_units(streams, per_unit):
    alone = predict(WORK, platform("ncs"), datatype="int8").throughput_fps
    rate = alone / (per_unit + 0.5)
    wish = Wish(fps=rate, streams=streams, efficiency=1, price=1e9)
    (entry,) = advise(WORK, keys("ncs"), wish, datatypes=["int8"]).candidates
    assert entry.units == math.ceil(streams / per_unit)
    assert entry.total_price == entry.units * platform("ncs").price


@pytest.mark.parametrize(
    ("cameras", "batch", "periods"), [(4, 1, 0), (4, 4, 0), (4, 5, 1), (4, 128, 31), (1, 2, 1)]
)
def test_frames_of_cameras_wait_until_a_batch_is_full(cameras, batch, periods):
    machine, rate = platform("h100-sxm"), 25.0
    alone = predict(WORK, machine, datatype="int8", batch=batch).latency_s
    wait = periods / rate
    for latency, suits in ((wait + 1.01 * alone, True), (wait + 0.99 * alone, False)):
        wish = Wish(fps=rate, streams=cameras, latency=latency, efficiency=1)
        (entry,) = advise(WORK, [machine], wish, datatypes=["int8"], batches=[batch]).candidates
        assert entry.units == 1
        assert entry.suits == suits
    assert ("until a batch is full" in entry.obstacles[0].text) == bool(periods)


def test_units_that_run_apart_are_spoken_of_one_by_one():
    ncs = platform("ncs")
    rate = predict(WORK, ncs, datatype="int8").throughput_fps
    wish = Wish(fps=rate, streams=1200, efficiency=1)
    advice = advise(WORK, [ncs], wish, datatypes=["int8"])
    sentence = verdict(advice, wish, ["net"])
    assert sentence.startswith("1,200 x ncs in int8, batch 1, are expected to run net at ")
    assert " fps each, where 1,200 x " in sentence
    assert "; they take 2,652 W and 94,800 USD" in sentence


def test_limits_are_of_all_units():
    ncs = platform("ncs")
    alone = predict(WORK, ncs, datatype="int8").throughput_fps
    for units in (1, 2, 3):
        wish = Wish(fps=alone, streams=units, efficiency=1, price=2 * ncs.price, watts=2 * ncs.tdp)
        (entry,) = advise(WORK, [ncs], wish, datatypes=["int8"]).candidates
        assert entry.suits == (units <= 2)
        assert {hurdle.limit for hurdle in entry.obstacles} == (
            set() if units <= 2 else {Limit.POWER, Limit.PRICE}
        )


def test_a_million_items_cost_the_price_over_the_years_and_the_power():
    wish = Wish(fps=30, years=2, usd_per_kwh=0.3)
    seconds = 1e6 / 30
    rent = 100 * seconds / (2 * 365.25 * 24 * 3600)
    current = 10 / 1000 * seconds / 3600 * 0.3
    assert wish.cost_per_million(100, 10, 30) == pytest.approx(rent + current)
    assert wish.cost_per_million(None, 10, 30) is None


def test_the_probability_is_that_of_two_lognormal_laws():
    one, other = candidate(low=70, middle=100, high=140), candidate("b", 60, 90, 150)
    rng = np.random.default_rng(0)
    z = 1.2815515655446004
    draws = [
        np.exp(
            rng.normal(
                math.log(entry.expected), math.log(entry.high / entry.low) / (2 * z), 400_000
            )
        )
        for entry in (one, other)
    ]
    found = probability_faster(one, other)
    assert found == pytest.approx(float(np.mean(draws[0] > draws[1])), abs=0.004)
    assert probability_faster(other, one) == pytest.approx(1 - found)


def test_the_front_is_what_none_beats_in_speed_watts_and_price():
    entries = [
        candidate("fast", low=100, watts=50, price=500), candidate("small", low=10, watts=5, price=50),
        candidate("beaten", low=90, watts=60, price=500), candidate("twin", low=10, watts=5, price=50),
        candidate("unpriced", low=900, watts=1, price=None),
    ]  # fmt: skip
    front = {entry.platform for entry in rank(entries) if entry.on_front}
    assert front == {"fast", "small", "twin"}


def test_latency_without_a_batch_takes_the_fastest_batch_within_it():
    machines = keys("t4")
    wish = Wish(latency=0.02)
    work = Workload.from_table("net", ops=8e9, weights=25e6, bits=16, source="test")
    (entry,) = advise(work, machines, wish, datatypes=["fp16"]).candidates
    each = {
        batch: advise(
            work, machines, Wish(latency=0.02), datatypes=["fp16"], batches=[batch]
        ).candidates[0]
        for batch in BATCHES
    }
    assert entry.suits
    assert entry.low == max(other.low for other in each.values() if other.suits)
    assert any(not other.suits for other in each.values())


def test_the_limit_that_takes_the_last_candidate_is_named():
    advice = advise(
        WORK, keys("ncs", "hailo-8"), Wish(1, watts=1e-3, efficiency=1), datatypes=["int8"]
    )
    assert survivors(advice)[-1].limit is Limit.POWER
    assert survivors(advice)[-1].left == (platform("hailo-8").priced_power is None)
    advice = advise(
        WORK, keys("ncs"), Wish(1, watts=1e-3, price=1, efficiency=1), datatypes=["int8"]
    )
    (step,) = survivors(advice)
    assert (step.limit, step.left, step.last.platform) == (Limit.POWER, 0, "ncs")
    assert "power takes the last candidate, " in verdict(advice, Wish(1), ["net"])


def test_machines_without_the_datatype_are_named_where_none_does():
    advice = advise(WORK, keys("h100-sxm", "hailo-8"), Wish(1, watts=1e-3), datatypes=["fp16"])
    assert "hailo-8 has no unit for fp16" in verdict(advice, Wish(1), ["net"])


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (("cnv", "--min-fps", "0"), "--min-fps is 0"),
        (("cnv", "--streams", "2", "--stream-fps", "-1"), "--stream-fps is -1"),
        (("cnv", "mlp", "--min-fps", "9", "--min-fps", "mlp=0"), "--min-fps mlp is 0"),
    ],
)
def test_a_rate_that_is_not_above_zero_is_told_by_its_flag(capsys, asked, said):
    code, _, err = run(capsys, *asked, "-p", "ncs", "-d", "fp16")
    assert code == 2
    assert said in err


def test_a_network_that_is_named_twice_shares_the_machine_once_and_that_is_said(capsys):
    code, _, err = run(capsys, "cnv", "cnv", "--min-fps", "9", "-p", "ncs", "-d", "fp16")
    assert code == 0
    assert "cnv is named more than once" in err


def test_rates_asked_of_several_networks_are_those_of_one_stream():
    nets = [WORK, replace(WORK, name="b")]
    wish = Wish(fps=1, streams=2, efficiency=1)
    assert "times the rates of one stream" in verdict(
        advise(nets, keys("ncs", "tx2:maxn"), wish, datatypes=["fp16"]), wish, ["net", "b"]
    )


def test_figures_of_a_machine_correct_what_is_advised_of_it(capsys, tmp_path):
    table = tmp_path / "runs.csv"
    table.write_text("machine,network,datatype,fps\nrpi5,resnet50,int8,4\n")
    asked = ("resnet50", "--min-fps", "1", "-d", "int8", "-p", "rpi5,rpi4", "--format", "json")
    plain, told = (
        {
            entry["platform"]: entry
            for entry in json.loads(run(capsys, *asked, *more)[1])["machines"]
        }
        for more in ((), ("--evidence", str(table)))
    )
    assert plain["rpi5"]["expected_fps"] > told["rpi5"]["expected_fps"]
    assert 3 < told["rpi5"]["expected_fps"] < 5
    assert plain["rpi4"] == told["rpi4"]
    for more in (("--model", "equation1"), ("--efficiency", "0.3")):
        assert run(capsys, *asked, "--evidence", str(table), *more)[0] == 2


def test_a_measured_rate_of_a_decoder_corrects_what_is_advised(capsys, tmp_path):
    table = tmp_path / "runs.csv"
    table.write_text(
        "machine,network,datatype,phase,context,tokens_per_s\nrtx-4090,smollm2_135m,fp16,decode,512,220\n"
    )
    asked = ("smollm2_135m", "--min-tokens-per-s", "10", "-d", "fp16", "-p", "rtx-4090,rtx-3090",
             "--phase", "decode", "--context", "512", "--format", "json")  # fmt: skip
    plain, told = (
        {
            entry["platform"]: entry
            for entry in json.loads(run(capsys, *asked, *more)[1])["machines"]
        }
        for more in ((), ("--evidence", str(table)))
    )
    assert plain["rtx-4090"]["low_tokens_per_s"] > 250
    assert 190 < told["rtx-4090"]["expected_tokens_per_s"] < 250
    assert plain["rtx-3090"] == told["rtx-3090"]


def test_no_machine_without_a_class_of_evidence_has_an_estimate_or_a_yes():
    """Tensor processors of data centres and microcontrollers: nobody published runs of their kind."""
    machines = [platform(key) for key in platform_keys()]
    unknown = [m for m in machines if class_of(m) is None and m.has("int8")]
    kinds = {(m.kind, m.segment) for m in unknown}
    assert {("tpu", "data centre"), ("cpu", "microcontroller")} <= kinds
    found = advise(load("mobilenet_v1"), unknown, Wish(1e-6), datatypes=["int8"]).candidates
    assert len(found) == len(unknown)
    assert {entry.answer for entry in found} <= {"unknown", "no"}
    assert all(entry.low is None for entry in found)
    with pytest.raises(NoBasisError, match="no basis"):
        predict(load("mobilenet_v1"), unknown[0], datatype="int8", model="expected")


def test_a_remedy_is_the_mildest_that_passes():
    net = load("resnet50")
    ncs = platform("ncs")
    wish = Wish(fps=30)
    plain = advise(net, [ncs], wish, datatypes=["fp16"])
    (entry,) = with_remedies(plain, [net], [ncs], wish, known_accuracies()).candidates
    assert not entry.suits
    assert entry.remedy is not None
    share = entry.remedy.keep_channels
    workload = net if share == 1 else net.under(pruning=share)
    (again,) = advise(workload, [ncs], wish, datatypes=[entry.remedy.datatype]).candidates
    assert again.suits
    assert again.low == entry.remedy.low
    milder = [other for other in SHARES if other > share]
    for other in milder:
        (failing,) = advise(
            net if other == 1 else net.under(pruning=other),
            [ncs],
            wish,
            datatypes=[entry.remedy.datatype],
        ).candidates
        assert not failing.suits


def test_accuracies_of_the_user_go_first(tmp_path):
    table = tmp_path / "a.csv"
    table.write_text("network,datatype,accuracy_percent,keep_channels\ngooglenet_v1,int8,50,1\n")
    assert "published" in known_accuracies()("googlenet_v1", "int8", 1.0)
    assert known_accuracies(table)("googlenet_v1", "int8", 1.0).startswith("accuracy 50 %")
    assert known_accuracies(table)("googlenet_v1", "int8", 0.5) is None
    table.write_text("network,datatype,accuracy_percent\ngooglenet_v1,int8,140\n")
    with pytest.raises(TableError, match="row 1: accuracy_percent"):
        known_accuracies(table)


def test_the_curve_meets_the_point_of_equation_1_at_its_ends():
    net = load("mobilenet_v1")
    points = curve(net, 1, 100.0)
    required = requirement(net)
    ops = float(required.ops.sum()) * 100
    bandwidths, peaks = zip(*points, strict=True)
    assert list(bandwidths) == sorted(bandwidths)
    assert list(peaks) == sorted(peaks, reverse=True)
    assert peaks[-1] == pytest.approx(ops, rel=0.1)
    for bandwidth, peak in points:
        moved = (required.weights + required.activations) / bandwidth
        seconds = np.maximum(required.ops / peak, moved).sum()
        assert seconds == pytest.approx(1 / 100, rel=1e-6)


def test_a_decoder_takes_the_fewest_devices_that_do():
    found = decoder("llama31_70b")
    machine = platform("h100-sxm")
    asked = Request(context=1024, new_tokens=128)
    (entry,) = advise_decoder(found, asked, [machine], Wish(fps=1), datatypes=["fp16"]).candidates
    assert entry.units == 2  # 141 GB of weights on devices of 80 GB
    assert entry.total_price == 2 * machine.price
    (fast,) = advise_decoder(found, asked, [machine], Wish(fps=1e9), datatypes=["fp16"]).candidates
    assert fast.answer == "no"
    assert fast.units == 8


def test_cards_of_one_user_have_layers_in_series_and_rates_of_tokens_their_own_columns():
    found = decoder("llama31_70b")
    asked = Request(context=1024, new_tokens=128, defaults=frozenset({"spread"}))
    wish = Wish(fps=13)
    advice = advise_decoder(
        found, asked, keys("rtx-4090", "apple-m2-ultra", "jetson-thor"), wish, datatypes=["q4_k_m"]
    )
    card, *others = advice.candidates
    assert (card.platform, card.answer, card.units) == ("rtx-4090", "yes", 2)
    row = card.record()
    assert row["spread"] == "series"
    # Layers in series read all weights with one card's bandwidth: no faster than that.
    assert row["tokens_per_s"] < platform("rtx-4090").bandwidth / 42e9
    assert row["low_tokens_per_s"] < row["expected_tokens_per_s"] == row["tokens_per_s"]
    assert row["tokens_per_s"] == pytest.approx(1e3 / row["tpot_ms"])
    assert row["low_fps"] is row["expected_fps"] is row["throughput_fps"] is None
    assert all(entry.answer != "yes" for entry in others)
    said = verdict(advice, wish, ["llama31_70b"])
    assert "no Mac is known to do it, and nearest comes apple-m2-ultra (13." in said
    assert "no board is known to do it, and nearest comes jetson-thor (6." in said
    slow = Wish(fps=10)
    advice = advise_decoder(
        found, asked, keys("rtx-4090", "apple-m2-ultra"), slow, datatypes=["q4_k_m"]
    )
    assert "the Mac that does it best is apple-m2-ultra (13." in verdict(
        advice, slow, ["llama31_70b"]
    )
    shared = Request(context=1024, new_tokens=128, spread=Spread.TENSOR)
    (card,) = advise_decoder(
        found, shared, keys("rtx-4090"), wish, datatypes=["q4_k_m"]
    ).candidates
    assert (card.answer, card.units) == ("yes", 2)


def test_what_prompts_need_is_read_once_for_all_their_tokens():
    found = decoder("llama32_1b")
    asked = Request(context=1024, new_tokens=16, phase=Phase.PREFILL)
    advice = advise_decoder(found, asked, keys("rtx-4090"), Wish(fps=1000), datatypes=["fp16"])
    (need,) = advice.needs
    # 1.24 billion weights of 2 bytes are read once for 1,024 positions, a thousand of which are asked for a second.
    assert need.bandwidth == pytest.approx(2 * 1.24e9 * 1000 / 1024, rel=0.1)
    assert need.bandwidth < platform("rtx-4090").bandwidth
    assert need.peak == pytest.approx(2 * 0.97e9 * 1000, rel=0.1)


def test_bounds_of_decoders_are_no_yes():
    found = decoder("llama32_1b")
    advice = advise_decoder(
        found, Request(context=64), keys("gaudi3"), Wish(fps=0.1), datatypes=["q4_k_m"]
    )
    assert [entry.answer for entry in advice.candidates] == ["unknown"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["resnet50"], "nothing is asked"),
        (["resnet50", "--min-fps", "3", "--streams", "2", "--stream-fps", "3"], "same thing"),
        (["resnet50", "--streams", "2"], "without the frames per second of one"),
        (["resnet50", "--stream-fps", "2"], "without --streams"),
        (["resnet50", "--min-fps", "3", "--segment", "edgy"], "'edgy' is not known"),
        (
            ["resnet50", "--min-fps", "3", "--kind", "tpu", "--segment", "phone"],
            "no machine is of that",
        ),
        (["resnet50", "--min-tokens-per-s", "3"], "is no decoder"),
        (["llama32_1b", "--streams", "3", "--stream-fps", "3"], "is a decoder"),
        (["llama32_1b", "--min-fps", "3"], "no frames for --min-fps. Ask for --min-tokens-per-s"),
        (["llama32_1b", "resnet50", "--min-fps", "3"], "shares its machine with no other"),
        (["resnet50", "--min-fps", "3", "--usd-per-kwh", "nan"], "--usd-per-kwh is nan"),
        (["resnet50", "--min-fps", "a=3", "--min-fps", "a=4"], "twice"),
    ],
)
def test_what_cannot_be_asked_is_one_line(words, message, capsys):
    with pytest.raises(SystemExit) as stopped:
        main(["advise", *words])
    err = capsys.readouterr().err
    assert stopped.value.code == 2
    assert err.count("\n") == 1
    assert message in err


def test_the_chart_has_the_curve_and_every_machine(tmp_path):
    answer, figure = tmp_path / "answer.json", tmp_path / "needs.svg"
    words = ["-d", "int8", "-p", "ncs", "-p", "h100-sxm", "--format", "json", "-o", str(answer)]
    with pytest.raises(SystemExit):
        main(["advise", "mobilenet_v1", "--min-fps", "30", *words])
    document = json.loads(answer.read_text())
    drawn = charts.get("needs").compute(read_rows(answer))
    ((name, points),) = drawn.curves
    assert name == "mobilenet_v1 in int8, batch 1"
    assert points == tuple(
        (row["bandwidth_b_s"], row["peak_op_s"]) for row in document["need_curve"]
    )
    assert {key: place for key, _, place in drawn.machines} == {
        key: (platform(key).bandwidth, platform(key).peak("int8")) for key in ("ncs", "h100-sxm")
    }
    with pytest.raises(SystemExit) as stopped:
        main(["plot", "needs", str(answer), "-o", str(figure)])
    assert stopped.value.code == 0
    assert figure.read_text().startswith("<?xml")


def test_a_bound_of_more_devices_says_what_fewer_are_expected_to_reach() -> None:
    network = decoder("llama31_8b")
    assert network is not None
    wish = Wish(110)
    (found,) = advise_decoder(
        network, Request(2048, 512), [platform("arc-b580")], wish, datatypes=["q4_k_m"]
    ).candidates
    assert found.units > 1
    assert found.low is None
    (doubt,) = found.doubts
    assert "a bound of 2 devices" in doubt.text
    assert "1 device would reach" in doubt.text


def test_what_the_bound_misses_is_said_to_be_at_the_bound() -> None:
    network = decoder("llama31_8b")
    assert network is not None
    (found,) = advise_decoder(
        network, Request(2048, 512), [platform("arc-b580")], Wish(1e6), datatypes=["q4_k_m"]
    ).candidates
    assert any("of the throughput at the bound" in hurdle.text for hurdle in found.obstacles)


def test_a_format_of_decoders_is_remarked_on_where_it_is_asked_for_another_network() -> None:
    said = "is a format of decoders, and no runtime stores mlp in it"
    machine = platform("rtx-4090")
    assert any(said in note for note in predict(load("mlp"), machine, datatype="q4_k_m").notes)
    assert not any(said in note for note in predict(load("mlp"), machine, datatype="int8").notes)


def test_a_chart_of_machines_that_were_asked_nothing_is_refused(tmp_path):
    rows = tmp_path / "predictions.json"
    with pytest.raises(SystemExit):
        main(["predict", "mlp", "-p", "ncs", "-d", "fp16", "-f", "json", "-o", str(rows)])
    with pytest.raises(TableError, match="does not say whether ncs does what is asked"):
        charts.get("needs").compute(read_rows(rows))


@pytest.mark.parametrize(("most_s", "answer"), [(1e-6, "no"), (1.0, "unknown")])
def test_a_latency_below_the_bound_is_no_even_where_none_is_estimated(most_s, answer):
    network, wish = load("mobilenet_v1"), Wish(latency=most_s)
    (entry,) = advise(network, keys("hailo-8"), wish, datatypes=["int8"], batches=[1]).candidates
    assert entry.prediction.latency_s is None
    assert entry.answer == answer


def test_a_first_token_below_the_bound_is_no_even_where_none_is_estimated():
    request = Request(context=4096)
    found = decoder("llama31_8b")
    assert found is not None
    for most_s, answer in ((1e-3, "no"), (10.0, "unknown")):
        wish = Wish(ttft=most_s)
        (entry,) = advise_decoder(
            found, request, keys("h100-sxm"), wish, datatypes=["fp8"], batches=[32], most_devices=1
        ).candidates
        assert entry.answer == answer


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (lambda: advise("mlp", keys("ncs"), Wish(fps=1)), "workloads is 'mlp', not a list"),  # pyright: ignore
        (lambda: advise(WORK, ["ncs"], Wish(fps=1)), "platforms is 'ncs', not a Platform"),  # pyright: ignore
        (lambda: advise(WORK, keys("ncs"), 30), "wish is 30, not a Wish"),  # pyright: ignore
        (lambda: Wish(fps="30"), "the rate is '30', not a number"),  # pyright: ignore
        (lambda: Wish(fps=1, efficiency="0.3"), "efficiency is '0.3', not a number"),  # pyright: ignore
        (lambda: Wish(rates={"net": "30"}), "the rate of net is '30', not a number"),  # pyright: ignore
    ],
)  # fmt: skip
def test_what_is_of_another_kind_is_refused_in_one_line(ask, message):
    with pytest.raises(OptionError, match=message):
        ask()


def test_a_machine_whose_runtimes_nobody_ran_stands_behind_those_with_runs() -> None:
    """Axelera publishes 1,756 to 1,958 frames/s of ResNet-50 on a card that borrowed runs put at 16,000."""
    found = advise(
        load("resnet50_v15"), keys("metis-m2", "l4", "t4"), Wish(fps=300), datatypes=["int8"]
    )
    order = [entry.platform for entry in found.candidates]
    assert order.index("metis-m2") > max(order.index("l4"), order.index("t4"))
    (metis,) = [entry for entry in found.candidates if entry.platform == "metis-m2"][:1]
    assert metis.is_borrowed
    assert not any(entry.is_borrowed for entry in found.candidates if entry.platform == "l4")
    alone = advise(load("resnet50_v15"), keys("metis-m2"), Wish(fps=300), datatypes=["int8"])
    assert "no run of its runtimes is published" in verdict(alone, Wish(fps=300), ["resnet50_v15"])


def test_a_network_is_not_known_to_fit_in_a_memory_that_no_file_states() -> None:
    silent, stated = keys("radeon-780m", "apple-m4-max")
    assert silent.capacity is None
    found = advise_decoder(
        decoder("llama31_70b"), Request(), [silent, stated], Wish(fps=1), datatypes=["w4a16"]
    )
    by_key = {entry.platform: entry for entry in found.candidates}
    unsure = by_key[silent.key]
    assert unsure.answer == "unknown"
    needed = f"{unsure.prediction.required_bytes / 1e9:.1f} GB"
    assert [hurdle.text for hurdle in unsure.doubts] == [f"memory unknown, needs {needed}"]
    assert by_key[stated.key].suits
    assert silent.key not in verdict(found, Wish(fps=1), ["llama31_70b"])


@pytest.mark.parametrize(
    ("weights", "answer"), [(LEAST_MEMORY, "yes"), (LEAST_MEMORY + 1, "unknown")]
)
def test_what_every_machine_holds_fits_where_no_memory_is_stated(weights, answer) -> None:
    work = Workload.from_table("net", ops=8e9, weights=weights, bits=8, source="test")
    (entry,) = advise(
        work, keys("hailo-8"), Wish(1, efficiency=0.5), datatypes=["int8"]
    ).candidates
    assert entry.answer == answer


def test_the_least_memory_is_that_of_the_files() -> None:
    machines = [platform(key) for key in platform_keys()]
    outside = [
        entry.capacity
        for entry in machines
        if entry.capacity and not entry.memories[0].on_chip and entry.segment != "microcontroller"
    ]
    assert min(outside) == LEAST_MEMORY
    silent = [entry for entry in machines if entry.capacity is None]
    assert not any(
        entry.memories[0].on_chip or entry.segment == "microcontroller" for entry in silent
    )


def test_a_machine_with_runs_before_a_faster_one_without_is_said_to_be_so_for_that() -> None:
    wish = Wish(fps=5)
    found = advise(
        load("resnet50"), keys("atom-x5-e3940", "memryx-mx3-m2"), wish, datatypes=["int8"]
    )
    first, second = found.candidates
    assert (first.platform, second.is_borrowed) == ("atom-x5-e3940", True)
    assert first.low < second.low
    said = verdict(found, wish, ["resnet50"])
    assert "low end is higher" not in said
    assert "but no run of the runtimes of memryx-mx3-m2 is published" in said


def test_a_slower_machine_that_is_first_by_another_order_has_no_higher_low_end() -> None:
    found = advise(load("resnet50"), keys("t4", "l4"), Wish(fps=5), datatypes=["int8"])
    turned = replace(found, candidates=found.candidates[::-1])
    assert turned.candidates[0].low < turned.candidates[1].low
    assert "low end is higher" not in verdict(turned, Wish(fps=5), ["resnet50"], "total_w:asc")


def test_what_a_price_buys_is_said(capsys) -> None:
    asked = ["advise", "resnet50", "-d", "int8", "--min-fps", "5", "--max-price", "1000"]
    asked += ["-p", "atom-x5-e3940,rpi5"]
    code, out, _ = answered(capsys, *asked)
    assert code == 0
    assert "34 (chip)" in out
    assert "a board for it comes on top: atom-x5-e3940 (chip)" in out
    code, out, _ = answered(capsys, *asked, "--format", "json")
    rows = {row["platform"]: row for row in json.loads(out)["machines"]}
    assert {key: row["price_of"] for key, row in rows.items()} == {
        key: platform(key).specification.price.of for key in ("atom-x5-e3940", "rpi5")
    }


def test_a_unit_that_a_machine_lacks_is_told_from_one_its_file_does_not_state(capsys) -> None:
    machines = keys("jetson-thor", "k80", "t4")
    assert "int8" in machines[1].specification.absent
    found = advise(load("resnet50"), machines, Wish(fps=1), datatypes=["int8"])
    assert found.without_unit == ("jetson-thor", "k80")
    assert found.unit_unstated == ("jetson-thor",)
    _, out, _ = answered(
        capsys, "advise", "resnet50", "-d", "int8", "--min-fps", "1", "-p", "jetson-thor,k80,t4"
    )
    assert "without such a unit: k80;" in out
    assert "with files that do not say whether they have such a unit: jetson-thor" in out
    with pytest.raises(DatatypeError, match="does not say whether it has int8 units"):
        advise(load("resnet50"), machines[:1], Wish(fps=1), datatypes=["int8"])
    with pytest.raises(DatatypeError, match="k80 has no int8 unit"):
        advise(load("resnet50"), machines[1:2], Wish(fps=1), datatypes=["int8"])


def test_a_machine_without_a_basis_is_not_said_to_lack_the_unit() -> None:
    found = advise(
        load("resnet50"), keys("t4", "gap9"), Wish(fps=1), datatypes=["int8"], model="expected"
    )
    assert [entry.platform for entry in found.candidates] == ["t4"]
    assert found.without_unit == ()
    assert found.without_basis == ("gap9",)
