"""Reads records back from plain values, and says where one is damaged."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from roofline.errors import StoreError
from roofline.validate.records.record import (
    SCHEMA_VERSION,
    Check,
    Environment,
    Job,
    KernelTime,
    Measurement,
    Protocol,
    Reported,
    Turn,
)

T = TypeVar("T")


def from_dict(document: Mapping[str, Any]) -> Measurement:
    """Return the record that `Measurement.to_dict` wrote.

    Raises:
        StoreError: A field is missing, unknown or of the wrong type, or the record is newer than
            this program.
    """
    return _read(Measurement, document, "record")


def job_from_dict(document: Mapping[str, Any]) -> Job:
    """Return the job that ``dataclasses.asdict`` made plain.

    Raises:
        StoreError: A field is missing, unknown or of the wrong type.
    """
    return _read(Job, document, "job")


def _read(kind: type[T], document: Mapping[str, Any], noun: str) -> T:
    from pydantic import ConfigDict, TypeAdapter, ValidationError

    version = document.get("schema_version", SCHEMA_VERSION)
    if isinstance(version, int) and version > SCHEMA_VERSION:
        raise StoreError(
            f"the {noun} has schema version {version}; this program knows {SCHEMA_VERSION}",
            repair="Read it with a newer version of roofline",
        )
    for part in (Protocol, Job, Check, Environment, Reported, Turn, KernelTime, Measurement):
        # Read by pydantic when it first meets the class; unknown fields are errors everywhere.
        part.__pydantic_config__ = ConfigDict(extra="forbid")  # type: ignore[attr-defined]
    try:
        return TypeAdapter(kind).validate_python(dict(document))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise StoreError(
            f"the {noun} is damaged at {where or 'its top'}: {first['msg']}"
        ) from error
