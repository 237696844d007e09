"""Where results go: whole files, links, devices, and names that no terminal can show."""

from __future__ import annotations

import json
import os
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from roofline import workloads
from roofline.errors import OptionError, StoreError
from roofline.writing import check_output, check_output_folder, write_whole

from .cli_process import run_roofline


def run(*arguments: str | bytes, **environment: str) -> subprocess.CompletedProcess[str]:
    return run_roofline(*arguments, errors="surrogateescape", variables=environment)


def test_a_link_is_followed_and_permissions_stay(tmp_path: Path) -> None:
    target, link = tmp_path / "kept.txt", tmp_path / "link.txt"
    target.write_text("old")
    target.chmod(0o640)
    link.symlink_to(target)
    write_whole(link, b"new")
    assert link.is_symlink()
    assert target.read_text() == "new"
    assert stat.S_IMODE(target.stat().st_mode) == 0o640
    assert sorted(path.name for path in tmp_path.iterdir()) == ["kept.txt", "link.txt"]


def test_a_new_file_has_the_permissions_of_the_users_mask(tmp_path: Path) -> None:
    mask = os.umask(0o027)
    try:
        write_whole(tmp_path / "new.txt", b"")
    finally:
        os.umask(mask)
    assert stat.S_IMODE((tmp_path / "new.txt").stat().st_mode) == 0o640


def test_a_device_is_written_to_and_never_replaced(tmp_path: Path) -> None:
    # A pipe of our own, so that a failing test does not take /dev/null from the machine.
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    write_whole(pipe, b"through the pipe")
    assert os.read(reader, 100) == b"through the pipe"
    os.close(reader)
    assert stat.S_ISFIFO(pipe.stat().st_mode)


def test_a_file_whose_parts_end_in_an_error_stays_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "kept.txt"
    path.write_text("old")

    def parts() -> Iterator[bytes]:
        yield b"new"
        raise StoreError("a record is damaged")

    with pytest.raises(StoreError):
        write_whole(path, parts())
    assert [entry.read_text() for entry in tmp_path.iterdir()] == ["old"]
    write_whole(path, iter((b"a", b"b")))
    assert path.read_text() == "ab"


@pytest.mark.parametrize("name", ["absent/file", "", "a" * 300])
def test_what_cannot_be_written_is_one_line(name: str, tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="cannot write"):
        write_whole(tmp_path / name, b"content")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("encoding", ["utf-8:strict", "ascii"])
def test_names_that_are_not_utf8_are_shown_somehow(encoding: str, tmp_path: Path) -> None:
    path = os.fsencode(tmp_path) + b"/\xff \xfe.onnx"
    with open(path, "wb") as file:  # noqa: PTH123
        file.write(workloads.build("mlp").SerializeToString())
    done = run("count", path, "--format", "json", PYTHONIOENCODING=encoding)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["totals"]["macs"] == 10_014_720
    assert run("count", path, PYTHONIOENCODING=encoding).returncode == 0
    written = tmp_path / "out.json"
    assert run("count", path, "--format", "json", "-o", str(written)).returncode == 0
    assert json.loads(written.read_bytes())["totals"]["macs"] == 10_014_720


def test_a_missing_file_is_answered_with_what_is_there(tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(b"")
    assert "Did you mean 'model.onnx'?" in run("count", str(tmp_path / "modle.onnx")).stderr
    assert "shipped network is called 'resnet50'" in run("count", "resnet50.onnx").stderr
    assert "Did you mean 'resnet50'?" in run("count", "ResNet_50").stderr
    assert json.loads(run("count", "ResNet50", "--format", "json").stdout)["model"] == "resnet50"
    assert "is no regular file" in run("count", "/dev/null").stderr


def test_a_pipe_is_written_to_where_somebody_reads_it(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    for write in (check_output, lambda pipe: write_whole(pipe, b"1,2\n")):
        with pytest.raises(OptionError, match="a pipe that nobody reads"):
            write(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    check_output(path)
    # What was opened to look does not end what is read.
    with pytest.raises(BlockingIOError):
        os.read(reader, 9)
    write_whole(path, b"1,2\n")
    assert os.read(reader, 9) == b"1,2\n"
    os.close(reader)


@pytest.mark.skipif(not Path("/proc/self").is_dir(), reason="no /proc here")
def test_a_folder_that_takes_no_file_is_told_before_the_work() -> None:
    with pytest.raises(OptionError, match="no file can be made in /proc"):
        check_output_folder(Path("/proc/x"))
    with pytest.raises(OptionError, match="no file can be made in /proc"):
        check_output(Path("/proc/x.json"))


def test_trying_a_folder_leaves_nothing_in_it(tmp_path: Path) -> None:
    check_output(tmp_path / "a.json")
    check_output_folder(tmp_path / "new" / "folder")
    assert list(tmp_path.iterdir()) == []
