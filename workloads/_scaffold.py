"""The commented module that a user fills in to define a network of their own."""

from __future__ import annotations

import keyword
import re

from roofline.errors import NetworkError

_KEY = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")


_NETWORK = '''\
"""The network {key}. Change what is below, then:

    roofline networks check {key}.py           # is every operator counted?
    roofline count {key}                       # once it is shipped, or registered as below

Shipped with roofline, this file lies in its folder ``workloads/``. In a package of your own, name the module in its
pyproject.toml, and every verb knows the network:

    [project.entry-points."roofline.networks"]
    {key} = "my_package.{key}"
"""

from roofline.workloads import Builder, network


@network(
    "{key}",
    "{key}, version 1",
    source="Author et al., Title of the paper, Venue, year; the public definition that was followed",
    dataset="CIFAR-10",
    notes="Choices that change counts: stride placement, rounding of pools, number of classes",
)
def define(net: Builder) -> None:
    """Add two convolutions and a classifier; no weights are stored, ``--weights random`` draws them."""
    x = net.input(3, 32, 32)  # channels, height, width; the batch is left open
    x = net.relu(net.batchnorm(net.conv(x, 32, 3)))
    x = net.maxpool(x, 2, 2)
    x = net.relu(net.batchnorm(net.conv(x, 64, 3)))
    x = net.flatten(net.global_avgpool(x))
    net.output(net.gemm(x, 10))
'''


_DECODER = '''\
"""The decoder {key}. Change its sizes, then:

    roofline networks check {key}.py           # is every operator counted?
    roofline predict {key} -p h100-sxm -d fp16    # once it is registered as below

In a package of your own, name the module in its pyproject.toml, and every verb knows the decoder:

    [project.entry-points."roofline.decoders"]
    {key} = "my_package.{key}"
"""

from roofline.workloads import Decoder, decoder

decoder(
    "{key}",
    "{key}, version 1",
    Decoder(
        layers=4,
        hidden=256,  # width between layers
        heads=8,  # of queries
        kv_heads=2,  # of keys and values
        head_size=32,  # its own number: it need not be hidden / heads
        mlp=1024,  # inner width of the gated MLP; 0 with experts
        vocabulary=32000,
        positions=8192,  # the longest context
        # experts=32, active=4, expert_mlp=512,  # a mixture of experts in every layer, instead of mlp
        # window=128, full_every=2,  # layers see 128 positions; every second one sees all
        # tied=True,  # the output projection is the table of embeddings
        # qkv_bias=True, output_bias=True, qk_norm=True, sinks=True, expert_bias=True,
    ),
    source="Author et al., Title of the report, year; its config.json",
)
'''


def scaffold(key: str, *, decoder: bool = False) -> str:
    """Return a Python module that registers a small network, or decoder, under a key; it runs as it is.

    Raises:
        NetworkError: The key is not in snake case.
    """
    if _KEY.fullmatch(key) is None or keyword.iskeyword(key):
        raise NetworkError(
            f"{key!r} is not a key",
            repair="Use lower-case letters, digits and underscores: my_network",
        )
    return (_DECODER if decoder else _NETWORK).format(key=key)
