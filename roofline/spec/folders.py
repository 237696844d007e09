"""The folders that platform files are looked for in."""

from __future__ import annotations

import os
from importlib import resources
from importlib.metadata import entry_points
from pathlib import Path

from roofline.errors import PlatformError

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
            if not folder.is_dir():
                raise PlatformError(
                    f"{ENVIRONMENT} names {text!r}, which is no folder",
                    repair="Correct the variable",
                )
            folders.append(folder)
    points = sorted(entry_points(group=ENTRY_POINTS), key=lambda found: found.name)
    packages = [*(point.value for point in points), "roofline.platforms"]
    return [*folders, *map(_package_folder, packages)]


def _package_folder(package: str) -> Path:
    try:
        return Path(str(resources.files(package)))
    except (ImportError, TypeError) as error:
        raise PlatformError(
            f"the entry point {ENTRY_POINTS} names {package!r}, which is no package",
            repair="Correct or remove the package that declares it",
        ) from error
