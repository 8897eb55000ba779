"""Pictures made with LoRAs and embeddings say so, come back equal, and say what is missing where they cannot."""

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.engine.lora_files import attention, made, written
from webui import png, reproduce
from webui.cli import main
from webui.engine.diffusion import DiffusionEngine
from webui.engine.noise import Stream
from webui.errors import BadRecipe
from webui.fingerprint import Fingerprint
from webui.gallery import Record
from webui.settings import Settings
from webui.studio import Studio, catalog

PROMPT = "a red house <lora:ink:0.8>"


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory, models: Path) -> Path:
    """A data folder with a tiny model, a LoRA and an embedding, where the program looks for them."""
    found = tmp_path_factory.mktemp("data")
    shutil.copytree(models / "sd1", found / "models" / "sd1")
    written(found / "models" / "embeddings" / "Bad.safetensors", {"emb_params": Stream(1, "NV", (2, 32)).normal()})
    return found


@pytest.fixture(scope="module")
def studio(data: Path) -> Iterator[Studio]:
    opened = Studio.open(Settings(data_dir=data, device="cpu"))
    pipe = opened.engine._model("sd1", "").family.pipe
    made(pipe, attention(pipe) + attention(pipe, "text_encoder")).kohya(data / "models" / "loras" / "ink.safetensors")
    opened.start()
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def record(studio: Studio) -> Record:
    values = {"model": "sd1", "prompt": PROMPT, "negative_prompt": "bad, fog", "steps": 2, "width": 64, "height": 64}
    *_, last = studio.jobs.watch(studio.submit({**values, "sampler": "Euler"}, "7").job)
    assert last.status == "succeeded", last.error
    return last.records[0]


@pytest.fixture
def elsewhere(data: Path, tmp_path: Path) -> Settings:
    """The same models in a folder of its own, whose files may be changed."""
    shutil.copytree(data / "models", tmp_path / "models")
    return Settings(data_dir=tmp_path, device="cpu")


def again(record: Record, settings: Settings) -> reproduce.Result:
    here = catalog(settings)
    return reproduce.reproduce(record.path, DiffusionEngine(here, "cpu"), here)


def recalled(record: Record, settings: Settings) -> tuple[str, str]:
    now = replace(record.fingerprint, model="", model_hash="", loras="", embeddings="")
    found = reproduce.expected(png.read(record.path), catalog(settings), now)
    return found.kind, " ".join(found.reasons)


def test_a_picture_names_its_files_by_hash(studio, record):
    known = studio.catalog.networks
    ((lora, *_),) = known.here("LoRA", ["ink"]).values()
    ((word, *_),) = known.here("embedding", ["bad"]).values()
    assert (record.fingerprint.loras, record.fingerprint.embeddings) == (f"ink: {lora}", f"bad: {word}")
    assert (record.recipe.lora_hashes, record.recipe.embedding_hashes) == (f"ink: {lora[:12]}", f"bad: {word[:12]}")
    text = png.read(record.path)
    assert text.recipe == record.recipe and text.fingerprint == record.fingerprint
    assert f'Lora hashes: "ink: {lora[:12]}", TI hashes: "bad: {word[:12]}"' in text.infotext


def test_pictures_from_before_there_were_networks_are_read(record):
    data = {name: value for name, value in record.fingerprint.to_dict().items() if name not in ("loras", "embeddings")}
    assert Fingerprint.from_dict(data) == replace(record.fingerprint, loras="", embeddings="")


def test_it_comes_back_equal(record, elsewhere):
    assert recalled(record, elsewhere) == ("expected identical", "")
    result = again(record, elsewhere)
    assert result.outcome == "identical", result.sentence
    assert result.verdict.kind == "identical" and len(result.verdict.reasons) == 1


@pytest.mark.parametrize(("path", "kind", "field"), [
    ("loras/ink", "LoRA", "lora_hashes"), ("embeddings/Bad", "embedding", "embedding_hashes"),
])  # fmt: skip
def test_another_file_of_the_name_is_refused_and_named(record, elsewhere, path, kind, field):
    file = elsewhere.models / f"{path}.safetensors"
    digest = getattr(record.recipe, field).split(": ")[1]
    file.write_bytes(file.read_bytes()[:-4] + bytes(4))
    found, reasons = recalled(record, elsewhere)
    assert found == "will differ"
    assert f"made with the {kind} {Path(path).name.lower()} with the hash {digest}, the one here has" in reasons
    result = again(record, elsewhere)
    assert result.outcome == "environment" and digest in result.sentence and result.made is None
    studio = Studio.open(elsewhere)
    with pytest.raises(BadRecipe, match="hashes must be those of the files here") as raised:
        studio.settle(record.recipe.values(), "7")
    assert [problem.field for problem in raised.value.errors] == [field]
    assert studio.jobs.active() == []
    studio.close()


def test_what_is_missing_is_named_by_name_and_hash(record, elsewhere):
    shutil.rmtree(elsewhere.loras)
    shutil.rmtree(elsewhere.embeddings)
    found, reasons = recalled(record, elsewhere)
    assert found == "will differ"
    for kind, named in (("LoRA", record.recipe.lora_hashes), ("embedding", record.recipe.embedding_hashes)):
        name, digest = named.split(": ")
        assert f"The {kind} {name} with the hash {digest} is not here." in reasons
    result = again(record, elsewhere)
    assert result.outcome == "environment" and "There is no LoRA 'ink'. Here are: none." in result.sentence


def test_a_word_that_has_become_an_embedding_is_named(record, elsewhere):
    written(elsewhere.embeddings / "house.safetensors", {"emb_params": Stream(1, "NV", (2, 32)).normal()})
    assert recalled(record, elsewhere) == (
        "will differ", "house in its prompt names embedding house here, which did not count when it was made.",
    )  # fmt: skip


def test_folders_of_ones_own(data, tmp_path, capsys):
    """The command line takes other folders; a LoRA that is not in them is a sentence and exit status 2."""
    moved = tmp_path / "mine"
    shutil.copytree(data / "models" / "loras", moved)
    common = ["make", "a house <lora:ink>", "--model", "sd1", "--models-dir", str(data / "models"), "--steps", "1",
              "--width", "64", "--height", "64", "--data-dir", str(tmp_path), "--json", "--device", "cpu"]  # fmt: skip
    assert main([*common, "--loras-dir", str(tmp_path / "none"), "--embeddings-dir", str(tmp_path)]) == 2
    assert "There is no LoRA 'ink'. Here are: none." in capsys.readouterr().err
    assert main([*common, "--loras-dir", str(moved)]) == 0
    assert json.loads(capsys.readouterr().out)["recipe"]["lora_hashes"].startswith("ink: ")
