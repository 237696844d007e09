"""Compression: channel pruning, weight pruning and quantization as transformations of the graph."""
