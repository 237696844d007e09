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
        self._found: dict[str, Any] = {}
        if path.exists():
            self._found = json.loads(path.read_text(encoding="utf-8"))

    def run(self, name: str, make: Callable[[], Measurement]) -> Measurement:
        """Return the run of a name: the one that is kept, else one that is made now, and kept if it ended well."""
        if name in self._found:
            return from_dict(self._found[name])
        made = make()
        if made.ok:
            self._found[name] = to_plain(made)
            self._path.parent.mkdir(parents=True, exist_ok=True)
            write_whole(self._path, json.dumps(self._found).encode())
        return made
