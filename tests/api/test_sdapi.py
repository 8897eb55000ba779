"""The door for A1111's clients: its shapes to the letter, what its own tests ask, progress, interrupt and skip."""

import base64
import io
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from starlette.testclient import TestClient

from tests.api.a1111 import SMALL, V1, made, opened, recipes, studio
from tests.api.test_app import ADDRESS
from tests.test_jobs import Gated
from webui import png
from webui.api.app import create
from webui.api.sdapi import answers, txt2img
from webui.api.sdapi.door import Door
from webui.api.wire import Refused
from webui.recipe import Recipe
from webui.studio import Studio

__all__ = ["studio"]


# ---- pictures ----------------------------------------------------------------------------------------------


def test_an_answer_has_every_member_of_a1111s(client: TestClient, studio: Studio) -> None:
    body = made(client, seed=2**64 - 2, n_iter=2, mystery="passed over")
    assert body.keys() == {"images", "parameters", "info", "seeds", "seedTexts"}
    assert body["seeds"] == [2**64 - 2, 2**64 - 1]
    assert body["seedTexts"] == ["18446744073709551614", "18446744073709551615"]
    assert body["parameters"] == {**txt2img.DEFAULTS, **SMALL, "seed": 2**64 - 2, "n_iter": 2,
                                  "mystery": "passed over"}  # fmt: skip
    info = body["info"]
    assert info.keys() == {
        "prompt", "all_prompts", "negative_prompt", "all_negative_prompts", "seed", "all_seeds", "subseed",
        "all_subseeds", "subseed_strength", "width", "height", "sampler_name", "cfg_scale", "steps", "batch_size",
        "restore_faces", "face_restoration_model", "sd_model_name", "sd_model_hash", "sd_vae_name", "sd_vae_hash",
        "seed_resize_from_w", "seed_resize_from_h", "denoising_strength", "extra_generation_params",
        "index_of_first_image", "infotexts", "styles", "job_timestamp", "clip_skip",
        "is_using_inpainting_conditioning", "version",
    }  # fmt: skip
    assert (info["seed"], info["all_seeds"]) == (2**64 - 2, body["seeds"])
    assert (info["all_prompts"], info["index_of_first_image"]) == (["a lake"] * 2, 0)
    records = studio.gallery.recent(2)[::-1]
    assert [base64.b64decode(one) for one in body["images"]] == [record.path.read_bytes() for record in records]
    assert info["infotexts"] == [png.read_texts(record.path)["parameters"] for record in records]
    assert info["sd_model_hash"] == records[0].fingerprint.model_hash[:10]


def test_what_is_left_out_is_as_in_a1111(client: TestClient) -> None:
    body = client.post(f"{V1}txt2img", json={}).json()
    (recipe,) = recipes(body)
    assert recipe == Recipe.of(seed=recipe.seed, steps=50, cfg_scale=7, width=512, height=512, sampler="Euler")
    assert (body["parameters"]["seed"], body["seeds"]) == (-1, [recipe.seed])
    assert recipe.seed < 2**32


@pytest.mark.parametrize("seed", [-1, None, "-1", ""])
def test_a_random_seed_is_drawn_and_told(client: TestClient, seed: object) -> None:
    body = made(client, seed=seed)
    (recipe,) = recipes(body)
    assert body["parameters"]["seed"] == seed
    assert body["seeds"] == [recipe.seed]
    assert 0 <= recipe.seed < 2**32


def test_the_same_recipe_gives_the_same_pixels_through_the_studio(client: TestClient, studio: Studio) -> None:
    values = {**SMALL, "sampler": "DPM++ 2M", "schedule": "Karras", "cfg_scale": 5, "negative_prompt": "fog"}
    job = studio.submit(values, "7", 3).job
    *_, last = studio.jobs.watch(job)
    fields = {"seed": 7, "sampler_name": "DPM++ 2M Karras", "scheduler": "automatic", "cfg_scale": 5}
    body = made(client, **fields, negative_prompt="fog", batch_size=3)
    told = [png.read(base64.b64decode(image)).pixels_sha256 for image in body["images"]]
    assert told == [record.pixels_sha256 for record in last.records]
    assert [one.digest() for one in recipes(body)] == [one.digest() for one in last.recipes]


@pytest.mark.parametrize(
    ("fields", "recipe"),
    [
        ({"sampler_name": "Euler a"}, {"sampler": "Euler a"}),
        ({"sampler_index": "Heun"}, {"sampler": "Heun"}),
        ({"sampler_name": "LMS", "sampler_index": "Heun"}, {"sampler": "LMS"}),
        ({"sampler_name": "k_dpmpp_2m_sde_ka"}, {"sampler": "DPM++ 2M SDE", "schedule": "Karras"}),
        ({"sampler_name": "DPM++ 2M SDE Exponential"}, {"sampler": "DPM++ 2M SDE", "schedule": "Exponential"}),
        ({"scheduler": "sgm_uniform"}, {"schedule": "SGM Uniform"}),
        ({"scheduler": "Automatic"}, {"schedule": "Automatic"}),
        ({"eta": 0.0}, {"eta": 0.0}),
        ({"eta": 1.0, "sampler_name": "DDIM"}, {"eta_ddim": 1.0, "sampler": "DDIM"}),
        ({"s_churn": 2, "s_tmin": 0.1, "s_tmax": 9, "s_noise": 1.1, "s_min_uncond": 3},
         {"s_churn": 2, "s_tmin": 0.1, "s_tmax": 9, "s_noise": 1.1, "ngms": 3}),
        ({"subseed": 12, "subseed_strength": 0.5}, {"variation_seed": 12, "variation_strength": 0.5}),
        ({"subseed": 12, "subseed_strength": 0}, {}),
        ({"seed_resize_from_w": 128, "seed_resize_from_h": 64}, {"resize_width": 128, "resize_height": 64}),
        ({"seed_resize_from_w": -1, "seed_resize_from_h": 0}, {}),
        ({"override_settings": {"CLIP_stop_at_last_layers": 2, "randn_source": "CPU", "eta_noise_seed_delta": 31337}},
         {"clip_skip": 2, "rng": "CPU", "ensd": 31337}),
        ({"override_settings": {"always_discard_next_to_last_sigma": True, "sgm_noise_multiplier": False}},
         {"discard_penultimate": "On"}),
        ({"override_settings": {"sd_model_checkpoint": "RESEED", "sd_vae": "None", "samples_format": "png"}}, {}),
        ({"enable_hr": False, "hr_scale": 2, "hr_upscaler": "Latent", "denoising_strength": 0.7, "tiling": None,
          "restore_faces": False, "refiner_checkpoint": "None", "refiner_switch_at": 0.8, "script_name": None,
          "alwayson_scripts": {"ControlNet": {"args": []}, "ADetailer": {"args": [False]}, "x": {}},
          "save_images": True, "do_not_save_samples": True}, {}),
        ({"infotext": "a castle\nNegative prompt: fog\nSteps: 9, Sampler: Heun, Seed: 5, Size: 512x512, Clip skip: 2"},
         {"negative_prompt": "fog", "sampler": "Heun", "clip_skip": 2}),
    ],
)  # fmt: skip
def test_a_field_means_what_it_means_there(client: TestClient, fields: dict[str, Any], recipe: dict[str, Any]) -> None:
    (found,) = recipes(made(client, seed=7, **fields))
    assert found == Recipe.of(**{**SMALL, "seed": 7, "sampler": "Euler", **recipe})


def test_a_variation_keeps_the_seed_and_counts_its_own(client: TestClient) -> None:
    body = made(client, seed=7, subseed=20, subseed_strength=0.3, n_iter=2, batch_size=2)
    assert body["info"]["all_seeds"] == [7] * 4
    assert body["info"]["all_subseeds"] == [20, 21, 22, 23]
    assert (body["info"]["subseed_strength"], body["info"]["batch_size"]) == (0.3, 2)
    drawn = made(client, seed=7, subseed=-1, subseed_strength=0.3)
    assert [recipe.variation_seed for recipe in recipes(drawn)] == drawn["info"]["all_subseeds"] != [-1]
    assert made(client, seed=7, subseed=5)["info"]["all_subseeds"] == [-1]


def test_an_infotext_gives_what_the_request_leaves_out(client: TestClient) -> None:
    text = "a {castle|house}\nSteps: 9, Sampler: Heun, CFG scale: 4, Seed: 5, Size: 128x64, Model: reseed"
    (recipe,) = recipes(client.post(f"{V1}txt2img", json={"infotext": text, "steps": 2}).json())
    assert recipe == Recipe.of(prompt="a {castle|house}", seed=5, steps=2, sampler="Heun", cfg_scale=4, width=128,
                               height=64)  # fmt: skip
    hires = f"{text}, Hires upscale: 2"
    assert client.post(f"{V1}txt2img", json={"infotext": hires, "enable_hr": False, "steps": 2}).status_code == 200
    (other,) = recipes(client.post(f"{V1}txt2img", json={"infotext": text, "seed": 6, "steps": 2}).json())
    assert other == recipe.but(seed=6)


def test_styles_are_put_around_the_prompt(client: TestClient) -> None:
    body = made(client, styles=["Oil"], seed=1)
    assert (body["info"]["prompt"], body["info"]["negative_prompt"]) == ("oil painting of a lake", "photo")
    assert body["info"]["styles"] == ["Oil"]


def test_wildcards_are_drawn_from_each_seed(client: TestClient) -> None:
    body = made(client, prompt="a {red|blue|green} lake", seed=1, n_iter=6)
    assert len(set(body["info"]["all_prompts"])) > 1
    assert body["info"]["all_prompts"] == [recipe.prompt for recipe in recipes(body)]


def test_a_picture_whose_file_is_gone_before_it_is_sent_is_an_error(studio: Studio) -> None:
    door = Door(studio)
    run = door.begin({**SMALL, "seed": 3})
    *_, last = studio.jobs.watch(run.jobs[0])
    last.records[0].path.unlink()
    with pytest.raises(Refused, match="its file is gone or damaged") as caught:
        answers.pictures(run, door.finished(run))
    assert (caught.value.status, caught.value.code) == (500, "storage")


def test_without_send_images_they_are_kept_all_the_same(client: TestClient, studio: Studio) -> None:
    body = made(client, send_images=False, seed=3)
    assert (body["images"], body["seeds"]) == ([], [3])
    assert [record.recipe.seed for record in studio.gallery.recent(5)] == [3]


# ---- the tests that A1111 and reForge have -----------------------------------------------------------------

THEIRS = {
    "prompt": "example prompt", "negative_prompt": "", "steps": 3, "width": 64, "height": 64, "cfg_scale": 7,
    "batch_size": 1, "n_iter": 1, "enable_hr": False, "denoising_strength": 0, "firstphase_width": 0,
    "firstphase_height": 0, "restore_faces": False, "tiling": False, "eta": 0, "s_churn": 0, "s_tmax": 0, "s_tmin": 0,
    "s_noise": 1, "sampler_index": "Euler a", "seed": -1, "subseed": -1, "subseed_strength": 0,
    "seed_resize_from_h": -1, "seed_resize_from_w": -1, "styles": [],
}  # fmt: skip


@pytest.mark.parametrize(
    ("fields", "status", "count"),
    [
        ({}, 200, 1),
        ({"negative_prompt": "example negative prompt"}, 200, 1),
        ({"prompt": "((emphasis)), (emphasis1:1.1), [to:1], [from::2], [from:to:0.3], [alt|alt1]"}, 200, 1),
        ({"width": 64, "height": 128}, 200, 1),
        ({"sampler_index": "DDIM"}, 200, 1),
        ({"sampler_index": "UniPC"}, 200, 1),
        ({"n_iter": 2}, 200, 2),
        ({"batch_size": 2}, 200, 2),
        ({"sampler_index": "PLMS"}, 422, 0),
        ({"enable_hr": True}, 501, 0),
        ({"tiling": True}, 501, 0),
    ],
)
def test_what_reforge_tests(client: TestClient, fields: dict[str, Any], status: int, count: int) -> None:
    answer = client.post(f"{V1}txt2img", json={**THEIRS, **fields})
    assert answer.status_code == status, answer.text
    assert len(answer.json().get("images", [])) == count


@pytest.mark.parametrize(
    "path", ["cmd-flags", "samplers", "upscalers", "sd-models", "hypernetworks", "face-restorers",
             "realesrgan-models", "prompt-styles", "embeddings"]
)  # fmt: skip
def test_the_lists_that_reforge_asks_for(client: TestClient, path: str) -> None:
    assert client.get(V1 + path).status_code == 200


@pytest.mark.parametrize("path", ["img2img", "extra-single-image", "extra-batch-images", "interrogate"])
def test_what_is_not_here_is_said(client: TestClient, path: str) -> None:
    answer = client.post(V1 + path, json={"init_images": ["x"], **THEIRS})
    assert (answer.status_code, answer.json()["error"]) == (501, "not_here")
    assert "here" in answer.json()["detail"]


# ---- progress, interrupt, skip -----------------------------------------------------------------------------

IDLE = {"skipped": False, "interrupted": False, "stopping_generation": False, "job": "", "job_count": 0,
        "job_timestamp": "0", "job_no": 0, "sampling_step": 0, "sampling_steps": 0}  # fmt: skip


def test_nothing_at_work_is_a_progress_of_zero(client: TestClient, studio: Studio) -> None:
    assert client.get(f"{V1}progress").json() == {
        "progress": 0.0, "eta_relative": 0.0, "state": IDLE, "current_image": None, "textinfo": None,
    }  # fmt: skip
    assert client.post(f"{V1}interrupt").json() == {}
    assert client.post(f"{V1}skip").json() is None
    assert client.get(f"{V1}progress?skip_current_image=maybe").status_code == 422


class Asking(threading.Thread):
    """Asks for pictures and waits for them, beside the test."""

    def __init__(self, client: TestClient, fields: dict[str, Any]) -> None:
        super().__init__(daemon=True)
        self.client, self.fields, self.body = client, fields, dict[str, Any]()
        self.start()

    def run(self) -> None:
        self.body = made(self.client, **self.fields)

    def answer(self) -> dict[str, Any]:
        """Wait for the answer."""
        self.join(20)
        assert not self.is_alive()
        return self.body


@pytest.fixture
def gated(tmp_path: Path) -> Iterator[tuple[TestClient, Gated, Studio]]:
    engine = Gated(at=2)
    studio = opened(tmp_path, engine)
    yield TestClient(create(studio), base_url=ADDRESS), engine, studio
    engine.gate.set()
    studio.close()


def test_progress_tells_of_the_picture_at_work(gated: tuple[TestClient, Gated, Studio]) -> None:
    client, engine, _ = gated
    asking = Asking(client, {"seed": 7, "n_iter": 2, "steps": 4})
    assert engine.there.wait(10)
    body = client.get(f"{V1}progress").json()
    state = body["state"]
    assert (state["job"], state["job_count"], state["job_no"]) == ("Batch 1 out of 2", 2, 0)
    assert (state["sampling_step"], state["sampling_steps"]) == (1, 4)
    assert len(state["job_timestamp"]) == 14
    assert body["progress"] == pytest.approx(0.01 + 1 / 8)
    assert Image.open(io.BytesIO(base64.b64decode(body["current_image"]))).size == (16, 16)
    assert client.get(f"{V1}progress?skip_current_image=true").json()["current_image"] is None
    engine.gate.set()
    assert asking.answer()["seeds"] == [7, 8]
    after = client.get(f"{V1}progress").json()
    assert (after["progress"], after["state"]["job_count"]) == (0.0, 0)


def test_interrupt_stops_within_a_step_and_keeps_what_is_finished(gated: tuple[TestClient, Gated, Studio]) -> None:
    client, engine, studio = gated
    page = studio.submit(SMALL, "99").job  # the page's own picture, ahead in the line
    asking = Asking(client, {"seed": 7, "n_iter": 3})
    assert engine.there.wait(10)
    until = time.monotonic() + 10
    while len(studio.jobs.active()) < 2 and time.monotonic() < until:
        time.sleep(0.01)
    assert client.get(f"{V1}progress").json()["state"]["job_count"] == 3
    assert client.post(f"{V1}interrupt").json() == {}
    body = asking.answer()
    assert (body["images"], body["info"]["infotexts"], body["info"]["seed"]) == ([], [], 7)
    state = client.get(f"{V1}progress").json()["state"]
    assert (state["interrupted"], state["job_count"]) == (True, 0)
    assert client.post(f"{V1}interrupt").json() == {}
    engine.gate.set()
    assert list(studio.jobs.watch(page))[-1].status == "succeeded"


def test_skip_abandons_one_picture_and_goes_on(gated: tuple[TestClient, Gated, Studio]) -> None:
    client, engine, _ = gated
    asking = Asking(client, {"seed": 7, "n_iter": 3})
    assert engine.there.wait(10)
    assert client.post(f"{V1}skip").json() is None
    engine.gate.set()
    body = asking.answer()
    assert body["seeds"] == [recipe.seed for recipe in recipes(body)] == [8, 9]
    assert client.get(f"{V1}progress").json()["state"]["skipped"] is True


def test_skip_of_the_last_picture_ends_the_request(gated: tuple[TestClient, Gated, Studio]) -> None:
    client, engine, _ = gated
    asking = Asking(client, {"seed": 7})
    assert engine.there.wait(10)
    client.post(f"{V1}skip")
    engine.gate.set()
    assert asking.answer()["images"] == []
