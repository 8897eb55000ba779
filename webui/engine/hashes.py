"""Hashes of files, remembered: a file of some GB is read once, not each time it is asked about."""

import hashlib
import json
import os
import threading
from pathlib import Path
from typing import Any

from webui.engine.headers import HEADER_LIMIT


class Hashes:
    """Computes SHA-256 of files, as 64 hexadecimal digits.

    They are remembered by path, size and time of change in a JSON file, which may be thrown away; None keeps them in
    memory only.
    """

    def __init__(self, kept: Path | None = None) -> None:
        self._kept = kept
        self._known: dict[str, str] = {}
        self._lock = threading.Lock()
        if kept is not None and kept.is_file():
            self._known = {str(key): str(value) for key, value in read_json(kept).items()}

    def file(self, path: Path) -> str:
        """Return the hash of a file's bytes."""
        return self._hash(path, "", 0)

    def tensors(self, path: Path) -> str:
        """Return the hash of what follows a safetensors file's header, which editing its notes does not change."""
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
        return self._hash(path, "|tensors", 8 + min(length, HEADER_LIMIT))

    def _hash(self, path: Path, sort: str, start: int) -> str:
        status = path.stat()
        key = f"{path.resolve()}|{status.st_size}|{status.st_mtime_ns}{sort}"
        with self._lock:
            if key in self._known:
                return self._known[key]
        with path.open("rb") as file:
            file.seek(start)
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        with self._lock:
            self._known[key] = digest
            self._remember()
        return digest

    def _remember(self) -> None:
        if self._kept is None:
            return
        unfinished = self._kept.with_name(f"{self._kept.name}.{os.getpid()}.tmp")
        try:
            self._kept.parent.mkdir(parents=True, exist_ok=True)
            unfinished.write_text(json.dumps(self._known, indent=0), "utf-8")
            unfinished.replace(self._kept)
        except OSError:
            unfinished.unlink(missing_ok=True)  # a cache that cannot be written costs time, not pictures


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object; a file that is missing or damaged is an empty one."""
    try:
        data = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return data if isinstance(data, dict) else {}
