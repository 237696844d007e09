"""What every verb's JSON holds, as types: the schemas that are published are made of them.

A document may have more keys than its type; keys that a type requires are always there. A key goes, or changes its
meaning, only with a new ``SCHEMA_VERSION``. Numbers are in the unit that their key names, others in base units; what is
not known, and what is not finite, is null.
"""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import TypeAdapter

from roofline.cli._output import SCHEMA_VERSION
from roofline.cli.documents.counting import (
    Compress,
    Count,
    NetworksCheck,
    NetworksList,
    NetworksShow,
)
from roofline.cli.documents.machines import (
    PlatformsCheck,
    PlatformsConflicts,
    PlatformsDetect,
    PlatformsList,
)
from roofline.cli.documents.predicting import Advise, Compare, Predict
from roofline.cli.documents.reproducing import Reproduce
from roofline.cli.documents.running import (
    Accuracy,
    Calibrate,
    Campaign,
    Demo,
    Export,
    Import,
    Measure,
    Score,
    Validate,
)

DOCUMENTS: Mapping[str, type] = {
    "accuracy": Accuracy, "advise": Advise, "calibrate": Calibrate, "campaign": Campaign, "compare": Compare,
    "compress": Compress, "count": Count, "demo": Demo, "export": Export, "import": Import, "measure": Measure,
    "networks-check": NetworksCheck, "networks-list": NetworksList, "networks-show": NetworksShow,
    "platforms-check": PlatformsCheck, "platforms-conflicts": PlatformsConflicts, "platforms-detect": PlatformsDetect,
    "platforms-list": PlatformsList, "platforms-show": PlatformsList, "predict": Predict, "reproduce": Reproduce,
    "score": Score, "sweep": Predict, "validate": Validate,
}  # fmt: skip
"""The type of each verb's document, by the verb's name."""


def schema(name: str) -> dict[str, object]:
    """Return the JSON Schema (draft 2020-12) of a verb's document.

    Args:
        name: One of `DOCUMENTS`.
    """
    made = TypeAdapter(DOCUMENTS[name]).json_schema(mode="serialization")
    made["properties"]["schema_version"] = {"const": _version(name)}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"https://roofline-nn.github.io/roofline/schemas/v{SCHEMA_VERSION}/{name}.json",
        **made,
        "title": f"roofline {name.replace('-', ' ')} --format json",
    }


def _version(name: str) -> int:
    if name != "export":
        return SCHEMA_VERSION
    from roofline.validate.records.record import SCHEMA_VERSION as RECORDS

    return RECORDS
