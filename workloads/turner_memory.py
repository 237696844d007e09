"""The memory that the C programs of Turner et al. (IISWC 2018) allocate for a network.

The programs are public (github.com/jack-willturner/characterising-neural-compression). Everything is allocated row by
row behind pointers: of a 3x3 kernel of 36 bytes a dense program stores 68, and a sparse one 64 and 8 for each non-zero.
The model adds up those allocations on a 64-bit machine, without the allocator's own overhead; nothing is fitted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

POINTER = 8
ELEMENT = 4
"""Bytes of a float and of an int."""
CSR_HEADER = 40
"""Bytes of the structure that holds one sparse kernel: sizes and three pointers, with padding."""
SIDE = 32
"""Rows and columns of every activation buffer: those of the input image."""

MEBIBYTE = 2**20


@dataclass(frozen=True, slots=True)
class Convolution:
    """One convolution as the programs store it."""

    filters: int
    channels: int
    """Input channels of a filter: 1 for a depthwise convolution."""
    kernel: int

    @property
    def kernels(self) -> int:
        """Two-dimensional kernels: one for each filter and channel."""
        return self.filters * self.channels

    @property
    def weights(self) -> int:
        """Stored elements."""
        return self.kernels * self.kernel**2


@dataclass(frozen=True, slots=True)
class Program:
    """One of the three programs: its layers, and what it allocates beside them."""

    convolutions: tuple[Convolution, ...]
    dense: tuple[tuple[int, int], ...]
    """Rows and columns of each dense layer."""
    buffers: int
    """Activation buffers, each of ``buffer_channels`` images of 32x32."""
    buffer_channels: int
    flat: int
    """Elements of each of the two flat buffers."""
    vectors: int
    """Vectors of one element a filter that are allocated: biases, or four of batch normalization."""
    fixed: int = 0
    """Bytes of static arrays."""
    image: bool = True
    """Whether the input image has a buffer of its own."""


def dense_kernel(k: int) -> int:
    """Return the bytes of one dense kernel of k by k: elements, row pointers and its own pointer.

    Example:
        >>> dense_kernel(3), dense_kernel(1)
        (68, 20)
    """
    return ELEMENT * k * k + POINTER * k + POINTER


def sparse_kernel(k: int, nonzeros: float) -> float:
    """Return the bytes of one kernel in compressed sparse rows: header, row starts, pointer, values and columns.

    Example:
        >>> sparse_kernel(3, 0), sparse_kernel(1, 0)
        (64.0, 56.0)
    """
    return CSR_HEADER + ELEMENT * (k + 1) + POINTER + 2.0 * ELEMENT * nonzeros


def memory(program: Program, *, sparsity: float | None = None) -> float:
    """Return the bytes that a program allocates.

    Args:
        program: The program with the layers it runs.
        sparsity: Share of the convolutions' weights that are zero, stored as compressed sparse rows; None is dense. The
            first convolution stays dense, as the programs leave it.
    """
    first, *rest = program.convolutions
    total = float(_images(program))
    total += first.kernels * dense_kernel(first.kernel)
    for layer in rest:
        if sparsity is None:
            total += layer.kernels * dense_kernel(layer.kernel)
        else:
            nonzeros = (1 - sparsity) * layer.kernel**2
            total += layer.kernels * sparse_kernel(layer.kernel, nonzeros)
    for layer in program.convolutions:
        total += POINTER * layer.filters + program.vectors * ELEMENT * layer.filters
    for rows, columns in program.dense:
        total += rows * (POINTER + ELEMENT * columns) + ELEMENT * columns
    return total + program.fixed


def _images(program: Program) -> int:
    """Return the bytes of the activation buffers, each row behind a pointer of its own."""
    image = POINTER + SIDE * (POINTER + SIDE * ELEMENT)
    images = program.buffers * program.buffer_channels + (3 if program.image else 0)
    return images * image + 2 * program.flat * ELEMENT


def _vgg(widths: Sequence[int], dense: tuple[tuple[int, int], ...]) -> Program:
    inputs = (3, *widths[:-1])
    layers = tuple(Convolution(out, into, 3) for out, into in zip(widths, inputs, strict=True))
    return Program(layers, dense, buffers=2, buffer_channels=512, flat=512, vectors=1)


def _resnet18(inner: Sequence[int]) -> Program:
    """Return ResNet-18; only the first convolution of each block may be narrower."""
    layers = [Convolution(64, 3, 3)]
    width = 64
    for block, narrow in enumerate(inner):
        out = 64 * 2 ** (block // 2)
        layers += [Convolution(narrow, width, 3), Convolution(out, narrow, 3)]
        if out != width:
            layers.append(Convolution(out, width, 1))
        width = out
    # Scale and shift of 20 normalizations are static arrays, each 512 wide.
    fixed = 2 * 20 * 512 * ELEMENT
    return Program(
        tuple(layers),
        ((512, 10),),
        buffers=3,
        buffer_channels=512,
        flat=512 * 9,
        vectors=1,
        fixed=fixed,
    )


def _mobilenet(widths: Sequence[int]) -> Program:
    layers = [Convolution(32, 3, 3)]
    width = 32
    for out in widths:
        layers += [Convolution(width, 1, 3), Convolution(out, width, 1)]
        width = out
    return Program(
        tuple(layers),
        ((width, 10),),
        buffers=2,
        buffer_channels=1024,
        flat=1024 * 4,
        vectors=4,
        image=False,
    )


PLAIN: Mapping[str, Program] = MappingProxyType(
    {
        "vgg16_cifar10": _vgg(
            (64, 64, 128, 128, 256, 256, 256, 512, 512, 512, 512, 512, 512),
            ((512, 512), (512, 10)),
        ),
        "resnet18_cifar10": _resnet18((64, 64, 128, 128, 256, 256, 512, 512)),
        "mobilenet_v1_cifar10": _mobilenet((64, 128, 128, 256, 256, *(512,) * 6, 1024, 1024)),
    }
)
"""The uncompressed networks, by shipped key."""

_MOBILENET_PRUNED = _mobilenet((43, 85, 70, 150, 69, 188, 72, 122, 106, 96, 81, 75, 100))

# Filters, input channels and kernel of each layer as the program lists them.
_RESNET18_ELBOW = (
    (64, 3, 3), (13, 64, 3), (64, 13, 3), (11, 64, 3), (64, 11, 3), (31, 64, 3), (128, 31, 3), (31, 64, 1),
    (128, 128, 3), (13, 128, 3), (40, 13, 3), (256, 40, 3), (40, 13, 1), (256, 256, 3), (19, 256, 3), (19, 19, 3),
    (512, 19, 3), (19, 19, 1), (512, 512, 3), (12, 512, 3),
)  # fmt: skip

CHANNEL_PRUNED: Mapping[tuple[str, str], Program] = MappingProxyType(
    {
        ("III", "vgg16_cifar10"): _vgg(
            (56, 62, 121, 127, 232, 229, 183, 134, 101, 70, 60, 64, 79), ((79, 47), (47, 10))
        ),
        ("III", "resnet18_cifar10"): replace(
            _resnet18((64, 64, 128, 128, 256, 256, 512, 512)),
            convolutions=tuple(Convolution(*shape) for shape in _RESNET18_ELBOW),
        ),
        ("III", "mobilenet_v1_cifar10"): _MOBILENET_PRUNED,
        ("V", "vgg16_cifar10"): _vgg(
            (64, 62, 128, 127, 256, 246, 230, 265, 199, 162, 146, 155, 183),
            ((183, 1164), (164, 10)),
        ),
        ("V", "resnet18_cifar10"): _resnet18((9, 10, 23, 7, 30, 15, 15, 10)),
        ("V", "mobilenet_v1_cifar10"): _MOBILENET_PRUNED,
    }
)
"""Networks as Fisher pruning left them, by the table of the operating point and shipped key.

The shapes are those that the programs list. The list for ResNet-18 at the point of Table III has layers that cannot
follow one another, and MobileNet's is the same at both points.
"""
