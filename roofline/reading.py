"""Reads what users wrote: files that are regular, bounded and UTF-8; rows as CSV quotes them; JSON; numbers.

Every verb reads a user's tables and lists through this module, so that a pipe, an endless device, a mistaken file of
gigabytes or a cell with a line break is met by the same sentence everywhere.
"""

from __future__ import annotations

import codecs
import csv
import errno
import io
import json
import math
import os
import re
import stat
import sys
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, cast

from roofline.errors import OptionError, RooflineError, TableError
from roofline.number_format import plural

MAX_TABLE_BYTES = 1 << 28
"""The largest table or JSON document that is read: 256 MiB."""
MAX_INTEGER = 2**63 - 1
"""The largest whole number that is understood: ONNX, SQLite and Parquet hold no larger one."""
MAX_REAL = 1e15
"""No flag's number is beyond it: not a rate, a time, a price or a power of any machine, in the flag's unit."""

JsonObject = Mapping[str, Any]
"""An object of somebody's JSON: whatever stands under a key has to be looked at before it is used."""

_MAX_DIGITS = 400
_WHOLE = re.compile(r"[+-]?[0-9]+(\.0*)?")
# Separators of thousands stand in some tables' cells; a comma elsewhere may be a decimal one and is refused.
_THOUSANDS = re.compile(r"[+-]?[0-9]{1,3}(,[0-9]{3})+(\.[0-9]*)?")


def _is(path: str | Path, ask: Callable[[Path], bool]) -> bool:
    try:
        return ask(Path(path))
    except OSError as error:
        # The system takes no text of this length for a path, so that nothing is there.
        if error.errno != errno.ENAMETOOLONG:
            raise
    return False


def exists(path: str | Path) -> bool:
    r"""Return whether anything is where a text names a path; nothing is where it cannot be one.

    Example:
        >>> exists("."), exists(",".join(["h100-sxm"] * 500)), exists("a\0b")
        (True, False, False)
    """
    return _is(path, Path.exists)


def is_file(path: str | Path) -> bool:
    """Return whether a text names a regular file."""
    return _is(path, Path.is_file)


def is_folder(path: str | Path) -> bool:
    """Return whether a text names a folder."""
    return _is(path, Path.is_dir)


def read_bytes(
    path: Path, noun: str, *, most: int = MAX_TABLE_BYTES, error: type[RooflineError] = TableError
) -> bytes:
    """Return the content of a file that a user named.

    Args:
        path: The file.
        noun: What it should be, for messages: ``"table"``.
        most: The largest size that is read, in bytes.
        error: The error raised.

    Raises:
        RooflineError: It is missing, no regular file (a pipe or a device might never end), or too large.
    """
    with _open(path, noun, error) as file:
        content = file.read(most + 1)
    if len(content) > most:
        size = f"{most >> 20} MiB" if most >= 1 << 20 else f"{most >> 10} KiB"
        raise error(f"{path} is larger than {size}, which no {noun} is", repair="Split it")
    return content


@contextmanager
def _open(path: Path, noun: str, error: type[RooflineError]) -> Generator[BinaryIO]:
    try:
        # A pipe that nobody writes to would be waited for; this flag changes nothing for regular files.
        handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
        with os.fdopen(handle, "rb") as file:
            kind = os.fstat(handle)
            if not stat.S_ISREG(kind.st_mode):
                what = "a folder" if stat.S_ISDIR(kind.st_mode) else "no regular file"
                raise error(f"{path} is {what}", repair=f"Give a {noun} in a file")
            yield file
    except FileNotFoundError as reason:
        raise error(f"{path} does not exist", repair=f"Give the path of a {noun}") from reason
    except IsADirectoryError as reason:
        raise error(f"{path} is a folder", repair=f"Give a {noun} in a file") from reason
    except (OSError, ValueError) as reason:
        why = reason.strerror if isinstance(reason, OSError) else str(reason)
        raise error(f"cannot read {path}: {why}", repair=f"Give a {noun} in a file") from reason


def check_regular(path: Path, noun: str, error: type[RooflineError] = TableError) -> None:
    """Refuse what is no regular file, for libraries that open files themselves.

    Raises:
        RooflineError: It is missing, or no regular file.
    """
    read_head(path, noun, 0, error=error)


def read_head(
    path: Path, noun: str, size: int, *, error: type[RooflineError] = TableError
) -> bytes:
    """Return the first bytes of a file that a user named.

    Args:
        path: The file.
        noun: What it should be, for messages.
        size: How many bytes.
        error: The error raised.

    Raises:
        RooflineError: It is missing, or no regular file.
    """
    with _open(path, noun, error) as file:
        return file.read(size)


def read_text(
    path: Path, noun: str, *, most: int = MAX_TABLE_BYTES, error: type[RooflineError] = TableError
) -> str:
    """Return the text of a file that a user named; the mark that spreadsheets write in front of it is left out.

    Args:
        path: The file.
        noun: What it should be, for messages.
        most: The largest size that is read, in bytes.
        error: The error raised.

    Raises:
        RooflineError: It cannot be read (`read_bytes`), or is not UTF-8.
    """
    return decode(read_bytes(path, noun, most=most, error=error), path, error=error)


def decode(content: bytes, path: Path, *, error: type[RooflineError] = TableError) -> str:
    """Return the text of what a file holds, without the mark that spreadsheets write in front of it.

    Args:
        content: What it holds.
        path: The file, for messages.
        error: The error raised.

    Raises:
        RooflineError: It is not UTF-8.
    """
    try:
        return content.decode().removeprefix("\ufeff")
    except UnicodeDecodeError as reason:
        # UTF-16 is text with zero bytes, and begins with its mark.
        if b"\0" in content and not content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            raise error(f"{path} is a binary file", repair="Give a text file") from reason
        line = content.count(b"\n", 0, reason.start) + 1
        raise error(
            f"{path} line {line} is not UTF-8 text (byte {reason.start})",
            repair="Save it as UTF-8",
        ) from reason


@dataclass(frozen=True, slots=True)
class CsvTable:
    """The content of a CSV text: its header, and a mapping for each row."""

    header: tuple[str, ...]
    rows: tuple[dict[str, str], ...]


def read_csv(text: str, where: str) -> CsvTable:
    r"""Return the rows of a CSV text; line breaks, commas and rare separators within a cell stay in it.

    Args:
        text: The whole text.
        where: What to call it in messages: the file's path.

    Raises:
        TableError: It is empty, holds a NUL, its header names a column twice, its quotes do not close, or a row has
            another number of cells than the header.

    Example:
        >>> read_csv('network,note\nmlp,"one, two"\n', "x.csv").rows
        ({'network': 'mlp', 'note': 'one, two'},)
    """
    lines = _csv_lines(text, where)
    _, header = next(lines, (0, None))
    if header is None:
        raise TableError(f"{where} is empty", repair="Give a CSV file with a header line")
    twice = next((name for place, name in enumerate(header) if name in header[:place]), None)
    if twice is not None:
        raise TableError(
            f"{where}: the header names {twice!r} twice", repair="Rename one of the two"
        )
    rows: list[dict[str, str]] = []
    for number, (line, cells) in enumerate(lines, 1):
        if len(cells) != len(header):
            raise TableError(
                f"{where} row {number} (line {line}): {plural(len(cells), 'cell')}, and the header has {len(header)}",
                repair="Check its commas and quotes",
            )
        rows.append(dict(zip(header, cells, strict=True)))
    return CsvTable(tuple(header), tuple(rows))


def csv_header(head: str) -> list[str]:
    """Return the cells of the first line of a CSV text, which may be cut after it; nothing where there is none."""
    nothing: list[str] = []
    return next(csv.reader(io.StringIO(head, newline="")), nothing)


def _csv_lines(text: str, where: str) -> Iterator[tuple[int, list[str]]]:
    if "\0" in text:
        raise TableError(
            f"{where} line {text.count(chr(10), 0, text.index(chr(0))) + 1} holds a NUL character, which no text does",
            repair="Save it as CSV again",
        )
    # Cells are bounded by the file; the limit of the library is far below a record's.
    csv.field_size_limit(sys.maxsize)
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        for cells in reader:
            if cells:
                yield reader.line_num, [_unquote(cell) for cell in cells]
    except csv.Error as reason:
        raise TableError(
            f"{where} line {reader.line_num}: not valid CSV ({reason})", repair="Check its quotes"
        ) from reason


_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def csv_cell(value: Any) -> Any:
    """Return a cell that no spreadsheet runs: text that starts like a formula gets an apostrophe in front.

    Numbers stay as they are. `read_csv` takes the apostrophe away.

    Example:
        >>> csv_cell("=1+1"), csv_cell("-1.5"), csv_cell(-1.5)
        ("'=1+1", '-1.5', -1.5)
    """
    if not isinstance(value, str) or not value.startswith(_FORMULA):
        return value
    try:
        float(value)
    except ValueError:
        return f"'{value}"
    return value


def _unquote(cell: str) -> str:
    return cell[1:] if cell[:1] == "'" and cell[1:].startswith(_FORMULA) else cell


def read_json(
    text: str,
    where: str,
    *,
    error: type[RooflineError] = TableError,
    repair: str = "Write it with --format json",
) -> Any:
    """Return what a JSON text holds.

    Args:
        text: The whole text.
        where: What to call it in messages: the file's path.
        error: The error raised.
        repair: Where such a text comes from.

    Raises:
        RooflineError: It is not JSON, nests too deeply, or holds a number of thousands of digits.
    """
    try:
        return json.loads(text)
    except json.JSONDecodeError as reason:
        raise error(
            f"{where} line {reason.lineno}: not valid JSON ({reason.msg})", repair=repair
        ) from reason
    except RecursionError as reason:
        raise error(f"{where} is nested too deeply for a document") from reason
    except ValueError as reason:
        raise error(f"{where}: not valid JSON: a number has thousands of digits") from reason


def as_object(value: object) -> JsonObject:
    """Return a value of somebody's JSON that is an object; an empty one for any other."""
    return cast("JsonObject", value) if isinstance(value, dict) else {}


def quote(value: object, width: int = 40) -> str:
    """Return a value as it is quoted in a message: cut, with nothing in it that a terminal obeys."""
    # Python refuses to write integers of thousands of digits.
    if isinstance(value, int) and value.bit_length() > 64 * 4:
        return f"a number of about {plural(round(value.bit_length() * math.log10(2)), 'digit')}"
    text = repr(value)
    if len(text) <= width:
        return text
    return f"{text[:width]}…" + (text[0] if isinstance(value, str) else "")


def whole_number(
    value: str | float,
    name: str,
    *,
    least: int = 1,
    most: int = MAX_INTEGER,
    error: type[Exception] = OptionError,
) -> int:
    """Return a whole number that a user wrote.

    Args:
        value: Its text, or a number that was read already.
        name: What it is, for messages.
        least: The smallest allowed.
        most: The largest allowed.
        error: The error raised, whose only argument is the message.

    Raises:
        error: It is no number, not whole, or outside its bounds.

    Example:
        >>> whole_number("1,024", "batch"), whole_number("8.0", "batch")
        (1024, 8)
    """
    found: int | None = None
    if isinstance(value, str):
        plain = _plain(value)
        if _WHOLE.fullmatch(plain):
            found = int(plain.partition(".")[0])
    elif isinstance(value, int) and not isinstance(value, bool):
        found = value
    elif isinstance(value, float) and value.is_integer():
        found = int(value)
    if found is None or not least <= found <= most:
        bounds = f"from {least}" if most == MAX_INTEGER else f"from {least} to {most:,}"
        raise error(f"{name} is {quote(value)}, not a whole number {bounds}")
    return found


def real_number(
    value: str | float,
    name: str,
    *,
    least: float = -math.inf,
    most: float = math.inf,
    error: type[Exception] = OptionError,
) -> float:
    """Return a finite number that a user wrote; the arguments are those of `whole_number`.

    Raises:
        error: It is no number, not finite, or outside its bounds.

    Example:
        >>> real_number("1,234.5", "measured_fps", least=0)
        1234.5
    """
    found = math.nan
    if not isinstance(value, bool):
        try:
            found = float(_plain(value) if isinstance(value, str) else value)
        except (TypeError, ValueError, OverflowError):
            found = math.nan
    if not math.isfinite(found) or not least <= found <= most:
        bounds = " of at least 0" if least == 0 and most == math.inf else ""
        bounds = f" within {least:g}–{most:g}" if most < math.inf else bounds
        raise error(f"{name} is {quote(value)}, not a number{bounds}")
    return found


def _plain(text: str) -> str:
    """Return a number's text as Python reads it; empty where it cannot be one."""
    text = text.strip()
    if len(text) > _MAX_DIGITS or not text.isascii() or "_" in text:
        return ""
    return text.replace(",", "") if _THOUSANDS.fullmatch(text) else text
