"""Boards reached by TVM's remote procedure calls."""
