"""A1111's png-info: any program's picture by A1111's names, and nothing ever fetched."""

import base64
import io
import json

import pytest
from PIL import Image
from starlette.testclient import TestClient

from tests.api.a1111 import V1, made, studio
from webui import png

__all__ = ["studio"]


def test_a_picture_says_what_made_it(client: TestClient) -> None:
    image = made(client, seed=2**64 - 1, negative_prompt="fog")["images"][0]
    for text in (image, f"data:image/png;base64,{image}"):
        body = client.post(f"{V1}png-info", json={"image": text}).json()
        assert body.keys() == {"info", "items", "parameters"}
        assert body["info"].startswith("a lake\nNegative prompt: fog\nSteps: 3, Sampler: Euler")
        told = body["parameters"]
        assert (told["Prompt"], told["Negative prompt"], told["Seed"]) == ("a lake", "fog", str(2**64 - 1))
        assert (told["Steps"], told["Size-1"], told["Size-2"], told["RNG"]) == ("3", "64", "64", "NV")
        assert json.loads(body["items"]["recipe"])["recipe"]["seed"] == str(2**64 - 1)


def test_a_picture_of_another_program_and_one_that_says_nothing(client: TestClient) -> None:
    image = Image.new("RGB", (8, 8))
    text = "a cat\nSteps: 999, Sampler: Euler a, Seed: 5, Size: 512x640, Hires upscale: 2, Version: v1.10.1"
    other = base64.b64encode(png.encode(image, {"parameters": text, "Title": "x"})).decode()
    body = client.post(f"{V1}png-info", json={"image": other}).json()
    told = body["parameters"]
    assert (body["info"], body["items"]) == (text, {"Title": "x"})
    assert (told["Steps"], told["Hires upscale"], told["Version"], told["Size-2"]) == ("999", "2", "v1.10.1", "640")
    silent = io.BytesIO()
    image.save(silent, "JPEG")
    body = client.post(f"{V1}png-info", json={"image": base64.b64encode(silent.getvalue()).decode()}).json()
    assert body == {"info": "", "items": {}, "parameters": {}}


@pytest.mark.parametrize(
    ("image", "said"),
    [
        (None, "image must be a picture in base64"),
        (7, "image must be a picture in base64"),
        ("", "image must be a picture in base64"),
        ([], "image must be a picture in base64"),
        ("http://127.0.0.1:1/x.png", "no address is ever fetched"),
        ("https://example.org/x.png", "no address is ever fetched"),
        ("file:///etc/passwd", "no address is ever fetched"),
        ("/etc/passwd", "base64"),
        ("abcde", "base64"),
        ("äöü", "base64"),
        ("QUJD", "not a PNG, JPEG, WebP or AVIF picture"),
        (base64.b64encode(b"\x89PNG\r\n\x1a\n").decode(), "damaged"),
    ],
)
def test_what_is_no_picture_is_refused(client: TestClient, image: object, said: str) -> None:
    answer = client.post(f"{V1}png-info", json={"image": image})
    assert (answer.status_code, said in answer.json()["detail"]) == (422, True), answer.text


def test_a_picture_that_is_cut_off_is_refused(client: TestClient) -> None:
    data = base64.b64decode(made(client)["images"][0])
    for end in (20, len(data) // 2, len(data) - 4):
        answer = client.post(f"{V1}png-info", json={"image": base64.b64encode(data[:end]).decode()})
        assert (answer.status_code, "damaged" in answer.json()["detail"]) == (422, True), answer.text
