"""What the page shows of pictures and jobs, as HTML: the stage, the progress, rows of pictures, the details.

The promise: every text that a person or a file gave is escaped here, and nothing is fetched from outside. Pictures
and thumbnails are named by their record's id, relative to the page, so that the page also works below a path.
Buttons carry ``data-do``; ``page.js`` turns a click on one into the event of that name.
"""

import base64
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from html import escape
from typing import Final
from urllib.parse import quote

from webui import infotext
from webui.errors import ReseedError
from webui.gallery import Record
from webui.jobs import Progress
from webui.recipe import Recipe
from webui.ui.form import shown

BAR: Final = '<div class="bar"></div>'
"""Holds the place of what can be done with a picture, so that nothing moves when one comes."""

NO_DETAILS: Final = '<p class="hint">Everything that made the picture on screen is listed here.</p>'
MADE_BY: Final = {
    "product": "Reseed",
    "torch": "torch",
    "diffusers": "diffusers",
    "model": "Weights",
    "model_hash": "Weights SHA-256",
    "device": "Device",
    "dtype": "Number type",
}
"""How the parts of a fingerprint are named in the details."""


def picture_url(record: Record) -> str:
    """Return where the original file is served."""
    return f"pictures/{quote(record.id, safe='')}.png"


def chip(seed: int | str, title: str = "Put this seed into the field") -> str:
    """Draw a seed as a button that reuses it."""
    text = escape(str(seed))
    return (
        f'<button type="button" class="chip" data-do="reuse" data-seed="{text}" title="{escape(title)}" '
        f'aria-label="Use seed {text} again">{text}</button>'
    )


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


def vocabulary(groups: Mapping[str, Sequence[str]]) -> str:
    """Draw the words that a small model knows, as buttons that add them to the prompt; nothing for other models."""
    if not groups:
        return ""
    rows = "".join(f"<dt>{escape(group)}</dt><dd>{_words(words)}</dd>" for group, words in groups.items())
    return f'<details class="vocabulary"><summary>Words this model knows</summary><dl>{rows}</dl></details>'


def _words(words: Sequence[str]) -> str:
    return "".join(
        f'<button type="button" class="quiet" data-do="word" data-text="{text}" aria-label="Add {text} to the prompt">'
        f"{text}</button>"
        for text in map(escape, words)
    )


def message_stage(sentence: str, kind: str = "waiting") -> str:
    """Draw the stage with a sentence instead of a picture: ``waiting`` or ``error``."""
    return f'<div class="stage {kind}"><p class="lead">{escape(sentence)}</p></div>{BAR}'


def live_stage(recipe: Recipe, preview: bytes, kind: str) -> str:
    """Draw the preview of a picture being made, in the box in which the finished one will stand."""
    return _stage(recipe, data_url(preview, kind), alt="Preview")


def record_stage(record: Record) -> str:
    """Draw a finished picture with its seed and what can be done with it."""
    name = escape(record.path.name)
    url = picture_url(record)
    text = escape(infotext_of(record))
    copy = '<button type="button" class="quiet" data-copy="{}" data-said="{} copied." aria-label="Copy {}">{}</button>'
    load = '<button type="button" class="quiet" data-do="bring" data-what="{}">{}</button>'
    actions = (
        '<span class="group"><span class="word">Load</span>'
        f"{load.format('all', 'everything')}{load.format('prompt', 'prompt')}{load.format('seed', 'seed')}</span>"
        '<span class="group"><span class="word">Copy</span>'
        f"{copy.format(record.recipe.seed, 'Seed', 'seed', 'seed')}"
        f"{copy.format(text, 'Infotext', 'infotext', 'infotext')}</span>"
        f'<a class="quiet" href="{url}" download="{name}" title="The original PNG, with its recipe inside">Download</a>'
    )
    return _stage(record.recipe, url, alt=record.recipe.prompt or "Picture", id=record.id, actions=actions)


def _stage(recipe: Recipe, source: str, *, alt: str, id: str = "", actions: str = "") -> str:
    kind = "done" if id else "live"
    seed = str(recipe.seed)
    picture = f'<img src="{source}" alt="{escape(alt)}" width="{recipe.width}" height="{recipe.height}">'
    link = f' href="{source}" target="_blank" rel="noopener" title="Open the original"' if id else ""
    return (
        f'<div class="stage {kind}" data-key="{seed}" data-seed="{seed}" data-id="{escape(id)}">'
        f'<figure style="--w:{recipe.width};--h:{recipe.height}"><a{link}>{picture}</a></figure></div>'
        f'<div class="bar"><span class="group"><span class="word">Seed</span>{chip(seed)}</span>{actions}</div>'
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
    done = min(1.0, (len(job.records) + (job.step / job.steps if job.steps else 0)) / max(1, job.count))
    percent = round(100 * done)
    more = len(waiting) - 1
    drop = f'<button type="button" class="quiet" data-do="unqueue">Drop the {more} waiting</button>' if more else ""
    return (
        f'<div class="status running" data-percent="{percent}">'
        f'<p class="line"><span>{escape(_line(job))}</span>{drop}</p>'
        f'<div class="track" role="progressbar" aria-label="Progress" aria-valuemin="0" aria-valuemax="100" '
        f'aria-valuenow="{percent}"><div style="width:{percent}%"></div></div>{_live_region(said)}</div>'
    )


def _live_region(said: str) -> str:
    return f'<p class="sr" role="status" aria-live="polite">{escape(said)}</p>'


def _line(job: Progress) -> str:
    """Say where a job stands, with the numbers that change at each step."""
    if job.status == "pending":
        ahead = job.position
        jobs = "1 job is" if ahead == 1 else f"{ahead} jobs are"
        return f"Waiting: {jobs} before this one" if ahead else "Waiting for its turn"
    if job.status == "canceling":
        return "Stopping…"
    parts = [f"Step {job.step} of {job.steps}" if job.steps else "Loading the model"]
    if job.count > 1:
        parts.append(f"picture {min(job.index + 1, job.count)} of {job.count}")
    if job.eta is not None:
        parts.append(f"about {_duration(job.eta)} left")
    return " · ".join(parts)


def _duration(seconds: float) -> str:
    whole = max(1, round(seconds))
    return f"{whole} s" if whole < 100 else f"{round(whole / 60)} min"


def _said(jobs: Sequence[Progress]) -> str:
    """Say what a person who hears the page needs to know: few words, not every step."""
    waiting = [job for job in jobs if not job.done]
    if waiting:
        job = waiting[0]
        making = f"Making picture {min(job.index + 1, job.count)} of {job.count}."
        return "Waiting." if job.status == "pending" else making
    if not jobs:
        return ""
    job = jobs[-1]
    made = len(job.records)
    pictures = "1 picture" if made == 1 else f"{made} pictures"
    if job.error:
        return f"Not finished: {pictures} of {job.count} made." if made else "Not finished."
    if job.status == "canceled":
        return f"Stopped: {pictures} of {job.count} made." if made else "Stopped before a picture was finished."
    return f"Finished: {pictures}."


def tiles(records: Sequence[Record], current: str = "", live: str = "") -> str:
    """Draw a row of thumbnails, each with its seed; ``live`` is the tile of the picture being made."""
    items = "".join(_tile(record, current) for record in records)
    return f'<ul class="tiles">{live}{items}</ul>'


def live_tile(recipe: Recipe, preview: bytes | None, kind: str) -> str:
    """Draw the tile of the picture being made; a click goes back to following it."""
    inner = f'<img src="{data_url(preview, kind)}" alt="">' if preview else '<span class="blank"></span>'
    return (
        '<li class="tile live" data-key="live"><button type="button" class="pick" data-do="follow" '
        'title="Watch the picture being made" aria-label="Watch the picture being made">'
        f"{inner}</button>{chip(recipe.seed)}</li>"
    )


def _tile(record: Record, current: str) -> str:
    id, seed, prompt = escape(record.id), record.recipe.seed, record.recipe.prompt
    mark = ' aria-current="true"' if record.id == current else ""
    words = escape(f"Show the picture with seed {seed}: {prompt[:120]}")
    return (
        f'<li class="tile" data-key="{id}"><button type="button" class="pick" data-do="pick" data-id="{id}" '
        f'title="{words}" aria-label="{words}"{mark}>'
        f'<img src="thumbnails/{quote(record.id, safe="")}" alt="" loading="lazy" draggable="false"></button>'
        f"{chip(seed)}</li>"
    )


def history(records: Sequence[Record], more: bool, current: str = "") -> str:
    """Draw the history: the newest pictures first, and a button when there are more."""
    if not records:
        return '<p class="hint">Pictures you make stay here, each with its seed, also after a restart.</p>'
    button = '<p><button type="button" class="quiet" data-do="more">Show more</button></p>' if more else ""
    return tiles(records, current) + button


def details(record: Record) -> str:
    """Draw everything that made a picture, and its infotext."""
    rows = [("File", record.path.name), ("Made", _local(record.created)), *shown(record.recipe.values())]
    rows += [(MADE_BY.get(name, name), str(value)) for name, value in record.fingerprint.to_dict().items()]
    rows.append(("Pixels SHA-256", record.pixels_sha256))
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


def found(name: str, source: str, summary: Sequence[tuple[str, str]], sentences: Sequence[str]) -> str:
    """Draw what was read from a dropped picture and offer to load it."""
    rows = "".join(f'<tr><th scope="row">{escape(label)}</th><td>{escape(text)}</td></tr>' for label, text in summary)
    notes = "".join(f'<p class="note">{escape(sentence)}</p>' for sentence in sentences)
    made = f", made with {escape(source)}" if source else ""
    return (
        '<section class="found" aria-label="Recipe from a picture">'
        f'<p class="lead">Read from <b>{escape(name)}</b>{made}</p><p class="choices">'
        f"{_choice('all', 'Load everything', 'strong')}{_choice('seed', 'Just the seed')}"
        f"{_choice('prompt', 'Just the prompt')}{_choice('nothing', 'Dismiss')}</p>"
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
