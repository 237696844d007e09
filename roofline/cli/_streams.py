"""Standard streams that never stop the work: nobody's reading is no reason to lose a measurement."""

from __future__ import annotations

import codecs
import errno
import io
import os
import sys
from typing import Any

_GONE = {errno.EPIPE, errno.EIO}
"""What writing to a pipe or a terminal answers whose reader has gone."""


def _escape(error: UnicodeError) -> tuple[str, int]:
    r"""Write what an encoding lacks as JSON does, so that a result in JSON stays one: ``\u00f6``."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    lacking = error.object[error.start : error.end].encode("utf-16-be", "surrogatepass")
    units = (lacking[place : place + 2] for place in range(0, len(lacking), 2))
    return "".join(f"\\u{unit.hex()}" for unit in units), error.end


_ESCAPED = "roofline.escaped"
codecs.register_error(_ESCAPED, _escape)


class _Lasting(io.FileIO):
    """A stream that leads nowhere once its reader (head, less, a terminal) has gone, or its disk is full."""

    def write(self, data: Any) -> int | None:
        try:
            return super().write(data)
        except OSError as error:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self.fileno())
            os.close(nowhere)
            if error.errno not in _GONE:
                # It is said once; what is still to be written must not raise it again when Python ends.
                raise
            return memoryview(data).nbytes


def open_streams() -> None:
    """Make the standard streams ones that can be written to whatever happens to their other ends.

    What was started with closed streams is given others that lead nowhere: no store must be opened in their place.
    Names of files and layers may hold what a terminal's encoding cannot; it is shown by its number.
    """
    for number, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free number, which is this one
        if getattr(sys, name) is None:
            setattr(sys, name, open(number, mode, encoding="utf-8", closefd=False))  # noqa: SIM115
    for number, name in ((1, "stdout"), (2, "stderr")):
        stream = getattr(sys, name)
        # What a caller has put in their place is the caller's.
        if isinstance(stream, io.TextIOWrapper) and stream is getattr(sys, f"__{name}__"):
            stream.flush()
            buffer = io.BufferedWriter(_Lasting(number, "w", closefd=False))
            lasting = io.TextIOWrapper(
                buffer, stream.encoding, _ESCAPED, line_buffering=stream.line_buffering
            )
            setattr(sys, name, lasting)
