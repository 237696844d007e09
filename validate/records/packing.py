"""A record as the bytes that a store keeps, and back within bounds."""

from __future__ import annotations

import array
import hashlib
import json
import sys
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, cast

from roofline.errors import StoreError
from roofline.reading import JsonObject
from roofline.validate.records.reading import from_dict
from roofline.validate.records.record import Measurement

MOST_BYTES = 64 << 20
"""Largest size of a record's fields or of its samples, unpacked: eight million samples."""


@dataclass(frozen=True, slots=True)
class PackedRecord:
    """A record's bytes."""

    document: bytes
    """Every field but the samples, compressed JSON."""
    samples: bytes
    """The samples in seconds as 64-bit floats, little-endian, compressed."""
    digest: str
    """Of both before compression: two records with one digest are the same record."""


def pack(measurement: Measurement) -> PackedRecord:
    """Return a record as bytes, nothing lost."""
    document = measurement.to_dict()
    samples = _floats(document.pop("samples_s"))
    text = json.dumps(document, sort_keys=True).encode()
    digest = hashlib.sha256(text + samples).hexdigest()
    return PackedRecord(zlib.compress(text), zlib.compress(samples), digest)


def unpack(document: object, samples: object) -> Measurement:
    """Return the record of two columns of a store.

    Raises:
        StoreError: They are no record, or one that unpacks to more than `MOST_BYTES`.
    """
    try:
        fields = _parse(_inflate(document))
        values = array.array("d")
        values.frombytes(_inflate(samples))
    except (zlib.error, ValueError, RecursionError) as error:
        raise StoreError(f"the record is damaged: {error}") from error
    if not isinstance(fields, dict):
        raise StoreError("the record is damaged: it has no fields")
    if sys.byteorder == "big":
        values.byteswap()
    return from_dict({**cast("JsonObject", fields), "samples_s": values.tolist()})


def _parse(text: bytes) -> Any:
    from pydantic_core import from_json

    try:
        # Three times as fast, which is most of what reading a store takes.
        return from_json(text)
    except ValueError:
        # Names that are no text, as file systems have them, are escaped in what we write; only json reads them.
        return json.loads(text)


def _inflate(column: object) -> bytes:
    if not isinstance(column, bytes):
        raise ValueError("a column of it is too large or no bytes")  # noqa: TRY004 (a fault of the data)
    stream = zlib.decompressobj()
    content = stream.decompress(column, MOST_BYTES)
    if not stream.eof:
        more = "it is cut short" if len(content) < MOST_BYTES else "it unpacks to too much"
        raise ValueError(more)
    return content


def _floats(samples: Iterable[float]) -> bytes:
    values = array.array("d", samples)
    if sys.byteorder == "big":
        values.byteswap()
    return values.tobytes()
