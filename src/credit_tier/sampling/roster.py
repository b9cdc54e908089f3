"""The roster: who may be sent, in canonical rows with salted leaves, so that it can be committed to before anybody knows the seed.

A row holds all that eligibility depends on: department, post, qualifications, warrant, recusals, and where somebody went the last time.
"""

from __future__ import annotations

import hmac
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from functools import cached_property
from hashlib import sha256

from credit_tier.canonical import canonical_json, sha256_hex
from credit_tier.errors import DrawError, Fault
from credit_tier.sampling.frame import merkle_root
from credit_tier.temporal import WorkingCalendar


@dataclass(frozen=True)
class Inspector:
    """One row of the roster.

    Attributes
    ----------
    inspector : number or pseudonym, unique.
    department : whose inspector it is.
    post : district of the post, or empty.
    leads : whether he may lead a team.
    qualified : fields in which he may check, sorted.
    since, until : first and last day of the warrant, ISO dates; None without end.
    most : most visits in the round, or None.
    recused : enterprises from which he is recused, sorted codes.
    last : enterprises that he visited the last time his department did, sorted codes.
    """

    inspector: str
    department: str
    post: str = ""
    leads: bool = True
    qualified: tuple[str, ...] = ()
    since: str | None = None
    until: str | None = None
    most: int | None = None
    recused: tuple[str, ...] = ()
    last: tuple[str, ...] = ()

    @property
    def line(self) -> bytes:
        """Return the row as canonical JSON."""
        return canonical_json(vars(self))

    def leaf(self, leaf_secret: bytes) -> str:
        """Return the salted leaf hash of the row, 64 hexadecimal digits."""
        salt = hmac.digest(leaf_secret, b"\x00credit_tier/roster/1\n" + self.inspector.encode(), "sha256")
        return sha256(b"\x00" + salt + self.line).hexdigest()


@dataclass(frozen=True)
class Roster:
    """All inspectors, the qualifications that items need, and the working days.

    Attributes
    ----------
    inspectors : sorted by number.
    items : item -> qualification that it needs.
    working : day -> whether offices work on it; None without a table, when Monday to Friday are worked.
    """

    inspectors: tuple[Inspector, ...]
    items: Mapping[str, str] = field(default_factory=dict)
    working: Mapping[date, bool] | None = None

    @classmethod
    def of(
        cls,
        inspectors: Iterable[Inspector],
        *,
        items: Mapping[str, str] | None = None,
        working: Mapping[date, bool] | None = None,
    ) -> Roster:
        """Return the roster of some inspectors in any order.

        Raises
        ------
        DrawError (CT-DRAW-030) if it is empty, somebody stands twice, or texts are no single lines; all faults at once.
        """
        ordered = tuple(sorted(inspectors, key=lambda row: row.inspector))
        faults = []
        if not ordered:
            faults.append(_fault("名录为空 · the roster is empty.", "Give at least two inspectors."))
        twice = len(ordered) - len({row.inspector for row in ordered})
        if twice:
            faults.append(_fault(f"{twice} 个编号重复 · {twice} numbers stand twice.", "Each inspector stands once."))
        bad = sum(not all(map(_is_line, (row.inspector, row.department, *row.qualified))) for row in ordered)
        if bad:
            faults.append(
                _fault(
                    f"{bad} 行编号、部门或资质为空或不规范 · {bad} rows have an empty or malformed number, department or field.",
                    "Write each as one line of text without blanks at its ends.",
                )
            )
        if faults:
            raise DrawError(*faults)
        return cls(ordered, dict(sorted((items or {}).items())), working)

    @cached_property
    def lines(self) -> tuple[bytes, ...]:
        """Return the canonical rows."""
        return tuple(row.line for row in self.inspectors)

    def to_bytes(self) -> bytes:
        """Return the bytes of `roster.jsonl`."""
        return b"\n".join([*self.lines, b""])

    @cached_property
    def digest(self) -> str:
        """Return the SHA-256 of `roster.jsonl`."""
        return sha256_hex(self.to_bytes())

    def leaves(self, leaf_secret: bytes) -> tuple[str, ...]:
        """Return the salted leaf of every row, 64 hexadecimal digits each."""
        return tuple(row.leaf(leaf_secret) for row in self.inspectors)

    def is_working(self, day: date) -> bool:
        """Return whether a day is worked; False for a day that the table does not know."""
        return WorkingCalendar().is_working(day) if self.working is None else self.working.get(day, False)


def root_of(leaves: Iterable[str]) -> str:
    """Return the Merkle root over the leaves of a roster."""
    return merkle_root([bytes.fromhex(leaf) for leaf in leaves]).hex()


def _is_line(text: str) -> bool:
    return text != "" and text == text.strip() and text.isprintable() and unicodedata.is_normalized("NFC", text)


def _fault(what: str, advice: str) -> Fault:
    return Fault("CT-DRAW-030", "roster", what, advice)
