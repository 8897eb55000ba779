"""The five doors over one folder: each takes a value for a field, or a file, and says how it was answered.

The page is pressed as a browser does it, through gradio's own queue; the three JSON doors take bodies; the command
line runs in this process. Everything is real but the engine, which draws no pictures worth looking at.
"""

import base64
import contextlib
import io
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from starlette.testclient import TestClient

from webui.cli import main
from webui.engine.checkpoints import Catalog
from webui.engine.fake import FakeEngine
from webui.serve import application
from webui.settings import Door, Settings
from webui.studio import Studio
from webui.ui import form

ADDRESS = "http://127.0.0.1:7860"
NAMES = ("page", "firefly", "runware", "a1111", "cli")
"""The doors, as the table and the ids of the cases call them."""
PATHS = {"firefly": "/v3/images/generate", "runware": "/v1", "a1111": "/sdapi/v1/txt2img"}
JSON = {"content-type": "application/json"}
DEFAULT = {"prompt": '"a lake"', "steps": "1", "width": "64", "height": "64"}
GONE = "no such style"
"""A style that is not here."""


@dataclass(frozen=True)
class Answer:
    """What a door said: whether it took the input, the sentence when it did not, and its own number for that.

    ``status`` is HTTP's, or the command line's exit status; ``ms`` is how long the answer took.
    """

    taken: bool
    sentence: str
    status: int
    text: str = field(default="", repr=False)
    ms: float = 0.0


class House:
    """A studio in a folder, its application with the page, and the command line over a data folder of its own."""

    def __init__(self, folder: Path, door: Door | None = None, engine: FakeEngine | None = None) -> None:
        self.folder, self.data, self.commands = folder, folder / "data", folder / "commands"
        self.models = folder / "models"
        for made in (self.data, self.commands, self.models):
            made.mkdir(parents=True, exist_ok=True)
        settings = Settings(data_dir=self.data, models_dir=self.models, door=door or Door())
        catalog = Catalog(self.models, loras=settings.loras, embeddings=settings.embeddings)
        self.studio = Studio(settings, engine or FakeEngine(), catalog)
        self.studio.start()
        self.app = application(self.studio)
        # One event loop for all requests: the page's answers come through a stream of another request.
        self.client = TestClient(self.app, base_url=ADDRESS, raise_server_exceptions=False).__enter__()
        self.look()

    def look(self) -> None:
        """Read the page's configuration: where its parts are, what they begin with, and what they call."""
        config = self.client.get("/config").json()
        parts = {part["props"].get("elem_id"): part for part in config["components"]}
        self.ids = {name: part["id"] for name, part in parts.items()}
        self.first = {name: parts[name]["props"]["value"] for name in form.NAMES}
        self.events = {tuple(target): one["id"] for one in config["dependencies"] for target in one["targets"]}

    def close(self) -> None:
        """Stop working."""
        self.client.__exit__(None, None, None)
        self.studio.close()

    def state(self) -> dict[str, Any]:
        """Say what there is: every file with its size and time, the queue, the pictures, what the API remembers."""
        files = {
            path.relative_to(self.folder).as_posix(): (path.lstat().st_size, path.lstat().st_mtime_ns)
            for path in self.folder.rglob("*")
            # SQLite's shared memory is touched by whoever reads.
            if not path.is_dir() and not path.name.endswith("-shm")
        }
        options = self.client.get("/sdapi/v1/options").json()
        return {"files": files, "queue": self.studio.jobs.active(), "count": self.studio.gallery.count()} | options

    def finish(self) -> None:
        """Wait until everything that was queued is made."""
        for job in self.studio.jobs.active():
            list(self.studio.jobs.watch(job.job))

    # ---- the page ----------------------------------------------------------------------------------------------

    def press(self, target: str, data: str, trigger: str = "click") -> Answer:
        """Press a part of the page: join the queue with JSON data, and read the stream where it was let in."""
        part = self.ids[target]
        head = f'"fn_index": {self.events[part, trigger]}, "session_hash": "tab", "trigger_id": {part}'
        body = f'{{"data": [{data}], {head}}}'.encode()
        joined = self.client.post("/gradio_api/queue/join", content=body, headers=JSON)
        if joined.status_code != 200:
            return Answer(False, _first_sentence(joined), joined.status_code, joined.text)
        told = self.client.get("/gradio_api/queue/data", params={"session_hash": "tab"}).text
        messages = [json.loads(line.removeprefix("data: ")) for line in told.splitlines() if line]
        return _completed(next(one for one in messages if one.get("msg") == "process_completed"))

    def upload(self, data: bytes, name: str) -> str:
        """Send a file as the page does; return what a handler is given of it, as JSON."""
        sent = self.client.post("/gradio_api/upload", files={"files": (name, data)})
        assert sent.status_code == 200, sent.text
        told = {"path": sent.json()[0], "orig_name": name, "meta": {"_type": "gradio.FileData"}}
        return json.dumps(told)

    # ---- the command line --------------------------------------------------------------------------------------

    def command(self, *words: str) -> Answer:
        """Run a command in this process; what it prints is the answer."""
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            try:
                status = main([words[0], "--data-dir", str(self.commands), *words[1:]])
            except SystemExit as left:
                status = int(str(left.code or 0))
        said = err.getvalue().strip()
        return Answer(status == 0, said.removeprefix("webui: "), status, f"{out.getvalue()}{said}")


def _first_sentence(answer: Any) -> str:
    """Return the first sentence of gradio's refusal: ours stand in a list, one place for each field."""
    told = answer.json().get("detail")
    if isinstance(told, str):
        return told
    for one in told if isinstance(told, list) else ():
        if isinstance(one, dict) and not one.get("is_valid", True):
            return str(one["message"])
    return ""


def _completed(message: dict[str, Any]) -> Answer:
    output = message["output"]
    if message["success"]:
        return Answer(True, "", 200, json.dumps(output, ensure_ascii=False))
    return Answer(False, str(output.get("error") or ""), 422, json.dumps(output, ensure_ascii=False))


def timed(ask: Callable[[], Answer]) -> Answer:
    """Ask and note how long it took."""
    began = time.perf_counter()
    answer = ask()
    took = 1000 * (time.perf_counter() - began)
    return Answer(answer.taken, answer.sentence, answer.status, answer.text, took)


# ---- a value for a field -----------------------------------------------------------------------------------------


def ask(house: House, door: str, name: str, value: str, *, harmless: bool = False) -> Answer:
    """Ask a door for a picture with a value, written as JSON, for a field.

    ``harmless`` asks the command line for a style that is not here besides: what it takes is then refused for that
    alone, and nothing is made.
    """
    if door == "cli":
        return timed(lambda: _cli(house, name, value, harmless))
    return timed(lambda: _ASK[door](house, name, value))


def _page(house: House, name: str, value: str) -> Answer:
    if name == "preset":
        data = ["null", value, '"oil"', '""', "false", "[]", '"reseed"', "2", '"Euler"', '"Automatic"', "7", "64", "64"]
        saved = house.press("preset-save", ", ".join(data))
        wrong = '<p class=\\"note wrong' in saved.text or 'class=\\"wrong' in saved.text
        return Answer(saved.taken and not wrong, saved.text, saved.status, saved.text)
    extra = {"seed": '"7"', "count": "1", "numbering": '"increment"', "styles": "[]", "parent": '""', "share": "0"}
    form_now = {one: json.dumps(first) for one, first in house.first.items()}
    asked = form_now | {**DEFAULT, **extra} | _as_typed(name, value)
    return house.press("go", ", ".join(["[]", '""', *(asked[one] for one in [*form.NAMES, *form.EXTRA])]))


def _as_typed(name: str, value: str) -> dict[str, str]:
    """Put a value where a person types it: a list of seeds is text, and a size is two fields."""
    if name == "size":
        width, height = json.loads(value)
        return {"width": str(width), "height": str(height)}
    if name == "seeds":
        return {"seed": json.dumps(", ".join(map(str, json.loads(value))))}
    return {"styles": f"[{value}]"} if name == "style" else {name: value}


def _http(write: Callable[[dict[str, str]], str]) -> Callable[[House, str, str], Answer]:
    def asked(house: House, door: str, name: str, value: str) -> Answer:
        fields = {**DEFAULT, "seed": "7"}
        if name == "size":
            fields |= _as_typed(name, value)
        else:
            fields |= {"styles": f"[{value}]"} if name == "style" else {name: value}
        return post(house, door, write(fields))

    return asked  # type: ignore[return-value]


def post(house: House, door: str, body: str | bytes, headers: dict[str, str] = JSON) -> Answer:
    """Send a body to a JSON door."""
    content = body.encode() if isinstance(body, str) else body
    return heard(house.client.post(PATHS[door], content=content, headers=headers))


def heard(answer: Any) -> Answer:
    """Read an answer of a JSON door, or of what stands before all of them."""
    body = answer.json() if "json" in answer.headers.get("content-type", "") else {"detail": answer.text}
    body = body if isinstance(body, dict) else {}
    errors = body.get("errors") if isinstance(body.get("errors"), list) else []
    told = body.get("detail") or (body.get("error") or {} if isinstance(body.get("error"), dict) else {}).get("message")
    refused = answer.status_code >= 400 or ("data" in body and bool(errors))
    first = errors[0].get("message", "") if errors else ""
    return Answer(not refused, str(told or first), answer.status_code, answer.text)


def _members(values: dict[str, str], names: dict[str, str]) -> str:
    return ", ".join(f'"{names.get(name, name)}": {value}' for name, value in values.items())


def _firefly(values: dict[str, str]) -> str:
    size = _members({name: values[name] for name in ("width", "height")}, {})
    own = _members({name: values[name] for name in ("steps", "cfg_scale", "sampler", "model") if name in values}, {})
    seeds = values["seeds"] if "seeds" in values else f"[{values['seed']}]"
    rest = f', "numVariations": {values["count"]}' if "count" in values else f', "seeds": {seeds}'
    style = f', "style": {{"presets": {values["styles"]}}}' if "styles" in values else ""
    return f'{{"prompt": {values["prompt"]}, "size": {{{size}}}, "reseed": {{{own}}}{rest}{style}}}'


def _one_seed(values: dict[str, str]) -> dict[str, str]:
    """Put a list of seeds where one seed belongs."""
    return {**values, "seed": values["seeds"]} if "seeds" in values else values


def _runware(values: dict[str, str]) -> str:
    names = {"prompt": "positivePrompt", "cfg_scale": "CFGScale", "count": "numberResults", "sampler": "scheduler"}
    told = {name: value for name, value in _one_seed(values).items() if name != "seeds"}
    return f'[{{"taskType": "imageInference", {_members(told, names)}}}]'


def _a1111(values: dict[str, str]) -> str:
    names = {"count": "n_iter", "sampler": "sampler_name"}
    told = {name: value for name, value in _one_seed(values).items() if name != "seeds"}
    if "model" in told:
        told["override_settings"] = f'{{"sd_model_checkpoint": {told.pop("model")}}}'
    return f"{{{_members(told, names)}}}"


OPTIONS = {"count": "--count", "seed": "--seed", "sampler": "--sampler", "model": "--model", "steps": "--steps",
           "cfg_scale": "--cfg-scale", "width": "--width", "height": "--height", "style": "--style"}  # fmt: skip


def _cli(house: House, name: str, value: str, harmless: bool) -> Answer:
    typed = _as_typed(name, value) if name in ("size", "seeds") else {name: value}
    words, options = "a lake", []
    for one, text in typed.items():
        plain = str(json.loads(text)) if text.startswith('"') else text
        if one == "prompt":
            words = plain
        else:
            options.append(f"{OPTIONS[one]}={plain}")
    small = [f"--{one}=64" for one in ("width", "height") if one not in typed]
    where = ["--models-dir", str(house.models)]
    gone = [f"--style={GONE}"] if harmless else []
    answer = house.command("make", *small, *options, *gone, *where, "--", words)
    only = answer.sentence.startswith("Styles must be") and answer.sentence.count(" must be ") == 1
    taken = answer.taken or (only and f"got {GONE!r}." in answer.sentence)
    return Answer(taken, answer.sentence, answer.status, answer.text)


_ASK: dict[str, Callable[[House, str, str], Answer]] = {
    "page": _page,
    "firefly": lambda house, name, value: _BODIES["firefly"](house, "firefly", name, value),
    "runware": lambda house, name, value: _BODIES["runware"](house, "runware", name, value),
    "a1111": lambda house, name, value: _BODIES["a1111"](house, "a1111", name, value),
}
_BODIES: dict[str, Any] = {"firefly": _http(_firefly), "runware": _http(_runware), "a1111": _http(_a1111)}


# ---- a file ------------------------------------------------------------------------------------------------------


def show(house: House, door: str, data: bytes, name: str) -> Answer:
    """Show a door a file: drop it on the page, send it to png-info, name it to ``webui verify``."""
    return timed(lambda: _SHOW[door](house, data, name))


def _drop(house: House, data: bytes, name: str) -> Answer:
    found = house.press("drop", house.upload(data, name), "upload")
    return Answer(found.taken and 'role=\\"alert\\"' not in found.text, found.text, found.status, found.text)


def _png_info(house: House, data: bytes, name: str) -> Answer:
    image = base64.b64encode(data).decode()
    return heard(house.client.post("/sdapi/v1/png-info", json={"image": image}))


def _verify(house: House, data: bytes, name: str) -> Answer:
    path = house.folder / name
    path.write_bytes(data)
    try:
        answer = house.command("verify", str(path))
    finally:
        path.unlink()
    return Answer(answer.taken, answer.text, answer.status, answer.text)


_SHOW: dict[str, Callable[[House, bytes, str], Answer]] = {"page": _drop, "a1111": _png_info, "cli": _verify}


@contextlib.contextmanager
def opened(folder: Path, door: Door | None = None, engine: FakeEngine | None = None) -> Iterator[House]:
    """Open a house and close it."""
    house = House(folder, door, engine)
    try:
        yield house
    finally:
        house.close()
