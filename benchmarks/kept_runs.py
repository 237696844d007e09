"""Runs that a benchmark keeps in a file by name: one that was ended goes on."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from roofline.validate.records.plain import to_plain
from roofline.validate.records.reading import from_dict
from roofline.validate.records.record import Measurement
from roofline.writing import write_whole


class KeptRuns:
    """The runs of a file."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def run(self, name: str, make: Callable[[], Measurement]) -> Measurement:
        """Return the run of a name: the one that is kept, else one that is made now, and kept if it ended well."""
        if name in (found := self._found()):
            return from_dict(found[name])
        made = make()
        if made.ok:
            # Read again: another program may have kept some meanwhile.
            document = json.dumps({**self._found(), name: to_plain(made)})
            self._path.parent.mkdir(parents=True, exist_ok=True)
            write_whole(self._path, document.encode())
        return made

    def _found(self) -> dict[str, Any]:
        if not self._path.exists():
            return {}
        found: dict[str, Any] = json.loads(self._path.read_text(encoding="utf-8"))
        return found
