"""Temporary folders that outlive no run: what a killed process leaves, a later one removes."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import shutil
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

_PREFIX = "roofline-scratch-"
"""What no user's own folder is called, so that none is ever removed."""
_NAME = re.compile(rf"{_PREFIX}(\d+)-\w{{8}}")


@contextmanager
def temporary_folder() -> Generator[Path]:
    """Make a folder, and remove it in the end, with those that dead processes left.

    It is locked while it is used: a process id alone says little where containers share the folder for temporary files.
    """
    _remove_dead()
    path = Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{os.getpid()}-"))
    handle = os.open(path, os.O_RDONLY)
    try:
        with contextlib.suppress(OSError):  # a file system without locks: the process id must do
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)
        os.close(handle)


def _remove_dead() -> None:
    for path in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*-*"):
        named = _NAME.fullmatch(path.name)
        with contextlib.suppress(OSError):
            if named is None or path.is_symlink() or path.stat().st_uid != os.getuid():
                continue
            if not _is_alive(int(named[1])) and _is_unlocked(path):
                shutil.rmtree(path, ignore_errors=True)


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return True


def _is_unlocked(path: Path) -> bool:
    handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_DIRECTORY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        os.close(handle)
    return True
