"""What the buttons do: hand the form to the studio, watch and cancel jobs, pick pictures, change seeds.

The promise: a handler starts, watches or stops a job and never makes a picture itself, so closing, reloading or
losing the page loses nothing. A sentence about a field goes to the field; nothing is queued until all are right.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any, Final

import gradio as gr

from webui import prompt_traps, seeds
from webui.errors import BadRecipe, BadValue, ReseedError
from webui.gallery import Record
from webui.journal import origin
from webui.lineage import Lineage
from webui.progress import Progress
from webui.studio import Studio
from webui.ui import branch, form, sweeping, views
from webui.ui import memory as remembered
from webui.ui.changed import Changed
from webui.ui.compare import Comparing
from webui.ui.desk import Desk, Tab, owner_of
from webui.ui.events import seed_of, text_of
from webui.ui.exploring import Exploring, Sheet
from webui.ui.history import Past
from webui.ui.sweeping import Sweeping
from webui.ui.verifying import Verifying

POLL: Final = 0.05
"""Seconds between two looks at a job: a watcher sleeps on the event loop and holds no thread."""
NO_PICTURE: Final = "There is no picture on screen yet: press Generate first."
VIEW: Final = (
    *("stage", "check", "changed", "sheet", "status", "strip", "sweep"),
    *("history", "branch", "seeds", "details", "stop"),
)
"""The outputs of everything that draws, in this order."""
TOLD: Final = "stop"
"""The one output that is told at each look, changed or not. A look is sent as its difference from the one before, and
gradio (6.31) writes it into the very object that the look before is still to be drawn from: when a busy page reads two
looks at once, "nothing new" would take away "it may be pressed", and nothing could be stopped. A text is not changed
in place, so all other outputs are safe."""


class Handlers:
    """The page's handlers over one studio; ``desk`` knows what each tab looks at."""

    def __init__(self, studio: Studio) -> None:
        self.studio = studio
        self.desk = Desk()
        self.past = Past(studio, self.desk)
        self.verifying = Verifying(studio, self.desk)
        self.sweeping = Sweeping(studio, self.desk)
        self.exploring = Exploring(studio, self.desk)
        self.changed = Changed(studio, self.desk)
        self.comparing = Comparing(studio, self.changed)

    # ---- starting and stopping -------------------------------------------------------------------------------------

    def check(self, request: gr.Request, memory: Any, shown: str, *arguments: Any) -> list[Any]:
        """Check the form before anything is queued; give each field that is not right its sentence."""
        return _verdicts(lambda: self._studio(request).settle(*form.read(arguments)))

    def check_same(self, request: gr.Request, memory: Any, shown: str, *arguments: Any) -> list[Any]:
        """Check the form for *same seed*: the seed is that of the picture on screen."""
        verdicts = self.check(request, memory, shown, *form.put(arguments, seed=seed_of(shown)))
        if not shown:
            verdicts[2 + len(form.NAMES)] = gr.validate(False, NO_PICTURE)
        return verdicts

    def check_new(self, request: gr.Request, memory: Any, shown: str, *arguments: Any) -> list[Any]:
        """Check the form for *new seed*: whatever is in the seed field, a seed is drawn."""
        return self.check(request, memory, shown, *form.put(arguments, seed="-1"))

    def check_explore(self, request: gr.Request, memory: Any, shown: str, *arguments: Any) -> list[Any]:
        """Check the form for *Explore*, which has a count of its own."""
        return _verdicts(lambda: self._studio(request).settle_seeds(*_to_explore(arguments)))

    def submit(self, request: gr.Request, memory: Any, shown: str, *arguments: Any) -> tuple[list[str], str]:
        """Queue what the form asks for; return the jobs that this browser follows, and an empty note."""
        return self._queue(request, memory, lambda own: own.submit(*form.read(arguments)))

    def explore(self, request: gr.Request, memory: Any, shown: str, *arguments: Any) -> tuple[list[str], str]:
        """Queue a contact sheet of drafts of what the form asks for."""
        return self._queue(request, memory, lambda own: own.explore(*_to_explore(arguments)))

    def sweep(self, request: gr.Request, memory: Any, *arguments: Any) -> tuple[list[str], str]:
        """Queue a sweep of what axes and form ask for."""
        return self._queue(request, memory, lambda own: sweeping.submit(own, arguments))

    def _queue(self, request: gr.Request, memory: Any, submit: Callable[[Studio], Progress]) -> tuple[list[str], str]:
        own = self._studio(request)
        try:
            job = submit(own).job
        except ReseedError as error:
            raise gr.Error(str(error), title="Nothing was queued", print_exception=False) from None
        return remembered.remember(own.jobs, memory, job), views.note("")

    def submit_same(self, request: gr.Request, memory: Any, shown: str, *arguments: Any) -> tuple[list[str], str]:
        """Queue with the seed of the picture on screen, which is the parent then; the form stays as it is."""
        return self.submit(request, memory, shown, *form.put(arguments, seed=seed_of(shown), parent=shown))

    def submit_new(self, request: gr.Request, memory: Any, shown: str, *arguments: Any) -> tuple[list[str], str]:
        """Queue with a fresh seed; the form stays as it is."""
        return self.submit(request, memory, shown, *form.put(arguments, seed="-1"))

    def stop(self, memory: Any, request: gr.Request) -> None:
        """Stop the picture being made, or made again; what is finished stays, and jobs that wait go on."""
        own = self._studio(request)
        ours = [*remembered.known(own.jobs, memory), *self.verifying.work(self.desk.tab(request))]
        going = sorted((job for job in ours if not job.done), key=lambda job: job.status == "pending")
        for job in going[:1]:
            own.jobs.cancel(job.job)

    def drop(self, memory: Any, request: gr.Request) -> list[str]:
        """Take the jobs that wait out of the queue and forget them; the one being made goes on."""
        own = self._studio(request)
        dropped = [job.job for job in remembered.known(own.jobs, memory) if not job.done][1:]
        for job in dropped:
            own.jobs.cancel(job)
        return [id for id in remembered.ids(memory) if id not in dropped]

    # ---- watching --------------------------------------------------------------------------------------------------

    async def start_following(self, memory: Any, request: gr.Request) -> AsyncIterator[list[Any]]:
        """Follow the browser's jobs from now on, whatever picture the tab had picked before."""
        self.desk.tab(request).picked = ""
        async for drawn in self.follow(memory, request):
            yield drawn

    async def follow(self, memory: Any, request: gr.Request) -> AsyncIterator[list[Any]]:
        """Draw the browser's jobs until the last is done or a newer watcher of the tab takes over."""
        number, left = await self.desk.watch(request)
        try:
            async for drawn in self._watch(memory, request, number):
                yield drawn
        finally:
            left.set()

    async def _watch(self, memory: Any, request: gr.Request, number: int) -> AsyncIterator[list[Any]]:
        before: list[Any] = [None] * len(VIEW)
        seen: object = None
        made: object = None
        ended: dict[str, Progress] = {}
        while self.desk.watching(request, number):
            tab = self.desk.tab(request)
            jobs = self._jobs(memory, tab, ended)
            again = self.verifying.work(tab)
            now = (tab.picked, tab.depth, tab.look, *((job.job, job.seq) for job in [*jobs, *again]))
            if now != seen:
                seen = now
                count = (sum(len(job.records) for job in jobs), tab.picked, tab.depth, tab.look)
                drawn = await asyncio.to_thread(self._draw, jobs, tab, count != made)
                made = count
                if not self.desk.watching(request, number):
                    return
                looks = zip(VIEW, drawn, before, strict=True)
                yield [gr.skip() if new is None or (new == old and name != TOLD) else new for name, new, old in looks]
                before = [old if new is None else new for new, old in zip(drawn, before, strict=True)]
                continue  # a picture picked meanwhile is drawn before the last look ends the watch
            if all(job.done for job in [*jobs, *again]):
                return
            await asyncio.sleep(POLL)

    def _studio(self, request: gr.Request) -> Studio:
        """Return the studio as whoever asks sees it."""
        return self.studio.of(owner_of(request))

    def _jobs(self, memory: Any, tab: Tab, ended: dict[str, Progress] | None = None) -> list[Progress]:
        """Return the jobs that a browser started, in order; those in ``ended`` are not asked for again."""
        return remembered.known(self.studio.of(tab.owner).jobs, memory, ended)

    def _draw(self, jobs: Sequence[Progress], tab: Tab, whole: bool = True) -> list[Any]:
        """Draw everything of VIEW; without ``whole`` what changes only with a new picture is None."""
        sheet, gallery = Sheet.of(jobs), self.studio.of(tab.owner).gallery
        in_front = sheet is not None and sheet.is_last and not tab.picked  # in the place of a picture
        pictures = [] if in_front else [job for job in jobs if job.kind != "explore"]
        job = next((job for job in pictures if not job.done), pictures[-1] if pictures else None)
        record = (gallery.get(tab.picked) if tab.picked else None) or self._finished(pictures, job)
        if record is not None:
            stage, details = self.past.stage(record), views.details(record)
        else:
            stage, details = "" if in_front else self._waiting_stage(job), views.NO_DETAILS
        current = tab.shown = record.id if record else ""
        return [
            stage,
            self.verifying.draw(tab),
            self.changed.draw(record, gallery),
            self.exploring.draw(sheet, jobs, tab),
            views.status(jobs),
            self._strip(job, current) if sheet is None or job not in sheet.jobs else "",
            sweeping.draw(jobs, current),
            self.past.draw(tab) if whole else None,
            (branch.draw(gallery, record) if record else "") if whole else None,
            self.past.seeds(tab) if whole else None,
            details,
            gr.update(interactive=any(not one.done for one in [*jobs, *self.verifying.work(tab)])),
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
            came = origin(job.job, job.index)
            return views.live_stage(job.recipes[job.index], job.preview, job.preview_type, came)
        return views.message_stage("Waiting for its turn…" if job.status == "pending" else "Getting ready…")

    def _strip(self, job: Progress | None, current: str) -> str:
        """Draw the pictures of a batch; a single picture being made shows here only while another is looked at.

        Those of a sweep are in its grid.
        """
        if job is None or job.kind == "sweep" or (job.count < 2 and (job.done or not current)):
            return ""
        live = ""
        if not job.done and job.status != "pending" and job.index < len(job.recipes):
            came = origin(job.job, job.index)
            live = views.live_tile(job.recipes[job.index], job.preview, job.preview_type, came)
        return views.tiles(list(reversed(job.records)), current, live)

    def welcome(self) -> str:
        """Draw the empty stage for the model that the form begins with."""
        about = self.studio.about(self.studio.model)
        return views.empty_stage(about.about, about.examples)

    # ---- pictures --------------------------------------------------------------------------------------------------

    def pick(self, event: gr.EventData, memory: Any, request: gr.Request) -> list[Any]:
        """Look at a picture of the strip or the history, also while others are made."""
        id = text_of(event, "id")
        if self._studio(request).gallery.get(id) is not None:
            self.desk.tab(request).picked = id
        return self._redraw(memory, request)

    def watch_again(self, memory: Any, request: gr.Request) -> list[Any]:
        """Go back from a picked picture to the one being made."""
        self.desk.tab(request).picked = ""
        return self._redraw(memory, request)

    def more(self, memory: Any, request: gr.Request) -> list[Any]:
        """Show more of the history."""
        self.past.more(self.desk.tab(request))
        return self._redraw(memory, request)

    def _redraw(self, memory: Any, request: gr.Request) -> list[Any]:
        tab = self.desk.tab(request)
        return self._draw(self._jobs(memory, tab), tab)

    # ---- seeds -----------------------------------------------------------------------------------------------------

    def dice(self) -> tuple[Any, str]:
        """🎲: back to a random seed for each click on Generate."""
        return "-1", views.note("Random: every click on Generate draws a new seed.")

    def step_up(self, text: str, shown: str) -> tuple[Any, str]:
        """➕1: the next seed, exactly; from an empty field the one after the picture on screen."""
        if seeds.is_random(text):
            if not shown:
                return gr.skip(), views.note("There is no seed to add 1 to: type one or press Generate first.", "wrong")
            text = seed_of(shown)
        try:
            seed = seeds.parse(text)
        except BadValue:
            return gr.skip(), views.note("+1 needs one seed in the field, not a list or a text.", "wrong")
        if seed == seeds.MAXIMUM:
            return gr.skip(), views.note(f"{seeds.MAXIMUM} is the largest seed: there is none after it.", "wrong")
        return str(seed + 1), views.note("")

    # ---- small things ----------------------------------------------------------------------------------------------

    def count_tokens(self, text: str, model: str) -> str:
        """Count the tokens of a prompt."""
        try:
            return views.tokens(self.studio.count_tokens(text or "", model))
        except ReseedError:
            return ""

    def traps(self, prompt: str, negative: str) -> str:
        """Warn of what in the prompts probably does not mean what it seems to."""
        loras = self.studio.catalog.networks.names("LoRA") if "<" in (prompt or "") else []
        found = [
            *prompt_traps.warnings(prompt or "", loras=loras),
            *prompt_traps.warnings(negative or "", negative=True),
        ]
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
        """Draw the words that a model knows, and the LoRAs and embeddings that are here."""
        here = self.studio.catalog.networks
        files = {"LoRA": [f"<lora:{name}:1>" for name in here.names("LoRA")], "Embedding": here.names("embedding")}
        extras = views.vocabulary(files, "LoRAs and embeddings")
        try:
            return views.vocabulary(self.studio.about(model).vocabulary) + extras
        except ReseedError:
            return extras

    def leave(self, request: gr.Request) -> None:
        """Forget a closed tab; its jobs go on."""
        self.desk.leave(request)


def _to_explore(arguments: Sequence[Any]) -> tuple[dict[str, Any], str, Lineage, float]:
    """Read a handler's arguments without count and numbering: a contact sheet has its own."""
    values, text, _, _, lineage, share = form.read(arguments)
    return values, text, lineage, share


def _verdicts(settle: Callable[[], object]) -> list[Any]:
    """Try to settle a form; give each of its fields that is not right the first sentence about it."""
    found: dict[str, str] = {}
    try:
        settle()
    except BadRecipe as error:
        for problem in error.errors:
            found.setdefault(problem.field, str(problem))
    except BadValue as error:
        found[error.field] = str(error)
    names = ("memory", "shown", *form.NAMES, *form.EXTRA)
    return [gr.validate(name not in found, found.get(name, "")) for name in names]


def swap(width: Any, height: Any) -> tuple[Any, Any]:
    """⇅: exchange width and height."""
    return height, width
