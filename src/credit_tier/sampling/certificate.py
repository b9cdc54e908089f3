"""Check a teams document: roster, eligibility, loads, and by its prices that no other teams are better. Standard library and `canonical` only.

Written apart from the engine, in one pass over all pairs of seats and inspectors, without any solver.
A pair [a, b] is a price: a counts visits, b hash costs; pairs are compared from the left, as Python compares lists and tuples.
"""

from __future__ import annotations

import hmac
import json
from hashlib import sha256
from itertools import pairwise
from typing import Any

from credit_tier.canonical import canonical_json, digest_of, sha256_hex

STEPS = {
    "file": ("检查组文件不完整或已损坏", "this is no teams document, or it is damaged"),
    "record": ("检查组与抽取记录不符", "the teams do not belong to the record of the draw"),
    "roster": ("名录与文件不符", "the roster is not the one the document names"),
    "eligible": ("有人不符合条件,或组不完整", "somebody is not eligible, or a team is not complete"),
    "loads": ("任务量或价格与所列不符", "loads or their prices are not as listed"),
    "optimal": ("存在更优的组成", "other teams would be better: a price does not hold"),
    "timetable": ("日程不符合工作日或容量", "days are not worked, or hold more visits than allowed"),
    "digest": ("文件摘要不符", "the document was changed"),
}
BROKEN = (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError)

Row = dict[str, Any]


def check(document: Row, roster: bytes, record: Row) -> tuple[list[str], str | None]:
    """Return the steps that hold, in order, and the first one that does not, or None.

    Parameters
    ----------
    document : content of `teams.json`.
    roster : bytes of `roster.jsonl`.
    record : content of the draw's `record.json`.
    """
    passed: list[str] = []
    at = "file"
    try:
        need(document["format"] == "credit_tier/teams/1")
        rows = [json.loads(line) for line in roster.splitlines()]
        visits, people, rules = document["visits"], document["people"], document["rules"]
        for at, holds in (
            ("file", lambda: _shape(visits, people)),
            ("record", lambda: _record(document, record, visits)),
            ("roster", lambda: _roster(document, roster, rows, people, bytes.fromhex(record["leaf_secret"]))),
            ("eligible", lambda: _teams(document, visits, rows, rules)),
            ("loads", lambda: _loads(visits, people, rows, rules)),
            ("optimal", lambda: _prices(document, visits, people, rows)),
            ("timetable", lambda: _days(document, visits, rules)),
            (
                "digest",
                lambda: (
                    digest_of({k: v for k, v in document.items() if k != "teams_digest"}) == document["teams_digest"]
                ),
            ),
        ):
            need(holds())
            passed.append(at)
    except BROKEN:
        return passed, at
    return passed, None


def need(holds: object) -> None:
    """Raise ValueError unless something holds."""
    if not holds:
        raise ValueError


def _shape(visits: list[Row], people: list[Row]) -> bool:
    prices = [row["price"] for row in people] + [seat["threshold"] for visit in visits for seat in visit["seats"]]
    return all(type(price) is list and [type(part) for part in price] == [int, int] for price in prices)


def _record(document: Row, record: Row, visits: list[Row]) -> bool:
    drawn: dict[str, set[str]] = {}
    for department in record["departments"]:
        for stratum in department["strata"]:
            for entry in stratum["drawn"]:
                drawn.setdefault(entry["code"], set()).add(department["department"])
    same = all(document[name] == record[name] for name in ("draw_id", "commitment", "seed", "record_digest"))
    need(document["rules_digest"] == digest_of(document["rules"]))
    listed = [visit["code"] for visit in visits]
    return (
        same
        and listed == sorted(drawn)
        and all(drawn[v["code"]] == {s["department"] for s in v["seats"]} for v in visits)
    )


def _roster(document: Row, roster: bytes, rows: list[Row], people: list[Row], secret: bytes) -> bool:
    level = []
    for row, person in zip(rows, people, strict=True):
        salt = hmac.digest(secret, b"\x00credit_tier/roster/1\n" + row["inspector"].encode(), "sha256")
        level.append(sha256(b"\x00" + salt + canonical_json(row)).digest())
        need(row["inspector"] == person["inspector"] and level[-1].hex() == person["leaf"])
    need(all(a["inspector"] < b["inspector"] for a, b in pairwise(rows)))
    while len(level) > 1:
        pairs = [level[i : i + 2] for i in range(0, len(level), 2)]
        level = [sha256(b"\x01" + pair[0] + pair[1]).digest() if len(pair) == 2 else pair[0] for pair in pairs]
    return bool(level[0].hex() == document["roster_root"] and sha256_hex(roster) == document["roster_digest"])


def seat_rules(document: Row) -> dict[tuple[str, str], Row]:
    """Return department and role -> the rules' seat, with `staff` and `needs`."""
    found = {}
    for team in document["rules"]["departments"]:
        for seat in team["seats"]:
            items = team["items"] if seat["items"] is None else seat["items"]
            needs = {document["items"][item] for item in items}
            found[team["department"], seat["role"]] = {
                **seat,
                "staff": team["staff"] or [team["department"]],
                "needs": needs,
            }
    return found


def may(row: Row, seat: Row, visit: Row, document: Row) -> bool:
    """Return whether an inspector may take a seat of a visit."""
    rules, own, near = document["rules"], row["department"] in seat["staff"], row["post"] == visit["area"]
    return bool(
        {"own": own, "other": not own, "any": True}[seat["department"]]
        and {"same": near or row["post"] in rules["citywide"], "other": not near, "any": True}[seat["post"]]
        and seat["needs"] <= set(row["qualified"])
        and (row["leads"] or not seat["lead"])
        and (row["since"] is None or row["since"] <= document["first"])
        and (row["until"] is None or row["until"] >= document["last"])
        and visit["code"] not in row["recused"]
        and not (rules["rotation"] and visit["code"] in row["last"])
    )


def _teams(document: Row, visits: list[Row], rows: list[Row], rules: Row) -> bool:
    """Return whether every seat is there, is filled, and by somebody who may take it; nobody takes two seats of a visit."""
    by_number, seats = {row["inspector"]: row for row in rows}, seat_rules(document)
    order = [(team["department"], seat["role"]) for team in rules["departments"] for seat in team["seats"]]
    for visit in visits:
        departments = {seat["department"] for seat in visit["seats"]}
        need([(s["department"], s["role"]) for s in visit["seats"]] == [key for key in order if key[0] in departments])
        team = [name for seat in visit["seats"] for name in seat["team"]]
        need(len(set(team)) == len(team) >= 2)
        for seat in visit["seats"]:
            rule = seats[seat["department"], seat["role"]]
            need(
                len(seat["team"]) == rule["count"]
                and all(may(by_number[m], rule, visit, document) for m in seat["team"])
            )
    return True


def _loads(visits: list[Row], people: list[Row], rows: list[Row], rules: Row) -> bool:
    """Return whether each price lies between the cost of the last visit made and that of the next one, where a next one is allowed."""
    team = [name for visit in visits for seat in visit["seats"] for name in seat["team"]]
    for row, person in zip(rows, people, strict=True):
        load, limits = team.count(row["inspector"]), [row["most"], rules["most_visits"], len(visits)]
        most = min(limit for limit in limits if limit is not None)
        need(person["load"] == load <= most)
        need(load == 0 or person["price"] >= [load, 0])
        need(load == most or person["price"] <= [load + 1, 0])
    return True


def _prices(document: Row, visits: list[Row], people: list[Row], rows: list[Row]) -> bool:
    """Return whether in every seat members lie at or below the threshold, everybody else who may take it at or above."""
    rules = seat_rules(document)
    for visit in visits:
        excess: dict[str, tuple[int, int]] = {}
        costs = {}
        for number, seat in enumerate(visit["seats"]):
            rule = rules[seat["department"], seat["role"]]
            for row, person in zip(rows, people, strict=True):
                if may(row, rule, visit, document):
                    key = (document["seed"], visit["leaf"], person["leaf"], seat["department"], seat["role"])
                    a, b = person["price"]
                    costs[number, row["inspector"]] = (a, b + cost(*key))
            for member in seat["team"]:
                a, b = costs[number, member]
                excess[member] = (seat["threshold"][0] - a, seat["threshold"][1] - b)
                need(excess[member] >= (0, 0))
        for (number, name), (a, b) in costs.items():
            more = excess.get(name, (0, 0))
            need((a + more[0], b + more[1]) >= tuple(visit["seats"][number]["threshold"]))
    return True


def cost(seed: str, enterprise: str, inspector: str, department: str, role: str) -> int:
    """Return the cost of an inspector in a seat: the first 40 bits of the digest."""
    text = f"credit_tier/prn/1\n{seed}\nassign\n{enterprise}/{inspector}/{department}/{role}"
    return int(sha256(text.encode()).hexdigest()[:10], 16)


def _days(document: Row, visits: list[Row], rules: Row) -> bool:
    """Return whether every visit has a day of the list and no day holds more than allowed of anybody's or an area's visits."""
    counts: dict[tuple[str, ...], int] = {}
    for visit in visits:
        need(document["first"] <= visit["day"] <= document["last"] and visit["day"] in document["days"])
        for key in [("area", visit["area"]), *(("person", m) for seat in visit["seats"] for m in seat["team"])]:
            counts[visit["day"], *key] = counts.get((visit["day"], *key), 0) + 1
    most = {"person": rules["days"]["per_inspector"], "area": rules["days"]["per_district"]}
    return all(most[kind] is None or count <= most[kind] for (_, kind, _), count in counts.items())
