"""Domain values that must not be confused with plain text: credit codes and the three A-D scales."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Self

from credit_tier.errors import DataError

USCC_ALPHABET = "0123456789ABCDEFGHJKLMNPQRTUWXY"
"""The 31 characters of GB 32100-2015; I, O, S, V and Z are left out."""

USCC_WEIGHTS = tuple(pow(3, i, 31) for i in range(17))
"""Weights of characters 1 to 17: powers of three modulo 31."""


def uscc_check_character(body: str) -> str:
    """Return the check character for the first 17 characters of a unified social credit code.

    Raises
    ------
    ValueError if the body has not 17 characters of the alphabet.

    Source: GB 32100-2015; `policy.md` section 4.1.

    >>> uscc_check_character("91000000MA0000007")
    'C'
    """
    if len(body) != 17 or any(c not in USCC_ALPHABET for c in body):
        raise ValueError("a credit code body has 17 characters of the GB 32100 alphabet")
    total = sum(USCC_ALPHABET.index(c) * w for c, w in zip(body, USCC_WEIGHTS, strict=True))
    return USCC_ALPHABET[(31 - total % 31) % 31]


@dataclass(frozen=True, order=True)
class Uscc:
    """A unified social credit code (统一社会信用代码) whose check character holds.

    >>> Uscc("91000000MA0000007C").value
    '91000000MA0000007C'
    """

    value: str

    def __post_init__(self) -> None:
        if not self.is_valid(self.value):
            raise DataError.of(
                "CT-DATA-101",
                what="a unified social credit code is malformed or its check character (校验位) is wrong.",
                advice="Compare it with the licence; it has 18 characters and no I, O, S, V or Z.",
            )

    @staticmethod
    def is_valid(text: str) -> bool:
        """Return whether a text is a code with a correct check character.

        >>> Uscc.is_valid("91000000MA0000007D")
        False
        """
        if len(text) != 18 or any(c not in USCC_ALPHABET for c in text):
            return False
        return uscc_check_character(text[:17]) == text[17]

    def __str__(self) -> str:
        return self.value


class RiskClass(StrEnum):
    """Internal supervisory risk class (信用风险类别): A low, B usual, C raised, D high.

    An aid for allocating inspections.
    Not a rating, not a ground for punishment, not published; no class is ever exempt from inspection.
    """

    A = "A"
    B = "B"
    C = "C"
    D = "D"

    @property
    def label_zh(self) -> str:
        """Return the Chinese label."""
        return {"A": "信用风险低", "B": "信用风险一般", "C": "信用风险较高", "D": "信用风险高"}[self.value]

    @property
    def rank(self) -> int:
        """Return 0 for A to 3 for D."""
        return "ABCD".index(self.value)

    @classmethod
    def from_rank(cls, rank: int) -> Self:
        """Return the class of a rank 0 to 3.

        >>> RiskClass.from_rank(3)
        <RiskClass.D: 'D'>
        """
        return cls("ABCD"[rank])


class PublicCreditGrade(StrEnum):
    """National public credit grade (公共信用综合评价等级), an input: A 优, B 良, C 中, D 差."""

    A = "A"
    B = "B"
    C = "C"
    D = "D"


class SectorGrade(StrEnum):
    """Risk grade of a sector regulator (专业领域风险等级), an input."""

    A = "A"
    B = "B"
    C = "C"
    D = "D"
