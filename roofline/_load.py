"""Loading a model by path or by the name of a shipped network."""

from __future__ import annotations

import importlib
import os
from collections.abc import Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from roofline.arguments import check_items, check_kind, check_list, check_whole
from roofline.binding import Binding
from roofline.conventions import Causal, choice
from roofline.decoding.phases import find_decoding
from roofline.decoding.request import Request
from roofline.errors import NetworkError, did_you_mean, printable
from roofline.workload import Workload

if TYPE_CHECKING:
    from roofline.decoding.phases import Decoding
    from roofline.workloads import Network
    from roofline.workloads.decoder_network import DecoderNetwork


def load(
    model: str | Path,
    *,
    batch: int | None = None,
    dims: Mapping[str, int] | None = None,
    inputs: Mapping[str, Sequence[int]] | None = None,
    values: Mapping[str, Any] | None = None,
    bound_sizes: bool = False,
    causal: Causal | str = Causal.VISIBLE,
) -> Workload:
    """Count a model: an ``.onnx`` file, a network that is shipped, or a decoder's ``config.json``.

    A decoder that is shipped or described, and whose lengths are not given, is counted for one token behind a context
    of 4,096.

    Args:
        model: A path, or a network's name such as ``"resnet50"``.
        batch: Items per inference where the model leaves its leading dimension open; 1 unless given.
        dims: Sizes of other symbolic dimensions, by name, and of results whose sizes depend on values, by theirs.
        inputs: Whole shapes of inputs, by name; an empty one is a scalar.
        values: Values of inputs that decide shapes, branches or trips, by name.
        bound_sizes: Whether sizes that depend on values (NonZero, NonMaxSuppression, ...) are taken at the most they
            can be where they are not given; counts from them are "at most".
        causal: Which scores of causal and windowed attention count: those its mask leaves (``visible``), or the
            ``full`` square.

    Raises:
        NetworkError: There is no such file and no such network.
        DimensionError: A dimension has no size; the message names the input, the dimension and the flag.
        ModelError: The file is no well-formed ONNX model.

    Example:
        >>> load("mlp").macs
        10014720
    """
    check_items(batch)
    for name, given in (("dims", dims), ("inputs", inputs), ("values", values)):
        check_kind(given or {}, Mapping, name, "Give a mapping of names")
    for name, shape in (inputs or {}).items():
        check_list(shape, object, f"inputs[{name!r}]", "Give a shape: (1, 3, 224, 224)")
        for size in shape:
            check_whole(size, f"inputs[{name!r}]", "Give a shape: (1, 3, 224, 224)")
    for name, size in (dims or {}).items():
        check_whole(size, f"dims[{name!r}]", "Give a size")
    shapes = {name: tuple(shape) for name, shape in (inputs or {}).items()}
    scores = choice(Causal, causal, "count of causal attention")
    binding = Binding(batch, dims or {}, shapes, values or {}, bound_sizes, scores)
    return load_bound(model, binding)


def load_bound(model: str | Path, binding: Binding) -> Workload:
    """Count a model as `load` does, what it leaves open given as one value."""
    check_kind(model, (str, PathLike), "model", "Give a path, or the name of a shipped network")
    if not str(model):
        raise NetworkError("the model's name is empty", repair="Give a path to an .onnx file")
    network = find_network(model)
    if network is None:
        return Workload.from_onnx(Path(model), binding=binding)
    sized = importlib.import_module("roofline.workloads").DecoderNetwork
    if isinstance(network, sized) and not binding.dims and not binding.inputs:
        # A decoder's lengths are open; a token behind a long prompt is what is asked of it most often.
        found = decoder(model)
        if found is not None:
            request = Request(causal=binding.causal, defaults=frozenset({"context"}))
            return found.step(found.fit(request), binding.batch or 1)
    return Workload.from_onnx(network.build(), name=network.key, binding=binding)


def decoder(model: str | Path) -> Decoding | None:
    """Return a model as a decoder, whose phases can be counted; None for a network without a cache.

    Args:
        model: A path, or a network's name.

    Raises:
        NetworkError: There is no such file and no such network.
        ModelError: The file is no well-formed ONNX model.
        DimensionError: It has a cache, but its inputs cannot be told apart.
    """
    from roofline.graph.reading.read import read

    network = find_network(model)
    if network is None:
        return find_decoding(printable(Path(model).stem), read(Path(model)))
    sized = importlib.import_module("roofline.workloads").DecoderNetwork
    if not isinstance(network, sized):
        return None
    sizes = cast("DecoderNetwork", network)
    return find_decoding(sizes.key, sizes.build(), stored=sizes.stored, unread=sizes.unread)


def find_network(model: str | Path) -> Network | DecoderNetwork | None:
    """Return the network that a name or a configuration file stands for; None for an ONNX file.

    Raises:
        NetworkError: It is none of these.
    """
    path = Path(model)
    if path.suffix == ".json":
        return importlib.import_module("roofline.workloads.hugging_face").read_config(path)
    return find_shipped(model)


def networks() -> tuple[str, ...]:
    """Return the names of the networks that are shipped or registered, each of which `load` takes.

    Example:
        >>> "resnet50" in networks()
        True
    """
    workloads = importlib.import_module("roofline.workloads")
    return (*workloads.networks, *workloads.decoders)


def find_shipped(model: str | Path) -> Network | DecoderNetwork | None:
    """Return the shipped network of a name, or None when a file is meant.

    Args:
        model: What a user named: a path, or a network's name.

    Raises:
        NetworkError: It is neither a path nor the name of a network.
    """
    path = Path(model)
    # A name that no file system takes is no file's; pathlib raises for one that is too long.
    if os.path.exists(path) or len(path.parts) > 1:  # noqa: PTH110
        return None
    # Networks are built on top of the library; the name is looked up when it is asked for.
    workloads = importlib.import_module("roofline.workloads")
    known, decoders = workloads.networks, workloads.decoders
    if isinstance(model, Path) or path.suffix:
        if (known.find(path.stem) or decoders.find(path.stem)) is not None:
            raise NetworkError(
                f"there is no file {str(path)!r}",
                repair=f"The shipped network is called {path.stem!r}, without a suffix",
            )
        return None
    found = known.find_in_any_case(model) or decoders.find_in_any_case(model)
    if found is None:
        hint = did_you_mean(model, [*known, *decoders]) or "See: roofline networks list"
        raise NetworkError(
            f"{model!r} is neither a file nor a network that is shipped", repair=hint
        )
    return found
