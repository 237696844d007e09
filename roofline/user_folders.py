"""The folders that are the user's own: what is kept to save time, and what must not be lost."""

from __future__ import annotations

import os
from pathlib import Path

from roofline.errors import OptionError

CACHE = "ROOFLINE_CACHE"
"""Environment variable that moves the cache; else it is ``$XDG_CACHE_HOME/roofline``, or ``~/.cache/roofline``."""


def cache_folder() -> Path:
    """Return the folder for what is worth keeping between runs, made where it is not there yet.

    Raises:
        OptionError: No home is known, or the folder cannot be written; the line says what moves it.
    """
    named = os.environ.get(CACHE)
    repair = f"Set {CACHE} to a folder that can be written"
    folder = (
        Path(named).absolute()
        if named
        else _own_folder("XDG_CACHE_HOME", ".cache", "the cache", repair)
    )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        reason = "" if os.access(folder, os.W_OK | os.X_OK) else "no right to write there"
    except OSError as error:
        reason = str(error.strerror)
    if reason:
        raise OptionError(f"the cache cannot be kept in {folder}: {reason}", repair=repair)
    return folder


def data_folder() -> Path:
    """Return the folder of the user's records: ``$XDG_DATA_HOME/roofline``, or ``~/.local/share/roofline``.

    Raises:
        OptionError: No home is known.
    """
    return _own_folder("XDG_DATA_HOME", ".local/share", "records", MOVE_DATA)


MOVE_DATA = "Set XDG_DATA_HOME to a folder that can be written, or give --store FILE"
"""What helps where records cannot be kept in the user's own store."""


def _own_folder(variable: str, below_home: str, what: str, repair: str) -> Path:
    base = os.environ.get(variable, "")
    # A relative path is to be ignored: https://specifications.freedesktop.org/basedir-spec/latest
    if Path(base).is_absolute():
        return Path(base) / "roofline"
    try:
        return Path.home() / below_home / "roofline"
    except RuntimeError:  # neither $HOME nor an entry in the table of users, as in many containers
        raise OptionError(f"there is no home folder to keep {what} in", repair=repair) from None
