"""Facts: what a rule may read, checked and brought into one form. A fact that is not given is None, and only that."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import date, datetime
from functools import lru_cache

from credit_tier.errors import Fault, RuleError, UsageError
from credit_tier.specs.rulepack import FactSpec, FactType, fen
from credit_tier.temporal import parse_date

Fact = date | str | frozenset[str] | int | bool | None
"""A date, a code, a set of codes, whole number or fen, true or false, or not given."""

Facts = Mapping[str, Fact]

SEPARATOR = ";"


def codes_of(value: object) -> frozenset[str]:
    """Return a set of codes from one text joined by `;` or from a collection of texts.

    >>> sorted(codes_of("warning; fine"))
    ['fine', 'warning']
    """
    parts = value.split(SEPARATOR) if isinstance(value, str) else value
    if not isinstance(parts, list | tuple | set | frozenset) or not all(isinstance(part, str) for part in parts):
        raise TypeError("codes are one text joined by ';' or a collection of texts")
    return frozenset(part.strip() for part in parts if part.strip())


def _date(value: object) -> Fact:
    if isinstance(value, date) and not isinstance(value, datetime):
        return value
    raise TypeError("datetime.date")


def _code(value: object) -> Fact:
    if isinstance(value, str):
        return value or None
    raise TypeError("text")


def _codes(value: object) -> Fact:
    return (_known_codes(value) if isinstance(value, str) else codes_of(value)) or None


_known_codes = lru_cache(maxsize=10_000)(codes_of)
"""A city's records share a few hundred combinations of codes."""


def _integer(value: object) -> Fact:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    raise TypeError("int (money: fen)")


def _boolean(value: object) -> Fact:
    if isinstance(value, bool):
        return value
    raise TypeError("bool")


_TAKE: dict[FactType, Callable[[object], Fact]] = {
    "date": _date,
    "code": _code,
    "codes": _codes,
    "money": _integer,
    "integer": _integer,
    "boolean": _boolean,
}
"""Type of a fact -> function that takes a given value and refuses other types by TypeError."""


def checked(declared: Mapping[str, FactSpec], facts: Mapping[str, object]) -> dict[str, Fact]:
    """Return given facts in one form.

    Parameters
    ----------
    declared : the facts that the pack's rules may read.
    facts : fact -> value; None or absent means not given.

    Raises
    ------
    RuleError : CT-RULE-020 undeclared fact, 021 wrong type, 022 code outside the vocabulary; all at once.
    """
    result: dict[str, Fact] = {}
    faults = []
    for name, value in facts.items():
        fact = declared.get(name)
        if fact is None:
            faults.append(
                Fault(
                    "CT-RULE-020",
                    name,
                    "the rules declare no such fact.",
                    f"Declared facts: {', '.join(declared)}.",
                )
            )
            continue
        if value is None:
            continue
        try:
            taken = _TAKE[fact.type](value)
        except TypeError as error:
            faults.append(Fault("CT-RULE-021", name, f"a {fact.type} fact takes {error}.", "Convert the value first."))
            continue
        given = taken if isinstance(taken, frozenset) else {taken} if isinstance(taken, str) else ()
        if fact.vocabulary is not None and any(code not in fact.vocabulary for code in given):
            faults.append(
                Fault(
                    "CT-RULE-022",
                    name,
                    "a code lies outside the fact's vocabulary.",
                    f"Codes are: {', '.join(fact.vocabulary)}.",
                )
            )
        result[name] = taken
    if faults:
        raise RuleError(*faults)
    return result


def from_texts(declared: Mapping[str, FactSpec], texts: Mapping[str, str | None]) -> dict[str, Fact]:
    """Return facts that a person wrote as text: dates YYYY-MM-DD, money with its unit, codes joined by `;`, true or false.

    Raises
    ------
    RuleError : CT-RULE-020, 021, 022 as in `checked`.

    >>> from_texts({"fine": FactSpec(type="money", title_zh="罚款")}, {"fine": "5 万元"})
    {'fine': 5000000}
    """
    values: dict[str, object] = {}
    faults = []
    for name, text in texts.items():
        fact = declared.get(name)
        if fact is None or text is None:
            values[name] = text
            continue
        try:
            if fact.type == "date":
                values[name] = parse_date(text)
            elif fact.type == "money":
                values[name] = fen(text)
            elif fact.type == "integer":
                values[name] = int(text)
            elif fact.type == "boolean":
                values[name] = {"true": True, "false": False}[text]
            else:
                values[name] = text
        except (ValueError, KeyError, UsageError) as error:
            hint = {
                "date": "Write YYYY-MM-DD.",
                "money": "Write for example 10 万元.",
                "integer": "Write a whole number.",
                "boolean": "Write true or false.",
            }[fact.type]
            del error
            faults.append(Fault("CT-RULE-021", name, f"this is no {fact.type}.", hint))
    if faults:
        raise RuleError(*faults)
    return checked(declared, values)


def row_reader(declared: Mapping[str, FactSpec]) -> Callable[[Mapping[str, object]], dict[str, Fact]]:
    """Return a function that turns a row of the records' table into facts, built once for millions of rows.

    Only facts with a column are read. Codes are not compared with the vocabulary: the table's contract has done that,
    and a code that no rule knows leads to needs_human.

    Raises
    ------
    RuleError (CT-RULE-021), by the function returned, if a column holds another type than the fact.
    """
    plan = [(name, fact.column, _TAKE[fact.type]) for name, fact in declared.items() if fact.column is not None]

    def read(row: Mapping[str, object]) -> dict[str, Fact]:
        facts: dict[str, Fact] = {}
        for name, column, convert in plan:
            value = row.get(column)
            if value is None:
                continue
            try:
                facts[name] = convert(value)
            except TypeError as error:
                raise RuleError.of(
                    "CT-RULE-021",
                    where=column,
                    what=f"the fact '{name}' takes {error}.",
                    advice="Convert the column first; dates are datetime.date, money is integer fen.",
                ) from error
        return facts

    return read


class Recorder(dict[str, Fact]):
    """Facts that remember which of them were read, in the order of first reading."""

    def __init__(self, facts: Facts) -> None:
        super().__init__(facts)
        self._read: dict[str, None] = {}

    def get(self, name: str, default: Fact = None) -> Fact:  # type: ignore[override]
        """Return a fact and remember that it was read."""
        self._read[name] = None
        return super().get(name, default)

    def trace(self) -> Iterator[tuple[str, Fact]]:
        """Yield the facts that were read, with their values; None means that the fact was not given."""
        for name in self._read:
            yield name, super().get(name)
