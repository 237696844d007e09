"""Measured runs as records: what they hold, how they are stored, read, exported and imported."""
