"""What comes in by flags and goes out to terminals and spreadsheets: bounded, finite, clean and short."""

from __future__ import annotations

import csv
import io
import json
import os
import subprocess
import sysconfig
from pathlib import Path

import pytest
from onnx import helper

from roofline.cli._output import as_csv, as_table
from roofline.errors import RooflineError, one_line, printable

from .cli_process import answered as run
from .cli_process import run_roofline
from .conformance.graphs import model, node

ESCAPE = "\x1b[2J\x9b31m\u202e"


@pytest.mark.parametrize(
    "arguments",
    [
        ["predict", "mlp", "-p", "ncs", "-b", "9" * 400],
        ["predict", "mlp", "-p", "ncs", "-b", "9" * 5000],
        ["count", "mlp", "-b", "9" * 20],
        ["count", "mlp", "--dim", "N=" + "9" * 5000],
        ["count", "mlp", "--input", "x=1x" + "9" * 400],
        ["count", "mlp", "--value", "x=" + "9" * 5000],
        ["count", "mlp", "--value", "x=nan"],
        ["count", "mlp", "--keep-channels", "nan"],
        ["measure", "mlp", "--budget-s", "nan"],
        ["measure", "mlp", "--time-limit", "inf"],
        ["measure", "mlp", "--memory-limit-gb", "inf"],
        ["measure", "mlp", "--threads", "100000000"],
        ["measure", "mlp", "--memory-limit-gb", "1e308"],
        ["measure", "mlp", "--time-limit", "1e308"],
        ["calibrate", "--threads", "100000000"],
        ["calibrate", "--seconds", "1e308"],
        ["demo", "--minutes", "1e308"],
        ["predict", "llama32_1b", "-p", "ncs", "-d", "fp16", "--max-ttft-ms", "0"],
        ["predict", "llama32_1b", "-p", "ncs", "-d", "fp16", "--new-tokens", "999999999"],
        ["compress", "mlp", "-o", "x.onnx", "-d", "w4a16", "--block", "9" * 400],
        ["advise", "mlp", "--min-fps", "nan"],
        ["accuracy", "x.onnx", "--data", "x", "--resize", "9" * 400],
        ["accuracy", "x.onnx", "--data", "x", "--mean", "nan,1,1"],
    ],
    ids=lambda arguments: " ".join(arguments)[:40],
)  # fmt: skip
def test_numbers_of_flags_are_finite_and_bounded(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, err = run(capsys, *arguments)
    assert (code, out) == (2, "")
    assert err.count("\n") == 1
    assert len(err) < 400


@pytest.mark.parametrize(
    ("verb", "file"),
    [("sweep", "in.yaml"), ("report", "in.csv"), ("import", "in.csv"), ("campaign run", "in.yaml"),
     ("plot efficiency", "in.csv"), ("platforms check", "in.yaml"), ("count", "in.onnx"),
     ("count", "in.json"), ("advise mlp --min-fps 3 --accuracy", "in.csv")],
)  # fmt: skip
@pytest.mark.parametrize("kind", ["pipe", "endless"])
def test_no_verb_waits_for_a_pipe_or_reads_without_end(
    tmp_path: Path, verb: str, file: str, kind: str
) -> None:
    path = tmp_path / file
    if kind == "pipe":
        os.mkfifo(path)
    else:
        path.symlink_to("/dev/zero")
    arguments = [*verb.split(), str(path)]
    arguments += ["-o", str(tmp_path / "x.svg")] if verb.startswith("plot") else []
    done = run_roofline(*arguments, timeout=60, cwd=tmp_path)
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr


def hostile(tmp_path: Path) -> Path:
    call = node("Relu", "x", "y")
    call.name = f"layer{ESCAPE}\nnext"
    call.op_type = "Relu"
    odd = helper.make_node("=cmd|'x'!A0", ["x"], ["z"], name="=1+1", domain=f"d{ESCAPE}")
    path = tmp_path / "hostile.onnx"
    path.write_bytes(
        model([call, odd], {"x": [4, 4]}, "y", domains={f"d{ESCAPE}": 1}).SerializeToString()
    )
    return path


@pytest.mark.parametrize("form", ["table", "json", "csv"])
def test_no_name_reaches_the_terminal_as_a_command(
    tmp_path: Path, form: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, err = run(capsys, "count", str(hostile(tmp_path)), "--layers", "--format", form)
    assert code == 0
    assert not set(ESCAPE) & {"\x1b", "\x9b", "\u202e"} & set(out + err)
    if form == "json":
        # The document loses nothing: the escapes are JSON's own.
        assert json.loads(out)["layers"][0]["name"] == f"layer{ESCAPE}\nnext"


def test_a_name_with_a_line_break_stays_in_its_row() -> None:
    assert as_table([{"layer": "a\nb"}]).count("\n") == 2


def test_no_cell_of_a_csv_is_a_formula() -> None:
    rows = [{"network": "=1+1", "fps": -1.5, "change": "-1.5"}]
    assert as_csv(rows).splitlines()[1] == "'=1+1,-1.5,-1.5"


def test_error_lines_are_short_whatever_they_quote(capsys: pytest.CaptureFixture[str]) -> None:
    error = RooflineError("x" * 30_000_000 + " is wrong", repair="mend it")
    assert len(str(error)) < 1100
    assert str(error).endswith("is wrong. mend it")
    code, _, err = run(capsys, "count", "no" * 60_000)
    assert code == 2
    assert len(err) < 2200


def test_texts_are_cleaned_and_cut() -> None:
    assert printable("a\tb\n") == "a\tb\n"
    assert printable(ESCAPE) == r"\u001b[2J\u009b31m\u202e"
    assert one_line("a\n b") == "a b"
    assert one_line("abcdefghi" * 10, 30).endswith("ghi")
    assert len(one_line("abcdefghi" * 10, 30)) == 30


def test_completion_is_installed_and_completes(tmp_path: Path) -> None:
    environment = {"HOME": str(tmp_path), "PATH": os.environ["PATH"], "SHELL": "/bin/bash",
                   "_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"}  # fmt: skip
    # The installed script, whose name is what a shell completes.
    program = str(Path(sysconfig.get_path("scripts"), "roofline"))

    def call(*arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [program, *arguments],
            capture_output=True,
            text=True,
            check=False,
            env=environment | more,
        )

    assert call("--install-completion", "bash").returncode == 0
    assert "_ROOFLINE_COMPLETE" in (tmp_path / ".bash_completions" / "roofline.sh").read_text()
    asked = {"_ROOFLINE_COMPLETE": "complete_bash", "COMP_CWORD": "1"}
    assert call(COMP_WORDS="roofline pl", **asked).stdout.split() == ["platforms", "plot"]
    asked["COMP_CWORD"] = "2"
    assert "--batch" in call(COMP_WORDS="roofline count --ba", **asked).stdout
    # An unknown verb is nothing to complete, and nothing to say.
    assert call(COMP_WORDS="roofline xx --ba", **asked).stderr == ""


def test_the_ending_of_a_file_chooses_its_format(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for verb in (
        ["predict", "mlp", "-p", "tx2:maxn"],
        ["count", "mlp"],
        ["platforms", "list"],
        ["networks", "list"],
    ):
        assert run(capsys, *verb, "-o", str(tmp_path / "x.json"))[0] == 0
        assert "schema_version" in json.loads((tmp_path / "x.json").read_text())
        assert run(capsys, *verb, "-o", str(tmp_path / "x.csv"))[0] == 0
        assert "," in (tmp_path / "x.csv").read_text().splitlines()[0]
    # A name that promises nothing takes any form; one that does is kept to.
    run(capsys, "count", "mlp", "-o", str(tmp_path / "x.txt"), "--format", "json")
    assert json.loads((tmp_path / "x.txt").read_text())["model"] == "mlp"
    written = (tmp_path / "x.csv").read_text()
    code, _, err = run(capsys, "count", "mlp", "-o", str(tmp_path / "x.csv"), "--format", "json")
    assert (code, (tmp_path / "x.csv").read_text()) == (2, written)
    assert "--format json contradicts" in err


def test_rows_are_sorted_and_cut(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = [
        "predict",
        "mlp",
        "-p",
        "ncs,tx2:maxn,h100-sxm",
        "-d",
        "float16",
        "--format",
        "json",
    ]

    arguments = [*arguments, "--model", "equation1"]

    def machines(*more: str) -> list[str]:
        return [
            entry["platform"]
            for entry in json.loads(run(capsys, *arguments, *more)[1])["predictions"]
        ]

    assert machines() == ["ncs", "tx2:maxn", "h100-sxm"]
    assert machines("--sort", "fps") == ["h100-sxm", "tx2:maxn", "ncs"]
    assert machines("--sort", "latency_ms:asc", "--top", "2") == ["h100-sxm", "tx2:maxn"]
    assert machines("--sort", "FPS") == machines("--sort", "fps")
    assert machines("--sort", "Latency ms:asc") == machines("--sort", "latency_ms:asc")
    assert "there is no column 'fbs'" in run(capsys, *arguments, "--sort", "fbs")[2]


def test_an_order_or_a_number_of_rows_without_layers_shows_the_layers(
    capsys: pytest.CaptureFixture[str],
) -> None:
    def names(*arguments: str) -> list[str]:
        _, out, _ = run(capsys, *arguments, "--format", "csv")
        return [
            row.get("name") or row.get("layer") or "" for row in csv.DictReader(io.StringIO(out))
        ]

    assert names("count", "mlp", "--sort", "macs", "--top", "2") == ["fc2", "fc3"]
    assert names("count", "mlp", "--diff", "mlp", "--top", "1") == ["flatten1", "flatten1"]
    assert names("compare", "mlp", "cnv", "--sort", "second_macs", "--top", "1") == ["conv2"]
    layers = ("predict", "mlp", "-p", "tx2:maxn", "--model", "layerwise", "--layers")
    assert names(*layers, "--sort", "ms", "--top", "2") == ["fc2", "fc3"]
    _, table, _ = run(capsys, "count", "mlp", "--diff", "cnv", "--top", "1")
    assert "28 layers differ, 1 shown" in table


def test_at_most_two_lines_stand_below_a_table_and_more_are_asked_for(
    capsys: pytest.CaptureFixture[str],
) -> None:
    def below(*more: str) -> list[str]:
        _, out, _ = run(capsys, "predict", "mlp", "-p", "tx2:maxn", "-d", "fp16", *more)
        return [line for line in out.splitlines() if line.startswith("  ")]

    assert 1 <= len(below()) <= 2
    assert "upper bound" in " ".join(below())
    assert "roofline validate mlp -p tx2:maxn -d fp16" in below("--explain")[-1]
    assert below("--quiet") == []


def test_layers_have_shares_and_a_total(capsys: pytest.CaptureFixture[str]) -> None:
    _, out, _ = run(
        capsys, "count", "mlp", "-p", "ncs", "-d", "fp16", "--sort", "macs", "--top", "2"
    )
    rows = [line.split() for line in out.splitlines()]
    total = next(row for row in rows if row and row[0] == "total")
    assert total.count("100%") == 3
    # 2048 x 2048 of 784 x 2048 + 2 x 2048 x 2048 + 2048 x 10 products.
    share = 2048**2 / (784 * 2048 + 2 * 2048**2 + 2048 * 10)
    assert f"{share:.1%}" in rows[2]


def test_files_of_one_name_are_told_apart(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for folder in ("x", "y"):
        (tmp_path / folder).mkdir()
        content = model([node("Relu", "x", "y")], {"x": [4, 4]}, "y").SerializeToString()
        (tmp_path / folder / "model.onnx").write_bytes(content)
    paths = [str(tmp_path / folder / "model.onnx") for folder in ("x", "y")]
    _, out, _ = run(
        capsys,
        "predict",
        *paths,
        "-p",
        "ncs",
        "-d",
        "fp16",
        "--operations",
        "all",
        "--format",
        "json",
    )
    assert [entry["network"] for entry in json.loads(out)["predictions"]] == ["x/model", "y/model"]


@pytest.mark.parametrize(
    ("asked", "hint"),
    [
        (
            "count mlp_25 resnet50",
            "count takes MODEL alone. Two on one page: roofline compare A B",
        ),
        ("networks show mlp_25 resnet50", "show takes KEY alone"),
        ("calibrate mlp_25", "calibrate takes no argument"),
    ],
)
def test_arguments_that_are_too_many_are_answered_with_what_is_taken(
    asked: str, hint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code, _, err = run(capsys, *asked.split())
    assert code == 2
    assert err.rstrip().endswith(hint)
    assert err.count("\n") == 1


MANY = ",".join(["zcu102-dpu"] * 60)
"""Longer than the name of any file may be."""


def test_a_long_list_of_machines_is_no_path(capsys: pytest.CaptureFixture[str]) -> None:
    every = "predict", "mlp", "-d", "int8", "--format", "json"
    listed = run(capsys, *every, "-p", MANY)
    assert listed == run(capsys, *every, "-p", "zcu102-dpu")
    assert listed[0] == 0


@pytest.mark.parametrize(
    "arguments",
    [
        ["count", MANY],
        ["predict", MANY, "-p", "ncs"],
        ["compress", MANY, "-d", "int8", "-o", "x.onnx"],
        ["compare", MANY, MANY],
        ["report", MANY, "-o", "x.html"],
        ["plot", "heatmap", MANY, "-o", "x.png"],
        ["sweep", MANY],
        ["score", MANY],
        ["import", MANY],
        ["platforms", "check", MANY],
        ["reproduce", "dlas", "--store", MANY],
        ["export", "x.csv", "--store", MANY],
        ["predict", "mlp", "-p", "ncs", "--evidence", MANY],
    ],
    ids=lambda arguments: " ".join(arguments)[:20],
)
def test_what_is_too_long_for_a_path_is_refused_in_one_line(
    arguments: list[str], capsys: pytest.CaptureFixture[str], monkeypatch, tmp_path
) -> None:
    monkeypatch.chdir(tmp_path)
    code, out, err = run(capsys, *arguments)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert err.startswith("roofline: error: ")
