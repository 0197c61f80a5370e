"""torchaudio's transforms, also where its native part cannot be loaded.

The Linux x86-64 wheel on the package index is linked against CUDA: beside a CPU
build of torch its import fails with OSError. The transforms used here are plain
Python, so on that error a stand-in takes the place of the native part. Where
torchaudio imports as it is, this module does nothing.
"""

from __future__ import annotations

import importlib
import sys
from types import ModuleType
from typing import Any


def import_torchaudio() -> Any:
    """Import torchaudio with ``transforms`` and ``functional``.

    Returns
    -------
    module
        ``torchaudio``.
    """
    try:
        return importlib.import_module("torchaudio")
    except OSError:
        for name in [m for m in sys.modules if m.partition(".")[0] == "torchaudio"]:
            del sys.modules[name]
        sys.modules["torchaudio._extension"] = _without_native_part()
        return importlib.import_module("torchaudio")


def _without_native_part() -> ModuleType:
    stand_in = ModuleType("torchaudio._extension")

    def fail_if_no_align(function: Any) -> Any:
        return function

    stand_in.__dict__.update(
        _IS_TORCHAUDIO_EXT_AVAILABLE=False,
        _IS_ALIGN_AVAILABLE=False,
        _IS_RIR_AVAILABLE=False,
        fail_if_no_align=fail_if_no_align,
        _check_cuda_version=lambda: None,
    )
    return stand_in
