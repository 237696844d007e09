"""ONNX's message classes without the rest of the package.

``import onnx`` also imports its checker, helpers, text format and archive tools, which takes longer than counting most
networks. The classes are in one generated module of it, which needs none of them.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import onnx

_MODULE = "onnx.onnx_ml_pb2"


def model_class() -> type[onnx.ModelProto]:
    """Return onnx's own ``ModelProto``; a later ``import onnx`` finds the same class."""
    if "onnx" not in sys.modules and _MODULE not in sys.modules:
        package = importlib.util.find_spec("onnx")
        for folder in (package.submodule_search_locations or ()) if package is not None else ():
            path = Path(folder) / "onnx_ml_pb2.py"
            spec = (
                importlib.util.spec_from_file_location(_MODULE, path) if path.is_file() else None
            )
            if spec is None or spec.loader is None:
                continue
            module = importlib.util.module_from_spec(spec)
            sys.modules[_MODULE] = module
            spec.loader.exec_module(module)
            break
    return importlib.import_module(_MODULE).ModelProto
