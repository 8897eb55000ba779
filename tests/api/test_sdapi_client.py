"""The client webuiapi (sdwebuiapi) from the package index, unchanged, against a real server on this machine."""

import base64
import io
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import webuiapi
from PIL import Image

from tests.api import serving
from tests.api.a1111 import SMALL, opened
from tests.test_jobs import Gated
from webui import infotext, png
from webui.studio import Studio


@dataclass
class Served:
    """A server with an engine whose gate is open unless a test shuts it, and a client of it."""

    engine: Gated
    studio: Studio
    api: webuiapi.WebUIApi

    def begin(self, **fields: Any) -> tuple[threading.Thread, list[Any]]:
        """Ask for pictures beside the test, shut at their second step; return when they are there."""
        self.engine.gate.clear()
        found: list[Any] = []
        asking = threading.Thread(target=lambda: found.append(self.api.txt2img(**SMALL, **fields)), daemon=True)
        asking.start()
        assert self.engine.there.wait(20)
        return asking, found


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    engine = Gated(at=2)
    engine.gate.set()
    studio: Studio = opened(tmp_path, engine)
    with serving.served(studio) as address:
        yield Served(engine, studio, webuiapi.WebUIApi(host="127.0.0.1", port=urlsplit(address).port))
        engine.gate.set()
    studio.close()


def test_pictures_come_with_their_seeds_and_texts(served: Served) -> None:
    result = served.api.txt2img(**SMALL, seed=2**64 - 3, n_iter=3, negative_prompt="fog")
    assert result.info["all_seeds"] == result.json["seeds"] == [2**64 - 3, 2**64 - 2, 2**64 - 1]
    assert result.parameters["seed"] == 2**64 - 3
    assert [image.size for image in result.images] == [(64, 64)] * 3
    told = infotext.parse(result.images[2].info["parameters"]).values
    assert (told["seed"], told["sampler"], told["negative_prompt"]) == (2**64 - 1, "Euler a", "fog")
    assert result.info["infotexts"] == [image.info["parameters"] for image in result.images]


def test_a_seed_that_was_drawn_gives_the_picture_again(served: Served) -> None:
    first = served.api.txt2img(**SMALL)
    again = served.api.txt2img(**SMALL, seed=first.info["seed"])
    assert first.parameters["seed"] == -1
    assert first.image.tobytes() == again.image.tobytes()
    assert served.api.txt2img(**SMALL, seed=first.info["seed"] + 1).image.tobytes() != first.image.tobytes()


def test_the_clients_picture_is_the_studios(served: Served) -> None:
    result = served.api.txt2img(**SMALL, seed=7, batch_size=2, sampler_name="DPM++ 2M Karras", cfg_scale=4)
    recipe = {**SMALL, "sampler": "DPM++ 2M", "schedule": "Karras", "cfg_scale": 4}
    *_, last = served.studio.jobs.watch(served.studio.submit(recipe, "7", 2).job)
    told = [png.read(base64.b64decode(image)).pixels_sha256 for image in result.json["images"]]
    assert told == [record.pixels_sha256 for record in last.records]


def test_progress_during_a_picture_and_interrupt(served: Served) -> None:
    asking, found = served.begin(seed=7, n_iter=2)
    progress = served.api.get_progress()
    assert (progress["state"]["job_count"], progress["state"]["sampling_steps"]) == (2, 3)
    assert 0 < progress["progress"] < 0.5
    assert Image.open(io.BytesIO(base64.b64decode(progress["current_image"]))).size == (16, 16)
    assert served.api.interrupt() == {}
    served.engine.gate.set()
    asking.join(20)
    assert [result.images for result in found] == [[]]
    served.api.util_wait_for_ready(check_interval=0.05)
    assert served.api.get_progress()["state"]["interrupted"] is True


def test_skip_goes_on_with_the_next(served: Served) -> None:
    asking, found = served.begin(seed=7, n_iter=2)
    assert served.api.skip() is None
    served.engine.gate.set()
    asking.join(20)
    assert [result.info["all_seeds"] for result in found] == [[8]]


def test_clients_that_ask_at_once_each_get_their_own(served: Served) -> None:
    found: dict[int, Any] = {}
    asking = [
        threading.Thread(
            target=lambda seed=seed: found.update({seed: served.api.txt2img(**SMALL, seed=seed, n_iter=2)})
        )
        for seed in (10, 20, 30)
    ]
    for one in asking:
        one.start()
    for one in asking:
        one.join(20)
    assert {seed: result.json["seeds"] for seed, result in found.items()} == {
        10: [10, 11], 20: [20, 21], 30: [30, 31]
    }  # fmt: skip


def test_who_hangs_up_stops_nothing(served: Served) -> None:
    served.engine.gate.clear()
    with pytest.raises(Exception, match="timed out"):
        served.api.session.post(f"{served.api.baseurl}/txt2img", json={**SMALL, "seed": 7}, timeout=0.5)
    assert served.engine.there.wait(20)
    time.sleep(1.2)  # longer than the server takes to see it
    (active,) = served.studio.jobs.active()
    served.engine.gate.set()
    assert list(served.studio.jobs.watch(active.job))[-1].status == "succeeded"


def test_options_and_models(served: Served) -> None:
    assert served.api.util_get_model_names() == ["reseed"]
    served.api.util_set_model("Reseed")
    assert served.api.util_get_current_model() == "reseed"
    assert served.api.set_options({"CLIP_stop_at_last_layers": 2}) is None
    assert served.api.get_options()["CLIP_stop_at_last_layers"] == 2
    assert served.api.txt2img(**SMALL).info["clip_skip"] == 2
    assert "must be one that acts here" in served.api.set_options({"send_seed": True})["detail"]


def test_png_info_of_what_was_made(served: Served) -> None:
    result = served.api.txt2img(**SMALL, seed=2**63)
    told = served.api.png_info(result.image)
    assert told.info == result.info["infotexts"][0]
    assert (told.parameters["Seed"], told.parameters["Sampler"]) == (str(2**63), "Euler a")


def test_the_lists(served: Served) -> None:
    api = served.api
    assert {"Euler a", "DPM++ 2M"} <= set(api.util_get_sampler_names())
    assert {"automatic", "karras"} <= set(api.util_get_scheduler_names())
    assert "Oil" in [style["name"] for style in api.get_prompt_styles()]
    for listed in (api.get_upscalers, api.get_sd_vae, api.get_hypernetworks, api.get_face_restorers, api.get_loras,
                   api.get_realesrgan_models, api.get_latent_upscale_modes):  # fmt: skip
        assert listed() == [], listed.__name__
    assert api.get_cmd_flags()["api"] is True
    assert api.get_embeddings() == {"loaded": {}, "skipped": {}}
    assert api.get_memory()["ram"]["total"] > 0
    assert api.refresh_checkpoints() is None
    assert (api.has_controlnet, api.has_adetailer, api.has_animatediff) == (False, False, False)


def test_styles_by_name(served: Served) -> None:
    result = served.api.txt2img(**SMALL, styles=["Oil"], seed=1)
    assert (result.info["prompt"], result.info["styles"]) == ("oil painting of a lake", ["Oil"])
    assert served.studio.gallery.recent(1)[0].recipe.prompt == "oil painting of a lake"


def test_a_plot_gives_its_grid(served: Served) -> None:
    args = [4, "2,3", "", 9, "Euler a, LMS", "", 0, "", "", "True", "False", "False", "False", 0]
    result = served.api.txt2img(**SMALL, seed=7, script_name="X/Y/Z Plot", script_args=args)
    assert len(result.images) == 1
    assert result.image.width > 128
    assert served.studio.gallery.count() == 4


def test_what_is_not_here_is_an_error_with_a_sentence(served: Served) -> None:
    image = Image.new("RGB", (8, 8))
    for ask, status in (
        (lambda: served.api.img2img(images=[image]), 501),
        (lambda: served.api.extra_single_image(image), 501),
        (lambda: served.api.interrogate(image), 501),
        (lambda: served.api.txt2img(**SMALL, enable_hr=True), 501),
        (lambda: served.api.txt2img(**SMALL, controlnet_units=[webuiapi.ControlNetUnit(image=image)]), 422),
        (lambda: served.api.txt2img(**SMALL, seed=-2), 422),
    ):
        with pytest.raises(RuntimeError, match=r"here|must be") as caught:
            ask()
        assert caught.value.args[0] == status
    assert served.studio.gallery.count() == 0
