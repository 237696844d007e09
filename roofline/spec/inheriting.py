"""What several machines have in common, stated once: a file that says ``extends: NAME`` has NAME's entries too.

NAME is a family (``families/NAME.yaml`` in a folder of platform files, which may leave out anything) or a machine.
Mappings are merged entry by entry; a quantity, a list or a text in the file replaces the inherited one whole. Inherited
sources that no number uses are left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import cast

from roofline.errors import PlatformError, did_you_mean
from roofline.reading import is_file
from roofline.spec.folders import FAMILIES, platform_folders
from roofline.spec.names import KEY_PATTERN, KEY_REPAIR
from roofline.spec.reading import Content, Document, parse, read_text

MAX_GENERATIONS = 4
"""The longest chain of files that extend one another."""


def inherit(document: Document, name: str, folder: Path | None = None) -> Document:
    """Return a document with the entries of what it extends.

    Args:
        document: The content of a platform file.
        name: What to call it in messages.
        folder: The folder of the file, searched first.

    Raises:
        PlatformError: What it extends does not exist, is not readable, or extends the file itself.
    """
    content = _with_bases(document.content, name, folder, MAX_GENERATIONS)
    return document if content is document.content else Document(content, document.lines)


def _with_bases(content: Content, name: str, folder: Path | None, generations: int) -> Content:
    base = content.get("extends")
    if not isinstance(base, str):
        return content
    if not generations:
        raise PlatformError(
            f"{name}: extends: more than {MAX_GENERATIONS} files extend one another",
            repair="Let the file extend a family that extends nothing",
        )
    if KEY_PATTERN.fullmatch(base) is None:
        raise PlatformError(f"{name}: extends: {base[:60]!r} is not a key", repair=KEY_REPAIR)
    path = _file_of(base, name, folder)
    below = _with_bases(
        _content(path, path.stat().st_mtime_ns), str(path), path.parent, generations - 1
    )
    merged = _merge(below, content)
    if isinstance(merged.get("sources"), dict):
        own = _mapping(content.get("sources"))
        used = {*own, *_sources_named(merged)}
        merged["sources"] = {key: value for key, value in merged["sources"].items() if key in used}
    del merged["extends"]
    return merged


def _file_of(base: str, name: str, folder: Path | None) -> Path:
    """Return the file of what is extended: beside the file first, a family before a machine."""
    folders = [*([folder, folder.parent] if folder is not None else []), *platform_folders()]
    for place in folders:
        for path in (place / FAMILIES / f"{base}.yaml", place / f"{base}.yaml"):
            if is_file(path) and str(path) != name:
                return path
    known: dict[str, Path] = {}
    for place in folders:
        for path in (*sorted((place / FAMILIES).glob("*.yaml")), *sorted(place.glob("*.yaml"))):
            if str(path) != name:
                known.setdefault(path.stem, path)
    raise PlatformError(
        f"{name}: extends: no family or machine is named {base[:60]!r}",
        repair=did_you_mean(base, known)
        or f"Write {FAMILIES}/{base[:60]}.yaml, or leave extends out",
    )


@cache
def _content(path: Path, _modified: int) -> Content:
    """Return what a family says; its many members read it once."""
    return parse(read_text(path), str(path)).content


def _merge(below: Mapping[str, object], above: Mapping[str, object]) -> Content:
    merged = dict(below)
    for key, value in above.items():
        old: object = merged.get(key)
        parts, old_parts = _mapping(value), _mapping(old)
        # A quantity is replaced whole: its source would not be its value's otherwise.
        by_entry = parts and old_parts and "value" not in parts and "value" not in old_parts
        merged[key] = _merge(old_parts, parts) if by_entry else value
    return merged


def _mapping(value: object) -> Mapping[str, object]:
    return cast("Mapping[str, object]", value) if isinstance(value, Mapping) else {}


def _sources_named(value: object) -> Iterator[str]:
    if isinstance(value, Mapping):
        for key, entry in _mapping(cast("object", value)).items():
            if key == "source" and isinstance(entry, str):
                yield entry
            else:
                yield from _sources_named(entry)
    elif isinstance(value, list):
        for entry in cast("list[object]", value):
            yield from _sources_named(entry)
