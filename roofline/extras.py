"""Optional packages: imported where they are needed, and asked for by one message where they are missing."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from contextlib import contextmanager
from types import MappingProxyType

from roofline.errors import MissingPackageError

EXTRAS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "matplotlib": ("matplotlib", "plot"),
        "pandas": ("pandas", "tables"),
        "pyarrow": ("pyarrow", "tables"),
        "plotly": ("plotly", "report"),
        "distributed": ("distributed", "dask"),
        "onnxruntime": ("onnxruntime", "validate"),
        "scipy": ("scipy", "validate"),
        "psutil": ("psutil", "validate"),
        "PIL": ("pillow", "validate"),
        "tvm": ("apache-tvm", "validate"),
        "torch": ("torch", "experiments"),
        "sklearn": ("scikit-learn", "experiments"),
    }
)
"""By the name that is imported: the package as it is installed, and the extra that brings it."""


@contextmanager
def optional_import(purpose: str) -> Generator[None, None, None]:
    """Return a context of imports of optional packages.

    Args:
        purpose: What needs them, to begin the message.

    Raises:
        MissingPackageError: One is not installed.

    Example:
        >>> with optional_import("A table"):
        ...     import pandas
    """
    try:
        yield
    except ImportError as error:
        found = EXTRAS.get((error.name or "").partition(".")[0])
        if found is None:
            raise
        raise MissingPackageError(*found, purpose) from error
