"""The options of ``webui serve`` that say who may come in, and by which names the server is reached.

The promise: nobody opens the server to other machines by one word. Beyond this machine it needs passwords or the
limits of a demo, or a person who writes that it shall be unprotected.
"""

import argparse
import os
import re
import stat
from pathlib import Path
from typing import Any, Final

from webui.errors import BadValue
from webui.settings import Door, is_loopback

NAME: Final = 64
"""Characters of a user's name."""
_HOST: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.-]{0,252}[A-Za-z0-9])?\Z")
_ROOT: Final = re.compile(r"(?:/[A-Za-z0-9._~-]+)+\Z")
RULE: Final = "USER:PASSWORD, a name without a colon and a password, neither of them empty"


def add_door(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    where = parser.add_mutually_exclusive_group()
    where.add_argument(
        "--listen",
        action="store_true",
        help="answer other machines too, not only this one; needs --auth, --auth-file, --demo or --unprotected",
    )
    where.add_argument(
        "--host", metavar="ADDRESS", help="answer on this address only (default: 127.0.0.1); as --listen"
    )
    parser.add_argument(
        "--auth",
        action="append",
        default=[],
        metavar="USER:PASSWORD",
        help="let in who logs in, each to their own pictures; can be given again; others of the machine may see it",
    )
    parser.add_argument(
        "--auth-file", type=Path, metavar="FILE", help="the same from a file of lines, which only you may read"
    )
    parser.add_argument(
        "--demo", action="store_true", help="let everybody in, with limits, each browser to its own pictures"
    )
    parser.add_argument(
        "--unprotected", action="store_true", help="let in every machine that can reach this one, to everything"
    )
    parser.add_argument(
        "--share",
        action="store_true",
        help="ask gradio's server for a public link; needs --auth, --auth-file or --demo",
    )
    parser.add_argument(
        "--allowed-host",
        action="append",
        default=[],
        metavar="NAME",
        help="answer to this name too, such as that of a proxy; can be given again",
    )
    parser.add_argument(
        "--trust-proxy",
        action="store_true",
        help="a proxy stands before the server: believe its X-Forwarded-Host, -Proto and -For",
    )
    parser.add_argument("--root-path", default="", metavar="PATH", help="the path at which a proxy shows it: /studio")


def door_of(arguments: argparse.Namespace) -> dict[str, Any]:
    """Return the settings ``host`` and ``door`` that the options ask for; raise BadValue for what is not allowed."""
    host = "0.0.0.0" if arguments.listen else arguments.host or "127.0.0.1"
    users = [_user("auth", "--auth", text) for text in arguments.auth]
    if arguments.auth_file is not None:
        users += _file(arguments.auth_file)
    twice = next((user for number, (user, _) in enumerate(users) if user in dict(users[:number])), None)
    if twice is not None:
        raise BadValue("auth", "--auth", twice, "a name that is given once")
    protected = bool(users) or arguments.demo
    if users and arguments.demo:
        raise BadValue("demo", "--demo", "--auth", "given without passwords: in a demo everybody comes in")
    if protected and arguments.unprotected:
        raise BadValue("unprotected", "--unprotected", True, "given without --auth, --auth-file and --demo")
    if not is_loopback(host) and not (protected or arguments.unprotected):
        hint = "With --unprotected everybody who reaches this machine can see, make and delete everything."
        option = "--listen" if arguments.listen else "--host"
        raise BadValue("host", option, host, "given with --auth, --auth-file, --demo or --unprotected", hint)
    if arguments.share and not protected:
        raise BadValue("share", "--share", True, "given with --auth, --auth-file or --demo: the link is public")
    hosts = tuple(_matching("allowed_host", "--allowed-host", name, _HOST) for name in arguments.allowed_host)
    root = _matching("root_path", "--root-path", arguments.root_path.rstrip("/"), _ROOT) if arguments.root_path else ""
    return {
        "host": host,
        "door": Door(tuple(users), arguments.demo, hosts, arguments.trust_proxy, root, arguments.share),
    }


def _matching(name: str, option: str, text: str, pattern: re.Pattern[str]) -> str:
    if not pattern.match(text):
        rule = "a host name such as pictures.example" if pattern is _HOST else "a path such as /studio"
        raise BadValue(name, option, text, rule)
    return text.lower() if pattern is _HOST else text


def _user(field: str, label: str, text: str) -> tuple[str, str]:
    """Read a user; what is wrong is said without the password."""
    user, _, password = text.partition(":")
    if not (user and password and user.isprintable() and password.isprintable() and len(user) <= NAME):
        raise BadValue(field, label, f"{user[:NAME]}:…", RULE)
    return user, password


def _file(path: Path) -> list[tuple[str, str]]:
    """Read users from a file, a line each; empty lines and those that begin with # are left out."""
    named = path.expanduser()
    try:
        mode = named.stat().st_mode
        if os.name != "nt" and stat.S_IMODE(mode) & 0o077:
            rule = "a file that only you may read"
            raise BadValue("auth_file", "--auth-file", str(path), rule, f"Make it so: chmod 600 {path}")
        lines = named.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeError):
        raise BadValue("auth_file", "--auth-file", str(path), "a file that is there and can be read") from None
    wanted = [(number, line) for number, line in enumerate(lines, 1) if line.strip() and not line.startswith("#")]
    if not wanted:
        raise BadValue("auth_file", "--auth-file", str(path), f"a file with lines of {RULE}")
    return [_user("auth_file", f"Line {number} of --auth-file", line) for number, line in wanted]
