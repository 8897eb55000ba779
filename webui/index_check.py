"""The index against the files: rows without a file, files without a row, rows that say other than their file.

The promise: the index is opened read-only and nothing is created beside it, also while a server writes to it. The
files are the truth, so whatever is found here is mended by building the index again.
"""

import sqlite3
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import quote

from webui import gallery_schema as schema
from webui.errors import ReseedError
from webui.gallery_schema import Row
from webui.png import PictureText
from webui.png_structure import Found
from webui.recipe import Recipe

FRESH: Final = 60.0
"""Seconds for which what is unfinished may belong to a picture that is being saved; saving takes milliseconds."""

_MEND: Final = "`webui verify --rebuild-index` mends it."


@dataclass(frozen=True, slots=True)
class File:
    """What is known of a file on disk; ``text`` is None when it is not ``whole`` or carries no recipe."""

    mtime_ns: int
    size: int
    whole: bool
    text: PictureText | None


Against = tuple[Path, Found]


def compare(
    index: Path, outputs: Path, roots: Sequence[Path], files: Mapping[Path, File]
) -> tuple[int | None, list[Against]]:
    """Compare the rows below ``roots`` with ``files``: return how many rows there are and what is wrong.

    The number is None when there is no index, which is no problem: it is made when webui starts.
    """
    if not index.is_file():
        return None, []
    try:
        rows = {outputs / row.path: row for row in _rows(index)}
    except sqlite3.DatabaseError as error:
        return None, [(index, ("index-damaged", f"The index cannot be read: {error}. {_MEND}"))]
    rows = {path: row for path, row in rows.items() if any(path.is_relative_to(root) for root in roots)}
    found: list[Against] = []
    for path, row in rows.items():
        if (file := files.get(path)) is not None:
            found += [(path, one) for one in _row_against(row, file)]
        elif not path.exists():
            found.append((path, ("orphan-row", f"The index has it, but there is no such file. {_MEND}")))
    for path, file in files.items():
        fresh = 0 <= time.time() - file.mtime_ns / 1e9 <= FRESH  # a save writes the file first and then the row
        if path not in rows and path.is_relative_to(outputs) and not fresh and path.exists() and _can_be_held(path):
            found.append((path, ("orphan-file", f"It is not in the index. {_MEND}")))
    return len(rows), found


def _rows(index: Path) -> list[Row]:
    """Read every row. A finished index is opened as unchanging, or SQLite would leave files of its own beside it."""
    live = index.with_name(index.name + "-wal").exists()
    address = f"file:{quote(str(index))}?{'mode=ro' if live else 'immutable=1'}"
    with closing(sqlite3.connect(address, uri=True, timeout=5)) as db:
        (version,) = db.execute("PRAGMA user_version").fetchone()
        if version != schema.VERSION:
            raise sqlite3.DatabaseError(f"it has version {version}, this program reads {schema.VERSION}")
        return [Row(*row) for row in db.execute(f"SELECT {', '.join(Row._fields)} FROM files ORDER BY path")]


def _row_against(row: Row, file: File) -> Iterator[Found]:
    if (row.mtime_ns, row.size) != (file.mtime_ns, file.size):
        yield "stale-row", "The file changed after the index read it; webui looks again when it starts."
        return
    if not file.whole:
        return
    text = file.text
    if text is None or text.recipe is None or text.fingerprint is None:
        if row.id:
            yield "row-differs", f"The index has it as a picture with a recipe, the file has none. {_MEND}"
        return
    try:
        kept: Recipe | None = Recipe.from_json(row.recipe) if row.recipe else None
    except ReseedError:
        kept = None
    pairs = {
        "id": (row.id, text.id),
        "seed": (row.seed, str(text.recipe.seed)),
        "recipe": (kept, text.recipe),
        "pixels' hash": (row.pixels_sha256, text.pixels_sha256),
        "lineage": (
            (row.parent, row.owner, row.lineage),
            (text.lineage.parent, text.lineage.owner, text.lineage.to_json()),
        ),
    }
    differing = [name for name, (here, there) in pairs.items() if here != there]
    if differing:
        yield "row-differs", f"The index says other than the file: {', '.join(differing)}. {_MEND}"


def _can_be_held(path: Path) -> bool:
    """Tell whether a name is UTF-8; the index cannot hold others."""
    try:
        str(path).encode()
    except UnicodeEncodeError:
        return False
    return True
