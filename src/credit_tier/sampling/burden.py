"""Burden: an enterprise that was visited lately gets a lower chance, known before the draw and never zero.

Weights are whole: with a factor a/b and up to m earlier visits, x (a/b)^k is written as x a^k b^(m-k), which keeps all ratios.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import TYPE_CHECKING, cast

from credit_tier.errors import DrawError
from credit_tier.sampling.frame import Cell
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
    coded: Callable[[str], tuple[list[Cell], NDArray[np.int64]]], department: DepartmentSpec, kept: NDArray[np.int64]
) -> Callable[[Sequence[int]], tuple[int, ...]]:
    """Return the function that gives the weights of units from their places in the frame.

    Parameters
    ----------
    coded : gives a column's different cells and the place of each unit's own among them.
    kept : places of the units that may be drawn.

    Raises
    ------
    DrawError (CT-DRAW-003) if a size is below 1 or a number of visits below 0.
    """
    if not department.counted():
        return lambda members: (1,) * len(members)
    import numpy as np

    sizes: list[Cell] = [1]
    visits: list[Cell] = [0]
    number = np.zeros(len(kept), np.int64)
    if department.size is not None:
        sizes, places = coded(department.size)
        _refuse(department.size, sizes, places[kept], least=1)
        number = places[kept]
    if department.burden is not None:
        visits, places = coded(department.burden.column)
        _refuse(department.burden.column, visits, places[kept], least=0)
        number = number * len(visits) + places[kept]
    found, number = np.unique(number, return_inverse=True)
    # _refuse left whole numbers only
    pairs = [(cast("int", sizes[i // len(visits)]), cast("int", visits[i % len(visits)])) for i in found.tolist()]
    known = [size if department.burden is None else weight(size, had, department.burden) for size, had in pairs]
    place_of = np.zeros(int(kept[-1]) + 1, np.int64)
    place_of[kept] = number
    return lambda members: tuple(known[i] for i in place_of[list(members)].tolist())


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
