"""The compression flags, the same on every verb that counts, predicts, writes or runs a network."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from roofline.binding import UNBOUND, Binding
from roofline.compression_flags import compress_by_flags, request
from roofline.errors import OptionError, printable
from roofline.reading import exists
from roofline.temporary import temporary_folder

if TYPE_CHECKING:
    import onnx

    from roofline.compress import Request
    from roofline.validate.records.compression import Compression
    from roofline.workload import Workload
    from roofline.workloads import DecoderNetwork


@dataclass(frozen=True, kw_only=True, slots=True)
class CompressionOptions:
    """What is taken from a network."""

    keep_channels: Annotated[list[str] | None, typer.Option(metavar="SHARE")] = None
    """Share of inner channels that stay: 0.5, or PATTERN=0.5 for layers whose name matches; repeatable."""
    sparsity: Annotated[list[str] | None, typer.Option(metavar="SHARE")] = None
    """Share of weights set to zero: 0.9, or PATTERN=0.9 for layers whose name matches; repeatable."""
    sparse_format: str = "dense"
    """How pruned weights are stored: dense, csr, csr-kernel, bsr, bitmap, coo, channel-list, 2:4."""
    datatype: Annotated[list[str] | None, typer.Option("-d", metavar="DATATYPE")] = None
    """Weights and activations: int8, w4a8, fp16, ...; PATTERN=fp16, first=fp16, last=fp16 or state=fp16 for parts;
    repeatable, or several by commas."""

    @property
    def prunes(self) -> bool:
        """Whether channels or weights go."""
        return bool(self.keep_channels or self.sparsity)

    @property
    def datatypes(self) -> list[str]:
        """The datatypes of whole networks."""
        return [name for name in self.datatype or () if "=" not in name]

    @property
    def parts(self) -> list[str]:
        """The datatypes of single layers, as ``PATTERN=fp16``."""
        return [name for name in self.datatype or () if "=" in name]

    def request(self, *, criterion: str = "l1", seed: int = 0) -> Request:
        """Return what is asked for; the errors are those of `compression_flags.request`."""
        return request(
            self.keep_channels, self.sparsity, self.sparse_format, self.datatype, criterion=criterion, seed=seed
        )  # fmt: skip

    def under(self, workload: Workload) -> Workload:
        """Return a workload under all that is asked for; without anything it is the same workload."""
        return self.at(workload, self.datatype)

    def at(self, workload: Workload, datatypes: Sequence[str] | None) -> Workload:
        """Return a workload without what is taken from it, in datatypes that are chosen elsewhere."""
        return compress_by_flags(
            workload, self.keep_channels, self.sparsity, self.sparse_format, datatypes
        )


def with_zeros(workload: Workload) -> Workload:
    """Return a workload whose effective MACs leave out the weights that are zero in its file.

    Raises:
        OptionError: The workload comes from no file with weights.
    """
    from roofline.compress.sparse_workload import with_stored_zeros
    from roofline.compress.tensors import read_whole

    origin = workload.origin
    if origin is None or origin.path is None or workload.variant != "dense":
        raise OptionError(
            f"{workload.name} has no stored weights whose zeros could be counted",
            repair="Leave --zeros out, or give an .onnx file as it is",
        )
    whole = read_whole(origin.path)
    if lacks_weights(whole):
        raise OptionError(
            f"{origin.path} has not all of its weights, so their zeros cannot be counted",
            repair="Put the file that holds them beside it, or leave --zeros out",
        )
    return with_stored_zeros(workload, whole)


@contextmanager
def write_models(
    models: Sequence[str], options: CompressionOptions, binding: Binding = UNBOUND
) -> Generator[list[tuple[str, Compression]]]:
    """Write each model under the compression flags into a folder that lives as long as the context.

    Args:
        models: What the user named.
        options: What is taken from each.
        binding: Sizes and values that the models leave open.

    Yields:
        For each model, what to run and what was taken from it; without flags the model itself.

    Raises:
        RooflineError: A model cannot be compressed so.
    """
    from roofline.compress.formats import formats
    from roofline.validate.records.compression import Compression, compression_of

    if not (options.prunes or options.datatype):
        # The model may hold zeros of its own, which a runtime can skip.
        form = formats.name_of(options.sparse_format)
        yield [(model, Compression(sparse_format=form)) for model in models]
        return
    from roofline.compress import compress
    from roofline.compress.compressing import serialize
    from roofline.validate.measuring.decoder_model import in_format

    asked = options.request()
    with temporary_folder() as folder:
        made: list[tuple[str, Compression]] = []
        for place, model in enumerate(models):
            decoder = (
                _find_decoder(model) if asked.pruning is None and asked.sparsity is None else None
            )
            if decoder is not None and asked.quantization is not None:
                name, ready = decoder.key, in_format(decoder, asked.quantization)
            else:
                name, whole, _ = with_weights(model, 0)
                ready = compress(whole, asked, name=name, binding=binding).model
            # The network keeps its name, and two files of one name do not meet.
            path = Path(folder) / str(place) / f"{name}.onnx"
            path.parent.mkdir()
            path.write_bytes(serialize(ready))
            made.append((str(path), compression_of(asked)))
        yield made


def _find_decoder(model: str) -> DecoderNetwork | None:
    """Return the decoder that is shipped, or described by a configuration file; None for others."""
    from roofline._load import find_network
    from roofline.workloads import DecoderNetwork

    found = find_network(model)
    return found if isinstance(found, DecoderNetwork) else None


def with_weights(model: str, seed: int, *, fill: bool = False) -> tuple[str, onnx.ModelProto, int]:
    """Return a model's name, the model with its weights, and how many of them are random.

    Args:
        model: What the user named; a shipped network has random weights.
        seed: Of random weights.
        fill: Whether random ones are taken where a file has none.
    """
    import importlib

    path = Path(model)
    if not (path.suffix or exists(path) or len(path.parts) > 1):
        networks = importlib.import_module("roofline.workloads")
        return model, networks.build(model, weights="random", seed=seed), 0
    from roofline.compress.tensors import read_whole

    if path.suffix == ".json":
        raise OptionError(
            f"{printable(str(path))} describes a network and holds no weights to take from",
            repair="Export the model to ONNX and give that file",
        )
    whole, filled = read_whole(path), 0
    if fill:
        from roofline.validate.measuring.random_weights import fill as with_random

        filled = with_random(whole, seed=seed)
    return printable(path.stem), whole, filled


def lacks_weights(model: onnx.ModelProto) -> bool:
    """Return whether elements of a stored tensor are not at hand."""
    from roofline.compress.tensors import every_tensor, has_data

    return not all(map(has_data, every_tensor(model)))


def fill_weights(model: onnx.ModelProto, seed: int) -> onnx.ModelProto:
    """Return a model in which random weights stand for those that are not at hand."""
    from roofline.validate.measuring.random_weights import fill

    copy = type(model)()
    copy.CopyFrom(model)
    fill(copy, seed=seed, light=False)
    return copy
