"""Transformer encoders: BERT for language, ViT for images."""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING

from roofline.workloads._network import network

if TYPE_CHECKING:
    from roofline.workloads._builder import Builder, Value

VOCABULARY = 30522
POSITIONS = 512


def _attention(net: Builder, x: Value, heads: int) -> Value:
    """Add multi-head self-attention with a projection for each of query, key and value."""
    length, width = x.shape
    depth = width // heads

    def project(order: tuple[int, int, int]) -> Value:
        return net.transpose(net.reshape(net.linear(x, width), length, heads, depth), *order)

    query, key, value = project((1, 0, 2)), project((1, 2, 0)), project((1, 0, 2))
    scores = net.matmul(query, key, power=depth)
    scale = net.constant("attention_scale", math.sqrt(depth))
    scores = net.node("Div", [scores.name, scale], scores.shape, 1.0)
    mixed = net.matmul(net.softmax(scores), value, power=0.5)
    joined = net.reshape(net.transpose(mixed, 1, 0, 2), length, width)
    return net.linear(joined, width)


def _feed_forward(net: Builder, x: Value, inner: int) -> Value:
    return net.linear(net.gelu(net.linear(x, inner)), x.shape[-1])


def bert(net: Builder, length: int, layers: int, width: int, heads: int) -> None:
    """Add a BERT encoder with its embeddings and pooler; normalization after each sum."""
    ids = net.input(length, name="input_ids", dtype=net.INT64)
    words = net.embedding(ids, VOCABULARY, width)
    segments = net.embedding(net.input(length, name="token_type_ids", dtype=net.INT64), 2, width)
    x = net.layernorm(
        net.add(net.add(words, segments), net.learned_table(POSITIONS, width, rows=length)), 1e-12
    )
    for layer in range(layers):
        with net.scope(f"layer{layer + 1}"):
            x = net.layernorm(net.add(_attention(net, x, heads), x), 1e-12)
            x = net.layernorm(net.add(_feed_forward(net, x, 4 * width), x), 1e-12)
    net.output(x, "last_hidden_state")
    pooled = net.gemm(net.row(x, 0), width)
    net.output(net.node("Tanh", [pooled.name], pooled.shape), "pooler_output")


def vit(net: Builder, patch: int, layers: int, width: int, heads: int) -> None:
    """Add a vision transformer for 224x224 images with a class token; normalization before each part."""
    x = net.conv(net.input(3, 224, 224), width, patch, stride=patch, pad="valid", bias=True)
    count = (224 // patch) ** 2
    x = net.transpose(net.reshape(x, width, count), 1, 0)
    x = net.concat((net.token(x), x), axis=0)
    x = net.add(x, net.learned_table(count + 1, width))
    for layer in range(layers):
        with net.scope(f"layer{layer + 1}"):
            x = net.add(_attention(net, net.layernorm(x, 1e-6), heads), x)
            x = net.add(_feed_forward(net, net.layernorm(x, 1e-6), 4 * width), x)
    net.output(net.gemm(net.row(net.layernorm(x, 1e-6), 0), 1000))


network(
    "bert_base",
    "BERT base, uncased, 128 tokens",
    source="Devlin et al., BERT, NAACL 2019 (arXiv:1810.04805)",
    dataset="128 tokens",
    task="language encoder",
    notes="with embeddings and pooler; no attention mask",
)(partial(bert, length=128, layers=12, width=768, heads=12))
network(
    "vit_b16",
    "ViT-B/16 224",
    source="Dosovitskiy et al., ViT, ICLR 2021 (arXiv:2010.11929), Table 1",
    dataset="ImageNet",
)(partial(vit, patch=16, layers=12, width=768, heads=12))
