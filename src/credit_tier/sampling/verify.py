"""Verify a draw: `python -m credit_tier.sampling.verify FOLDER_OR_FILE`. Standard library and `credit_tier.canonical` only.

Written apart from the engine: exact fractions instead of doubles, the recursive tree of RFC 6962, the wording of `docs/draws.md`.
A folder is re-computed to the last bit (auditor), `public.json` as far as the public can see, a proof for one enterprise's own row.
Exit codes: 0 all holds, 2 wrong use, 5 something does not hold; the first broken step is named and later ones are not judged.
"""

from __future__ import annotations

import argparse
import hmac
import json
import re
import sys
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterator
from fractions import Fraction
from hashlib import sha256
from heapq import heapify, heappop, heappush
from io import TextIOWrapper
from itertools import pairwise
from math import floor, isqrt
from pathlib import Path
from typing import Any

from credit_tier.canonical import canonical_json, digest_of

STEPS = {
    "file": ("文件不是抽取文件,或已损坏", "this is no file of a draw, or it is damaged"),
    "commitment": (
        "承诺值与其各项或已公布的值不符",
        "the commitment is not the digest of its parts, or not the one published",
    ),
    "rules": ("规则与承诺不符", "the rules are not those committed to"),
    "secret": ("密值与承诺不符", "a secret does not belong to this commitment"),
    "frame": ("抽样框被改动、乱序或重复", "the frame was changed, is out of order or holds a code twice"),
    "row": ("本行不在承诺的抽样框中", "this row is not in the committed frame"),
    "salt": ("盐不在承诺的盐链上", "the salt is no link of the committed chain"),
    "seed": (
        "信标、盐与种子不符,或信标不是公布的结果",
        "beacon and salt do not give the seed, or the beacon is not the one published",
    ),
    "sizes": ("样本量与规则不符", "stratum sizes do not follow from rules, frame and seed"),
    "tickets": ("抽签号与种子不符", "tickets do not follow from the seed"),
    "selection": ("抽中名单与抽签号不符", "the list is not the one that tickets and sizes give"),
    "record": ("抽取记录被改动", "the record was changed"),
    "public": ("公开文件与记录不符", "the public file does not follow from the record"),
    "plan": ("计划与规则或抽样框不符", "the plan does not belong to the committed rules and frame"),
}
COMMITTED = (
    "draw_id",
    "units",
    "frame_root",
    "rules_digest",
    "chain_end",
    "wave",
    "previous",
    "beacon_source",
    "beacon_rule",
)
BROKEN = (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError, FileNotFoundError)
Note = Callable[[str], None]


def need(holds: object) -> None:
    """Raise ValueError unless something holds."""
    if not holds:
        raise ValueError


def load(path: Path) -> Any:
    """Return a JSON object whose file is canonical to the byte."""
    data = path.read_bytes()
    value = json.loads(data)
    need(isinstance(value, dict) and canonical_json(value) + b"\n" == data)
    return value


def fraction(text: str) -> Fraction:
    """Return a fraction written in lowest terms."""
    need(re.fullmatch(r"\d{1,400}(/\d{1,400})?", text) and str(Fraction(text)) == text)
    return Fraction(text)


def drop(document: dict[str, Any], *names: str) -> dict[str, Any]:
    """Return a document without some keys."""
    return {key: value for key, value in document.items() if key not in names}


def hashed(*lines: object) -> str:
    """Return the SHA-256 of lines joined by newlines."""
    return sha256("\n".join(map(str, lines)).encode()).hexdigest()


def ticket(seed: str, stream: str, name: str) -> str:
    """Return a ticket."""
    return hashed("credit_tier/prn/1", seed, stream, name)


def climb_chain(link: bytes, steps: int) -> str:
    """Return the link of the salt chain some steps up."""
    need(1 <= steps <= 1000 and len(link) == 32)
    for _ in range(steps):
        link = sha256(link).digest()
    return link.hex()


def root_of(leaves: list[bytes]) -> bytes:
    """Return the Merkle root, by the recursive definition of RFC 6962."""
    if len(leaves) == 1:
        return leaves[0]
    half = 1 << ((len(leaves) - 1).bit_length() - 1)
    return sha256(b"\1" + root_of(leaves[:half]) + root_of(leaves[half:])).digest()


def climb_tree(leaf: bytes, index: int, size: int, path: list[bytes]) -> bytes:
    """Return the root that a leaf and its path lead to."""
    if size == 1:
        need(not path and index == 0)
        return leaf
    half, top, rest = 1 << ((size - 1).bit_length() - 1), path[-1], path[:-1]
    if index < half:
        return sha256(b"\1" + climb_tree(leaf, index, half, rest) + top).digest()
    return sha256(b"\1" + top + climb_tree(leaf, index - half, size - half, rest)).digest()


def meets(cell: Any, condition: dict[str, Any]) -> bool:
    """Return whether a cell meets a condition of an exclusion."""
    ((operator, limit),) = ((k, v) for k, v in condition.items() if k != "column" and v is not None)
    if operator == "is_null" or cell is None:
        return operator == "is_null" and (cell is None) is limit
    read = type(cell)
    if operator in ("one_of", "not_one_of"):
        return (cell in [read(item) for item in limit]) is (operator == "one_of")
    return bool(
        {"equals": cell == read(limit), "at_least": cell >= read(limit), "at_most": cell <= read(limit)}[operator]
    )


def shares(weights: list[int], count: int, least: Fraction) -> dict[int, Fraction]:
    """Return weight -> min(1, max(least, t weight)), with t so that all sum to the count."""
    tally = Counter(weights)

    def total(t: Fraction) -> Fraction:
        return sum((number * min(Fraction(1), max(least, t * w)) for w, number in tally.items()), Fraction(0))

    points = sorted({edge / w for w in tally for edge in (least, Fraction(1))} | {Fraction(0)})
    t = points[bisect_right(points, Fraction(count), key=total) - 1]
    slope = sum(w * number for w, number in tally.items() if least <= t * w < 1)
    t += (count - total(t)) / slope if slope else 0
    return {w: min(Fraction(1), max(least, t * w)) for w in tally}


def plain_sizes(d: dict[str, Any], groups: list[Any], at: int, factor: Fraction) -> Iterator[tuple[Fraction, str]]:
    """Yield each stratum's exact size and what set it, after checking that they add up."""
    best: list[Any] = []
    total, free = Fraction(0), "optimum" if d["allocation"] else "rate"
    for key, members in groups:
        name, n, days = key[at], len(members), d["days"]
        cost = fraction(days["values"].get(key[d["strata"].index(days["column"])], "1")) if days else Fraction(1)
        low = Fraction(n if name in d["certainty"] else min(n, d["floor"]))
        high = max(low, n * fraction(d["caps"].get(name, "1")))
        if d["allocation"]:
            p = fraction(d["allocation"]["expected"][name])
            square = p * (1 - p) * n**3 / (max(n - 1, 1) * cost)
            wanted = factor * isqrt(floor(square * 10**12))
        else:
            square, wanted = Fraction(0), factor * fraction(d["rates"][name]) * n
        size, why = min(high, max(low, wanted)), "floor" if wanted < low else "cap" if wanted > high else free
        total += cost * size
        best.append([low, floor(high), square, size, "certainty" if name in d["certainty"] else why])
    if d["allocation"] and d["budget"]:
        sizes = [int(low) for low, *_ in best]
        heap = [
            (-s / (x * (x + 1)), h) for h, (x, (_, high, s, *_)) in enumerate(zip(sizes, best, strict=True)) if x < high
        ]
        heapify(heap)
        for _ in range(d["budget"] - sum(sizes)):
            _, h = heappop(heap)
            sizes[h] += 1
            if sizes[h] < best[h][1]:
                heappush(heap, (-best[h][2] / (sizes[h] * (sizes[h] + 1)), h))
        need(sum(sizes) == d["budget"] and factor == 1)
        for x, (low, high, _, _, why) in zip(sizes, best, strict=True):
            yield Fraction(x), why if why == "certainty" else "floor" if x == low else "cap" if x == high else free
        return
    need(
        total == fraction(str(d["budget"] or d["inspector_days"]))
        if d["budget"] or d["inspector_days"]
        else factor == 1
    )
    yield from ((size, why) for *_, size, why in best)


def weight_of(row: dict[str, Any], d: dict[str, Any]) -> int:
    """Return a unit's weight: its size, lowered by the visits it had before."""
    size, b = row[d["size"]] if d["size"] else 1, d["burden"]
    if not b:
        return int(size)
    factor, counted = fraction(b["factor"]), min(row[b["column"]], b["most"])
    return int(size * factor.numerator**counted * factor.denominator ** (b["most"] - counted))


def outcome(
    rows: list[dict[str, Any]],
    tickets: list[str],
    class_column: str,
    d: dict[str, Any],
    *,
    factor: Fraction,
    offset: int,
) -> Iterator[Any]:
    """Yield a department's units and exclusions, then its strata without lists, then the ranked list of each stratum."""
    excluded = {item["exclusion"]: 0 for item in d["exclusions"]}
    groups: dict[tuple[str, ...], list[int]] = {}
    for place, row in enumerate(rows):
        for item in d["exclusions"]:
            if all(meets(row[c["column"]], c) for c in item["where"]):
                excluded[item["exclusion"]] += 1
                break
        else:
            groups.setdefault(tuple(row[name] for name in d["strata"]), []).append(place)
    strata: list[dict[str, Any]] = []
    edge, ordered = Fraction(2 * offset + 1, 2**53), sorted(groups.items())
    sized = plain_sizes(d, ordered, d["strata"].index(class_column), factor)
    for (key, members), (size, why) in zip(ordered, sized, strict=True):
        count, edge = floor(edge + size) - floor(edge), edge + size
        strata.append({"stratum": list(key), "units": len(members), "size": str(size), "binding": why, "count": count})
    yield {
        "department": d["department"],
        "units": sum(map(len, groups.values())),
        "excluded": excluded,
        "factor": str(factor),
        "offset": offset,
    }
    yield strata
    for item, (_, members) in zip(strata, ordered, strict=True):
        size, weights = fraction(item["size"]), [weight_of(rows[i], d) for i in members]
        least = fraction(d["burden"]["floor"]) / len(members) if d["burden"] else Fraction(0)
        lam, whole = shares(weights, item["count"], least * item["count"]), floor(size)
        part, chance = size - whole, shares(weights, whole, least * whole)
        if part:
            more = shares(weights, whole + 1, least * (whole + 1))
            chance = {w: (1 - part) * p + part * more[w] for w, p in chance.items()}
        ranked = sorted(
            (pareto(tickets[i], lam[w]) if len(lam) > 1 else 0, tickets[i], i, w)
            for i, w in zip(members, weights, strict=True)
        )
        taken = ranked[: item["count"] + d["reserves"]]
        yield [{"code": rows[i]["code"], "ticket": number, "chance": str(chance[w])} for _, number, i, w in taken]


def pareto(number: str, lam: Fraction) -> Fraction:
    """Return the exact ranking value of a ticket."""
    u = Fraction(2 * int(number[:13], 16) + 1, 2**53)
    return u * (1 - lam) / (lam * (1 - u))


def check_commitment(c: dict[str, Any], published: str | None) -> None:
    """Check that a commitment is the digest of its parts and, if that is known, the published one."""
    need(c["format"] == "credit_tier/commitment/1" and set(c) == {"format", "commitment", *COMMITTED})
    need(all(type(c[name]) is (int if name in {"units", "wave"} else str) for name in COMMITTED))
    need(all("\n" not in str(c[name]) for name in COMMITTED) and (published or c["commitment"]) == c["commitment"])
    need(c["commitment"] == hashed(c["format"], *(c[name] for name in COMMITTED)))


def check_seed(note: Note, c: dict[str, Any], r: dict[str, Any], beacon: str | None) -> None:
    """Check salt, beacon and seed."""
    note("salt")
    need(climb_chain(bytes.fromhex(r["salt"]), c["wave"]) == c["chain_end"] and r["salt"] == r["salt"].lower())
    note("seed")
    need((beacon or r["beacon"]) == r["beacon"])
    need(r["seed"] == hashed("credit_tier/seed/1", c["commitment"], r["beacon"], r["salt"]))


def read_frame(data: bytes, leaf_secret: bytes, c: dict[str, Any]) -> tuple[list[dict[str, Any]], list[bytes]]:
    """Return rows and leaves of a frame that is canonical, in order and the one committed to."""
    *lines, end = data.split(b"\n")
    rows = [json.loads(line) for line in lines]
    need(end == b"" and all(canonical_json(row) == line for row, line in zip(rows, lines, strict=True)))
    codes = [row["code"].encode() for row in rows]
    need(len(rows) == c["units"] and all(a < b for a, b in pairwise(codes)))
    salts = (hmac.digest(leaf_secret, code, "sha256") for code in codes)
    leaves = [sha256(b"\0" + salt + line).digest() for salt, line in zip(salts, lines, strict=True)]
    need(root_of(leaves).hex() == c["frame_root"])
    return rows, leaves


def check_folder(note: Note, folder: Path, published: str | None, beacon: str | None) -> None:
    """Check a whole folder."""
    note("commitment")
    c = load(folder / "commitment.json")
    check_commitment(c, published)
    note("rules")
    rules = load(folder / "rules.json")
    spec = rules["spec"]
    need(digest_of(rules) == c["rules_digest"] and f"{spec['plan']}/{spec['period']}" == c["draw_id"])
    need((spec["beacon"]["source"], spec["beacon"]["rule"]) == (c["beacon_source"], c["beacon_rule"]))
    note("record")
    r = load(folder / "record.json")
    note("secret")
    leaf_secret = bytes.fromhex(r["leaf_secret"])
    need(hmac.digest(leaf_secret, b"\0credit_tier/rules/1", "sha256").hex() == rules["salt"])
    if (folder / "secret.json").exists():
        text = load(folder / "secret.json")["secret"]
        need(re.fullmatch("[0-9a-f]+", text))
        key = bytes.fromhex(text + "0" * (len(text) % 2))
        need(hmac.digest(key, f"credit_tier/leaf/1\n{c['draw_id']}".encode(), "sha256") == leaf_secret)
        need(climb_chain(hmac.digest(key, b"credit_tier/chain/1", "sha256"), spec["chain_length"]) == c["chain_end"])
    note("frame")
    data = (folder / "frame.jsonl").read_bytes()
    rows, leaves = read_frame(data, leaf_secret, c)
    check_seed(note, c, r, beacon)
    note("sizes")
    tickets = [ticket(r["seed"], "enterprise", leaf.hex()) for leaf in leaves]
    found = []
    for d, result in zip(spec["departments"], r["departments"], strict=True):
        offset = int(ticket(r["seed"], "round", f"{c['draw_id']}/{d['department']}")[:13], 16)
        found.append(outcome(rows, tickets, spec["class_column"], d, factor=fraction(result["factor"]), offset=offset))
        need(next(found[-1]) == drop(result, "strata"))
        need(next(found[-1]) == [drop(item, "drawn", "reserves") for item in result["strata"]])
    note("tickets")
    known = dict(zip((row["code"] for row in rows), tickets, strict=True))
    listed = [e for d in r["departments"] for s in d["strata"] for e in [*s["drawn"], *s["reserves"]]]
    need(all(known.get(e["code"], e["ticket"]) == e["ticket"] for e in listed))
    note("selection")
    for lists, result in zip(found, r["departments"], strict=True):
        for ranked, s in zip(lists, result["strata"], strict=True):
            need(ranked == [*s["drawn"], *s["reserves"]] and len(s["drawn"]) == s["count"])
    drawn = {e["code"] for d in r["departments"] for s in d["strata"] for e in s["drawn"]}
    need(r["visits"] == len(drawn))
    note("record")
    stated = {"format": "credit_tier/record/1", "draw_id": c["draw_id"], "commitment": c["commitment"]}
    stated |= {"frame_digest": sha256(data).hexdigest(), "rules_digest": c["rules_digest"]}
    names = {"beacon", "salt", "seed", "leaf_secret", "visits", "departments", "record_digest", *stated}
    need(set(r) == names and {name: r[name] for name in stated} == stated)
    need(digest_of(drop(r, "record_digest")) == r["record_digest"])
    shown = [[leaf.hex(), t] for row, leaf, t in zip(rows, leaves, tickets, strict=True) if row["code"] in drawn]
    check_extracts(note, folder, c, r, public_tickets=sorted(shown), spec=spec)


def check_extracts(
    note: Note,
    folder: Path,
    c: dict[str, Any],
    r: dict[str, Any],
    *,
    public_tickets: list[list[str]],
    spec: dict[str, Any],
) -> None:
    """Check what follows from a sound record: the public file and the plan, where they are at hand."""
    if (folder / "public.json").exists():
        note("public")
        wanted = {name: r[name] for name in ("beacon", "salt", "seed", "visits", "record_digest")}
        wanted |= {"format": "credit_tier/public/1", "commitment": c, "tickets": public_tickets}
        wanted["departments"] = [
            {"department": d["department"], "drawn": sum(s["count"] for s in d["strata"])} for d in r["departments"]
        ]
        need(load(folder / "public.json") == wanted)
    if (folder / "plan.json").exists():
        note("plan")
        planned = [drop(d, "offset") for d in r["departments"]]
        for d in planned:
            d["strata"] = [drop(s, "count", "drawn", "reserves") for s in d["strata"]]
            d["expected_visits"] = str(sum(fraction(s["size"]) for s in d["strata"]))
        head = {"format": "credit_tier/plan/1", "draw_id": c["draw_id"], "units": c["units"]}
        need(
            load(folder / "plan.json")
            == {**head, "spec": spec, "frame_digest": r["frame_digest"], "departments": planned}
        )


def check_public(note: Note, p: dict[str, Any], published: str | None, beacon: str | None) -> None:
    """Check what the public can check of `public.json`."""
    note("commitment")
    check_commitment(p["commitment"], published)
    check_seed(note, p["commitment"], p, beacon)
    note("tickets")
    need(all(ticket(p["seed"], "enterprise", leaf) == number for leaf, number in p["tickets"]))
    note("selection")
    leaves = [leaf for leaf, _ in p["tickets"]]
    need(leaves == sorted(set(leaves)) and len(leaves) == p["visits"] <= p["commitment"]["units"])
    need(max(d["drawn"] for d in p["departments"]) <= p["visits"] <= sum(d["drawn"] for d in p["departments"]))


def check_proof(
    note: Note, p: dict[str, Any], public: dict[str, Any] | None, published: str | None, beacon: str | None
) -> None:
    """Check what one enterprise can check of its own row, alone or against `public.json`."""
    note("commitment")
    check_commitment(p["commitment"], published)
    need(public is None or public["commitment"] == p["commitment"])
    note("row")
    leaf = sha256(b"\0" + bytes.fromhex(p["salt"]) + canonical_json(p["row"])).digest()
    path = [bytes.fromhex(item) for item in p["path"]]
    need(climb_tree(leaf, p["index"], p["commitment"]["units"], path).hex() == p["commitment"]["frame_root"])
    if "draw" in p:
        draw = p["draw"]
        check_seed(note, p["commitment"], draw, beacon)
        note("tickets")
        need(draw["ticket"] == ticket(draw["seed"], "enterprise", leaf.hex()))
        note("selection")
        fared = [item for item in draw["departments"] if not item["excluded"]]
        need(all(item["drawn"] is (draw["ticket"] <= item["cut"]) for item in fared if item["cut"]))
        shown = public is None or [leaf.hex(), draw["ticket"]] in public["tickets"]
        need(public is None or any(item["drawn"] for item in fared) is shown)


def verify(
    path: Path, *, public: Path | None = None, commitment: str | None = None, beacon: str | None = None
) -> dict[str, Any]:
    """Return what was checked: `{"holds": bool, "passed": [steps], "broken": step or None, "level": text}`.

    Parameters
    ----------
    path : a draw's folder, `public.json`, or a proof of one row.
    public : `public.json`, to check a proof against it.
    commitment, beacon : values as published elsewhere; the files are compared with them.
    """
    steps: list[str] = []
    level = "auditor"
    try:
        if path.is_dir():
            check_folder(steps.append, path, commitment, beacon)
        else:
            steps.append("file")
            document = load(path)
            level = {"credit_tier/public/1": "public", "credit_tier/proof/1": "row"}[document["format"]]
            if level == "public":
                check_public(steps.append, document, commitment, beacon)
            else:
                check_proof(steps.append, document, load(public) if public else None, commitment, beacon)
    except BROKEN:
        passed = [step for step in dict.fromkeys(steps) if step != steps[-1]]
        return {"holds": False, "passed": passed, "broken": steps[-1], "level": level}
    return {"holds": True, "passed": list(dict.fromkeys(steps)), "broken": None, "level": level}


def main(arguments: list[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m credit_tier.sampling.verify", description="核验抽取 · verify a draw"
    )
    parser.add_argument(
        "path", type=Path, help="抽取目录、public.json 或本行证明 · a draw's folder, public.json or a row's proof"
    )
    parser.add_argument("--public", type=Path, help="与证明对照的 public.json · to check a proof against")
    parser.add_argument("--commitment", help="已公布的承诺值 · the commitment as published")
    parser.add_argument("--beacon", help="已公布的信标 · the beacon as published")
    parser.add_argument("--json", action="store_true", help="一个 JSON 对象 · one JSON object")
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")
    options = parser.parse_args(arguments)
    absent = [path for path in (options.path, options.public) if path is not None and not path.exists()]
    if absent or (options.path.is_dir() and not (options.path / "commitment.json").exists()):
        sys.stderr.write("没有可核验的抽取 · there is no draw to verify here\n")
        return 2
    try:
        result = verify(options.path, public=options.public, commitment=options.commitment, beacon=options.beacon)
    except OSError as error:
        sys.stderr.write(f"文件无法读取 · a file cannot be read: {error.strerror}\n")
        return 2
    if options.json:
        sys.stdout.write(json.dumps(result, sort_keys=True) + "\n")
    else:
        sys.stdout.write("".join(f"✓ {step}\n" for step in result["passed"]))
        zh, en = STEPS.get(result["broken"], ("全部相符", "everything holds"))
        sys.stdout.write(f"{zh} · {en}\n" if result["holds"] else f"✗ {result['broken']} {zh} · {en}\n")
    return 0 if result["holds"] else 5


if __name__ == "__main__":
    raise SystemExit(main())
