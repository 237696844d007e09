"""Measured tokens per second of a machine that correct what is expected of it."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from roofline._load import decoder
from roofline.decoding.request import Phase, Request
from roofline.errors import OptionError, TableError
from roofline.model.decoder_laws import FittedLaw
from roofline.model.sum_law import SumLaw
from roofline.serving import serve
from roofline.spec import platform
from roofline.validate.evidence.token_figures import read_figures

LAW = FittedLaw(SumLaw({}), {"other": 0.5}, {"other": 0.3}, ("a",), 10, "")


def test_a_figure_moves_the_estimate_by_the_share_that_is_the_machines() -> None:
    shift, width = LAW.correct("other", [0.2])
    # Of a variance of 0.25 are 0.09 of single runs and 0.16 of the machine.
    assert shift == pytest.approx(0.2 * 0.16 / 0.25)
    assert width == pytest.approx(math.sqrt(0.16 * 0.09 / 0.25 + 0.09))


def test_many_figures_leave_what_single_runs_differ_by() -> None:
    assert LAW.correct("other", []) == (0.0, 0.5)
    shift, width = LAW.correct("other", [0.2] * 10_000)
    assert shift == pytest.approx(0.2, rel=1e-3)
    assert width == pytest.approx(0.3, rel=1e-3)


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

    def ask(figures: dict[str, dict[str, list[float]]] | None) -> tuple[float, float, float]:
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
    assert list(figures["h100-sxm"]) == ["tpot"]
    # 16 requests reach more than 900 tokens/s: the figure says that this machine is slower.
    assert figures["h100-sxm"]["tpot"][0] > 0


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("rtx-4090,llama32_1b,fp16,9e9,1024,decode,1", "times what rtx-4090 allows"),
        ("rtx-4090,llama32_1b,fp16,-1,1024,decode,1", "tokens_per_s is '-1'"),
        ("rtx-4090,llama32_1b,fp16,50,1024,typing,1", "unknown phase 'typing'"),
        ("rtx-4090,mlp,fp16,50,1024,decode,1", "mlp is no decoder"),
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
