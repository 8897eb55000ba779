"""A verdict never guesses in a picture's favour, and every reason is a sentence that names what it is about."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from webui import infotext, png, verdict
from webui.fingerprint import Fingerprint
from webui.infotext import Reading
from webui.verdict import Verdict

HASH, OTHER = "ab" * 32, "cd" * 32
NOW = Fingerprint("0.1.0", "2.13.0+cpu", "0.42.1", "", "", "cpu", "float32", kernels="packed AVX512")
MADE = replace(NOW, model="reseed", model_hash=HASH)
HERE = {"reseed": HASH}


def judged(made: Fingerprint | None = MADE, now: Fingerprint = NOW, models: dict[str, str] = HERE) -> Verdict:
    return verdict.judge(now, models, made=made, pixels_sha256="0" * 64)


def read(text: str, models: dict[str, str] = HERE, source: str = "A1111") -> Verdict:
    return verdict.judge(NOW, models, reading=infotext.parse(text), source=source)


def test_equal_in_everything_is_expected_identical_not_identical() -> None:
    assert judged() == Verdict("expected identical")


def test_only_a_proof_makes_it_identical() -> None:
    found = verdict.judge(NOW, HERE, made=MADE, proved=True)
    assert found == Verdict("identical", ("It was made again here, and every pixel is equal.",))
    assert verdict.judge(NOW, HERE, made=MADE, proved=False).kind == "will differ"
    other = verdict.judge(replace(NOW, torch="2.14.0"), HERE, made=MADE, proved=True)
    assert (other.kind, len(other.reasons)) == ("identical", 2)


FIELDS = [("product", "Reseed 0.1.0 made it"), ("torch", "torch 2.13.0"), ("diffusers", "diffusers 0.42.1"),
          ("device", "device cpu"), ("dtype", "made in float32"), ("kernels", "kernels packed AVX512")]  # fmt: skip


@pytest.mark.parametrize(("name", "words"), FIELDS)
def test_each_part_of_the_environment_is_named(name: str, words: str) -> None:
    found = judged(now=replace(NOW, **{name: "other"}))
    assert found.kind == "will differ"
    (reason,) = found.reasons
    assert words in reason
    assert "other" in reason


def test_everything_is_named_at_once() -> None:
    now = Fingerprint("a", "b", "c", "", "", "d", "e")
    assert len(judged(now=now, models={"reseed": OTHER}).reasons) == 6


@pytest.mark.parametrize(("now", "reasons"), [("packed AVX2", 1), ("", 1), ("plain AVX2", 0)])
def test_a_picture_from_before_weights_were_packed_was_made_with_plain_ones(now: str, reasons: int) -> None:
    found = judged(made=replace(MADE, kernels=""), now=replace(NOW, kernels=now)).reasons
    assert len(found) == reasons
    assert all("kernels plain, here are packed" in reason for reason in found)
    assert not judged(made=replace(MADE, kernels="", device="mps"), now=replace(NOW, device="mps")).reasons
    (reason,) = judged(
        made=replace(MADE, kernels="", device="cuda"), now=replace(NOW, device="cuda", kernels="")
    ).reasons
    assert "kernels plain, here are channels_last" in reason


def test_a_picture_that_was_decoded_in_tiles_is_equal_only_where_that_is_so_again() -> None:
    tiled = replace(MADE, kernels=f"{NOW.kernels}, tiled VAE")
    for now, kind in ((NOW, "will differ"), (replace(NOW, kernels=""), "expected identical")):
        found = judged(made=tiled, now=now)
        assert found.kind == kind
        assert "done in tiles, for want of memory" in found.reasons[-1]
    assert judged(made=tiled, now=replace(NOW, kernels=tiled.kernels)) == Verdict("expected identical")


def test_what_is_not_known_yet_is_a_condition() -> None:
    found = judged(made=replace(MADE, device="cuda", dtype="float16"), now=replace(NOW, device="", dtype=""))
    assert found.kind == "expected identical"
    assert found.reasons == ("It was made on cuda in float16: it is equal only where that is so again.",)
    (reason,) = judged(made=replace(MADE, torch="", device="")).reasons
    assert reason == "The picture does not say its torch, device."


def test_models() -> None:
    (gone,) = judged(models={}).reasons
    assert gone == f"The model reseed with the hash {HASH} is not here."
    (renamed,) = judged(models={"mine": HASH}).reasons
    assert "that is called mine has this hash" in renamed
    (other,) = judged(models={"reseed": OTHER}).reasons
    assert "checkpoint hash ababababab, the one here has cdcdcdcdcd" in other
    (unknown,) = judged(made=replace(MADE, model_hash="")).reasons
    assert "does not say the hash of the model reseed" in unknown
    (nameless,) = judged(made=replace(MADE, model="", model_hash="")).reasons
    assert "does not say which model" in nameless
    later = judged(models={"reseed": ""})
    assert later.kind == "expected identical"
    assert later.reasons == ("The hash of the model reseed is compared when it is loaded.",)


def test_nothing_known_will_differ() -> None:
    assert judged(made=None).kind == "will differ"


def test_without_a_hash_of_pixels() -> None:
    found = verdict.judge(NOW, HERE, made=MADE)
    assert found.kind == "expected identical"
    assert "no hash of its pixels" in found.reasons[0]


A1111 = (
    "a cat\nSteps: 20, Sampler: Euler a, CFG scale: 7, Seed: 5, Size: 512x512, Model hash: ababababab, Model: reseed"
)


def test_another_program_is_never_promised_to_the_bit() -> None:
    found = read(A1111 + ", Version: v1.10.1")
    assert found.kind == "will differ"
    assert found.reasons[0].startswith("It was made by A1111: what is alike is the composition")
    said = infotext.parse(A1111 + ", Version: v1.10.1").notes
    assert [reason for reason in found.reasons[1:] if reason not in said] == [
        "It carries no hash of its pixels, so that they are equal can only be seen by comparing files."
    ]


REST = [
    ("AddNet Model 1: foo", "LoRA files", "foo"),
    ("TI: bad", "textual inversions", "bad"),
    ("Hires upscale: 2, Hires upscaler: Latent", "Hires fix", "Hires upscale: 2"),
    ("UniPC order: 2", "sampler or prompts with other settings", "UniPC order: 2"),
    ("Denoising strength: 0.7", "img2img", "0.7"),
    ('ControlNet 0: "canny"', "ControlNet", "canny"),
    ("ADetailer model: face", "repairs", "face"),
    ("Refiner: sdxl", "refiner", "sdxl"),
    ("VAE: kl-f8", "VAE", "kl-f8"),
    ("Tiling: True", "tiling", "True"),
    ("Gibberish: 9", "not known here", "Gibberish: 9"),
]


@pytest.mark.parametrize(("more", "words", "value"), REST)
def test_what_else_was_used_is_named(more: str, words: str, value: str) -> None:
    reading = infotext.parse(f"{A1111}, {more}")
    assert reading.rest, "what a recipe holds is no case of this test"
    found = verdict.judge(NOW, HERE, reading=reading, source="A1111")
    assert found.kind == "will differ"
    assert any(words in reason and value in reason for reason in found.reasons), found.reasons


def test_what_does_not_matter_is_not_named() -> None:
    rest = {"Version": "v1.10.1", "Created Date": "2026", "Civitai resources": "[]", "Batch size": "4", "User": "me"}
    found = verdict.judge(NOW, HERE, reading=Reading({"seed": 5, "model": "reseed"}, rest), source="A1111")
    assert not any(key in reason for reason in found.reasons for key in rest)


def test_unknown_samplers_and_tags_of_files_are_named() -> None:
    found = read(A1111.replace("Euler a", "Restart++"))
    assert any("Not possible here: Sampler must be" in reason and "Restart++" in reason for reason in found.reasons)
    found = read(A1111.replace("a cat", "a cat <lora:foo:0.8> <hypernet:bar:1>"))
    assert "Its prompt names files that are not loaded here: bar." in found.reasons
    assert "The LoRA foo is not here." in found.reasons


def test_how_the_rest_was_understood_is_said() -> None:
    reading = Reading({"seed": 5, "model": "reseed"}, notes=("Euler without a schedule meant Uniform there.",))
    assert reading.notes[0] in verdict.judge(NOW, HERE, reading=reading, source="A1111").reasons


def test_no_seed_is_named() -> None:
    assert "It does not say its seed." in read("only a prompt").reasons


def test_reasons_are_short_lines_whatever_a_file_says() -> None:
    rest = {f"Key{number}": "x\n" * 9999 for number in range(50)}
    made = replace(MADE, torch="a\nb" * 999, model="m" * 999, model_hash="\ud800")
    for found in (verdict.judge(NOW, HERE, reading=Reading({}, rest), source="z" * 999), judged(made=made)):
        assert all(len(reason) < 1000 and "\n" not in reason for reason in found.reasons)
        str(found).encode()


def test_the_present_is_what_torch_says_of_itself() -> None:
    import diffusers
    import torch

    now = verdict.present()
    assert (now.torch, now.diffusers) == (torch.__version__, diffusers.__version__)
    assert verdict.present("cuda:1", "float16").device == "cuda"
    assert verdict.present("cuda:1", "float16").dtype == "float16"
    assert [verdict.present("cpu", kind).dtype for kind in ("exact", "fast", "bfloat16")] == ["float32", "", "bfloat16"]
    if torch.__version__.endswith("+cpu"):
        assert (now.device, now.dtype) == ("cpu", "float32")


def test_info_says_the_verdict_and_loads_nothing_heavy(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(png.encode(Image.new("RGB", (8, 8)), {"parameters": A1111}))
    code = (
        f"import sys; from webui.cli import main; main(['info', {str(path)!r}, '--data-dir', {str(tmp_path)!r}]); "
        "print({'torch', 'diffusers', 'gradio', 'transformers'} & sys.modules.keys())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120)
    text, _, rest = done.stdout.partition("\n\n")
    assert text == A1111
    assert rest.startswith("Recall: will differ.\nIt was made with the model reseed")
    assert rest.splitlines()[-1] == "set()"
