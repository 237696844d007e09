"""Measured runs beside predictions, and what compression gained."""
