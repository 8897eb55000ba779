"""Preset files: the shipped presets and a person's own, each a readable JSON file in a folder.

The promise: a shipped file is never touched; an own one is on the disk when ``save`` returns, and no other is written
over; and one that cannot be read is a sentence, while the others count.
"""

import threading
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from webui import durable, presets
from webui.errors import BadValue, StorageError
from webui.presets import Preset


@dataclass(frozen=True)
class Folder:
    """What a folder holds: its presets in the order of their files, and a sentence for each that cannot be read."""

    presets: tuple[Preset, ...] = ()
    problems: tuple[str, ...] = ()


class PresetFiles:
    """The presets in two folders. Any thread may use it; files that are edited meanwhile are read again."""

    def __init__(self, shipped: Path, own: Path) -> None:
        self._shipped, self._own = shipped, own
        self._known: dict[Path, tuple[int, Preset | str]] = {}
        self._writing = threading.Lock()

    def read(self) -> tuple[dict[str, Preset], list[str]]:
        """Return all presets by name, own ones winning, and a sentence for each file that cannot be read."""
        shipped, own = self.shipped(), self.own()
        return presets.merge(shipped.presets, own.presets), [*own.problems, *shipped.problems]

    def shipped(self) -> Folder:
        """Return the presets that come with the program."""
        return self._folder(self._shipped)

    def own(self) -> Folder:
        """Return the person's own."""
        return self._folder(self._own) if self._own != self._shipped else Folder()

    def save(self, preset: Preset, instead_of: str = "") -> Preset:
        """Write a preset of one's own, in place of the one named ``instead_of``; return it with its id.

        Raises BadValue when the name is another own preset's or there is none to replace, StorageError when it cannot
        be kept.
        """
        with self._writing:
            mine = self.own().presets
            old = _named(instead_of, mine) if instead_of else None
            if any(one.name.lower() == preset.name.lower() for one in mine if one != old):
                rule = "one that no other preset of yours has"
                raise BadValue("preset_name", "Name of the preset", preset.name, rule)
            self._write(kept := self._placed(preset, old))
            if old is not None and old.id != kept.id:
                self._remove(old)
            return kept

    def take(self, found: Iterable[Preset]) -> None:
        """Write presets that are new; raise StorageError when they cannot be kept."""
        with self._writing:
            for preset in found:
                self._write(self._placed(preset))

    def delete(self, name: str) -> None:
        """Delete a preset of one's own; raise BadValue for any other name."""
        with self._writing:
            self._remove(_named(name, self.own().presets))

    def _placed(self, preset: Preset, old: Preset | None = None) -> Preset:
        """Choose the file: that of ``old`` while its name is the same, else one that no file has."""
        if old is not None and old.name == preset.name:
            return replace(preset, id=old.id)
        return replace(preset, id=presets.file_stem(preset.name, (path.stem for path in self._own.glob("*.json"))))

    def _write(self, preset: Preset) -> None:
        path = self._own / f"{preset.id}.json"
        try:
            self._own.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StorageError(durable.sentence(error, f"The preset {preset.name}", self._own)) from error
        durable.overwrite(path, preset.to_json().encode(), f"The preset {preset.name}")

    def _remove(self, preset: Preset) -> None:
        try:
            (self._own / f"{preset.id}.json").unlink(missing_ok=True)
        except OSError as error:
            raise StorageError(f"The preset {preset.name} was not deleted: {error.strerror or error}.") from error

    def _folder(self, folder: Path) -> Folder:
        found = [self._file(path) for path in sorted(folder.glob("*.json"))]
        return Folder(
            tuple(one for one in found if isinstance(one, Preset)), tuple(one for one in found if isinstance(one, str))
        )

    def _file(self, path: Path) -> Preset | str:
        """Read a file when it is not as it was read last; return a sentence when it cannot be read."""
        try:
            stamp = path.stat().st_mtime_ns
            known = self._known.get(path)
            if known is None or known[0] != stamp:
                known = stamp, presets.parse(path.read_text(encoding="utf-8-sig"), path.name)
        except StorageError as error:
            known = stamp, str(error)
        except OSError as error:
            return f"The preset {path.name} cannot be read: {error.strerror or error}."
        except UnicodeDecodeError:
            return f"The preset {path.name} cannot be read: it is not UTF-8 text."
        self._known[path] = known
        return known[1]


def _named(name: str, mine: Iterable[Preset]) -> Preset:
    for preset in mine:
        if preset.name == name:
            return preset
    raise BadValue("preset", "Preset", name, "one of your own; those that come with the program stay as they are")
