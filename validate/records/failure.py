"""Why a run has no speed: a kind that programs decide by, and a line for people."""

from __future__ import annotations

import errno
from dataclasses import dataclass
from enum import StrEnum


class FailureKind(StrEnum):
    """What went wrong, as far as it decides what happens next."""

    ERROR = "error"
    """An error of the backend, the compiler or the model."""
    CRASH = "crash"
    """The process ended without a result."""
    UNSUPPORTED = "unsupported"
    """The backend cannot take the model."""
    COMPRESSION = "compression"
    """The network could not be compressed as asked."""
    WRONG_OUTPUTS = "wrong-outputs"
    TIME_LIMIT = "time-limit"
    MEMORY = "memory"
    DISK_FULL = "disk-full"
    NO_BOARD = "no-board"
    """No board became free."""
    BOARD_LOST = "board-lost"
    """The board went away in the middle of the run."""


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a run is not ``ok``."""

    kind: FailureKind
    detail: str
    """What happened and where, in one line."""


def of_disk(error: BaseException | None) -> bool:
    """Tell whether an error, or one that it came from, is the system's "no space left"."""
    while error is not None:
        if isinstance(error, OSError) and error.errno == errno.ENOSPC:
            return True
        error = error.__cause__ or error.__context__
    return False
