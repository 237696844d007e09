"""Roofline predictions."""
