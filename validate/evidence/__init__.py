"""Evidence of real runs: one type with a reader per table, the fit of `expected`, and its score."""

from roofline.validate.evidence.evidence import Evidence
from roofline.validate.evidence.measures import summary
from roofline.validate.evidence.published import read_published
from roofline.validate.evidence.score import Scoring, score

__all__ = ["Evidence", "Scoring", "read_published", "score", "summary"]
