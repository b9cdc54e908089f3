"""Coverage of the shipped packs by the cases: every rule is reached by its id, every test of a condition is met and failed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from credit_tier.content import Content
from credit_tier.rules import compile as compiling
from credit_tier.rules.cases import CaseResult, read_cases, run_case
from credit_tier.rules.resolve import RulePack, Shelf
from credit_tier.specs.rulepack import RulePackSpec

ROOT = Path(__file__).resolve().parents[2]
CASES = ROOT / "tests" / "cases"
FIRST = {"cn/repair/2017-07-31", "cn/market_repair/2021-09-01"}
"""Nothing was in force before these, so their transition has nothing to choose from."""


class Answers:
    """What the cases reached."""

    def __init__(self) -> None:
        self.results: list[CaseResult] = []
        self.packs: dict[str, RulePack] = {}
        self.tests: dict[tuple[int, bool], None] = {}


@pytest.fixture(scope="module")
def answers() -> Iterator[Answers]:
    """Return every answer, and every test of a condition that was asked, with its outcome.

    Cases run where they belong: those of the province's packs over these, all others on the shipped packs.
    """
    found, plain = Answers(), compiling._test

    def watched(when, facts, values):
        asked = plain(when, facts, values)

        def ask(given, on):
            outcome = asked(given, on)
            found.tests[id(when), bool(outcome)] = None
            return outcome

        return ask

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(compiling, "_test", watched)
        content, local = Content.resolve(), Content.resolve(CASES / "local")
        shelves = {}
        for path in (*sorted((CASES / "repair").glob("*.yaml")), *sorted((CASES / "local" / "cases").glob("*.yaml"))):
            file = read_cases(path)
            is_local = "local" in path.parts
            place = file.jurisdiction if is_local else "cn"
            shelf = shelves.setdefault((place, file.topic), Shelf(local if is_local else content, place, file.topic))
            for case in (question for written in file.cases for question in written.questions()):
                pack = shelf.on(case.as_of)
                found.results.append(run_case(pack, case, file.calendar))
        for (place, _), shelf in shelves.items():
            for name, start, _ in shelf.held():
                if place == "cn":
                    found.packs[name] = shelf.on(start)
        yield found


def reached(results: list[CaseResult]) -> Iterator[tuple[str, str]]:
    """Yield pack and code of every entry that an answer names."""
    for result in results:
        decision = result.decision
        packs = [decision.pack]
        if decision.publicity is not None:
            packs.append(decision.publicity.pack)
            yield decision.publicity.pack, f"classes.{decision.publicity.class_id}"
            yield decision.publicity.pack, "clock_start"
        codes = [reason.code for reason in decision.reasons]
        codes += [limit.reason.code for limit in decision.deadlines]
        codes += [f"channels.{decision.channel.id}"] if decision.channel else []
        yield from ((pack, code) for pack in packs for code in codes)


def test_every_rule_of_a_shipped_pack_is_reached_by_a_case(answers):
    """No class, ground, requirement, clock, channel or period of a pack goes without a case."""
    seen = set(reached(answers.results))
    missing = []
    for pack in answers.packs.values():
        lengths = {name for item in pack.spec.classes for name in (item.min, item.max) if name is not None}
        for _, code, _ in pack.spec.entries():
            section, _, name = code.partition(".")
            if section == "values" and name not in lengths:
                continue  # limits and clock lengths are reached through their rules; the mutants cover their numbers
            if (pack.id, code) not in seen and not (code == "transition" and pack.id in FIRST):
                missing.append(f"{pack.id} {code}")
    assert missing == []
    assert len(answers.packs) == 5


def test_every_test_of_a_condition_is_met_and_failed_by_a_case(answers):
    """Each test of each condition is asked by a case that meets it and by one that does not."""
    missing = []
    for pack in answers.packs.values():
        for place, condition in pack.spec.conditions():
            for steps, test in condition.walk(place):
                for outcome in (True, False):
                    if (id(test), outcome) not in answers.tests and not unreachable(pack.spec, test, outcome):
                        missing.append(f"{pack.id} {'.'.join(map(str, steps))} {outcome}")
    assert missing == []


def unreachable(spec: RulePackSpec, test, outcome: bool) -> bool:
    """Say whether a test cannot come out so: whether a required fact is missing, or a comparison with an unknown limit."""
    if test.is_missing is not None and spec.facts[test.fact].required:
        return outcome is test.is_missing
    limit = spec.values.get(test.at_least or test.at_most or "")
    return limit is not None and limit.unknown and outcome  # the cases of a province that sets the limit reach it
