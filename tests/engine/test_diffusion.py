"""The engine's promises on the real bundled model: a picture is a function of its recipe, and of nothing else."""

import gc
import hashlib
import subprocess
import sys
import threading
import weakref

import numpy as np
import pytest
import torch

from webui import __version__, samplers
from webui.engine import loading, memory, packing, sampling, schedules
from webui.engine.checkpoints import Catalog
from webui.engine.diffusion import DiffusionEngine
from webui.engine.loading import choose_dtype
from webui.engine.noise import Stream
from webui.errors import BadValue, CheckpointError, EngineError, OutOfMemory
from webui.recipe import Recipe

NAMES = samplers.sampler_names()


def digest(pixels: np.ndarray) -> str:
    return hashlib.sha256(pixels.tobytes()).hexdigest()


def test_leaves_the_global_generator_and_grad_mode_alone(engine, recipe):
    torch.manual_seed(1)
    before = torch.get_rng_state()
    for step in engine.generate(recipe):
        assert torch.is_grad_enabled(), step.index
        assert not torch.is_inference_mode_enabled()
    assert torch.equal(before, torch.get_rng_state())


def test_two_processes_make_equal_pixels(engine, pixels, recipe):
    code = f"""
import hashlib, numpy
from webui.engine.checkpoints import Catalog
from webui.engine.diffusion import DiffusionEngine
from webui.recipe import Recipe
*_, last = DiffusionEngine(Catalog(), device="cpu").generate(Recipe.from_json({recipe.to_json()!r}))
print(hashlib.sha256(numpy.asarray(last.image).tobytes()).hexdigest())
"""
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.split() == [digest(pixels(engine, recipe))]
    assert found.stderr == "", "loading and making a picture are quiet"


def test_two_engines_make_equal_pixels(engine, pixels, recipe):
    assert np.array_equal(pixels(engine, recipe), pixels(DiffusionEngine(Catalog(), "cpu", "float32"), recipe))


def test_interleaved_pictures_do_not_disturb_each_other(engine, pixels, recipe):
    alone = [pixels(engine, recipe.but(seed=seed, sampler="Euler a")) for seed in (1, 2)]
    pair = [engine.generate(recipe.but(seed=seed, sampler="Euler a")) for seed in (1, 2)]
    together = [np.asarray(steps[-1].image) for steps in zip(*map(list, zip(*pair, strict=True)), strict=True)]
    assert all(np.array_equal(first, second) for first, second in zip(alone, together, strict=True))


def test_the_model_changes_the_picture(engine, engines, pixels, recipe):
    assert digest(pixels(engine, recipe)) != digest(pixels(engines["sd1"], recipe.but(model="sd1")))


@pytest.mark.parametrize("text", ["", "(", "((((a:2.0]", "lake " * 500, "lake BREAK night, (sea:1.5) BREAK", "日本 🦆"])
def test_any_prompt_makes_a_picture(engine, pixels, recipe, text):
    assert pixels(engine, recipe.but(prompt=text, negative_prompt="fog " * 100, steps=2)).std() > 0


def test_the_prompt_rules(engine, pixels, recipe):
    """The bundled model obeys: at one seed, night is darker than day."""
    day, night = (
        pixels(engine, recipe.but(prompt=f"a lake with mountains at {time}", width=128, height=128, steps=8)).mean()
        for time in ("noon", "night")
    )
    assert night < 0.6 * day


@pytest.mark.parametrize("name", [name for name in NAMES if name != "DPM adaptive"])
def test_steps(engine, recipe, name):
    """Indices count model calls up to a total that is known from the first step on; previews on the way, one image."""
    steps = list(engine.generate(recipe.but(sampler=name, steps=3)))
    _, _, height, width = engine._model("reseed", "").family.shape(recipe.width, recipe.height)
    cells = (width, height)
    total = {**dict.fromkeys(("Heun", "DPM++ 2S a", "DPM++ SDE", "DPM2", "DPM2 a", "Restart"), 5), "HeunPP2": 6}.get(
        name, 3
    )
    assert [step.index for step in steps] == [*range(total + 1), total]
    assert {step.total for step in steps} == {total}
    assert [step.preview is not None for step in steps] == [False, *[True] * total, False]
    assert {step.preview.size for step in steps if step.preview} == {cells}
    assert [step.image is not None for step in steps] == [False] * (total + 1) + [True]
    assert steps[-1].image.mode == "RGB"


def test_an_adaptive_sampler_ends_when_it_has_arrived(engine, recipe):
    steps = list(engine.generate(recipe.but(sampler="DPM adaptive")))
    assert [step.index for step in steps[:-1]] == list(range(len(steps) - 1))
    assert all(step.index <= step.total for step in steps)
    assert steps[-1].index == steps[-1].total == len(steps) - 2
    assert steps[-1].image is not None


def test_fingerprint(engine, recipe):
    *_, last = engine.generate(recipe)
    found = last.fingerprint
    assert (found.product, found.torch, found.model) == (__version__, torch.__version__, "reseed")
    assert (found.device, found.dtype) == ("cpu", "float32")
    assert found.model_hash == engine.checkpoints.hash(engine.checkpoints.find("reseed"))


@pytest.mark.parametrize("after", [0, 1, 3])
def test_closing_early_leaves_the_engine_as_it_was(engine, pixels, recipe, after):
    wanted = pixels(engine, recipe)
    calls = []
    unet = engine._model("reseed", "").family.pipe.unet
    hook = unet.register_forward_hook(lambda *_: calls.append(1))
    steps = engine.generate(recipe.but(steps=50, sampler="Euler a", seed=99))
    for _ in range(after + 1):
        next(steps)
    steps.close()
    hook.remove()
    assert len(calls) == after, "a closed generator makes no further call"
    assert np.array_equal(wanted, pixels(engine, recipe))


def test_unknown_model(engine, recipe):
    with pytest.raises(CheckpointError, match=r"There is no model 'other'. Here are: reseed"):
        list(engine.generate(recipe.but(model="other")))


def test_model_hash(engine, pixels, recipe):
    known = engine.checkpoints.hash(engine.checkpoints.find("reseed"))
    assert np.array_equal(pixels(engine, recipe), pixels(engine, recipe.but(model_hash=known[:10])))
    with pytest.raises(CheckpointError, match=f"with the hash 'abcdef0123', but the one here has {known[:10]}"):
        list(engine.generate(recipe.but(model_hash="abcdef0123")))


def test_a_hub_id_without_connection_is_a_sentence(engine, recipe):
    with pytest.raises(CheckpointError, match="nobody/nothing is not here and could not be fetched"):
        list(engine.generate(recipe.but(model="nobody/nothing")))


def broken(message: str, kind: type[Exception] = RuntimeError):
    def hook(*_: object) -> None:
        raise kind(message)

    return hook


@pytest.mark.parametrize(
    "hook",
    [
        lambda *_: torch.empty(2**58, dtype=torch.uint8),  # the real allocator's own words
        broken("CUDA out of memory. Tried to allocate 2.00 GiB.", torch.OutOfMemoryError),
        broken("MPS backend out of memory (MPS allocated: 1 GB)"),
        broken("", MemoryError),
    ],
)
def test_out_of_memory_is_a_sentence_and_the_engine_lives(engine, pixels, recipe, hook):
    wanted = pixels(engine, recipe)
    unet = engine._model("reseed", "").family.pipe.unet
    handle = unet.register_forward_pre_hook(hook)
    with pytest.raises(
        OutOfMemory, match=r"too little memory for 512 × 256 pixels\. 320 × 128 needs about half"
    ) as caught:
        list(engine.generate(recipe.but(width=512, height=256)))
    handle.remove()
    assert caught.value.__context__ is None, "the frames that held the tensors are gone"
    assert np.array_equal(wanted, pixels(engine, recipe))


def test_a_picture_that_cannot_be_decoded_whole_is_decoded_in_tiles_and_says_so(models, pixels, recipe):
    """As on a card whose memory takes the network's call but not the decoder's."""
    engine = DiffusionEngine(Catalog(models), device="cpu")
    wide = recipe.but(model="sd1", width=256, height=192)
    *_, whole = engine.generate(wide)
    model = engine._model("sd1", "")
    vae = model.family.pipe.vae
    seen = []

    def tight(_module, given):
        seen.append(given[0].shape[-1] * given[0].shape[-2])
        if seen[-1] > 16 * 16:
            raise RuntimeError("not enough memory")

    vae.tile_sample_min_size, vae.tile_latent_min_size = 128, 16
    handle = vae.decoder.register_forward_pre_hook(tight)
    *_, tiled = engine.generate(wide)
    handle.remove()
    assert seen[0] == 32 * 24
    assert len(seen) > 3
    assert tiled.fingerprint.kernels == f"{whole.fingerprint.kernels}, tiled VAE"
    assert tiled.image.size == (256, 192)
    difference = np.abs(np.asarray(tiled.image).astype(int) - np.asarray(whole.image))
    assert 0 < difference.mean() < 12
    *_, again = engine.generate(wide)
    assert (again.fingerprint, again.image.tobytes()) == (whole.fingerprint, whole.image.tobytes())
    vae.decoder.register_forward_pre_hook(broken("not enough memory"))
    with pytest.raises(OutOfMemory, match="too little memory for 256 × 192 pixels"):
        list(engine.generate(wide))
    assert not vae.use_tiling


def test_what_is_loaded_is_not_looked_through_for_garbage(models):
    before = gc.get_freeze_count()
    try:
        engine = DiffusionEngine(Catalog(models), device="cpu")
        engine.warm("sd1")
        assert gc.get_freeze_count() > before
        engine._leave(None)
        assert gc.get_freeze_count() == 0  # another model may come: what is no longer used goes first
    finally:
        gc.unfreeze()


def test_out_of_memory_frees_what_the_picture_held(engine, recipe):
    unet = engine._model("reseed", "").family.pipe.unet
    handle = unet.register_forward_pre_hook(broken("not enough memory"))
    with pytest.raises(OutOfMemory):
        list(engine.generate(recipe.but(width=640, height=336)))
    handle.remove()
    gc.collect()
    shape = engine._model("reseed", "").family.shape(640, 336)
    assert not [item for item in gc.get_objects() if isinstance(item, torch.Tensor) and tuple(item.shape) == shape]


def test_a_fault_is_left_to_the_worker_and_the_engine_goes_on(engine, pixels, recipe):
    handle = engine._model("reseed", "").family.pipe.vae.decoder.register_forward_pre_hook(broken("kernel panic"))
    with pytest.raises(RuntimeError, match="kernel panic"):
        list(engine.generate(recipe))
    handle.remove()
    assert pixels(engine, recipe).std() > 0


def test_nan_is_an_error_and_not_a_black_picture(engine, recipe):
    unet = engine._model("reseed", "").family.pipe.unet
    handle = unet.register_forward_hook(lambda _module, _args, output: (output[0] * float("nan"),))
    with pytest.raises(EngineError, match=r"not numbers \(NaN\) in float32"):
        list(engine.generate(recipe))
    handle.remove()


def test_clip_skip_beyond_the_model(engine, recipe):
    with pytest.raises(BadValue, match="Clip skip must be at most 3"):
        list(engine.generate(recipe.but(clip_skip=9)))


def test_device_and_dtype_are_checked(recipe):
    with pytest.raises(EngineError, match=r"Device must be one that this computer has: .*cpu; got 'tpu'"):
        list(DiffusionEngine(Catalog(), device="tpu").generate(recipe))
    with pytest.raises(EngineError, match=r"Dtype must be one of fast, exact, float32, .*; got 'int8'"):
        list(DiffusionEngine(Catalog(), "cpu", dtype="int8").generate(recipe))


@pytest.mark.parametrize("family", ["sd1", "sd2", "sdxl", "sd3", "flux"])
def test_exact_and_fast(monkeypatch, family):
    half = torch.float16 if family.startswith("sd") and family != "sd3" else torch.bfloat16
    assert choose_dtype(None, "cpu", family) == choose_dtype("exact", "cpu", family) == torch.float32
    assert choose_dtype("exact", "cuda", family) == torch.float32
    assert choose_dtype(None, "cuda", family) == choose_dtype("fast", "cuda", family) == half
    for multiplies, dtype in ((True, torch.bfloat16), (False, torch.float32)):
        monkeypatch.setattr(packing, "multiplies_halves", lambda multiplies=multiplies: multiplies)
        assert choose_dtype("fast", "cpu", family) == dtype


def test_a_picture_says_what_fast_was(models, recipe):
    *_, last = DiffusionEngine(Catalog(models), "cpu", "fast").generate(recipe.but(model="sd1"))
    assert last.fingerprint.dtype == ("bfloat16" if packing.multiplies_halves() else "float32")


def test_half_precision_is_near_and_its_latent_is_float32(engines, models, pixels, recipe):
    small = recipe.but(model="sd1")
    half = DiffusionEngine(Catalog(models), "cpu", "bfloat16")
    *_, last = half.generate(small)
    assert last.fingerprint.dtype == "bfloat16"
    denoised = half._model("sd1", "").denoiser(small)(Stream(1, "NV", (1, 4, 8, 8)).normal(), 2.0)
    assert denoised.dtype == torch.float32
    difference = np.abs(np.asarray(last.image).astype(int) - pixels(engines["sd1"], small)).mean()
    assert 0 < difference < 6


def in_memory(engine: DiffusionEngine) -> list[str]:
    return [model.checkpoint.name for model in engine._loaded]


def test_the_last_two_models_stay_in_memory(models, pixels, recipe, monkeypatch):
    engine = DiffusionEngine(Catalog(models), device="cpu")
    first = pixels(engine, recipe.but(model="sd1"))
    pixels(engine, recipe.but(model="sdxl"))
    assert in_memory(engine) == ["sd1", "sdxl"]
    loaded = engine._model("sd1", "")
    assert np.array_equal(first, pixels(engine, recipe.but(model="sd1")))
    assert engine._model("sd1", "") is loaded
    assert engine.count_tokens("a lake", "sdxl") is not None
    pixels(engine, recipe.but(model="sd2"))
    assert in_memory(engine) == ["sd1", "sd2"]
    monkeypatch.setattr(memory, "free", lambda _: 0)
    assert np.array_equal(first, pixels(engine, recipe.but(model="sd1")))  # is loaded: needs no room
    pixels(engine, recipe.but(model="sdxl"))
    assert in_memory(engine) == ["sdxl"]
    assert np.array_equal(first, pixels(engine, recipe.but(model="sd1")))


def test_a_model_that_is_given_up_is_gone_before_the_next_is_read(models, monkeypatch):
    engine, load, alive = DiffusionEngine(Catalog(models), device="cpu"), loading.load, []
    engine.warm("sd1")
    before = weakref.ref(engine._loaded[0])

    def counting(*wanted):
        alive.append(before() is not None)
        return load(*wanted)

    monkeypatch.setattr(loading, "load", counting)
    monkeypatch.setattr(memory, "free", lambda _: 0)
    engine.warm("sdxl")
    assert alive == [False]


def test_a_model_that_does_not_fit_beside_another_is_loaded_alone(models, recipe, monkeypatch):
    engine, load = DiffusionEngine(Catalog(models), device="cpu"), loading.load
    engine.warm("sd1")

    def tight(*wanted):
        if engine._loaded:
            raise RuntimeError("not enough memory")
        return load(*wanted)

    monkeypatch.setattr(loading, "load", tight)
    engine.warm("sdxl")
    assert in_memory(engine) == ["sdxl"]
    monkeypatch.setattr(loading, "load", lambda *_: broken("not enough memory")())
    with pytest.raises(OutOfMemory, match="too little memory to load the model sd1"):
        engine.warm("sd1")
    assert in_memory(engine) == []


def test_the_room_that_there_is(tmp_path, monkeypatch):
    monkeypatch.setattr(memory, "_MEMINFO", tmp_path / "meminfo")
    monkeypatch.setattr(memory, "_GROUP", tmp_path)
    assert memory.free("cpu") == memory.free("mps") == 0
    (tmp_path / "meminfo").write_text("MemTotal: 9 kB\nMemAvailable:    5242880 kB\n")
    assert memory.free("cpu") == 5 << 30
    assert memory.has_room("cpu", 3 << 29)
    assert not memory.has_room("cpu", (3 << 29) + 1)
    for most, left in (("max", 5 << 30), (str(3 << 30), 1 << 30)):
        (tmp_path / "memory.max").write_text(f"{most}\n")
        (tmp_path / "memory.current").write_text(f"{2 << 30}\n")
        assert memory.free("cpu") == left
    (tmp_path / "a.safetensors").write_bytes(b"123")
    assert (memory.files(tmp_path), memory.files(tmp_path / "a.safetensors")) == (3, 3)


def test_count_tokens(engine):
    assert DiffusionEngine(Catalog()).count_tokens("a lake", "reseed") is None
    engine.warm("reseed")
    assert engine.count_tokens("a lake", "reseed") == (2, 75)
    assert engine.count_tokens("a lake", "other") is None


@pytest.mark.parametrize("family", ["sd1", "flux"])
def test_counting_while_a_picture_is_made(engines, pixels, recipe, family):
    """The page counts tokens in its own thread; a tokenizer that two threads set up at once raises or miscounts."""
    engines[family].warm(family)
    found: list[object] = []
    done = threading.Event()

    def count() -> None:
        while not done.is_set():
            try:
                found.append(engines[family].count_tokens("lake, night, " * 30, family))
            except Exception as error:
                found.append(error)

    thread = threading.Thread(target=count)
    thread.start()
    for number in range(12):
        pixels(engines[family], recipe.but(prompt=f"lake {number}, " * 30, steps=1, model=family))
    done.set()
    thread.join()
    assert len(found) > 12
    assert set(found) == {engines[family].count_tokens("lake, night, " * 30, family)}


def test_euler_equals_plain_diffusers_on_the_real_model(engine, record_property, monkeypatch):
    """Row 9: Euler, linspace, 20 steps, CFG 4 with the stock pipeline and scheduler, from the same noise."""
    from diffusers import EulerDiscreteScheduler, StableDiffusionPipeline

    model = engine._model("reseed", "")
    pipe = model.family.pipe
    config = {**pipe.scheduler.config, "timestep_spacing": "linspace", "use_karras_sigmas": False}
    stock = StableDiffusionPipeline(
        vae=pipe.vae, text_encoder=pipe.text_encoder, tokenizer=pipe.tokenizer, unet=pipe.unet, safety_checker=None,
        feature_extractor=None, requires_safety_checker=False, scheduler=EulerDiscreteScheduler.from_config(config),
    )  # fmt: skip
    stock.set_progress_bar_config(disable=True)
    noise = Stream(7, "NV", model.family.shape(128, 128)).normal()
    stock.scheduler.set_timesteps(20)
    # The stock start is noise · sigma for linspace, ours too: the same latents go in.
    assert float(stock.scheduler.init_noise_sigma) == pytest.approx(float(stock.scheduler.sigmas[0]))
    theirs = stock(
        "a lake at sunset", negative_prompt="fog", num_inference_steps=20, guidance_scale=4.0, latents=noise,
        width=128, height=128, output_type="latent",
    ).images  # fmt: skip
    recipe = Recipe.of(
        prompt="a lake at sunset", negative_prompt="fog", steps=20, cfg_scale=4.0, sampler="Euler", seed=7,
        width=128, height=128,
    )  # fmt: skip
    # Between two levels of the table diffusers draws a line in sigma and we in log sigma (Karras et al. 2022's
    # discretization as k-diffusion does it). A trained network makes up to four times 1e-5 of that difference, so it
    # is bounded here by itself, and the sampler, the guidance and the noise are compared at the same levels.
    sigmas = tuple(map(float, stock.scheduler.sigmas))
    timesteps = dict(zip(sigmas, map(float, stock.scheduler.timesteps), strict=False))
    mine = model.family.sigmas(recipe)
    assert mine == schedules.spaced(model.family.levels, "Uniform", 20)
    assert mine == pytest.approx(sigmas, rel=2e-5)
    assert [model.family.levels.timestep(sigma) for sigma in mine[:-1]] == pytest.approx(
        list(timesteps.values()), abs=1e-4
    )

    class Given(schedules.Levels):
        def timestep(self, sigma: float, nearest: bool = False) -> float:
            return timesteps[sigma]

    monkeypatch.setattr(model.family, "levels", Given(model.family.levels.sigmas))
    denoise = model.denoiser(recipe)
    run = sampling.start("Euler", noise, sigmas, lambda: noise)
    x, sigma = next(run)
    while sigma:
        _, x, sigma = model.advance(run, denoise, x, sigma)
    error = float((x - theirs).abs().max() / theirs.abs().max())
    record_property("relative error", error)
    print(f"Euler on the bundled model against diffusers {error:.1e}")
    assert error <= 1e-5
