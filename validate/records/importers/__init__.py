"""Measured runs from other tools: one module per format, each registered by name."""

from roofline.validate.records.importers._registry import (
    Imported,
    Importer,
    Rejected,
    importers,
    read_runs,
)

__all__ = ["Imported", "Importer", "Rejected", "importers", "read_runs"]
