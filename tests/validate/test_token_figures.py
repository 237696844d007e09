"""Measured tokens per second of a machine that correct what is expected of it."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from roofline._load import decoder
from roofline.compression_flags import compress_by_flags
from roofline.decoding.request import Phase, Request
from roofline.errors import OptionError, TableError
from roofline.model import Prediction
from roofline.model.decoder_laws import Figure, FittedLaw, LawRun
from roofline.model.sum_law import Runs, SumLaw
from roofline.serving import serve
from roofline.spec import platform
from roofline.validate.evidence.token_figures import read_figures
from roofline.workload import Workload

LAW = FittedLaw(SumLaw({"step": 0.0}), {"other": 0.5}, {"other": 0.3}, ("a",), 10, "")


def run(network: str, seconds: float = 1e-2) -> LawRun:
    return LawRun("tpot", "other", (network, "fp16"), Runs({"step": np.array([seconds])}, {}))


def test_a_figure_moves_other_decoders_by_the_share_that_is_the_machines() -> None:
    shift, width = LAW.correct(run("mine"), [Figure(run("other"), 0.2)])
    # Of a variance of 0.25 are 0.09 of single runs and 0.16 of the machine.
    assert shift == pytest.approx(0.2 * 0.16 / 0.25)
    # Student's tails with 8 degrees of freedom: a figure within one deviation leaves less than the normal law.
    left = 0.25 - 0.16**2 / 0.25
    far = (1.2816 * 0.2 / 0.5) ** 2
    assert width == pytest.approx(math.sqrt(left * (8 + far) / 9))


def test_many_figures_leave_what_single_runs_differ_by() -> None:
    assert LAW.correct(run("mine"), []) == (0.0, 0.5)
    figures = [Figure(run(f"other {place}"), 0.2) for place in range(1000)]
    shift, width = LAW.correct(run("mine"), figures)
    assert shift == pytest.approx(0.2, rel=1e-2)
    assert width < 0.31


def test_runs_of_one_decoder_share_the_more_the_nearer_they_are() -> None:
    figure = [Figure(run("mine"), 0.2)]
    same, near, far = (
        LAW.correct(run("mine", seconds), figure) for seconds in (1e-2, 1.2e-2, 1e-1)
    )
    other = LAW.correct(run("other"), figure)
    assert 0.19 < same[0] < 0.2
    assert same[0] > near[0] > far[0] == pytest.approx(other[0])
    assert same[1] < near[1] < far[1] == pytest.approx(other[1])


@pytest.mark.parametrize("off", [0.05, 0.3, 1.0, 3.0, -2.0])
def test_the_interval_at_the_figure_holds_it_however_far_it_is_off(off: float) -> None:
    shift, width = LAW.correct(run("mine"), [Figure(run("mine"), off)])
    assert shift - width < off < shift + width
    # What is far off says that the law knows little of this machine: other decoders are less certain too.
    other = LAW.correct(run("other"), [Figure(run("mine"), off)])[1]
    assert (other > LAW.correct(run("other"), [Figure(run("mine"), 0.0)])[1]) == (off != 0)


@pytest.mark.parametrize(
    ("machine", "network", "datatype", "phase", "batch", "rate"),
    [
        ("h100-sxm", "llama31_8b", "fp16", "decode", 1, 60),
        ("h100-sxm", "llama31_8b", "fp16", "both", 8, 300),
        ("h100-sxm", "llama31_8b", "fp16", "prefill", 8, 20_000),
        ("rtx-4090", "llama31_8b", "q4_k_m", "decode", 1, 70),
        ("apple-m2-ultra", "llama31_8b", "q4_k_m", "both", 1, 20),
        ("apple-m2-ultra", "llama31_8b", "q4_k_m", "prefill", 1, 200),
    ],
)
def test_the_estimate_at_a_figure_is_near_it_and_its_interval_holds_it(
    tmp_path: Path, machine: str, network: str, datatype: str, phase: str, batch: int, rate: float
) -> None:
    known, found = platform(machine), decoder(network)
    assert found is not None
    path = written(tmp_path, f"{machine},{network},{datatype},{rate},1024,{phase},{batch}")

    def ask(batches: list[int]) -> list[Prediction]:
        def prepare(workload: Workload, name: str | None) -> Workload:
            return compress_by_flags(workload, datatype=[name or datatype])

        return list(serve(
            found, Request(1024, 128, Phase(phase)), [known], datatypes=[datatype], batches=batches,
            model="expected", prepare=prepare, figures=read_figures(path, [known]),
        ).predictions)  # fmt: skip

    (row,) = ask([batch])
    assert row.tokens is not None
    assert row.tokens.tokens_per_s == pytest.approx(rate, rel=0.13)
    low, high = row.intervals["tokens_per_s"]
    assert low < rate < high
    if phase == "decode" and machine == "h100-sxm":
        times = [entry.tokens.tpot_s for entry in ask([1, 2, 4, 8, 16]) if entry.tokens]
        assert times == sorted(times, key=lambda time: time or 0.0)


def test_prompts_in_one_pass_do_not_wait_for_one_another() -> None:
    network = decoder("llama31_8b")
    assert network is not None
    bound, expected = serve(
        network, Request(1024, 128, Phase.PREFILL), [platform("h100-sxm")], batches=[8], datatypes=["fp16"]
    ).predictions  # fmt: skip
    assert bound.latency_s is not None
    assert expected.latency_s is not None
    assert bound.latency_s < expected.latency_s < 3 * bound.latency_s


def written(folder: Path, *rows: str) -> Path:
    path = folder / "figures.csv"
    path.write_text(
        "\n".join(["machine,network,datatype,tokens_per_s,context,phase,batch", *rows]) + "\n"
    )
    return path


@pytest.mark.parametrize("phase", ["decode", "prefill"])
def test_a_figure_that_is_as_expected_only_narrows(tmp_path: Path, phase: str) -> None:
    machine, network = platform("rtx-4090"), decoder("llama32_1b")
    assert network is not None
    request = Request(1024, 128, Phase(phase))

    def ask(figures: dict[str, list[Figure]] | None) -> tuple[float, float, float]:
        (row,) = serve(
            network, request, [machine], datatypes=["fp16"], model="expected", figures=figures
        ).predictions
        assert row.tokens is not None
        assert row.tokens.tokens_per_s is not None
        return row.tokens.tokens_per_s, *row.intervals["tokens_per_s"]

    before = ask(None)
    path = written(tmp_path, f"rtx-4090,llama32_1b,fp16,{before[0]},1024,{phase},1")
    figures = read_figures(path, [machine])
    middle, low, high = ask(figures)
    assert middle == pytest.approx(before[0], rel=1e-6)
    assert before[1] < low < middle < high < before[2]
    slower = written(tmp_path, f"rtx-4090,llama32_1b,fp16,{before[0] / 1.2},1024,{phase},1")
    moved = ask(read_figures(slower, [machine]))
    assert before[0] / 1.2 < moved[0] < before[0]


def test_served_requests_are_corrected_too(tmp_path: Path) -> None:
    machine = platform("h100-sxm")
    path = written(tmp_path, "h100-sxm,llama31_8b,fp8,900,1024,decode,16")
    figures = read_figures(path, [machine])
    assert [figure.run.law for figure in figures["h100-sxm"]] == ["tpot"]
    # 16 requests reach more than 900 tokens/s: the figure says that this machine is slower.
    assert figures["h100-sxm"][0].off > 0


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("rtx-4090,llama32_1b,fp16,9e9,1024,decode,1", "times what rtx-4090 allows"),
        ("rtx-4090,llama32_1b,fp16,0.001,1024,decode,1", "row 1: 0.001 tokens/s is .* of what"),
        (
            "rtx-4090,llama32_1b,fp16,50,1024,decode,99999",
            "row 1: 99,999 requests of 1,024 positions",
        ),
        ("rtx-4090,llama32_1b,fp16,50,999999,decode,1", "row 1: .*131,072 positions"),
        ("rtx-4090,llama32_1b,fp16,-1,1024,decode,1", "tokens_per_s is '-1'"),
        ("rtx-4090,llama32_1b,fp16,50,1024,typing,1", "unknown phase 'typing'"),
        ("rtx-4090,mlp,fp16,50,1024,decode,1", "mlp is no decoder"),
        (
            "rtx-4091,llama32_1b,fp16,50,1024,decode,1",
            "row 1: machine 'rtx-4091' has no platform file",
        ),
    ],
)
def test_a_figure_that_cannot_be_is_refused(tmp_path: Path, row: str, said: str) -> None:
    with pytest.raises(TableError, match=said):
        read_figures(written(tmp_path, row), [platform("rtx-4090")])


def test_a_table_of_other_machines_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path, "h100-sxm,llama32_1b,fp16,50,1024,decode,1")
    with pytest.raises(OptionError, match="no figure of rtx-4090"):
        read_figures(path, [platform("rtx-4090")])


@pytest.mark.parametrize("heading", ["bach", "batch_size", "contxt"])
def test_a_misspelt_column_is_refused_and_one_of_the_users_own_is_not(
    tmp_path: Path, heading: str
) -> None:
    path = tmp_path / "figures.csv"
    row = "rtx-4090,llama32_1b,fp16,200"
    path.write_text(f"machine,network,datatype,tokens_per_s,{heading}\n{row},1\n")
    with pytest.raises(TableError, match=f"'{heading}' is no column .* Did you mean"):
        read_figures(path, [platform("rtx-4090")])
    path.write_text(f"machine,network,datatype,tokens_per_s,source\n{row},mine\n")
    assert read_figures(path, [platform("rtx-4090")])
