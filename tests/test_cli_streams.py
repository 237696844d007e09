"""What happens to a run when the other ends of its streams go away, fill up or know only ASCII."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from roofline import workloads
from roofline.child import start_python
from roofline.validate.records.store import Store

from .cli_process import run_roofline

MEASURE = ("measure", "mlp", "--backend", "onnxruntime", "--runs", "3", "--sampling-s", "0.2")


def run_unread(arguments: Sequence[str], *streams: str, **options: object) -> int:
    """Run with pipes that nobody reads any more; return the exit code."""
    reader, writer = os.pipe()
    os.close(reader)
    ends = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    ends |= dict.fromkeys(streams, writer)
    with start_python("-m", "roofline", *arguments, **ends, **options) as process:
        os.close(writer)
        return process.wait(120)


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ("count mlp --layers", 0),
        ("count no-network", 2),
        ("predict mlp -p h100-sxm -d fp16 --fail-if fps>1", 1),
    ],
)
def test_a_reader_that_has_gone_changes_no_exit_code(arguments: str, code: int) -> None:
    assert run_unread(arguments.split(), "stdout", "stderr") == code


@pytest.mark.slow
@pytest.mark.parametrize("streams", [("stdout",), ("stderr",), ("stdout", "stderr")])
def test_a_measurement_outlives_its_readers(streams: tuple[str, ...], tmp_path: Path) -> None:
    store = tmp_path / "records.db"
    variables = {"ROOFLINE_CACHE": str(tmp_path / "cache")}
    assert run_unread([*MEASURE, "--store", str(store)], *streams, variables=variables) == 0
    with Store(store, writable=False) as kept:
        assert [run.ok for run in kept.records()] == [True]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full here")
def test_a_full_disk_behind_a_stream_is_one_line() -> None:
    with Path("/dev/full").open("wb") as full:
        done = run_roofline("count", "mlp", stdout=full)
    assert done.returncode == 2
    assert done.stderr == "roofline: error: input/output: No space left on device\n"


ASCII = [
    {"PYTHONIOENCODING": "ascii"},
    {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
]


@pytest.mark.parametrize("variables", ASCII)
@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["count", "mlp"], 0),
        (["platforms", "show", "h100-sxm"], 0),
        (["count", "größe.onnx"], 2),
        (["count", "mlp", "--größe"], 2),
    ],
)
def test_a_terminal_of_ascii_alone_is_no_fault(
    variables: dict[str, str], arguments: list[str], code: int
) -> None:
    done = run_roofline(*arguments, variables=variables)
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    assert (done.stdout + done.stderr).isascii()


@pytest.mark.parametrize("variables", ASCII)
def test_results_survive_ascii(variables: dict[str, str], tmp_path: Path) -> None:
    model = tmp_path / "größe.onnx"
    built = workloads.build("mlp")
    built.graph.name = "größe \U0001f600"
    model.write_bytes(built.SerializeToString())
    done = run_roofline("count", str(model), "--format", "json", variables=variables)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["totals"]["macs"] == 10_014_720


@pytest.mark.slow
def test_an_interrupt_says_so(tmp_path: Path) -> None:
    store, cache = tmp_path / "records.db", tmp_path / "cache"
    arguments = (
        "measure", "mlp", "--backend", "onnxruntime", "--runs", "1000000", "--sampling-s", "60",
        "--store", str(store),
    )  # fmt: skip
    variables = {"ROOFLINE_CACHE": str(cache), "TMPDIR": str(tmp_path)}
    with start_python(
        "-m", "roofline", *arguments, variables=variables, stderr=subprocess.PIPE, text=True
    ) as process:
        last = time.monotonic() + 60
        while not any(tmp_path.glob("roofline-*")) and time.monotonic() < last:
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        assert process.communicate(timeout=60)[1] == "roofline: error: stopped\n"
    assert process.returncode == 130
    assert not list(tmp_path.glob("roofline-*"))
