"""How loops over arrays are compiled to machine code."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from numba import njit


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile without the interpreter's lock, divisions as NumPy does them.

    The machine code is kept for the next process where a folder for it can be written.
    """
    try:
        result: Callable[..., Any] = njit(nogil=True, cache=True, error_model="numpy")(function)
    except RuntimeError:  # no such folder
        result = njit(nogil=True, error_model="numpy")(function)
    return result
