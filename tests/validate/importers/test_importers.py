"""Runs of other tools are read as their tools mean them; what cannot be taken is listed, nothing is dropped."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from roofline.errors import TableError
from roofline.validate.records.importers import importers, read_runs
from roofline.validate.records.importers._registry import Facts

from ...cli_process import answered

FACTS = Facts(network="net", machine="box", datatype="fp16", batch=2)
PORTAL = (
    Path(os.environ.get("ROOFLINE_FACTS", Path(__file__).parents[4] / "shared" / "facts"))
    / "qutibench"
    / "measurements_clean.csv"
)


def written(tmp_path: Path, name: str, content: object) -> Path:
    path = tmp_path / name
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def test_trtexec_times_are_samples(tmp_path: Path) -> None:
    entries = [
        {"startComputeMs": 0.0, "computeMs": ms, "latencyMs": ms + 1} for ms in (2.0, 4.0, 3.0)
    ]
    used, found = read_runs(written(tmp_path, "times.json", entries), FACTS)
    (run,) = found.measurements
    assert used.name == "trtexec-times"
    assert run.samples_s == pytest.approx((0.002, 0.004, 0.003))
    # Two items in a median of 3 ms.
    assert run.throughput_fps == pytest.approx(2 / 0.003)


def test_trtexec_layers_add_up(tmp_path: Path) -> None:
    entries = [{"count": 10}, {"name": "a", "averageMs": 1.5}, {"name": "b", "averageMs": 0.5}]
    used, found = read_runs(written(tmp_path, "layers.json", entries), FACTS)
    assert used.name == "trtexec-profile"
    assert found.measurements[0].median_s == pytest.approx(0.002)


def test_onnxruntime_profile_discards_the_first_run(tmp_path: Path) -> None:
    events = [
        {"cat": "Session", "name": "model_run", "dur": us} for us in (9000, 1000, 3000, 2000)
    ]
    used, found = read_runs(written(tmp_path, "profile.json", events), FACTS)
    (run,) = found.measurements
    assert used.name == "onnxruntime-profile"
    assert (run.first_s, run.median_s) == pytest.approx((0.009, 0.002))


def test_openvino_report_keeps_requests_in_flight_apart(tmp_path: Path) -> None:
    text = (
        "Command line parameters\n;\nExecution results\nMedian latency (ms);20.0\nthroughput;400\n"
    )
    used, found = read_runs(written(tmp_path, "report.csv", text), FACTS)
    (run,) = found.measurements
    assert used.name == "openvino-csv"
    assert (run.throughput_fps, run.median_s) == (400.0, 0.02)
    assert run.reported is not None
    # 400 items a second × 0.02 s are 8 items in flight: 4 requests of 2.
    assert run.reported.concurrency == 4


def test_openvino_json(tmp_path: Path) -> None:
    document = {"execution_results": {"latency_median": 5.0, "throughput": 400.0}}
    used, found = read_runs(written(tmp_path, "report.json", document), FACTS)
    assert used.name == "openvino-json"
    assert found.measurements[0].throughput_fps == 400.0


def test_rows_that_cannot_be_taken_are_listed_with_reasons(tmp_path: Path) -> None:
    text = (
        "platform,network,batch,measured_fps,latency_ms,accuracy_percent\n"
        "a,n,1,100,10,90\n"  # good
        "a,n,1,100,10,90\n"  # the same again
        "a,n,2,,,90\n"  # no figure
        "a,n,4,fast,10,90\n"  # no number
        "a,n,8,100,80,190\n"  # no percentage
        ",n,1,100,10,90\n"  # no machine
    )
    _, found = read_runs(written(tmp_path, "runs.csv", text), Facts())
    assert len(found.measurements) == 1
    # What says nothing new or nothing at all is left out; a damaged cell puts the file in doubt.
    assert [(entry.row, entry.reason, entry.damaged) for entry in found.rejected] == [
        (2, "the same configuration stands in an earlier row", False),
        (3, "neither a throughput nor a latency", False),
        (4, "measured_fps is 'fast', not a number of at least 0", True),
        (5, "accuracy_percent is '190', not a number within 0–100", True),
        (6, "no platform", True),
    ]


@pytest.mark.parametrize(
    "batch", ["0", "1.5", "-1", "1e3", "9" * 20, "9" * 5000, "one", "nan", "1,5"]
)
def test_a_batch_is_a_whole_number_or_damage(tmp_path: Path, batch: str) -> None:
    text = f'platform,network,batch,measured_fps\na,n,"{batch}",100\n'
    _, found = read_runs(written(tmp_path, "runs.csv", text), Facts())
    assert found.measurements == ()
    (entry,) = found.rejected
    assert entry.damaged
    assert entry.reason.startswith("batch is ")
    assert len(entry.reason) < 100


@pytest.mark.parametrize("damaged", ["0", "1.5", "1" + "0" * 20, ""])
def test_files_are_stored_all_or_not_at_all(
    tmp_path: Path, damaged: str, capsys: pytest.CaptureFixture[str]
) -> None:
    head, store = "platform,network,batch,measured_fps\n", tmp_path / "runs.db"
    good = written(tmp_path, "good.csv", f"{head}a,n,1,100\n")
    bad = written(tmp_path, "bad.csv", f"{head}a,n,2,100\na,n,{damaged},100\na,n,4,100\n")
    code, out, err = answered(capsys, "import", str(good), str(bad), "--store", str(store))
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "bad.csv row 2: batch is " in err
    assert not store.exists()


def test_what_is_no_name_is_damage(tmp_path: Path) -> None:
    text = f"platform,network,batch,measured_fps\na,{'n' * 1001},1,100\na,{'n' * 1000},1,100\n"
    _, found = read_runs(written(tmp_path, "runs.csv", text), Facts())
    assert [entry.reason for entry in found.rejected] == [
        "network is 1,001 characters long, and at most 1,000 are taken"
    ]
    assert len(found.measurements) == 1


def test_a_character_that_no_text_holds_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path, "runs.csv", "platform,network,batch,measured_fps\na,n\0,1,100\n")
    with pytest.raises(TableError, match="line 2 holds a NUL"):
        read_runs(path, Facts())


def test_an_empty_batch_is_what_the_user_says_or_damage(tmp_path: Path) -> None:
    path = written(tmp_path, "runs.csv", "platform,network,batch,measured_fps\na,n,,100\n")
    assert read_runs(path, Facts())[1].rejected[0].damaged
    assert read_runs(path, Facts(batch=8))[1].measurements[0].job.batch == 8


@pytest.mark.parametrize("odd", ["\x0c", "\u2028", "\x85", "\x1c", "\n", "\r\n", ","])
def test_a_cell_may_hold_what_other_programs_take_for_the_end_of_a_line(
    tmp_path: Path, odd: str
) -> None:
    path = tmp_path / "runs.csv"
    text = f'platform,network,batch,measured_fps\na,"res{odd}net",4,100\nb,mlp,1,7\n'
    path.write_bytes(text.encode())
    _, found = read_runs(path, Facts())
    assert [
        (run.machine, run.job.network, run.job.batch, run.throughput_fps)
        for run in found.measurements
    ] == [
        ("a", f"res{odd}net", 4, 100.0),
        ("b", "mlp", 1, 7.0),
    ]


@pytest.mark.parametrize(
    ("name", "document", "message"),
    [
        ("times.json", [{"computeMs": "fast"}], "entry 1: computeMs is 'fast'"),
        ("times.json", [{"computeMs": 1.0}, {"computeMs": None}], "entry 2: computeMs is None"),
        ("times.json", [{"computeMs": 1.0}, 7], "entry 2 is 7, not an object"),
        ("profile.json", [{"cat": "Session", "name": "model_run", "dur": -1}], "dur is -1"),
        ("report.json", {"execution_results": {"throughput": "inf"}}, "throughput is 'inf'"),
        ("report.json", {"execution_results": []}, "execution_results is not an object"),
        ("times.json", '[{"computeMs": ' + "9" * 5000 + "}]", "thousands of digits"),
    ],
)
def test_damaged_reports_of_tools_say_where(
    tmp_path: Path, name: str, document: object, message: str
) -> None:
    with pytest.raises(TableError, match=message):
        read_runs(written(tmp_path, name, document), FACTS)


def test_half_a_character_is_refused_before_anything_is_stored(tmp_path: Path) -> None:
    path = written(tmp_path, "times.json", [{"computeMs": 1.0}])
    with pytest.raises(TableError, match="half a character"):
        read_runs(path, Facts(network="net\udcff", machine="box"))


def test_contradicting_latency_is_flagged(tmp_path: Path) -> None:
    text = "platform,network,batch,measured_fps,latency_ms\na,n,1,200,10\n"
    _, found = read_runs(written(tmp_path, "runs.csv", text), Facts())
    (run,) = found.measurements
    assert run.notes == ("latency and batch imply 100 fps",)
    assert run.reported is not None
    assert (run.reported.throughput_fps, run.reported.latency_s) == (200.0, 0.01)


def test_every_figure_of_a_row_is_kept_in_base_units(tmp_path: Path) -> None:
    text = "platform,network,batch,latency_ms,power_w,accuracy_percent\na,n,4,20,7.5,76.1\n"
    (run,) = read_runs(written(tmp_path, "runs.csv", text), Facts())[1].measurements
    assert run.reported is not None
    figures = (run.reported.throughput_fps, run.reported.latency_s, run.reported.power_w)
    assert figures == (None, 0.02, 7.5)
    assert run.reported.accuracy == pytest.approx(0.761)


def test_columns_can_be_mapped(tmp_path: Path) -> None:
    path = written(tmp_path, "other.csv", 'HW,net,fps\nbox,one,"1,234.5"\n')
    facts = Facts(columns={"platform": "HW", "network": "net", "measured_fps": "fps"})
    _, found = read_runs(path, facts, form="csv")
    assert found.measurements[0].throughput_fps == 1234.5


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"platfrom": "HW"}, r"Did you mean 'platform'\?"),
        ({"platform": "hw"}, "has no column 'hw'"),
        ({"platform": "HW", "network": "net"}, "measured_fps or latency_ms"),
    ],
)
def test_bad_mappings_are_refused(tmp_path: Path, columns: dict[str, str], message: str) -> None:
    path = written(tmp_path, "other.csv", "HW,net,fps\nbox,one,1\n")
    with pytest.raises(TableError, match=message):
        read_runs(path, Facts(columns=columns), form="csv")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.json", "{"),
        ("a.json", "[]"),
        ("a.csv", ""),
        ("a.csv", "x,y\n1,2\n"),
        ("a.txt", "hello"),
    ],
)
def test_files_of_no_format_are_refused(tmp_path: Path, name: str, content: str) -> None:
    with pytest.raises(TableError):
        read_runs(written(tmp_path, name, content), FACTS)


def test_a_single_run_needs_its_network(tmp_path: Path) -> None:
    path = written(tmp_path, "times.json", [{"computeMs": 1.0}])
    with pytest.raises(TableError, match="does not say the network"):
        read_runs(path, Facts())


def test_every_format_says_what_it_reads() -> None:
    assert all(importers.get(name).title for name in importers)
    assert {"csv", "qutibench", "trtexec-times", "openvino-csv", "onnxruntime-profile"} <= set(
        importers
    )


@pytest.mark.skipif(not PORTAL.exists(), reason="the portal's measurements are not at hand")
def test_the_portal_table_is_taken_or_explained_row_by_row() -> None:
    used, found = read_runs(PORTAL, Facts())
    assert used.name == "qutibench"
    assert len(found.measurements) + len(found.rejected) == 974
    # ResNet-50 v1.5 stands in the table twice for each mode of the EdgeTPU.
    assert [entry.reason for entry in found.rejected] == [
        "the same configuration stands in an earlier row"
    ] * 2
    best = max(
        run.throughput_fps or 0
        for run in found.measurements
        if run.machine == "ultra96-dpu"
        and run.job.network == "resnet50"
        and run.job.compression.nothing
    )
    assert best == pytest.approx(25.9, rel=0.05)


# Keys as llama.cpp's tools/llama-bench writes them, of a run that its documentation shows in part.
BENCH = {
    "build_commit": "8cf427ff", "cpu_info": "AMD Ryzen 7 7800X3D", "gpu_info": "NVIDIA GeForce RTX 4080",
    "backends": "CUDA", "model_filename": "models/llama-3.1-8b-q4_k_m.gguf", "model_type": "llama 8B Q4_K - Medium",
    "model_size": 4912898304, "model_n_params": 8030261312, "n_batch": 2048, "n_threads": 8, "n_gpu_layers": 99,
    "n_prompt": 0, "n_gen": 128, "n_depth": 0, "avg_ns": 1280000000, "avg_ts": 100.0,
    "samples_ns": [1280000000, 1300000000, 1260000000],
}  # fmt: skip


def test_llama_bench_gives_tokens_per_second_of_both_phases(tmp_path: Path) -> None:
    prompt = {**BENCH, "n_prompt": 512, "n_gen": 0, "samples_ns": [102400000], "avg_ts": 5000.0}
    both = {**BENCH, "n_prompt": 512}
    used, found = read_runs(written(tmp_path, "bench.json", [BENCH, prompt, both]), Facts())
    decode, prefill = found.measurements
    assert used.name == "llama-bench"
    assert decode.throughput_fps == pytest.approx(100)
    assert prefill.throughput_fps * prefill.job.tokens_per_item == pytest.approx(5000)
    assert (decode.job.network, decode.job.datatype) == ("llama31_8b", "q4_k_m")
    assert decode.machine == "NVIDIA GeForce RTX 4080"
    assert [(run.job.phase, run.job.context) for run in found.measurements] == [
        ("decode", 63), ("prefill", 512),
    ]  # fmt: skip
    assert [entry.row for entry in found.rejected] == [3]


def test_a_llama_bench_with_one_test_a_line_is_the_same(tmp_path: Path) -> None:
    tests = [
        BENCH,
        {**BENCH, "n_prompt": 512, "n_gen": 0, "samples_ns": [102400000], "avg_ts": 5000.0},
    ]
    lines = tmp_path / "bench.jsonl"
    lines.write_text("".join(json.dumps(test) + "\n" for test in tests))
    used, found = read_runs(lines, Facts())
    assert used.name == "llama-bench"
    whole = read_runs(written(tmp_path, "bench.json", tests), Facts())[1]
    assert [run.samples_s for run in found.measurements] == [
        run.samples_s for run in whole.measurements
    ]
    lines.write_text(json.dumps(BENCH) + "\n{\n")
    with pytest.raises(TableError, match=r"bench\.jsonl line 2"):
        read_runs(lines, Facts())


def test_a_test_that_llama_cpp_documents_is_read_as_it_says(tmp_path: Path) -> None:
    """The second test of the JSON in llama.cpp's tools/llama-bench/README.md."""
    entry = {
        "build_commit": "8cf427ff", "build_number": 5163, "cpu_info": "AMD Ryzen 7 7800X3D 8-Core Processor",
        "gpu_info": "NVIDIA GeForce RTX 4080", "backends": "CUDA",
        "model_filename": "models/Qwen2.5-7B-Instruct-Q4_K_M.gguf", "model_type": "qwen2 7B Q4_K - Medium",
        "model_size": 4677120000, "model_n_params": 7615616512, "n_threads": 8, "n_gpu_layers": 99,
        "n_prompt": 0, "n_gen": 128, "n_depth": 0, "avg_ns": 1076767880, "stddev_ns": 9449585,
        "avg_ts": 118.881588, "stddev_ts": 1.041811,
        "samples_ns": [1075361300, 1065089400, 1071761200, 1081934900, 1089692600],
        "samples_ts": [119.03, 120.178, 119.43, 118.307, 117.464],
    }  # fmt: skip
    _, found = read_runs(written(tmp_path, "bench.json", [entry]), Facts())
    (run,) = found.measurements
    assert run.throughput_fps == pytest.approx(119.03, rel=1e-4)
    assert (run.job.network, run.job.datatype) == ("qwen25_7b", "q4_k_m")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"model_type": "llama 8B IQ9"}, "does not say the datatype"),
        ({"n_gen": "many"}, "n_gen"),
        ({"samples_ns": 5}, "samples_ns is no list"),
        ({"avg_ts": 120.0}, "avg_ts is 120 tokens/s, and its times are of 100"),
    ],
)
def test_a_damaged_llama_bench_is_one_line(
    tmp_path: Path, changes: dict[str, object], said: str
) -> None:
    with pytest.raises(TableError, match=said):
        read_runs(written(tmp_path, "bench.json", [{**BENCH, **changes}]), Facts())


def test_vllm_bench_gives_medians_of_both_times(tmp_path: Path) -> None:
    result = {
        "date": "20260101-000000", "model_id": "meta-llama/Llama-3.1-8B-Instruct", "max_concurrency": 16,
        "completed": 100, "total_input_tokens": 102400, "total_output_tokens": 12800, "duration": 12.8,
        "output_throughput": 1000.0, "request_throughput": 7.8125,
        "median_ttft_ms": 120.0, "median_tpot_ms": 12.5,
    }  # fmt: skip
    facts = Facts(machine="h100-sxm", datatype="bf16")
    used, found = read_runs(written(tmp_path, "served.json", result), facts)
    decode, prefill = found.measurements
    assert used.name == "vllm-bench"
    assert decode.median_s == pytest.approx(0.0125)
    assert decode.throughput_fps == pytest.approx(16 / 0.0125)
    assert prefill.median_s == pytest.approx(0.12)
    assert [(run.job.phase, run.job.context) for run in found.measurements] == [
        ("decode", 1024 + 63), ("prefill", 1024),
    ]  # fmt: skip
    assert decode.job.options["new_tokens"] == 128
    # The file has the datatype of no product; what was asked for is not what ran.
    assert (decode.executed.datatype, prefill.executed.label, decode.is_emulated) == (
        "",
        "",
        False,
    )
    assert decode.job.network == "llama31_8b"
    _, found = read_runs(written(tmp_path, "other.json", {**result, "model_id": "mine"}), facts)
    assert {run.job.network for run in found.measurements} == {"mine"}
    with pytest.raises(TableError, match="output_throughput is 900 a second"):
        read_runs(written(tmp_path, "changed.json", {**result, "output_throughput": 900.0}), facts)
    with pytest.raises(TableError, match="how many requests"):
        read_runs(written(tmp_path, "open.json", {**result, "max_concurrency": None}), facts)


def test_a_row_of_an_unknown_datatype_is_refused_by_its_column(tmp_path: Path) -> None:
    path = tmp_path / "runs.csv"
    path.write_text("platform,network,datatype,measured_fps\nbox,net,fp16,5\nbox,net,fp17,5\n")
    _, found = read_runs(path, Facts())
    assert [run.job.datatype for run in found.measurements] == ["fp16"]
    ((row, reason),) = [(gone.row, gone.reason) for gone in found.rejected]
    assert (row, "datatype: unknown datatype 'fp17'" in reason) == (2, True)


def test_an_openvino_report_that_states_no_batch_is_of_one_item(tmp_path: Path) -> None:
    text = "Execution results\nMedian latency (ms);20.0\nthroughput;400\n"
    _, found = read_runs(
        written(tmp_path, "report.csv", text), Facts(network="net", machine="box", datatype="fp16")
    )
    (run,) = found.measurements
    assert run.job.batch == 1
    assert run.reported is not None
    # 400 items a second x 0.02 s are eight requests of one item.
    assert run.reported.concurrency == 8


def test_an_openvino_report_needs_one_of_its_two_figures(tmp_path: Path) -> None:
    alone = "Execution results\nMedian latency (ms);20.0\n"
    _, found = read_runs(written(tmp_path, "report.csv", alone), FACTS)
    assert found.measurements[0].median_s == 0.02
    with pytest.raises(TableError, match="neither a throughput nor a latency"):
        read_runs(written(tmp_path, "none.csv", "Execution results\nthroughput;N/A\n"), FACTS)
