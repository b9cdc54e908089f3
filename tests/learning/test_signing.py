"""Keys: private files are private, stores sign with what they trust, and a signature file has one form only."""

from __future__ import annotations

import json
import shutil
import stat
import subprocess
from pathlib import Path

import pytest

from credit_tier.canonical import canonical_json
from credit_tier.errors import LearningError, RefusedError
from credit_tier.learning import signing
from credit_tier.learning.signing import SigningKey, TrustedKeys, check, key_for_store, new_key, trusted_by_store

MANIFEST = b'{"a": 1}\n'


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_new_pair_signs_and_checks(tmp_path: Path) -> None:
    """The private file is its owner's alone, equal inputs give equal signatures, a key is never overwritten."""
    private, public = new_key(tmp_path / "keys", "office")
    assert (private.name, public.name) == ("office.key", "office.pub")
    assert mode(private) == 0o600
    assert sorted(path.name for path in private.parent.iterdir()) == ["office.key", "office.pub"]
    key = SigningKey.read(private)
    signature = key.sign(MANIFEST)
    assert key.sign(MANIFEST) == signature
    assert check(MANIFEST, signature, TrustedKeys.read(public)).trusted_as == "office"
    assert check(MANIFEST, signature, None).trusted_as is None
    with pytest.raises(LearningError, match=r"CT-LEARN-046 manifest\.sig"):
        check(MANIFEST + b" ", signature, None)
    before = private.read_bytes()
    with pytest.raises(RefusedError, match="CT-LEARN-049"):
        new_key(tmp_path / "keys", "office")
    assert private.read_bytes() == before


def test_a_signature_verifies_with_openssl(tmp_path: Path) -> None:
    """Nobody needs this package to check who signed: the public key and the signature are standard."""
    if shutil.which("openssl") is None:
        pytest.skip("needs openssl")
    private, public = new_key(tmp_path, "office")
    facts = json.loads(SigningKey.read(private).sign(MANIFEST))
    (tmp_path / "manifest.json").write_bytes(MANIFEST)
    (tmp_path / "raw.sig").write_bytes(bytes.fromhex(facts["signature"]))
    command = f"openssl pkeyutl -verify -pubin -inkey {public.name} -rawin -in manifest.json -sigfile raw.sig"
    done = subprocess.run(command.split(), cwd=tmp_path, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr


def test_a_key_that_others_may_read_is_refused(tmp_path: Path) -> None:
    """A private key in a shared folder is a key of everybody."""
    private, _ = new_key(tmp_path, "office")
    for wrong in (0o640, 0o604, 0o660):
        private.chmod(wrong)
        with pytest.raises(LearningError, match=r"CT-LEARN-049 office\.key: .*others may read"):
            SigningKey.read(private)
    private.chmod(0o400)
    SigningKey.read(private)


@pytest.mark.parametrize("text", [b"", b"nonsense", b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"])
def test_files_that_are_no_keys_are_named(text: bytes, tmp_path: Path) -> None:
    """Private or public: the file is named and nothing of it is repeated."""
    path = tmp_path / "wrong.pub"
    path.write_bytes(text)
    path.chmod(0o600)
    for read in (SigningKey.read, TrustedKeys.read):
        with pytest.raises(LearningError, match=r"CT-LEARN-049 wrong\.pub") as caught:
            read(path)
        assert "AAAA" not in str(caught.value)
    with pytest.raises(LearningError, match="CT-LEARN-049"):
        SigningKey.read(tmp_path / "none.key")


def test_other_kinds_of_keys_are_refused(tmp_path: Path) -> None:
    """Only Ed25519: one algorithm, nothing to choose wrongly."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    other = ec.generate_private_key(ec.SECP256R1())
    private, public = tmp_path / "ec.key", tmp_path / "ec.pub"
    private.write_bytes(
        other.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    private.chmod(0o600)
    public.write_bytes(
        other.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    )
    for read, path in ((SigningKey.read, private), (TrustedKeys.read, public)):
        with pytest.raises(LearningError, match="not of the kind Ed25519"):
            read(path)


def test_a_store_makes_its_own_key_once(tmp_path: Path) -> None:
    """No set-up: the first training makes a key that only its owner reads, and the store trusts it; later ones use it again."""
    store = tmp_path / "store"
    first = key_for_store(store)
    assert mode(store / "store.key") == 0o600
    assert key_for_store(store).public == first.public
    signature = first.sign(MANIFEST)
    assert check(MANIFEST, signature, trusted_by_store(store)).trusted_as == "store"
    (store / "trusted" / "store.pub").unlink()
    with pytest.raises(LearningError, match="CT-LEARN-047"):
        trusted_by_store(store)


def test_a_store_of_people_takes_only_their_keys(tmp_path: Path) -> None:
    """The first key given is trusted; afterwards no other, and none made on the way, until somebody in charge adds it."""
    store = tmp_path / "store"
    office, public = new_key(tmp_path / "keys", "office")
    other, other_public = new_key(tmp_path / "keys", "other")
    assert key_for_store(store, office).name == "office"
    with pytest.raises(LearningError, match=r"CT-LEARN-047 .*none was given"):
        key_for_store(store)
    with pytest.raises(LearningError, match=r"CT-LEARN-047 .*does not trust"):
        key_for_store(store, other)
    assert sorted(p.name for p in store.rglob("*") if p.is_file()) == ["office.pub"]
    shutil.copy(other_public, store / signing.TRUSTED)
    assert key_for_store(store, other).name == "other"
    # Keys that a person names take the place of the store's.
    signature = SigningKey.read(other).sign(MANIFEST)
    with pytest.raises(LearningError, match="CT-LEARN-046"):
        check(MANIFEST, signature, trusted_by_store(store, [public]))


@pytest.mark.parametrize(
    "change",
    [
        {"algorithm": "none"},
        {"signs": "model.txt"},
        {"public_key": 1, "signature": 2},
        {"public_key": "", "signature": ""},
        {"public_key": None},
        {"signature": "AB" * 64},
        {"extra": "x"},
    ],
)
def test_a_signature_has_one_form(change: dict[str, object], tmp_path: Path) -> None:
    """Other words, types, lengths or spellings of a signature are refused before any curve arithmetic."""
    private, public = new_key(tmp_path, "office")
    good = SigningKey.read(private).sign(MANIFEST)
    wrong = [canonical_json(json.loads(good) | change) + b"\n"]  # type: ignore[list-item]
    wrong += [good[:-1], b" " + good, b"[]", b"null", b"[" * 900, good.replace(b'"signs"', b'"signs":1,"signs"')]
    for data in wrong:
        with pytest.raises(LearningError, match=r"CT-LEARN-046 manifest\.sig"):
            check(MANIFEST, data, TrustedKeys.read(public))
