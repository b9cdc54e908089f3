"""The documents of a draw: plan, rules, commitment, record, public extract, proof of one row. Pure functions, no files.

Two secrets come from the caller's one secret by HMAC under different names: the leaf secret (salts of the frame's leaves) and the
first link of the salt chain. Revealing a link of the chain therefore says nothing about any leaf.
Tickets are drawn on the sealed leaf of a unit instead of its public code: the public may then see every drawn ticket and the
seed without being able to tell whose ticket it is, and so nobody's class can be read from a high ticket that was drawn.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from credit_tier.canonical import Json, canonical_json, digest_of, sha256_hex
from credit_tier.errors import DrawError, UsageError
from credit_tier.sampling.allocate import round_sizes
from credit_tier.sampling.frame import Frame, merkle_path, merkle_root, salt_of
from credit_tier.sampling.select import pareto_order
from credit_tier.sampling.strata import Layout, Planned, Stratum
from credit_tier.sampling.tickets import (
    ENTERPRISE,
    ROUND,
    check_beacon,
    grid_number,
    salt_chain,
    seed_of,
    ticket_digest,
    ticket_digests,
)
from credit_tier.specs.plan import PlanSpec

Document = dict[str, Json]

_SECRET = re.compile(r"[0-9a-f]{64,256}")


@dataclass(frozen=True)
class Secrets:
    """What a draw hides until its reveal.

    Attributes
    ----------
    leaf : 32 bytes, salts the frame's leaves; shown to the auditor only.
    first_link : start of the salt chain, 64 hexadecimal digits; shown to nobody before the chain is used up.
    """

    leaf: bytes
    first_link: str

    @classmethod
    def of(cls, secret: str, draw_id: str) -> Secrets:
        """Derive both from the caller's secret.

        Raises
        ------
        UsageError (CT-DRAW-007) if the secret is not 64 or more lower-case hexadecimal digits.
        """
        if not _SECRET.fullmatch(secret):
            raise UsageError.of(
                "CT-DRAW-007",
                where="secret",
                what="密值须为 64 位以上小写十六进制 · the secret must be 64 or more lower-case hexadecimal digits.",
                advice="Take 32 bytes from the operating system's generator.",
            )
        key = bytes.fromhex(secret + "0" * (len(secret) % 2))
        leaf = hmac.digest(key, f"credit_tier/leaf/1\n{draw_id}".encode(), "sha256")
        return cls(leaf, hmac.digest(key, b"credit_tier/chain/1", "sha256").hex())


@dataclass(frozen=True)
class Commitment:
    """What is fixed and published before the beacon exists.

    Attributes
    ----------
    draw_id : plan/period.
    units : lines of the frame.
    frame_root : Merkle root over the salted leaves.
    rules_digest : digest of `rules.json`, which holds a salt of its own.
    chain_end : published end of the salt chain.
    wave : how many steps before the chain's end the salt of this draw lies, 1 for the first draw of a chain.
    previous : digest of the record of the draw before, or empty.
    beacon_source, beacon_rule : the future public event and how its outcome is written.
    """

    draw_id: str
    units: int
    frame_root: str
    rules_digest: str
    chain_end: str
    wave: int
    previous: str
    beacon_source: str
    beacon_rule: str

    @property
    def digest(self) -> str:
        """Return the commitment value (承诺值): SHA-256 of the fields, one per line, after the format's name."""
        parts = ["credit_tier/commitment/1", *(str(value) for value in vars(self).values())]
        return sha256_hex("\n".join(parts).encode("utf-8"))

    def document(self) -> Document:
        """Return the content of `commitment.json`."""
        return {"format": "credit_tier/commitment/1", **vars(self), "commitment": self.digest}


@dataclass(frozen=True)
class Sealed:
    """A commitment with what it covers and hides.

    Attributes
    ----------
    rules : content of `rules.json`.
    leaves : leaf hashes in the frame's order, 32 bytes each.
    """

    commitment: Commitment
    rules: Document
    leaves: list[bytes]
    secrets: Secrets


def plan_document(planned: Planned) -> Document:
    """Return the content of `plan.json`: the rules, the frame's digest, and what the plan leads to before any seed."""
    return {
        "format": "credit_tier/plan/1",
        "draw_id": planned.spec.draw_id,
        "spec": planned.spec.model_dump(mode="json"),
        "frame_digest": planned.frame.digest,
        "units": len(planned.frame),
        "departments": [
            {
                "department": item.department.department,
                "units": item.units,
                "excluded": dict(item.excluded),
                "factor": str(item.factor),
                "expected_visits": str(item.expected),
                "strata": [
                    {
                        "stratum": list(stratum.key),
                        "units": len(stratum.members),
                        "size": str(stratum.size),
                        "binding": stratum.binding,
                    }
                    for stratum in item.strata
                ],
            }
            for item in planned.layouts
        ],
    }


def rules_document(spec: PlanSpec, secrets: Secrets) -> Document:
    """Return the content of `rules.json`; its salt keeps the published digest from being guessed."""
    salt = hmac.digest(secrets.leaf, b"\x00credit_tier/rules/1", "sha256").hex()
    return {"format": "credit_tier/rules/1", "spec": spec.model_dump(mode="json"), "salt": salt}


def seal(planned: Planned, secret: str, *, previous_digest: str = "", wave: int = 1) -> Sealed:
    """Return the commitment to a frame and rules.

    Raises
    ------
    DrawError (CT-DRAW-018) if the chain has no link left for this wave; CT-DRAW-007 for a malformed secret.
    """
    spec = planned.spec
    if wave > spec.chain_length:
        raise DrawError.of(
            "CT-DRAW-018",
            where="chain_length",
            what=f"盐链已用尽 · the salt chain of {spec.chain_length} links is used up.",
            advice="Commit with a fresh secret.",
        )
    secrets = Secrets.of(secret, spec.draw_id)
    rules = rules_document(spec, secrets)
    leaves = planned.frame.leaves(secrets.leaf)
    commitment = Commitment(
        draw_id=spec.draw_id,
        units=len(planned.frame),
        frame_root=merkle_root(leaves).hex(),
        rules_digest=digest_of(rules),
        chain_end=salt_chain(secrets.first_link, spec.chain_length),
        wave=wave,
        previous=previous_digest,
        beacon_source=spec.beacon.source,
        beacon_rule=spec.beacon.rule,
    )
    return Sealed(commitment, rules, leaves, secrets)


def draw(planned: Planned, sealed: Sealed, *, beacon: str) -> tuple[Document, Document]:
    """Return the record for the auditor and the extract for the public.

    The record is a function of its arguments alone: the same frame, rules, secret and beacon give the same bytes.

    Parameters
    ----------
    beacon : the outcome of the public event, exactly as the beacon rule writes it.

    Raises
    ------
    UsageError (CT-DRAW-008) for a malformed beacon.
    """
    spec, commitment = planned.spec, sealed.commitment
    salt = salt_chain(sealed.secrets.first_link, spec.chain_length - commitment.wave)
    seed = seed_of(commitment.digest, check_beacon(beacon), salt)
    leaves = [leaf.hex() for leaf in sealed.leaves]
    tickets = ticket_digests(seed, ENTERPRISE, leaves)
    outcomes = [_outcome(planned.frame, layout, spec.draw_id, seed, tickets) for layout in planned.layouts]
    drawn = sorted({i for outcome in outcomes for i in outcome.drawn})
    record: Document = {
        "format": "credit_tier/record/1",
        "draw_id": spec.draw_id,
        "commitment": commitment.digest,
        "beacon": beacon,
        "salt": salt,
        "seed": seed,
        "leaf_secret": sealed.secrets.leaf.hex(),
        "frame_digest": planned.frame.digest,
        "rules_digest": commitment.rules_digest,
        "visits": len(drawn),
        "departments": [outcome.document for outcome in outcomes],
    }
    record["record_digest"] = digest_of(record)
    public: Document = {
        "format": "credit_tier/public/1",
        "commitment": commitment.document(),
        "beacon": beacon,
        "salt": salt,
        "seed": seed,
        "visits": len(drawn),
        "departments": [{"department": o.department, "drawn": len(o.drawn)} for o in outcomes],
        "tickets": [[leaves[i], tickets[i]] for i in sorted(drawn, key=leaves.__getitem__)],
        "record_digest": record["record_digest"],
    }
    return record, public


@dataclass(frozen=True)
class _Outcome:
    department: str
    drawn: tuple[int, ...]
    document: Document


def _outcome(frame: Frame, layout: Layout, draw_id: str, seed: str, tickets: Sequence[str]) -> _Outcome:
    name = layout.department.department
    offset = grid_number(ticket_digest(seed, ROUND, f"{draw_id}/{name}"))
    counts = round_sizes([item.size for item in layout.strata], offset)
    drawn: list[int] = []
    strata: list[Json] = []
    for stratum, count in zip(layout.strata, counts, strict=True):
        order = pareto_order([tickets[i] for i in stratum.members], stratum.lambdas(count))
        chances = stratum.chances()
        ranked = [
            {"code": frame.codes[place], "ticket": tickets[place], "chance": str(chances[i])}
            for i in order[: count + layout.department.reserves]
            for place in (stratum.members[i],)
        ]
        drawn += [stratum.members[i] for i in order[:count]]
        strata.append(
            {
                "stratum": list(stratum.key),
                "units": len(stratum.members),
                "size": str(stratum.size),
                "binding": stratum.binding,
                "count": count,
                "drawn": ranked[:count],
                "reserves": ranked[count:],
            }
        )
    document: Document = {
        "department": name,
        "units": layout.units,
        "excluded": dict(layout.excluded),
        "factor": str(layout.factor),
        "offset": offset,
        "strata": strata,
    }
    return _Outcome(name, tuple(drawn), document)


def row_proof(planned: Planned, sealed: Sealed, code: str, *, record: Document | None) -> Document:
    """Return the document with which one enterprise checks its own row, and after the draw its own ticket.

    It opens this row only; no other row can be guessed from it.

    Parameters
    ----------
    record : the draw's record, or None before the draw.

    Raises
    ------
    UsageError (CT-DRAW-016) if the frame holds no such code.
    """
    try:
        index = planned.frame.codes.index(code)
    except ValueError:
        raise UsageError.of(
            "CT-DRAW-016",
            where="code",
            what="抽样框中没有该主体 · the frame holds no such enterprise.",
            advice="Compare the code with the licence.",
        ) from None
    leaves = sealed.leaves
    proof: Document = {
        "format": "credit_tier/proof/1",
        "commitment": sealed.commitment.document(),
        "row": {name: cells[index] for name, cells in planned.frame.columns.items()},
        "salt": salt_of(sealed.secrets.leaf, code).hex(),
        "index": index,
        "path": [item.hex() for item in merkle_path(leaves, index)],
    }
    if record is not None:
        seed = str(record["seed"])
        proof["draw"] = {
            "beacon": record["beacon"],
            "salt": record["salt"],
            "seed": seed,
            "ticket": ticket_digest(seed, ENTERPRISE, leaves[index].hex()),
            "record_digest": record["record_digest"],
            "departments": [
                _standing(layout, outcome, index, code)
                for layout, outcome in zip(planned.layouts, _list(record["departments"]), strict=True)
            ],
        }
    return proof


def _standing(layout: Layout, outcome: Mapping[str, Json], index: int, code: str) -> Document:
    """Return how one unit fared with one department."""
    for stratum, result in zip(layout.strata, _list(outcome["strata"]), strict=True):
        if index in stratum.members:
            listed = _list(result["drawn"])
            return {
                "department": layout.department.department,
                "excluded": False,
                "units": len(stratum.members),
                "chance": str(stratum.chances()[stratum.members.index(index)]),
                "count": result["count"],
                "drawn": any(entry["code"] == code for entry in listed),
                "cut": str(listed[-1]["ticket"]) if _equal_chances(stratum) else None,
            }
    return {"department": layout.department.department, "excluded": True}


def _equal_chances(stratum: Stratum) -> bool:
    return min(stratum.weights) == max(stratum.weights)


def _list(value: Json) -> Sequence[Mapping[str, Json]]:
    return [item for item in _sequence(value) if isinstance(item, Mapping)]


def _sequence(value: Json) -> Sequence[Json]:
    return value if isinstance(value, Sequence) and not isinstance(value, str) else []


def listed_entries(record: Mapping[str, Json]) -> Iterator[dict[str, str | int]]:
    """Yield every listed enterprise of a record: department, stratum, rank (from 1), list (`drawn` or `reserve`), code, ticket, chance."""
    for department in _list(record["departments"]):
        for stratum in _list(department["strata"]):
            key = "/".join(str(part) for part in _sequence(stratum["stratum"]))
            listed = [("drawn", item) for item in _list(stratum["drawn"])]
            listed += [("reserve", item) for item in _list(stratum["reserves"])]
            for rank, (kind, item) in enumerate(listed, 1):
                yield {
                    "department": str(department["department"]),
                    "stratum": key,
                    "rank": rank,
                    "list": kind,
                    "code": str(item["code"]),
                    "ticket": str(item["ticket"]),
                    "chance": str(item["chance"]),
                }


def expected_visits(layouts: Sequence[Layout]) -> Fraction:
    """Return the expected number of visits over all departments, before picks that coincide are merged."""
    return sum((item.expected for item in layouts), Fraction(0))


def to_bytes(document: Document) -> bytes:
    """Return the bytes of a document's file: canonical JSON and a line end."""
    return canonical_json(document) + b"\n"
