"""The shipped packs against cases a lawyer wrote."""

from __future__ import annotations

from pathlib import Path

import pytest

from credit_tier.content import Content
from credit_tier.errors import ContentError
from credit_tier.rules.cases import CaseResult, read_cases, run_cases

ROOT = Path(__file__).resolve().parents[2]
FILES = sorted((ROOT / "tests" / "cases" / "repair").glob("*.yaml"))
LOCAL = ROOT / "tests" / "cases" / "local"
LOCAL_FILES = sorted((LOCAL / "cases").glob("*.yaml"))


def results() -> list[tuple[str, CaseResult]]:
    asked = [(path, Content.resolve()) for path in FILES] + [(path, Content.resolve(LOCAL)) for path in LOCAL_FILES]
    return [(path.stem, result) for path, content in asked for result in run_cases(content, read_cases(path))]


@pytest.fixture(scope="module")
def ran() -> list[tuple[str, CaseResult]]:
    return results()


def test_every_case_holds_and_there_are_many(ran):
    """The packs answer each case as its author expects; a difference names the case and both values."""
    failed = [f"{name}: {result.case.case}: {result.differences}" for name, result in ran if result.differences]
    assert not failed
    assert sum(len(read_cases(path).cases) for path in (*FILES, *LOCAL_FILES)) >= 300


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
        "basis": "nothing",
        "papers": ("没有",),
        "due_on": {"feedback": case.as_of.replace(year=1999)},
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


def test_a_case_for_each_value_is_asked_once_for_each(ran):
    """Each combination of the values is a question of its own, named by its values, with the other facts unchanged."""
    file = read_cases(next(path for path in FILES if path.stem == "notice_527_kinds"))
    case = next(case for case in file.cases if len(case.for_each) == 2)
    first, second = case.for_each.values()
    asked = list(case.questions())
    assert len(asked) == len(first) * len(second) == len({item.case for item in asked})
    assert {tuple(item.facts[name] for name in case.for_each) for item in asked} == {
        (one, other) for one in first for other in second
    }
    assert all(item.facts.items() >= case.facts.items() and item.expect == case.expect for item in asked)
    assert {item.case for item in asked} <= {result.case.case for _, result in ran}


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
