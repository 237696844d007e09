"""Platform specifications: one YAML file per machine."""

from __future__ import annotations

import sys
from types import ModuleType


class _Folder(ModuleType):
    """This package, which lists its machines when it is called: ``rl.platforms()``."""

    def __call__(self) -> tuple[str, ...]:
        """Return every key that `roofline.platform` knows, with each mode of a machine that has modes."""
        from roofline.spec import platform_keys

        return platform_keys()


sys.modules[__name__].__class__ = _Folder
