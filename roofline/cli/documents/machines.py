"""Machines and their files."""

from __future__ import annotations

from typing_extensions import TypedDict

from roofline.cli.documents.document import Document, Number, StatedDocument


class ListedPlatform(TypedDict):
    """One machine."""

    platform: str
    name: str
    vendor: str
    kind: str
    year: int | None
    bandwidth_gb_s: Number
    capacity_gb: Number
    tdp_w: Number
    price_usd: Number


class PlatformsList(StatedDocument):
    """``roofline platforms list`` and ``show``."""

    platforms: list[ListedPlatform]


class PlatformsCheck(Document):
    """``roofline platforms check``."""

    ok: bool
    files: list[str]
    problems: list[dict[str, object]]


class DetectedMachine(TypedDict):
    """A machine that is in this computer; ``platform`` is null where none is described."""

    name: str
    via: str
    memory_gb: Number
    platform: str | None


class PlatformsDetect(Document):
    """``roofline platforms detect``."""

    machines: list[DetectedMachine]


class Conflict(TypedDict):
    """One number, in base units, of which another collection says something else."""

    platform: str
    name: str
    quantity: str
    ours: float
    theirs: float
    ratio: float
    kind: str
    guess: str


class PlatformsConflicts(Document):
    """``roofline platforms conflicts``."""

    known: int
    conflicts: list[Conflict]
