"""Takes records of older versions to this one's fields.

Version 1 kept in sentences what are kinds and numbers now: how a run failed, what its products ran in, and what had
been taken from the network. Nothing but this module reads those sentences.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, cast

from roofline.precision import DATATYPES
from roofline.reading import JsonObject
from roofline.validate.records.compression import parse_compression
from roofline.validate.records.executed import Executed, StoredAs, describe_execution
from roofline.validate.records.failure import Failure, FailureKind

Document = dict[str, Any]


def migrate(document: JsonObject, version: int) -> Document:
    """Return a record's fields as this version has them.

    Args:
        document: The fields, unchecked: what is of another type than its version wrote is left as it is.
        version: The version that wrote them.
    """
    fields = dict(document)
    for step in _STEPS[version - 1 :]:
        fields = step(fields)
    return fields


def migrated_job(document: JsonObject) -> Document:
    """Return the fields of a job of version 1 as this version has them."""
    fields = dict(document)
    variant = fields.pop("variant", "dense")
    fields["compression"] = parse_compression(variant) if isinstance(variant, str) else variant
    return fields


def _kinds_for_sentences(document: Document) -> Document:
    fields = dict(document)
    job, executed = fields.get("job"), fields.get("executed", "")
    reason = fields.pop("reason", "")
    if isinstance(job, dict):
        fields["job"] = migrated_job(cast("Document", job))
    if isinstance(executed, str):
        fields["executed"] = _parse_executed(executed)
    if isinstance(reason, str) and reason:
        fields["failure"] = Failure(_failure_kind(fields.get("status"), reason), reason)
    fields["schema_version"] = 2
    return fields


_STEPS: tuple[Callable[[Document], Document], ...] = (_kinds_for_sentences,)
"""What takes a record from version i + 1 to i + 2."""

_STATUS_KINDS = {
    "timeout": FailureKind.TIME_LIMIT,
    "out-of-memory": FailureKind.MEMORY,
    "wrong": FailureKind.WRONG_OUTPUTS,
}
_SENTENCES = (
    ("the board was lost", FailureKind.BOARD_LOST),
    ("no board became free", FailureKind.NO_BOARD),
    ("No space left on device", FailureKind.DISK_FULL),
    ("compressing: ", FailureKind.COMPRESSION),
    ("crashed (", FailureKind.CRASH),
)
_STORED = (
    ("of dequantized values", StoredAs.DEQUANTIZED),
    ("of 4-bit weights", StoredAs.PACKED),
    ("of bf16 weights", StoredAs.BF16),
)


def _failure_kind(status: object, reason: str) -> FailureKind:
    kind = next((kind for words, kind in _SENTENCES if words in reason), FailureKind.ERROR)
    return _STATUS_KINDS.get(str(status), kind)


def _parse_executed(text: str) -> Executed:
    """Return what ``int8, int32 sums; in part fp32`` or ``fp32 and int8, int32 sums`` says."""
    names = re.findall(r"\w+", text.partition(", of ")[0])
    sums = re.search(r"(\w+) sums", text)
    known = [name for name in names if name in DATATYPES and not (sums and name == sums[1])]
    if not known:
        return Executed(text)
    emulated = known[:1] if ", emulated: " in text else []
    stored = next((kind for words, kind in _STORED if words in text), None)
    if emulated:
        # The datatype it is converted to is no product of its own.
        known = known[:1]
    return describe_execution(known, emulated=emulated, stored=stored)
