"""The layers of encoders of text at any number of tokens: BERT's, by their shapes (Devlin et al. 2019, section 3)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from roofline.model._layer_groups import OTHER, WIDE, LayerCounts


class Encoder(NamedTuple):
    """The shape of an encoder."""

    layers: int
    width: int
    vocabulary: int
    """Rows of the embedding, which are parameters that nothing is multiplied with."""

    @property
    def embedded(self) -> float:
        """Parameters of its embeddings."""
        return float((self.vocabulary + POSITIONS) * self.width)


POSITIONS = 514
HEAD = 64
"""Width of a head; that of the MiniLM of width 384 is half, which halves `narrow` alone."""

ENCODERS = {
    "bert_base": Encoder(12, 768, 30522), "bert_large": Encoder(24, 1024, 30522),
    "distilbert": Encoder(6, 768, 30522), "minilm_l6_h384": Encoder(6, 384, 30522),
    "minilm_l12_h384": Encoder(12, 384, 30522), "roberta_base": Encoder(12, 768, 50265),
    "roberta_large": Encoder(24, 1024, 50265), "camembert_base": Encoder(12, 768, 32005),
    "xlm_roberta_base": Encoder(12, 768, 250002),
}  # fmt: skip
"""Shapes as the configurations of their published weights state them."""


def encoder_layers(encoder: Encoder, tokens: int) -> Iterator[LayerCounts]:
    """Yield what the layers of an encoder require for one text of so many tokens."""
    layers, width = encoder.layers, encoder.width
    stream, wide = tokens * width, 4 * width
    for inner, outer, times in ((width, width, 4), (width, wide, 1), (wide, width, 1)):
        moved, written = tokens * (inner + outer), tokens * outer
        macs, weights = tokens * inner * outer, inner * outer
        yield LayerCounts("product", macs, moved, written, weights, WIDE, times * layers)
    squares = width // HEAD * tokens**2
    for written in (squares, stream):
        yield LayerCounts(
            "batched", tokens * stream, 2 * stream + squares, written, 0, WIDE, layers
        )
    # Scores are scaled, masked and normalized; sums and their normalizations; an activation; changes of the layout.
    for written, times in ((squares, 3), (stream, 4), (4 * stream, 1), (stream, 4)):
        yield LayerCounts(OTHER, 0, 2 * written, written, 0, WIDE, times * layers)
