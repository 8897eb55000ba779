"""Verify on the page: a button at the picture on the stage, and beside the picture what came of it.

The promise: the file is checked at once, the picture is made again in its turn, and the outcome is said in one of
three words: identical, differs, damaged; with figures and reasons, and the difference drawn when it is asked for.
"""

from collections.abc import Iterator
from html import escape
from pathlib import Path
from typing import Any, Final

import gradio as gr

from webui import pixels
from webui.checks import Check
from webui.errors import PictureError, ReseedError
from webui.png import PictureText
from webui.progress import Progress
from webui.reproduce import Result
from webui.studio import Studio
from webui.ui import views
from webui.ui.desk import Desk, Tab

GONE: Final = "The picture is no longer in the outputs folder: it was moved or deleted."
WHOLE: Final = "The file is whole: every part fits its checksum, and its pixels are those that were recorded."
AGAIN: Final = "Its recipe is still in the history: load everything and press Generate to have it again."


class Verifying:
    """The Verify button over a studio; a tab shows the check of the picture on its stage."""

    def __init__(self, studio: Studio, desk: Desk) -> None:
        self.studio, self.desk = studio, desk

    def press(self, event: gr.EventData, request: gr.Request) -> Iterator[str]:
        """Check the picture on screen and keep it there until something else is asked for."""
        yield _panel("running", "Looking at the file…")
        data = getattr(event, "_data", None) or {}
        tab = self.desk.tab(request)
        own = self.studio.of(tab.owner)
        try:
            record = own.gallery.get(str(data.get("id", "")))
            if record is None:
                raise PictureError(GONE)
            own.checks.start(record)
        except ReseedError as error:
            yield ""
            raise gr.Error(str(error), title="Not verified", print_exception=False) from None
        tab.picked = record.id

    def dropped(self, path: Path, text: PictureText) -> tuple[list[tuple[str, str]], list[str]]:
        """Check a dropped file of ours: return a row that says it is whole, or a sentence for each thing wrong."""
        if text.recipe is None:
            return [], []
        problems = [problem.sentence for problem in self.studio.checks.file(path)]
        return ([] if problems else [("File", WHOLE)]), problems

    def work(self, tab: Tab) -> list[Progress]:
        """Return the job that makes the picture on a tab's stage again, if there is one."""
        checks = self.studio.of(tab.owner).checks
        check = checks.of(tab.shown)
        progress = checks.progress(check) if check is not None else None
        return [] if progress is None else [progress]

    def draw(self, tab: Tab) -> str:
        """Draw the check of the picture on a tab's stage, or nothing."""
        checks = self.studio.of(tab.owner).checks
        check = checks.of(tab.shown)
        return "" if check is None else draw(check, checks.progress(check))


def draw(check: Check, progress: Progress | None) -> str:
    """Draw a check where it stands."""
    file = _notes([problem.sentence for problem in check.problems] or [WHOLE])
    result = check.result
    if result is not None and (progress is None or progress.done):
        return _outcome(check, result, file)
    if progress is None:
        return ""
    if not progress.done:
        bar = views.track(views.share_done(progress), "Progress of making it again")
        return _panel(
            "running",
            "Making it again here to compare…",
            f'<p class="line">{escape(views.line(progress))}</p>{bar}{file}',
        )
    said = f"Not made again: {progress.error}" if progress.error else "Stopped before it was made again."
    return _panel("differs" if progress.error else "stopped", said, file)


def _outcome(check: Check, result: Result, file: str) -> str:
    if result.outcome == "unreadable":
        how = [problem.sentence for problem in check.problems] or [result.sentence]
        return _panel("differs", "Damaged: the picture cannot be read.", _notes([*how, AGAIN]))
    if result.made_sha256 is None:
        return _panel("differs", f"Not made again: {result.sentence}", file)
    reasons = result.verdict.reasons[1:] if result.verdict is not None else ()
    digest = f'<p class="note">SHA-256 of the pixels made now: <code>{result.made_sha256}</code></p>'
    kind = "identical" if result.outcome == "identical" and not check.problems else "differs"
    return _panel(kind, result.sentence, f"{_notes(reasons)}{digest}{file}{_difference(check, result)}")


def _difference(check: Check, result: Result) -> str:
    """Offer the difference as a picture: a browser asks for it when it is opened, not before."""
    if result.difference is None or not result.difference.maximum:
        return ""
    words = f"the difference, times {pixels.brightening(result.difference)}"
    return (
        f'<details class="difference" data-key="{check.job}"><summary>Show {words}</summary>'
        f'<img src="differences/{check.job}.png" alt="{words.capitalize()}" loading="lazy"></details>'
    )


def _notes(sentences: Any) -> str:
    return "".join(f'<p class="note">{escape(sentence)}</p>' for sentence in sentences)


def _panel(kind: str, lead: str, rest: str = "") -> str:
    word, colon, more = escape(lead).partition(":")
    return (
        f'<section class="check {kind}" aria-label="Verification">'
        f'<p class="lead" role="status" aria-live="polite"><b>{word}</b>{colon}{more}</p>{rest}</section>'
    )
