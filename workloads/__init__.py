"""Networks and published tables: every network of the papers, built from a readable definition, without weights.

Example:
    >>> from roofline.workloads import build, networks
    >>> "resnet50" in networks
    True
    >>> build("mlp").graph.input[0].name
    'input'
"""

from roofline.workloads._network import Network, build, networks

__all__ = ["Network", "build", "networks"]
