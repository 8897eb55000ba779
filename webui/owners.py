"""Owners: whose a picture is, where a server tells people apart.

The promise: a file tells nobody's name. An owner is written into pictures and jobs as a key that is made of the name
and of a secret of the data folder, so who reads a picture learns neither the user nor the visitor's cookie; and the
same person has the same key as long as the data folder is there.
"""

import hashlib
import os
import secrets
from pathlib import Path
from typing import Final

from webui import durable
from webui.errors import StorageError

FILE: Final = "secret"
SIZE: Final = 32


def secret(folder: Path) -> bytes:
    """Return the secret of a data folder; the first who asks makes it. Only its user may read the file.

    Raises StorageError when it cannot be written or read, or is not what was written.
    """
    path = folder / FILE
    if not path.exists():
        try:
            durable.write_as(path, secrets.token_hex(SIZE).encode(), "The secret", 0o600)
        except StorageError:
            if not path.exists():  # else another process was the first
                raise
    try:
        if os.name != "nt" and path.stat().st_mode & 0o077:
            path.chmod(0o600)
        found = bytes.fromhex(path.read_text(encoding="ascii"))
    except (OSError, ValueError) as error:
        raise StorageError(f"The secret in {path} cannot be read: {error}. {_AWAY}") from error
    if len(found) != SIZE:
        raise StorageError(f"The secret in {path} is damaged: it has {len(found)} bytes instead of {SIZE}. {_AWAY}")
    return found


_AWAY: Final = "Bring the file back; with a new one nobody finds their earlier pictures."


def owner_key(secret: bytes, name: str) -> str:
    """Return the key of an owner by name, 32 hexadecimal digits.

    >>> owner_key(b"s", "user ann") == owner_key(b"s", "user ann") != owner_key(b"s", "visitor ann")
    True
    """
    return hashlib.sha256(b"reseed owner" + secret + name.encode()).hexdigest()[:32]
