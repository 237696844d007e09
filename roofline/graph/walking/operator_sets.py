"""The versions of operator sets that a model or a function imports."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from roofline.errors import ModelError
from roofline.graph.reading.expansion import plain_domain


def operator_sets(imports: Iterable[Any], where: str) -> dict[str, int]:
    """Return the version of each domain that is imported; the default domain has two spellings.

    Args:
        imports: The ``opset_import`` of a model or a function.
        where: Whose they are, for messages.

    Raises:
        ModelError: Two entries state different versions of one domain: what an operator means depends on it.
    """
    found: dict[str, int] = {}
    for entry in imports:
        domain = plain_domain(entry.domain)
        before = found.setdefault(domain, entry.version)
        if before != entry.version:
            raise ModelError(
                f"{where} imports the operator set {domain or 'ai.onnx'} as versions {before} and {entry.version}",
                repair="Export the model again, or leave one of the entries",
            )
    return found
