"""Writes files whole or not at all."""

from __future__ import annotations

import csv
import io
import os
import stat
import tempfile
from collections.abc import Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from roofline.errors import OptionError


def write_whole(path: Path, content: bytes | Iterable[bytes]) -> None:
    """Write a file through a temporary neighbour, so that it is complete or unchanged, also when two processes write.

    A file that was there keeps its permissions; a link is followed; a device or a pipe is written to, never replaced.

    Args:
        path: The file.
        content: All of it, or its parts in order; where making one fails, the file stays as it was.

    Raises:
        OptionError: The folder does not exist or cannot be written, or the disk is full.
    """
    parts = (content,) if isinstance(content, bytes) else content
    with _write_errors(path):
        mode = _mode(path)
        if mode is not None and not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
            if stat.S_ISFIFO(mode):
                _hold(path)
            with path.open("wb") as device:
                device.writelines(parts)
            return
        permissions = _default_mode() if mode is None else stat.S_IMODE(mode)
        _replace(Path(os.path.realpath(path)), parts, permissions)


@contextmanager
def _write_errors(path: Path) -> Generator[None]:
    """Turn what the system says against a file into an error of ours.

    Raises:
        OptionError: The system refuses.
    """
    try:
        yield
    except OSError as error:
        raise OptionError(
            f"cannot write {path}: {error.strerror}", repair="Choose another file"
        ) from error


def check_output(path: Path) -> None:
    """Say before the work, and not after it, that its result cannot be written there.

    Raises:
        OptionError: The path is a folder, or neither it nor its folder can be written.
    """
    target = Path(os.path.realpath(path))
    mode = _mode_or_error(path)
    if mode is not None and stat.S_ISDIR(mode):
        raise OptionError(f"cannot write {path}: it is a folder", repair="Name a file in it")
    special = mode is not None and not stat.S_ISREG(mode)
    if not special and not target.parent.is_dir():
        raise OptionError(
            f"cannot write {path}: there is no folder {target.parent}", repair="Make it first"
        )
    if mode is not None and stat.S_ISFIFO(mode):
        _hold(path)
    # A file is written beside its old self, so it is the folder that must be writable.
    if not os.access(target if special else target.parent, os.W_OK):
        raise OptionError(
            f"cannot write {path}: {_DENIED} {target if special else target.parent}",
            repair="Choose another file",
        )
    if not special:
        _try_writing(target.parent, f"cannot write {path}", "Choose another file")


def _try_writing(folder: Path, what: str, repair: str) -> None:
    """Make a file in a folder and take it away: rights alone do not say that one can be made (/proc, a full disk).

    Raises:
        OptionError: It cannot.
    """
    try:
        handle, temporary = tempfile.mkstemp(dir=folder, prefix=".roofline-")
        os.close(handle)
        Path(temporary).unlink()
    except OSError as error:
        raise OptionError(
            f"{what}: no file can be made in {folder} ({error.strerror})", repair=repair
        ) from error


_HELD: dict[Path, int] = {}
"""Pipes that are open for writing until the program ends: a reader takes a pipe that is closed for its end."""


def _hold(path: Path) -> None:
    """Open a pipe that somebody reads; without a reader, whoever opens it waits.

    Raises:
        OptionError: Nobody reads it.
    """
    if path in _HELD:
        return
    try:
        _HELD[path] = os.open(path, os.O_WRONLY | os.O_NONBLOCK)
    except OSError as error:
        raise OptionError(
            f"cannot write {path}: it is a pipe that nobody reads", repair="Start its reader first"
        ) from error


def check_output_folder(path: Path) -> None:
    """Say before the work that no files can be written into a folder, which need not be there yet.

    Raises:
        OptionError: The path is a file, or neither it nor the folder it would be made in can be written.
    """
    nearest = Path(os.path.realpath(path))
    while _mode_or_error(nearest) is None:
        nearest = nearest.parent
    if not nearest.is_dir():
        raise OptionError(
            f"cannot write into {path}: {nearest} is a file", repair="Choose another folder"
        )
    if not os.access(nearest, os.W_OK | os.X_OK):
        raise OptionError(
            f"cannot write into {path}: {_DENIED} {nearest}", repair="Choose another folder"
        )
    _try_writing(nearest, f"cannot write into {path}", "Choose another folder")


_DENIED = "no right to write to"


def _mode_or_error(path: Path) -> int | None:
    with _write_errors(path):
        return _mode(path)


def _replace(target: Path, parts: Iterable[bytes], mode: int) -> None:
    handle, temporary = tempfile.mkstemp(dir=target.parent, prefix=".roofline-")
    try:
        with os.fdopen(handle, "wb") as file:
            file.writelines(parts)
        Path(temporary).chmod(mode)
        Path(temporary).replace(target)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def _mode(path: Path) -> int | None:
    try:
        return path.stat().st_mode
    except FileNotFoundError:
        return None


def _default_mode() -> int:
    # The mask can only be read by setting it.
    mask = os.umask(0o077)
    os.umask(mask)
    return 0o666 & ~mask


def csv_text(rows: Iterable[Mapping[str, object]], columns: Sequence[str] = ()) -> str:
    r"""Return rows as CSV with a heading; what a row lacks is empty.

    Args:
        rows: Cells by column.
        columns: Which, in order; by default those of all rows, in the order in which they first stand.

    Example:
        >>> csv_text([{"a": 1}, {"a": 2, "b": 3}])
        'a,b\n1,\n2,3\n'
    """
    written = list(rows)
    names = columns or list(dict.fromkeys(name for row in written for name in row))
    buffer = io.StringIO()
    if names:
        writer = csv.DictWriter(buffer, names, lineterminator="\n")
        writer.writeheader()
        writer.writerows(written)
    return buffer.getvalue()
