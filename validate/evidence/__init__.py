"""Evidence of real runs: one type with a reader per table, the fit of `expected`, and its score."""

from roofline.validate.evidence.evidence import Evidence
from roofline.validate.evidence.published import read_published


__all__ = ["Evidence", "read_published"]
