"""Arguments as each surface names them: flags on the command line, arguments in Python, keys in a sweep file.

A message names an argument by its `Argument`, and each surface renders the message in its own words.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum


class Surface(StrEnum):
    """Where a reader of a message can mend what it tells."""

    COMMAND_LINE = "command line"
    PYTHON = "Python"
    SWEEP_FILE = "sweep file"


# Code points that are no characters, which Unicode keeps for a program's own use: they stand in no text that is read.
_OPEN, _BETWEEN, _CLOSE = "\ufdd0", "\ufdd1", "\ufdd2"
_EACH = re.compile(f"{_OPEN}([^{_OPEN}{_CLOSE}]*){_CLOSE}")
_PLACES = {surface: place for place, surface in enumerate(Surface)}


def on_each(command_line: str, python: str, sweep_file: str | None = None) -> str:
    """Return a piece of a message that has other words on each surface.

    Args:
        command_line: The words of flags.
        python: The words of arguments.
        sweep_file: The words of keys; those of flags where a sweep file has no such key.
    """
    words = (command_line, python, command_line if sweep_file is None else sweep_file)
    return f"{_OPEN}{_BETWEEN.join(words)}{_CLOSE}"


def render(text: str, surface: Surface) -> str:
    """Return a message as one surface says it.

    Example:
        >>> render(f"Leave {BATCH} out, or choose with {DATATYPE}", Surface.COMMAND_LINE)
        'Leave --batch out, or choose with -d'
        >>> render(f"Leave {BATCH} out, or choose with {DATATYPE}", Surface.SWEEP_FILE)
        'Leave batches out, or choose with datatypes'
    """
    return _EACH.sub(lambda found: found[1].split(_BETWEEN)[_PLACES[surface]], text)


@dataclass(frozen=True, slots=True)
class Argument:
    """An argument; in the text of a message it stands for its name on each surface."""

    flag: str
    """``--weights-read``."""
    name: str
    """``weights_read``."""
    key: str | None = None
    """What a sweep file calls it; None where it has no such key."""
    listed: bool = False
    """Whether a sweep file has a list of them."""

    def __str__(self) -> str:
        return on_each(self.flag, self.name, self.key)

    def at(self, value: object) -> str:
        """Return the argument with a value: ``--batch 8``, ``batch=8``, ``batches: [8]``."""
        entry = f"[{value}]" if self.listed else value
        key = None if self.key is None else f"{self.key}: {entry}"
        return on_each(f"{self.flag} {value}", f"{self.name}={value}", key)


def argument(name: str, key: str | None = None) -> Argument:
    """Return an argument whose flag is its name.

    Example:
        >>> argument("weights_read", "weights_read").flag
        '--weights-read'
    """
    return Argument(f"--{name.replace('_', '-')}", name, key)


ALGORITHM = argument("algorithm")
BATCH = Argument("--batch", "batch", "batches", listed=True)
CONTEXT_LENGTH = argument("context", "context")
DATATYPE = Argument("-d", "datatype", "datatypes", listed=True)
DEVICES = argument("devices")
DIMS = Argument("--dim", "dims")
EMULATE = Argument("predict --emulate", "emulate", "emulate: true")
"""With its verb: most verbs refuse a datatype without a unit, and few have the flag."""
INPUTS = Argument("--input", "inputs")
KEEP_CHANNELS = argument("keep_channels", "keep_channels")
MAX_TPOT = Argument("--max-tpot-ms", "max_tpot_s")
MAX_TTFT = Argument("--max-ttft-ms", "max_ttft_s")
MODEL = argument("model", "model")
NEW_TOKENS = argument("new_tokens", "new_tokens")
OPERATIONS = argument("operations", "operations")
PHASE = argument("phase", "phase")
PLATFORM = Argument("-p", "platform", "platforms", listed=True)
SPARSITY = argument("sparsity", "sparsity")
TRAFFIC = argument("traffic", "traffic")
TUNING = argument("tuning")
VALUES = Argument("--value", "values")
WEIGHTS_READ = argument("weights_read", "weights_read")


def dim_at(name: str, size: object = "N") -> str:
    """Return the size of a named dimension: ``--dim 'N=8'``, ``dims={'N': 8}``."""
    return on_each(f"--dim '{name}={size}'", f"dims={{{name!r}: {size}}}")


def input_at(name: str, shape: str) -> str:
    """Return the shape of an input: ``--input x=1x3``, ``inputs={'x': (1, 3)}``.

    Args:
        name: Of the input.
        shape: Its sizes with ``x`` between them.
    """
    sizes = shape.split("x")
    listed = f"({', '.join(sizes)}{',' if len(sizes) == 1 else ''})"
    return on_each(f"--input {name}={shape}", f"inputs={{{name!r}: {listed}}}")


def value_at(name: str, value: object) -> str:
    """Return the value of an input: ``--value sr=16000``, ``values={'sr': 16000}``."""
    return on_each(f"--value {name}={value}", f"values={{{name!r}: {value}}}")
