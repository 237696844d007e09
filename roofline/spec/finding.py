"""Finding a machine by its key or its file."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path

from roofline.arguments import check_kind
from roofline.errors import PlatformError, did_you_mean
from roofline.spec.aliases import aliases
from roofline.spec.folders import platform_files
from roofline.spec.loading import load
from roofline.spec.machine import Platform, in_mode
from roofline.spec.names import without_mode
from roofline.spec.schema import Specification


def platform(name: str) -> Platform:
    """Return the machine of that key or file.

    Args:
        name: A key (``h100-sxm``), a key and a mode (``tx2:maxn``), another name in the table of aliases, or the path
            of a user's own file, with or without a mode (``boards/mine.yaml:fast``). A file with modes must be asked
            for one unless it has a default.

    Raises:
        PlatformError: No platform has that key or mode, or the file breaks a rule.

    Example:
        >>> platform("h100-sxm").bandwidth
        3350000000000.0
    """
    check_kind(name, (str, Path), "name", "Give a key such as 'h100-sxm', or the path of a file")
    name = str(name)
    alias = aliases().get(name.strip().lower())
    if alias is not None and without_mode(name) not in platform_files():
        name = alias.platform
    path, mode = _as_file(name)
    if path is not None:
        return in_mode(load(path), mode)
    key, colon, mode_name = name.partition(":")
    return in_mode(_find_shipped(key), mode_name if colon else None)


def platform_keys() -> tuple[str, ...]:
    """Return every key that `platform` knows, with each mode of a machine that has modes."""
    keys: list[str] = []
    for key, path in platform_files().items():
        modes = _load(path, path.stat().st_mtime_ns).modes
        keys += [f"{key}:{mode}" for mode in modes] or [key]
    return tuple(keys)


def _as_file(name: str) -> tuple[Path | None, str | None]:
    """Split a name that means a file into path and mode; the path is None where the name is a key."""
    if name.endswith((".yaml", ".yml")):
        return Path(name), None
    front, colon, mode = name.rpartition(":")
    if colon and front.endswith((".yaml", ".yml")):
        return Path(front), mode
    if os.sep in name or "\0" in name:
        raise PlatformError(
            f"{name!r} is no platform file", repair="A platform file ends in .yaml"
        )
    return None, None


def _find_shipped(key: str) -> Specification:
    files = platform_files()
    # Capitals never tell two machines apart.
    key = next((known for known in files if known.casefold() == key.casefold()), key)
    path = files.get(key)
    if path is None:
        hint = did_you_mean(key, files) or "List them: roofline platforms list"
        raise PlatformError(f"unknown platform {key!r}", repair=hint)
    specification = _load(path, path.stat().st_mtime_ns)
    if specification.key != key:
        raise PlatformError(
            f"{path}: key: {specification.key!r} is not the name of the file",
            repair=f"Write key: {key}",
        )
    return specification


@cache
def _load(path: Path, _modified: int) -> Specification:
    return load(path)
