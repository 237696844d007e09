"""What was taken from a network before it was run."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from roofline.compress import Request

_WHOLE = "dense"


@dataclass(frozen=True, slots=True)
class Compression:
    """A compression as it was asked for; without a field given, nothing was taken.

    Example:
        >>> Compression(keep_channels=0.5, sparsity=0.9, sparse_format="csr").label
        'keep-channels=0.5 sparsity=0.9,csr'
    """

    keep_channels: float = 1.0
    """Share of the inner channels that stay."""
    keep_layers: tuple[tuple[str, float], ...] = ()
    """The same by patterns on layer names, in the order given."""
    sparsity: float = 0.0
    """Share of the weights that are zero."""
    sparse_layers: tuple[tuple[str, float], ...] = ()
    sparse_format: str = "dense"
    """How the weights are stored."""
    zeros: str = "unstructured"
    """Where zeros may lie: ``unstructured`` or ``2:4``."""
    datatypes: tuple[str, ...] = ()
    """Datatypes it was narrowed to, as on the command line: ``int8``, ``w4a16``, ``first=fp16``."""
    other: str = ""
    """In the words of a table of runs, what is none of the above."""

    @property
    def nothing(self) -> bool:
        """Whether the network stays as it is."""
        return self == Compression()

    @property
    def is_pruned(self) -> bool:
        """Whether channels or weights were taken."""
        return self.label != _WHOLE

    @property
    def datatype(self) -> str:
        """The datatype the whole network was narrowed to; empty where there is none."""
        return next((name for name in self.datatypes if "=" not in name), "")

    @property
    def label(self) -> str:
        """What predictions of the same network call it: ``keep-channels=0.5``; ``dense`` for nothing.

        A datatype of the whole network is none of it: tables have a column of their own for it.
        """
        keep = [f"{self.keep_channels:g}"] if self.keep_channels != 1 else []
        keep += [f"{name}={share:g}" for name, share in self.keep_layers]
        zero = [f"{self.sparsity:g}"] if self.sparsity else []
        zero += [f"{name}={share:g}" for name, share in self.sparse_layers]
        if zero and self.sparse_format != "dense":
            zero.append(self.sparse_format)
        elif zero and self.zeros != "unstructured":
            zero.append(self.zeros)
        parts = [f"keep-channels={','.join(keep)}"] if keep else []
        parts += [f"sparsity={','.join(zero)}"] if zero else []
        if any("=" in name for name in self.datatypes):
            parts.append(f"precision={','.join(self.datatypes)}")
        parts += [self.other] if self.other else []
        return " ".join(parts) or _WHOLE

    def request(self, *, seed: int = 0) -> Request:
        """Return the same as a request to the library.

        Args:
            seed: For channels that are chosen by chance.

        Raises:
            RooflineError: A share is outside its range, or a name is not known.
        """
        from roofline.compress import Pruning, Request, Sparsity
        from roofline.compress.quantization import parse_datatypes

        keep = None if self.keep_channels == 1 else self.keep_channels
        pruning = None
        if keep is not None or self.keep_layers:
            pruning = Pruning(keep, dict(self.keep_layers), seed=seed)
        sparsity = None
        if self.sparsity or self.sparse_layers or self.sparse_format != "dense":
            share = self.sparsity or None
            sparsity = Sparsity(share, dict(self.sparse_layers), self.sparse_format, self.zeros)
        narrowed = parse_datatypes(self.datatypes) if self.datatypes else None
        return Request(pruning, sparsity, narrowed)


def compression_of(request: Request) -> Compression:
    """Return a request to the library as it is recorded."""
    pruning, sparsity, narrowed = request.pruning, request.sparsity, request.quantization
    found = Compression()
    if pruning is not None:
        keep = 1.0 if pruning.keep is None else pruning.keep
        found = Compression(keep, tuple(pruning.layers.items()))
    if sparsity is not None:
        found = Compression(
            found.keep_channels,
            found.keep_layers,
            sparsity.share or 0.0,
            tuple(sparsity.layers.items()),
            sparsity.format,
            sparsity.pattern,
        )
    return found if narrowed is None else narrow(found, *narrowed.words)


def narrow(compression: Compression, *datatypes: str) -> Compression:
    """Return a compression that narrows to datatypes too."""
    return replace(compression, datatypes=tuple(name for name in datatypes if name))


def parse_compression(text: str) -> Compression:
    """Return the compression that a table of runs names; words that are none of ours stay as they are.

    Example:
        >>> parse_compression("keep-channels=0.5 sparsity=0.9,csr").sparse_format
        'csr'
        >>> parse_compression("distilled").label
        'distilled'
    """
    keep: _Shares | None = None
    zero: _Shares | None = None
    datatypes: tuple[str, ...] = ()
    other: list[str] = []
    for word in text.split():
        name, _, values = word.partition("=")
        shares = _shares(values)
        if name == "keep-channels" and shares is not None and not shares.word and keep is None:
            keep = shares
        elif name == "sparsity" and shares is not None and zero is None:
            zero = shares
        elif name == "precision" and values:
            datatypes = tuple(values.split(","))
        elif word != _WHOLE:
            other.append(word)
    keep, zero = keep or _Shares(), zero or _Shares()
    return Compression(
        1.0 if keep.whole is None else keep.whole,
        keep.layers,
        zero.whole or 0.0,
        zero.layers,
        zero.word or "dense",
        "2:4" if zero.word == "2:4" else "unstructured",
        datatypes,
        " ".join(other),
    )


@dataclass(frozen=True, slots=True)
class _Shares:
    """``0.9,conv*=0.5,csr``: a share, shares by pattern, and a word."""

    whole: float | None = None
    layers: tuple[tuple[str, float], ...] = ()
    word: str = ""


def _shares(text: str) -> _Shares | None:
    """Return what a text says, or None when it says no share."""
    whole: float | None = None
    layers: dict[str, float] = {}
    form = ""
    for part in text.split(","):
        pattern, equals, written = part.rpartition("=")
        try:
            share = float(written)
        except ValueError:
            if equals or form or not (whole is not None or layers):
                return None
            form = part
            continue
        if equals:
            layers[pattern] = share
        else:
            whole = share
    return _Shares(whole, tuple(layers.items()), form)
