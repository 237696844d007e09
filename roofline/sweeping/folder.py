"""The folder a sweep is written into: one Parquet file a part, whole or not there, and what the sweep is."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from roofline.errors import OptionError
from roofline.number_format import plural
from roofline.parquet import PART
from roofline.progress import Report
from roofline.reading import read_text
from roofline.surfaces import argument
from roofline.sweeping.columns import parquet
from roofline.sweeping.grid import Grid
from roofline.writing import check_output_folder, write_whole

SCHEMA_VERSION = 1
"""Version of the folder's format."""
NAME = "_sweep.json"
"""The file that says what the parts are of; readers of Parquet folders pass over names that begin so."""
_STALE_S = 3600.0
"""Age from which a half-written file is what a killed run left."""


@dataclass(frozen=True, slots=True)
class Folder:
    """Parts of one sweep; several processes on several machines may write into it."""

    path: Path

    def part(self, index: int) -> Path:
        """Return the file of a part."""
        return self.path / f"part-{index:08d}.parquet"

    def done(self) -> set[int]:
        """Return the parts that are there; a file has its name only when it is whole."""
        names = (PART.fullmatch(path.name) for path in self.path.iterdir())
        return {int(found[1]) for found in names if found is not None}

    def write(self, index: int, content: bytes) -> None:
        """Write a part."""
        write_whole(self.part(index), content)

    def begin(self, grid: Grid) -> set[int]:
        """Make the folder if there is none, and return the parts that are done already.

        Raises:
            OptionError: The folder is another sweep's, or holds other files.
        """
        check_output_folder(self.path)
        self.path.mkdir(parents=True, exist_ok=True)
        note = self.path / NAME
        known = _read_digest(note) if note.exists() else None
        if known not in {None, grid.digest} and self.done():
            raise OptionError(
                f"{self.path} holds parts of another sweep (other networks, machines or choices: see {note})",
                repair="Choose another folder with -o, or remove that one",
            )
        if known is None:
            strange = next(
                (path for path in self.path.iterdir() if path.suffix == ".parquet"), None
            )
            if strange is not None:
                raise OptionError(
                    f"{self.path} holds {strange.name}, which is of no sweep that is known",
                    repair="Choose an empty folder with -o",
                )
        # A note without parts is of a sweep that was refused or stopped before its first: this one takes its place.
        if known != grid.digest:
            document: dict[str, object] = {
                "schema_version": SCHEMA_VERSION, "digest": grid.digest, **grid.identity,
            }  # fmt: skip
            write_whole(note, (json.dumps(document, indent=1) + "\n").encode())
        for path in self.path.glob(".roofline-*"):
            if time.time() - path.stat().st_mtime > _STALE_S:
                path.unlink(missing_ok=True)
        return self.done()


def _read_digest(note: Path) -> str:
    text = read_text(note, "note of a sweep", most=1 << 26, error=OptionError)
    try:
        document = json.loads(text)
        version, digest = document["schema_version"], document["digest"]
    except (ValueError, KeyError, TypeError) as error:
        raise OptionError(
            f"{note} is no note of a sweep", repair="Choose another folder with -o"
        ) from error
    if version != SCHEMA_VERSION:
        raise OptionError(
            f"{note} has schema_version {version}, not {SCHEMA_VERSION}",
            repair="Choose another folder with -o",
        )
    return str(digest)


def shard(text: str, parts: int) -> range:
    """Return the parts of a share ``i/n`` of a sweep: every n-th part, from the i-th on.

    Raises:
        OptionError: It is no share.

    Example:
        >>> list(shard("2/3", 7))
        [1, 4]
    """
    found = re.fullmatch(r"(\d{1,6})/(\d{1,6})", text)
    if found is None or not 1 <= int(found[1]) <= int(found[2]):
        raise OptionError(
            f"{argument('shard').at(text)} is no share of a sweep",
            repair=f"Write {argument('shard').at('1/4')} for the first of {plural(4, 'share')}",
        )
    # Never a list: a sweep may have more parts than a list can hold.
    return range(int(found[1]) - 1, parts, int(found[2]))


def run(grid: Grid, folder: Folder, parts: Sequence[int], report: Report) -> None:
    """Do parts of a sweep one after the other in this process.

    Args:
        grid: What is asked.
        folder: Where each part is written when it is done.
        parts: Which of its parts.
        report: Told what is done.
    """
    for count, index in enumerate(parts):
        report(folder.part(index).name, count, len(parts))
        folder.write(index, parquet(grid, index))
    report("done", len(parts), len(parts))
