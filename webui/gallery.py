"""The gallery: pictures on disk, found again by what made them.

The promise: a picture that was reported as saved exists, is whole and carries its recipe, whenever the process or the
machine was killed; no existing file is ever overwritten; a bad file among the pictures never breaks anything, it is
listed as damaged. The PNGs are the truth; the SQLite index and the thumbnails can be deleted at any time.

Pictures lie in ``outputs/YYYY-MM-DD/00001-SEED.png``, a folder for each local day, numbered within it.
"""

import copy
import io
import json
import logging
import os
import re
import secrets
import shutil
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import partial
from pathlib import Path
from typing import Any, Final, Self, TypeVar

from PIL import Image

from webui import durable, png
from webui import gallery_schema as schema
from webui.errors import PictureError, ReseedError, StorageError
from webui.fingerprint import Fingerprint
from webui.gallery_schema import DamagedRow, Row
from webui.lineage import UNKNOWN, Lineage
from webui.pixels import MAX_PIXELS
from webui.recipe import Recipe
from webui.search import Search, place

RESERVE: Final = 64 * 1024 * 1024
"""Bytes that stay free on the disk beside twice the picture's size, so that journals and logs can still be written."""

_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}\Z")
_SURROGATE = re.compile("[\ud800-\udfff]")
_ODD: Final = "The file's name is not readable text: give it another."
_log = logging.getLogger(__name__)
T = TypeVar("T")


@dataclass(frozen=True)
class Record:
    """A saved picture: where it is and what made it.

    ``origin`` says for what it was made, such as ``JOB:INDEX``; ``lineage`` what its recipe came from.
    """

    id: str
    path: Path
    recipe: Recipe
    fingerprint: Fingerprint
    pixels_sha256: str
    created: str
    origin: str
    lineage: Lineage = UNKNOWN


@dataclass(frozen=True)
class Refreshed:
    """What a look at the files found: records that came and went, and every damaged file with the reason."""

    added: int
    removed: int
    damaged: tuple[tuple[Path, str], ...]


class Gallery:
    """Saves pictures and finds them again. Any thread may use it; with an ``owner`` it finds that owner's only."""

    owner = ""

    def __init__(self, outputs: Path, index: Path, thumbnails: Path) -> None:
        self.outputs = outputs.absolute()
        self.thumbnails = thumbnails.absolute()
        self._index = schema.Index(index.absolute())
        self._saving = threading.Lock()
        self._newest = (Path(), 0, 0)  # the folder that was written into last, when it changed, the last number in it
        self._refreshing = threading.RLock()

    def of(self, owner: str) -> Self:
        """Return the same gallery as an owner sees it: others' pictures are not there. An empty owner sees all."""
        seen = copy.copy(self)
        seen.owner = owner
        return seen

    def save(
        self,
        image: Image.Image,
        recipe: Recipe,
        fingerprint: Fingerprint,
        origin: str = "",
        lineage: Lineage = UNKNOWN,
    ) -> Record:
        """Save a picture durably, then return its record; the recipe's hashes become those of the files used.

        Raises StorageError when the disk is full or cannot be written; then no partial file is left.
        """
        pinned = recipe.pinned(fingerprint)
        id, created = secrets.token_hex(16), datetime.now(UTC).isoformat(timespec="microseconds")
        pixels = png.pixels_sha256(image)
        texts = png.texts_of(
            pinned, fingerprint, pixels_sha256=pixels, id=id, origin=origin, created=created, lineage=lineage
        )
        path = self._write(png.encode(image, texts), recipe.seed)
        record = Record(id, path, pinned, fingerprint, pixels, created, origin, lineage)
        with suppress(OSError, StorageError):  # moved already, or closed: the next refresh finds it
            row = self._row(record, (stat := path.stat()).st_mtime_ns, stat.st_size)
            self._ask(partial(schema.put, rows=[row]), writes=True)
        return record

    def add(self, path: Path) -> None:
        """Take a file that came into the outputs folder into the index; one that is not there is left out."""
        with suppress(OSError):
            stat = path.stat()
            row = self._read(self._below(path.absolute()), stat.st_mtime_ns, stat.st_size)
            self._ask(partial(schema.put, rows=[row]), writes=True)

    def get(self, id: str) -> Record | None:
        """Return a record by its id; None when there is none or its file is gone."""
        return next(iter(self._find("id = ?", (id,))), None)

    def by_path(self, path: Path) -> Record | None:
        """Return the record of a file in the outputs folder."""
        if not path.absolute().is_relative_to(self.outputs):
            return None
        return next(iter(self._find("path = ?", (self._below(path.absolute()),))), None)

    def find_origin(self, origin: str) -> Record | None:
        """Return the newest picture made for ``origin``."""
        return next(iter(self._find("origin = ? AND origin != ''", (origin,))), None)

    def children(self, id: str, limit: int = 50) -> list[Record]:
        """Return the pictures that came from a picture, newest first; see ``Lineage.parent``."""
        return self._find("parent = ? AND parent != ''", (id,), limit)

    def recent(self, limit: int = 50, before: str | None = None) -> list[Record]:
        """Return records, newest first; ``before`` is the id of the last one of the page before."""
        return self.search(Search(), limit, before)

    def search(self, wanted: Search, limit: int = 50, before: str | None = None) -> list[Record]:
        """Return what a search finds, newest first; ``before`` is the id of the last one of the page before."""
        mine = wanted.but(owner=self.owner) if self.owner else wanted
        return self._present(lambda db: schema.find(db, mine, before, max(0, limit)))

    def count(self) -> int:
        """Count the records."""
        return self._ask(partial(schema.count, owner=self.owner))

    def refresh(self) -> Refreshed:
        """Bring the index up to date with the files, reading only those that changed; remove leftovers of a crash."""
        return self._update(everything=False)

    def rebuild(self) -> Refreshed:
        """Read every file again."""
        return self._update(everything=True)

    def close(self) -> None:
        """Close the index."""
        self._index.close()

    def thumbnail(self, record: Record, size: int = 256) -> Path:
        """Return a small WebP of a picture, made when it is first asked for: ``size`` pixels (16 to 1024) at most.

        Raises PictureError when the picture is damaged, StorageError when the thumbnail cannot be written.
        """
        size = min(max(size, 16), 1024)
        target = self.thumbnails / f"{record.id}-{size}.webp"
        if target.exists():
            return target
        durable.replace(target, _small(record.path, size), "The thumbnail")
        return target

    def has_room(self) -> bool:
        """Say whether the disk of the outputs has room for more; True while that cannot be asked."""
        try:
            return shutil.disk_usage(self.outputs).free >= 2 * RESERVE
        except OSError:  # the folder is gone: it is made anew with the next picture
            return True

    # Writing

    def _write(self, data: bytes, seed: int) -> Path:
        folder = self.outputs / date.today().isoformat()
        try:
            if not folder.is_dir():
                folder.mkdir(parents=True, exist_ok=True)
                durable.sync(self.outputs)
            need, free = 2 * len(data) + RESERVE, shutil.disk_usage(folder).free
            if free < need:
                raise StorageError(
                    f"The picture was not saved: the disk of {self.outputs} has {free >> 20} MB left and "
                    f"{need >> 20} MB are needed. Free some space, then generate again."
                )
            with self._saving:
                try:
                    path = durable.write_new(folder, data, seed, self._last(folder))
                except FileNotFoundError:  # the folder or the unfinished file was removed meanwhile: once more
                    folder.mkdir(parents=True, exist_ok=True)
                    path = durable.write_new(folder, data, seed)
                self._newest = (folder, folder.stat().st_mtime_ns, durable.number(path.name))
                return path
        except OSError as error:
            raise StorageError(durable.sentence(error, "The picture", folder)) from error

    def _last(self, folder: Path) -> int:
        """Return the last number in a folder that nobody changed since it was written into, else 0."""
        before, changed, number = self._newest
        return number if folder == before and folder.stat().st_mtime_ns == changed else 0

    # The index

    def _ask(self, question: Callable[[sqlite3.Connection], T], writes: bool = False) -> T:
        """Ask the index; when it cannot answer, fill a new one from the files and ask that."""
        try:
            return self._index.run(question, writes)
        except sqlite3.ProgrammingError:
            raise StorageError("The gallery is closed: the program is shutting down.") from None
        except sqlite3.DatabaseError as error:
            self._index.replace(error)
            self.refresh()
            return self._index.run(question, writes)

    def _find(self, where: str, values: tuple[Any, ...], limit: int = 1) -> list[Record]:
        if self.owner:
            where, values = f"{where} AND {schema.OWNED}", (*values, self.owner)
        return self._present(lambda db: schema.select(db, where, values, max(0, limit)))

    def _present(self, question: Callable[[sqlite3.Connection], list[Row]]) -> list[Record]:
        """Return records whose files are there; rows of vanished files are dropped on the way."""
        while True:
            try:
                records = self._ask(lambda db: {row.path: self._record(row) for row in question(db)})
            except UnicodeEncodeError:  # a lone surrogate: no file and no id has one
                return []
            gone = [path for path, record in records.items() if not record.path.is_file()]
            if not gone:
                return list(records.values())
            self._ask(partial(schema.drop, paths=gone), writes=True)

    def _update(self, everything: bool) -> Refreshed:
        with self._refreshing:
            # The order matters: what is saved after this line is neither missed nor taken for removed.
            known = self._ask(schema.stamps)
            seen = {self._below(Path(entry)): (stat.st_mtime_ns, stat.st_size) for entry, stat in self._scan()}
            odd = [path for path in seen if _SURROGATE.search(path)]  # Linux allows names that are no UTF-8
            for path in odd:
                del seen[path]
            gone = [path for path in known if path not in seen and not (self.outputs / path).exists()]
            changed = [path for path, stamp in seen.items() if everything or known.get(path) != stamp]
            rows = [self._read(path, *seen[path]) for path in changed]

            def apply(db: sqlite3.Connection) -> tuple[set[str], set[str]]:
                before = schema.ids(db)
                schema.drop(db, gone)
                schema.put(db, rows)
                return before, schema.ids(db)

            before, after = self._ask(apply, writes=True) if gone or rows else (set(), set())
            self._drop_thumbnails(before - after)
            problems = [*self._ask(schema.damaged), *((path, _ODD) for path in odd)]
            damaged = tuple((self.outputs / path, problem) for path, problem in problems)
            return Refreshed(len(after - before), len(before - after), damaged)

    def _scan(self) -> Iterator[tuple[str, os.stat_result]]:
        """Yield every PNG below outputs and remove what a killed process left; links are not followed."""
        folders = [str(self.outputs)]
        while folders:
            try:
                entries = list(os.scandir(folders.pop()))
            except OSError as error:
                if not isinstance(error, FileNotFoundError):
                    _log.warning("A folder of pictures cannot be read: %s", error)
                continue
            for entry in entries:
                with suppress(OSError):  # vanished between the listing and here
                    if entry.is_symlink():
                        continue
                    if durable.TEMPORARY.match(entry.name):
                        self._remove_leftover(Path(entry.path))
                    elif entry.name.startswith("."):
                        continue
                    elif entry.is_dir():
                        folders.append(entry.path)
                    elif entry.name.lower().endswith(".png") and entry.is_file():
                        yield entry.path, entry.stat()

    def _remove_leftover(self, path: Path) -> None:
        with self._saving:  # never the file that another thread is writing
            path.unlink(missing_ok=True)

    def _drop_thumbnails(self, ids: set[str]) -> None:
        if ids and self.thumbnails.is_dir():
            for path in self.thumbnails.iterdir():
                if path.name.rpartition("-")[0] in ids:
                    with suppress(OSError):
                        path.unlink()

    def _below(self, path: Path) -> str:
        return path.relative_to(self.outputs).as_posix()

    def _read(self, below: str, mtime_ns: int, size: int) -> Row:
        """Read a file for the index; a damaged one becomes a row that says so, another program's an empty one."""
        path = self.outputs / below
        other = Row(below, mtime_ns, size, place=_place(path, ""))
        try:
            text = png.read(path, whole=True)
        except png.NoRecipe:
            return other
        except ReseedError as error:
            return other._replace(problem=str(error))
        if text.recipe is None or text.fingerprint is None or text.pixels_sha256 is None:
            return other
        made = (text.recipe, text.fingerprint, text.pixels_sha256, text.created, text.origin, text.lineage)
        record = Record(text.id, path, *made)
        return self._row(record, mtime_ns, size)

    def _row(self, record: Record, mtime_ns: int, size: int) -> Row:
        return Row(
            path=self._below(record.path),
            mtime_ns=mtime_ns,
            size=size,
            id=record.id,
            place=_place(record.path, record.created),
            origin=record.origin,
            seed=str(record.recipe.seed),
            recipe=record.recipe.to_json(),
            fingerprint=json.dumps(record.fingerprint.to_dict()),
            pixels_sha256=record.pixels_sha256,
            created=record.created,
            parent=record.lineage.parent,
            lineage=record.lineage.to_json(),
            owner=record.lineage.owner,
        )

    def _record(self, row: Row) -> Record:
        try:
            recipe = Recipe.from_json(row.recipe)
            fingerprint = Fingerprint.from_dict(json.loads(row.fingerprint))
            lineage = Lineage.from_json(row.lineage)
        except (ReseedError, ValueError) as error:
            raise DamagedRow(f"the row of {row.path} is not readable: {error}") from None
        if row.owner != lineage.owner:
            raise DamagedRow(f"the row of {row.path} names another owner than its lineage")
        path = self.outputs / row.path
        return Record(row.id, path, recipe, fingerprint, row.pixels_sha256, row.created, row.origin, lineage)


def _place(path: Path, created: str) -> int:
    day, name = path.parent.name, durable.NUMBERED.match(path.name)
    return place(day if _DAY.match(day) else created[:10], int(name[1]) if name else 0, created)


def _small(path: Path, size: int) -> bytes:
    buffer = io.BytesIO()
    try:
        with Image.open(path, formats=["PNG"]) as image:
            if image.width * image.height > MAX_PIXELS:
                raise PictureError(f"{path.name} is too large for a thumbnail: {image.width}×{image.height} pixels.")
            image.thumbnail((size, size))
            image.convert("RGB").save(buffer, "WEBP", quality=82)
    except FileNotFoundError:
        raise PictureError(f"{path.name} is no longer there: it was moved or deleted.") from None
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise PictureError(f"{path.name} is damaged: {error}.") from error
    return buffer.getvalue()
