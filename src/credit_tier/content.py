"""The content rooms: where declarations are found, how their YAML is read, and their digests.

Scalars are read by the type that the spec declares, never by what they look like: `no`, `010` and `12:30` stay text unless a
spec asks for a boolean, a number or a time.
Duplicate keys, unknown keys, anchors, tags and merge keys are refused.
All faults of a file are reported at once with file and line.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, TypeVar

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from credit_tier.canonical import combined_digest, sha256_hex
from credit_tier.errors import ContentError, Fault, UsageError

ROOMS = ("data_schemas", "models", "pipelines", "rule_packs")
MANIFEST = "content.yaml"
MAX_BYTES = 4_000_000
MAX_DEPTH = 40

S = TypeVar("S", bound="Spec")


def _flag(value: object) -> object:
    """Read a boolean written as `true` or `false` and nothing else."""
    if isinstance(value, str):
        if value in {"true", "false"}:
            return value == "true"
        raise ValueError("write true or false")
    return value


Flag = Annotated[bool, BeforeValidator(_flag)]
"""Boolean field of a spec: only `true` and `false` are taken."""


class Spec(BaseModel):
    """Base of all declarations: frozen, unknown keys refused, NaN refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, hide_input_in_errors=True)


class FileSpec(Spec):
    """A declaration that fills one file; may say that it replaces a shipped file of the same name."""

    supersedes: str | None = Field(default=None, pattern=r"^sha256:[0-9a-f]{64}$")


class ContentManifest(Spec):
    """`content.yaml` of an overlay: its title and the shipped rooms it builds upon."""

    title_zh: str
    title_en: str = ""
    inherits: tuple[str, ...] = ROOMS
    """Rooms whose shipped files stay visible; the others are taken from the overlay alone."""


@dataclass(frozen=True)
class ContentFile:
    """One file of a room: its room, its path inside the room, where it lies and the SHA-256 of its bytes."""

    room: str
    name: str
    path: Path
    digest: str

    @property
    def label(self) -> str:
        """Return room/name, the way messages call it."""
        return f"{self.room}/{self.name}"


# ------------------------------------------------------------------------------------------------------------- strict YAML


@dataclass(frozen=True)
class _Tree:
    """A YAML document as plain text scalars, with the line of each path."""

    value: object
    lines: Mapping[tuple[str | int, ...], int]


_NULLS = {"", "~", "null"}
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""The composer in C where PyYAML has it: the same nodes, ten times as fast."""


def _is_decorated(event: Any) -> bool:
    return (
        isinstance(event, yaml.AliasEvent)
        or getattr(event, "anchor", None) is not None
        or getattr(event, "tag", None) is not None
    )


def read_yaml(text: str, *, where: str) -> _Tree:
    """Return a YAML text as nested dicts, lists and texts, with line numbers.

    Raises
    ------
    ContentError : CT-CONTENT-001 syntax, 002 duplicate key, 003 anchors, tags or merge keys, 004 nesting or size.
    """
    if len(text.encode("utf-8", "replace")) > MAX_BYTES:
        raise ContentError.of("CT-CONTENT-004", where=where, what="the file is larger than 4 MB.", advice="Split it.")
    try:
        node = yaml.compose(text, Loader=_LOADER)
        decorated = [event for event in yaml.parse(text, Loader=_LOADER) if _is_decorated(event)]
    except yaml.MarkedYAMLError as error:
        line = getattr(error.problem_mark, "line", 0) + 1
        raise ContentError.of(
            "CT-CONTENT-001",
            where=f"{where}:{line}",
            what=f"this is not YAML ({error.problem}).",
            advice="Check indentation and quotes.",
        ) from error
    except (yaml.YAMLError, RecursionError) as error:
        raise ContentError.of(
            "CT-CONTENT-001", where=where, what="this is not YAML.", advice="Check the encoding (UTF-8)."
        ) from error
    if node is None:
        raise ContentError.of("CT-CONTENT-001", where=where, what="the file is empty.", advice="Remove it or fill it.")
    faults = [
        Fault(
            "CT-CONTENT-003",
            f"{where}:{event.start_mark.line + 1 if event.start_mark else 1}",
            "anchors, aliases and tags are not allowed.",
            "Write the value out.",
        )
        for event in decorated
    ]
    if faults:
        raise ContentError(*faults)
    lines: dict[tuple[str | int, ...], int] = {}

    def walk(item: Any, path: tuple[str | int, ...]) -> object:
        line = item.start_mark.line + 1
        lines[path] = line
        if len(path) > MAX_DEPTH:
            faults.append(
                Fault("CT-CONTENT-004", f"{where}:{line}", f"nested deeper than {MAX_DEPTH} levels.", "Flatten it.")
            )
            return None
        if isinstance(item, yaml.ScalarNode):
            if not item.style and item.value in _NULLS:
                return None
            return item.value
        if isinstance(item, yaml.SequenceNode):
            return [walk(child, (*path, index)) for index, child in enumerate(item.value)]
        result: dict[str, object] = {}
        for key_node, value_node in item.value:
            key_line = key_node.start_mark.line + 1
            if not isinstance(key_node, yaml.ScalarNode) or key_node.value == "<<":
                faults.append(
                    Fault(
                        "CT-CONTENT-003",
                        f"{where}:{key_line}",
                        "keys must be plain words, merge keys are not allowed.",
                        "Write the keys out.",
                    )
                )
                continue
            key = key_node.value
            if key in result:
                faults.append(
                    Fault(
                        "CT-CONTENT-002", f"{where}:{key_line}", f"the key '{key}' stands twice.", "Keep one of them."
                    )
                )
                continue
            result[key] = walk(value_node, (*path, key))
            lines[(*path, key)] = key_line
        return result

    value = walk(node, ())
    if faults:
        raise ContentError(*sorted(faults, key=_by_line))
    return _Tree(value, lines)


def parse(text: str, spec: type[S], *, where: str) -> S:
    """Return a YAML text as a spec.

    Raises
    ------
    ContentError : all faults of the text at once; CT-CONTENT-005 unknown key, 006 missing key, 007 wrong value.
    """
    tree = read_yaml(text, where=where)
    try:
        return spec.model_validate(tree.value, context={"where": where})
    except ValidationError as error:
        raise ContentError(
            *sorted((_fault(item, tree, where) for item in error.errors(include_url=False)), key=_by_line)
        ) from None


def _fault(item: Any, tree: _Tree, where: str) -> Fault:
    location = tuple(part for part in item["loc"] if (part in {"[key]"}) is False)
    known = location
    while known and known not in tree.lines:
        known = known[:-1]
    place = f"{where}:{tree.lines.get(known, 1)}"
    name = ".".join(str(part) for part in location) or "the file"
    kind = item["type"]
    if kind == "extra_forbidden":
        return Fault(
            "CT-CONTENT-005",
            place,
            f"'{name}' is not a known key.",
            "Check the spelling against the spec in docs/content.md.",
        )
    if kind == "missing":
        return Fault("CT-CONTENT-006", place, f"'{name}' is missing.", "Add it.")
    message = item["msg"].removeprefix("Value error, ").rstrip(".")
    return Fault("CT-CONTENT-007", place, f"'{name}': {message}.", "")


def _by_line(fault: Fault) -> tuple[str, int]:
    match = re.search(r":(\d+)$", fault.where)
    return (fault.where[: match.start()], int(match.group(1))) if match else (fault.where, 0)


# ------------------------------------------------------------------------------------------------------------------- rooms


class Content:
    """The content rooms in force: a base and overlays over it.

    An overlay may add files; it may replace a file only if the new file says ``supersedes: sha256:<digest of the old>``.
    Its `content.yaml` may drop whole shipped rooms, so that another city's register stands alone.
    """

    def __init__(self, base: Path, overlays: tuple[Path, ...] = ()) -> None:
        self.base = base
        self.overlays = overlays
        self._files = self._collect()

    @classmethod
    def resolve(cls, *overlays: Path | str) -> Content:
        """Find the rooms: overlays given here, else `CREDIT_TIER_CONTENT`, over the checkout or the wheel's copy.

        The working directory is never looked at.

        Raises
        ------
        UsageError (CT-CONTENT-010) if an overlay is not a folder.
        """
        chosen = [Path(item) for item in overlays]
        if not chosen and os.environ.get("CREDIT_TIER_CONTENT"):
            chosen = [Path(item) for item in os.environ["CREDIT_TIER_CONTENT"].split(os.pathsep) if item]
        for folder in chosen:
            if not folder.is_dir():
                raise UsageError.of(
                    "CT-CONTENT-010",
                    where=str(folder),
                    what="there is no such content folder.",
                    advice="Give a folder that holds data_schemas/, models/, pipelines/ or rule_packs/.",
                )
        return cls(_base_folder(), tuple(chosen))

    @classmethod
    def shipped(cls) -> Content:
        """Return the shipped rooms alone, whatever the environment says."""
        return cls(_base_folder())

    def _collect(self) -> dict[tuple[str, str], ContentFile]:
        files = dict(_walk(self.base))
        for overlay in self.overlays:
            manifest = self._manifest(overlay)
            files = {key: item for key, item in files.items() if key[0] in manifest.inherits}
            added = dict(_walk(overlay))
            faults = []
            for key, item in added.items():
                old = files.get(key)
                if old is None or old.digest == item.digest:
                    continue
                if f"supersedes: sha256:{old.digest}" not in item.path.read_text(encoding="utf-8"):
                    faults.append(
                        Fault(
                            "CT-CONTENT-011",
                            str(item.path),
                            f"this would replace the shipped {item.label}.",
                            f"Give it another name, or write 'supersedes: sha256:{old.digest}' in it, or leave the room out of 'inherits' in {MANIFEST}.",
                        )
                    )
            if faults:
                raise ContentError(*faults)
            files.update(added)
        return files

    @staticmethod
    def _manifest(overlay: Path) -> ContentManifest:
        path = overlay / MANIFEST
        if not path.is_file():
            return ContentManifest(title_zh=overlay.name)
        manifest = parse(_text(path), ContentManifest, where=str(path))
        unknown = sorted(set(manifest.inherits) - set(ROOMS))
        if unknown:
            raise ContentError.of(
                "CT-CONTENT-012",
                where=str(path),
                what=f"no such room: {', '.join(unknown)}.",
                advice=f"Rooms are {', '.join(ROOMS)}.",
            )
        return manifest

    def files(self, room: str, *, under: str = "", suffix: str = ".yaml") -> list[ContentFile]:
        """Return the files of a room, sorted by name; `under` narrows to a sub-folder."""
        prefix = f"{under.rstrip('/')}/" if under else ""
        return [
            item
            for (owner, name), item in sorted(self._files.items())
            if owner == room and name.startswith(prefix) and PurePosixPath(name).suffix == suffix
        ]

    def file(self, room: str, name: str) -> ContentFile:
        """Return one file of a room.

        Raises
        ------
        ContentError (CT-CONTENT-013) if the room holds no such file; the message lists what it holds.
        """
        found = self._files.get((room, name))
        if found is None:
            there = ", ".join(item.name for item in self.files(room, suffix=PurePosixPath(name).suffix)) or "nothing"
            raise ContentError.of(
                "CT-CONTENT-013",
                where=f"{room}/{name}",
                what="there is no such file in the content.",
                advice=f"The room holds: {there}.",
            )
        return found

    def load(self, room: str, name: str, spec: type[S]) -> S:
        """Return one file of a room as a spec, strictly read."""
        item = self.file(room, name)
        return parse(_text(item.path), spec, where=item.label)

    def text(self, room: str, name: str) -> str:
        """Return one file of a room as text, for instance a model card."""
        return _text(self.file(room, name).path)

    def digest(self, *rooms: str) -> str:
        """Return one digest over the files of the given rooms, or of all."""
        wanted = rooms or ROOMS
        return combined_digest((item.label, item.digest) for item in self._files.values() if item.room in wanted)


def _walk(root: Path) -> Iterator[tuple[tuple[str, str], ContentFile]]:
    for room in ROOMS:
        for path in sorted((root / room).rglob("*")):
            if path.is_file() and path.suffix in {".yaml", ".md"} and not path.name.startswith("."):
                name = path.relative_to(root / room).as_posix()
                yield (room, name), ContentFile(room, name, path, sha256_hex(path.read_bytes()))


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ContentError.of(
            "CT-CONTENT-001", where=str(path), what="the file is not UTF-8.", advice="Save it as UTF-8."
        ) from error


def _base_folder() -> Path:
    checkout = Path(__file__).resolve().parents[2]
    if (
        (checkout / "pyproject.toml").is_file()
        and all((checkout / room).is_dir() for room in ROOMS)
        and Path(__file__).parent.parent.name == "src"
    ):
        return checkout
    shipped = resources.files("credit_tier") / "_content"
    if isinstance(shipped, Path) and shipped.is_dir():
        return shipped
    raise ContentError.of(
        "CT-CONTENT-014",
        where="credit_tier",
        what="the package came without its content rooms.",
        advice="Install the wheel again.",
    )
