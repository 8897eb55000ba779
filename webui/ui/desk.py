"""The desk: what each open tab is looking at, and whose it is. One object for the page, told of tabs that close.

A tab either follows its jobs or has picked a picture to look at; and of several watchers of one tab only the newest
may draw, so that a second click on Generate never makes two of them fight over the stage.
"""

import asyncio
import itertools
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final

PAGE_OF_HISTORY: Final = 40
"""How many pictures the history shows at first, and how many more each time."""
PATIENCE: Final = 3.0
"""Seconds to wait for the watcher before; one that was lost with its connection may never leave."""


@dataclass(frozen=True)
class Look:
    """What of the history a tab looks at: a search as typed, the id of a picture whose words are looked for,
    only the favourites.

    ``before`` is the id of the last picture of the page before, or empty at the newest.
    """

    text: str = ""
    words_of: str = ""
    favourites: bool = False
    before: str = ""


@dataclass
class Tab:
    """What one tab is looking at; ``picked`` is a record's id, or empty while the tab follows its jobs.

    ``shown`` is the id of the record on its stage, ``last`` that of the last one in its history, or empty. ``owner`` is
    whose tab it is, empty where people are not told apart.
    """

    owner: str = ""
    picked: str = ""
    shown: str = ""
    depth: int = PAGE_OF_HISTORY
    look: Look = Look()
    last: str = ""
    watcher: int = 0
    left: asyncio.Event | None = None


@dataclass
class Desk:
    """The tabs by owner and session: who learns another's session has a tab of their own all the same."""

    tabs: dict[tuple[str, str], Tab] = field(default_factory=dict)
    _numbers: "itertools.count[int]" = field(default_factory=lambda: itertools.count(1))

    def tab(self, request: Any) -> Tab:
        """Return the tab that a request comes from, a new one when it is not known."""
        key = _key(request)
        return self.tabs.setdefault(key, Tab(key[0]))

    async def watch(self, request: Any) -> tuple[int, asyncio.Event]:
        """Make the caller the watcher of a tab; return its number, and what it must set when it leaves.

        Waits until the watcher before has drawn its last: what that one sends may not arrive after what this one does.
        """
        tab = self.tab(request)
        before, left = tab.left, asyncio.Event()
        number = tab.watcher = next(self._numbers)
        tab.left = left
        if before is not None:
            with suppress(TimeoutError):
                await asyncio.wait_for(before.wait(), PATIENCE)
        return number, left

    def watching(self, request: Any, number: int) -> bool:
        """Say whether the watcher of that number is still the newest.

        A forgotten tab does not end its watcher: a tab is forgotten when its heartbeat is lost, which a proxy can do to
        a page that is still there. Where the page is really gone, gradio closes the watcher with its stream.
        """
        tab = self.tabs.get(_key(request))
        return tab is None or tab.watcher in (0, number)

    def leave(self, request: Any) -> None:
        """Forget a tab that was closed."""
        self.tabs.pop(_key(request), None)


def owner_of(request: Any) -> str:
    """Return whose request it is, as the gate found out; empty where people are not told apart.

    Gradio (6.31) hands an event the request by which it was queued, with the state that the gate left in its scope.
    """
    scope: dict[str, Any] = getattr(getattr(request, "request", None), "scope", {})
    return str(scope.get("state", {}).get("owner", ""))


def _key(request: Any) -> tuple[str, str]:
    return owner_of(request), request.session_hash or ""
