"""Writing: a specification as YAML that reads back equal, and the JSON Schema of the format."""

from __future__ import annotations

import importlib
from typing import Any

from roofline.spec.schema import Specification

_LINE_BREAKS = frozenset("\x85\u2028\u2029")


def as_yaml(specification: Specification) -> str:
    """Return a specification as the text of a platform file.

    The text reads back as an equal specification: ``from_mapping`` of its content, or ``load`` of the file.
    """
    yaml: Any = importlib.import_module("yaml")
    content = specification.model_dump(mode="json", exclude_defaults=True)
    text: str = yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=100)
    if _LINE_BREAKS.isdisjoint(text):
        return text
    # PyYAML writes these characters as they are, and YAML then reads them as line breaks.
    return yaml.safe_dump(content, sort_keys=False, allow_unicode=False, width=100)


def json_schema() -> dict[str, object]:
    """Return the JSON Schema of platform files; the descriptions are the docstrings of the fields."""
    schema = Specification.model_json_schema()
    required = schema.pop("required")
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **schema,
        # What a file extends may hold the rest.
        "if": {"required": ["extends"]},
        "then": {"required": ["schema_version", "key"]},
        "else": {"required": required},
    }
