"""The summary of all scores of `expected` that is committed, and that the page on it is made from."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import numpy as np

from roofline.model._expected_data import Parameters
from roofline.validate.evidence.evidence import Evidence
from roofline.validate.evidence.leaving import Holdout
from roofline.validate.evidence.measures import scores, summary
from roofline.validate.evidence.page import page
from roofline.validate.evidence.reported import REPORTED
from roofline.validate.evidence.score import Scoring, score
from roofline.validate.evidence.scores import Provenance, Scores, VersionScores

FIGURES = (0, 1, 3, 5)
"""How many figures of a machine correct its estimates."""


SUMMARY = Path("validate", "evidence", "summary.json")
PAGE = Path("docs", "expected.md")
"""Where the summary and the page are, below the root of a checkout."""

OF_VERSION = frozenset(
    {
        "version",
        "provenance",
        "silicon",
        "family",
        "setting",
        "unlike",
        "figures",
        "equation1",
        "origin",
    }
)
"""Parts of the summary that a fit writes; benchmarks of their own write all others, which say of what version."""


def read_summary(root: Path) -> VersionScores:
    """Return the summary that stands in a checkout."""
    return json.loads((root / SUMMARY).read_text(encoding="utf-8"))


def write_summary(root: Path, document: VersionScores) -> None:
    """Write a summary into a checkout, and the page that is made from it."""
    (root / SUMMARY).write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    (root / PAGE).write_text(page(document), encoding="utf-8")


def add_part(root: Path, name: str, part: Any) -> None:
    """Put a part into the summary of a checkout: a table that a benchmark of its own makes.

    Args:
        root: The checkout.
        name: ``power``, ``ablations`` or ``graphs``.
        part: Rows, each a dictionary with the same keys.
    """
    write_summary(root, cast("VersionScores", {**read_summary(root), name: _round(part)}))


UNLIKE = {"class": "by_class", "runtime": "by_runtime", "maker": "by_maker"}
"""What is left out to judge machines unlike those of a fit, and the table of the score by it."""


def version_scores(
    evidence: Evidence, parameters: Parameters, holdouts: Mapping[str, Holdout]
) -> VersionScores:
    """Return every score of a version of the model, and of the bound beside it.

    Args:
        evidence: What it was fitted to.
        parameters: The version.
        holdouts: The evidence predicted without what is judged: by ``silicon``, ``family``, ``setting`` and each of
            `UNLIKE`.
    """
    found = {
        name: _round(summary(score(evidence, leave=name, holdout=holdouts[name])))
        for name in holdouts
    }
    figures = {
        str(count): _round(summary(_after(evidence, holdouts["silicon"], count)).get("all"))
        for count in FIGURES
    }
    bound = _round(summary(score(evidence, model="equation1")))
    return {
        "version": parameters.version,
        "provenance": cast("Provenance", dict(parameters.provenance)),
        "silicon": found["silicon"],
        "family": found["family"],
        "setting": {
            "all": found["setting"]["all"],
            "by_class": found["setting"]["by_class"],
        },
        "unlike": {
            name: {"all": found[name]["all"], "by": found[name][table]}
            for name, table in UNLIKE.items()
        },
        "figures": figures,
        "equation1": bound,
        "origin": _round(by_origin(evidence, holdouts["silicon"])),
    }


def by_origin(evidence: Evidence, silicon: Holdout) -> dict[str, Scores]:
    """Return the score on published tables and on reported runs, silicon left out, and the latter by class."""
    scored = score(evidence, leave="silicon", holdout=silicon)
    reported, asked = evidence.source == REPORTED, scored.asked & np.isfinite(scored.predicted)
    classes = evidence.facts.machine_class
    parts = {"published tables": ~reported, "reported": reported} | {
        f"reported, {name}": reported & (classes == name)
        for name in sorted(set(classes[reported]))
    }
    return {
        name: scores(scored, rows & asked) for name, rows in parts.items() if (rows & asked).any()
    }


def _after(evidence: Evidence, silicon: Holdout, count: int) -> Scoring:
    return score(evidence, leave="silicon", holdout=silicon, figures=count)


def _round(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _round(entry) for name, entry in value.items()}  # pyright: ignore
    if isinstance(value, list):
        return [_round(entry) for entry in value]  # pyright: ignore
    return round(value, 4) if isinstance(value, float) else value
