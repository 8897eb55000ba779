"""Requests of A1111's clients: what is not allowed is a sentence that names the field, and nothing is queued."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from tests.api.a1111 import SMALL, V1, opened, refused, studio
from tests.api.test_app import ADDRESS
from tests.test_jobs import Failing
from webui.api.app import create
from webui.studio import Studio

__all__ = ["studio"]


@pytest.fixture
def client(studio: Studio) -> Iterator[TestClient]:
    yield TestClient(create(studio), base_url=ADDRESS)
    assert (studio.jobs.active(), studio.gallery.count()) == ([], 0)


WRONG = [True, "1.5", "abc", [], [1], {}, {"a": 1}, 2**64, 10**400, -2]
NUMBERS = ["steps", "cfg_scale", "width", "height", "batch_size", "n_iter", "seed_resize_from_w", "subseed_strength",
           "denoising_strength", "eta", "s_churn", "s_tmin", "s_tmax", "s_noise", "s_min_uncond"]  # fmt: skip
TEXTS = ["prompt", "negative_prompt", "sampler_name", "sampler_index", "scheduler", "infotext", "script_name"]
FLAGS = ["enable_hr", "restore_faces", "tiling", "disable_extra_networks", "send_images", "save_images",
         "do_not_save_samples", "override_settings_restore_afterwards"]  # fmt: skip


@pytest.mark.parametrize("name", [*NUMBERS, "seed", "subseed"])
def test_a_number_of_the_wrong_kind_is_refused_by_name(client: TestClient, name: str) -> None:
    for value in [*WRONG, *([1.5, 7.0] if name in ("seed", "subseed") else [])]:
        body = refused(client, {name: value})
        assert body["status"] == 422, (name, value)
        assert [one["field"] for one in body["fields"]] == [name], (name, value)
        assert "must be" in body["detail"]


@pytest.mark.parametrize("name", TEXTS)
def test_a_text_of_the_wrong_kind_is_refused_by_name(client: TestClient, name: str) -> None:
    for value in (True, 7, 1.5, ["Euler"], {"a": "b"}):
        body = refused(client, {name: value})
        assert (body["status"], [one["field"] for one in body["fields"]]) == (422, [name]), (name, value)


@pytest.mark.parametrize("name", FLAGS)
def test_a_flag_of_the_wrong_kind_is_refused_by_name(client: TestClient, name: str) -> None:
    for value in ("yes", 1, [], {}):
        body = refused(client, {name: value})
        assert (body["status"], [one["field"] for one in body["fields"]]) == (422, [name]), (name, value)


@pytest.mark.parametrize(
    ("fields", "status", "names", "said"),
    [
        ({"steps": 0}, 422, ["steps"], "Steps must be a whole number from 1 to 150; got 0."),
        ({"width": 513}, 422, ["width"], "Nearest: 512 or 520."),
        ({"steps": 0, "seed": -2, "scheduler": "x"}, 422, ["steps", "scheduler", "seed"], "got -2"),
        ({"sampler_name": "eular"}, 422, ["sampler_name"], "Did you mean Euler"),
        ({"sampler_name": "DPM++ 2M Karras", "scheduler": "exponential"}, 422, ["scheduler"], "Karras or Automatic"),
        ({"seed": 2**64 - 1, "n_iter": 2}, 422, ["seed"], "Seeds do not wrap around."),
        ({"batch_size": 50, "n_iter": 50}, 422, ["n_iter"], "at most 100 pictures; got 2500."),
        ({"prompt": "x" * 10_001}, 422, ["prompt"], "It has 10001 characters."),
        ({"prompt": "a\0b"}, 422, ["prompt"], "without NUL"),
        ({"prompt": "__nothing__"}, 422, ["prompt"], "nothing"),
        ({"prompt": "<lora:none:1>"}, 422, ["prompt"], "none"),
        ({"styles": "Oil"}, 422, ["styles"], "a list of names"),
        ({"styles": [1]}, 422, ["styles"], "a list of names"),
        ({"styles": ["Oyl"]}, 422, ["styles"], "Did you mean Oil?"),
        ({"seed_resize_from_w": 64}, 422, ["seed_resize_from_h"], "given together"),
        ({"seed": "7, 9"}, 422, ["seed"], "whole number"),
        ({"infotext": "a\nSteps: 999, Sampler: Euler, Seed: 7, CFG scale: 99"}, 422, ["cfg_scale"], "got 99.0."),
        ({"infotext": "a\nSteps: 9, Sampler: Euler, Seed: 7, Hires upscale: 2"}, 501, [], "or send enable_hr"),
        ({"infotext": "a\nSteps: 9, Sampler: Euler, Seed: -1"}, 422, ["seed"], "got '-1'"),
        ({"infotext": "a\nSteps: 9, Sampler: Euler, Seed: 7, Model: dream"}, 422, ["sd_model_checkpoint"], "reseed"),
        ({"override_settings": {"enable_pnginfo": []}}, 422, ["enable_pnginfo"], "True, always"),
        ({"override_settings": []}, 422, ["override_settings"], "an object"),
        ({"override_settings": {"send_seed": True}}, 422, ["send_seed"], "The option send_seed must be one that acts"),
        ({"override_settings": {"sd_model_checkpoint": "dream"}}, 422, ["sd_model_checkpoint"], "one of reseed"),
        ({"override_settings": {"sd_model_checkpoint": "some/where"}}, 422, ["sd_model_checkpoint"], "one of reseed"),
        ({"override_settings": {"sd_model_checkpoint": "reseed [0123456789]"}}, 422, [], "0123456789"),
        ({"override_settings": {"randn_source": "GPU"}}, 422, ["randn_source"], "NV gives the numbers of an NVIDIA"),
        ({"override_settings": {"samples_format": "jpg"}}, 422, ["samples_format"], "'png', always"),
        ({"override_settings": {"sgm_noise_multiplier": 1}}, 422, ["sgm_noise_multiplier"], "true or false"),
        ({"override_settings": {"CLIP_stop_at_last_layers": True}}, 422, ["CLIP_stop_at_last_layers"], "from 1 to 12"),
        ({"alwayson_scripts": []}, 422, ["alwayson_scripts"], "an object"),
        ({"alwayson_scripts": {"ControlNet": {"args": [{}]}}}, 422, [], "no always-on script 'ControlNet' here."),
        ({"alwayson_scripts": {"x": 1}}, 422, [], "no always-on script 'x' here."),
        ({"alwayson_scripts": {"x": {"args": [0]}}}, 422, [], "no always-on script 'x' here."),
        ({"script_name": "sd upscale"}, 422, [], "There is no script 'sd upscale' here: only x/y/z plot."),
        ({"enable_hr": True}, 501, [], "enable_hr must be false: a second, larger pass (Hires fix) is not here."),
        ({"restore_faces": True}, 501, [], "restore_faces must be false"),
        ({"disable_extra_networks": True}, 501, [], "leave the LoRAs out of the prompt"),
        ({"refiner_checkpoint": "x"}, 501, [], "refiner_checkpoint must be empty"),
        ({"distilled_cfg_scale": 2}, 501, [], "read cfg_scale"),
    ],
)  # fmt: skip
def test_a_sentence_says_what_is_wrong(
    client: TestClient, fields: dict[str, Any], status: int, names: list[str], said: str
) -> None:
    body = refused(client, fields)
    assert (body["status"], [one["field"] for one in body["fields"]]) == (status, names), body
    assert said in body["detail"], body["detail"]


@pytest.mark.parametrize(
    ("content", "status"),
    [
        (b'{"cfg_scale": NaN}', 400),
        (b'{"cfg_scale": Infinity}', 400),
        (b'{"mystery": 1e999}', 400),
        (b'{"prompt": "\\ud800"}', 400),
        (b'{"prompt": "\xff"}', 400),
        (b'{"seed": ' + b"9" * 5000 + b"}", 400),
        (b"[]", 400),
        (b"null", 400),
        (b"", 400),
        (b'{"a":' * 3000 + b"1" + b"}" * 3000, 400),
        (b'{"prompt": "' + b"x" * (1 << 20) + b'"}', 413),
    ],
)
@pytest.mark.parametrize("path", ["txt2img", "options"])
def test_a_body_that_is_no_plain_json_is_refused(client: TestClient, content: bytes, status: int, path: str) -> None:
    answer = client.post(V1 + path, content=content, headers={"content-type": "application/json"})
    assert (answer.status_code, answer.json()["detail"][-1]) == (status, "."), answer.text


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""])
def test_another_content_type_is_refused(client: TestClient, studio: Studio, kind: str) -> None:
    answer = client.post(f"{V1}txt2img", content=json.dumps(SMALL), headers={"content-type": kind})
    assert (answer.status_code, studio.jobs.active()) == (415, [])


@pytest.mark.parametrize("path", ["txt2img", "interrupt", "skip", "options", "png-info", "reload-checkpoint"])
def test_another_website_changes_nothing(client: TestClient, studio: Studio, path: str) -> None:
    answer = client.post(V1 + path, json=SMALL, headers={"origin": "http://evil.example"})
    assert (answer.status_code, studio.jobs.active()) == (403, [])
    assert "Another website" in answer.json()["error"]["message"]


def test_a_picture_that_cannot_be_made_is_an_error_with_its_sentence(tmp_path: Path) -> None:
    studio = opened(tmp_path, Failing())
    client = TestClient(create(studio), base_url=ADDRESS)
    answer = client.post(f"{V1}txt2img", json={**SMALL, "prompt": "sentence", "seed": 2, "n_iter": 2})
    assert (answer.status_code, answer.json()["error"]) == (500, "engine")
    assert answer.json()["detail"] == (
        "The picture is not a number. 1 of 2 pictures were made before it; they are in the history."
    )
    assert len(studio.gallery.recent(5)) == 1
    studio.close()
