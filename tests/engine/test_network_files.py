"""LoRA and embedding files: found by name, known by A1111's hashes, refused by kind; a recipe means the very file."""

import hashlib
import json
from pathlib import Path

import pytest

from tests.engine.test_checkpoints import sd1, tensors
from webui.engine.checkpoints import Catalog, Checkpoint
from webui.engine.hashes import Hashes
from webui.engine.network_files import NetworkFile, NetworkFiles
from webui.errors import CheckpointError, NetworkError
from webui.recipe import Recipe

TO_K = "lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn2_to_k.lora_down.weight"
SD1 = Checkpoint("v1-5", Path("x"), "file", "sd1", 512, 512, text_width=768)


def lora(path: Path, width: int = 768, fill: int = 0) -> Path:
    found = tensors(path, {TO_K: [2, width], TO_K.replace("down.w", "up.w"): [4, 2]})
    found.write_bytes(found.read_bytes()[:-1] + bytes([fill]))
    return found


@pytest.fixture
def files(tmp_path: Path) -> NetworkFiles:
    return NetworkFiles(tmp_path / "loras", tmp_path / "embeddings", Hashes())


def used(files: NetworkFiles, **values: object) -> list[tuple[str, str]]:
    return [(file.kind, file.name) for file in files.used(Recipe.of(seed=1, **values), SD1)]


def test_names(files, tmp_path):
    assert files.names("LoRA") == files.names("embedding") == []
    for name in ("ink", "style/wash", "a/twin", "b/twin", ".hidden/x"):
        lora(tmp_path / "loras" / f"{name}.safetensors")
    (tmp_path / "loras" / "note.txt").write_text("x")
    assert files.names("LoRA") == ["a/twin", "b/twin", "ink", "wash"]
    assert used(files, prompt="<lora:ink><lora:wash><lora:style/wash><lora:a/twin>") == [
        ("LoRA", "ink"), ("LoRA", "wash"), ("LoRA", "style/wash"), ("LoRA", "a/twin"),
    ]  # fmt: skip
    with pytest.raises(NetworkError, match="There is no LoRA 'twin'"):
        used(files, prompt="<lora:twin>")


def test_hashes_are_those_of_a1111(files, tmp_path):
    """A LoRA's is of what follows its header (AutoV3), so that editing its notes changes nothing; an embedding's is
    the file's.
    """
    path = lora(tmp_path / "loras" / "ink.safetensors", fill=7)
    data = path.read_bytes()
    start = 8 + int.from_bytes(data[:8], "little")
    by_tensors, by_file = hashlib.sha256(data[start:]).hexdigest(), hashlib.sha256(data).hexdigest()
    (file,) = files.used(Recipe.of(seed=1, prompt="<lora:ink>"), SD1)
    assert files.digest(file) == by_tensors
    assert files.here("LoRA", ["ink", "gone"]) == {"ink": (by_tensors, by_file)}
    word = tensors(tmp_path / "embeddings" / "bad.safetensors", {"emb_params": [1, 768]})
    assert files.digest(NetworkFile("embedding", "bad", word)) == hashlib.sha256(word.read_bytes()).hexdigest()


def test_notes_that_scale_a_lora_are_part_of_its_hash(files, tmp_path):
    path = lora(tmp_path / "loras" / "ink.safetensors")
    data = path.read_bytes()
    start = 8 + int.from_bytes(data[:8], "little")
    notes = {"__metadata__": {"lora_adapter_metadata": json.dumps({"unet.lora_alpha": 4})}}
    header = json.dumps({**notes, **json.loads(data[8:start])}).encode()
    path.write_bytes(len(header).to_bytes(8, "little") + header + data[start:])
    (file,) = files.used(Recipe.of(seed=1, prompt="<lora:ink>"), SD1)
    assert files.digest(file) == hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize("kind", ["LoRA", "embedding"])
def test_a_recipe_means_the_very_file(files, tmp_path, kind):
    if kind == "LoRA":
        path, field, prompt = lora(tmp_path / "loras" / "Ink.safetensors"), "lora_hashes", "a <lora:Ink> lake"
    else:
        path = tensors(tmp_path / "embeddings" / "Ink.safetensors", {"emb_params": [1, 768]})
        field, prompt = "embedding_hashes", "an ink lake"
    ((first, whole),) = [(known[0], known[-1]) for known in files.here(kind, ["Ink"]).values()]
    for digest in (first[:12], first, whole[:10], whole.upper()):
        assert used(files, prompt=prompt, **{field: f"Ink: {digest}"}) == [(kind, "Ink" if kind == "LoRA" else "ink")]
    assert used(files, prompt=prompt, **{field: "other: abcd"})
    path.write_bytes(path.read_bytes()[:-1] + b"\x09")
    with pytest.raises(
        NetworkError, match=rf"hashes must be those of the files here; got '(I|i)nk: {first[:12]}'"
    ) as raised:
        used(files, prompt=prompt, **{field: f"Ink: {first[:12]}"})
    assert raised.value.field == field
    assert used(files, prompt=prompt)


@pytest.mark.parametrize(("key", "kind"), [
    ("lora_unet_x.hada_w1_a", "a LoHa"), ("lora_unet_x.lokr_w1", "a LoKr"), ("lora_unet_x.oft_diag", "an OFT"),
    ("lora_unet_x.lora_mid.weight", "Tucker"), ("lora_unet_x.dora_scale", "a DoRA"), ("lora_unet_x.diff", "a full"),
    ("lora_unet_x.on_input", "(IA)³"), ("lora_unet_x.a1.weight", "a GLoRA"), ("x.weight", "is not a LoRA"),
])  # fmt: skip
def test_other_kinds_are_named(files, tmp_path, key, kind):
    tensors(tmp_path / "loras" / "odd.safetensors", {key: [1]})
    with pytest.raises(NetworkError) as raised:
        used(files, prompt="<lora:odd>")
    assert kind in str(raised.value) and "odd.safetensors is" in str(raised.value)


def test_pickles_and_damaged_files_are_named(files, tmp_path):
    (tmp_path / "loras").mkdir()
    (tmp_path / "loras" / "old.pt").write_bytes(b"PK\x03\x04")
    (tmp_path / "loras" / "cut.safetensors").write_bytes(b"\x10")
    with pytest.raises(NetworkError, match=r"old\.pt is a pickle, which can run programs"):
        used(files, prompt="<lora:old>")
    with pytest.raises(NetworkError, match=r"cut\.safetensors is not a safetensors file"):
        used(files, prompt="<lora:cut>")
    assert files.here("LoRA", ["old", "cut", "gone"]) == {}


@pytest.mark.parametrize(("width", "family"), [(1024, "SD 2.x"), (2048, "SDXL"), (1280, "SDXL's refiner"), (5, "of 5")])
def test_a_lora_for_another_family_is_named_with_it(files, tmp_path, width, family):
    lora(tmp_path / "loras" / "ink.safetensors", width)
    with pytest.raises(NetworkError, match=rf"ink\.safetensors is for .*{family}.*the model v1-5 reads text of 768"):
        used(files, prompt="<lora:ink>")


def test_a_lora_of_the_text_encoder_alone_is_for_any_family_until_it_is_loaded(files, tmp_path):
    tensors(
        tmp_path / "loras" / "te.safetensors", {"lora_te_text_model_encoder_layers_0_mlp_fc1.lora_down.weight": [1]}
    )
    assert used(files, prompt="<lora:te>") == [("LoRA", "te")]


def test_networks_below_the_models_folder_are_no_models(tmp_path):
    loras, embeddings = tmp_path / "loras", tmp_path / "embeddings"
    sd1(tmp_path / "real.safetensors")
    lora(loras / "ink.safetensors")
    (embeddings).mkdir()
    (embeddings / "old.pt").write_bytes(b"PK")
    lora(tmp_path / "lost.safetensors")
    catalog = Catalog(tmp_path, loras=loras, embeddings=embeddings)
    assert catalog.names() == ["reseed", "real"]
    assert list(catalog.refused()) == ["lost"]
    with pytest.raises(CheckpointError, match=r"is a LoRA, not a model: .* Put it into the LoRA folder"):
        catalog.find("lost")
    assert (catalog.find("real").text_width, catalog.find("reseed").text_width) == (768, 128)


def test_hashes_are_remembered_and_shared_with_models(tmp_path):
    kept = tmp_path / "cache" / "hashes.json"
    path = lora(tmp_path / "loras" / "ink.safetensors")
    first = NetworkFiles(tmp_path / "loras", None, Hashes(kept)).here("LoRA", ["ink"])
    assert len(json.loads(kept.read_text())) == 2
    kept.write_text(kept.read_text().replace(first["ink"][0], "0" * 64))
    assert NetworkFiles(tmp_path / "loras", None, Hashes(kept)).here("LoRA", ["ink"])["ink"][0] == "0" * 64
    assert path.is_file()
