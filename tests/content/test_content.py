"""The content loader: strict YAML, all faults at once with file and line, rooms and overlays."""

from __future__ import annotations

from pathlib import Path

import pytest

from credit_tier.content import Content, FileSpec, Flag, Spec, parse
from credit_tier.errors import ContentError, UsageError


class Inner(Spec):
    number: int
    label: str


class Sample(FileSpec):
    title: str
    on: Flag = False
    items: tuple[Inner, ...] = ()


GOOD = "title: no\nitems:\n  - {number: 010, label: 12:30}\n"


def test_scalars_are_read_by_declared_type() -> None:
    """What YAML would guess (no → False, 010 → 8, 12:30 → 750) stays what was written."""
    spec = parse(GOOD, Sample, where="f.yaml")
    assert spec.title == "no"
    assert spec.items[0].number == 10
    assert spec.items[0].label == "12:30"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("title: a\ntitle: b\n", ["CT-CONTENT-002", "f.yaml:2", "'title' stands twice"]),
        ("title: a\ncolour: b\n", ["CT-CONTENT-005", "f.yaml:2", "'colour' is not a known key"]),
        ("on: true\n", ["CT-CONTENT-006", "f.yaml:1", "'title' is missing"]),
        ("title: a\non: yes\n", ["CT-CONTENT-007", "f.yaml:2", "write true or false"]),
        ("title: &x a\nitems: [*x]\n", ["CT-CONTENT-003", "anchors, aliases"]),
        ("title: !!python/name:os.system a\n", ["CT-CONTENT-003", "tags are not allowed", "f.yaml:1"]),
        ("title: a\n<<: {on: true}\n", ["CT-CONTENT-003", "merge keys"]),
        ("title: [a\n", ["CT-CONTENT-001", "this is not YAML"]),
        ("", ["CT-CONTENT-001", "empty"]),
        ("title: a\nitems:\n  - {number: x, label: b}\n", ["CT-CONTENT-007", "f.yaml:3", "items.0.number"]),
        ("- a\n- b\n", ["CT-CONTENT-007", "f.yaml:1"]),
        ("title: " + "[" * 60 + "]" * 60, ["CT-CONTENT-004", "nested deeper"]),
    ],
)
def test_each_fault_says_where_and_what(text: str, words: list[str]) -> None:
    """One broken text per failure; the message holds the code, the line and the advice."""
    with pytest.raises(ContentError) as caught:
        parse(text, Sample, where="f.yaml")
    for word in words:
        assert word in str(caught.value)


def test_all_faults_of_a_file_come_at_once_in_line_order() -> None:
    """An author mends a file in one go."""
    with pytest.raises(ContentError) as caught:
        parse("on: no\nitems:\n  - {label: b}\nzzz: 1\n", Sample, where="f.yaml")
    lines = [fault.where for fault in caught.value.faults]
    assert len(lines) == 4
    assert lines == sorted(lines, key=lambda place: int(place.rpartition(":")[2]))


def overlay(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text, encoding="utf-8")
    return root


def test_an_overlay_adds_and_may_replace_only_what_it_supersedes(tmp_path: Path) -> None:
    """A shipped file is never replaced silently."""
    shipped = Content.resolve().file("pipelines", "tiers.yaml")
    added = overlay(tmp_path / "a", {"models/x/model.yaml": "a: 1\n"})
    assert Content.resolve(added).file("models", "x/model.yaml").path.is_relative_to(added)
    silent = overlay(tmp_path / "b", {"pipelines/tiers.yaml": "title_zh: x\n"})
    with pytest.raises(ContentError, match=r"CT-CONTENT-011.*supersedes: sha256:" + shipped.digest):
        Content.resolve(silent)
    spoken = overlay(tmp_path / "c", {"pipelines/tiers.yaml": f"title_zh: x\nsupersedes: sha256:{shipped.digest}\n"})
    assert Content.resolve(spoken).file("pipelines", "tiers.yaml").path.is_relative_to(spoken)


def test_an_overlay_may_stand_alone(tmp_path: Path) -> None:
    """Rooms that content.yaml does not inherit come from the overlay alone."""
    folder = overlay(
        tmp_path, {"content.yaml": "title_zh: x\ninherits: [rule_packs]\n", "data_schemas/t.yaml": "a: 1\n"}
    )
    found = Content.resolve(folder)
    assert [item.name for item in found.files("data_schemas")] == ["t.yaml"]
    assert found.files("models") == []
    assert found.files("rule_packs") == Content.resolve().files("rule_packs")


def test_unknown_room_and_missing_folder_and_file_say_what_there_is(tmp_path: Path) -> None:
    """Errors list what exists."""
    with pytest.raises(ContentError, match="no such room: law"):
        Content.resolve(overlay(tmp_path / "a", {"content.yaml": "title_zh: x\ninherits: [law]\n"}))
    with pytest.raises(UsageError, match="no such content folder"):
        Content.resolve(tmp_path / "nowhere")
    with pytest.raises(ContentError, match=r"CT-CONTENT-013.*features\.yaml"):
        Content.resolve().file("pipelines", "nothing.yaml")


def test_the_digest_follows_every_byte_and_nothing_else(tmp_path: Path) -> None:
    """Same content, same digest, wherever the overlay lies; one changed byte, another digest."""
    one = overlay(tmp_path / "one", {"models/x/card.md": "card"})
    two = overlay(tmp_path / "two", {"models/x/card.md": "card"})
    three = overlay(tmp_path / "three", {"models/x/card.md": "cart"})
    assert Content.resolve(one).digest() == Content.resolve(two).digest()
    assert Content.resolve(one).digest() != Content.resolve(three).digest()


def test_the_working_directory_has_no_say(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A foreign models/ folder beside the user is never read."""
    overlay(tmp_path, {"models/evil/model.yaml": "a: 1\n"})
    monkeypatch.chdir(tmp_path)
    assert "evil/model.yaml" not in [item.name for item in Content.resolve().files("models")]


def test_shipped_content_fits_together() -> None:
    """Every shipped declaration loads and refers only to what exists."""
    from credit_tier.specs.together import check

    faults, read = check(Content.resolve())
    assert faults == []
    assert read > 10


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("models/m/model.yaml", "label: {", "this is not YAML"),
        ("pipelines/other.yaml", "a: 1\n", "nothing reads a file of this name"),
    ],
)
def test_lint_names_the_file(tmp_path: Path, name: str, text: str, words: str) -> None:
    """A broken or useless file of an overlay is named."""
    from credit_tier.specs.together import check

    faults, _ = check(Content.resolve(overlay(tmp_path, {name: text})))
    assert any(words in str(fault) and name in str(fault) for fault in faults)


def test_lint_names_a_bridge_that_fits_no_features(tmp_path: Path) -> None:
    """A bridge to a dimension of which the model uses nothing is told by lint, not after the features are computed."""
    from credit_tier.specs.together import check

    text = Content.resolve().file("models", "violation_risk/model.yaml").path.read_text("utf-8")
    bridge = "  bridges:\n    - {id: x, title_zh: 桥, dimensions: [supervision, nowhere]}\n"
    text = text.replace("model: violation_risk", "model: m").replace("\ntrees:\n", f"\ntrees:\n{bridge}")
    faults, _ = check(Content.resolve(overlay(tmp_path, {"models/m/model.yaml": text})))
    assert [fault.code for fault in faults] == ["CT-CONTENT-031"]
    assert "models/m/model.yaml x" in str(faults[0])
    assert "no feature of the dimension 'nowhere'" in str(faults[0])
    joined = overlay(tmp_path / "joined", {"models/m/model.yaml": text.replace("nowhere", "basic")})
    assert check(Content.resolve(joined))[0] == []


@pytest.mark.parametrize(
    ("written", "meant"), [("null", None), ("~", None), ("", None), ("'null'", "null"), ('"~"', "~")]
)
def test_only_a_plain_null_is_empty(written: str, meant: str | None) -> None:
    """Quoted text stays text."""

    class Optional(FileSpec):
        value: str | None = "unset"

    assert parse(f"value: {written}\n", Optional, where="f.yaml").value == meant
