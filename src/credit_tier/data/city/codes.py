"""Unified social credit codes that are formally right and belong to nobody.

The division in positions 3 to 8 is 000000, which does not exist, so no code can be that of a real enterprise.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from credit_tier.errors import UsageError
from credit_tier.types import USCC_ALPHABET, USCC_WEIGHTS

SPACE: Final = 31**6
"""How many codes there are: six free characters of the organisation body."""

_STEP: Final = 387_420_489
_BODY_WEIGHTS: Final = (3, 7, 9, 10, 5, 8, 4, 2)
_ALPHABET: Final = np.frombuffer(USCC_ALPHABET.encode(), dtype=np.uint8)
_VALUE_31: Final = np.full(128, -1, dtype=np.int64)
_VALUE_31[_ALPHABET] = np.arange(31)
_VALUE_36: Final = np.full(128, -1, dtype=np.int64)
_VALUE_36[np.frombuffer(b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ", dtype=np.uint8)] = np.arange(36)
_ORG_CHECK: Final = np.frombuffer(b"0X987654321", dtype=np.uint8)


def credit_codes(count: int, *, seed: int, is_cooperative: npt.NDArray[np.bool_] | None = None) -> npt.NDArray[np.str_]:
    """Return distinct valid codes `91000000MA…`, or `93000000MA…` for cooperatives.

    Parameters
    ----------
    count : how many, 0 <= count <= 31**6.
    seed : another seed gives other codes.
    is_cooperative : one flag per code.

    Raises
    ------
    UsageError (CT-CITY-001) if there are not so many codes.

    Source: GB 32100-2015 (check character 18) and GB 11714 (check character of the organisation body); `policy.md` section 4.1.

    >>> [str(code) for code in credit_codes(2, seed=0)]
    ['91000000MA0000007C', '91000000MADGFK2473']
    """
    if not 0 <= count <= SPACE:
        raise UsageError.of(
            "CT-CITY-001", where="enterprises", what="there are not so many credit codes.", advice="Ask for fewer."
        )
    # A step prime to 31 walks through all numbers below 31**6 before it meets one again.
    number = (np.arange(count, dtype=np.int64) * _STEP + seed * 1_000_003) % SPACE
    text = np.empty((count, 18), dtype=np.uint8)
    text[:, :10] = np.frombuffer(b"91000000MA", dtype=np.uint8)
    if is_cooperative is not None:
        text[is_cooperative, 1] = ord("3")
    for position in range(15, 9, -1):
        number, digit = np.divmod(number, 31)
        text[:, position] = _ALPHABET[digit]
    body = sum(_VALUE_36[text[:, 8 + i]] * weight for i, weight in enumerate(_BODY_WEIGHTS))
    text[:, 16] = _ORG_CHECK[body % 11]
    total = sum(_VALUE_31[text[:, i]] * weight for i, weight in enumerate(USCC_WEIGHTS))
    text[:, 17] = _ALPHABET[-total % 31]
    return np.frombuffer(text.tobytes(), dtype="S18").astype(np.str_)
