"""The shipped packs against cases a lawyer wrote."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from credit_tier.content import Content
from credit_tier.errors import ContentError
from credit_tier.rules.cases import CaseFile, CaseResult, read_cases, run_cases
from credit_tier.specs.rulepack import RulePackSpec

ROOT = Path(__file__).resolve().parents[2]
FILES = sorted((ROOT / "tests" / "cases" / "repair").glob("*.yaml"))
PACKS = sorted((ROOT / "rule_packs").glob("*/*/*.yaml"))
NUMBER = re.compile(r"(months: |years: |working_days: |amount: )(\d+)")


def results() -> list[tuple[str, CaseResult]]:
    content = Content.resolve()
    return [(path.stem, result) for path in FILES for result in run_cases(content, read_cases(path))]


@pytest.fixture(scope="module")
def ran() -> list[tuple[str, CaseResult]]:
    return results()


def test_every_case_holds_and_there_are_many(ran):
    """The packs answer each case as its author expects; a difference names the case and both values."""
    failed = [f"{name}: {result.case.case}: {result.differences}" for name, result in ran if result.differences]
    assert not failed
    assert len(ran) >= 80


def test_a_wrong_expectation_is_noticed():
    """The comparison can fail: each kind of expectation, set wrong, gives a line of its own."""
    file = read_cases(next(path for path in FILES if path.stem == "order_36_2026"))
    case = next(case for case in file.cases if case.expect.working_days)
    wrong = {
        "decision": "repaired",
        "class_": "nothing",
        "until": case.as_of,
        "first_possible_on": case.as_of.replace(year=1999),
        "min_end_on": case.as_of.replace(year=1999),
        "max_end_on": case.as_of.replace(year=1999),
        "reasons": ("no.such",),
        "missing_papers": ("没有",),
        "channel": "nowhere",
        "working_days": {"feedback": 99},
        "pack": "x",
        "period_pack": "x",
        "confirm": not case.expect.confirm,
    }
    broken = case.model_copy(update={"expect": case.expect.model_copy(update=wrong)})
    (result,) = run_cases(Content.resolve(), file.model_copy(update={"cases": (broken,)}))
    assert len(result.differences) == len(wrong)


def reached(ran: list[tuple[str, CaseResult]]) -> Iterator[tuple[str, str]]:
    for _, result in ran:
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


def test_every_rule_of_a_shipped_pack_is_reached_by_a_case(ran):
    """No class, ground, requirement, clock, channel or period of a pack goes without a case."""
    seen = set(reached(ran))
    missing = []
    for path in PACKS:
        spec = Content.resolve().load("rule_packs", path.relative_to(ROOT / "rule_packs").as_posix(), RulePackSpec)
        if spec.overrides:
            continue  # a pack of overrides decides about no record; tests/rules/test_classification.py reaches its rules
        lengths = {name for item in spec.classes for name in (item.min, item.max) if name is not None}
        for _, code, _ in spec.entries():
            section, _, name = code.partition(".")
            if section == "values" and name not in lengths:
                continue  # limits and clock lengths are reached through their rules; the mutation test covers their numbers
            if (spec.pack, code) not in seen and not (code == "transition" and spec.pack in FIRST):
                missing.append(f"{spec.pack} {code}")
    assert missing == []


FIRST = {"cn/repair/2017-07-31", "cn/market_repair/2021-09-01"}
"""Nothing was in force before these, so their transition has nothing to choose from."""


def _numbers() -> Iterator[tuple[str, int, int]]:
    for path in PACKS:
        for match in NUMBER.finditer(path.read_text(encoding="utf-8")):
            for change in (-1, 1):
                if int(match.group(2)) + change >= 0:
                    yield path.relative_to(ROOT / "rule_packs").as_posix(), match.start(2), change


def test_a_change_of_any_number_in_a_pack_makes_a_case_fail(tmp_path):
    """Each period, amount and clock of each shipped pack, moved by one, is noticed by at least one case."""
    cases = [read_cases(path) for path in FILES]
    mutants = list(_numbers())
    survivors = []
    for place, at, change in mutants:
        shutil.copytree(ROOT / "rule_packs", tmp_path / "rule_packs", dirs_exist_ok=True)
        target = tmp_path / "rule_packs" / place
        text = target.read_text(encoding="utf-8")
        number = re.match(r"\d+", text[at:])
        assert number is not None
        target.write_text(f"{text[:at]}{int(number.group()) + change}{text[at + number.end() :]}", encoding="utf-8")
        if not _noticed(Content(tmp_path), cases, place.split("/")[1]):
            survivors.append(f"{place}:{text.count(chr(10), 0, at) + 1} {change:+d}")
    assert len(mutants) >= 50
    assert survivors == []


def _noticed(content: Content, cases: list[CaseFile], topic: str) -> bool:
    try:
        return any(result.differences for file in cases if file.topic == topic for result in run_cases(content, file))
    except ContentError:
        return True  # the pack no longer loads, for instance because its minimum exceeds its maximum


def test_case_files_are_read_strictly(tmp_path):
    """A misspelt expectation is refused with its line, not ignored."""
    crossings = next(path for path in FILES if path.stem == "crossings")
    text = crossings.read_text(encoding="utf-8").replace("max_end_on", "max_end", 1)
    path = tmp_path / "cases.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ContentError, match=r"cases\.yaml:\d+: .*max_end"):
        read_cases(path)
    with pytest.raises(ContentError, match="CT-RULE-040"):
        read_cases(tmp_path / "absent.yaml")
