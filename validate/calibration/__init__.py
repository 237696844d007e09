"""Microbenchmarks of a machine."""
