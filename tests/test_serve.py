"""Serving: what is done once so that no request waits for it."""

import gc
from concurrent.futures import ThreadPoolExecutor

from webui.serve import ready


def test_what_was_imported_is_not_looked_through_again() -> None:
    """A full collection met some request and took a tenth of a second: now it has next to nothing to look at."""
    try:
        with ThreadPoolExecutor(1) as pool:  # a browser's test may have left an event loop in this thread
            pool.submit(ready).result()
        assert gc.get_freeze_count() > 10_000
        assert len(gc.get_objects()) < gc.get_freeze_count() / 10
    finally:
        gc.unfreeze()
