"""Teams of a draw: eligible people only, as even as can be, the cheapest by public hash costs, proven by prices that anybody checks."""

from __future__ import annotations

import ast
import copy
import json
import sys
from collections import Counter
from datetime import date
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from credit_tier import draws
from credit_tier.canonical import digest_of
from credit_tier.content import parse
from credit_tier.errors import ContentError, DrawError, RefusedError, UsageError, VerificationError
from credit_tier.sampling import certificate
from credit_tier.sampling.certificate import check, cost
from credit_tier.sampling.folder import load_drawn
from credit_tier.sampling.roster import Inspector, Roster
from credit_tier.sampling.teams import assign
from credit_tier.specs.teams import TeamsSpec

RULES = """
teams: test_teams
title_zh: 测试组队
district_column: district
citywide: ["320500"]
days: {per_inspector: 2, per_district: 30}
departments:
  - department: market
    staff: [market_regulation]
    items: [registration_item, food_item]
    seats:
      - {role: lead, lead: true, items: [registration_item]}
      - {role: member, post: same}
    reference: 测试
    verified: false
  - department: fire
    items: [fire_item]
    seats:
      - {role: officer, count: 2}
      - {role: guest, department: other, items: []}
    reference: 测试
    verified: true
"""
ITEMS = {"registration_item": "registration", "food_item": "food", "fire_item": "fire_safety"}
FIRST, LAST = date(2026, 12, 1), date(2026, 12, 31)
POSTS = ("320505", "320506", "320507", "320583", "320500")


def people(count: int = 40) -> list[Inspector]:
    """Return a designed roster: two departments, five posts, a third of leaders, some recusals and last visits."""
    return [
        Inspector(
            inspector=f"P{i:03d}",
            department="fire" if i % 4 == 3 else "market_regulation",
            post=POSTS[i % 5],
            leads=i % 3 == 0,
            qualified=("fire_safety",) if i % 4 == 3 else ("food", "registration") if i % 8 else ("registration",),
            since="2024-01-01",
            until=None if i % 2 else "2027-06-30",
            recused=(f"91320500MA{i * 7:08d}",),
            last=tuple(f"91320500MA{j:08d}" for j in range(i, 600, 37)),
        )
        for i in range(count)
    ]


@pytest.fixture(scope="module")
def rules() -> TeamsSpec:
    return parse(RULES, TeamsSpec, where="teams")


@pytest.fixture(scope="module")
def roster() -> Roster:
    return Roster.of(people(), items=ITEMS)


@pytest.fixture(scope="module")
def made(finished, roster, rules) -> tuple[dict[str, Any], bytes, dict[str, Any]]:
    """Return document, roster and record of an assignment."""
    record, frame = load_drawn(finished)
    assigned = assign(record, frame, roster, rules, first=FIRST, last=LAST)
    return dict(assigned.document), assigned.roster, record


def test_everybody_is_eligible_and_joint_picks_are_one_visit(made, roster, rules):
    """Every drawn enterprise is visited once, by both departments if both drew it; leaders lead, nobody is recused, was there last, or lacks a field."""
    document, _, record = made
    drawn: dict[str, set[str]] = {}
    for entry in draws.DrawRecord(record).entries():
        if entry["list"] == "drawn":
            drawn.setdefault(entry["code"], set()).add(entry["department"])
    assert [visit["code"] for visit in document["visits"]] == sorted(drawn)
    assert any(len(departments) == 2 for departments in drawn.values())
    known = {row.inspector: row for row in roster.inspectors}
    for visit in document["visits"]:
        assert {seat["department"] for seat in visit["seats"]} == drawn[visit["code"]]
        team = [name for seat in visit["seats"] for name in seat["team"]]
        assert len(team) == len(set(team)) >= 2
        assert not any(visit["code"] in (*known[name].recused, *known[name].last) for name in team)
        for seat in visit["seats"]:
            for who in (known[name] for name in seat["team"]):
                assert (who.department == "fire") == (seat["role"] == "officer")
                assert who.leads or seat["role"] != "lead"
                assert seat["role"] != "member" or who.post in {visit["area"], "320500"}
                assert seat["role"] != "officer" or "fire_safety" in who.qualified


def test_costs_are_those_of_sha256sum_and_the_certificate_holds(made):
    """A cost is ten digits of SHA-256 of a text on sealed leaves; the checker passes every step."""
    document, roster, record = made
    assert check(document, roster, record) == (
        ["file", "record", "roster", "eligible", "loads", "optimal", "timetable", "digest"],
        None,
    )
    visit, person = document["visits"][0], document["people"][0]
    text = f"credit_tier/prn/1\n{record['seed']}\nassign\n{visit['leaf']}/{person['leaf']}/market/lead"
    assert cost(record["seed"], visit["leaf"], person["leaf"], "market", "lead") == int(
        sha256(text.encode()).hexdigest()[:10], 16
    )


def swap_two(document: dict[str, Any]) -> None:
    """Exchange the officers of two visits where all may go to the other one, leaving loads alone."""
    officers = [(v, s) for v in document["visits"] for s in v["seats"] if s["role"] == "officer"]
    for a, (va, sa) in enumerate(officers):
        for vb, sb in officers[a + 1 :]:
            both = {m for v in (va, vb) for s in v["seats"] for m in s["team"]}
            barred = {p for p in both if any(v["code"] in BARRED[p] for v in (va, vb))}
            if (
                not set(sa["team"]) & set(sb["team"])
                and not barred
                and len(both) == sum(len(s["team"]) for v in (va, vb) for s in v["seats"])
            ):
                sa["team"], sb["team"] = sb["team"], sa["team"]
                return
    raise AssertionError


BARRED = {row.inspector: {*row.recused, *row.last} for row in people()}
TAMPERED = {
    "record": lambda d: d.update(seed="0" * 64),
    "rules": lambda d: d["rules"].update(rotation=False),
    "roster": lambda d: d.update(roster_root="0" * 64),
    "price": lambda d: d["people"][3]["price"].__setitem__(1, d["people"][3]["price"][1] + (1 << 41)),
    "threshold": lambda d: d["visits"][0]["seats"][0]["threshold"].__setitem__(1, -(1 << 45)),
    "load": lambda d: d["people"][0].update(load=d["people"][0]["load"] + 1),
    "missing": lambda d: d["visits"][2]["seats"][0].update(team=[]),
    "exchange": swap_two,
    "day": lambda d: d["visits"][0].update(day="2026-12-05"),
    "digest": lambda d: d.update(loads=[]),
    "float": lambda d: d["people"][0].update(price=[1.0, 2]),
}
STEP = {
    "record": "record", "rules": "record", "roster": "roster", "price": "optimal", "threshold": "optimal", "load": "loads",
    "missing": "eligible", "exchange": "optimal", "day": "timetable", "digest": "digest", "float": "file",
}  # fmt: skip


@pytest.mark.parametrize("name", TAMPERED)
def test_the_checker_names_what_was_changed(made, name):
    """Whatever is changed in the document, the checker names the step; eligible but dearer teams fail at their prices."""
    document, roster, record = made
    changed = copy.deepcopy(document)
    TAMPERED[name](changed)
    if name != "digest":
        changed["teams_digest"] = digest_of(
            {k: v for k, v in changed.items() if k != "teams_digest"} if name != "float" else {}
        )
    found = check(changed, roster, record)[1]
    assert found in ({STEP[name], "loads"} if name == "price" else {STEP[name]})


def test_the_checker_imports_the_standard_library_and_canonical_only():
    """It may be handed to an auditor as two files."""
    tree = ast.parse(Path(certificate.__file__).read_text("utf-8"))
    modules = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    modules |= {name.name for node in ast.walk(tree) if isinstance(node, ast.Import) for name in node.names}
    assert {name for name in modules if name and name.split(".")[0] not in sys.stdlib_module_names} == {
        "credit_tier.canonical"
    }


def test_a_changed_roster_is_named(made):
    """One byte of the roster and its root does not fit any more."""
    document, roster, record = made
    assert check(document, roster.replace(b'"leads":true', b'"leads":false', 1), record)[1] == "roster"


def test_order_of_the_roster_and_solver_do_not_matter(finished, roster, rules, made):
    """Rows in another order, NetworkX and OR-tools give the same bytes."""
    record, frame = load_drawn(finished)
    other = Roster.of(reversed(people()), items=dict(reversed(ITEMS.items())))
    for solver in ("exchange", "networkx", "ortools"):
        again = assign(record, frame, other, rules, first=FIRST, last=LAST, solver=solver)
        assert again.document == made[0]
        assert again.roster == made[1]


def test_loads_are_even_where_they_can_be(made, roster):
    """Market inspectors, of whom enough may go anywhere, make as many visits but for one; the document says so by department."""
    document, _, _ = made
    load = {row["inspector"]: row["load"] for row in document["people"]}
    fire = [load[row.inspector] for row in roster.inspectors if row.department == "fire"]
    assert max(fire) - min(fire) <= 1
    listed = {row["department"]: row for row in document["loads"]}
    assert (
        sum(load.values())
        == listed[None]["seats"]
        == sum(len(seat["team"]) for visit in document["visits"] for seat in visit["seats"])
    )


def test_days_are_worked_and_hold_no_more_than_allowed(made):
    """No visit on a weekend, at most two a day for anybody, at most thirty a day in a district."""
    document, _, _ = made
    assert all(date.fromisoformat(visit["day"]).weekday() < 5 for visit in document["visits"])
    busy = Counter((v["day"], m) for v in document["visits"] for s in v["seats"] for m in s["team"])
    assert max(busy.values()) <= 2


def test_the_public_file_names_nobody(finished, roster, rules):
    """Neither a number of an inspector nor a code of an enterprise, nor who went where, stands in the public extract."""
    record, frame = load_drawn(finished)
    assigned = assign(record, frame, roster, rules, first=FIRST, last=LAST)
    text = json.dumps(assigned.public)
    assert not any(row.inspector in text for row in roster.inspectors)
    assert not any(code in text for code in frame.codes)
    assert assigned.public["roster_root"] == assigned.document["roster_root"]
    assert sum(load for _, load in assigned.public["visits_by_inspector"]) == assigned.public["loads"][-1]["seats"]  # type: ignore[index, misc]


def test_teams_arefinished_once(drawn, roster, rules):
    """The same call again completes missing files; another roster, a draw that is not finished and a changed record are refused."""
    document = draws.assign(drawn, roster, rules, first=FIRST, last=LAST)
    (drawn / "teams_public.json").unlink()
    assert draws.assign(drawn, roster, rules, first=FIRST, last=LAST) == document
    assert (drawn / "teams_public.json").is_file()
    fewer = Roster.of(people()[:-1], items=ITEMS)
    with pytest.raises(RefusedError, match="CT-DRAW-035"):
        draws.assign(drawn, fewer, rules, first=FIRST, last=LAST)
    with pytest.raises(UsageError, match="CT-DRAW-039"):
        draws.assign(drawn, roster, rules, first=LAST, last=FIRST)
    data = (drawn / "record.json").read_bytes()
    (drawn / "record.json").write_bytes(data.replace(b'"reserves":[{"chance":"', b'"reserves":[{"chance":"1', 1))
    with pytest.raises(VerificationError, match="CT-DRAW-014"):
        draws.assign(drawn, roster, rules, first=FIRST, last=LAST)
    (drawn / "record.json").unlink()
    with pytest.raises(UsageError, match="CT-DRAW-015"):
        draws.assign(drawn, roster, rules, first=FIRST, last=LAST)


def refused(finished, roster: Roster, text: str = RULES, **dates: date) -> DrawError:
    record, frame = load_drawn(finished)
    with pytest.raises(DrawError) as caught:
        assign(record, frame, roster, parse(text, TeamsSpec, where="teams"), **{"first": FIRST, "last": LAST, **dates})
    return caught.value


def test_rules_that_do_not_fit_say_what_is_missing(finished, roster):
    """Unknown items, departments without a team, a column that the frame lacks, days that nobody works: each names what is there."""
    assert refused(finished, Roster.of(people(), items={})).code == "CT-DRAW-031"
    one = RULES[: RULES.index("  - department: fire")]
    assert "fire" in str(refused(finished, roster, one))
    assert "district" in str(
        refused(finished, roster, RULES.replace("district_column: district", "district_column: town"))
    )
    weekend = {"first": date(2026, 12, 5), "last": date(2026, 12, 6)}
    assert refused(finished, roster, **weekend).code == "CT-DRAW-033"
    some = Roster.of(people(), items=ITEMS, working={date(2026, 12, 1): True})
    assert "30" in str(refused(finished, some))
    assert refused(finished, roster, first=FIRST, last=FIRST).code == "CT-DRAW-034"


@pytest.mark.parametrize(
    ("old", "new", "word"),
    [
        ("{role: officer, count: 2}", "{role: officer, count: 0}", "count"),
        ("      - {role: officer, count: 2}\n", "", "at least two"),
        ("role: guest", "role: officer", "same role"),
        ("department: fire\n", "department: market\n", "same name"),
        ("district_column: district\n", "", "district_column"),
    ],
)
def test_rules_are_read_strictly(old, new, word):
    """Teams of one, doubled names and districts without a column are refused with a word on why."""
    assert old in RULES
    with pytest.raises(ContentError, match=word):
        parse(RULES.replace(old, new), TeamsSpec, where="teams.yaml")


def test_a_roster_is_checked():
    """Nobody stands twice, nobody is nameless, and there is somebody."""
    with pytest.raises(DrawError, match="stand twice"):
        Roster.of([Inspector("a", "x"), Inspector("a", "x")])
    with pytest.raises(DrawError, match="malformed"):
        Roster.of([Inspector(" a", "x")])
    with pytest.raises(DrawError, match="empty"):
        Roster.of([])
