"""Burden: an enterprise that was visited lately gets a lower chance, known before the draw and never zero.

Weights are whole: with a factor a/b and up to m earlier visits, x (a/b)^k is written as x a^k b^(m-k), which keeps all ratios.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import TYPE_CHECKING, cast

from credit_tier.errors import DrawError
from credit_tier.sampling.frame import Cell, Frame
from credit_tier.specs.plan import Burden, DepartmentSpec

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def weight(size: int, visits: int, burden: Burden) -> int:
    """Return size times factor^min(visits, most), as a whole number on the scale that all units of a department share.

    Source: `sampling.md` F13.

    >>> [weight(1, visits, Burden(column="visits", most=2)) for visits in (0, 1, 2, 9)]
    [4, 2, 1, 1]
    """
    factor, counted = Fraction(burden.factor), min(visits, burden.most)
    scale: int = factor.numerator**counted * factor.denominator ** (burden.most - counted)
    return size * scale


def weights_of(
    frame: Frame, department: DepartmentSpec, kept: NDArray[np.int64]
) -> tuple[list[int], NDArray[np.int64]]:
    """Return the different weights, and for each kept unit the place of its own among them.

    Parameters
    ----------
    kept : places of the units that may be drawn.

    Raises
    ------
    DrawError (CT-DRAW-003) if a size is below 1 or a number of visits below 0.
    """
    import numpy as np

    sizes: list[Cell] = [1]
    visits: list[Cell] = [0]
    number = np.zeros(len(kept), np.int64)
    if department.size is not None:
        sizes, places = frame.coded(department.size)
        _refuse(department.size, sizes, places[kept], least=1)
        number = places[kept]
    if department.burden is not None:
        visits, places = frame.coded(department.burden.column)
        _refuse(department.burden.column, visits, places[kept], least=0)
        number = number * len(visits) + places[kept]
    found, number = np.unique(number, return_inverse=True) if department.counted() else (np.zeros(1, np.int64), number)
    # _refuse left whole numbers only
    pairs = [(cast("int", sizes[i // len(visits)]), cast("int", visits[i % len(visits)])) for i in found.tolist()]
    return [size if department.burden is None else weight(size, had, department.burden) for size, had in pairs], number


def _refuse(name: str, cells: Sequence[Cell], places: NDArray[np.int64], *, least: int) -> None:
    import numpy as np

    low = np.array([not isinstance(cell, int) or cell < least for cell in cells])
    if wrong := int(low[places].sum()):
        raise DrawError.of(
            "CT-DRAW-003",
            where=f"units.{name}",
            what=f"{wrong} cells are below {least}.",
            advice="A size of zero would exempt the enterprise: give sizes of 1 and more, and visits of 0 and more.",
        )
