"""Records as plain values and back, and which field of a damaged one is wrong."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any, TypeVar

from roofline.errors import StoreError
from roofline.validate.records.compression import Compression
from roofline.validate.records.executed import Executed
from roofline.validate.records.failure import Failure
from roofline.validate.records.migration import migrated
from roofline.validate.records.plain import DamagedError, from_plain, to_json, to_plain
from roofline.validate.records.record import (
    SCHEMA_VERSION,
    Check,
    Environment,
    KernelTime,
    Measurement,
    Reported,
    Turn,
)
from roofline.validate.records.request import Protocol, RunRequest

T = TypeVar("T")

_PARTS = (
    Protocol, Compression, RunRequest, Check, Environment, Reported, Turn, KernelTime, Failure, Executed,
    Measurement,
)  # fmt: skip


def from_dict(document: Mapping[str, Any]) -> Measurement:
    """Return the record that `to_dict` wrote, in this version or an older one.

    Raises:
        StoreError: A field is missing, unknown or of the wrong type, or the record is newer than
            this program.
    """
    version = document.get("schema_version", SCHEMA_VERSION)
    if isinstance(version, int) and version > SCHEMA_VERSION:
        raise StoreError(
            f"the record has schema version {version}; this program knows {SCHEMA_VERSION}",
            repair="Read it with a newer version of roofline",
        )
    if isinstance(version, int) and 0 < version < SCHEMA_VERSION:
        document = migrated(document, version)
    return _read(Measurement, document, "record")


def to_dict(measurement: Measurement) -> dict[str, Any]:
    """Return a record as plain JSON values, nothing lost."""
    _forbid_unknown()
    return to_plain(measurement)


def to_text(measurement: Measurement) -> str:
    """Return a record as JSON, nothing lost."""
    _forbid_unknown()
    return to_json(measurement)


def _read(kind: type[T], document: Mapping[str, Any], noun: str) -> T:
    _forbid_unknown()
    try:
        return from_plain(kind, document)
    except DamagedError as error:
        raise StoreError(f"the {noun} is damaged at {error}") from error


@cache
def _forbid_unknown() -> None:
    """Have unknown fields be errors everywhere; pydantic looks when it first meets a class."""
    from pydantic import ConfigDict

    for part in _PARTS:
        config = ConfigDict(extra="forbid", ser_json_inf_nan="constants")
        part.__pydantic_config__ = config  # type: ignore[attr-defined]
