"""The folders that platform files are looked for in."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from functools import cache
from importlib import resources
from importlib.metadata import entry_points
from pathlib import Path
from types import MappingProxyType

from roofline.errors import PlatformError
from roofline.reading import is_folder

ENVIRONMENT = "ROOFLINE_PLATFORMS"
"""Environment variable: folders with further platform files, separated as in PATH."""
ENTRY_POINTS = "roofline.platforms"
"""Entry-point group: packages that ship platform files; each entry names a package whose folder holds them."""
FAMILIES = "families"
"""The folder, inside one of platform files, of what several machines have in common."""


def platform_folders() -> list[Path]:
    """Return the folders in the order they are searched: the environment's, installed packages', the shipped one.

    Raises:
        PlatformError: The environment names no folder, or an installed package declares none.
    """
    folders: list[Path] = []
    for text in os.environ.get(ENVIRONMENT, "").split(os.pathsep):
        if text:
            folder = Path(text)
            if not is_folder(folder):
                raise PlatformError(
                    f"{ENVIRONMENT} names {text!r}, which is no folder",
                    repair="Correct the variable",
                )
            folders.append(folder)
    return [*folders, *packaged_folders(tuple(sys.path))]


@cache
def packaged_folders(_search_path: tuple[str, ...]) -> tuple[Path, ...]:
    """Return the folders of installed packages; reading every package's metadata for each machine takes seconds."""
    points = sorted(entry_points(group=ENTRY_POINTS), key=lambda found: found.name)
    packages = [*(point.value for point in points), "roofline.platforms"]
    return tuple(map(_package_folder, packages))


def platform_files() -> Mapping[str, Path]:
    """Return the file of every machine that can be named by a key, in the order of the keys.

    A folder named in the environment comes before an installed package's, and that before the shipped files, so that
    a user can correct a shipped machine.
    """
    folders = platform_folders()
    return _files(tuple((folder, folder.stat().st_mtime_ns) for folder in folders))


@cache
def _files(folders: tuple[tuple[Path, int], ...]) -> Mapping[str, Path]:
    files: dict[str, Path] = {}
    for folder, _modified in folders:
        for path in folder.glob("*.yaml"):
            files.setdefault(path.stem, path)
    return MappingProxyType(dict(sorted(files.items())))


def _package_folder(package: str) -> Path:
    try:
        return Path(str(resources.files(package)))
    except (ImportError, TypeError) as error:
        raise PlatformError(
            f"the entry point {ENTRY_POINTS} names {package!r}, which is no package",
            repair="Correct or remove the package that declares it",
        ) from error
