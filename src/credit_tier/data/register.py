"""The register's codes and the numbers they have in the lake; look-ups cost the same in a register of thousands and of millions."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import polars as pl


class Register:
    """Codes of subjects, numbered from 0; numbers never change.

    >>> import polars as pl
    >>> register = Register.empty().with_codes(pl.Series(["b", "a", "b"])).with_codes(pl.Series(["c", "0", "a"]))
    >>> register.numbers_of(pl.Series(["0", "a", "x", None, "b", "c"])).to_list()
    [2, 0, None, None, 1, 3]
    """

    def __init__(self, codes: pl.DataFrame) -> None:
        """Take columns enterprise_no (Int32, ascending from 0) and code (String)."""
        self.codes = codes

    @classmethod
    def empty(cls) -> Register:
        """Return a register without codes."""
        import polars as pl

        return cls(pl.DataFrame(schema={"enterprise_no": pl.Int32, "code": pl.String}))

    @property
    def size(self) -> int:
        """Return how many codes are numbered."""
        return self.codes.height

    def with_codes(self, codes: pl.Series) -> Register:
        """Return a register that numbers these codes too: new ones after the old, in order of the code."""
        import polars as pl

        new = codes.unique().to_frame("code").join(self.codes, on="code", how="anti").sort("code")
        if not new.height:
            return self
        numbers = pl.int_range(self.size, self.size + new.height, dtype=pl.Int32, eager=True)
        return Register(pl.concat([self.codes, new.select(numbers.alias("enterprise_no"), "code")]))

    @cached_property
    def _index(self) -> tuple[pl.Series, pl.Series]:
        """Return the hashes of the codes, ascending, and the numbers in the same order."""
        ordered = self.codes.select(self.codes["code"].hash().alias("hash"), "enterprise_no").sort("hash")
        return ordered["hash"], ordered["enterprise_no"]

    def numbers_of(self, codes: pl.Series) -> pl.Series:
        """Return the number of each code (Int32), null for a code that is not registered and for null.

        Codes are found by hash and then compared as text; a code whose hash another one shares is looked up by joining.
        """
        import polars as pl

        if not self.size:
            return pl.Series("enterprise_no", [None], dtype=pl.Int32).new_from_index(0, len(codes))
        hashes, numbers = self._index
        wanted = codes.hash()
        at = hashes.search_sorted(wanted).clip(0, self.size - 1)
        hit = (hashes.gather(at) == wanted) & codes.is_not_null()
        found = numbers.gather(at)
        same = (self.codes["code"].gather(found) == codes).fill_null(False)
        result = found.set(~(hit & same), None)
        shared = (hit & ~same).arg_true()
        if len(shared):
            again = codes.gather(shared).to_frame("code").join(self.codes, on="code", how="left", maintain_order="left")
            result = result.scatter(shared, again["enterprise_no"])
        return result.alias("enterprise_no")
