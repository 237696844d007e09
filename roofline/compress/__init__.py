"""Compression: channel pruning, weight pruning and quantization as transformations of the graph.

The same request changes a workload's counts (`Workload.under`) and writes a file that runs (`compress`), and the two
agree.
"""

from roofline.compress.compressing import CompressedModel, Request, compress
from roofline.compress.quantization import Quantization
from roofline.compress.request import Pruning
from roofline.compress.sparsity import Sparsity

__all__ = ["CompressedModel", "Pruning", "Quantization", "Request", "Sparsity", "compress"]
