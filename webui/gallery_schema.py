"""The gallery's index: a row of SQLite for each PNG in the outputs folder, and a full-text index of the prompts.

The promise: nothing here is precious. The files are the truth; an index that is deleted, damaged, of another version
or on a disk that takes no more is replaced, by a new file or by one in memory, and filled again from the files.
Seeds are stored as text: SQLite's integers end at 2^63−1. The full-text index is numbered by place, so that a page of
a search is read from its end, without sorting what was found.
"""

import json
import logging
import sqlite3
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeVar

from webui import search
from webui.search import Search

VERSION: Final = 4
"""An index of another version is thrown away and filled again from the files: that is every migration."""
T = TypeVar("T")

_SCHEMA: Final = """
CREATE TABLE files (
    path TEXT NOT NULL UNIQUE,  -- below outputs, with forward slashes
    mtime_ns INTEGER NOT NULL,
    size INTEGER NOT NULL,
    problem TEXT NOT NULL,      -- why the file is damaged; empty for a sound one
    copy INTEGER NOT NULL,      -- 1 when another file carries the same id and came first
    id TEXT NOT NULL,           -- empty for damaged files and pictures of other programs
    place INTEGER PRIMARY KEY,  -- what the gallery is sorted by: day, counter, second of making; see webui.search
    origin TEXT NOT NULL,
    seed TEXT NOT NULL,
    recipe TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    pixels_sha256 TEXT NOT NULL,
    created TEXT NOT NULL,
    parent TEXT NOT NULL,       -- id of the picture whose recipe or seed it came from; empty when there is none
    lineage TEXT NOT NULL,      -- what is kept beside the recipe, as JSON; empty when there is nothing
    owner TEXT NOT NULL         -- whose it is, where people are told apart; empty for nobody's
);
CREATE VIRTUAL TABLE words USING fts5(
    prompt, negative_prompt, facts, prefix = '1 2',
    tokenize = "unicode61 remove_diacritics 2 categories 'L* M* N* Co So'"
);
CREATE INDEX files_id ON files (id);
CREATE INDEX files_origin ON files (origin) WHERE origin != '';
CREATE INDEX files_parent ON files (parent) WHERE parent != '';
CREATE INDEX files_owner ON files (owner) WHERE owner != '';
"""
OWNED: Final = "owner = ? AND owner != ''"
"""The condition that a row is an owner's; its second half lets SQLite use the index, which leaves nobody's out."""
_DAMAGE: Final = ("SQLITE_CORRUPT", "SQLITE_NOTADB", "SQLITE_ERROR", "SQLITE_IOERR", "SQLITE_READONLY_DBMOVED")
_NEW_FILES: Final = 3
"""So many times in one run a damaged index becomes a new file; then the disk is to blame and memory must do."""
_log = logging.getLogger(__name__)


class Row(NamedTuple):
    """A row of the table, in the order of its columns."""

    path: str
    mtime_ns: int
    size: int
    problem: str = ""
    copy: int = 0
    id: str = ""
    place: int = 0
    origin: str = ""
    seed: str = ""
    recipe: str = ""
    fingerprint: str = ""
    pixels_sha256: str = ""
    created: str = ""
    parent: str = ""
    lineage: str = ""
    owner: str = ""


class DamagedRow(sqlite3.DatabaseError):
    """A row does not hold what was written into it; SQLite has no checksums and cannot tell by itself."""


class Index:
    """The connection to the index, shared by all threads, one at a time."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.RLock()
        self._replaced = 0
        try:
            self._connection = self._open()
        except sqlite3.DatabaseError as error:
            self._connection = self._replacement(error)

    def run(self, work: Callable[[sqlite3.Connection], T], writes: bool = False) -> T:
        """Do some work in one transaction; raise sqlite3.DatabaseError when the index cannot do it."""
        with self._lock, self._connection:
            self._connection.execute("BEGIN IMMEDIATE" if writes else "BEGIN")
            return work(self._connection)

    def replace(self, error: sqlite3.DatabaseError) -> None:
        """Begin a new, empty index because of ``error``."""
        with self._lock:
            self._connection.close()
            self._connection = self._replacement(error)

    def close(self) -> None:
        """Close the connection."""
        with self._lock:
            self._connection.close()

    def _replacement(self, error: sqlite3.DatabaseError) -> sqlite3.Connection:
        """Put a damaged index aside and open a new one; an index that only cannot be written gives way to memory."""
        name = getattr(error, "sqlite_errorname", None) or ""
        if self._replaced < _NEW_FILES and (isinstance(error, DamagedRow) or name.startswith(_DAMAGE)):
            self._replaced += 1
            _log.warning("The index %s is damaged (%s); it is built again from the pictures.", self.path, error)
            with suppress(OSError, sqlite3.DatabaseError):
                self._put_aside()
                return self._open()
        _log.warning("The index %s cannot be used (%s); this run keeps it in memory.", self.path, error)
        return _prepared(sqlite3.connect(":memory:", check_same_thread=False, isolation_level=None))

    def _put_aside(self) -> None:
        free = (self.path.with_name(f"{self.path.name}.corrupt-{number}") for number in range(1, 4))
        target = next((path for path in free if not path.exists()), self.path.with_name(f"{self.path.name}.corrupt-3"))
        if self.path.exists():
            self.path.replace(target)
        self._drop_companions()

    def _drop_companions(self) -> None:
        for ending in ("-wal", "-shm"):
            self.path.with_name(self.path.name + ending).unlink(missing_ok=True)

    def _open(self) -> sqlite3.Connection:
        with suppress(OSError):  # connect then says what is wrong
            self.path.parent.mkdir(parents=True, exist_ok=True)
        connection = self._connect()
        try:
            if connection.execute("PRAGMA user_version").fetchone()[0] not in (0, VERSION):
                connection.close()
                with suppress(OSError):
                    self.path.unlink()
                    self._drop_companions()
                connection = self._connect()
            return _prepared(connection)
        except sqlite3.DatabaseError:
            connection.close()
            raise

    def _connect(self) -> sqlite3.Connection:
        return sqlite3.connect(self.path, timeout=5, check_same_thread=False, isolation_level=None)


def _prepared(connection: sqlite3.Connection) -> sqlite3.Connection:
    """Set a connection up and create the table where it is missing, one process at a time."""
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = NORMAL")
    if connection.execute("PRAGMA user_version").fetchone()[0] != VERSION:
        connection.executescript(
            "BEGIN IMMEDIATE; DROP TABLE IF EXISTS files; DROP TABLE IF EXISTS words;"
            + _SCHEMA
            + f"PRAGMA user_version = {VERSION}; COMMIT;"
        )
    for table in ("files", "words"):
        connection.execute(f"SELECT * FROM {table} LIMIT 1").fetchone()
    return connection


# What is asked of the index: each takes a connection that is inside a transaction.


def stamps(db: sqlite3.Connection) -> dict[str, tuple[int, int]]:
    """Return mtime and size of every file that the index knows."""
    return {path: (mtime, size) for path, mtime, size in db.execute("SELECT path, mtime_ns, size FROM files")}


def ids(db: sqlite3.Connection) -> set[str]:
    """Return the ids of all records."""
    return {id for (id,) in db.execute("SELECT id FROM files WHERE id != ''")}


def put(db: sqlite3.Connection, rows: list[Row]) -> None:
    """Insert or replace rows, then say which of several files with one id is the record: the first.

    A place that is taken gives way to the next: a copy of a file stands beside it.
    """
    touched = _remove(db, [row.path for row in rows]) | {row.id for row in rows}
    marks = ", ".join("?" * len(Row._fields))
    for row in rows:
        place = row.place
        while db.execute("SELECT 1 FROM files WHERE place = ?", (place,)).fetchone():
            place += 1
        db.execute(f"INSERT INTO files VALUES ({marks})", row._replace(place=place))
        if row.id:
            db.execute("INSERT INTO words (rowid, prompt, negative_prompt, facts) VALUES (?, ?, ?, ?)",
                       (place, *search.indexed(json.loads(row.recipe))))  # fmt: skip
    _mark_copies(db, touched)


def drop(db: sqlite3.Connection, paths: list[str]) -> None:
    """Forget files."""
    _mark_copies(db, _remove(db, paths))


def _remove(db: sqlite3.Connection, paths: list[str]) -> set[str]:
    """Delete the rows of files with their words; return their ids."""
    found = [one for path in paths for one in db.execute("SELECT place, id FROM files WHERE path = ?", (path,))]
    for table in ("words", "files"):
        db.executemany(f"DELETE FROM {table} WHERE rowid = ?", [(place,) for place, _ in found])
    return {id for _, id in found}


def _mark_copies(db: sqlite3.Connection, touched: set[str]) -> None:
    first = (
        "SELECT other.path FROM files other WHERE other.id = files.id ORDER BY other.place >> 17, other.path LIMIT 1"
    )
    query = f"UPDATE files SET copy = 1 - copy WHERE id = ? AND copy != (path != ({first}))"
    db.executemany(query, [(id,) for id in touched if id])


def select(db: sqlite3.Connection, where: str, values: tuple[Any, ...], limit: int) -> list[Row]:
    """Return records, newest first; ``where`` is a condition written in this package, never a person's text."""
    query = f"SELECT * FROM files WHERE id != '' AND copy = 0 AND {where} ORDER BY place DESC LIMIT ?"
    return [Row(*row) for row in db.execute(query, (*values, limit))]


def find(db: sqlite3.Connection, wanted: Search, before: str | None, limit: int) -> list[Row]:
    """Return the records that a search finds, newest first; ``before`` is the id of the last of the page before."""
    match, (low, high) = wanted.match, wanted.places
    if before is not None:
        high = min(
            high, next(iter(db.execute("SELECT place FROM files WHERE id = ? AND copy = 0", (before,))), (0,))[0] - 1
        )
    if match is None:
        return []
    values: list[Any] = [low, high]
    chosen, source, number = "", "files", "files.place"
    if match:
        source, number = "words CROSS JOIN files ON files.place = words.rowid", "words.rowid"
        chosen += " AND words MATCH ?"
        values.append(match)
    if wanted.among is not None:  # the + keeps SQLite from asking the full-text index once for each of them
        number_of = "SELECT place FROM files WHERE id IN (SELECT value FROM json_each(?))"
        chosen += f" AND {'+' if match else ''}{number} IN ({number_of})"
        values.append(json.dumps([*wanted.among]))
    if wanted.owner:
        chosen += f" AND {OWNED}"
        values.append(wanted.owner)
    query = (
        f"SELECT files.* FROM {source} WHERE {number} BETWEEN ? AND ?{chosen} AND id != '' AND copy = 0 "
        f"ORDER BY {number} DESC LIMIT ?"
    )
    return [Row(*row) for row in db.execute(query, (*values, limit))]


def damaged(db: sqlite3.Connection) -> list[tuple[str, str]]:
    """Return the damaged files and why they are."""
    return db.execute("SELECT path, problem FROM files WHERE problem != '' ORDER BY path").fetchall()


def count(db: sqlite3.Connection, owner: str = "") -> int:
    """Count the records, of one owner where one is named."""
    query = f"SELECT count(*) FROM files WHERE id != '' AND copy = 0{f' AND {OWNED}' if owner else ''}"
    return int(db.execute(query, (owner,) if owner else ()).fetchone()[0])
