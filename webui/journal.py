"""The journal: accepted jobs in SQLite, so that none is lost when the process or the machine dies.

The promise: when ``add`` returns, the job is on the disk (WAL, synchronous FULL); each change of a status is one
UPDATE that names the status it leaves, so that of two who try, one wins. One process works on a journal at a time.
Unlike the gallery's index it is precious: a newer version is refused, a damaged file is put aside, not deleted.
"""

import hashlib
import logging
import sqlite3
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from webui.errors import JobError, KeyReused, StorageError, shown
from webui.lineage import UNKNOWN, Lineage
from webui.recipe import Recipe

VERSION: Final = 3
KEPT_SECONDS: Final = 7 * 24 * 3600
KEPT_JOBS: Final = 10_000
MAX_PICTURES, MAX_KEY = 10_000, 255
"""Pictures in a job, characters in an idempotency key."""

_SCHEMA: Final = """
CREATE TABLE jobs (
    number INTEGER PRIMARY KEY AUTOINCREMENT,  -- the order, whatever the clock says
    id TEXT NOT NULL UNIQUE,
    key TEXT UNIQUE,                           -- idempotency key of whoever submitted it
    digest TEXT NOT NULL,                      -- of what was asked for: the same key must come with the same again
    status TEXT NOT NULL,
    seq INTEGER NOT NULL,
    error TEXT NOT NULL DEFAULT '',
    code TEXT NOT NULL DEFAULT '',
    created REAL NOT NULL,                     -- wall clock, for display and retention only
    ended REAL,
    lineage TEXT NOT NULL DEFAULT '',
    kind TEXT NOT NULL DEFAULT 'make',
    about TEXT NOT NULL DEFAULT ''
);
CREATE INDEX jobs_status ON jobs (status);
CREATE TABLE items (
    job TEXT NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,
    number INTEGER NOT NULL,
    recipe TEXT NOT NULL,
    origin TEXT NOT NULL,
    status TEXT NOT NULL DEFAULT 'pending',
    attempt INTEGER NOT NULL DEFAULT 0,
    record TEXT NOT NULL DEFAULT '',
    pixels_sha256 TEXT NOT NULL DEFAULT '',
    error TEXT NOT NULL DEFAULT '',
    PRIMARY KEY (job, number)
) WITHOUT ROWID;
"""
"""Of a job, ``lineage`` is what is kept beside the recipes, in no digest, and ``about`` how a sweep's pictures lie:
both are JSON."""
_MIGRATIONS: Final = {
    2: "ALTER TABLE jobs ADD COLUMN lineage TEXT NOT NULL DEFAULT '';",
    3: "ALTER TABLE jobs ADD COLUMN kind TEXT NOT NULL DEFAULT 'make';"
    "ALTER TABLE jobs ADD COLUMN about TEXT NOT NULL DEFAULT '';",
}
"""What brings a journal to a version from the one before."""
_ENDED: Final = "('succeeded', 'failed', 'canceled')"
_log = logging.getLogger(__name__)


Kind = Literal["make", "explore", "sweep"]
"""What becomes of a job's recipes: pictures; drafts, of which some are finished later; or pictures in a grid, where one
that cannot be made leaves its place empty and the others go on."""
Status = Literal["pending", "running", "canceling", "succeeded", "failed", "canceled"]
OPEN: Final[tuple[Status, ...]] = ("pending", "running", "canceling")
ENDED: Final[tuple[Status, ...]] = ("succeeded", "failed", "canceled")


@dataclass(frozen=True)
class Order:
    """What is asked of the queue: a recipe for each picture, where they came from, what becomes of them.

    Raises JobError for none, or too many.
    """

    recipes: tuple[Recipe, ...]
    lineage: Lineage = UNKNOWN
    kind: Kind = "make"
    about: str = ""

    def __post_init__(self) -> None:
        """Check the number of pictures."""
        if not 1 <= len(self.recipes) <= MAX_PICTURES:
            raise JobError(f"A job must have from 1 to {MAX_PICTURES} pictures; got {len(self.recipes)}.")

    @property
    def digest(self) -> str:
        """Name what an idempotency key must come with again: the recipes, and what is made of them."""
        told = [] if self.kind == "make" else [self.kind, self.about]
        return hashlib.sha256("".join([*told, *(recipe.digest() for recipe in self.recipes)]).encode()).hexdigest()


@dataclass(frozen=True)
class Key:
    """What makes an order idempotent: a text of the client's own, and the digest of what it asked for.

    An ``owner``'s keys are their own: another's of the same text are other keys.

    Without a digest that of the order counts. A request whose seeds are drawn needs one of its own: it comes to other
    recipes each time. Raises JobError for a text that cannot be kept.
    """

    text: str
    digest: str = ""
    owner: str = ""

    @property
    def kept(self) -> str:
        """The key as the journal keeps it."""
        return f"{self.owner}:{self.text}" if self.owner else self.text

    def __post_init__(self) -> None:
        """Check the text."""
        if not (self.text.isascii() and 1 <= len(self.text) <= MAX_KEY):
            raise JobError(
                f"An idempotency key must have from 1 to {MAX_KEY} ASCII characters; got {shown(self.text)}."
            )


@dataclass(frozen=True)
class Item:
    """One picture of a job; ``record`` is its id when it is made, or the key of its draft."""

    number: int
    recipe: str
    origin: str
    status: str
    attempt: int
    record: str
    error: str


@dataclass(frozen=True)
class Entry:
    """A job as the journal holds it."""

    id: str
    status: Status
    seq: int
    error: str
    code: str
    lineage: str
    kind: Kind
    about: str
    items: tuple[Item, ...]


class Journal:
    """The connection to ``jobs.db``, shared by all threads, one at a time."""

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()
        self._mutex = threading.RLock()
        self._claim: sqlite3.Connection | None = None
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._db = self._open()
        except sqlite3.OperationalError as error:  # locked, full, read-only: not damaged
            raise StorageError(f"The job journal {self.path} cannot be opened: {error}.") from error
        except sqlite3.DatabaseError as error:
            _log.error("The job journal %s is damaged (%s): it is put aside and a new one begun.", self.path, error)
            self._put_aside()
            self._db = self._open()
        except OSError as error:
            raise StorageError(f"The folder {self.path.parent} cannot be made: {error.strerror or error}.") from error

    def _open(self) -> sqlite3.Connection:
        db = sqlite3.connect(self.path, timeout=5, check_same_thread=False, isolation_level=None)
        try:
            db.execute("PRAGMA journal_mode = WAL")
            db.execute("PRAGMA synchronous = FULL")
            db.execute("PRAGMA foreign_keys = ON")
            if (found := db.execute("PRAGMA quick_check(1)").fetchone()[0]) != "ok":
                raise sqlite3.DatabaseError(found)
            version = db.execute("PRAGMA user_version").fetchone()[0]
            if version > VERSION:
                raise StorageError(
                    f"The job journal {self.path} has version {version}; this program knows version {VERSION}. "
                    "A newer Reseed wrote it: update, or move the file away to begin a new one."
                )
            if version < VERSION:
                steps = _SCHEMA if version == 0 else "".join(_MIGRATIONS[to] for to in range(version + 1, VERSION + 1))
                db.executescript(f"BEGIN IMMEDIATE; {steps} PRAGMA user_version = {VERSION}; COMMIT;")
        except (sqlite3.Error, StorageError):
            db.close()
            raise
        return db

    def _put_aside(self) -> None:
        number = 1
        while (target := self.path.with_name(f"{self.path.name}.corrupt-{number}")).exists():
            number += 1
        self.path.replace(target)
        for ending in ("-wal", "-shm"):
            with suppress(FileNotFoundError):
                self.path.with_name(self.path.name + ending).replace(target.with_name(target.name + ending))

    def claim(self) -> None:
        """Make this process the one that works on the journal; raise JobError when another one does.

        The claim is a lock on a file beside the journal: the system lifts it when the process dies, however it dies.
        To claim again what is claimed does nothing.
        """
        if self._claim is not None:
            return
        lock = sqlite3.connect(self.path.with_suffix(".lock"), timeout=2, check_same_thread=False, isolation_level=None)
        try:
            lock.execute("BEGIN EXCLUSIVE")
        except sqlite3.Error as error:
            lock.close()
            raise JobError(
                f"Another Reseed is at work on {self.path} ({error}). Stop it, or choose another --data-dir."
            ) from None
        self._claim = lock

    def close(self) -> None:
        """Close the journal and give up the claim."""
        with self._mutex:
            self._db.close()
            if self._claim is not None:
                self._claim.close()

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        try:
            with self._mutex, self._db:
                self._db.execute("BEGIN IMMEDIATE")
                yield self._db
        except sqlite3.Error as error:
            raise StorageError(f"The job journal {self.path} cannot be used: {error}. Is the disk full?") from error

    def add(self, job: str, order: Order, key: Key | None = None, *, seq: int = 1) -> None:
        """Write a new, pending job."""
        items = [(job, number, recipe.to_json(), origin(job, number)) for number, recipe in enumerate(order.recipes)]
        lineage = order.lineage.to_json()
        text, digest = (None, order.digest) if key is None else (key.kept, key.digest or order.digest)
        with self._transaction() as db:
            db.execute(
                "INSERT INTO jobs (id, key, digest, status, seq, created, lineage, kind, about) "
                "VALUES (?, ?, ?, 'pending', ?, ?, ?, ?, ?)",
                (job, text, digest, seq, time.time(), lineage, order.kind, order.about),
            )
            db.executemany("INSERT INTO items (job, number, recipe, origin) VALUES (?, ?, ?, ?)", items)

    def by_key(self, key: Key) -> str | None:
        """Return the job that was accepted with a key; raise KeyReused when its digest is another than the key's."""
        with self._transaction() as db:
            found = db.execute("SELECT id, digest FROM jobs WHERE key = ?", (key.kept,)).fetchone()
        if found is None:
            return None
        if key.digest and key.digest != found[1]:
            raise KeyReused(f"The key {shown(key.text)} was used for another job. Use a new key for new pictures.")
        return str(found[0])

    def load(self, job: str) -> Entry | None:
        """Return a job with its items in order."""
        with self._transaction() as db:
            query = "SELECT id, status, seq, error, code, lineage, kind, about FROM jobs WHERE id = ?"
            found = db.execute(query, (job,)).fetchone()
            if found is None:
                return None
            query = (
                "SELECT number, recipe, origin, status, attempt, record, error FROM items WHERE job = ? ORDER BY number"
            )
            items = tuple(Item(*row) for row in db.execute(query, (job,)))
        id, status, seq, error, code, lineage, kind, about = found
        return Entry(id, status, seq, error, code, lineage, kind, about, items)

    def unfinished(self) -> list[str]:
        """Return the ids of the jobs that have not ended, in order."""
        with self._transaction() as db:
            rows = db.execute(f"SELECT id FROM jobs WHERE status NOT IN {_ENDED} ORDER BY number")
            return [id for (id,) in rows]

    def move_job(  # noqa: PLR0913 — an edge and what is written with it
        self, job: str, sources: Sequence[str], target: str, *, seq: int, error: str = "", code: str = ""
    ) -> bool:
        """Take a job from one of ``sources`` to ``target``; False when it is in none of them.

        With a job that fails or is canceled, the pictures that were not begun are canceled, the one at work fails.
        """
        marks = ", ".join("?" * len(sources))
        with self._transaction() as db:
            moved = db.execute(
                f"UPDATE jobs SET status = ?, seq = ?, error = ?, code = ?, ended = ? "
                f"WHERE id = ? AND status IN ({marks})",
                (target, seq, error, code, time.time() if target in ENDED else None, job, *sources),
            ).rowcount
            if moved and target in ("failed", "canceled"):
                db.execute("UPDATE items SET status = 'canceled' WHERE job = ? AND status = 'pending'", (job,))
                db.execute(
                    "UPDATE items SET status = ?, error = ? WHERE job = ? AND status = 'running'", (target, error, job)
                )
        return bool(moved)

    def begin_item(self, job: str, number: int) -> bool:
        """Take a picture from pending to running and count the attempt."""
        return self._move_item(job, number, "pending", "status = 'running', attempt = attempt + 1")

    def release_item(self, job: str, number: int, counted: bool) -> bool:
        """Take a picture from running back to pending; an attempt that was not its fault is not ``counted``."""
        change = "status = 'pending'" + ("" if counted else ", attempt = attempt - 1")
        return self._move_item(job, number, "running", change)

    def finish_item(self, job: str, number: int, record: str, pixels_sha256: str) -> bool:
        """Take a picture from running to succeeded and note where it is."""
        change = "status = 'succeeded', record = ?, pixels_sha256 = ?"
        return self._move_item(job, number, "running", change, record, pixels_sha256)

    def fail_item(self, job: str, number: int, error: str) -> bool:
        """Take a picture from running to failed, with the sentence that says why."""
        return self._move_item(job, number, "running", "status = 'failed', error = ?", error)

    def _move_item(self, job: str, number: int, source: str, change: str, *values: str) -> bool:
        with self._transaction() as db:
            query = f"UPDATE items SET {change} WHERE job = ? AND number = ? AND status = ?"
            return bool(db.execute(query, (*values, job, number, source)).rowcount)

    def prune(self, now: float) -> int:
        """Forget jobs that ended more than KEPT_SECONDS ago or beyond the newest KEPT_JOBS; pictures stay."""
        with self._transaction() as db:
            return db.execute(
                f"DELETE FROM jobs WHERE status IN {_ENDED} AND (ended < ? OR number NOT IN "
                f"(SELECT number FROM jobs WHERE status IN {_ENDED} ORDER BY number DESC LIMIT ?))",
                (now - KEPT_SECONDS, KEPT_JOBS),
            ).rowcount


def origin(job: str, number: int) -> str:
    """Name what a picture is made for; it is written into the picture, so that a picture finds its job again.

    >>> origin("9f3c", 2)
    '9f3c:2'
    """
    return f"{job}:{number}"
