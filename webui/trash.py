"""The trash: pictures that a person deleted, until the person empties it.

The promise: deleting moves a file and changes nothing in it; putting it back never overwrites another; the program
deletes nothing in it. A file lies in ``outputs/.trash/ID/`` below the path that it had in outputs: on the same disk,
and where neither the gallery nor ``webui verify`` looks; where people are told apart, each has a ``.trash-OWNER``. To
empty it is to delete that folder.
"""

import os
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

from webui import durable
from webui.errors import PictureError, StorageError
from webui.gallery import Gallery, Record

FOLDER: Final = ".trash"
_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,64}\Z")


class Trash:
    """Moves a gallery's pictures away and back."""

    def __init__(self, gallery: Gallery) -> None:
        self.gallery = gallery
        self.folder = gallery.outputs / (f"{FOLDER}-{gallery.owner}" if gallery.owner else FOLDER)

    def put(self, id: str) -> Record:
        """Move every file of a picture into the trash, where the gallery no longer finds it; return what it was.

        Raises PictureError when there is no such picture, StorageError when it cannot be moved.
        """
        first = record = self.gallery.get(id) if _ID.match(id) else None
        if first is None:
            raise PictureError("The picture is no longer in the outputs folder: it was moved or deleted.")
        while record is not None:
            below = record.path.relative_to(self.gallery.outputs)
            _move(record.path, (self.folder / id / below).parent)
            record = self.gallery.get(id)  # a copy of the file has the same id
        return first

    def put_back(self, id: str) -> list[Path]:
        """Move a picture's files to where they were, with a number behind a name that is taken; return where they are.

        Raises PictureError when it is not in the trash, StorageError when it cannot be moved.
        """
        found = list(self._below(id))
        if not found:
            raise PictureError("The picture is no longer in the trash.")
        paths = []
        for path in found:
            folder = self.gallery.outputs / path.parent.relative_to(self.folder / id)
            paths.append(_move(path, folder))
            self.gallery.add(paths[-1])
        for folder_of, _, _ in os.walk(self.folder / id, topdown=False):
            with suppress(OSError):  # something is still in it
                Path(folder_of).rmdir()
        return paths

    def ids(self) -> list[str]:
        """Return the ids of the pictures in the trash, what was deleted last first."""
        with suppress(FileNotFoundError):
            entries = sorted(os.scandir(self.folder), key=lambda entry: entry.stat().st_mtime_ns, reverse=True)
            return [entry.name for entry in entries if any(self._below(entry.name))]
        return []

    def _below(self, id: str) -> Iterator[Path]:
        if _ID.match(id):  # a picture's file may name itself by anything
            yield from (path for path in (self.folder / id).rglob("*.png") if path.is_file())


def _move(path: Path, folder: Path) -> Path:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return durable.move_new(path, folder)
    except FileNotFoundError:
        raise PictureError(f"{path.name} is no longer there: it was moved or deleted.") from None
    except OSError as error:
        raise StorageError(durable.sentence(error, "The picture", folder)) from error
