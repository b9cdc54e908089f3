"""Every number, code and branch of every pack matters: changed by one step, it makes at least one case fail.

Packs are changed as data in memory; only cases that the changed pack has a say in are asked again, the likeliest to notice first.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from copy import copy
from datetime import date, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from pydantic import ValidationError

from credit_tier.content import ContentFile, read_yaml
from credit_tier.rules.cases import Case, read_cases, run_case
from credit_tier.rules.resolve import Shelf
from credit_tier.specs.rulepack import RulePackSpec, fen
from credit_tier.temporal import WorkingCalendar

ROOT = Path(__file__).resolve().parents[2]
LOCAL = ROOT / "tests" / "cases" / "local"
CASES = (*sorted((ROOT / "tests" / "cases" / "repair").glob("*.yaml")), *sorted((LOCAL / "cases").glob("*.yaml")))
NEXT = {
    "repaired": "not_published",
    "not_published": "repaired",
    "not_repairable": "needs_human",
    "needs_human": "not_repairable",
}
BASES = ("decision", "publication", "document")

Steps = tuple[str | int, ...]


class Asked(NamedTuple):
    """A case, the packs that have a say in it, the entries that its answer names, and the codes that it gives."""

    case: Case
    place: str
    calendar: WorkingCalendar
    packs: frozenset[str]
    codes: frozenset[str]
    values: frozenset[str]


class Held:
    """Content whose packs stand in memory."""

    def __init__(self, specs: dict[str, RulePackSpec]) -> None:
        self.specs = specs

    def files(self, room: str, *, under: str = "") -> list[ContentFile]:
        """Return the packs under a folder as files."""
        names = [name for name in self.specs if name.startswith(f"{under}/")]
        return [ContentFile(room, f"{name}.yaml", Path(name), "0" * 64) for name in sorted(names)]

    def load(self, _room: str, name: str, _spec: type[RulePackSpec]) -> RulePackSpec:
        """Return a pack."""
        return self.specs[name.removesuffix(".yaml")]


class Mutant(NamedTuple):
    """A pack with one thing changed: where, what was done, and the id of the entry it belongs to."""

    place: str
    tree: dict[str, Any]
    code: str


@pytest.fixture(scope="module")
def trees() -> dict[str, dict[str, Any]]:
    """Return the plain data of every pack that decides about records, and of the province's packs of the cases."""
    found = {}
    for folder in (ROOT, LOCAL):
        for path in sorted((folder / "rule_packs").glob("*/*/*.yaml")):
            tree = read_yaml(path.read_text(encoding="utf-8"), where=path.name).value
            assert isinstance(tree, dict)
            if not {"overrides", "measures"} & set(tree):
                found[tree["pack"]] = tree
    return found


@pytest.fixture(scope="module")
def specs(trees) -> dict[str, RulePackSpec]:
    """Return the packs as they are."""
    return {name: RulePackSpec.model_validate(tree) for name, tree in trees.items()}


@pytest.fixture(scope="module")
def asked(specs) -> dict[str, list[Asked]]:
    """Return topic -> every case, with the packs and entries it reaches."""
    found: dict[str, list[Asked]] = {}
    shipped = {name: spec for name, spec in specs.items() if not spec.extends}
    for path in CASES:
        file = read_cases(path)
        held = Held(specs if path.is_relative_to(LOCAL) else shipped)
        shelf = Shelf(held, file.jurisdiction, file.topic)
        for case in (question for written in file.cases for question in written.questions()):
            pack = shelf.on(case.as_of)
            decision = run_case(pack, case, file.calendar).decision
            decided = case.facts.get("decided_on")
            earlier = shelf.on(date.fromisoformat(decided)) if decided else None
            codes = {reason.code for reason in decision.reasons} | {item.reason.code for item in decision.deadlines}
            labels = {*pack.labels, *(earlier.labels if earlier else ())}
            packs = frozenset(label.removeprefix("rule_packs/").removesuffix(".yaml") for label in labels)
            place = file.jurisdiction if held.specs is specs else "cn"
            values = frozenset(";".join(value or "" for value in case.facts.values()).split(";"))
            item = Asked(case, place, file.calendar, packs, frozenset(codes), values)
            found.setdefault(file.topic, []).append(item)
    return found


def survivors(
    mutants: Iterator[Mutant], specs: dict[str, RulePackSpec], asked: dict[str, list[Asked]]
) -> tuple[list[str], int]:
    """Return the places of the mutants that no case notices, and how many mutants there were."""
    alive, count = [], 0
    for mutant in mutants:
        count += 1
        try:
            spec = RulePackSpec.model_validate(mutant.tree)
        except ValidationError:
            continue  # the pack is refused on loading, for instance because its minimum exceeds its maximum
        held = Held({**specs, spec.pack: spec})
        shelves: dict[str, Shelf] = {}
        concerned = [item for item in asked[spec.topic] if spec.pack in item.packs]
        word = mutant.place.rpartition(" ")[2]
        concerned.sort(key=lambda item: (word not in item.values, mutant.code not in item.codes))
        for item in concerned:
            if item.place not in shelves:
                shelves[item.place] = Shelf(held, item.place, spec.topic)
            if run_case(shelves[item.place].on(item.case.as_of), item.case, item.calendar).differences:
                break
        else:
            alive.append(mutant.place)
    return alive, count


def changed(tree: dict[str, Any], steps: Steps, change: Callable[[Any, Any], None]) -> dict[str, Any]:
    """Return a copy of a pack in which `change(parent, key)` was made at a place."""
    new = parent = copy(tree)
    for step in steps[:-1]:
        parent[step] = copy(parent[step])
        parent = parent[step]
    change(parent, steps[-1])
    return new


def put(value: object) -> Callable[[Any, Any], None]:
    """Return a change that writes a value."""

    def change(parent: Any, key: Any) -> None:
        parent[key] = value

    return change


def drop(parent: Any, key: Any) -> None:
    """Remove an entry."""
    del parent[key]


def mutant(tree: dict[str, Any], steps: Steps, words: str, change: Callable[[Any, Any], None]) -> Mutant:
    """Return one mutant, named by pack, place and what was done."""
    named = [str(step) for step in steps]
    if isinstance(steps[1], int) and isinstance(tree[steps[0]][steps[1]], dict):
        named[1] = tree[steps[0]][steps[1]]["id"]
    code = steps[0] if steps[0] in {"ending", "clock_start"} else f"{named[0]}.{named[1]}"
    return Mutant(f"{tree['pack']} {'.'.join(named)} {words}", changed(tree, steps, change), str(code))


def numbers(tree: dict[str, Any]) -> Iterator[Mutant]:
    """Yield the pack with each number of the law one step smaller and larger; money by one fen."""
    for name, value in tree.get("values", {}).items():
        for unit, number in (value.get("period") or {}).items():
            for step in (-1, 1):
                if int(number) + step >= 0:
                    yield mutant(tree, ("values", name, "period", unit), f"{step:+d}", put(str(int(number) + step)))
        if "amount" in value:
            for step in (-1, 1):
                whole, cents = divmod(fen(value["amount"]) + step, 100)
                yield mutant(tree, ("values", name, "amount"), f"{step:+d} fen", put(f"{whole}.{cents:02d} 元"))
        if "count" in value:
            for step in (-1, 1):
                yield mutant(tree, ("values", name, "count"), f"{step:+d}", put(str(int(value["count"]) + step)))
        if "day" in value:
            for step in (-1, 1):
                moved = date.fromisoformat(value["day"]) + timedelta(step)
                yield mutant(tree, ("values", name, "day"), f"{step:+d}", put(moved.isoformat()))


def codes(tree: dict[str, Any]) -> Iterator[Mutant]:
    """Yield the pack with each code of a condition left out, each other code of the vocabulary let in, each flag turned."""
    for steps, test in conditions(tree):
        fact = tree["facts"].get(test.get("fact"), {})
        vocabulary = list(fact.get("vocabulary") or {})
        for operator in ("one_of", "includes", "only"):
            for code in test.get(operator) or ():
                rest = [other for other in test[operator] if other != code]
                yield mutant(tree, (*steps, operator), f"without {code}", put(rest or vocabulary))
            for code in vocabulary if operator in test else ():
                if code not in test[operator]:
                    yield mutant(tree, (*steps, operator), f"with {code}", put([*test[operator], code]))
        if "equals" in test:
            for code in vocabulary:
                if code != test["equals"]:
                    yield mutant(tree, (*steps, "equals"), code, put(code))
        for operator in ("is_true", "is_missing", "has_happened"):
            if operator in test:
                yield mutant(tree, (*steps, operator), "turned", put("false" if test[operator] == "true" else "true"))


def conditions(tree: dict[str, Any]) -> Iterator[tuple[Steps, dict[str, Any]]]:
    """Yield every test of every condition with its place."""
    for section in ("settled", "classes", "bars", "requirements", "channels"):
        for index, item in enumerate(tree.get(section) or ()):
            for role in ("when", "met_when"):
                if role in item:
                    yield from leaves((section, index, role), item[role])
    if "when" in tree.get("ending", {}):
        yield from leaves(("ending", "when"), tree["ending"]["when"])


def leaves(steps: Steps, when: dict[str, Any]) -> Iterator[tuple[Steps, dict[str, Any]]]:
    """Yield the tests of one condition."""
    if "fact" in when:
        yield steps, when
    for join in ("all", "any"):
        for index, part in enumerate(when.get(join) or ()):
            yield from leaves((*steps, join, index), part)
    if "not" in when:
        yield from leaves((*steps, "not"), when["not"])


def branches(tree: dict[str, Any]) -> Iterator[Mutant]:
    """Yield the pack without each branch of a condition, each rule, each paper, and with each choice turned."""
    for steps, parts in joins(tree):
        for index in range(len(parts)) if len(parts) > 1 else ():
            yield mutant(tree, (*steps, index), "left out", drop)
    for section in ("settled", "classes", "bars", "requirements", "clocks", "channels"):
        for index, item in enumerate(tree.get(section) or ()):
            yield mutant(tree, (section, index), f"({item['id']}) left out", drop)
            if "decision" in item:
                yield mutant(tree, (section, index, "decision"), "turned", put(NEXT[item["decision"]]))
            if "when" in item and section in {"requirements", "channels"}:
                yield mutant(tree, (section, index, "when"), "left out", drop)
            for key in ("papers", "met_on", "classes"):
                for at, name in enumerate(item.get(key) or ()):
                    yield mutant(tree, (section, index, key, at), f"({name}) left out", drop)
            if section == "requirements":
                for kind in tree["classes"]:
                    if kind["id"] not in (item.get("classes") or ()):
                        only = [*(item.get("classes") or ()), kind["id"]]
                        words = f"for {kind['id']} {'too' if item.get('classes') else 'only'}"
                        yield mutant(tree, (section, index, "classes"), words, put(only))
            if section == "clocks":
                turned = "false" if item.get("starts_at_as_of") == "true" else "true"
                yield mutant(tree, (section, index, "starts_at_as_of"), "turned", put(turned))
                yield from other_dates(tree, (section, index, "start"))
            for key in ("min", "max_extends_to"):
                if key in item:
                    yield mutant(tree, (section, index, key), "left out", drop)
            if "max_extends_to" in item:
                yield from other_dates(tree, (section, index, "max_extends_to"))
    for at, name in enumerate(tree.get("apply_with") or ()):
        yield mutant(tree, ("apply_with", at), f"({name}) left out", drop)
    if "clock_start" in tree:
        yield from other_dates(tree, ("clock_start", "fact"))
        for basis in BASES:
            if basis != tree["clock_start"]["basis"]:
                yield mutant(tree, ("clock_start", "basis"), basis, put(basis))
    if "transition" in tree:
        yield from other_dates(tree, ("transition", "fact"))
        yield mutant(tree, ("transition", "period"), "turned", put("governing"))
    if "when" in tree.get("ending", {}):
        yield mutant(tree, ("ending", "when"), "left out", drop)
    for name, fact in tree.get("facts", {}).items():
        if fact.get("required") == "true":
            yield mutant(tree, ("facts", name, "required"), "turned", put("false"))


def other_dates(tree: dict[str, Any], steps: Steps) -> Iterator[Mutant]:
    """Yield the pack with another date fact at a place, for each that it declares."""
    here: Any = tree
    for step in steps:
        here = here[step]
    for name, fact in tree.get("facts", {}).items():
        if fact["type"] == "date" and name != here:
            yield mutant(tree, steps, f"{name} instead of {here}", put(name))


def joins(tree: dict[str, Any]) -> Iterator[tuple[Steps, list[Any]]]:
    """Yield every `all` and `any` with its place."""

    def walk(steps: Steps, when: dict[str, Any]) -> Iterator[tuple[Steps, list[Any]]]:
        for join in ("all", "any"):
            if join in when:
                yield (*steps, join), when[join]
                for index, part in enumerate(when[join]):
                    yield from walk((*steps, join, index), part)
        if "not" in when:
            yield from walk((*steps, "not"), when["not"])

    for section in ("settled", "classes", "bars", "requirements", "channels"):
        for index, item in enumerate(tree.get(section) or ()):
            for role in ("when", "met_when"):
                if role in item:
                    yield from walk((section, index, role), item[role])
    if "when" in tree.get("ending", {}):
        yield from walk(("ending", "when"), tree["ending"]["when"])


EQUIVALENT = {
    r"market_repair/2021-09-01 bars\.perhaps_heavier\.when\.includes with (lower_qual|revoke|restrict_|order_susp)": "the bar before it takes them",
    r"repair/2023-05-01 bars\.work_safety_doubtful\.when\.all\.2\.any\.1\.all\.0\.includes with (suspend|lower|revoke|restrict_|order_)": "the branch before it takes them",
    r"repair/2026-04-01 classes\.general\.when\.any\.1\.only with (lower|revoke|restrict_|order_)": "the class before it takes them",
}
"""Changes that change no answer, and why; anything else that no case notices is a gap in the cases."""


def of_all(trees: dict[str, dict[str, Any]], kind: Callable[[dict[str, Any]], Iterator[Mutant]]) -> Iterator[Mutant]:
    """Yield the mutants of one kind of all packs."""
    return (found for tree in trees.values() for found in kind(tree))


def test_a_change_of_any_number_makes_a_case_fail(trees, specs, asked):
    """Each period, amount, count and day of each pack, one step smaller and larger, is noticed."""
    alive, count = survivors(of_all(trees, numbers), specs, asked)
    assert alive == []
    assert count >= 60


def test_a_change_of_any_code_or_branch_makes_a_case_fail(trees, specs, asked):
    """Each code left out or let in, each flag turned, each branch, rule and paper left out is noticed, or known to change nothing."""
    alive, count = survivors((found for kind in (codes, branches) for found in of_all(trees, kind)), specs, asked)
    assert [place for place in alive if not any(re.search(pattern, place) for pattern in EQUIVALENT)] == []
    assert [pattern for pattern in EQUIVALENT if not any(re.search(pattern, place) for place in alive)] == []
    assert count >= 800


def test_cases_that_expect_nothing_would_notice_nothing(trees, specs, asked):
    """The harness can fail: with one case only, changes survive."""
    few = {topic: items[:1] for topic, items in asked.items()}
    alive, count = survivors(of_all(trees, numbers), specs, few)
    assert len(alive) > count / 2
