"""Measured runs from other tools: one module per format, each registered by name."""

from roofline.validate.records.importers._registry import (
    ImportedFile,
    Importer,
    RejectedRow,
    importers,
    read_runs,
)

__all__ = ["ImportedFile", "Importer", "RejectedRow", "importers", "read_runs"]
