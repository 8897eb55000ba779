"""The drafts that are kept: a file each, found by what made it.

The promise: what is loaded is what was saved, to the bit, or nothing. The folder is a cache of bounded size: a draft
that was not used for longest goes first, and one that is missing or damaged costs time and no pixel, since its picture
can be made from the start. Files are safetensors; nothing in them is run.
"""

import hashlib
import json
import logging
import os
import re
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final

import numpy as np
from PIL import Image
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from webui import durable
from webui.engine.draft import Draft, picture_key
from webui.errors import ReseedError
from webui.fingerprint import Fingerprint
from webui.recipe import Recipe

LIMIT: Final = 1 << 30
"""Bytes that all drafts may take: 1,600 at 512 × 512 pixels of SD 1.x after ten calls, 400 at 1024 × 1024 of SDXL."""

SIDE: Final = 256
"""Pixels on the longer side of a preview for people; it is stored a pixel for each latent cell."""

_KEY: Final = re.compile(r"[0-9a-f]{40}-[0-9]{1,5}", re.ASCII)

_log = logging.getLogger(__name__)


class Drafts:
    """Keeps drafts in a folder of their own, at most ``limit`` bytes of them. Any thread may use it."""

    def __init__(self, folder: Path, limit: int = LIMIT) -> None:
        self.folder, self.limit = folder.absolute(), limit

    def save(self, draft: Draft) -> str:
        """Keep a draft and return its key; raise StorageError when it cannot be written."""
        preview = np.asarray(draft.preview.convert("RGB"))
        about = {"recipe": draft.recipe.to_json(), "fingerprint": json.dumps(draft.fingerprint.to_dict())}
        about["sha256"] = _sha256(about, draft.answers, preview)
        data = save({"answers": np.ascontiguousarray(draft.answers), "preview": preview}, about)
        durable.replace(self._path(draft.key), data, "The draft")
        self._prune()
        return draft.key

    def load(self, key: str) -> Draft | None:
        """Return a draft by its key; None when there is none, or its file is damaged."""
        path = self._path(key)
        if not self.has(key):
            return None
        try:
            draft = _read(path)
            if draft.key != key:
                raise ValueError("it is another draft's")
        except (OSError, ValueError, LookupError, SafetensorError, ReseedError) as error:
            _log.warning("The draft %s cannot be used (%s): its picture is made from the start.", path, error)
            return None
        with suppress(OSError):  # a folder that may only be read still gives its drafts
            os.utime(path)
        return draft

    def has(self, key: str) -> bool:
        """Say whether there is a file of a draft, without reading it."""
        return bool(_KEY.fullmatch(key)) and self._path(key).is_file()

    def find(self, recipe: Recipe) -> Draft | None:
        """Return the draft of a picture that is furthest on; None when none is kept that can be used."""
        found = (path.stem for path in self.folder.glob(f"{picture_key(recipe)}-*.safetensors"))
        furthest = sorted(filter(_KEY.fullmatch, found), key=lambda key: int(key.rpartition("-")[2]), reverse=True)
        return next(filter(None, map(self.load, furthest)), None)

    def _path(self, key: str) -> Path:
        return self.folder / f"{key}.safetensors"

    def _prune(self) -> None:
        """Remove what was not used for longest until the rest is within the limit; leftovers of a crash go as well."""
        found = []
        for path in (*self.folder.glob("*.safetensors"), *self.folder.glob(".*.tmp")):
            with suppress(OSError):  # removed meanwhile
                found.append(((stat := path.stat()).st_mtime_ns, stat.st_size, path))
        room = self.limit
        for _, size, path in sorted(found, reverse=True):
            room -= size
            if room < 0:
                with suppress(OSError):
                    path.unlink()


def enlarged(preview: Image.Image, side: int = SIDE) -> Image.Image:
    """Enlarge a preview smoothly by the largest whole factor that keeps it within ``side`` pixels.

    >>> enlarged(Image.new("RGB", (64, 96))).size, enlarged(Image.new("RGB", (300, 40))).size
    ((128, 192), (300, 40))
    """
    factor = max(1, side // max(preview.size))
    return preview.resize((preview.width * factor, preview.height * factor), Image.Resampling.BICUBIC)


def _read(path: Path) -> Draft:
    """Read a file; raise what its libraries do, or ValueError, when it is not what was written."""
    with safe_open(path, framework="numpy") as file:
        about = file.metadata() or {}
        answers, preview = file.get_tensor("answers"), file.get_tensor("preview")
    if _sha256(about, answers, preview) != about["sha256"]:
        raise ValueError("it is not what was written")
    fingerprint = Fingerprint.from_dict(json.loads(about["fingerprint"]))
    return Draft(Recipe.from_json(about["recipe"]), fingerprint, answers, Image.fromarray(preview, "RGB"))


def _sha256(about: Mapping[str, str], answers: np.ndarray, preview: np.ndarray) -> str:
    told = json.dumps([about["recipe"], about["fingerprint"]]).encode()
    return hashlib.sha256(told + answers.tobytes() + preview.tobytes()).hexdigest()
