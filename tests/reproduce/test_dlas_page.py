"""The page of measured DLAS runs, the table it is made from, and the rules between them."""

from __future__ import annotations

import csv
import json
import re
import statistics
from dataclasses import replace
from pathlib import Path

import pytest

from roofline.cli import main
from roofline.errors import OptionError
from roofline.validate.analysis.configurations import ROUND_MARGIN, configurations
from roofline.validate.analysis.derived import speedups
from roofline.validate.records.compression import Compression
from roofline.validate.records.executed import Executed
from roofline.validate.records.files import import_csv
from roofline.validate.records.record import Environment, Measurement, Status, Turn
from roofline.validate.records.request import RunRequest
from roofline.validate.records.turns import latest
from roofline.validate.studies.dlas.figures import measured_figures
from roofline.validate.studies.dlas.page import SECTIONS, regenerate
from roofline.validate.studies.dlas.rules import Case
from roofline.validate.studies.dlas.run_set import PageRuns, RunSet, shipped_page_runs
from roofline.validate.studies.dlas.runs import (
    SHIPPED,
    compared_configurations,
    shipped_csv,
    shipped_runs,
    tables,
)
from roofline.validate.studies.dlas.times import Span
from roofline.validate.studies.dlas.verdicts import (
    CONTRADICTED,
    HOLDS,
    MOSTLY,
    OPEN,
    UNDECIDED,
    Verdict,
    verdicts,
)

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "dlas.md"
TABLE = ROOT / "validate" / "campaigns" / SHIPPED
NETWORK = "mobilenet_v1_cifar10"
FP32 = Executed("fp32")
NOTHING = PageRuns(RunSet(()))


def run(milliseconds, *, samples=None, cpu_share=1.0, executed=FP32, turn=None, **job):
    taken = tuple(one / 1e3 for one in samples or (milliseconds,) * 20)
    algorithm = job.pop("algorithm", "direct")
    asked = RunRequest(
        job.pop("network", NETWORK),
        "tvm",
        **{"batch": 1, "tuning": "tuned"} | job,
        algorithm=algorithm,
    )
    return Measurement(
        asked, Status.OK, samples_s=taken, machine="here", executed=executed, turn=turn,
        wall_s=sum(taken), cpu_s=sum(taken) * cpu_share, environment=Environment(cores=2),
    )  # fmt: skip


def test_the_page_is_made_from_the_shipped_table():
    pytest.importorskip("matplotlib")
    text = PAGE.read_text(encoding="utf-8")
    assert regenerate(text, shipped_page_runs()) == text, (
        "make it again: python benchmarks/dlas_page.py"
    )


def test_every_picture_of_the_page_is_there_and_none_is_left_over():
    named = set(re.findall(r"\(images/(dlas_\w+\.png)\)", PAGE.read_text(encoding="utf-8")))
    assert named == {path.name for path in (PAGE.parent / "images").glob("dlas_*.png")}
    for name in named:
        assert (PAGE.parent / "images" / name).read_bytes().startswith(b"\x89PNG")


def test_the_shipped_runs_have_their_samples_and_machine():
    assert all(one.samples_s and one.environment.cpu for one in shipped_runs() if one.ok)
    assert TABLE.stat().st_size < 400_000


def test_speed_ups_of_the_page_are_quotients_of_the_tables_medians():
    """Recomputed from the CSV's own columns and the samples in its records, by other code."""
    with TABLE.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    medians = {}
    for row in rows:
        if row["status"] == "ok":
            median = 1e3 * statistics.median(json.loads(row["record"])["samples_s"])
            assert float(row["median_ms"]) == pytest.approx(median)
            way = (row["network"], row["variant"], row["datatype"], row["backend"], row["algorithm"],
                   row["tuning"], row["threads"])  # fmt: skip
            medians[way] = median
    expected = []
    for way, median in medians.items():
        dense = (way[0], "dense", "fp32", *way[3:])
        if way != dense and dense in medians:
            expected.append(f"{float(f'{medians[dense] / median:.3g}'):g}x")
    section = PAGE.read_text(encoding="utf-8").partition("generated: speedups")[2]
    shown = [line.split("|")[7].strip() for line in section.partition("<!-- end")[0].splitlines()
             if line.startswith("| ") and "_" in line]  # fmt: skip
    assert sorted(shown) == sorted(expected)
    assert shown


def test_a_page_must_have_every_section():
    with pytest.raises(OptionError, match="sections machine"):
        regenerate("<!-- generated: machine -->\n<!-- end -->", NOTHING)
    empty = "".join(f"<!-- generated: {name} -->\nold\n<!-- end -->\n" for name in SECTIONS)
    pytest.importorskip("matplotlib")
    made = regenerate(empty, NOTHING)
    assert "old" not in made
    assert regenerate(made, NOTHING) == made


@pytest.mark.parametrize(
    ("yes", "no", "unclear", "verdict"),
    [
        (0, 0, 0, OPEN),
        (3, 0, 0, HOLDS),
        (3, 2, 0, MOSTLY),
        (3, 0, 2, MOSTLY),  # more than half, however the two would fall
        (2, 2, 0, CONTRADICTED),  # half is not most
        (1, 3, 1, CONTRADICTED),  # not most, even with the open one
        (2, 1, 1, UNDECIDED),  # three of four, or two of four
        (0, 0, 1, UNDECIDED),
    ],
)
def test_the_cases_make_the_verdict(yes, no, unclear, verdict):
    cases = [*[Case("", True)] * yes, *[Case("", False)] * no, *[Case("", None)] * unclear]
    assert Verdict("X", "claim", "rule", tuple(cases)).verdict == verdict


def test_overlapping_intervals_are_undecided():
    assert Span(1, 2).over(Span(3, 4)).is_below(1) is True
    assert Span(3, 4).over(Span(1, 2)).is_below(1) is False
    assert Span(1, 3).over(Span(2, 4)).is_below(1) is None


def test_the_interval_of_a_time():
    (one,) = configurations([run(10)])
    assert one.low_s == pytest.approx(0.010 * (1 - ROUND_MARGIN))
    assert one.high_s == pytest.approx(0.010 * (1 + ROUND_MARGIN))
    # Wide samples: the quantiles. 10 to 13 ms in even steps of 0.15 ms: 5 % is one step from either end.
    spread = [10 + 0.15 * (i * 19 % 21) for i in range(21)]
    (one,) = configurations([run(0, samples=spread)])
    assert (one.low_s, one.high_s) == (pytest.approx(0.01015), pytest.approx(0.01285))
    assert not one.disturbed
    # A disturbed run may have been anything it showed.
    (one,) = configurations([run(0, samples=spread, cpu_share=0.5)])
    assert (one.low_s, one.high_s) == (pytest.approx(0.010), pytest.approx(0.013))
    assert one.disturbed.startswith("waited")
    # So may one that was slow for most of the time and fast for some of it.
    (one,) = configurations([run(0, samples=[10 if i % 4 == 0 else 14 for i in range(20)])])
    assert (one.low_s, one.high_s) == (pytest.approx(0.010), pytest.approx(14 * 1.05e-3))
    assert one.disturbed.startswith("uneven: median +40%")
    # Two rounds speak for themselves.
    (one,) = configurations([run(10), run(10.2)])
    assert (one.low_s, one.high_s) == (pytest.approx(0.010), pytest.approx(0.0102))


def test_a_lead_within_the_interval_decides_nothing():
    def outcome(milliseconds, **how):
        runs = [run(10), run(milliseconds, algorithm="spatial_pack", **how)]
        return {one.observation: one for one in verdicts(compared_configurations(runs))}["VII"]

    assert outcome(9.5).verdict == UNDECIDED
    assert outcome(8.0).verdict == HOLDS
    assert outcome(12.0).verdict == CONTRADICTED
    disturbed = outcome(0, samples=[8.0] * 19 + [11.0], cpu_share=0.5)
    assert disturbed.verdict == UNDECIDED
    assert disturbed.cases[0].disturbed


def test_emulated_datatypes_are_called_so():
    runs = [run(4), run(16, datatype="fp16", executed=Executed("fp16", emulated=True)),
            run(2, datatype="int8", executed=Executed("int8", "int32"))]  # fmt: skip
    assert [row.configuration.shown_technique for row in speedups(configurations(runs))] == [
        "fp16 (emulated)",
        "int8",
    ]
    cells = {cell.cell.split()[0]: cell for cell in tables(runs)[0].cells}
    assert "fp16 (emulated) 0.25x, int8 2x" in cells["V"].why


def test_the_last_attempt_counts():
    first, again = run(9, turn=Turn("a", 1, 1)), run(3, turn=Turn("a", 1, 2))
    other, alone = run(5, turn=Turn("b", 1, 1)), run(7)
    assert latest([again, first, other, alone]) == (again, other, alone)


def test_shipped_records_lose_digits_of_samples_alone():
    runs = [run(1.23456789, turn=Turn("a")), run(2, datatype="int8", executed=Executed("int8"))]
    back = import_csv(shipped_csv(runs))
    assert back[0].samples_s == (1.2346e-3,) * 20
    assert back[1] == runs[1]
    assert [(one.job, one.turn, one.executed) for one in back] == [
        (one.job, one.turn, one.executed) for one in runs
    ]


def cli(capsys, *arguments):
    with pytest.raises(SystemExit) as stop:
        main(["reproduce", *arguments])
    return stop.value.code, capsys.readouterr()


def test_the_command_takes_exported_records(tmp_path, capsys):
    path = tmp_path / "mine.csv"
    path.write_text(shipped_csv([run(2), run(1, algorithm="spatial_pack")]))
    code, shown = cli(capsys, "dlas", "--runs", str(path), "--format", "json")
    assert not shown.err
    (observations, _) = json.loads(shown.out)["tables"]
    assert (code, observations["agree"]) == (0, 1)
    assert observations["agreed"][0]["cell"].startswith("VII ")
    code, shown = cli(capsys, "dlas", "--runs", str(path), "--store", str(path))
    assert (code, shown.err.count("\n")) == (2, 1)


def test_without_arguments_the_shipped_runs_decide(capsys):
    code, shown = cli(capsys, "dlas", "--format", "json")
    named = {entry["name"]: entry for entry in json.loads(shown.out)["tables"]}
    found = named["Observations, measured"]
    verdicts_shown = {cell["ours"] for cell in (*found["agreed"], *found["disagree"])}
    assert code == 0
    assert found["cells"] == 13
    assert verdicts_shown <= {HOLDS, MOSTLY, CONTRADICTED, UNDECIDED, OPEN}


def test_ways_stand_in_the_same_order_whatever_was_run_first():
    """Untuned, tuned, another runtime; a column that only a later network has goes to its place."""
    pytest.importorskip("matplotlib")
    other = run(1.0, algorithm="default", tuning="none", threads=1)
    runs = [
        run(1.0, algorithm="gemm", threads=1),
        replace(other, job=replace(other.job, backend="onnxruntime")),
        run(2.0, network="vgg16_cifar10", algorithm="blocked", threads=1),
        run(3.0, network="vgg16_cifar10", algorithm="spatial_pack", threads=1),
        run(9.0, network="vgg16_cifar10", tuning="untuned", threads=1),
    ]
    figure = measured_figures(compared_configurations(runs))["algorithms"].figure()
    assert [text.get_text() for text in figure.axes[0].get_xticklabels()] == [
        "untuned direct", "tuned gemm", "tuned spatial pack", "tuned blocked", "onnxruntime",
    ]  # fmt: skip


def test_a_network_with_one_compressed_run_has_no_panel():
    pytest.importorskip("matplotlib")
    pruned = {"sparsity": 0.95, "sparse_format": "csr"}
    runs = [
        run(10.0, network=name, threads=1, algorithm=algorithm, **more)
        for name, algorithms in ((NETWORK, ("direct", "gemm")), ("vgg16_cifar10", ("direct",)))
        for algorithm in algorithms
        for more in ({}, {"compression": Compression(**pruned)})
    ]
    shown = measured_figures(compared_configurations(runs))["speedup_tuned"]
    assert {row["network"] for row in shown.records()} == {NETWORK}
    assert len(list(shown.records())) == 2
