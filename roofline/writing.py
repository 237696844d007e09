"""Writes files whole or not at all."""

from __future__ import annotations

import os
import stat
import tempfile
from pathlib import Path

from roofline.errors import OptionError


def write_whole(path: Path, content: bytes) -> None:
    """Write a file through a temporary neighbour, so that it is complete or unchanged, also when two processes write.

    A file that was there keeps its permissions; a link is followed; a device or a pipe is written to, never replaced.

    Raises:
        OptionError: The folder does not exist or cannot be written, or the disk is full.
    """
    try:
        mode = _mode(path)
        if mode is not None and not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
            with path.open("wb") as device:
                device.write(content)
            return
        permissions = _default_mode() if mode is None else stat.S_IMODE(mode)
        _replace(Path(os.path.realpath(path)), content, permissions)
    except OSError as error:
        raise OptionError(
            f"cannot write {path}: {error.strerror}", repair="Choose another file"
        ) from error


def _replace(target: Path, content: bytes, mode: int) -> None:
    handle, temporary = tempfile.mkstemp(dir=target.parent, prefix=".roofline-")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
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
