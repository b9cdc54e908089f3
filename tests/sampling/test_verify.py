"""The independent verifier: everything sound passes, every flipped byte is named, nothing makes it crash."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from credit_tier import draws
from credit_tier.canonical import canonical_json, digest_of
from credit_tier.sampling import verify
from credit_tier.sampling.verify import STEPS, main

SOURCE = Path(verify.__file__)


def broken(path: Path, capsys: pytest.CaptureFixture[str], *options: str) -> str | None:
    """Run the verifier on a path and return the step it names."""
    code = main([str(path), "--json", *options])
    result = json.loads(capsys.readouterr().out)
    assert code == (0 if result["holds"] else 5)
    assert (result["broken"] is None) == result["holds"]
    return result["broken"]


def edit(path: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """Change a document and write it back canonically."""
    document = json.loads(path.read_bytes())
    change(document)
    path.chmod(0o600)
    path.write_bytes(canonical_json(document) + b"\n")


def flip(text: str) -> str:
    """Return a hexadecimal text with its middle digit changed."""
    middle = len(text) // 2
    return text[:middle] + ("0" if text[middle] != "0" else "1") + text[middle + 1 :]


def first_drawn(record: dict[str, Any]) -> dict[str, Any]:
    return next(
        entry for department in record["departments"] for stratum in department["strata"] for entry in stratum["drawn"]
    )


def test_a_sound_draw_passes_at_every_level(drawn, tmp_path, units, capsys):
    """Folder, public file and a proof all pass; the commitment and beacon as published are compared too."""
    commitment = json.loads((drawn / "commitment.json").read_bytes())["commitment"]
    beacon = draws.DrawRecord.open(drawn).document["beacon"]
    assert broken(drawn, capsys, "--commitment", commitment, "--beacon", beacon) is None
    assert broken(drawn / "public.json", capsys, "--commitment", commitment, "--beacon", beacon) is None
    assert broken(drawn, capsys, "--commitment", flip(commitment)) == "commitment"
    assert broken(drawn / "public.json", capsys, "--commitment", flip(commitment)) == "commitment"
    assert broken(drawn, capsys, "--beacon", beacon + "0") == "seed"
    assert broken(drawn / "public.json", capsys, "--beacon", beacon + "0") == "seed"
    (drawn / "secret.json").unlink()
    (drawn / "plan.json").unlink()
    (drawn / "public.json").unlink()
    assert broken(drawn, capsys) is None


FIELDS: dict[str, tuple[str, Callable[[dict[str, Any]], None], set[str]]] = {
    "commitment value": ("commitment.json", lambda d: d.update(commitment=flip(d["commitment"])), {"commitment"}),
    "frame root": ("commitment.json", lambda d: d.update(frame_root=flip(d["frame_root"])), {"commitment"}),
    "chain end": ("commitment.json", lambda d: d.update(chain_end=flip(d["chain_end"])), {"commitment"}),
    "beacon rule": ("commitment.json", lambda d: d.update(beacon_rule="other"), {"commitment"}),
    "wave": ("commitment.json", lambda d: d.update(wave=2), {"commitment"}),
    "units": ("commitment.json", lambda d: d.update(units=d["units"] - 1), {"commitment"}),
    "rate": ("rules.json", lambda d: d["spec"]["departments"][0]["rates"].update(A="1/49"), {"rules"}),
    "rules salt": ("rules.json", lambda d: d.update(salt=flip(d["salt"])), {"rules"}),
    "beacon": ("record.json", lambda d: d.update(beacon=d["beacon"] + "1"), {"seed"}),
    "salt": ("record.json", lambda d: d.update(salt=flip(d["salt"])), {"salt"}),
    "seed": ("record.json", lambda d: d.update(seed=flip(d["seed"])), {"seed"}),
    "leaf secret": ("record.json", lambda d: d.update(leaf_secret=flip(d["leaf_secret"])), {"secret"}),
    "count": ("record.json", lambda d: d["departments"][0]["strata"][0].update(count=0), {"sizes"}),
    "size": ("record.json", lambda d: d["departments"][0]["strata"][0].update(size="99/100"), {"sizes"}),
    "stratum": ("record.json", lambda d: d["departments"][0]["strata"][0].update(stratum=["A", "1"]), {"sizes"}),
    "offset": ("record.json", lambda d: d["departments"][0].update(offset=1), {"sizes"}),
    "factor": ("record.json", lambda d: d["departments"][1].update(factor="1"), {"sizes"}),
    "excluded": ("record.json", lambda d: d["departments"][0]["excluded"].update(deregistered=0), {"sizes"}),
    "ticket": ("record.json", lambda d: first_drawn(d).update(ticket=flip(first_drawn(d)["ticket"])), {"tickets"}),
    "code": ("record.json", lambda d: first_drawn(d).update(code="91320500MA99999999"), {"selection"}),
    "chance": ("record.json", lambda d: first_drawn(d).update(chance="1/2"), {"selection"}),
    "drawn left out": ("record.json", lambda d: d["departments"][0]["strata"][0]["drawn"].pop(), {"selection"}),
    "reserve swapped": ("record.json", lambda d: d["departments"][0]["strata"][0]["reserves"].reverse(), {"selection"}),
    "visits": ("record.json", lambda d: d.update(visits=d["visits"] + 1), {"selection"}),
    "frame digest": ("record.json", lambda d: d.update(frame_digest=flip(d["frame_digest"])), {"record"}),
    "commitment in record": ("record.json", lambda d: d.update(commitment=flip(d["commitment"])), {"record"}),
    "record digest": ("record.json", lambda d: d.update(record_digest=flip(d["record_digest"])), {"record"}),
    "added field": ("record.json", lambda d: d.update(note="x"), {"record"}),
    "secret": ("secret.json", lambda d: d.update(secret=flip(d["secret"])), {"secret"}),
    "public ticket": ("public.json", lambda d: d["tickets"][0].reverse(), {"public"}),
    "public count": ("public.json", lambda d: d.update(visits=1), {"public"}),
    "plan": ("plan.json", lambda d: d["departments"][0]["strata"][0].update(size="5"), {"plan"}),
}


@pytest.mark.parametrize("field", FIELDS)
def test_a_changed_field_is_named(drawn, field, capsys):
    """A changed value in a canonically rewritten file is named by its own step, in Chinese and English."""
    name, change, steps = FIELDS[field]
    edit(drawn / name, change)
    assert main([str(drawn)]) == 5
    last = capsys.readouterr().out.splitlines()[-1]
    step = last.split()[1]
    assert step in steps
    zh, en = STEPS[step]
    assert zh in last
    assert en in last


EXPECTED = {
    "commitment.json": {"commitment"},
    "rules.json": {"rules"},
    "secret.json": {"secret"},
    "frame.jsonl": {"frame"},
    "record.json": {"record", "salt", "seed", "secret", "sizes", "tickets", "selection"},
    "public.json": {"public"},
    "plan.json": {"plan"},
}


@pytest.mark.parametrize("name", EXPECTED)
def test_any_flipped_byte_is_found(drawn, name, capsys):
    """One bit flipped at places spread over the whole file, and a cut or lengthened file, always end with 5 and the file's own step."""
    path = drawn / name
    path.chmod(0o600)
    data = path.read_bytes()
    places = sorted({*range(0, len(data), max(1, len(data) // 12)), 0, len(data) - 1})
    for place in places:
        changed = bytearray(data)
        changed[place] ^= 1
        path.write_bytes(changed)
        assert broken(drawn, capsys) in EXPECTED[name], place
    for changed in (data[:-1], data[: len(data) // 2], b"", data + b"\n", data + data):
        path.write_bytes(changed)
        assert broken(drawn, capsys) in EXPECTED[name]
    path.write_bytes(data)
    assert broken(drawn, capsys) is None


def test_rows_removed_added_reordered_or_doubled_are_found(drawn, capsys):
    """The frame step notices every change of the set or order of rows."""
    path = drawn / "frame.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    for changed in (
        lines[1:],
        [lines[1], lines[0], *lines[2:]],
        [lines[0], *lines],
        [*lines, lines[-1].replace(b"MA", b"MB")],
    ):
        path.write_bytes(b"".join(changed))
        assert broken(drawn, capsys) == "frame"


def test_a_list_forged_together_with_its_digests_is_found(drawn, capsys):
    """Swapping a drawn enterprise for a reserve and re-computing every digest in record and public file is still found."""

    def swap(record: dict[str, Any]) -> None:
        stratum = record["departments"][0]["strata"][0]
        stratum["drawn"][-1], stratum["reserves"][0] = stratum["reserves"][0], stratum["drawn"][-1]
        record["record_digest"] = digest_of({k: v for k, v in record.items() if k != "record_digest"})

    edit(drawn / "record.json", swap)
    (drawn / "public.json").unlink()
    assert broken(drawn, capsys) == "selection"


def test_a_missing_file_is_named(drawn, capsys):
    """Record, rules and frame cannot be left out."""
    for name, step in (("frame.jsonl", "frame"), ("record.json", "record"), ("rules.json", "rules")):
        kept = (drawn / name).read_bytes()
        (drawn / name).unlink()
        assert broken(drawn, capsys) == step
        (drawn / name).write_bytes(kept)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"null\n",
        b"[]\n",
        b"{}\n",
        b'{"format":1}\n',
        b"\xff\xfe",
        b"[" * 50000,
        b'{"a":1e999}\n',
        b'{"a":NaN}\n',
        b"9" * 5000,
        b'{"format":"credit_tier/proof/1"}\n',
    ],
)
def test_rubbish_never_crashes_it(drawn, data, capsys):
    """Whatever stands in any file, the answer is 5 and a step."""
    for name in EXPECTED:
        kept = (drawn / name).read_bytes()
        (drawn / name).chmod(0o600)
        (drawn / name).write_bytes(data)
        assert broken(drawn, capsys) in STEPS
        assert name not in {"public.json"} or broken(drawn / name, capsys) in STEPS
        (drawn / name).write_bytes(kept)


@pytest.mark.parametrize("value", [None, -1, 10**30, "1/0", "9" * 4000, [], {}, True, "\n"])
def test_values_of_the_wrong_kind_never_crash_it(drawn, value, capsys):
    """Any value in the place of any top-level field of any document is found without a traceback."""
    for name in ("commitment.json", "rules.json", "record.json", "public.json", "plan.json"):
        kept = (drawn / name).read_bytes()
        for field in json.loads(kept):
            edit(drawn / name, lambda document, field=field: document.update({field: value}))
            assert broken(drawn, capsys) in STEPS, (name, field)
            if name == "public.json":
                assert broken(drawn / name, capsys) in STEPS or field == "record_digest"
        (drawn / name).write_bytes(kept)


def test_wrong_use_is_2(tmp_path, drawn, capsys):
    """No path, no draw there, or a missing second file: exit 2."""
    assert main([str(tmp_path / "none")]) == 2
    assert main([str(tmp_path)]) == 2
    assert main([str(drawn / "public.json"), "--public", str(tmp_path / "none")]) == 2
    (drawn / "frame.jsonl").unlink()
    (drawn / "frame.jsonl").mkdir()
    assert main([str(drawn)]) == 2
    with pytest.raises(SystemExit) as caught:
        main([])
    assert caught.value.code == 2
    capsys.readouterr()


def test_every_row_has_a_proof_that_opens_only_itself(drawn, tmp_path, units, capsys):
    """Proofs of drawn, reserve, undrawn and excluded enterprises pass alone and against the public file, and hold no other code."""
    entries = list(draws.DrawRecord.open(drawn).entries())
    chosen = [entries[0]["code"], entries[-1]["code"], entries[3]["code"], *[row["code"] for row in units[:600:97]]]
    for number, code in enumerate(chosen):
        path = tmp_path / f"{number}.json"
        path.write_bytes(canonical_json(draws.proof(drawn, str(code))) + b"\n")
        assert broken(path, capsys, "--public", str(drawn / "public.json")) is None
        text = path.read_text(encoding="utf-8")
        assert [row["code"] for row in units if row["code"] in text] == [code]
        assert draws.DrawRecord.open(drawn).document["leaf_secret"] not in text


def test_a_proof_before_the_draw_shows_the_row_only(committed, tmp_path, units, capsys):
    """Between commitment and draw an enterprise checks that it is in the frame."""
    path = tmp_path / "proof.json"
    path.write_bytes(canonical_json(draws.proof(committed, str(units[5]["code"]))) + b"\n")
    assert json.loads(path.read_bytes())["row"]["risk_class"] == units[5]["risk_class"]
    assert "draw" not in json.loads(path.read_bytes())
    assert broken(path, capsys) is None


def test_a_forged_proof_is_found(drawn, tmp_path, units, capsys):
    """A changed class, place, ticket or outcome is named."""
    path = tmp_path / "proof.json"
    code = str(units[7]["code"])
    sound = draws.proof(drawn, code)
    changes: dict[str, tuple[Callable[[dict[str, Any]], None], str]] = {
        "class": (lambda d: d["row"].update(risk_class="A" if d["row"]["risk_class"] != "A" else "B"), "row"),
        "index": (lambda d: d.update(index=d["index"] ^ 1), "row"),
        "path": (lambda d: d["path"].pop(), "row"),
        "ticket": (lambda d: d["draw"].update(ticket=flip(d["draw"]["ticket"])), "tickets"),
        "seed": (lambda d: d["draw"].update(seed=flip(d["draw"]["seed"])), "seed"),
        "outcome": (
            lambda d: d["draw"]["departments"][0].update(drawn=not d["draw"]["departments"][0]["drawn"]),
            "selection",
        ),
    }
    for change, step in changes.values():
        path.write_bytes(canonical_json(sound) + b"\n")
        edit(path, change)
        assert broken(path, capsys) == step


def test_it_runs_as_a_module_with_the_standard_library_alone(drawn, tmp_path):
    """With nothing but this module and `canonical` on an isolated path, no site packages: exit 0, and 5 after a change."""
    package = tmp_path / "lib" / "credit_tier"
    for name in ("__init__.py", "canonical.py", "sampling/__init__.py", "sampling/verify.py"):
        target = package / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes((SOURCE.parents[1] / name).read_bytes())
    plain = {"PATH": "", "PYTHONIOENCODING": "ascii"}
    command = [sys.executable, "-S", "-W", "error", "-m", "credit_tier.sampling.verify", str(drawn)]
    done = subprocess.run(command, cwd=tmp_path / "lib", env=plain, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert "everything holds" in done.stdout
    edit(drawn / "record.json", FIELDS["seed"][1])
    again = subprocess.run(command, cwd=tmp_path / "lib", env=plain, capture_output=True, text=True, check=False)
    assert again.returncode == 5
    assert "? seed" in again.stdout


def test_it_imports_nothing_of_the_engine():
    """Only the standard library and `credit_tier.canonical` are imported."""
    names = set()
    for node in ast.walk(ast.parse(SOURCE.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            names.add(str(node.module))
    assert {name for name in names if name.split(".")[0] not in sys.stdlib_module_names} == {"credit_tier.canonical"}
