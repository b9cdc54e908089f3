"""The kernel where small worlds do not reach: many rows of one subject, many records, more tests than fit into a word."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from credit_tier.features.kernel import BLOCK, KINDS, NONE, WORD, Features, Records, Rows, fold
from credit_tier.features.prepare import bits_of_tests

DAYS = 400
N_TESTS = WORD + 9
FILL = -7.0


def rows_of(counts: list[int], random: np.random.Generator) -> Rows:
    """Return that many rows per subject on different days, written to places in any order."""
    subject = np.repeat(np.arange(len(counts), dtype=np.int32) + 5, counts)
    as_of = random.integers(1, DAYS, len(subject), dtype=np.int32)
    return Rows(subject, as_of, random.permutation(len(subject)))


def records_of(counts: list[int], words: int, random: np.random.Generator) -> Records:
    n = sum(counts)
    event = random.integers(0, DAYS, n, dtype=np.int32)
    known = event + random.integers(0, 30, n, dtype=np.int32)
    lower = random.integers(0, DAYS, (2, n), dtype=np.int32)
    values = random.integers(0, 5, (2, n))
    return Records(
        subject=np.repeat(np.arange(len(counts), dtype=np.int32) + 4, counts),
        event=event,
        known=known,
        until=known + random.integers(0, DAYS, n, dtype=np.int32),
        flags=random.integers(0, 1 << WORD, (words, n)),
        lower=lower,
        upper=lower + random.integers(0, DAYS, (2, n), dtype=np.int32),
        values=np.where(random.random((2, n)) < 0.2, NONE, values),
    )


def expected(
    kind: str, test: int, narrower: int, value: int, figure: tuple[float, float, float], *, given: tuple[Rows, Records]
) -> NDArray[np.float32]:
    """Compute a feature record by record, for every row."""
    rows, records = given
    tests, (scale, weight, wide) = TESTS, figure
    result = np.full(len(rows.subject), FILL)

    def met(t: int, r: int, as_of: int) -> bool:
        bound = tests.bound[t]
        inside = bound < 0 or records.lower[bound, r] < as_of <= records.upper[bound, r]
        flag = int(records.flags[t // WORD, r]) >> (t % WORD) & 1
        return bool(flag and inside and as_of - records.event[r] <= tests.days[t])

    for subject, as_of, place in zip(*rows, strict=True):
        (own,) = np.nonzero(records.subject == subject)
        seen = [r for r in own if records.known[r] < as_of <= records.until[r] and records.event[r] < as_of]
        main, part = ([r for r in seen if met(t, r, as_of)] for t in (test, narrower))
        numbers = [int(records.values[value, r]) for r in main]
        filled = [n for n in numbers if n != NONE]
        streak = 0
        for r in main:
            streak = streak + 1 if r in part else 0
        found: float | None
        match kind:
            case "shrunken_share":
                found = (len(part) + weight * wide) / (len(main) + weight)
            case "shrunken_mean":
                found = (sum(filled) * scale + weight * wide) / (len(filled) + weight)
            case "count":
                found = len(main) or None
            case "exists":
                found = 1 if main else None
            case "share":
                found = len(part) / len(main) if main else None
            case "trend":
                found = 2 * len(part) - len(main) if main else None
            case "sum":
                found = sum(filled) * scale if main else None
            case "mean":
                found = sum(filled) / len(filled) * scale if filled else None
            case "max" | "min":
                found = (max(filled) if kind == "max" else min(filled)) * scale if filled else None
            case "last":
                found = numbers[-1] * scale if numbers and numbers[-1] != NONE else None
            case "days_since":
                found = as_of - max(int(records.event[r]) for r in main) if main else None
            case "days_since_value":
                found = as_of - numbers[-1] if numbers and numbers[-1] != NONE else None
            case "n_unique":
                found = len(set(filled)) if main else None
            case _:
                found = streak if main else None
        result[place] = FILL if found is None else found
    return result.astype(np.float32)


def shared_tests() -> list[tuple[int | None, int]]:
    """Return window and row of the bounds of every test."""
    return [((30, 90, 365, None)[t % 4], (-1, -1, 0, 1)[t // 4 % 4]) for t in range(N_TESTS)]


TESTS = bits_of_tests([days for days, _ in shared_tests()], [bound for _, bound in shared_tests()])


@pytest.mark.parametrize(
    ("rows", "records"),
    [
        ([1, 0, 3, 2, 1], [4, 30, 0, 7, 2, 9]),
        ([2 * BLOCK + 5, 3, 1], [2, 40, 5, 3]),
        ([1] * (BLOCK + 3), [1, 0, 2] * (BLOCK // 3)),
        ([700, 700], [0, 60, 50]),
    ],
    ids=["few", "one subject over blocks", "many subjects", "more pairs than there was room for"],
)
def test_blocks_words_and_bounds_do_not_show(rows: list[int], records: list[int]) -> None:
    """Every kind of feature equals a plain count, whatever the number of rows, records and tests."""
    random = np.random.default_rng(3)
    given = rows_of(rows, random), records_of(records, TESTS.within.shape[1], random)
    n = len(KINDS)
    tests, narrower = random.integers(0, N_TESTS, n), random.integers(0, N_TESTS, n)
    scaled = {"shrunken_mean", "sum", "mean", "max", "min", "last"}
    value, weight = np.arange(n) % 2, np.full(n, 3.0)
    scale = np.array([0.5 if kind in scaled else 1.0 for kind in KINDS])
    leaning = [KINDS.index("shrunken_share"), KINDS.index("shrunken_mean")]
    wider = np.full(n, -1)
    wider[leaning] = [0, 1]
    features = Features(
        begin=np.arange(n + 1),
        test=tests,
        narrower=narrower,
        value=value,
        scale=scale,
        fill=np.full(n, FILL),
        place=random.permutation(n),
        weight=weight,
        wider=wider,
        stamp=np.zeros(n, np.int64),
    )
    height = len(given[0].subject)
    out = np.full((height, n), FILL, np.float32)
    fold(*given, tests=TESTS, features=features, wide=np.full((2, height), 0.25), out=out, marks=5)
    for k, kind in enumerate(KINDS):
        ours = out[:, features.place[k]]
        figure = (0.5, 3.0, 0.25)
        theirs = expected(kind, int(tests[k]), int(narrower[k]), int(value[k]), figure, given=given)
        np.testing.assert_array_equal(ours, theirs, err_msg=kind)
