"""Other names of machines: what published tables and other tools call them, in one table beside the platform files."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType

from roofline.spec.folders import platform_files, platform_folders
from roofline.spec.names import without_mode

FILE = "aliases.csv"
"""The table in a folder of platform files: columns name, platform and units."""


@dataclass(frozen=True, slots=True)
class Alias:
    """What another name means."""

    platform: str
    """The key of the machine, with a mode after a colon where one is meant."""
    units: int = 1
    """How many of them: published runs on two sockets name a processor once."""


def aliases() -> Mapping[str, Alias]:
    """Return every other name, in lower case, with what it means; an earlier folder's table comes first."""
    return _read(tuple(platform_folders()))


@cache
def _read(folders: tuple[Path, ...]) -> Mapping[str, Alias]:
    found: dict[str, Alias] = {}
    for folder in folders:
        path = folder / FILE
        if path.is_file():
            with path.open(encoding="utf-8", newline="") as file:
                for row in csv.DictReader(file):
                    alias = Alias(row["platform"], int(row["units"]))
                    found.setdefault(row["name"].strip().lower(), alias)
    return MappingProxyType(found)


def find_alias(name: str) -> Alias | None:
    """Return what a name means, whether it is a key or another name; None if no machine is called so.

    Example:
        >>> find_alias("NVIDIA RTX 4090")
        Alias(platform='rtx-4090', units=1)
    """
    spelled = name.strip().lower()
    if without_mode(spelled) in platform_files():
        return Alias(spelled)
    return aliases().get(spelled)
