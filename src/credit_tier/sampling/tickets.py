"""Tickets: the only source of chance. SHA-256 of a public seed and an identifier, on an exact grid in (0, 1).

Formats `credit_tier/seed/1` and `credit_tier/prn/1` (`sampling.md` F1 and section 4); changing a byte of them needs a new number.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from fractions import Fraction

from credit_tier.errors import UsageError

ENTERPRISE = "enterprise"
"""Stream of the units' tickets."""

ROUND = "round"
"""Stream of the offset that rounds stratum sizes."""

GRID = 2**53

_DIGEST = re.compile(r"[0-9a-f]{64}")


def check_beacon(text: str) -> str:
    """Return a beacon text unchanged.

    Raises
    ------
    UsageError (CT-DRAW-008) if it is empty, longer than 2,000 characters, has blanks at its ends or unprintable characters.
    """
    if not 0 < len(text) <= 2000 or text != text.strip() or not text.isprintable():
        raise UsageError.of(
            "CT-DRAW-008",
            where="beacon",
            what="信标须为一行文字 · the beacon must be one line of text without blanks at its ends.",
            advice="Write the published outcome exactly as the commitment's beacon rule says.",
        )
    return text


def seed_of(commitment: str, beacon: str, salt: str) -> str:
    """Return the seed of a draw, 64 hexadecimal digits.

    Parameters
    ----------
    commitment : digest published before the beacon existed.
    beacon : outcome of the public event, one line.
    salt : link of the salt chain that the commitment fixed, 64 hexadecimal digits.

    Source: `sampling.md` section 4, step 7.
    """
    return _sha256(f"credit_tier/seed/1\n{commitment}\n{beacon}\n{salt}")


def ticket_digest(seed: str, stream: str, identifier: str) -> str:
    """Return the digest of one ticket, 64 hexadecimal digits; its order is the order of the draw.

    Source: `sampling.md` F1. Check: ``printf 'credit_tier/prn/1\\n%s\\n%s\\n%s' SEED STREAM ID | sha256sum``.
    """
    return _sha256(f"credit_tier/prn/1\n{seed}\n{stream}\n{identifier}")


def ticket_digests(seed: str, stream: str, identifiers: Iterable[str]) -> list[str]:
    """Return the digests of many tickets, in the given order."""
    head = f"credit_tier/prn/1\n{seed}\n{stream}\n".encode()
    sha256 = hashlib.sha256
    return [sha256(head + item.encode()).hexdigest() for item in identifiers]


def grid_number(digest: str) -> int:
    """Return the first 52 bits of a digest, an integer in [0, 2^52).

    >>> grid_number("aba19c0681c943da878bf4488b0edb2f18eeb77ab1fe7f3cd3162603ab0f89c9")
    3019369532103828
    """
    return int(digest[:13], 16)


def uniform(digest: str) -> float:
    """Return the uniform number of a digest: exact in a double, strictly inside (0, 1), and so is 1 minus it.

    >>> uniform("aba19c0681c943da878bf4488b0edb2f18eeb77ab1fe7f3cd3162603ab0f89c9")
    0.6704347148786712
    """
    return (2 * grid_number(digest) + 1) / GRID


def exact_uniform(digest: str) -> Fraction:
    """Return the uniform number of a digest as a fraction."""
    return Fraction(2 * grid_number(digest) + 1, GRID)


def salt_chain(first: str, links: int) -> str:
    """Return the link `links` steps up the salt chain, where each link is the SHA-256 of the bytes of the one before.

    Publishing a link lets everybody compute the later ones and nobody the earlier ones.

    Source: `sampling.md` section 4, step 4.

    >>> salt_chain("00" * 32, 0) == "00" * 32
    True
    """
    if not _DIGEST.fullmatch(first) or links < 0:
        raise ValueError("a link of the salt chain is 64 lower-case hexadecimal digits")
    link = bytes.fromhex(first)
    for _ in range(links):
        link = hashlib.sha256(link).digest()
    return link.hex()


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8")).hexdigest()
