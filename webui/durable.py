"""Durable: a new numbered file is there, whole and on the disk, or it is not there.

The promise: no existing file is ever overwritten, and whenever the process or the machine is killed, what has a name
that counts is complete; what is not complete has a name that ``TEMPORARY`` knows, and can be removed. Only ``replace``,
for what can be made again, promises less.
"""

import errno
import itertools
import os
import re
import secrets
from contextlib import suppress
from pathlib import Path
from typing import Final

from webui.errors import StorageError

TEMPORARY: Final = re.compile(r"\.reseed-[0-9a-f]{16}\.tmp\Z")
"""Names of files that are being written, or were when a process died."""
NUMBERED: Final = re.compile(r"([0-9]{1,12})-")
"""How the name of a finished file begins: its number in the folder."""
_NO_LINKS: Final = {errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK}


def write_new(folder: Path, data: bytes, seed: int, after: int = 0) -> Path:
    """Write a new file that is either there, whole and durable, or not there: never over an existing one.

    ``after`` is the last number in the folder, where that is known; else the folder is looked through.
    """
    temporary = folder / f".reseed-{secrets.token_hex(8)}.tmp"
    try:
        _write(temporary, data)
        final = _name_it(temporary, folder, seed, after or _last(folder))
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
    try:
        sync(folder)
    except OSError:
        final.unlink()
        raise
    return final


def write_as(final: Path, data: bytes, what: str, mode: int = 0o666) -> None:
    """Write a new file of a given name: whole and durable, or not there, and never over an existing one.

    ``mode`` says who may read it, from its first byte on. Raises StorageError, which calls the file ``what``, also when
    the name is taken.
    """
    temporary = final.parent / f".reseed-{secrets.token_hex(8)}.tmp"
    try:
        _write(temporary, data, mode)
        _link(temporary, final)
        sync(final.parent)
    except FileExistsError as error:
        raise StorageError(f"{what} was not saved: there is a file {final} already. Choose another name.") from error
    except OSError as error:
        raise StorageError(sentence(error, what, final.parent)) from error
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def overwrite(path: Path, data: bytes, what: str) -> None:
    """Write a precious file in place of the one of that name: after any crash the old one or the new one is there.

    Raises StorageError, which calls the file ``what``.
    """
    temporary = path.parent / f".reseed-{secrets.token_hex(8)}.tmp"
    try:
        _write(temporary, data)
        temporary.replace(path)
        sync(path.parent)
    except OSError as error:
        raise StorageError(sentence(error, what, path.parent)) from error
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def _write(path: Path, data: bytes, mode: int = 0o666) -> None:
    descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | getattr(os, "O_BINARY", 0), mode)
    try:
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(descriptor, rest) :]
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def number(name: str) -> int:
    """Return the number in a finished file's name, 0 where it has none.

    >>> number("00012-7.png"), number("notes.txt")
    (12, 0)
    """
    match = NUMBERED.match(name)
    return int(match[1]) if match else 0


def _last(folder: Path) -> int:
    """Return the highest number among a folder's files."""
    return max((number(entry.name) for entry in os.scandir(folder)), default=0)


def _name_it(temporary: Path, folder: Path, seed: int, last: int) -> Path:
    """Give a finished file the next free name of its folder."""
    counter = last + 1
    while True:
        final = folder / f"{counter:05d}-{seed}.png"
        try:
            _link(temporary, final)
            return final
        except FileExistsError:
            counter += 1


def move_new(path: Path, folder: Path) -> Path:
    """Move a file to a folder of the same disk and return where it is: never over an existing one.

    It keeps its name; where that is taken, a number goes behind it.
    """
    for number in itertools.count(1):
        final = folder / (path.name if number == 1 else f"{path.stem} ({number}){path.suffix}")
        with suppress(FileExistsError):
            _link(path, final)
            break
    path.unlink(missing_ok=True)
    sync(folder)
    sync(path.parent)
    return final


def _link(temporary: Path, final: Path) -> None:
    """Make ``final`` a name of the file; where the file system has no links, reserve the name and move the file."""
    try:
        final.hardlink_to(temporary)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        os.close(os.open(final, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
        try:
            temporary.replace(final)
        except OSError:
            final.unlink()
            raise


def sync(folder: Path) -> None:
    """Make new names in a folder durable; some systems and file systems cannot do that for folders."""
    if os.name == "nt":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP):
            raise
    finally:
        os.close(descriptor)


def replace(path: Path, data: bytes, what: str) -> None:
    """Write what can be made again: whoever reads it finds the old content or the new, but a loss of power may harm it.

    Raises StorageError, which calls the file ``what``; then nothing of it is left.
    """
    temporary = path.parent / f".{secrets.token_hex(8)}.tmp"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_bytes(data)
        temporary.replace(path)
    except OSError as error:
        raise StorageError(sentence(error, what, path.parent)) from error
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def sentence(error: OSError, what: str, folder: Path) -> str:
    """Say why a file could not be written, and what to do."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"{what} was not saved: the disk of {folder} is full. Free some space, then try again."
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return f"{what} was not saved: {folder} may not be written to. Change its permissions or choose another folder."
    return f"{what} was not saved in {folder}: {error.strerror or error}."
