"""Who vouches for a bundle: Ed25519 keys in PEM files, the signature `manifest.sig`, and the public keys that are trusted.

A private key is a file that only its owner may read; a public key is a file `<name>.pub` that may lie anywhere.
Trusted keys are given by a person, or lie in the folder `trusted/` of a model store: taking a file out of it ends the trust.
A store that nobody gave a key makes one of its own, so that every bundle is signed.
"""

from __future__ import annotations

import json
import os
import re
import stat
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from credit_tier import files
from credit_tier.canonical import canonical_json, sha256_hex
from credit_tier.errors import LearningError, RefusedError

PRIVATE, PUBLIC = ".key", ".pub"
TRUSTED = "trusted"
STORE_KEY = "store"
SHOWN = 16
"""Hexadecimal digits of a fingerprint that people compare."""

_HEX = re.compile("[0-9a-f]{192}")


@dataclass(frozen=True)
class SigningKey:
    """A private key, ready to sign, and the name of its file."""

    private: Ed25519PrivateKey
    name: str

    @classmethod
    def read(cls, path: Path | str) -> SigningKey:
        """Read a private key from a PEM file.

        Raises
        ------
        LearningError (CT-LEARN-049) if the file is no Ed25519 key without a password, or others than its owner may read it.
        """
        path = Path(path)
        try:
            if path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
                raise _key_fault(path, "others may read this private key", f"Run chmod 600 {path.name}")
            key = serialization.load_pem_private_key(path.read_bytes(), password=None)
        except (OSError, ValueError, TypeError, UnsupportedAlgorithm) as error:
            raise _key_fault(path, "there is no private key without a password here") from error
        if not isinstance(key, Ed25519PrivateKey):
            raise _key_fault(path, "the key is not of the kind Ed25519")
        return cls(key, path.stem)

    @property
    def public(self) -> bytes:
        """Return the 32 bytes of the public key."""
        return self.private.public_key().public_bytes_raw()

    def sign(self, manifest: bytes) -> bytes:
        """Return the content of `manifest.sig` for a manifest; equal inputs give equal bytes."""
        return _signature_bytes(self.public.hex(), self.private.sign(manifest).hex())


@dataclass(frozen=True)
class TrustedKeys:
    """Public keys that somebody trusts: the 32 bytes of each, and the name of its file."""

    names: Mapping[bytes, str]

    @classmethod
    def read(cls, *places: Path | str) -> TrustedKeys:
        """Read public keys: files, or folders with files `*.pub`.

        Raises
        ------
        LearningError : CT-LEARN-049 a file is no public key of the kind Ed25519, CT-LEARN-047 no key is there at all.
        """
        found: dict[bytes, str] = {}
        for place in map(Path, places):
            for path in [place] if place.is_file() else sorted(place.glob(f"*{PUBLIC}")):
                found[_read_public(path)] = path.stem
        if not found:
            raise LearningError.of(
                "CT-LEARN-047",
                where=", ".join(Path(place).name for place in places),
                what="没有可信公钥 · there is no trusted public key here.",
                advice=f"Put the files *{PUBLIC} of those who may sign models there.",
            )
        return cls(found)


@dataclass(frozen=True)
class Signer:
    """Who signed a bundle.

    Attributes
    ----------
    fingerprint : SHA-256 of the public key.
    trusted_as : name of the trusted key; None if no trusted keys were given to compare with.
    """

    fingerprint: str
    trusted_as: str | None

    def __str__(self) -> str:
        shown = self.fingerprint[:SHOWN]
        if self.trusted_as is None:
            return f"签名未与可信公钥核对 · signed by {shown}, NOT checked against a trusted key"
        return f"签名可信 · signed by trusted key '{self.trusted_as}' {shown}"


def check(manifest: bytes, signature: bytes, trusted: TrustedKeys | None) -> Signer:
    """Return who signed a manifest.

    Raises
    ------
    LearningError (CT-LEARN-046) if the signature is not in form, is not one of this manifest, or is of a key that is not trusted.
    """
    public_key, proof = _signature_facts(signature)
    try:
        public = bytes.fromhex(public_key)
        Ed25519PublicKey.from_public_bytes(public).verify(bytes.fromhex(proof), manifest)
    except (InvalidSignature, ValueError) as error:
        raise _bad_signature("it is not a signature of this manifest") from error
    fingerprint = sha256_hex(public)
    if trusted is None:
        return Signer(fingerprint, None)
    if public not in trusted.names:
        raise _bad_signature(
            f"it is by key {fingerprint[:SHOWN]}, which is not trusted",
            "If the signer is known to you, put the public key among the trusted keys",
        )
    return Signer(fingerprint, trusted.names[public])


def new_key(folder: Path | str, name: str) -> tuple[Path, Path]:
    """Make a pair of keys, `<name>.key` (readable by its owner only) and `<name>.pub`; return both paths.

    Raises
    ------
    RefusedError (CT-LEARN-049) if one of the files exists: a key is never overwritten.
    """
    folder = Path(folder)
    paths = folder / f"{name}{PRIVATE}", folder / f"{name}{PUBLIC}"
    if any(path.exists() for path in paths):
        raise RefusedError.of(
            "CT-LEARN-049", where=name, what="密钥已存在 · this key exists already.", advice="Choose another name."
        )
    _write_public(paths[1], _generate(paths[0]))
    return paths


def key_for_store(store: Path | str, given: Path | str | None = None) -> SigningKey:
    """Return the key that signs what is trained into a store.

    Parameters
    ----------
    given : private key file. In a store without trusted keys its public half becomes the first one. If None, the store's own key
        is taken, and made where the store has no trusted keys yet.

    Raises
    ------
    LearningError (CT-LEARN-047) if the store does not trust the key, or needs one to be given. Otherwise as :meth:`SigningKey.read`.
    """
    store = Path(store)
    trusted, own = store / TRUSTED, store / f"{STORE_KEY}{PRIVATE}"
    is_new = not any(trusted.glob(f"*{PUBLIC}"))
    if given is None and not own.exists():
        if not is_new:
            raise LearningError.of(
                "CT-LEARN-047",
                where=store.name,
                what="此模型库要求指定签名私钥 · this store trusts keys of people; none was given to sign with.",
                advice="Give --key or CREDIT_TIER_SIGNING_KEY.",
            )
        # Another trainer may be faster; then its key is the store's.
        with suppress(FileExistsError):
            _generate(own)
    key = SigningKey.read(own if given is None else given)
    if is_new:
        _write_public(trusted / f"{key.name}{PUBLIC}", key)
    elif key.public not in TrustedKeys.read(trusted).names:
        raise LearningError.of(
            "CT-LEARN-047",
            where=store.name,
            what="此模型库不信任该密钥 · the store does not trust this key.",
            advice=f"Somebody in charge of the store puts its {PUBLIC} file into the folder '{TRUSTED}'.",
        )
    return key


def trusted_by_store(store: Path | str, given: Sequence[Path] = ()) -> TrustedKeys:
    """Return the keys that open bundles of a store: those given, which take the place of the store's own, or those in `trusted/`.

    Raises
    ------
    LearningError (CT-LEARN-047) if there is none.
    """
    return TrustedKeys.read(*(given or (Path(store) / TRUSTED,)))


def _signature_facts(data: bytes) -> tuple[str, str]:
    """Return public key and signature of a signature file, in hexadecimal digits; one text stands for each, so that no byte of it can be changed unseen."""
    try:
        facts = json.loads(data)
        public_key, signature = facts["public_key"], facts["signature"]
        same = _HEX.fullmatch(public_key + signature) and _signature_bytes(public_key, signature) == data
    except (ValueError, TypeError, LookupError, RecursionError) as error:
        raise _bad_signature("it is not in form") from error
    if not same:
        raise _bad_signature("it is not in form")
    return public_key, signature


def _signature_bytes(public_key: str, signature: str) -> bytes:
    facts = {"algorithm": "ed25519", "public_key": public_key, "signature": signature, "signs": "manifest.json"}
    return canonical_json(facts) + b"\n"


def _read_public(path: Path) -> bytes:
    try:
        key = serialization.load_pem_public_key(path.read_bytes())
    except (OSError, ValueError, UnsupportedAlgorithm) as error:
        raise _key_fault(path, "there is no public key here") from error
    if not isinstance(key, Ed25519PublicKey):
        raise _key_fault(path, "the key is not of the kind Ed25519")
    return key.public_bytes_raw()


def _write_public(path: Path, key: SigningKey) -> None:
    files.write_bytes(
        path,
        key.private.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        ),
    )


def _generate(path: Path) -> SigningKey:
    """Make a private key in a file of its own; of two makers at once one gets a FileExistsError."""
    key = Ed25519PrivateKey.generate()
    temporary = path.with_name(f".tmp-{path.name}-{os.getpid()}")
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    files.write_bytes(temporary, pem, mode=0o600)
    try:
        os.link(temporary, path)
    finally:
        temporary.unlink()
    files.sync_folder(path.parent)
    return SigningKey(key, path.stem)


def _key_fault(path: Path, what: str, advice: str = "Make keys with credit-tier keys new") -> LearningError:
    return LearningError.of("CT-LEARN-049", where=path.name, what=f"密钥不可用 · {what}.", advice=f"{advice}.")


def _bad_signature(what: str, advice: str = "Take the bundle from the registry again") -> LearningError:
    return LearningError.of("CT-LEARN-046", where="manifest.sig", what=f"签名无效 · {what}.", advice=f"{advice}.")
