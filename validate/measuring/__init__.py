"""Measuring one model in a process of its own: the protocol of a run and of a backend."""
