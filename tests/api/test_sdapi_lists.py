"""Options and lists for A1111's clients: what is told is so, and what is set acts."""

from pathlib import Path

import pytest
from starlette.testclient import TestClient

from tests.api.a1111 import V1, made, recipes, studio
from tests.api.test_app import ADDRESS
from webui.api.app import create
from webui.api.sdapi import lists, options, routes, txt2img
from webui.engine.checkpoints import Catalog
from webui.engine.fake import FakeEngine
from webui.settings import Settings
from webui.studio import Studio

__all__ = ["studio"]


def test_options_are_told_set_and_act_on_later_requests(client: TestClient) -> None:
    first = client.get(f"{V1}options").json()
    assert (first["sd_model_checkpoint"], first["CLIP_stop_at_last_layers"]) == ("reseed", 1)
    assert (first["samples_format"], first["randn_source"], first["sgm_noise_multiplier"]) == ("png", "NV", False)
    changed = {"CLIP_stop_at_last_layers": 2, "sgm_noise_multiplier": True, "sd_model_checkpoint": "reseed"}
    answer = client.post(f"{V1}options", json=changed)
    assert (answer.status_code, answer.json()) == (200, None)
    assert client.get(f"{V1}options").json() == {**first, **changed}
    assert [(one.clip_skip, one.sgm_noise) for one in recipes(made(client))] == [(2, "On")]
    again = made(client, override_settings={"CLIP_stop_at_last_layers": 3})
    assert [one.clip_skip for one in recipes(again)] == [3]
    assert client.get(f"{V1}options").json()["CLIP_stop_at_last_layers"] == 2
    kept = {"override_settings": {"CLIP_stop_at_last_layers": 3}, "override_settings_restore_afterwards": False}
    made(client, **kept)
    assert client.get(f"{V1}options").json()["CLIP_stop_at_last_layers"] == 3
    client.post(f"{V1}options", json={"CLIP_stop_at_last_layers": 1, "sgm_noise_multiplier": False})
    assert client.get(f"{V1}options").json() == first


def test_options_are_set_all_or_none(client: TestClient) -> None:
    before = client.get(f"{V1}options").json()
    answer = client.post(f"{V1}options", json={"CLIP_stop_at_last_layers": 2, "outdir_samples": "/etc", "eta_ddim": 7})
    assert (answer.status_code, [one["field"] for one in answer.json()["fields"]]) == (
        422,
        ["outdir_samples", "eta_ddim"],
    )
    assert client.get(f"{V1}options").json() == before


def test_every_option_that_is_told_can_be_set_to_what_it_is(client: TestClient) -> None:
    stand = client.get(f"{V1}options").json()
    assert client.post(f"{V1}options", json=stand).status_code == 200
    assert client.get(f"{V1}options").json() == stand


def test_the_lists_have_a1111s_members(client: TestClient) -> None:
    listed = {name: client.get(V1 + name).json() for name in ("samplers", "schedulers", "sd-models", "prompt-styles")}
    assert {"name": "DPM++ 2M", "aliases": ["k_dpmpp_2m"], "options": {"scheduler": "karras"}} in listed["samplers"]
    karras = {"name": "karras", "label": "Karras", "aliases": None, "default_rho": 7.0, "need_inner_model": False}
    assert karras in listed["schedulers"]
    assert listed["sd-models"][0].keys() == {"title", "model_name", "hash", "sha256", "filename", "config"}
    assert listed["sd-models"][0]["title"] == "reseed"
    assert {"name": "Oil", "prompt": "oil painting of {prompt}", "negative_prompt": "photo"} in listed["prompt-styles"]
    for name in ("upscalers", "latent-upscale-modes", "sd-vae", "sd-modules", "hypernetworks", "face-restorers",
                 "realesrgan-models", "extensions", "loras"):  # fmt: skip
        assert client.get(V1 + name).json() == [], name
    assert client.get(f"{V1}embeddings").json() == {"loaded": {}, "skipped": {}}
    assert client.get(f"{V1}scripts").json() == {"txt2img": ["x/y/z plot"], "img2img": []}
    memory = client.get(f"{V1}memory").json()
    assert memory["ram"]["total"] == memory["ram"]["used"] + memory["ram"]["free"]
    assert "error" in memory["cuda"]
    assert client.get("/internal/ping").json() == {}


def test_a_model_that_is_named_at_the_start_is_listed_and_found(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path, model="someone/model")
    studio = Studio(settings, FakeEngine(), Catalog(tmp_path / "models"))
    client = TestClient(create(studio), base_url=ADDRESS)
    assert [one["title"] for one in client.get(f"{V1}sd-models").json()] == ["reseed", "someone/model"]
    assert client.get(f"{V1}options").json()["sd_model_checkpoint"] == "someone/model"
    assert client.post(f"{V1}options", json={"sd_model_checkpoint": "reseed"}).json() is None
    assert client.post(f"{V1}options", json={"sd_model_checkpoint": "someone/model"}).json() is None
    assert client.post(f"{V1}options", json={"sd_model_checkpoint": "someone/other"}).status_code == 422
    studio.close()


def test_every_sampler_and_schedule_that_is_listed_can_be_used(client: TestClient) -> None:
    for row in client.get(f"{V1}samplers").json():
        assert [one.sampler for one in recipes(made(client, sampler_name=row["name"]))] == [row["name"]]
    for row in client.get(f"{V1}schedulers").json():
        assert [one.schedule for one in recipes(made(client, scheduler=row["name"]))] == [row["label"]]


def test_the_page_of_the_documentation_names_every_field_option_and_path() -> None:
    text = (Path(__file__).parents[2] / "docs" / "sdapi.md").read_text("utf-8")
    names = {*txt2img.DEFAULTS, *options.KNOWN, *lists.EMPTY, *routes.NOT_HERE, *routes.NOTHING}
    assert [name for name in sorted(names) if f"`{name}`" not in text] == []


def test_no_list_tells_a_path_of_this_machine(client: TestClient, studio: Studio) -> None:
    home = str(studio.settings.data_dir)
    for name in ("cmd-flags", "sd-models", "options", "script-info", "embeddings", "loras", "memory"):
        assert home not in client.get(V1 + name).text, name
        assert "/webui/" not in client.get(V1 + name).text, name


@pytest.mark.parametrize("path", ["refresh-checkpoints", "refresh-vae", "refresh-loras", "refresh-embeddings"])
def test_what_need_not_be_refreshed_is_harmless(client: TestClient, path: str) -> None:
    answer = client.post(V1 + path)
    assert (answer.status_code, answer.json()) == (200, None)


def test_a_model_is_loaded_but_not_unloaded(client: TestClient) -> None:
    assert client.post(f"{V1}reload-checkpoint").json() == {}
    answer = client.post(f"{V1}unload-checkpoint")
    assert (answer.status_code, "cannot be unloaded" in answer.json()["detail"]) == (501, True)
