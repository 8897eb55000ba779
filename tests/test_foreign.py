"""What other programs write: a corpus of their shapes, each with what it must say; and no text does harm.

The corpus, ``tests/compat/cases.json``, was written for these tests in the shapes of real programs. A case gives a
``text`` (infotext) or the ``texts`` of a file by their keys, and expects ``values`` (others may be there too), that
the keys of ``rest`` are kept, exactly these ``problems``, ``notes`` that contain these words, and the ``source``.
"""

import doctest
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.growth import growth
from webui import foreign, infotext, png
from webui.infotext import Reading
from webui.recipe import PARAMS, Recipe

CASES: list[dict[str, Any]] = json.loads((Path(__file__).parent / "compat" / "cases.json").read_text("utf-8"))


def reading_of(case: dict[str, Any]) -> tuple[Reading, str]:
    texts = case.get("texts", {"parameters": case.get("text", "")})
    found = png._picture_text(texts, "it")
    assert found.reading is not None
    return found.reading, found.reading.source


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_a_shape_says_what_it_must(case: dict[str, Any]) -> None:
    reading, source = reading_of(case)
    assert {name: reading.values.get(name) for name in case["values"]} == case["values"]
    assert {problem.field for problem in reading.problems} == set(case.get("problems", ()))
    assert not set(case.get("absent", ())) & reading.values.keys()
    assert set(case.get("rest", ())) <= reading.rest.keys()
    assert source == case["source"]
    for words in case.get("notes", ()):
        assert any(words in note for note in reading.notes), reading.notes


def test_most_shapes_are_read_whole(capsys: pytest.CaptureFixture[str]) -> None:
    readings = [reading_of(case)[0] for case in CASES]
    whole = sum(
        not reading.problems and all(reading.values.get(name) == value for name, value in case["values"].items())
        for case, reading in zip(CASES, readings, strict=True)
    )
    with capsys.disabled():
        print(f"\n{whole} of {len(CASES)} shapes of other programs are read whole.")
    wrong = sum(bool(case.get("problems")) for case in CASES)
    assert len(CASES) >= 60
    assert len({case["name"] for case in CASES}) == len(CASES)
    assert whole >= 0.9 * (len(CASES) - wrong)


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_what_was_read_makes_a_recipe_that_comes_back(case: dict[str, Any]) -> None:
    recipe = Recipe.of(**{"seed": 0, **reading_of(case)[0].values})
    assert Recipe.of(**infotext.parse(infotext.format(recipe, {"Version": "Reseed 1"})).values) == recipe


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_every_sentence_is_one(case: dict[str, Any]) -> None:
    reading, _ = reading_of(case)
    for sentence in (*reading.notes, *map(str, reading.problems)):
        assert sentence.endswith((".", "?"))
        assert "\n" not in sentence
    assert all(isinstance(value, str) for value in reading.rest.values())


# Nothing that a stranger writes does harm

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)
KEYS = [
    "parameters",
    "prompt",
    "workflow",
    "Comment",
    "invokeai_metadata",
    "sd-metadata",
    "Dream",
    "num_inference_steps",
]
NAMES = st.sampled_from([
    "class_type", "inputs", "seed", "steps", "cfg", "sampler_name", "scheduler", "positive", "negative", "model",
    "latent_image", "image", "prompt", "uc", "c", "sampler", "sui_image_params", "base_model", "version", "Comment",
    "extraMetadata", "nodes", "links", "width", "height", "text", "scale", "resolution", "clip_skip", "guider",
])  # fmt: skip
VALUES = st.sampled_from(
    ["KSampler", "SamplerCustomAdvanced", "euler", "1", "NovelAI", ["1", 0], ["2", 1], 1e999, -1, 2**70]
)
NEAR = st.recursive(VALUES | JSON, lambda inner: st.dictionaries(NAMES | st.sampled_from("123"), inner, max_size=6))


@given(st.dictionaries(st.sampled_from(KEYS), NEAR.map(json.dumps) | st.text(max_size=60), max_size=3))
@settings(max_examples=300, deadline=None)
def test_reading_is_total(texts: dict[str, str]) -> None:
    found = foreign.read(texts)
    assert found is None or (isinstance(found[0], Reading) and isinstance(found[1], str))


def check_total(texts: dict[str, str]) -> None:
    """Assert that texts are read or are not, and that every value read is one that a recipe allows."""
    found = foreign.read(texts)
    if found is None:
        return
    reading, source = found
    assert source
    for name, value in reading.values.items():
        assert PARAMS[name].check(value) == value, (source, name)


@pytest.mark.parametrize("case", [case for case in CASES if "texts" in case], ids=lambda case: str(case["name"]))
def test_a_shape_with_a_value_of_another_kind_is_read_too(case: dict[str, Any]) -> None:
    """Each value of each JSON is replaced, one at a time, by what should not stand there."""

    def changed(data: Any, new: Any) -> Any:
        if isinstance(data, dict):
            for key in data:
                yield {**data, key: new}
                for inner in changed(data[key], new):
                    yield {**data, key: inner}
        elif isinstance(data, list):
            for at in range(len(data)):
                yield [*data[:at], new, *data[at + 1 :]]

    for key, text in case["texts"].items():
        for new in (None, [], {}, "x", -5, 1e300, ["3", 0], True):
            for data in changed(foreign.parsed(text), new):
                check_total({**case["texts"], key: json.dumps(data)})


def test_deep_and_long_json_is_not_read() -> None:
    for text in (
        "[" * 100_000,
        '{"a":' * 100_000,
        '{"prompt": ' + "[" * 900 + "]" * 900 + "}",
        "9" * 5000,
        "{" * 2_000_000,
    ):
        for key in KEYS:
            found = foreign.read({key: text})
            assert found is None or "seed" not in found[0].values, (key, text[:20])


def test_a_graph_that_runs_in_a_circle_ends() -> None:
    node = {"class_type": "Reroute", "inputs": {"model": ["1", 0], "conditioning": ["1", 0], "value": ["1", 0]}}
    links = {name: ["1", 0] for name in ("model", "positive", "negative", "latent_image", "seed", "steps", "cfg")}
    graph = {"1": node, "2": {"class_type": "KSampler", "inputs": {**links, "sampler_name": "euler", "steps": 5}}}
    assert foreign.read({"prompt": json.dumps(graph)}) is not None


@pytest.mark.parametrize(
    ("key", "unit"),
    [("Dream", " -s 5"), ("Dream", "[a"), ("Dream", "[]"), ("Dream", "  "), ("sd-metadata", "["), ("prompt", '{"1":')],
)
def test_a_hundred_thousand_characters_take_linear_time(key: str, unit: str) -> None:
    assert growth(lambda text: foreign.read({key: text}), unit) < 1.5


def test_a_large_graph_takes_linear_time() -> None:
    def graph(text: str) -> None:
        count = len(text) // 100
        nodes = {
            str(at): {
                "class_type": "KSampler",
                "inputs": {"latent_image": [str(at + 1), 0], "positive": [str(at + 1), 0]},
            }
            for at in range(count)
        }
        foreign.read({"prompt": json.dumps(nodes)})

    assert growth(graph, "x") < 1.5


def test_infotext_is_not_taken_for_json() -> None:
    text = "{a fox}\nSteps: 20, Sampler: Euler a, Seed: 3, Size: 512x512"
    assert png._picture_text({"parameters": text}, "it").reading == infotext.parse(text)


def test_the_examples_of_the_page_hold() -> None:
    page = Path(__file__).parents[1] / "docs" / "compatibility.md"
    assert doctest.testfile(str(page), module_relative=False) == doctest.TestResults(0, 4)


def test_the_page_names_every_detail_of_a_sampler() -> None:
    page = (Path(__file__).parents[1] / "docs" / "compatibility.md").read_text("utf-8")
    for name in infotext._DETAILS:
        assert f"`{PARAMS[name].label}`" in page
