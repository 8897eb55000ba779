"""Verify: whether the pictures on disk are whole, are what they say they are, and are what the index says.

The promise: looking changes nothing. Files are only read, the index is opened read-only, and a server may be at work
meanwhile. Every problem has a path, a kind from ``KINDS`` that stays the same between versions, and a sentence. Only
``rebuild`` writes, and only what can be thrown away; pictures are never touched.

Each file's chunks are walked and every checksum is computed; the recipe is read; of a share of the pictures the pixels
are decoded too and compared with the hash that was recorded when they were made.
"""

import hashlib
import json
import math
import os
import re
import stat
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from webui import index_check, infotext, pixels, png, recipe
from webui.errors import BadValue, PictureError, shown
from webui.gallery import Gallery, Refreshed
from webui.index_check import FRESH, File
from webui.png import PictureText
from webui.png_structure import Found, structure
from webui.settings import Settings

KINDS: Final = {
    "empty": "the file has 0 bytes",
    "not-png": "the file is no PNG, whatever its name says",
    "not-file": "a name of a picture belongs to something that is no file",
    "unreadable": "the file or folder cannot be read",
    "truncated": "the file ends before the picture does",
    "bad-chunk": "a part of the PNG is not what should stand there",
    "bad-crc": "a part of the PNG does not fit its checksum",
    "no-pixels": "the PNG has no pixels",
    "trailing": "bytes follow the end of the PNG",
    "no-recipe": "the picture has no recipe",
    "recipe-version": "the recipe is of a version that this program does not read",
    "bad-recipe": "the recipe is damaged or holds values that are not allowed",
    "texts-differ": "the infotext names another seed than the recipe",
    "name-differs": "the file's name has another seed than the recipe",
    "size-differs": "the picture has another size than the recipe",
    "duplicate-id": "another picture has the same id",
    "bad-pixels": "the pixels cannot be decoded (with `--read-data`)",
    "pixels-differ": "the pixels are not those that were recorded (with `--read-data`)",
    "odd-name": "the name is not readable text, so the index cannot hold it",
    "link": "a link, which the gallery does not follow",
    "leftover": "an unfinished file that a crash left",
    "orphan-file": "the picture is not in the index",
    "orphan-row": "the index has a picture that is not on disk",
    "stale-row": "the file changed after the index read it",
    "row-differs": "the index says other than the file",
    "index-damaged": "the index cannot be read",
}
"""Every kind of problem, and what it means."""

_NAME: Final = re.compile(r"[0-9]{1,12}-([0-9]{1,20})\.png\Z", re.I)
_TEMPORARY: Final = re.compile(r"\..*\.tmp\Z", re.DOTALL)
_SURROGATE: Final = re.compile("[\ud800-\udfff]")
_SHARE: Final = re.compile(r"([0-9]{1,3}(?:\.[0-9]{1,6})?)%\Z")


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong with one path: ``kind`` is a key of KINDS."""

    path: str
    kind: str
    sentence: str

    def to_dict(self) -> dict[str, str]:
        """Return the JSON form."""
        return {"path": self.path, "kind": self.kind, "sentence": self.sentence}


@dataclass(frozen=True, slots=True)
class Report:
    """What was looked at and what was found.

    ``decoded`` of the ``files`` had their pixels read, ``foreign`` are sound and of other programs; ``rows`` is how
    many the index has, None when there is no index.
    """

    files: int = 0
    decoded: int = 0
    foreign: int = 0
    rows: int | None = None
    problems: tuple[Problem, ...] = ()

    @property
    def status(self) -> str:
        """``clean``, ``problems``, or ``nothing`` when there was nothing to look at."""
        return "problems" if self.problems else "clean" if self.files else "nothing"

    def __str__(self) -> str:
        if self.status == "nothing":
            return "There is no picture to verify."
        foreign = f" ({self.foreign} of other programs)" if self.foreign else ""
        rows = "no index" if self.rows is None else _counted(self.rows, "row of the index", "rows of the index")
        looked = f"{_counted(self.files, 'picture')}{foreign}, the pixels of {self.decoded or 'none'}, {rows}"
        return f"Looked at {looked}: {_counted(len(self.problems), 'problem')}."

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        counts = {"files": self.files, "decoded": self.decoded, "foreign": self.foreign, "rows": self.rows}
        return {"status": self.status, **counts, "problems": [problem.to_dict() for problem in self.problems]}


@dataclass
class _Look:
    """What a run has found so far."""

    problems: set[Problem] = field(default_factory=set)
    files: dict[Path, File] = field(default_factory=dict)
    decoded: int = 0
    foreign: int = 0

    def note(self, path: Path, found: Iterable[Found]) -> None:
        self.problems |= {Problem(readable(path), kind, sentence) for kind, sentence in found}


def _counted(number: int, one: str, many: str = "") -> str:
    return f"{number or 'no'} {one if number == 1 else many or one + 's'}"


def share(text: str) -> float:
    """Read how much of the pixels to decode, such as ``5%``, as a number from 0 to 1; raise BadValue.

    >>> share("5%"), share("100%")
    (0.05, 1.0)
    """
    found = _SHARE.match(text.strip())
    if found is None or not 0 < float(found[1]) <= 100:
        raise BadValue("read_data", "--read-data", text, "a share above 0% and up to 100%, such as 5%")
    return float(found[1]) / 100


def verify(
    settings: Settings,
    paths: Iterable[Path] = (),
    read_data: float = 0.0,
    progress: Callable[[list[Path]], Iterable[Path]] = iter,
) -> Report:
    """Look at the pictures of the data folder, or only at some files and folders; change nothing.

    ``read_data`` is the share of the pictures whose pixels are decoded, the same ones each time; ``progress`` may wrap
    the list of files. Raises BadValue for a path that is not there.
    """
    look, outputs = _Look(), settings.outputs.resolve()
    roots = [_root(path, outputs) for path in paths] or [outputs]
    files = list(dict.fromkeys(file for root in roots for file in _files(root, look)))
    decode = sample(files, outputs, read_data)
    for path in progress(files):
        look.note(path, _file(path, path in decode, look))
    _duplicates(look)
    rows = None
    if any(root.is_relative_to(outputs) or outputs.is_relative_to(root) for root in roots):
        rows, against = index_check.compare(settings.cache.absolute() / "index.db", outputs, roots, look.files)
        for path, one in against:
            look.note(path, [one])
    order = list(KINDS)
    found = sorted(look.problems, key=lambda problem: (problem.path, order.index(problem.kind), problem.sentence))
    return Report(len(files), look.decoded, look.foreign, rows, tuple(found))


def rebuild(settings: Settings) -> Refreshed:
    """Build the index again from the files; this also removes what killed processes left, as every start does."""
    gallery = Gallery(settings.outputs, settings.cache / "index.db", settings.cache / "thumbnails")
    try:
        return gallery.rebuild()
    finally:
        gallery.close()


def sample(files: list[Path], outputs: Path, part: float) -> set[Path]:
    """Choose a share of the files, at least one, by the hash of their names: the same ones each time."""

    def rank(path: Path) -> bytes:
        name = path.relative_to(outputs).as_posix() if path.is_relative_to(outputs) else str(path)
        return hashlib.sha256(os.fsencode(name)).digest()

    return set(sorted(files, key=rank)[: math.ceil(len(files) * part)])


def readable(path: Path) -> str:
    """Write a path as text that can be printed: bytes that are no UTF-8 become escapes."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


# Which files


def _root(path: Path, outputs: Path) -> Path:
    """Find what a person named: as it is, else below the outputs."""
    for candidate in (path.expanduser().absolute(), outputs / path):
        if candidate.exists():
            return candidate.resolve()
    raise BadValue("path", "PATH", str(path), "a file or folder that is there, as it is named or below outputs")


def _files(root: Path, look: _Look) -> Iterator[Path]:
    """Yield the pictures below a folder, or the file itself; note what is none. Links are not followed."""
    if root.exists() and not root.is_dir():
        yield root
    folders = [root] if root.is_dir() else []
    while folders:
        folder = folders.pop()
        try:
            entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
        except OSError as error:
            look.note(folder, [("unreadable", f"The folder cannot be read: {error.strerror or error}.")])
            continue
        for entry in entries:
            path = Path(entry.path)
            if entry.is_symlink():
                look.note(path, [("link", f"It is a link to {_target(path)}; the gallery does not follow links.")])
            elif _TEMPORARY.match(entry.name):
                look.note(path, _leftover(path))
            elif entry.is_dir() and not entry.name.startswith("."):
                folders.append(path)
            elif entry.name.lower().endswith(".png") and not entry.name.startswith("."):
                yield path


def _target(path: Path) -> str:
    try:
        return readable(path.readlink())
    except OSError:
        return "nothing"


def _leftover(path: Path) -> Iterator[Found]:
    try:
        age = time.time() - path.stat().st_mtime
    except OSError:
        return  # finished meanwhile
    if abs(age) > FRESH:
        yield "leftover", "An unfinished file of a save that did not end; webui removes it when it starts."


# One file


def _file(path: Path, decode: bool, look: _Look) -> Iterator[Found]:
    """Check one file, and remember what it is for the comparison with the others and with the index."""
    if _SURROGATE.search(str(path)):
        yield "odd-name", "Its name is not readable text: give it another."
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):  # never opened: reading a pipe would wait for ever
            yield "not-file", "It has the name of a picture and is no file."
            return
        with path.open("rb") as opened:
            size, found = structure(opened)
    except FileNotFoundError:
        return  # deleted meanwhile
    except OSError as error:
        yield "unreadable", f"It cannot be read: {error.strerror or error}."
        return
    yield from found
    text: PictureText | None = None
    whole = {kind for kind, _ in found} <= {"trailing"}
    if whole:
        text, more = _text(path)
        yield from more
        said = list(_agreement(path, text, size))
        yield from said
        look.foreign += text is not None and text.recipe is None
        # Of another size, the pixels are not those that were recorded: a small file may claim gigabytes of them.
        if decode and "size-differs" not in dict(said):
            look.decoded += 1
            yield from _pixels(path, text)
    look.files[path] = File(status.st_mtime_ns, status.st_size, whole, text)


def _text(path: Path) -> tuple[PictureText | None, list[Found]]:
    """Read what a picture says of itself, and say what is wrong with that."""
    try:
        found = png.read(path)
    except png.NoRecipe:
        return None, [("no-recipe", "It carries no recipe, so what made it cannot be said.")]
    except PictureError as error:
        kind = "recipe-version" if _other_version(path) else "bad-recipe"
        return None, [(kind, str(error))]
    if found.recipe is None and found.source == "Reseed":
        return None, [("no-recipe", "Its recipe was removed; only the infotext for other programs is left.")]
    return found, []


def _other_version(path: Path) -> bool:
    """Tell whether a recipe that cannot be read is of a version that this program does not know."""
    try:
        chunk = json.loads(png.read_texts(path).get("recipe", ""))
        inner = chunk["recipe"]["version"] if chunk["version"] == png.VERSION else None
        return chunk["version"] != png.VERSION or (isinstance(inner, int) and not 1 <= inner <= recipe.VERSION)
    except (PictureError, ValueError, RecursionError, LookupError, TypeError):
        return False


def _agreement(path: Path, text: PictureText | None, size: tuple[int, int] | None) -> Iterator[Found]:
    """Compare the recipe with the file's name, the picture's size and the infotext beside it."""
    if text is None or text.recipe is None:
        return
    seed = text.recipe.seed
    if (name := _NAME.match(path.name)) and int(name[1]) != seed:
        yield "name-differs", f"Its name has the seed {name[1]}, its recipe {seed}."
    if size is not None and size != (text.recipe.width, text.recipe.height):
        recorded = f"{text.recipe.width}×{text.recipe.height}"
        yield "size-differs", f"It has {size[0]}×{size[1]} pixels, its recipe {recorded}."
    told = infotext.parse(text.infotext).values.get("seed", seed) if text.infotext else seed
    if told != seed:
        yield "texts-differ", f"Its infotext names the seed {shown(told)}, its recipe {seed}: the recipe counts."


def _pixels(path: Path, text: PictureText | None) -> Iterator[Found]:
    try:
        found = png.pixels_sha256(pixels.decoded(path))
    except PictureError as error:
        yield "bad-pixels", str(error)
        return
    if text is not None and text.pixels_sha256 is not None and found != text.pixels_sha256:
        short = f"{found[:10]}… instead of {text.pixels_sha256[:10]}…"
        yield "pixels-differ", f"Its pixels are not those that were recorded when it was made: they hash to {short}"


def _duplicates(look: _Look) -> None:
    first: dict[str, Path] = {}
    for path in sorted(look.files):
        text = look.files[path].text
        if text is not None and text.id and first.setdefault(text.id, path) != path:
            note = f"It has the id of {readable(first[text.id])}: the history shows one of the two."
            look.note(path, [("duplicate-id", note)])
