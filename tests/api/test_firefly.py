"""Firefly's manner: what its clients send is understood or refused with a sentence, and what they read is there."""

import threading
from typing import Any

import pytest
from starlette.testclient import TestClient

from tests.api.test_app import ADDRESS, opened
from webui import png
from webui.api.app import create
from webui.studio import Studio

SMALL: dict[str, Any] = {"prompt": "a lake", "size": {"width": 64, "height": 64}, "reseed": {"steps": 2}}
GENERATE = "/v3/images/generate-async"


def made(client: TestClient, **body: Any) -> dict[str, Any]:
    """Make pictures and return the last status."""
    accepted = client.post(GENERATE, json={**SMALL, **body})
    assert accepted.status_code == 202, accepted.text
    url = accepted.json()["statusUrl"]
    while (found := client.get(url, params={"wait": 20}).json())["status"] in ("pending", "running"):
        pass
    return dict(found)


def fields(answer: Any) -> list[str]:
    assert answer.headers["content-type"] == "application/problem+json"
    return [one["field"] for one in answer.json()["errors"]]


# ---- accepting ---------------------------------------------------------------------------------------------


def test_a_job_is_accepted_with_its_seeds_and_its_addresses(client: TestClient) -> None:
    answer = client.post(GENERATE, json={**SMALL, "seeds": [2**64 - 1, 0]})
    body = answer.json()
    assert (answer.status_code, answer.headers["retry-after"]) == (202, "1")
    assert answer.headers["location"] == body["statusUrl"]
    assert body["jobId"].startswith("urn:ff:jobs:reseed:")
    for name in ("status", "cancel", "events"):
        assert body[f"{name}Url"] == f"{ADDRESS}/v3/{name}/{body['jobId']}"
    assert (body["seeds"], body["seedTexts"]) == ([2**64 - 1, 0], ["18446744073709551615", "0"])
    assert body["position"] == 0
    assert "eta" in body


def test_the_result_names_each_picture_with_its_seed_address_and_pixels(client: TestClient, studio: Studio) -> None:
    found = made(client, seeds=[7, 2**63])
    assert (found["status"], found["progress"]) == ("succeeded", 100)
    result = found["result"]
    assert (result["size"], result["model"]) == ({"width": 64, "height": 64}, "reseed")
    assert [one["seedText"] for one in result["outputs"]] == ["7", str(2**63)]
    for one in result["outputs"]:
        file = client.get(one["image"]["url"]).content
        record = studio.gallery.get(one["image"]["id"])
        text = png.read(file)
        assert record is not None
        assert text.recipe is not None
        assert (text.recipe.seed, text.pixels_sha256) == (one["seed"], one["pixelsSha256"])
        assert record.path.read_bytes() == file


def test_the_synchronous_form_answers_the_result_itself(client: TestClient) -> None:
    answer = client.post("/v3/images/generate", json={**SMALL, "numVariations": 3, "contentClass": "art"})
    body = answer.json()
    assert (answer.status_code, set(body)) == (200, {"size", "model", "outputs", "contentClass"})
    assert len({one["seed"] for one in body["outputs"]}) == 3


def test_the_size_that_is_not_given_is_the_models_own(client: TestClient, studio: Studio) -> None:
    body = client.post("/v3/images/generate", json={"prompt": "a lake", "reseed": {"steps": 1}}).json()
    assert body["size"] == {"width": studio.about("reseed").width, "height": studio.about("reseed").height}


def test_style_presets_go_in_as_styles(client: TestClient, studio: Studio) -> None:
    found = made(client, style={"presets": ["landscape_photography", "science_fiction"], "strength": 50})
    record = studio.gallery.get(found["outputs"][0]["image"]["id"])
    assert record is not None
    assert "science fiction" in record.recipe.prompt
    assert record.lineage.styles == ("Landscape photography", "Science fiction")
    assert record.lineage.template == "a lake"


def test_what_changes_no_picture_is_given_back_and_said_so(client: TestClient) -> None:
    photo = {"aperture": 1.2, "shutterSpeed": 0.0005, "fieldOfView": 14}
    more = {"contentClass": "photo", "photoSettings": photo, "visualIntensity": 6, "locale": "en-US"}
    notes = client.post(GENERATE, json={**SMALL, **more, "seeds": [3]}).json()["notes"]
    assert [note.split()[0] for note in notes] == ["contentClass", "photoSettings", "visualIntensity", "locale"]
    with_them, without = made(client, **more, seeds=[3]), made(client, seeds=[3])
    assert {name: with_them["result"][name] for name in more} == more
    assert with_them["outputs"][0]["pixelsSha256"] == without["outputs"][0]["pixelsSha256"]


def test_every_field_of_the_recipe_is_taken_under_reseed(client: TestClient, studio: Studio) -> None:
    own = {"steps": 3, "sampler": "Euler a", "cfg_scale": 4.5, "rng": "CPU", "seed": "18446744073709551615"}
    found = made(client, negativePrompt="rain", reseed=own)
    record = studio.gallery.get(found["outputs"][0]["image"]["id"])
    assert record is not None
    recipe = record.recipe
    assert (recipe.steps, recipe.sampler, recipe.cfg_scale, recipe.rng) == (3, "Euler a", 4.5, "CPU")
    assert (recipe.seed, recipe.negative_prompt) == (2**64 - 1, "rain")


def test_a_picture_knows_its_parent(client: TestClient, studio: Studio) -> None:
    parent = made(client)["outputs"][0]["image"]["id"]
    child = made(client, reseed={"steps": 4, "parent": parent, "share": 0.5})["outputs"][0]["image"]["id"]
    assert [record.id for record in studio.gallery.children(parent)] == [child]


@pytest.mark.parametrize(
    ("body", "count"),
    [({"seeds": [-1, "-1", 5]}, 3), ({"numVariations": 2}, 2), ({"seeds": [4], "numVariations": 1}, 1)],
)
def test_minus_one_stops_at_the_door(client: TestClient, body: dict[str, Any], count: int) -> None:
    seeds = client.post(GENERATE, json={**SMALL, **body}).json()["seeds"]
    assert len(seeds) == count
    assert all(seed >= 0 for seed in seeds)


def test_a_batch_of_one_given_seed_counts_upwards(client: TestClient) -> None:
    body = {**SMALL, "numVariations": 3, "reseed": {"steps": 1, "seed": 42}}
    assert client.post(GENERATE, json=body).json()["seeds"] == [42, 43, 44]


def test_an_access_token_is_given_to_whoever_asks(client: TestClient) -> None:
    answer = client.post("/ims/token/v3", data={"grant_type": "client_credentials", "client_id": "me"})
    body = answer.json()
    assert (answer.status_code, body["token_type"], type(body["expires_in"])) == (200, "bearer", int)
    headers = {"authorization": f"Bearer {body['access_token']}", "x-api-key": "me"}
    assert client.post(GENERATE, json=SMALL, headers=headers).status_code == 202


# ---- refusing ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "wrong"),
    [
        ({"prompt": None}, ["prompt"]),
        ({"promt": "y"}, ["promt"]),
        ({"size": {"width": 64}}, ["size.height"]),
        ({"size": {"width": 65, "height": "64", "depth": 1}}, ["size.depth", "size.width", "size.height"]),
        ({"size": [64, 64]}, ["size"]),
        ({"seeds": []}, ["seeds"]),
        ({"seeds": list(range(101))}, ["seeds"]),
        ({"seeds": 7}, ["seeds"]),
        ({"seeds": [1, "1.5", True, -2, 2**64, 1, 1.0, None, []]}, [f"seeds[{number}]" for number in range(1, 9)]),
        ({"seeds": ["1.5", 0]}, ["seeds[0]"]),
        ({"seeds": [1, 2], "numVariations": 3}, ["numVariations"]),
        ({"seeds": [1, 2], "numVariations": "2"}, ["numVariations"]),
        ({"numVariations": 101}, ["numVariations"]),
        ({"numVariations": True}, ["numVariations"]),
        ({"style": "art"}, ["style"]),
        ({"style": {"presets": ["golden_hour", "golden_our", 7]}}, ["style.presets[1]", "style.presets[2]"]),
        ({"style": {"presets": "golden"}}, ["style.presets"]),
        ({"style": {"presets": ["golden"] * 33}}, ["style.presets"]),
        ({"style": {"imageReference": {"source": {"url": "http://x"}}}}, ["style.imageReference"]),
        ({"style": {"strength": 0}}, ["style.strength"]),
        ({"contentClass": "film"}, ["contentClass"]),
        ({"photoSettings": {"aperture": 0.1, "iso": 100}}, ["photoSettings.iso", "photoSettings.aperture"]),
        ({"visualIntensity": 11}, ["visualIntensity"]),
        ({"locale": "English!"}, ["locale"]),
        ({"customModelId": "none"}, ["customModelId"]),
        ({"model": "reseed", "reseed": {"model": "reseed"}}, ["reseed.model"]),
        ({"seeds": [1], "reseed": {"seed": 1}}, ["reseed.seed"]),
        ({"reseed": {"steps": "20", "sampler": "Eular", "v": 1}}, ["reseed.v", "reseed.steps", "reseed.sampler"]),
        ({"reseed": {"parent": 7, "numbering": "down"}}, ["reseed.parent", "reseed.numbering"]),
        ({"reseed": {"parent": [], "share": "half"}}, ["reseed.parent", "reseed.share"]),
        ({"reseed": {"parent": "not an id"}}, ["reseed.parent"]),
        ({"reseed": {"seed": 2**64 - 1}, "numVariations": 2}, ["reseed.seed"]),
        ({"prompt": "(" * 10_001, "negativePrompt": 5, "locale": 1}, ["locale", "prompt", "negativePrompt"]),
    ],
)  # fmt: skip
def test_every_bad_field_is_named_by_its_path(
    client: TestClient, studio: Studio, body: dict[str, Any], wrong: list[str]
) -> None:
    answer = client.post(GENERATE, json={"prompt": "x", **body})
    assert answer.status_code == 422, answer.text
    assert sorted(fields(answer)) == sorted(wrong)
    assert studio.jobs.active() == []
    assert studio.gallery.count() == 0


def test_a_request_without_a_prompt_is_refused_and_an_empty_one_is_taken(client: TestClient) -> None:
    assert fields(client.post(GENERATE, json={})) == ["prompt"]
    assert client.post(GENERATE, json={**SMALL, "prompt": ""}).status_code == 202


def test_a_mistyped_preset_hears_what_is_near(client: TestClient) -> None:
    answer = client.post(GENERATE, json={**SMALL, "style": {"presets": ["science_fictoin"]}})
    assert "Did you mean science_fiction" in answer.json()["detail"]


def test_a_lora_that_is_not_here_is_named_with_the_prompt(client: TestClient) -> None:
    answer = client.post(GENERATE, json={**SMALL, "prompt": "a lake <lora:nothing:1>"})
    assert (fields(answer), answer.json()["errors"][0]["code"]) == (["prompt"], "network")


def test_very_many_unknown_members_are_counted(client: TestClient) -> None:
    answer = client.post(GENERATE, json={**SMALL, **{f"x{number}": 1 for number in range(5000)}})
    assert len(fields(answer)) == 21
    assert "So must 4980 more." in answer.json()["detail"]


# ---- idempotency -------------------------------------------------------------------------------------------


def test_a_key_gives_the_same_job_again_although_its_seeds_were_drawn(client: TestClient, studio: Studio) -> None:
    key = {"idempotency-key": "3f1e"}
    first = client.post(GENERATE, json={**SMALL, "numVariations": 2}, headers=key)
    again = client.post(GENERATE, json={"numVariations": 2, **SMALL}, headers=key)
    assert "idempotent-replayed" not in first.headers
    assert (again.status_code, again.headers["idempotent-replayed"]) == (202, "true")
    same = ("jobId", "statusUrl", "cancelUrl", "eventsUrl", "seeds", "seedTexts")
    assert [again.json()[name] for name in same] == [first.json()[name] for name in same]
    waited = client.post("/v3/images/generate", json={"numVariations": 2, **SMALL}, headers=key)
    assert [one["seed"] for one in waited.json()["outputs"]] == first.json()["seeds"]
    assert studio.gallery.count() == 2


def test_a_key_with_another_body_is_refused(client: TestClient, studio: Studio) -> None:
    key = {"idempotency-key": "3f1e"}
    client.post("/v3/images/generate", json=SMALL, headers=key)
    answer = client.post(GENERATE, json={**SMALL, "prompt": "a sea"}, headers=key)
    assert (answer.status_code, answer.json()["code"]) == (422, "idempotency_key_reused")
    assert studio.gallery.count() == 1


@pytest.mark.parametrize("key", ["", "x" * 201, "\x7f", "ключ".encode(), b"\xff"])
def test_a_key_that_cannot_be_kept_is_refused(client: TestClient, studio: Studio, key: Any) -> None:
    answer = client.post(GENERATE, json=SMALL, headers={"idempotency-key": key})
    assert (answer.status_code, answer.json()["code"]) == (400, "bad_key")
    assert studio.jobs.active() == []


def test_a_key_pressed_many_times_at_once_is_one_job(client: TestClient, studio: Studio) -> None:
    found: set[str] = set()

    def press() -> None:
        found.add(client.post(GENERATE, json=SMALL, headers={"idempotency-key": "k"}).json()["jobId"])

    threads = [threading.Thread(target=press) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 1


def test_a_job_and_its_key_outlive_the_program(client: TestClient, studio: Studio) -> None:
    key = {"idempotency-key": "3f1e"}
    body = {**SMALL, "contentClass": "art"}
    first = client.post("/v3/images/generate", json=body, headers=key).json()
    folder = studio.settings.data_dir
    studio.close()
    later = opened(folder)
    again = TestClient(create(later), base_url=ADDRESS).post("/v3/images/generate", json=body, headers=key)
    assert (again.json(), again.headers["idempotent-replayed"]) == (first, "true")
    later.close()
