"""What all documents have."""

from __future__ import annotations

from typing_extensions import TypedDict

Number = float | None
"""What is not known, and what is not finite, is null."""


class Document(TypedDict):
    """What every document says of itself."""

    schema_version: int


class StatedDocument(Document):
    """A document that states the conventions of its numbers."""

    conventions: dict[str, str]
