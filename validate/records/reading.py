"""Records out of plain values, those of older versions too, and which field of a damaged one is wrong."""

from __future__ import annotations

from roofline.errors import StoreError
from roofline.reading import JsonObject
from roofline.validate.records.migration import migrate
from roofline.validate.records.plain import DamagedError, from_plain
from roofline.validate.records.record import SCHEMA_VERSION, Measurement


def from_dict(document: JsonObject) -> Measurement:
    """Return the record that `Measurement.to_dict` wrote, in this version or an older one.

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
        document = migrate(document, version)
    try:
        return from_plain(Measurement, document)
    except DamagedError as error:
        raise StoreError(f"the record is damaged at {error}") from error
