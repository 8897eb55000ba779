"""Inputs that broke other programs, at every door: refused with a sentence and nothing queued, or taken as they are.

The doors are the page, the job API in Firefly's and in Runware's manner, the door for A1111's clients and the command
line. Each value is written as JSON; the command line gets its text.
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from tests.api.test_app import ADDRESS, opened
from tests.ui.test_handlers import arguments, request, wrong
from webui.api.app import create
from webui.cli import main
from webui.studio import Studio
from webui.ui.handlers import Handlers

JSON = {"content-type": "application/json"}
NUMBERS = ("0", "-1", "1.5", "151", "1e9", "NaN", "Infinity", "1e999", '"abc"', "true", "[]", "{}", "5e-324",
           '"１２"', '"1_000"', '"0x10"', "[20]", '{"a": 1}', "18446744073709551616")  # fmt: skip
BAD: dict[str, tuple[str, ...]] = {
    "steps": NUMBERS,
    "cfg_scale": ("NaN", "Infinity", "-Infinity", "-1", "1e308", "1e999", '"abc"', "true", "[]", "{}", "[7]"),
    "width": ("7", "0", "-64", "513", "65536", "NaN", "1e308", "true", "[]", "{}", '"abc"', "64.5"),
    "count": ("0", "-1", "1.5", "1000000", "NaN", "true", "[]", "{}", '"abc"'),
    "seed": ("-2", "18446744073709551616", "1.5", '"abc"', '"-1e3"', '"1e3"', '"' + "9" * 100 + '"', "true", "[]",
             "{}", '"１２"', '"0x10"', '"1_000"', "NaN", "1e999", '"7;8"', '"\\u0000"', '"\\ud800"'),
    "prompt": (json.dumps("x" * 10_001), json.dumps("x" * 100_000), json.dumps("(" * 20_000), '"a\\u0000b"',
               '"\\ud800"', "true", "7", "[]", "{}"),
    "sampler": ('"Eular"', "7", "true", "[]", '["Euler"]', "{}", '"../../etc/passwd"', '"Euler\\u0000"'),
    "model": ('"../../etc/passwd"', '"/etc/passwd"', '"C:\\\\x"', '"no such model"', "7", "true", "[]", "{}",
              '"\\ud800"'),
    "styles": ('["no such style"]', '["../x"]', '["<img src=x onerror=alert(1)>"]', "[7]", "[[]]", '"Ink"', '{"a": 1}'),
}  # fmt: skip
"""Values that no door may take."""
GOOD: dict[str, tuple[str, ...]] = {
    "seed": ("0", "4294967295", "4294967296", "9007199254740993", "9223372036854775808", "18446744073709551615",
             '"18446744073709551615"'),
    "prompt": ('"a\\u202eb"', '"e\\u0301"', '"\\u00e9"', '"\\ud83d\\udc69\\u200d\\ud83d\\udc67"', '"a\\r\\nb"',
               '"a\\u2028b"',
               '"\\u001b[31mred"', '"<script>alert(1)</script>"', '"{{7*7}} ${jndi:x}"', '"(a:1.2.3)"', '"(a:1e999)"',
               '"(a:nan)"', '"(a:-5)"', '"a)) [b"', '"\\\\(a\\\\)"', '"%s {0} %d"',
               '"a\\nNegative prompt: x\\nSteps: 1, Seed: 2"', json.dumps("x" * 10_000), json.dumps("(" * 10_000)),
    "cfg_scale": ("-0.0", "0", "5e-324", "30"),
}  # fmt: skip
"""Values that every door takes, and that come back as they were."""
DEFAULT: dict[str, Any] = {"prompt": "a lake", "steps": 1, "width": 64, "height": 64, "seed": 7}


@dataclass
class Answer:
    """What a door said: whether the input was taken, and the sentence when it was not."""

    taken: bool
    sentence: str = ""


Door = Callable[[Studio, str, str], Answer]


def http(path: str, write: Callable[[dict[str, str]], str]) -> Door:
    """Make a door of a path and what its body looks like."""

    def ask(studio: Studio, field: str, value: str) -> Answer:
        values = {name: json.dumps(one) for name, one in DEFAULT.items()} | {field: value}
        answer = TestClient(create(studio), base_url=ADDRESS).post(path, content=write(values).encode(), headers=JSON)
        assert answer.status_code < 500, answer.text
        assert "Traceback" not in answer.text
        body = answer.json()
        errors = body.get("errors") if isinstance(body.get("errors"), list) else []
        told = body.get("detail") or (errors[0].get("message", "") if errors else "")
        return Answer(answer.status_code < 400 and not (path == "/v1" and errors), str(told))

    return ask


def _members(values: dict[str, str], names: dict[str, str]) -> str:
    return ", ".join(f'"{names.get(name, name)}": {value}' for name, value in values.items())


def _firefly(values: dict[str, str]) -> str:
    size = _members({name: values[name] for name in ("width", "height")}, {})
    own = _members({name: values[name] for name in ("steps", "cfg_scale", "sampler", "model") if name in values}, {})
    rest = f', "numVariations": {values["count"]}' if "count" in values else f', "seeds": [{values["seed"]}]'
    style = f', "style": {{"presets": {values["styles"]}}}' if "styles" in values else ""
    return f'{{"prompt": {values["prompt"]}, "size": {{{size}}}, "reseed": {{{own}}}{rest}{style}}}'


def _runware(values: dict[str, str]) -> str:
    names = {"prompt": "positivePrompt", "cfg_scale": "CFGScale", "count": "numberResults", "sampler": "scheduler"}
    return f'[{{"taskType": "imageInference", {_members(values, names)}}}]'


def _sdapi(values: dict[str, str]) -> str:
    names = {"count": "n_iter", "sampler": "sampler_name"}
    if "model" in values:
        values = {**values, "override_settings": f'{{"sd_model_checkpoint": {values.pop("model")}}}'}
    return f"{{{_members(values, names)}}}"


def page(studio: Studio, field: str, value: str) -> Answer:
    try:
        found = json.loads(value)
    except ValueError:
        found = float(value)
    changed = {"seed": str(found)} if field == "seed" else {field: found}
    handlers = Handlers(studio)
    sentences = wrong(handlers.check(request(), [], "", *arguments(studio, **{**DEFAULT, "seed": "7", **changed})))
    if not sentences:
        handlers.submit(request(), [], "", *arguments(studio, **{**DEFAULT, "seed": "7", **changed}))
    return Answer(not sentences, next(iter(sentences.values()), ""))


DOORS: dict[str, Door] = {
    "page": page,
    "firefly": http("/v3/images/generate", _firefly),
    "runware": http("/v1", _runware),
    "a1111": http("/sdapi/v1/txt2img", _sdapi),
}


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Studio]:
    studio = opened(tmp_path_factory.mktemp("inputs"))
    yield studio
    studio.close()


def cases(table: dict[str, tuple[str, ...]]) -> list[Any]:
    return [
        pytest.param(field, value, id=f"{field}-{value[:30]}") for field, values in table.items() for value in values
    ]


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize(("field", "value"), cases(BAD))
def test_what_no_door_takes_is_a_sentence(studio: Studio, door: str, field: str, value: str) -> None:
    before = studio.gallery.count()
    answer = DOORS[door](studio, field, value)
    assert not answer.taken
    assert answer.sentence.endswith((".", "?")), answer.sentence
    assert (studio.jobs.active(), studio.gallery.count()) == ([], before)


TYPED = {"prompt": "", "count": "--count", "seed": "--seed", "sampler": "--sampler", "model": "--model",
         "steps": "--steps", "cfg_scale": "--cfg-scale", "width": "--width"}  # fmt: skip
UNTYPED = ("true", "7", "[]", "{}")
"""On a command line these are words like others."""


def is_typed(field: Any, value: Any) -> bool:
    return field in TYPED and not (field == "prompt" and value in UNTYPED)


@pytest.mark.parametrize(("field", "value"), [case for case in cases(BAD) if is_typed(*case.values)])
def test_what_the_command_line_does_not_take_is_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], field: str, value: str
) -> None:
    text = value if not value.startswith('"') else str(json.loads(value))
    words = [text] if field == "prompt" else ["a lake", f"{TYPED[field]}={text}"]
    try:
        status = main(["make", "--data-dir", str(tmp_path), *words])
    except SystemExit as left:
        status = int(left.code or 0)
    said = capsys.readouterr()
    assert (status, said.out) == (2, "")
    assert said.err.startswith("webui: ")
    assert "Traceback" not in said.err
    assert not list(tmp_path.rglob("*.png"))


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize(("field", "value"), cases(GOOD))
def test_what_every_door_takes_comes_back_as_it_was(studio: Studio, door: str, field: str, value: str) -> None:
    answer = DOORS[door](studio, field, value)
    assert answer.taken, answer.sentence
    while studio.jobs.active():
        list(studio.jobs.watch(studio.jobs.active()[0].job))
    made = getattr(studio.gallery.recent(1)[0].recipe, field)
    wanted = json.loads(value)
    if field == "prompt":
        wanted = wanted.replace("\r\n", "\n")
    assert made == (int(wanted) if field == "seed" else wanted)
