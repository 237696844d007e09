"""Where a result cannot be written, that is said before the work."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from roofline.cli import main
from roofline.errors import OptionError
from roofline.writing import check_output, check_output_folder

from .cli_process import answered
from .verbs import VERBS


@pytest.mark.parametrize(
    "arguments",
    [
        ["demo", "-o", "{file}"],
        ["demo", "-o", "{file}/below"],
        ["calibrate", "-o", "{folder}"],
        ["calibrate", "-o", "{folder}/absent/x.yaml"],
        ["measure", "mlp", "-o", "{folder}"],
        ["validate", "mlp", "-o", "{folder}"],
        ["validate", "mlp", "--chart", "{folder}/absent/x.png"],
        ["validate", "mlp", "--chart", "{folder}/x.txt"],
        ["validate", "mlp", "--per-layer", "{folder}"],
        ["compress", "vgg16", "--keep-channels", "0.5", "-o", "{folder}"],
        ["campaign", "run", "dlas", "-o", "{folder}"],
        ["sweep", "absent.yaml", "-o", "{file}/below"],
        ["report", "qutibench", "-o", "{folder}"],
        ["export", "{folder}"],
        ["networks", "export", "vgg16", "-o", "{folder}"],
        ["predict", "mlp", "-p", "ncs", "-o", "{file}/below"],
        ["reproduce", "qutibench", "-o", "{folder}"],
    ],
    ids=" ".join,
)
def test_outputs_are_checked_before_the_work(
    arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "file"
    file.write_text("kept")
    start = time.monotonic()
    with pytest.raises(SystemExit) as stopped:
        main([word.format(file=file, folder=tmp_path) for word in arguments])
    out, err = capsys.readouterr()
    assert (stopped.value.code, out) == (2, "")
    assert str(tmp_path) in err or "x.txt" in err
    assert err.count("\n") == 1
    assert time.monotonic() - start < 5
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
    assert file.read_text() == "kept"


def test_what_can_be_written_passes(tmp_path: Path) -> None:
    (tmp_path / "old").write_text("")
    for name in ("old", "new", "/dev/null"):
        check_output(tmp_path / name)
    for folder in (tmp_path, tmp_path / "a" / "b"):
        check_output_folder(folder)


def test_names_that_no_system_takes_are_refused(tmp_path: Path) -> None:
    for check in (check_output, check_output_folder):
        with pytest.raises(OptionError, match="cannot write"):
            check(tmp_path / ("a" * 300))


@pytest.mark.parametrize(
    "arguments",
    [
        ["count", "{other}", "-o", "{other}"],
        ["compress", "{file}", "-d", "fp16", "-o", "{other}"],
        ["predict", "mlp", "-p", "{file}", "-o", "{other}"],
        ["sweep", "{file}", "-o", "{file}"],
        ["report", "{file}", "-o", "{other}"],
    ],
)
def test_no_verb_writes_over_what_it_reads(
    arguments: list[str], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    file, other = tmp_path / "mine.yaml", tmp_path / "also-mine"
    file.write_text("mine")
    other.hardlink_to(file)
    words = [word.format(file=file, other=other) for word in arguments]
    with pytest.raises(SystemExit) as stopped:
        main(words)
    assert stopped.value.code == 2
    err = capsys.readouterr().err
    assert "the same command reads it" in err
    assert err.count("\n") == 1
    assert file.read_text() == "mine"


WRITING = [
    (verb, flag)
    for verb, command in VERBS.items()
    for parameter in command.params
    for flag in parameter.opts
    if flag in {"--output", "--rows", "--per-layer", "--chart"}
    and not parameter.is_flag
    and verb != "demo"  # it writes a folder
]


@pytest.mark.parametrize(("verb", "flag"), WRITING, ids=" ".join)
def test_no_file_is_written_under_the_name_of_another_format(
    verb: str, flag: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sweep = tmp_path / "asked.yaml"
    sweep.write_text("schema_version: 1\nnetworks: [mlp]\nplatforms: [ncs]\n")
    file = tmp_path / "out.xlsx"
    more = [str(sweep)] if verb == "sweep" else []
    code, out, err = answered(capsys, *verb.split(), *more, flag, str(file))
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert ".xlsx" in err
    assert not file.exists()


def test_a_file_of_any_other_name_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("page", "page.HTML", "page.of-today"):
        rows = tmp_path / "rows.csv"
        rows.write_text("network,platform,predicted_fps\nmlp,ncs,5\n")
        code, _, err = answered(capsys, "report", str(rows), "-o", str(tmp_path / name))
        assert (code, err.count("\n")) == (0, 1)
        assert (tmp_path / name).read_text().startswith("<!doctype html>")
