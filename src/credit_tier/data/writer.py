"""Writing the lake so that it is never half-written: temporary sibling, fsync, rename; the manifest last.

Parts are named by the SHA-256 of their bytes and never change.
A run that dies leaves files that no manifest names; the next run sweeps them away.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from credit_tier.canonical import file_digest
from credit_tier.data.lake import CODES, MANIFEST, QUARANTINE, FileEntry, Manifest, read_manifest
from credit_tier.errors import LakeError
from credit_tier.files import sync_folder, write_text

if TYPE_CHECKING:
    import polars as pl

LOCK = ".lock"
SCRATCH = ".tmp-scratch"
ROWS_PER_GROUP = 250_000

_OURS = re.compile(r"^(\.tmp-.*|part-[0-9a-f]{64}\.parquet)$")
_OUR_QUARANTINE = re.compile(r"^(\.tmp-.*|[a-z0-9_]+-[0-9a-f]{16}-[0-9a-f]{8}\.parquet)$")


class LakeWriter:
    """Exclusive right to write one lake; a context manager.

    Raises
    ------
    LakeError : CT-LAKE-005 if another process is writing, CT-LAKE-008 if the folder holds something that is no lake.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.manifest: Manifest | None = None
        self._lock: int | None = None

    def __enter__(self) -> Self:
        if self.path.exists() and not self.path.is_dir():
            raise self._no_lake()
        self.path.mkdir(parents=True, exist_ok=True)
        manifest = read_manifest(self.path)
        if manifest is None and any(not _leftover(item) for item in self.path.iterdir()):
            raise self._no_lake()
        self._lock = os.open(self.path / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(self._lock)
            self._lock = None
            raise LakeError.of(
                "CT-LAKE-005",
                where=str(self.path),
                what="another process is writing this lake.",
                advice="Wait until it ends and try again.",
            ) from error
        self.manifest = read_manifest(self.path)
        self._sweep()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._lock is not None:
            shutil.rmtree(self.path / SCRATCH, ignore_errors=True)
            os.close(self._lock)
            self._lock = None

    @contextmanager
    def scratch(self) -> Iterator[Path]:
        """Give an empty folder for what has to wait on disk; it is deleted at the end."""
        home = self.path / SCRATCH
        home.mkdir()
        try:
            yield home
        finally:
            shutil.rmtree(home)

    def _no_lake(self) -> LakeError:
        return LakeError.of(
            "CT-LAKE-008",
            where=str(self.path),
            what="this is not a lake, and it is not empty.",
            advice="Give a new or empty folder.",
        )

    def put_part(self, folder: str, frame: pl.DataFrame) -> FileEntry:
        """Write one part named by its content and return its entry; the same rows give the same bytes."""
        return self._put(folder, frame.rechunk(), lambda digest: f"part-{digest}.parquet")

    def put_quarantine(self, table: str, delivery: str, frame: pl.DataFrame) -> FileEntry:
        """Write the rejected rows of one table of one delivery and return the entry of the file."""
        return self._put(QUARANTINE, frame, lambda digest: f"{table}-{delivery[:16]}-{digest[:8]}.parquet")

    def _put(self, folder: str, frame: pl.DataFrame, name: _Namer) -> FileEntry:
        home = self.path / folder
        if not home.is_dir():
            home.mkdir()
            sync_folder(self.path)
        temporary = home / ".tmp-part.parquet"
        frame.write_parquet(
            temporary, compression="zstd", compression_level=3, row_group_size=ROWS_PER_GROUP, statistics=True
        )
        with temporary.open("rb") as stream:
            os.fsync(stream.fileno())
        digest = file_digest(temporary)
        size = temporary.stat().st_size
        target = home / name(digest)
        temporary.replace(target)
        sync_folder(home)
        return FileEntry(name=f"{folder}/{target.name}", bytes=size, rows=frame.height, sha256=digest)

    def commit(self, manifest: Manifest) -> None:
        """Make a manifest the lake's state; before this line the old state holds, after it the new one."""
        write_text(self.path / MANIFEST, manifest.text())
        self.manifest = manifest

    def _sweep(self) -> None:
        """Remove files of our own making that the manifest does not name.

        Parts that the last commit replaced are kept until the next run, so that an open reader does not lose them.
        """
        named = {item.name for item in self.manifest.files()} if self.manifest else set()
        for item in sorted(self.path.glob(f".tmp-{MANIFEST}-*")):
            item.unlink()
        if (self.path / SCRATCH).exists():
            shutil.rmtree(self.path / SCRATCH)
        for home in sorted(item for item in self.path.iterdir() if item.is_dir()):
            ours = _OUR_QUARANTINE if home.name == QUARANTINE else _OURS
            for item in sorted(home.iterdir()):
                if ours.match(item.name) and f"{home.name}/{item.name}" not in named:
                    item.unlink()


if TYPE_CHECKING:
    from collections.abc import Callable

    _Namer = Callable[[str], str]


def _leftover(item: Path) -> bool:
    """Return whether a first run that died before its commit may have left this behind."""
    if item.name in {LOCK, SCRATCH} or item.name.startswith(f".tmp-{MANIFEST}-"):
        return True
    if not item.is_dir():
        return False
    ours = _OUR_QUARANTINE if item.name == QUARANTINE else _OURS
    return (item.name == CODES or not item.name.startswith(".")) and all(
        ours.match(inner.name) for inner in item.iterdir()
    )
