"""A picture made again from its file is the same, with every sampler; what differs is measured and its cause named."""

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from webui import infotext, png, reproduce, samplers
from webui.cli import main
from webui.engine.checkpoints import Catalog
from webui.engine.diffusion import DiffusionEngine
from webui.engine.draft import Draft
from webui.engine.fake import FakeEngine
from webui.errors import EngineError, StorageError
from webui.gallery import Gallery, Record
from webui.recipe import Recipe
from webui.reproduce import Result


def recipe(sampler: str = "Euler a") -> Recipe:
    return Recipe.of(prompt="a (red:1.2) house by a lake", negative_prompt="fog", seed=2**63 + 7, steps=3,
                     sampler=sampler, cfg_scale=3, width=64, height=64)  # fmt: skip


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("data")


class Made(dict[str, Record]):
    """Pictures of the bundled model, by sampler, made when they are first asked for."""

    def __init__(self, data: Path) -> None:
        super().__init__()
        self.kept = Gallery(data / "outputs", data / "cache" / "index.db", data / "cache" / "thumbnails")
        self.engine = DiffusionEngine(Catalog(), "cpu")

    def __missing__(self, sampler: str) -> Record:
        *_, last = self.engine.generate(recipe(sampler))
        assert last.image is not None
        assert last.fingerprint is not None
        self[sampler] = self.kept.save(last.image, recipe(sampler), last.fingerprint)
        return self[sampler]


@pytest.fixture(scope="module")
def made(data: Path) -> Iterator[Made]:
    pictures = Made(data)
    yield pictures
    pictures.kept.close()


@pytest.fixture(scope="module")
def engine() -> DiffusionEngine:
    """Another engine than the one that made the pictures."""
    return DiffusionEngine(Catalog(), "cpu")


@pytest.fixture
def picture(made: Made, tmp_path: Path) -> Path:
    """A copy of a picture, to do with as one likes."""
    return shutil.copy(made["Euler a"].path, tmp_path / "a.png")


def doctored(path: Path, edit: Callable[[dict[str, Any]], object] = lambda chunk: None, level: int = 0) -> Path:
    """Change the recipe chunk and, by ``level``, one pixel."""
    texts = png.read_texts(path)
    chunk = json.loads(texts["recipe"])
    edit(chunk)
    with Image.open(path) as image:
        red, green, blue = image.getpixel((5, 5))  # type: ignore[misc]
        image.putpixel((5, 5), (red ^ level, green, blue))
        data = png.encode(image, {**texts, "recipe": json.dumps(chunk)})
    path.write_bytes(data)
    return path


def of_model(name: str, model_hash: str = "") -> Callable[[dict[str, Any]], None]:
    def edit(chunk: dict[str, Any]) -> None:
        chunk["recipe"]["model"] = chunk["fingerprint"]["model"] = name
        if model_hash:
            chunk["recipe"]["model_hash"] = model_hash[:10]
            chunk["fingerprint"]["model_hash"] = model_hash

    return edit


def remade(path: Path, engine: Any) -> Result:
    return reproduce.reproduce(path, engine, Catalog())


@pytest.mark.parametrize(
    "sampler",
    [pytest.param(name, marks=[pytest.mark.slow] * (name == "DPM adaptive")) for name in samplers.sampler_names()],
)
def test_every_sampler_gives_the_picture_again(made: Made, engine: DiffusionEngine, sampler: str) -> None:
    result = remade(made[sampler].path, engine)
    assert result.outcome == "identical"
    assert result.sentence == "Identical: made again here, every pixel is equal."
    assert result.kept_sha256 == result.made_sha256 == result.recorded_sha256 == made[sampler].pixels_sha256
    assert result.difference is not None
    assert (result.difference.maximum, result.difference.psnr) == (0, None)
    assert result.verdict is not None
    assert (result.verdict.kind, len(result.verdict.reasons)) == ("identical", 1)
    assert result.fingerprint == made[sampler].fingerprint


def test_the_samplers_do_differ(made: Made) -> None:
    names = samplers.sampler_names()
    assert len({made[name].pixels_sha256 for name in names}) > len(names) * 2 // 3


# Differences


def test_a_doctored_pixel_is_measured(picture: Path, engine: DiffusionEngine) -> None:
    result = remade(doctored(picture, level=8), engine)
    assert result.outcome == "differs"
    assert result.difference is not None
    assert (result.difference.maximum, result.difference.share) == (8, 1 / 4096)
    assert result.difference.mean == pytest.approx(8 / 4096 / 3)
    assert "at most 8 of 255" in result.sentence
    assert "the file was changed after it was saved" in result.sentence
    assert result.verdict is not None
    assert result.verdict.kind == "will differ"


def test_a_doctored_recipe_differs(picture: Path, engine: DiffusionEngine) -> None:
    result = remade(doctored(picture, lambda chunk: chunk["recipe"].update(seed="8")), engine)
    assert result.outcome == "differs"
    assert result.difference is not None
    assert result.difference.maximum > 8
    assert "was changed" not in result.sentence
    assert "What is recorded of how it was made is the same here" in result.sentence


def test_another_size_differs(picture: Path, engine: DiffusionEngine) -> None:
    result = remade(doctored(picture, lambda chunk: chunk["recipe"].update(width=128)), engine)
    assert (result.outcome, result.difference) == ("differs", None)
    assert "64×64 pixels, made again it has 128×64" in result.sentence


def test_a_record_that_was_changed_is_said(picture: Path, engine: DiffusionEngine) -> None:
    result = remade(doctored(picture, lambda chunk: chunk.update(pixels_sha256="0" * 64)), engine)
    assert result.outcome == "identical"
    assert "the record was changed" in result.sentence


def test_the_picture_of_the_difference(picture: Path, engine: DiffusionEngine, tmp_path: Path) -> None:
    result = remade(doctored(picture, level=8), engine)
    target = tmp_path / "difference.png"
    assert reproduce.write_difference(result, target) == 31
    with Image.open(target) as image:
        assert image.size == (64, 64)
        assert image.getpixel((5, 5)) == (248, 0, 0)
        assert image.getpixel((0, 0)) == (0, 0, 0)
    with pytest.raises(StorageError, match="not written"):
        reproduce.write_difference(result, target)
    with pytest.raises(StorageError, match="not written"):
        reproduce.write_difference(result, tmp_path / "no" / "folder.png")


# The environment


def other_torch(chunk: dict[str, Any]) -> None:
    chunk["fingerprint"]["torch"] = "1.0"


def test_another_environment_with_equal_pixels_is_identical(picture: Path, engine: DiffusionEngine) -> None:
    result = remade(doctored(picture, other_torch), engine)
    assert result.outcome == "identical"
    assert result.environment["torch"][0] == "1.0"
    assert "not all is as it was" in result.sentence
    assert result.verdict is not None
    assert any("torch 1.0" in reason for reason in result.verdict.reasons)


def test_a_difference_in_another_environment_is_the_environments(picture: Path, engine: DiffusionEngine) -> None:
    def edit(chunk: dict[str, Any]) -> None:
        other_torch(chunk)
        chunk["pixels_sha256"] = "0" * 64

    result = remade(doctored(picture, edit, level=2), engine)
    assert result.outcome == "environment"
    assert set(result.environment) == {"torch"}
    assert result.sentence.startswith("Differs: at most 2 of 255")
    assert reproduce.EXIT[result.outcome] == 3


@pytest.mark.slow
def test_another_number_type_is_another_environment(picture: Path) -> None:
    result = remade(picture, DiffusionEngine(Catalog(), "cpu", "bfloat16"))
    assert result.outcome == "environment"
    assert result.environment == {"dtype": ("float32", "bfloat16")}
    assert result.difference is not None
    assert 0 < result.difference.mean < 8
    assert reproduce.EXIT[result.outcome] == 3


def test_a_doctored_file_is_not_excused_by_the_environment(picture: Path, engine: DiffusionEngine) -> None:
    result = remade(doctored(picture, other_torch, level=1), engine)
    assert result.outcome == "differs"


class Untouchable(FakeEngine):
    """An engine that may not be asked."""

    def generate(self, recipe: Recipe, draft: Draft | None = None, stop: int | None = None) -> Any:
        raise AssertionError("a picture was made with another model")


def test_a_model_that_is_not_here_is_named_and_no_other_is_taken(picture: Path) -> None:
    result = remade(doctored(picture, of_model("lost", "ef" * 32)), Untouchable())
    assert result.outcome == "environment"
    assert f"the model lost with the hash {'ef' * 32}, which is not here; here are: reseed" in result.sentence
    assert result.environment["model_hash"] == ("ef" * 32, "")


@pytest.mark.parametrize(
    "named", ["Model: lost", "Model hash: 12345, Model: lost", "Model hash: efefefefef, Model: reseed"]
)
def test_a_name_or_a_short_hash_is_not_enough_to_take_another_model(picture: Path, named: str) -> None:
    text = f"a house\nSteps: 3, Sampler: Euler, CFG scale: 3, Seed: 7, Size: 64x64, {named}"
    result = remade(with_infotext(picture, text), Untouchable())
    assert result.outcome == "environment"
    assert "not here" in result.sentence


def test_another_model_of_the_same_name_is_not_taken(picture: Path) -> None:
    result = remade(doctored(picture, of_model("reseed", "ef" * 32)), Untouchable())
    assert result.outcome == "environment"
    assert "is another" in result.sentence
    assert "efefef" in result.sentence


def test_the_model_under_another_name_is_known_by_its_hash(picture: Path, engine: DiffusionEngine) -> None:
    result = remade(doctored(picture, of_model("renamed")), engine)
    assert result.outcome == "identical"


class Broken(FakeEngine):
    """An engine that cannot."""

    def generate(self, recipe: Recipe, draft: Draft | None = None, stop: int | None = None) -> Any:
        raise EngineError("The device is on fire.")


def test_a_fault_of_the_engine_is_an_outcome(picture: Path) -> None:
    result = remade(picture, Broken())
    assert (result.outcome, result.sentence) == ("failed", "It could not be made again. The device is on fire.")


# What is in the file


@pytest.mark.parametrize("content", [b"", b"nothing", None])
def test_what_cannot_be_read(picture: Path, content: bytes | None) -> None:
    picture.write_bytes(picture.read_bytes()[:-3000] if content is None else content)
    result = remade(picture, Untouchable())
    assert result.outcome == "unreadable"
    assert result.sentence.endswith(".")


def with_infotext(path: Path, text: str) -> Path:
    with Image.open(path) as image:
        path.write_bytes(png.encode(image.copy(), {"parameters": text}))
    return path


def test_an_infotext_is_enough_when_it_says_everything(picture: Path, engine: DiffusionEngine) -> None:
    result = remade(with_infotext(picture, infotext.format(recipe())), engine)
    assert result.outcome == "identical"
    assert result.recorded_sha256 is None


def test_an_infotext_that_lacks_something(picture: Path, engine: DiffusionEngine) -> None:
    result = remade(with_infotext(picture, "a house\nSteps: 3, Sampler: Euler, Seed: 7"), engine)
    assert result.outcome == "environment"
    assert "does not say CFG scale, Model: the defaults were taken" in result.sentence


@pytest.mark.parametrize(
    ("text", "words"),
    [("a house\nSteps: 3, Sampler: Restart++, Seed: 7", "Sampler must be"), ("a house", "Seed must be")],
)
def test_an_infotext_that_cannot_be_followed(picture: Path, text: str, words: str) -> None:
    result = remade(with_infotext(picture, text), Untouchable())
    assert result.outcome == "unreadable"
    assert words in result.sentence


# The command line


def run(*arguments: object) -> int:
    return main(["reproduce", *map(str, arguments)])


def test_the_command(made: Made, picture: Path, tmp_path: Path, data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sound, same = made["Euler a"].path, made["Euler"].path.relative_to(data / "outputs")
    doctored(picture, level=8)
    lost = tmp_path / "lost.png"
    shutil.copy(sound, lost)
    doctored(lost, of_model("lost", "ef" * 32))
    empty = tmp_path / "empty.png"
    empty.touch()
    options = ("--data-dir", data, "--device", "cpu")
    assert run(sound, same, *options) == 0
    assert capsys.readouterr().out.count("Identical: made again here, every pixel is equal.") == 2
    assert run(sound, picture, lost, empty, "--json", *options) == 1
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["outcome"] for line in lines] == ["identical", "differs", "environment", "unreadable"]
    assert lines[1]["difference"]["maximum"] == 8
    assert lines[0]["pixels_sha256"]["made"] == made["Euler a"].pixels_sha256
    assert (run(lost, *options), run(empty, *options), run(lost, empty, *options)) == (3, 2, 2)
    assert run(picture, "--difference", tmp_path / "d.png", *options) == 1
    assert f"The difference, times 31, is in {tmp_path / 'd.png'}." in capsys.readouterr().out
    assert run(picture, "--difference", tmp_path / "d.png", *options) == 2
    assert run(picture, sound, "--difference", tmp_path / "e.png", *options) == 2
    assert "given with one FILE only" in capsys.readouterr().err
