"""Files, rows and numbers that users wrote: read as they are meant, or refused in one short line."""

from __future__ import annotations

import os
import sys
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roofline.errors import OptionError, TableError
from roofline.reading import (
    csv_cell,
    csv_header,
    quote,
    read_bytes,
    read_csv,
    read_json,
    read_text,
    real_number,
    whole_number,
)


@pytest.mark.parametrize("kind", ["pipe", "folder", "device", "none"])
def test_only_regular_files_are_read_and_nothing_is_waited_for(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "in"
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    elif kind == "device":
        path = Path("/dev/zero")
    failed: list[TableError] = []

    def read() -> None:
        try:
            read_bytes(path, "table")
        except TableError as error:
            failed.append(error)

    thread = threading.Thread(target=read, daemon=True)
    thread.start()
    thread.join(5)
    assert failed, "it waits for a pipe, or reads without end"
    assert str(path) in str(failed[0])


def test_a_file_has_a_largest_size(tmp_path: Path) -> None:
    path = tmp_path / "big"
    path.write_bytes(b"x" * 1025)
    assert len(read_bytes(path, "list", most=1025)) == 1025
    with pytest.raises(OptionError, match="larger than 1 KiB, which no list is"):
        read_bytes(path, "list", most=1024, error=OptionError)


def test_text_is_utf8_and_the_line_of_what_is_not_is_named(tmp_path: Path) -> None:
    path = tmp_path / "text"
    path.write_bytes(b"\xef\xbb\xbfgood\nb\xff")
    with pytest.raises(TableError, match="line 2 is not UTF-8"):
        read_text(path, "table")
    path.write_bytes("text of Windows".encode("utf-16"))
    with pytest.raises(TableError, match="line 1 is not UTF-8"):
        read_text(path, "table")
    path.write_bytes("\ufeffgood".encode())
    assert read_text(path, "table") == "good"


def test_a_binary_file_is_told_apart_from_text_of_another_encoding(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(b"\x08\x07\x12\x04\0\n\xff")
    with pytest.raises(TableError, match="is a binary file"):
        read_text(path, "table")


CELLS = st.text(
    st.characters(blacklist_categories=("Cs",), blacklist_characters="\0"), max_size=12
).filter(
    # An apostrophe before a formula is what the writer itself puts there.
    lambda text: not text.startswith("'")
)


@given(st.lists(st.lists(CELLS, min_size=2, max_size=2), min_size=1, max_size=5))
def test_what_is_written_comes_back_cell_by_cell(rows: list[list[str]]) -> None:
    def quoted(cell: str) -> str:
        return '"' + str(csv_cell(cell)).replace('"', '""') + '"'

    text = "a,b\n" + "".join(",".join(map(quoted, row)) + "\n" for row in rows)
    assert [list(row.values()) for row in read_csv(text, "x").rows] == rows


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "empty"),
        ("a,a\n1,2\n", "names 'a' twice"),
        ("a,b\n1\n", r"row 1 \(line 2\): 1 cell, and the header has 2"),
        ('a,b\n"1\n2",3\n4\n', r"row 2 \(line 4\): 1 cell"),
        ('a,b\n"1,2\n', "not valid CSV"),
    ],
)
def test_broken_csv_says_where(text: str, message: str) -> None:
    with pytest.raises(TableError, match=message):
        read_csv(text, "x.csv")


def test_a_cell_may_be_larger_than_the_librarys_limit() -> None:
    assert len(read_csv("a\n" + "x" * 200_000, "x").rows[0]["a"]) == 200_000


def test_a_header_is_read_as_csv() -> None:
    assert csv_header('a,"b,c"\nrest "') == ["a", "b,c"]
    assert csv_header("") == []


@pytest.mark.parametrize("text", ["=1+1", "+cmd|' /C calc'!A0", "-x", "@SUM(A1)", "\tx"])
def test_no_cell_is_a_formula(text: str) -> None:
    assert csv_cell(text) == f"'{text}"
    assert csv_cell("-1.5e3") == "-1.5e3"
    assert csv_cell("n") == "n"


@pytest.mark.parametrize("text", ["{", "[" * 100_000, "9" * 5000])
def test_broken_json_is_one_line(text: str) -> None:
    with pytest.raises(TableError):
        read_json(text, "x.json")


@pytest.mark.parametrize("text", ["8", " 8 ", "8.0", "8.", "+8", 8, 8.0])
def test_whole_numbers(text: str | float) -> None:
    assert whole_number(text, "batch") == 8


@pytest.mark.parametrize(
    "text",
    [
        "",
        "0",
        "1.5",
        "1e3",
        "1_0",
        "٣",
        "1,5",
        "nan",
        "9" * 19,
        "9" * 5000,
        0,
        1.5,
        True,
        float("inf"),
        10**400,
    ],
)
def test_what_is_no_whole_number_is_refused_briefly(text: str | float) -> None:
    with pytest.raises(OptionError) as caught:
        whole_number(text, "batch")
    assert len(str(caught.value)) < 120


def test_thousands_are_separated_in_threes_only() -> None:
    assert real_number("1,234,567.5", "x") == 1234567.5
    # A decimal comma is not a separator of thousands.
    with pytest.raises(OptionError):
        real_number("1,5", "x")


@pytest.mark.parametrize(
    "text", ["", "nan", "inf", "-inf", "1e999", "x", "1_0", "9" * 5000, float("nan"), True]
)
def test_what_is_no_finite_number_is_refused(text: str | float) -> None:
    with pytest.raises(OptionError):
        real_number(text, "x")


def test_bounds_are_named() -> None:
    with pytest.raises(OptionError, match="within 0–100"):
        real_number("101", "accuracy", least=0, most=100)
    with pytest.raises(OptionError, match="from 1 to 4,096"):
        whole_number("100000000", "threads", most=4096)


@pytest.mark.skipif(
    not hasattr(sys, "get_int_max_str_digits"), reason="integers are written whatever their length"
)
def test_values_are_shown_short_and_harmless() -> None:
    assert quote(10**5000) == "a number of about 5,000 digits"
    assert quote("\x1b[2J") == r"'\x1b[2J'"
    assert len(quote("x" * 10**6)) < 50
