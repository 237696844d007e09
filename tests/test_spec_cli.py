"""``roofline platforms``: list, show, check, new, schema, docs."""

from __future__ import annotations

import csv
import io
import json
import re
from pathlib import Path

import pytest

from roofline.cli import main
from roofline.precision import COMPUTE_DATATYPES
from roofline.spec import load, platform_files, platform_keys

# What a person writes in place of the INFORMATION_REQUIRED of a fresh scaffold, in the order of the file.
FILLED = (
    "name: My board", "vendor: Me", "kind: npu", "year: 2025", "value: 2", "value: 8.5", "title: Data sheet",
    "url: https://example.org/sheet",
)  # fmt: skip


def run(*arguments: str | Path) -> int:
    with pytest.raises(SystemExit) as caught:
        main(["platforms", *map(str, arguments)])
    return int(caught.value.code or 0)


def fill(text: str) -> str:
    head, *lines = text.split("\nschema_version")
    body = "\nschema_version" + "".join(lines)
    for line in FILLED:
        name = line.partition(":")[0]
        assert f"{name}: INFORMATION_REQUIRED" in body
        body = body.replace(f"{name}: INFORMATION_REQUIRED", line, 1)
    assert "INFORMATION_REQUIRED" not in body
    return head + body


def test_list_names_every_machine_once(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("list") == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[2 : 2 + len(platform_keys())]] == list(
        platform_keys()
    )
    assert any("0.67" in line and "59.7" in line for line in lines if line.startswith("tx2:maxn"))


def test_list_filters(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("list", "--kind", "fpga", "--has", "int2", "--format", "csv") == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert {row["platform"] for row in rows} == {"zcu104-bismo", "zcu104-finn"}
    assert {row["peak_int2_tops"] for row in rows} == {"30.7"}
    assert run("list", "--vendor", "hailo", "--since", "2023", "--format", "json") == 0
    assert [row["platform"] for row in json.loads(capsys.readouterr().out)["platforms"]] == [
        "hailo-10h",
        "hailo-8l",
    ]
    assert run("list", "--since", "2099") == 0
    assert "No machine is like that" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("option", "value", "hint"), [("--kind", "gpuu", "'gpu'"), ("--has", "int9", "'int8'")]
)
def test_a_filter_for_what_does_not_exist_is_told(
    option: str, value: str, hint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("list", option, value) == 2
    assert f"Did you mean {hint}?" in capsys.readouterr().err


def test_json_has_a_version_and_every_datatype(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("list", "--format", "json") == 0
    document = json.loads(capsys.readouterr().out)
    assert document["schema_version"] == 1
    row = next(row for row in document["platforms"] if row["platform"] == "tx2:maxq")
    assert {f"peak_{name}_tops" for name in COMPUTE_DATATYPES} <= set(row)
    assert row["peak_fp16_tops"] == pytest.approx(0.87)
    assert row["peak_int8_tops"] is None
    assert row["bandwidth_gb_s"] == pytest.approx(59.7)


def test_show_gives_every_number_with_its_source(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("show", "zcu102-dpu") == 0
    text = capsys.readouterr().out
    assert "6.71" in text
    assert "Blott et al." in text
    assert "About twice the vendor's own arithmetic" in text
    assert "349.5 OP/B" in text  # 6.71e12 / 19.2e9
    assert run("show", "tx2:maxq", "--format", "csv") == 0
    rows = {row["quantity"]: row for row in csv.DictReader(io.StringIO(capsys.readouterr().out))}
    assert (
        rows["peaks.fp16"]["value"],
        rows["peaks.fp16"]["unit"],
        rows["peaks.fp16"]["kind"],
    ) == ("0.87", "TOP/s", "published")
    assert all(row["source"] for row in rows.values())


def test_show_as_json_holds_the_whole_file(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("show", "ncs", "--format", "json") == 0
    document = json.loads(capsys.readouterr().out)["platforms"][0]
    assert document["specification"]["peaks"]["fp16"]["value"] == 0.5


def test_check_passes_every_shipped_file(capsys: pytest.CaptureFixture[str]) -> None:
    files = list(platform_files().values())
    assert run("check", *files) == 0
    assert capsys.readouterr().out.splitlines() == [f"{file}: OK" for file in files]


def test_check_takes_the_key_of_a_shipped_machine(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("check", "ncs", "tx2:maxn") == 0
    assert capsys.readouterr().out.splitlines() == ["ncs: OK", "tx2:maxn: OK"]
    assert run("check", "nsc") == 2
    assert "does not exist" in capsys.readouterr().out


def test_check_tells_every_problem_and_fails(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bad = tmp_path / "bad.yaml"
    bad.write_text(
        platform_files()["ncs"]
        .read_text()
        .replace("unit: GB/s", "unit: Gbps")
        .replace("kind: npu", "kind: stick")
    )
    good = platform_files()["ncs"]
    assert run("check", bad, good, tmp_path / "none.yaml") == 2
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith(f"{bad}:5: kind: must be 'cpu'")
    assert sum(line.startswith(f"{bad}:") and "unknown unit 'Gbps'" in line for line in lines) == 2
    assert f"{good}: OK" in lines
    assert any(
        line.startswith(f"{tmp_path / 'none.yaml'}") and "does not exist" in line for line in lines
    )
    capsys.readouterr()
    assert run("check", bad, "--format", "json") == 2
    captured = capsys.readouterr()
    assert (
        captured.err
        == f"roofline: error: 3 problems in {bad}. Mend what is listed, and check again\n"
    )
    document = json.loads(captured.out)
    assert document["ok"] is False
    assert document["problems"][0]["path"] == "kind"


def test_a_scaffold_says_what_to_fill_in_and_passes_when_filled(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "my-board.yaml"
    assert run("new", "my-board", "-o", file) == 0
    assert run("check", file) == 2
    told = capsys.readouterr().out.splitlines()
    assert len(told) == len(FILLED)
    assert all("still says INFORMATION_REQUIRED" in line for line in told)
    lines = file.read_text().splitlines()
    for line in told:
        assert "INFORMATION_REQUIRED" in lines[int(line.split(":")[1]) - 1]
    file.write_text(fill(file.read_text()))
    assert run("check", file) == 0
    assert load(file).key == "my-board"


def test_the_examples_in_the_comments_of_a_scaffold_are_right(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "my-board.yaml"
    assert run("new", "my-board", "-o", file) == 0
    # An example is a comment that is a key, or an item of a list.
    example = re.compile(r"^(\s*)# (\s*(?:- )?[a-z][a-z0-9_]*:(?: .*)?|\s+- .*)$", re.MULTILINE)
    text = example.sub(r"\1\2", fill(file.read_text()))
    file.write_text(text.replace("skips_zeros: none", 'skips_zeros: "2:4"'))
    assert run("check", file) == 0, capsys.readouterr().out
    spec = load(file)
    assert spec.peaks["fp16"].sparse is not None
    assert spec.default_mode == "fast"
    assert spec.price is not None
    assert spec.host_link is not None
    assert len(spec.memories) == 2


def test_a_scaffold_never_overwrites(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("precious")
    assert run("new", "mine", "-o", file) == 2
    assert file.read_text() == "precious"
    assert "exists" in capsys.readouterr().err


@pytest.mark.parametrize("key", ["My Board", "a:b", "", "../up", "é", "a\nb"])
def test_a_scaffold_needs_a_key_that_can_be_typed(
    key: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("new", key) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert len(captured.err.splitlines()) == 1


def test_docs_refuses_a_page_without_marks(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "page.md"
    page.write_text("# Nothing\n")
    assert run("docs", page) == 2
    assert page.read_text() == "# Nothing\n"
    assert "lacks the marks" in capsys.readouterr().err


def test_an_unknown_machine_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("show", "tx3") == 2
    assert (
        capsys.readouterr().err == "roofline: error: unknown platform 'tx3'. Did you mean 'tx2'?\n"
    )


def test_the_strict_check_counts_every_machine(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("check", "--strict") == 0
    text = capsys.readouterr().out
    assert re.search(
        r"^\d+ of \d+ machines have a sourced peak and a sourced bandwidth\.$", text, re.MULTILINE
    )
    assert "0 doubts." in text
    assert run("check", "--strict", "--format", "json") == 0
    document = json.loads(capsys.readouterr().out)
    assert document["machines"] == len(platform_files()) >= document["sourced"] >= 150


def test_a_doubt_fails_the_strict_check_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "mine.yaml"
    text = platform_files()["tpu-v6e"].read_text()
    assert "value: 1836," in text
    file.write_text(text.replace("value: 1836,", "value: 2754,"))  # three times its bf16
    assert run("check", file) == 0
    capsys.readouterr()
    assert run("check", "--strict", file) == 1
    assert "is 3 times apart from bf16, not 1, 2, 4 or 8 times" in capsys.readouterr().out


def test_a_check_of_nothing_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("check") == 2
    assert "no file is named" in capsys.readouterr().err
