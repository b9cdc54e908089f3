"""To which group a row belongs: by columns of its own, or of the register as known at the time, as whole numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from credit_tier.features.conditions import AS_OF
from credit_tier.features.kernel import latest
from credit_tier.features.values import register_column

if TYPE_CHECKING:
    import narwhals as nw

    from credit_tier.data.lake import Lake


Places = NDArray[np.int64] | slice
"""Rows of a spine, by their places."""

EVERY = slice(None)


@dataclass(frozen=True)
class Coded:
    """A column as numbers: `text[codes[i]]` is row i's value, the empty text where it has none."""

    codes: NDArray[np.int64]
    text: list[str]


class Groups:
    """The groups of a spine's rows; records are assigned to the same groups.

    Raises
    ------
    FeatureError (CT-FEAT-001) if neither spine nor register has a column.
    """

    def __init__(self, lake: Lake, spine: nw.DataFrame[Any], names: list[str]) -> None:
        self.lake, self.key = lake, lake.spec(lake.register).key
        self.columns = {name: _coded(spine[name]) for name in names if name in spine.columns}
        subject, as_of = spine["enterprise_no"].to_numpy(), spine[AS_OF].to_numpy()
        order = np.argsort(subject, kind="stable")
        if self.key in names and self.key is not None:
            self.subjects, code = np.unique(subject, return_inverse=True)
            self.columns[self.key] = Coded(code.astype(np.int64), [""] * len(self.subjects))  # named on demand
        foreign = [name for name in names if name not in self.columns]
        for name, coded in _from_register(lake, foreign, subject[order], as_of[order]).items():
            codes = np.empty_like(coded.codes)
            codes[order] = coded.codes
            self.columns[name] = Coded(codes, coded.text)
        self.rows = len(subject)

    def size(self, group: tuple[str, ...]) -> int:
        """Return how many groups there can be."""
        return int(np.prod([len(self.columns[name].text) for name in group], dtype=np.int64))

    def of_rows(self, group: tuple[str, ...], rows: Places) -> NDArray[np.int64]:
        """Return the group of rows of the spine, 0 to size - 1."""
        count = self.rows if isinstance(rows, slice) else len(rows)
        return self._joined(group, [self.columns[name].codes[rows] for name in group], count)

    def texts(self, group: tuple[str, ...], number: NDArray[np.int64]) -> list[tuple[str, ...]]:
        """Return the values of the columns of groups given by number."""
        columns = []
        for name in reversed(group):
            text = self.columns[name].text if name != self.key else self._codes_of_subjects()
            number, code = np.divmod(number, len(text))
            columns.append([text[c] for c in code])
        return list(zip(*reversed(columns), strict=True)) if columns else [()] * len(number)

    def _codes_of_subjects(self) -> list[str]:
        codes: list[str] = self.lake.code_frame().collect()["code"].to_list()
        return [codes[number] for number in self.subjects]

    def codes_of_records(
        self, names: list[str], frame: nw.DataFrame[Any], subject: NDArray[np.int32], day: NDArray[np.int32]
    ) -> dict[str, NDArray[np.int64]]:
        """Return columns of records on the day from which each counts, in the spine's numbers, -1 where no spine row has the value.

        Parameters
        ----------
        frame : the records; columns that it has are taken from it, the others from the register as known on `day`.
        subject : of each record, ascending.
        """
        found = {name: _coded(frame[name]) for name in names if name in frame.columns}
        foreign = [name for name in names if name not in found and name != self.key]
        found |= _from_register(self.lake, foreign, subject, day)
        codes = {}
        for name, coded in found.items():
            ours = {text: code for code, text in enumerate(self.columns[name].text)}
            codes[name] = np.array([ours.get(text, -1) for text in coded.text], np.int64)[coded.codes]
        if self.key is not None and self.key in names:
            at = np.minimum(np.searchsorted(self.subjects, subject), len(self.subjects) - 1)
            codes[self.key] = np.where(self.subjects[at] == subject, at, -1).astype(np.int64)
        return codes

    def of_records(self, group: tuple[str, ...], codes: dict[str, NDArray[np.int64]], count: int) -> NDArray[np.int64]:
        """Return the group of each of `count` records, -1 where no spine row is in it, from :meth:`codes_of_records`."""
        result = self._joined(group, [codes[name] for name in group], count)
        for name in group:
            result[codes[name] < 0] = -1
        return result

    def _joined(self, group: tuple[str, ...], codes: list[NDArray[np.int64]], rows: int) -> NDArray[np.int64]:
        number = np.zeros(rows, np.int64)
        for name, code in zip(group, codes, strict=True):
            number = number * len(self.columns[name].text) + code
        return number


def _coded(column: nw.Series[Any]) -> Coded:
    import narwhals as nw

    values = column.cast(nw.String).fill_null("")
    text = values.unique().sort().to_list()
    codes = values.replace_strict(text, list(range(len(text))), return_dtype=nw.Int64)
    return Coded(codes.to_numpy().astype(np.int64), text)


def _from_register(
    lake: Lake, names: list[str], subject: NDArray[np.int32], as_of: NDArray[np.int32]
) -> dict[str, Coded]:
    """Return columns of the register's version visible at each row's as_of; rows stand in ascending order of subject."""
    import narwhals as nw

    if not names:
        return {}
    for name in names:
        register_column(name, lake)
    register = lake.frame(lake.register).select("enterprise_no", "known_day", "superseded_day", *names)
    if len(subject):
        number = nw.col("enterprise_no")
        register = register.filter(number >= int(subject[0]), number <= int(subject[-1]))
    known = register.collect()
    versions = (known[name].to_numpy() for name in ("enterprise_no", "known_day", "superseded_day"))
    version = latest(subject, as_of, *versions)
    result = {}
    for name in names:
        coded = _coded(known[name])
        text = coded.text if "" in coded.text else [*coded.text, ""]
        codes = np.append(coded.codes, text.index(""))  # the last one stands for "no version": version -1
        result[name] = Coded(codes[version], text)
    return result
