"""What each operator costs: one module per operator family, one row per operator."""

from roofline.ops._registry import (
    Kind,
    Moves,
    Operator,
    Role,
    TensorType,
    define,
    lookup,
    supported_operators,
)

__all__ = [
    "Kind",
    "Moves",
    "Operator",
    "Role",
    "TensorType",
    "define",
    "lookup",
    "supported_operators",
]
