"""Favourites: the pictures that a person has marked, by their ids.

The promise: a mark is on the disk when ``mark`` returns, and no crash and no rebuilt index takes it away. They are no
part of a picture's file, so they have one of their own, ``favourites.json`` in the data folder: an object of version 1
with the ids and the time of each mark. One that cannot be read is never written over.
"""

import json
import logging
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from webui import durable
from webui.errors import StorageError

VERSION: Final = 1
_log = logging.getLogger(__name__)


class Favourites:
    """The marks in a file. Any thread may use it; another process's marks are seen at the next look."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()
        self._known: tuple[tuple[int, int], dict[str, str]] | None = None

    def ids(self) -> frozenset[str]:
        """Return the ids of the favourites; none when the file cannot be read."""
        try:
            with self._lock:
                return frozenset(self._read())
        except StorageError as error:
            _log.warning("%s", error)
            return frozenset()

    def mark(self, id: str, wanted: bool) -> None:
        """Mark a picture or take its mark away; raise StorageError when that cannot be kept."""
        with self._lock:
            marks = dict(self._read())
            if wanted == (id in marks):
                return
            if wanted:
                marks[id] = datetime.now(UTC).isoformat(timespec="seconds")
            else:
                del marks[id]
            text = json.dumps({"version": VERSION, "favourites": marks}, indent=0)
            durable.overwrite(self.path, text.encode(), "The mark")

    def _read(self) -> dict[str, str]:
        """Read the file when it is not the one that was read last."""
        try:
            stat = self.path.stat()
            stamp = (stat.st_mtime_ns, stat.st_ino)
            if self._known is None or self._known[0] != stamp:
                data = json.loads(self.path.read_text(encoding="utf-8"))
                if data["version"] != VERSION:
                    raise ValueError(f"it has version {data['version']}, this program reads {VERSION}")
                self._known = stamp, {str(id): str(when) for id, when in data["favourites"].items()}
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
            raise StorageError(
                f"The favourites in {self.path} cannot be read: {error}. Mend the file, or move it away to begin anew."
            ) from error
        return self._known[1]
