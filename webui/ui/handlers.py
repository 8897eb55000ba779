"""What the buttons do: hand the form to the studio, watch and cancel jobs, pick pictures, load recipes.

The promise: a handler starts, watches or stops a job and never makes a picture itself, so closing, reloading or
losing the page loses nothing. A sentence about a field goes to the field; nothing is queued until all are right.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any, Final

import gradio as gr

from webui import png, prompt_traps, seeds
from webui.errors import BadRecipe, BadValue, JobError, PictureError, ReseedError
from webui.gallery import Record
from webui.jobs import Progress
from webui.studio import Studio
from webui.ui import form, views
from webui.ui.desk import PAGE_OF_HISTORY, Desk
from webui.verdict import Verdict

POLL: Final = 0.05
"""Seconds between two looks at a job: a watcher sleeps on the event loop and holds no thread."""
REMEMBERED: Final = 20
"""Jobs that a browser remembers having started."""
NO_PICTURE: Final = "There is no picture on screen yet: press Generate first."
VIEW: Final = ("stage", "status", "strip", "history", "details", "stop")
"""The outputs of everything that draws, in this order."""


class Handlers:
    """The page's handlers over one studio; ``desk`` knows what each tab looks at."""

    def __init__(self, studio: Studio) -> None:
        self.studio = studio
        self.desk = Desk()

    # ---- starting and stopping -------------------------------------------------------------------------------------

    def check(self, memory: Any, shown: str, *arguments: Any) -> list[Any]:
        """Check the form before anything is queued; give each field that is not right its sentence."""
        found = self._problems(arguments)
        names = ("memory", "shown", *form.NAMES, *form.EXTRA)
        return [gr.validate(name not in found, found.get(name, "")) for name in names]

    def check_same(self, memory: Any, shown: str, *arguments: Any) -> list[Any]:
        """Check the form for *same seed*: the seed is that of the picture on screen."""
        verdicts = self.check(memory, shown, *with_seed(arguments, shown))
        if not shown:
            verdicts[2 + len(form.NAMES)] = gr.validate(False, NO_PICTURE)
        return verdicts

    def check_new(self, memory: Any, shown: str, *arguments: Any) -> list[Any]:
        """Check the form for *new seed*: whatever is in the seed field, a seed is drawn."""
        return self.check(memory, shown, *with_seed(arguments, "-1"))

    def _problems(self, arguments: Sequence[Any]) -> dict[str, str]:
        try:
            self.studio.recipes(*form.read(arguments))
        except BadRecipe as error:
            found: dict[str, str] = {}
            for problem in error.errors:
                found.setdefault(problem.field, str(problem))
            return found
        return {}

    def submit(self, memory: Any, shown: str, *arguments: Any) -> tuple[list[str], str]:
        """Queue what the form asks for; return the jobs that this browser follows, and an empty note."""
        try:
            job = self.studio.submit(*form.read(arguments)).job
        except ReseedError as error:
            raise gr.Error(str(error), title="Nothing was queued", print_exception=False) from None
        return [*_ids(memory), job][-REMEMBERED:], views.note("")

    def submit_same(self, memory: Any, shown: str, *arguments: Any) -> tuple[list[str], str]:
        """Queue with the seed of the picture on screen; the form stays as it is."""
        return self.submit(memory, shown, *with_seed(arguments, shown))

    def submit_new(self, memory: Any, shown: str, *arguments: Any) -> tuple[list[str], str]:
        """Queue with a fresh seed; the form stays as it is."""
        return self.submit(memory, shown, *with_seed(arguments, "-1"))

    def stop(self, memory: Any) -> None:
        """Stop the picture being made; what is finished stays, and jobs that wait go on."""
        for job in self._jobs(memory):
            if not job.done:
                self.studio.jobs.cancel(job.job)
                return

    def drop(self, memory: Any) -> list[str]:
        """Take the jobs that wait out of the queue and forget them; the one being made goes on."""
        dropped = [job.job for job in self._jobs(memory) if not job.done][1:]
        for job in dropped:
            self.studio.jobs.cancel(job)
        return [id for id in _ids(memory) if id not in dropped]

    # ---- watching --------------------------------------------------------------------------------------------------

    async def start_following(self, memory: Any, request: gr.Request) -> AsyncIterator[list[Any]]:
        """Follow the browser's jobs from now on, whatever picture the tab had picked before."""
        self.desk.tab(request.session_hash).picked = ""
        async for drawn in self.follow(memory, request):
            yield drawn

    async def follow(self, memory: Any, request: gr.Request) -> AsyncIterator[list[Any]]:
        """Draw the browser's jobs until the last is done or a newer watcher of the tab takes over."""
        session = request.session_hash
        number, left = await self.desk.watch(session)
        try:
            async for drawn in self._watch(memory, session, number):
                yield drawn
        finally:
            left.set()

    async def _watch(self, memory: Any, session: str | None, number: int) -> AsyncIterator[list[Any]]:
        before: list[Any] = [None] * len(VIEW)
        seen: object = None
        made: object = None
        ended: dict[str, Progress] = {}
        while self.desk.watching(session, number):
            jobs = self._jobs(memory, ended)
            tab = self.desk.tab(session)
            now = (tab.picked, tab.depth, *((job.job, job.seq) for job in jobs))
            if now != seen:
                seen = now
                count = (sum(len(job.records) for job in jobs), tab.picked, tab.depth)
                drawn = await asyncio.to_thread(self._draw, jobs, tab.picked, tab.depth, count != made)
                made = count
                if not self.desk.watching(session, number):
                    return
                yield [gr.skip() if new in (None, old) else new for new, old in zip(drawn, before, strict=True)]
                before = [old if new is None else new for new, old in zip(drawn, before, strict=True)]
                continue  # a picture picked meanwhile is drawn before the last look ends the watch
            if all(job.done for job in jobs):
                return
            await asyncio.sleep(POLL)

    def _jobs(self, memory: Any, ended: dict[str, Progress] | None = None) -> list[Progress]:
        """Return the jobs that a browser started, in order; those in ``ended`` are not asked for again."""
        ended = {} if ended is None else ended
        known: list[Progress] = []
        for id in _ids(memory):
            try:
                job = ended.get(id) or self.studio.jobs.progress(id)
            except JobError:  # forgotten with a data folder: the pictures, if any, are in the history
                continue
            if job.done:
                ended[id] = job
            known.append(job)
        return known

    def _draw(self, jobs: Sequence[Progress], picked: str, depth: int, whole: bool = True) -> list[Any]:
        """Draw everything of VIEW; without ``whole`` the history, which changes only with a new picture, is None."""
        job = next((job for job in jobs if not job.done), jobs[-1] if jobs else None)
        record = (self.studio.gallery.get(picked) if picked else None) or self._finished(jobs, job)
        if record is not None:
            stage, details = views.record_stage(record), views.details(record)
        else:
            stage, details = self._waiting_stage(job), views.NO_DETAILS
        current = record.id if record else ""
        return [
            stage,
            views.status(jobs),
            self._strip(job, current),
            self._history(depth, current) if whole else None,
            details,
            gr.update(interactive=any(not one.done for one in jobs)),
        ]

    def _finished(self, jobs: Sequence[Progress], job: Progress | None) -> Record | None:
        """Return the finished picture to show while nothing is picked: never one in place of a preview or an error."""
        if job is None or (job.preview and not job.done) or (job.error and not job.records):
            return None
        if job.status == "canceled":  # what was on screen before stays there
            return next((one.records[-1] for one in reversed(jobs) if one.records), None)
        return job.records[-1] if job.records else None

    def _waiting_stage(self, job: Progress | None) -> str:
        if job is None:
            return self.welcome()
        if job.error:
            return views.message_stage(job.error, "error")
        if job.done:
            return views.message_stage("Stopped before a picture was finished.")
        if job.preview:
            return views.live_stage(job.recipes[job.index], job.preview, job.preview_type)
        return views.message_stage("Waiting for its turn…" if job.status == "pending" else "Getting ready…")

    def _strip(self, job: Progress | None, current: str) -> str:
        """Draw the pictures of a batch; a single picture being made shows here only while another is looked at."""
        if job is None or (job.count < 2 and (job.done or not current)):
            return ""
        live = ""
        if not job.done and job.status != "pending" and job.index < len(job.recipes):
            live = views.live_tile(job.recipes[job.index], job.preview, job.preview_type)
        return views.tiles(list(reversed(job.records)), current, live)

    def _history(self, depth: int, current: str) -> str:
        records = self.studio.gallery.recent(depth + 1)
        return views.history(records[:depth], len(records) > depth, current)

    def welcome(self) -> str:
        """Draw the empty stage for the model that the form begins with."""
        about = self.studio.about(self.studio.model)
        return views.empty_stage(about.about, about.examples)

    # ---- pictures --------------------------------------------------------------------------------------------------

    def pick(self, event: gr.EventData, memory: Any, request: gr.Request) -> list[Any]:
        """Look at a picture of the strip or the history, also while others are made."""
        id = _text(event, "id")
        if self.studio.gallery.get(id) is not None:
            self.desk.tab(request.session_hash).picked = id
        return self._redraw(memory, request)

    def watch_again(self, memory: Any, request: gr.Request) -> list[Any]:
        """Go back from a picked picture to the one being made."""
        self.desk.tab(request.session_hash).picked = ""
        return self._redraw(memory, request)

    def more(self, memory: Any, request: gr.Request) -> list[Any]:
        """Show more of the history."""
        self.desk.tab(request.session_hash).depth += PAGE_OF_HISTORY
        return self._redraw(memory, request)

    def _redraw(self, memory: Any, request: gr.Request) -> list[Any]:
        tab = self.desk.tab(request.session_hash)
        return self._draw(self._jobs(memory), tab.picked, tab.depth)

    # ---- seeds -----------------------------------------------------------------------------------------------------

    def recycle(self, shown: str) -> tuple[Any, str]:
        """♻️: put the seed of the picture on screen into the field; never −1."""
        if not shown:
            return gr.skip(), views.note(NO_PICTURE, "wrong")
        return self._into_field(shown)

    def reuse(self, event: gr.EventData) -> tuple[Any, str]:
        """Put the seed of a chip into the field."""
        return self._into_field(_text(event, "seed"))

    def _into_field(self, text: str) -> tuple[Any, str]:
        try:
            seed = seeds.parse(text)
        except BadValue as problem:
            return gr.skip(), views.note(str(problem), "wrong")
        return str(seed), views.note(f"Seed {seed} is in the field: change the prompt, keep the composition.")

    def dice(self) -> tuple[Any, str]:
        """🎲: back to a random seed for each click on Generate."""
        return "-1", views.note("Random: every click on Generate draws a new seed.")

    def step_up(self, text: str, shown: str) -> tuple[Any, str]:
        """➕1: the next seed, exactly; from an empty field the one after the picture on screen."""
        if seeds.is_random(text):
            if not shown:
                return gr.skip(), views.note("There is no seed to add 1 to: type one or press Generate first.", "wrong")
            text = shown
        try:
            seed = seeds.parse(text)
        except BadValue:
            return gr.skip(), views.note("+1 needs one seed in the field, not a list or a text.", "wrong")
        if seed == seeds.MAXIMUM:
            return gr.skip(), views.note(f"{seeds.MAXIMUM} is the largest seed: there is none after it.", "wrong")
        return str(seed + 1), views.note("")

    # ---- recipes into the form -------------------------------------------------------------------------------------

    def load(self, event: gr.EventData) -> list[Any]:
        """Load the recipe of the picture on screen: all of it, its seed or its prompt."""
        record: Record | None = self.studio.gallery.get(_text(event, "id"))
        if record is None:
            return [*[gr.skip()] * len([*form.NAMES, *form.EXTRA]), views.note(NO_PICTURE, "wrong")]
        text = png.PictureText(record.recipe, record.fingerprint, record.pixels_sha256)
        said = [_recalled(self.studio.recall(text))] if _text(event, "what") == "all" else []
        return self._loaded(record.recipe.values(), _text(event, "what"), said)

    def _loaded(self, values: dict[str, Any], what: str, said: Sequence[str] = ()) -> list[Any]:
        chosen = form.part(values, what)
        changed, sentences = form.updates(chosen, self.studio.models())
        what_is = {"all": "The whole recipe is", "seed": "The seed is", "prompt": "The prompt is"}.get(what, "It is")
        sentence = f"{what_is} in the form." if chosen else "The picture does not say that."
        return [*changed, views.note(" ".join([sentence, *sentences, *said]), "wrong" if sentences else "said")]

    def inspect(self, path: str | None) -> tuple[str, Any, Any]:
        """Read the recipe of a dropped picture and offer to load it; the copy of the file is deleted at once."""
        if not path:
            return gr.skip(), gr.skip(), gr.skip()
        file = Path(path)
        try:
            found = png.read(file)
            values, sentences = form.known(found)
            recalled = self.studio.recall(found)
            sentences = list(dict.fromkeys([_recalled(recalled), *sentences, *recalled.reasons]))
        except (PictureError, OSError) as error:
            sentence = str(error) if isinstance(error, PictureError) else "The file could not be read."
            return views.refusal(sentence), {}, None
        finally:
            file.unlink(missing_ok=True)
        rest = [] if found.reading is None else list(found.reading.rest)
        if rest:
            sentences = [*sentences, f"Not used here: {', '.join(rest[:12])}{'…' if len(rest) > 12 else ''}."]
        return (
            views.found(file.name, found.source, [row for row in form.shown(values) if row[1]], sentences),
            values,
            None,
        )

    def take(self, event: gr.EventData, values: dict[str, Any]) -> list[Any]:
        """Load what was read from a dropped picture, or dismiss it."""
        what = _text(event, "what")
        if what == "nothing":
            return [*[gr.skip()] * len([*form.NAMES, *form.EXTRA]), gr.skip(), ""]
        return [*self._loaded(values, what), ""]

    def example(self, event: gr.EventData) -> str:
        """Put an example prompt into the form."""
        return _text(event, "text")

    # ---- small things ----------------------------------------------------------------------------------------------

    def count_tokens(self, text: str, model: str) -> str:
        """Count the tokens of a prompt."""
        try:
            return views.tokens(self.studio.count_tokens(text or "", model))
        except ReseedError:
            return ""

    def traps(self, prompt: str, negative: str) -> str:
        """Warn of what in the prompts probably does not mean what it seems to."""
        found = [*prompt_traps.warnings(prompt or ""), *prompt_traps.warnings(negative or "", negative=True)]
        return views.traps(found)

    def change_model(self, model: str, before: str, width: Any, height: Any) -> tuple[Any, Any, str]:
        """Follow a change of model: a size that was the old model's own becomes the new one's."""
        try:
            old, new = self.studio.defaults(before), self.studio.defaults(model)
        except ReseedError:
            return gr.skip(), gr.skip(), model
        if (width, height) != (old["width"], old["height"]):
            return gr.skip(), gr.skip(), model
        return new["width"], new["height"], model

    def vocabulary(self, model: str) -> str:
        """Draw the words that a model knows."""
        try:
            return views.vocabulary(self.studio.about(model).vocabulary)
        except ReseedError:
            return ""

    def leave(self, request: gr.Request) -> None:
        """Forget a closed tab; its jobs go on."""
        self.desk.leave(request.session_hash)


def with_seed(arguments: Sequence[Any], seed: str) -> list[Any]:
    """Put another seed text among a form's arguments."""
    at = len(form.NAMES) + form.EXTRA.index("seed")
    return [*arguments[:at], seed, *arguments[at + 1 :]]


def _recalled(verdict: Verdict) -> str:
    """Word a verdict in a line; its reasons follow it where the picture will differ."""
    if verdict.kind == "will differ":
        return f"The picture will differ here. {verdict.reasons[0]}"
    return "The same picture is expected from it, bit for bit."


def swap(width: Any, height: Any) -> tuple[Any, Any]:
    """⇅: exchange width and height."""
    return height, width


def _ids(memory: Any) -> list[str]:
    """Read what a browser remembers; whatever else is in its storage counts as nothing."""
    return [id for id in memory if isinstance(id, str) and len(id) <= 64] if isinstance(memory, list) else []


def _text(event: gr.EventData, name: str) -> str:
    data = getattr(event, "_data", None)
    value = data.get(name) if isinstance(data, dict) else None
    return value if isinstance(value, str) else ""
