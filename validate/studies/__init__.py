"""Published papers' tables, recomputed and held against the published figures, cell by cell: a folder for each."""

from __future__ import annotations

from roofline.validate.studies.cells import Cell, Table
from roofline.validate.studies.study import Study, reproduce, studies

__all__ = ["Cell", "Study", "Table", "reproduce", "studies"]
