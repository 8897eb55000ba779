"""People: who has a password, who is logged in, and who has guessed too often.

The promise: a password is never kept, only a keyed hash of it, and it is compared in constant time, also for a name
that nobody has. Sessions and tokens live in memory, end with the process, and are as hard to guess as 256 bits are.
"""

import hmac
import ipaddress
import math
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Literal

Kind = Literal["session", "bearer"]
SECONDS: Final[dict[Kind, int]] = {"session": 30 * 24 * 3600, "bearer": 24 * 3600}
"""How long a login lasts; a token as long as Adobe's, which it stands for."""
REMEMBERED: Final = 10_000
"""Logins, and addresses and names that failed, in memory; the oldest go first."""
FREE, LONGEST, FORGOTTEN = 5, 60, 900
"""Wrong passwords that cost nothing, the longest wait in seconds, and how long a failure counts."""
WRONG: Final = "The name or the password is wrong."


@dataclass(frozen=True)
class NotLet(Exception):
    """Somebody is not let in: the HTTP status, a sentence, and after how many seconds to try again, if ever."""

    status: int
    sentence: str
    retry_after: int = 0


class Throttle:
    """Counts failures by address and by name. Each beyond the free ones doubles the wait, up to a minute."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._failed: OrderedDict[str, tuple[int, float]] = OrderedDict()

    def wait(self, keys: Iterable[str]) -> float:
        """Return for how many seconds nobody of these may try again."""
        now = self._clock()
        left = [_pause(count) - (now - when) for count, when in map(self._of, keys) if count >= FREE]
        return max(left, default=0.0)

    def failed(self, keys: Iterable[str]) -> None:
        """Count a failure."""
        for key in keys:
            self._failed[key] = self._of(key)[0] + 1, self._clock()
            self._failed.move_to_end(key)
        while len(self._failed) > REMEMBERED:
            self._failed.popitem(last=False)

    def _of(self, key: str) -> tuple[int, float]:
        count, when = self._failed.get(key, (0, 0.0))
        return (count, when) if self._clock() - when < FORGOTTEN else (0, when)


def _pause(count: int) -> float:
    return float(min(LONGEST, 2 ** min(count - FREE + 1, 10)))


class People:
    """Those who may come in: names and passwords, and who has shown them. Used by one event loop."""

    def __init__(self, users: Sequence[tuple[str, str]] = (), clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._key = secrets.token_bytes(32)
        self._known = {user: self._digest(password) for user, password in users}
        self._nobody = self._digest(secrets.token_hex())
        self._logins: OrderedDict[str, tuple[Kind, str, float]] = OrderedDict()
        self._came_from: OrderedDict[str, None] = OrderedDict()
        self.throttle = Throttle(clock)

    @property
    def is_open(self) -> bool:
        """Say whether there are no passwords: everybody may come in."""
        return not self._known

    def check(self, user: str, password: str) -> bool:
        """Say whether a password is the user's; whoever lets people in asks ``enter`` instead."""
        return hmac.compare_digest(self._known.get(user, self._nobody), self._digest(password))

    def enter(self, user: str, password: str, address: str) -> str:
        """Return the user whose password it is; raise NotLet for a wrong one, and for one that comes too soon.

        Who guesses a name from elsewhere does not shut out an address from which that name has come in before.
        """
        place = _place(address)
        home = f"{place} {user}"
        keys = [f"address {place}"] if home in self._came_from else [f"address {place}", f"user {user[:256]}"]
        left = math.ceil(self.throttle.wait(keys))
        if left > 0:
            raise NotLet(429, f"Too many wrong passwords. Try again in {left} second{'s' if left > 1 else ''}.", left)
        if not self.check(user, password):
            self.throttle.failed(keys)
            raise NotLet(401, WRONG)
        self._came_from[home] = None
        while len(self._came_from) > REMEMBERED:
            self._came_from.popitem(last=False)
        return user

    def token_for(self, user: str, kind: Kind = "bearer") -> str:
        """Return a new token by which a user is known from now on; it lasts for SECONDS of its kind."""
        token = secrets.token_urlsafe(32)
        self._logins[self._name(token)] = kind, user, self._clock() + SECONDS[kind]
        while len(self._logins) > REMEMBERED:
            self._logins.popitem(last=False)
        return token

    def user_of(self, token: str, kind: Kind = "bearer") -> str | None:
        """Return whose token it is; None when it is nobody's, of another kind, or too old."""
        found = self._logins.get(self._name(token))
        return found[1] if found is not None and found[0] == kind and self._clock() < found[2] else None

    def forget(self, token: str) -> None:
        """End a login."""
        self._logins.pop(self._name(token), None)

    def _digest(self, password: str) -> bytes:
        return hmac.digest(self._key, password.encode("utf-8", "surrogatepass"), "sha256")

    def _name(self, token: str) -> str:
        """Name a token by its hash, so that finding it takes no longer the more of it was guessed."""
        return self._digest(token).hex()


def _place(address: str) -> str:
    """Return what an address counts as: an IPv6 one as its network, of which one person has many addresses.

    >>> _place("2001:db8::7"), _place("192.0.2.7"), _place("testclient")
    ('2001:db8::', '192.0.2.7', 'testclient')
    """
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return address[:64]
    return str(ipaddress.ip_network(f"{found}/64", strict=False)[0]) if found.version == 6 else str(found)
