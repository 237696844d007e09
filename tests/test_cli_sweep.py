"""``roofline sweep`` as a user runs it."""

from __future__ import annotations

import csv
import json
from itertools import product

import pytest

from roofline.cli import main
from roofline.cli._sweep_file import EXAMPLE, read_sweep

from .cli_process import answered

SWEEP = """\
schema_version: 1
networks: [cnv, mlp]
platforms: [tx2:maxn, h100-sxm]
variants:
  - {}
  - {keep_channels: 0.5}
datatypes: [fp16, fp32]
batches: [1, 8]
"""


HEAD = "schema_version: 1\nnetworks: [cnv]\nplatforms: [ncs]\n"


def run(capsys, *arguments: str) -> tuple[int, str, str]:
    return answered(capsys, "sweep", *arguments)


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "sweep.yaml"
    path.write_text(SWEEP)
    return path


def test_every_combination_is_a_row(file, capsys):
    code, out, err = run(capsys, str(file))
    assert (code, err) == (0, "")
    rows = list(csv.DictReader(out.splitlines()))
    found = [
        (row["network"], row["pruning"], row["platform"], row["datatype"], int(row["batch"]))
        for row in rows
    ]
    assert found == list(
        product(
            ("cnv", "mlp"),
            ("dense", "keep-channels=0.5"),
            ("tx2:maxn", "h100-sxm"),
            ("fp16", "fp32"),
            (1, 8),
        )
    )


def test_rows_are_those_of_predict(file, capsys):
    _, out, _ = run(capsys, str(file), "--format", "json")
    swept = json.loads(out)["predictions"]
    with pytest.raises(SystemExit):
        main(
            ["predict", "cnv", "-p", "h100-sxm", "-d", "fp16", "-b", "8", "--keep-channels", "0.5",
             "--model", "equation1",
             "--format", "json"]
        )  # fmt: skip
    (single,) = json.loads(capsys.readouterr().out)["predictions"]
    assert single in swept


def test_a_machine_without_the_datatype_is_a_row_that_says_so(capsys, tmp_path):
    path = tmp_path / "lacks.yaml"
    path.write_text(
        f"{SWEEP.partition('platforms')[0]}platforms: [ncs, tx2:maxn]\ndatatypes: [fp32]\n"
        "variants: [{}, {keep_channels: 0.5}]\n"
    )
    code, out, err = run(capsys, str(path))
    rows = list(csv.DictReader(out.splitlines()))
    assert code == 0
    assert (
        err
        == "roofline: left out: the file of ncs does not say whether it has fp32 units; it has fp16, int8\n"
    )
    gone = [row for row in rows if row["skipped"]]
    assert [(row["network"], row["platform"], row["throughput_fps"]) for row in gone] == [
        ("cnv", "ncs", ""), ("mlp", "ncs", ""),
    ]  # fmt: skip
    assert len(rows) - len(gone) == 4
    _, out, _ = run(capsys, str(path), "--format", "table")
    assert [line.split()[:3] for line in out.splitlines() if "  left out  " in line] == [
        ["cnv", "–", "ncs"], ["mlp", "–", "ncs"],
    ]  # fmt: skip
    _, out, _ = run(capsys, str(path), "--format", "json")
    assert [
        row["skipped"] for row in json.loads(out)["predictions"] if row["platform"] == "ncs"
    ] == ["the file of ncs does not say whether it has fp32 units; it has fp16, int8"] * 2


def test_a_datatype_that_no_machine_has_is_refused(capsys, tmp_path):
    path = tmp_path / "lacks.yaml"
    path.write_text(f"{HEAD}datatypes: [fp32]\n")
    code, out, err = run(capsys, str(path))
    assert (code, out) == (2, "")
    assert "the file of ncs does not say whether it has fp32 units" in err


def test_the_suffix_decides_the_format(file, capsys, tmp_path):
    assert run(capsys, str(file), "-o", str(tmp_path / "s.json"))[0] == 0
    assert len(json.loads((tmp_path / "s.json").read_text())["predictions"]) == 32
    pandas = pytest.importorskip("pandas")
    pytest.importorskip("pyarrow")
    assert run(capsys, str(file), "-o", str(tmp_path / "s.parquet"))[0] == 0
    assert len(pandas.read_parquet(tmp_path / "s.parquet")) == 32


def test_the_example_is_a_sweep_and_is_shown(capsys, tmp_path):
    assert run(capsys) == (0, EXAMPLE, "")
    (tmp_path / "example.yaml").write_text(EXAMPLE)
    asked = read_sweep(tmp_path / "example.yaml")
    assert asked.datatypes == ("fp16", "int8")
    assert len(asked.variants) == 3


def test_files_are_found_beside_the_sweep(capsys, tmp_path):
    from roofline.spec import platform_files

    source = platform_files()["ncs"]
    (tmp_path / "mine.yaml").write_text(source.read_text())
    (tmp_path / "s.yaml").write_text(
        "schema_version: 1\nnetworks: [cnv]\nplatforms: [mine.yaml]\ndatatypes: [int8]\n"
    )
    code, out, _ = run(capsys, str(tmp_path / "s.yaml"))
    assert code == 0
    assert "cnv,ncs,int8" in out


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "a mapping of keys to values"),
        ("networks: [cnv]\nplatforms: [ncs]", "schema_version"),
        ("schema_version: 1\nnetworks: [cnv]", "platforms: is missing"),
        (
            "schema_version: 1\nnetworks: [cnv]\nplatforms: [ncs]\nbatchs: [1]",
            "Did you mean 'batches'",
        ),
        (
            "schema_version: 1\nnetworks: [cnv]\nplatforms: [ncs]\nbatches: [0]",
            "line 4: batches[0]: should be greater than or equal to 1, not 0",
        ),
        (
            "schema_version: 1\nnetworks: [cnv]\nplatforms: [ncs]\nbatches: 3",
            "batches: must be a list, not 3",
        ),
        ("schema_version: 1\nnetworks: [1]\nplatforms: [ncs]", "networks[0]: must be text, not 1"),
        (
            "schema_version: 1\nnetworks: [cnv]\nplatforms: [ncs]\nvariants: [3]",
            "variants[0]: must be a mapping, not 3",
        ),
        (
            "schema_version: 1\nnetworks: [cnv]\nplatforms: [ncs]\nvariants: [{keep_chanels: 0.5}]",
            "Did you mean",
        ),
        (
            "schema_version: 1\nnetworks: [cnv]\nplatforms: [ncs]\nemulate: maybe",
            "emulate: must be true or false, not 'maybe'",
        ),
        (
            "schema_version: 1\nnetworks: [cnv]\nplatforms: [ncs]\nvariants: [{keep_channels: 50}]",
            "share",
        ),
        (
            "schema_version: 1\nnetworks: [cnv]\nplatforms: [tx2]\ndatatypes: [int8]",
            "Choose one of them with datatypes, or let emulate: true run",
        ),
        (
            "schema_version: 1\nnetworks: [cnv]\nplatforms: [tx2]\nvariants: [{keep_channels: half}]",
            "line 4: variants[0].keep_channels: keep_channels: 'half': 'half' is not a share. Write keep_channels: 0.5",
        ),
        (
            "schema_version: 1\nnetworks: [cnv]\nplatforms: [tx2]\ntraffic: all",
            "line 4: traffic: unknown traffic assumption 'all'. Use traffic with one of",
        ),
        (f"{HEAD}datatypes: [int88]", "line 4: datatypes[0]: unknown datatype 'int88'"),
        (f"{HEAD}runtime: zz", "line 4: runtime: no published run has the runtime 'zz'"),
        (f"{HEAD}model: exact", "line 4: model: unknown prediction model 'exact'"),
        (
            "schema_version: 1\nplatforms: [ncs, tx22]\nnetworks: [cnv]",
            "line 2: platforms[1]: unknown platform 'tx22'",
        ),
        ("a: [", "not valid YAML"),
        (f"{HEAD}batches: [{'9' * 5000}]", "batches[0]: must be a whole number, not '999"),
        (f"{HEAD}batches: [{'9' * 30}]", "less than or equal to"),
        (f"{HEAD}batches: [2026-02-30]", "batches[0]: must be a whole number, not '2026-02-30'"),
        (f"{HEAD}batches: [1]\nbatches: [2]", "is there twice, first on line 4"),
        ("schema_version: 1.0\nnetworks: [cnv]\nplatforms: [ncs]", "schema_version 1.0, not 1"),
        ("schema_version: true\nnetworks: [cnv]\nplatforms: [ncs]", "schema_version True, not 1"),
        (f"{HEAD}? {'x' * 100000}\n: 1", "unknown key"),
        (f"{HEAD}'\\e[2J': 1", "unknown key"),
        (
            f"{HEAD}batches: {{from: 1, to: 1049300}}",
            "1,049,300 predictions",
        ),
        (f"{HEAD}# {'x' * (1 << 20)}", "larger than 1 MiB"),
    ],
)
def test_bad_files_are_one_line_and_exit_code_2(content, words, capsys, tmp_path):
    path = tmp_path / "bad.yaml"
    path.write_text(content)
    code, _, err = run(capsys, str(path))
    assert code == 2
    assert err.count("\n") == 1
    assert words in err
    assert len(err) < 1000


def test_a_missing_file_is_one_line(capsys, tmp_path):
    code, _, err = run(capsys, str(tmp_path / "none.yaml"))
    assert code == 2
    assert "does not exist" in err


def test_what_is_named_twice_is_predicted_once(capsys, tmp_path):
    path = tmp_path / "twice.yaml"
    path.write_text(
        "schema_version: 1\nnetworks: [cnv, cnv]\nplatforms: [h100-sxm, H100-sxm]\ndatatypes: [fp16, fp16]\n"
        "batches: [1, 1]\n"
    )
    _, out, _ = run(capsys, str(path))
    assert len(list(csv.DictReader(out.splitlines()))) == 1


def test_a_dry_run_checks_every_variant(capsys, tmp_path):
    pytest.importorskip("pyarrow")
    path = tmp_path / "wrong.yaml"
    path.write_text(f"{HEAD}datatypes: [int8]\nvariants: [{{}}, {{keep_channels: absent*=0.5}}]\n")
    code, _, err = run(capsys, str(path), "--dry-run")
    assert code == 2
    assert "absent*" in err


def test_a_share_of_which_nothing_is_says_so(capsys, tmp_path):
    pytest.importorskip("pyarrow")
    path = tmp_path / "s.yaml"
    path.write_text(f"{HEAD}datatypes: [int8]\n")
    code, _, err = run(capsys, str(path), "--shard", "3/4", "-o", str(tmp_path / "out"))
    assert (code, err) == (0, "share 3/4 is empty: this sweep has 1 part\n")


def test_a_sweep_that_no_disk_holds_is_refused_before_its_parts_are_counted(capsys, tmp_path):
    pytest.importorskip("pyarrow")
    path = tmp_path / "s.yaml"
    path.write_text(f"{HEAD}datatypes: [int8]\nbatches: {{from: 1, to: {10**18}}}\n")
    code, _, err = run(capsys, str(path), "-o", str(tmp_path / "out"))
    assert code == 2
    assert "memory for this model" not in err
    assert "GB" in err or "TB" in err


DECODED = """\
schema_version: 1
networks: [smollm2_135m, cnv]
platforms: [h100-sxm]
datatypes: [fp16]
batches: [1, 8]
context: [512, 4096]
"""


def test_decoders_have_a_row_for_each_context_as_predict_gives_it(tmp_path, capsys):
    path = tmp_path / "sweep.yaml"
    path.write_text(DECODED)
    code, out, err = run(capsys, str(path), "--format", "json")
    assert (code, err) == (0, "")
    rows = json.loads(out)["predictions"]
    decoded = [row for row in rows if row["network"] == "smollm2_135m"]
    assert [(row["context"], row["batch"]) for row in decoded] == [
        (512, 1), (512, 8), (4096, 1), (4096, 8),
    ]  # fmt: skip
    assert {row["throughput_fps"] for row in decoded} == {None}
    with pytest.raises(SystemExit):
        main(
            ["predict", "smollm2_135m", "-p", "h100-sxm", "-d", "fp16", "-b", "8", "--context", "512",
             "--model", "equation1", "--format", "json"]
        )  # fmt: skip
    (single,) = json.loads(capsys.readouterr().out)["predictions"]
    assert single in rows


@pytest.mark.parametrize(
    ("text", "output", "said"),
    [
        (DECODED, "parts", "smollm2_135m is a decoder"),
        (DECODED, "s.parquet", "smollm2_135m is a decoder"),
        (DECODED.replace("smollm2_135m, ", ""), "s.csv", "are for decoders"),
    ],
)
def test_what_a_sweep_of_decoders_cannot_be_is_refused(tmp_path, capsys, text, output, said):
    path = tmp_path / "sweep.yaml"
    path.write_text(text)
    code, _, err = run(capsys, str(path), "-o", str(tmp_path / output))
    assert code == 2
    assert said in err


def test_a_parquet_file_takes_no_format(file, capsys, tmp_path):
    code, out, err = run(capsys, file, "-o", str(tmp_path / "s.parquet"), "-f", "json")
    assert (code, out) == (2, "")
    assert "--format json contradicts" in err
    assert not (tmp_path / "s.parquet").exists()


def test_a_folder_takes_no_format(file, capsys, tmp_path):
    code, out, err = run(capsys, file, "-o", str(tmp_path / "parts"), "-f", "json")
    assert (code, out) == (2, "")
    assert "whose parts are Parquet files; --format is for one file" in err
    assert not (tmp_path / "parts").exists()
