"""What the page shows of pictures and jobs, as HTML: the stage, the progress, rows of pictures, the details.

The promise: every text that a person or a file gave is escaped here, and nothing is fetched from outside. Pictures
and thumbnails are named by their record's id, relative to the page, so that the page also works below a path.
Buttons carry ``data-do``; ``page.js`` turns a click on one into the event of that name.
"""

import base64
from collections.abc import Iterable, Mapping, Sequence, Set
from contextlib import suppress
from datetime import datetime
from html import escape
from itertools import islice
from typing import Final
from urllib.parse import quote

from webui import infotext, link
from webui.errors import BadValue, ReseedError
from webui.gallery import Record
from webui.progress import Progress
from webui.recipe import Recipe
from webui.ui.form import shown, told

BAR: Final = '<div class="bar"></div>'
"""Holds the place of what can be done with a picture, so that nothing moves when one comes."""

TEMPLATE_BUTTON: Final = (
    '<button type="button" class="quiet" data-do="bring" data-what="template" title="Bring the template back: what was '
    'typed, with its wildcards and styles" aria-label="Bring the template back">template</button>'
)
NO_DETAILS: Final = '<p class="hint">Everything that made the picture on screen is listed here.</p>'
MADE_BY: Final = {
    "product": "Reseed",
    "torch": "torch",
    "diffusers": "diffusers",
    "model": "Weights",
    "model_hash": "Weights SHA-256",
    "device": "Device",
    "dtype": "Number type",
    "threads": "Threads",
    "kernels": "Kernels",
    "loras": "LoRA SHA-256",
    "embeddings": "Embedding SHA-256",
}
"""How the parts of a fingerprint are named in the details."""


NO_SEEDS: Final = "The seeds of your pictures come here, to be used again."


def picture_url(record: Record) -> str:
    """Return where the original file is served."""
    return f"pictures/{quote(record.id, safe='')}.png"


def chip(seed: int | str, came: str, inner: str = "") -> str:
    """Draw a seed as a button that reuses it; ``came`` is the id of its picture, or the origin of one being made.

    ``inner`` is the HTML that it shows in place of its digits.
    """
    text = escape(str(seed))
    return (
        f'<button type="button" class="chip" data-do="reuse" data-seed="{text}" data-from="{escape(came)}" '
        f'title="Put seed {text} into the field" aria-label="Use seed {text} again">{inner or text}</button>'
    )


def seeds(records: Iterable[Record], limit: int) -> str:
    """Draw the seeds of pictures in one line, at most ``limit``, each once and with the first of its pictures."""
    first: dict[int, Record] = {}
    for record in records:
        first.setdefault(record.recipe.seed, record)
    items = "".join(
        f'<li data-key="{seed}">{chip(seed, record.id, f"{_thumbnail(record)}<span>{short(seed)}</span>")}</li>'
        for seed, record in islice(first.items(), limit)
    )
    return f'<ul class="seeds" aria-label="Recent seeds">{items}</ul>' if items else f'<p class="word">{NO_SEEDS}</p>'


def short(seed: int) -> str:
    """Write a seed in at most ten characters: of a long one both ends, since neighbours differ at the last.

    >>> short(4294967295), short(2**64 - 1)
    ('4294967295', '184…51615')
    """
    text = str(seed)
    return text if len(text) <= 10 else f"{text[:3]}…{text[-5:]}"


def _thumbnail(record: Record) -> str:
    return f'<img src="thumbnails/{quote(record.id, safe="")}" alt="" loading="lazy" draggable="false">'


def empty_stage(about: str, examples: Sequence[str]) -> str:
    """Draw the stage before there is any picture: a sentence and prompts to begin with."""
    buttons = "".join(
        f'<li><button type="button" class="example" data-do="example" data-text="{text}">{text}</button></li>'
        for text in map(escape, examples[:6])
    )
    tries = f'<p class="hint">Or begin with one of these:</p><ul class="examples">{buttons}</ul>' if buttons else ""
    note = f'<p class="about">{escape(about)}</p>' if about else ""
    return (
        '<div class="stage empty"><div class="welcome">'
        '<p class="lead">Describe a picture and press <b>Generate</b>.</p>'
        "<p>Every picture shows its seed: one click on it keeps the composition while you change the words.</p>"
        f"{tries}{note}</div></div>{BAR}"
    )


def vocabulary(groups: Mapping[str, Sequence[str]], title: str = "Words this model knows") -> str:
    """Draw words by group, as buttons that add them to the prompt; nothing where there are none."""
    rows = "".join(f"<dt>{escape(group)}</dt><dd>{_words(words)}</dd>" for group, words in groups.items() if words)
    return f'<details class="vocabulary"><summary>{escape(title)}</summary><dl>{rows}</dl></details>' if rows else ""


def _words(words: Sequence[str]) -> str:
    return "".join(
        f'<button type="button" class="quiet" data-do="word" data-text="{text}" aria-label="Add {text} to the prompt">'
        f"{text}</button>"
        for text in map(escape, words)
    )


def message_stage(sentence: str, kind: str = "waiting") -> str:
    """Draw the stage with a sentence instead of a picture: ``waiting`` or ``error``."""
    return f'<div class="stage {kind}"><p class="lead">{escape(sentence)}</p></div>{BAR}'


def live_stage(recipe: Recipe, preview: bytes, kind: str, came: str) -> str:
    """Draw the preview of a picture being made, in the box in which the finished one will stand."""
    return _stage(recipe, data_url(preview, kind), came, alt="Preview")


def record_stage(record: Record, more: str = "") -> str:
    """Draw a finished picture with its seed and what can be done with it; ``more`` are further buttons."""
    name = escape(record.path.name)
    url = picture_url(record)
    text = escape(infotext_of(record))
    copy = '<button type="button" class="quiet" data-copy="{}" data-said="{} copied." aria-label="Copy {}">{}</button>'
    load = '<button type="button" class="quiet" data-do="bring" data-what="{}">{}</button>'
    actions = (
        '<span class="group"><span class="word">Load</span>'
        f"{load.format('all', 'everything')}{load.format('prompt', 'prompt')}{load.format('seed', 'seed')}"
        f"{TEMPLATE_BUTTON if record.lineage.is_typed else ''}</span>"
        '<span class="group"><span class="word">Copy</span>'
        f"{copy.format(record.recipe.seed, 'Seed', 'seed', 'seed')}"
        f"{copy.format(text, 'Infotext', 'infotext', 'infotext')}{_link(record)}</span>"
        '<span class="group"><button type="button" class="quiet" data-do="compare" title="Lay it over the picture '
        'that it came from, or over another (c)">Compare</button>'
        '<button type="button" class="quiet" data-do="verify" title="Check the file, make the '
        'picture again here and compare every pixel">Verify</button>'
        f'<a class="quiet" href="{url}" download="{name}" title="The original PNG, with its recipe inside">Download</a>'
        f"</span>{more}"
    )
    return _stage(record.recipe, url, record.id, alt=record.recipe.prompt or "Picture", actions=actions)


def _link(record: Record) -> str:
    """Draw the button that copies a link to a picture's recipe, with the hash of its model."""
    try:
        parameters = link.write(record.recipe.but(model_hash=record.fingerprint.model_hash[:10]))
    except BadValue as problem:  # longer than servers let through
        why = escape(str(problem))
        return f'<button type="button" class="quiet" disabled title="{why}" aria-label="Copy link">link</button>'
    return (
        f'<button type="button" class="quiet" data-link="{escape(parameters)}" aria-label="Copy link" '
        'title="An address of this page that fills the form with this recipe">link</button>'
    )


def _stage(recipe: Recipe, source: str, came: str, *, alt: str, actions: str = "") -> str:
    """Draw a picture; with what can be done with it when it is finished, and only then has it an id."""
    id = came if actions else ""
    kind = "done" if id else "live"
    seed = str(recipe.seed)
    picture = f'<img src="{source}" alt="{escape(alt)}" width="{recipe.width}" height="{recipe.height}">'
    link = f' href="{source}" target="_blank" rel="noopener" title="Open the original"' if id else ""
    return (
        f'<div class="stage {kind}" data-key="{seed}" data-seed="{seed}" data-id="{escape(id)}" '
        f'data-from="{escape(came)}">'
        f'<figure style="--w:{recipe.width};--h:{recipe.height}"><a{link}>{picture}</a></figure></div>'
        f'<div class="bar"><span class="group"><span class="word">Seed</span>{chip(seed, came)}</span>{actions}</div>'
    )


def data_url(data: bytes, kind: str) -> str:
    """Write bytes as a data URL: previews leave no file behind."""
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"


def status(jobs: Sequence[Progress]) -> str:
    """Draw the progress of the jobs that this tab follows."""
    waiting = [job for job in jobs if not job.done]
    said = _said(jobs)
    if not waiting:
        return f'<div class="status"><p class="line">{escape(said)}</p>{_live_region(said)}</div>'
    job = waiting[0]
    percent = share_done(job)
    more = len(waiting) - 1
    drop = f'<button type="button" class="quiet" data-do="unqueue">Drop the {more} waiting</button>' if more else ""
    return (
        f'<div class="status running" data-percent="{percent}">'
        f'<p class="line"><span>{escape(line(job))}</span>{drop}</p>{track(percent)}{_live_region(said)}</div>'
    )


def track(percent: int, name: str = "Progress") -> str:
    """Draw a bar that is filled to ``percent``."""
    return (
        f'<div class="track" role="progressbar" aria-label="{name}" aria-valuemin="0" aria-valuemax="100" '
        f'aria-valuenow="{percent}"><div style="width:{percent}%"></div></div>'
    )


def share_done(job: Progress) -> int:
    """Return how much of a job is done, in percent."""
    done = len(job.records) + len(job.drafts) + len(job.failed) + (job.step / job.steps if job.steps else 0)
    return round(100 * min(1.0, done / max(1, job.count)))


def _live_region(said: str) -> str:
    return f'<p class="sr" role="status" aria-live="polite">{escape(said)}</p>'


def line(job: Progress) -> str:
    """Say where a job stands, with the numbers that change at each step."""
    if job.held:
        return "The disk is full: this goes on as soon as there is room"
    if job.status == "pending":
        ahead = job.position
        jobs = "1 job is" if ahead == 1 else f"{ahead} jobs are"
        return f"Waiting: {jobs} before this one" if ahead else "Waiting for its turn"
    if job.status == "canceling":
        return "Stopping…"
    parts = [f"Step {job.step} of {job.steps}" if job.steps else "Loading the model"]
    if len(job.at_work) > 1:
        parts.append(f"{len(job.at_work)} {_noun(job)}s at once, {job.count - len(job.left)} of {job.count} done")
    elif job.count > 1:
        parts.append(f"{_noun(job)} {min(job.index + 1, job.count)} of {job.count}")
    if job.eta is not None:
        parts.append(f"about {duration(job.eta)} left")
    if job.note:
        parts.append(job.note)
    return " · ".join(parts)


def _noun(job: Progress) -> str:
    return "draft" if job.kind == "explore" else "picture"


def duration(seconds: float) -> str:
    """Write a time in whole seconds or minutes."""
    whole = max(1, round(seconds))
    return f"{whole} s" if whole < 100 else f"{round(whole / 60)} min"


def _said(jobs: Sequence[Progress]) -> str:
    """Say what a person who hears the page needs to know: few words, not every step."""
    waiting = [job for job in jobs if not job.done]
    if waiting:
        job = waiting[0]
        making = f"Making {_noun(job)} {min(job.index + 1, job.count)} of {job.count}."
        return "Waiting." if job.status == "pending" else making
    if not jobs:
        return ""
    job = jobs[-1]
    made = len(job.records) + len(job.drafts)
    pictures = f"{made} {_noun(job)}{'' if made == 1 else 's'}"
    if job.error:
        return f"Not finished: {pictures} of {job.count} made." if made else "Not finished."
    if job.status == "canceled":
        return f"Stopped: {pictures} of {job.count} made." if made else f"Stopped before a {_noun(job)} was finished."
    return f"Finished: {pictures}."


def tiles(records: Sequence[Record], current: str = "", live: str = "", marked: Set[str] = frozenset()) -> str:
    """Draw a row of thumbnails, each with its seed and ★ when its id is in ``marked``.

    ``live`` is the tile of the picture being made.
    """
    items = "".join(_tile(record, current, record.id in marked) for record in records)
    return f'<ul class="tiles">{live}{items}</ul>'


def live_tile(recipe: Recipe, preview: bytes | None, kind: str, came: str) -> str:
    """Draw the tile of the picture being made; a click goes back to following it."""
    inner = f'<img src="{data_url(preview, kind)}" alt="">' if preview else '<span class="blank"></span>'
    return (
        '<li class="tile live" data-key="live"><button type="button" class="pick" data-do="follow" '
        'title="Watch the picture being made" aria-label="Watch the picture being made">'
        f"{inner}</button>{chip(recipe.seed, came)}</li>"
    )


def _tile(record: Record, current: str, marked: bool) -> str:
    id, seed, prompt = escape(record.id), record.recipe.seed, record.recipe.prompt
    mark = ' aria-current="true"' if record.id == current else ""
    words = escape(f"Show the picture with seed {seed}{', a favourite' if marked else ''}: {prompt[:120]}")
    star = '<span class="mark" aria-hidden="true">★</span>' if marked else ""
    return (
        f'<li class="tile" data-key="{id}"><button type="button" class="pick" data-do="pick" data-id="{id}" '
        f'title="{words}" aria-label="{words}"{mark}>'
        f"{_thumbnail(record)}{star}</button>"
        f"{chip(seed, record.id)}</li>"
    )


def details(record: Record) -> str:
    """Draw everything that made a picture, and its infotext."""
    rows = [("File", record.path.name), ("Made", _local(record.created)), *shown(record.recipe.values())]
    rows += [(MADE_BY.get(name, name), str(value)) for name, value in record.fingerprint.to_dict().items()]
    rows += [("Pixels SHA-256", record.pixels_sha256), *told(record.lineage)]
    body = "".join(
        f'<tr><th scope="row">{escape(label)}</th><td>{escape(text)}</td></tr>' for label, text in rows if text != ""
    )
    return (
        f'<table class="recipe" aria-label="What made this picture"><tbody>{body}</tbody></table>'
        f'<p class="word">Infotext, as other programs read it</p><pre id="infotext">{escape(infotext_of(record))}</pre>'
    )


def _local(created: str) -> str:
    """Write a time stamp in the server's own time zone, to the second."""
    with suppress(ValueError):
        return datetime.fromisoformat(created).astimezone().strftime("%Y-%m-%d %H:%M:%S")
    return created


def infotext_of(record: Record) -> str:
    """Return the infotext that the picture's file carries; when the file is gone, the one its recipe gives."""
    from webui import png

    with suppress(ReseedError, OSError):
        found = png.read(record.path).infotext
        if found:
            return found
    return infotext.format(record.recipe)


def found(
    name: str, source: str, summary: Sequence[tuple[str, str]], sentences: Sequence[str], has_template: bool
) -> str:
    """Draw what was read from a dropped picture and offer to load it."""
    rows = "".join(f'<tr><th scope="row">{escape(label)}</th><td>{escape(text)}</td></tr>' for label, text in summary)
    notes = "".join(f'<p class="note">{escape(sentence)}</p>' for sentence in sentences)
    made = f", made with {escape(source)}" if source else ""
    template = _choice("template", "Bring the template back") if has_template else ""
    return (
        '<section class="found" aria-label="Recipe from a picture">'
        f'<p class="lead">Read from <b>{escape(name)}</b>{made}</p><p class="choices">'
        f"{_choice('all', 'Load everything', 'strong')}{_choice('seed', 'Just the seed')}"
        f"{_choice('prompt', 'Just the prompt')}{template}{_choice('nothing', 'Dismiss')}</p>"
        f'{notes}<div class="scroll"><table class="recipe"><tbody>{rows}</tbody></table></div></section>'
    )


def refusal(sentence: str) -> str:
    """Draw a sentence about a dropped file that could not be read."""
    return (
        f'<section class="found refused"><p class="lead" role="alert">{escape(sentence)}</p>'
        f'<p class="choices">{_choice("nothing", "Dismiss")}</p></section>'
    )


def _choice(what: str, words: str, kind: str = "quiet") -> str:
    return f'<button type="button" class="{kind}" data-do="take" data-what="{what}">{words}</button>'


def note(sentence: str, kind: str = "said") -> str:
    """Draw a sentence under the seed field; it is read aloud."""
    return f'<p class="{kind}" role="status" aria-live="polite">{escape(sentence)}</p>'


def traps(sentences: Sequence[str]) -> str:
    """Draw the warnings about a prompt under its field, or nothing."""
    rows = "".join(f"<li>{escape(sentence)}</li>" for sentence in sentences)
    return f'<ul class="traps" role="status" aria-live="polite">{rows}</ul>' if rows else ""


def tokens(count: tuple[int, int] | None) -> str:
    """Draw the token counter of a prompt, or nothing while the model is not loaded."""
    if count is None:
        return ""
    used, room = count
    return f'<span title="Tokens of the prompt, and the room in the chunks they fill">{used}/{room}</span>'
