"""The summary of all scores of `expected` that is committed, and that the page on it is made from."""

from __future__ import annotations

from typing import Any

from roofline.model._expected_data import Parameters
from roofline.validate.evidence.evidence import Evidence
from roofline.validate.evidence.leaving import LeftOut
from roofline.validate.evidence.score import score, summary

FIGURES = (0, 1, 3, 5)
"""How many figures of a machine correct its estimates."""


def whole(
    evidence: Evidence, parameters: Parameters, silicon: LeftOut, family: LeftOut
) -> dict[str, Any]:
    """Return every score of a version of the model, and of the bound beside it.

    Args:
        evidence: What it was fitted to.
        parameters: The version.
        silicon: The evidence predicted silicon by silicon.
        family: The same family by family of networks.
    """
    left = {"silicon": silicon, "family": family}
    found = {
        name: _rounded(summary(score(evidence, leave=name, left=left[name]))) for name in left
    }
    figures = {
        str(count): _rounded(summary(_after(evidence, silicon, count))["all"]) for count in FIGURES
    }
    bound = _rounded(summary(score(evidence, model="equation1")))
    return {
        "version": parameters.version,
        "provenance": dict(parameters.provenance),
        "silicon": found["silicon"],
        "family": found["family"],
        "figures": figures,
        "equation1": bound,
    }


def _after(evidence: Evidence, silicon: LeftOut, count: int) -> Any:
    return score(evidence, leave="silicon", left=silicon, figures=count)


def _rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _rounded(entry) for name, entry in value.items()}  # pyright: ignore
    return round(value, 4) if isinstance(value, float) else value
