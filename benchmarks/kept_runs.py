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


def read_kept(path: Path) -> dict[str, Any]:
    """Return the JSON that a file holds; nothing where there is none."""
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


class KeptRuns:
    """The runs of a file."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def find(self, name: str) -> Measurement | None:
        """Return the run of a name, or None where none is kept."""
        kept = read_kept(self._path).get(name)
        return None if kept is None else from_dict(kept)

    def run(self, name: str, make: Callable[[], Measurement]) -> Measurement:
        """Return the run of a name: the one that is kept, else one that is made now, and kept if it ended well."""
        if (kept := self.find(name)) is not None:
            return kept
        made = make()
        if made.ok:
            # Read again: another program may have kept some meanwhile.
            document = json.dumps({**read_kept(self._path), name: to_plain(made)})
            self._path.parent.mkdir(parents=True, exist_ok=True)
            write_whole(self._path, document.encode())
        return made
