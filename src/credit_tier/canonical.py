"""Canonical bytes and digests: the only way in which anything here is hashed.

Standard library only, because the independent verifier imports this module.
Numbers are integers or fraction texts such as ``"1/20"``: floats are refused, since two machines may print them differently.
"""

from __future__ import annotations

import hashlib
import json
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

Json = None | bool | int | str | Sequence["Json"] | Mapping[str, "Json"]


def canonical_json(value: Json) -> bytes:
    """Return the one byte string that stands for a JSON value.

    UTF-8, NFC, keys sorted by code point, no white space, no floats.

    Raises
    ------
    TypeError if the value holds a float, a non-string key, or anything JSON has no word for.

    >>> canonical_json({"b": 1, "a": ["甲", None, True]})
    b'{"a":["\\xe7\\x94\\xb2",null,true],"b":1}'
    """
    text = json.dumps(_checked(value), ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return text.encode("utf-8")


def _checked(value: object) -> object:
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, str):
        return unicodedata.normalize("NFC", value)
    if isinstance(value, Mapping):
        result: dict[str, object] = {}
        for key, item in value.items():
            if not isinstance(key, str):
                raise TypeError(f"canonical JSON takes text keys only, not {type(key).__name__}")
            normal = unicodedata.normalize("NFC", key)
            if normal in result:
                raise TypeError("two keys become equal after Unicode normalisation")
            result[normal] = _checked(item)
        return result
    if isinstance(value, Sequence) and not isinstance(value, bytes | bytearray):
        return [_checked(item) for item in value]
    raise TypeError(f"canonical JSON takes no {type(value).__name__}; write numbers as integers or as text")


def sha256_hex(data: bytes) -> str:
    """Return the SHA-256 of bytes as 64 lower-case hexadecimal digits.

    >>> sha256_hex(b"")[:16]
    'e3b0c44298fc1c14'
    """
    return hashlib.sha256(data).hexdigest()


def digest_of(value: Json) -> str:
    """Return the SHA-256 of the canonical JSON of a value.

    >>> digest_of({"a": 1}) == digest_of({"a": 1})
    True
    """
    return sha256_hex(canonical_json(value))


def file_digest(path: Path) -> str:
    """Return the SHA-256 of a file's bytes."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def combined_digest(parts: Iterable[tuple[str, str]]) -> str:
    """Return one digest for named digests, whatever order they come in.

    >>> combined_digest([("a", "1"), ("b", "2")]) == combined_digest([("b", "2"), ("a", "1")])
    True
    """
    return digest_of([list(pair) for pair in sorted(parts)])
