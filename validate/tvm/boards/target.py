"""The processor of a board, as a user names it."""

from __future__ import annotations

import json
from typing import Any

from roofline.errors import OptionError
from roofline.validate.tvm.setup import TargetDescription

_TRIPLES = {
    "aarch64": "aarch64-linux-gnu",
    "armv7": "armv7l-linux-gnueabihf",
    "riscv64": "riscv64-linux-gnu",
    "x86_64": "x86_64-linux-gnu",
}


def parse_target(text: str, threads: int) -> TargetDescription:
    """Return a processor's description for TVM.

    Args:
        text: ``aarch64-cortex-a72``, or LLVM's settings as JSON: ``{"mtriple": ..., "mcpu": ..., "mattr": [...]}``.
        threads: Cores that are used.

    Raises:
        OptionError: The text is neither.

    Example:
        >>> parse_target("aarch64-cortex-a72", 4)["mtriple"]
        'aarch64-linux-gnu'
    """
    if text.lstrip().startswith("{"):
        try:
            settings: dict[str, Any] = json.loads(text)
        except ValueError as error:
            raise OptionError(f"the board's target is not JSON: {error}") from error
        return {"kind": "llvm", "num-cores": threads, **settings}
    architecture, _, cpu = text.partition("-")
    if architecture not in _TRIPLES or not cpu:
        raise OptionError(
            f"the board's target {text!r} is not understood",
            repair=f"Write ARCHITECTURE-CPU, such as aarch64-cortex-a72 ({', '.join(_TRIPLES)}), or JSON",
        )
    found: dict[str, str | int | list[str]] = {
        "kind": "llvm",
        "mtriple": _TRIPLES[architecture],
        "mcpu": cpu,
    }
    if architecture == "aarch64":
        found["mattr"] = ["+neon"]
    return {**found, "num-cores": threads}
