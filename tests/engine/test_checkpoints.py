"""Models by content: what is found, what is refused and why, and that no other model takes a model's place."""

import hashlib
import json
import struct
import sys
import zipfile
from pathlib import Path

import pytest

from webui.engine.checkpoints import BUNDLED, Catalog
from webui.engine.headers import HEADER_LIMIT
from webui.errors import CheckpointError

UNET = "model.diffusion_model."
ATTENTION = f"{UNET}input_blocks.1.1.transformer_blocks.0.attn2.to_k.weight"


def tensors(path: Path, shapes: dict[str, list[int]]) -> Path:
    """Write a safetensors file of float16 zeros."""
    header, position = {}, 0
    for name, shape in shapes.items():
        size = 2
        for side in shape:
            size *= side
        header[name] = {"dtype": "F16", "shape": shape, "data_offsets": [position, position + size]}
        position += size
    text = json.dumps(header).encode()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(struct.pack("<Q", len(text)) + text + bytes(position))
    return path


def sd1(path: Path, channels: int = 4, width: int = 768) -> Path:
    return tensors(path, {f"{UNET}input_blocks.0.0.weight": [2, channels, 3, 3], ATTENTION: [2, width]})


def test_bundled_model():
    found = Catalog().find("reseed")
    assert (found.name, found.path, found.kind, found.family) == ("reseed", BUNDLED, "folder", "sd1")
    config = json.loads((BUNDLED / "unet" / "config.json").read_text())
    blocks = json.loads((BUNDLED / "vae" / "config.json").read_text())["block_out_channels"]
    assert found.multiple == 2 ** (len(blocks) - 1)
    assert (found.width, found.height) == (config["sample_size"] * found.multiple,) * 2
    assert Catalog().names() == ["reseed"]


def test_importing_needs_no_torch():
    import subprocess

    code = "import sys, webui.engine.checkpoints, webui.engine.diffusion; webui.engine.checkpoints.Catalog().all(); " \
           "sys.exit(any(name in sys.modules for name in ('torch', 'diffusers', 'transformers')))"  # fmt: skip
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_folders_of_every_family(models):
    found = {checkpoint.name: checkpoint.family for checkpoint in Catalog(models).all()}
    assert found == {"reseed": "sd1", "sd1": "sd1", "sd2": "sd1", "sdxl": "sdxl", "sd3": "sd3", "flux": "flux"}


def test_sd2_is_told_by_the_width_of_its_text(models, tmp_path):
    folder = tmp_path / "two"
    (folder / "unet").mkdir(parents=True)
    (folder / "model_index.json").write_text('{"_class_name": "StableDiffusionPipeline"}')
    (folder / "unet" / "config.json").write_text('{"cross_attention_dim": 1024, "sample_size": [96, 64]}')
    found = Catalog(tmp_path).find("two")
    assert (found.family, found.width, found.height) == ("sd2", 512, 768)


def test_reseed_json_suggests(models, tmp_path):
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "model_index.json").write_text('{"_class_name": "StableDiffusionXLPipeline"}')
    (folder / "reseed.json").write_text('{"defaults": {"steps": 8}, "about": "Mine.", "examples": ["a", "b"]}')
    found = Catalog(tmp_path).find("mine")
    assert (found.defaults, found.about, found.examples) == ({"cfg_scale": 5.0, "steps": 8}, "Mine.", ("a", "b"))


def test_files_by_content(tmp_path):
    sd1(tmp_path / "one.safetensors")
    sd1(tmp_path / "sub" / "two.safetensors", width=1024)
    xl = {f"{UNET}input_blocks.0.0.weight": [2, 4, 3, 3], "conditioner.embedders.1.model.ln_final.weight": [2]}
    tensors(tmp_path / "xl.safetensors", xl)
    found = {
        checkpoint.name: (checkpoint.kind, checkpoint.family, checkpoint.width)
        for checkpoint in Catalog(tmp_path).all()
    }
    assert found.pop("reseed")
    assert found == {
        "one": ("file", "sd1", 512),
        "sub/two": ("file", "sd2", 768),
        "xl": ("file", "sdxl", 1024),
    }


def test_folder_and_file_of_one_name_are_both_listed(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "model_index.json").write_text('{"_class_name": "FluxPipeline"}')
    sd1(tmp_path / "a.safetensors")
    sd1(tmp_path / "reseed.safetensors")
    names = Catalog(tmp_path).names()
    assert sorted(names) == ["a", "a.safetensors", "reseed", "reseed.safetensors"]
    assert Catalog(tmp_path).find("reseed").kind == "folder"


def zipped(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", b"\x80\x02}q\x00.")


def raw(content: bytes):
    return lambda path: path.write_bytes(content)


REFUSED = {
    "pickle in disguise": ("x.safetensors", zipped, "x.safetensors is a pickle.*convert"),
    "bare pickle in disguise": ("x.safetensors", raw(b"\x80\x02}q\x00(X\x03\x00abc."), "pickle"),
    "ckpt": ("x.ckpt", zipped, "x.ckpt is a pickle.*save_file"),
    "pt": ("x.pt", zipped, "x.pt is a pickle"),
    "empty": ("x.safetensors", raw(b""), "not a safetensors file.*get it again"),
    "text": ("x.safetensors", raw(b"<html>not found</html>"), "not a safetensors file"),
    "bomb": ("x.safetensors", raw(struct.pack("<Q", HEADER_LIMIT + 1) + b"{"), "8388609 bytes"),
    "truncated": ("x.safetensors", raw(struct.pack("<Q", 100) + b'{"a":'), "cannot be read"),
    "list": ("x.safetensors", raw(struct.pack("<Q", 2) + b"[]"), "cannot be read"),
    "deep": ("x.safetensors", raw(struct.pack("<Q", 10**6) + b"[" * 10**6), "cannot be read"),
    "lora": ("x.safetensors", lambda path: tensors(path, {"lora_unet_down.lora_up.weight": [1]}), "is a LoRA"),
    "vae": ("x.safetensors", lambda path: tensors(path, {"decoder.conv_in.weight": [1]}), "autoencoder"),
    "flux": ("x.safetensors", lambda path: tensors(path, {"double_blocks.0.a.weight": [1]}), "diffusers folder"),
    "inpainting": ("x.safetensors", lambda path: sd1(path, channels=9), "inpainting.*9 channels"),
    "unknown": ("x.safetensors", lambda path: tensors(path, {"a": [1]}), "not a model that this program knows"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_refused_with_a_reason(tmp_path, case):
    name, write, reason = REFUSED[case]
    write(tmp_path / name)
    catalog = Catalog(tmp_path)
    assert catalog.names() == ["reseed"]
    with pytest.raises(CheckpointError, match=f"(?s){reason}"):
        catalog.find("x")
    assert name.removesuffix(".safetensors") in catalog.refused()


def test_another_pipeline(tmp_path):
    (tmp_path / "k").mkdir()
    (tmp_path / "k" / "model_index.json").write_text('{"_class_name": "KandinskyPipeline"}')
    with pytest.raises(
        CheckpointError, match=r"'KandinskyPipeline', which this program does not drive\. It drives Stable"
    ):
        Catalog(tmp_path).find("k")


@pytest.mark.parametrize("name", ["resed", "../../etc/passwd", "/etc/passwd", "", ".", "a/b/c", "..\\x"])
def test_missing_model_names_it_and_lists_what_is_here(tmp_path, name):
    sd1(tmp_path / "one.safetensors")
    with pytest.raises(CheckpointError) as caught:
        Catalog(tmp_path).find(name)
    assert repr(name) in str(caught.value)
    assert "Here are: reseed, one." in str(caught.value)


def test_near_names_are_suggested(tmp_path):
    with pytest.raises(CheckpointError, match="Did you mean reseed"):
        Catalog(tmp_path).find("resed")


def test_hub_ids(tmp_path):
    found = Catalog(tmp_path).find("owner/name")
    assert (found.kind, found.path) == ("hub", None)
    with pytest.raises(CheckpointError, match="not downloaded"):
        Catalog(tmp_path).hash(found)


def test_hash_of_a_file_is_that_of_its_bytes(tmp_path):
    path = sd1(tmp_path / "one.safetensors")
    catalog = Catalog(tmp_path)
    assert catalog.hash(catalog.find("one")) == hashlib.sha256(path.read_bytes()).hexdigest()


def test_hash_is_checked(tmp_path):
    path = sd1(tmp_path / "one.safetensors")
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    catalog = Catalog(tmp_path)
    assert catalog.find("one", digest[:10]).name == "one"
    assert catalog.find("one", digest.upper()).name == "one"
    with pytest.raises(CheckpointError) as caught:
        catalog.find("one", "0123456789")
    assert "0123456789" in str(caught.value)
    assert digest[:10] in str(caught.value)


def test_hash_of_a_folder_follows_weights_and_configurations_only(tmp_path):
    folder = tmp_path / "m"
    (folder / "unet").mkdir(parents=True)
    (folder / "model_index.json").write_text('{"_class_name": "FluxPipeline"}')
    tensors(folder / "unet" / "w.safetensors", {"a": [1]})
    catalog = Catalog(tmp_path)
    first = catalog.hash(catalog.find("m"))
    (folder / "README.md").write_text("words")
    (folder / "reseed.json").write_text("{}")
    assert catalog.hash(catalog.find("m")) == first
    tensors(folder / "unet" / "w.safetensors", {"a": [2]})
    assert catalog.hash(catalog.find("m")) != first


def test_hashes_are_remembered_in_a_file_that_may_be_damaged(tmp_path):
    path, cache = sd1(tmp_path / "models" / "one.safetensors"), tmp_path / "cache" / "hashes.json"
    catalog = Catalog(tmp_path / "models", hashes=cache)
    digest = catalog.hash(catalog.find("one"))
    ((key, value),) = json.loads(cache.read_text()).items()
    assert value == digest
    cache.write_text(
        json.dumps({key: "f" * 64})
    )  # a second catalog believes the file: it did not read the weights again
    again = Catalog(tmp_path / "models", hashes=cache)
    assert again.hash(again.find("one")) == "f" * 64
    path.write_bytes(path.read_bytes() + b"\0")  # but only for the same size and time
    assert again.hash(again.find("one")) == hashlib.sha256(path.read_bytes()).hexdigest()
    cache.write_text("{damaged")
    assert Catalog(tmp_path / "models", hashes=cache).hash(catalog.find("one")) != "f" * 64
