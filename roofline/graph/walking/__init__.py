"""Resolving a graph: every executed call in order, its operands typed, its bodies entered."""
