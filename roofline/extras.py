"""Optional packages: imported where they are needed, and asked for by one message where they are missing."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType, TracebackType

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


class optional_import:  # noqa: N801  (a context, written as a verb is)
    """A context of imports of optional packages.

    Args:
        purpose: What needs them, to begin the message.

    Raises:
        MissingPackageError: One is not installed.

    Example:
        >>> with optional_import("A table"):
        ...     import pandas
    """

    def __init__(self, purpose: str) -> None:
        self._purpose = purpose

    def __enter__(self) -> None:
        """Enter the context."""

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Turn the error of a missing package into one that says how to install it."""
        if isinstance(error, ImportError) and error.name is not None:
            found = EXTRAS.get(error.name.partition(".")[0])
            if found is not None:
                raise MissingPackageError(*found, self._purpose) from error
