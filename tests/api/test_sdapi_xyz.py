"""A1111's X/Y/Z plot: a sweep and its grid, or a sentence."""

import base64
import io
from pathlib import Path

import pytest
from PIL import Image
from starlette.testclient import TestClient

from tests.api.a1111 import V1, made, opened, recipes, refused, studio
from tests.api.test_app import ADDRESS
from tests.test_jobs import Failing
from webui.api.app import create
from webui.studio import Studio

__all__ = ["studio"]


def test_a_plot_is_a_sweep_with_its_grid(client: TestClient, studio: Studio) -> None:
    args = ["Steps", "2,3", [], "Sampler", "", ["Euler", "DPM++ 2M"], "Nothing", "", "",
            True, True, False, False, False, False, False, 0, False]  # fmt: skip
    body = made(client, seed=7, script_name="X/Y/Z plot", script_args=args)
    grid = Image.open(io.BytesIO(base64.b64decode(body["images"][0])))
    assert grid.width > 128 and grid.height > 128
    found = recipes({"images": body["images"][1:]})
    assert [(one.steps, one.sampler) for one in found] == [(2, "Euler"), (3, "Euler"), (2, "DPM++ 2M"), (3, "DPM++ 2M")]
    assert {one.seed for one in found} == {7}
    assert (body["info"]["index_of_first_image"], len(body["info"]["infotexts"]), body["problems"]) == (1, 5, [])
    assert 'X Type: Steps, X Values: "2,3"' in body["info"]["infotexts"][0]
    assert len(studio.gallery.recent(9)) == 4


def test_a_plot_as_webuiapi_describes_it(client: TestClient) -> None:
    args = [4, "2,3", "", 9, "Euler a, LMS", "", 0, "", "", "True", "False", "False", "False", 0]
    body = made(client, seed=7, script_name="X/Y/Z Plot", script_args=args)
    assert (len(body["images"]), body["seeds"]) == (1, [7])
    assert "Y Type: Sampler" in body["info"]["infotexts"][0]


def test_a_number_of_an_axis_counts_in_the_list_of_its_version(client: TestClient) -> None:
    axes = client.get(f"{V1}script-info").json()[0]["args"][0]["choices"]
    newer = [axes.index("RNG source"), "", ["NV", "CPU"], 0, "", [], 0, "", [], *[True, True], *[False] * 5, 0]
    found = recipes({"images": made(client, script_name="x/y/z plot", script_args=newer)["images"][1:]})
    assert [one.rng for one in found] == ["NV", "CPU"]
    older = [12, "0.1, 0.2", "", 0, "", "", 0, "", "", True, True, False, False, 0]
    found = recipes({"images": made(client, script_name="x/y/z plot", script_args=older)["images"][1:]})
    assert [one.s_tmin for one in found] == [0.1, 0.2]


def test_the_script_is_described_by_its_arguments(client: TestClient) -> None:
    (script,) = client.get(f"{V1}script-info").json()
    assert (script["name"], script["is_alwayson"], script["is_img2img"]) == ("x/y/z plot", False, False)
    assert {tuple(one) for one in script["args"]} == {("label", "value", "minimum", "maximum", "step", "choices")}
    args = [one["value"] for one in script["args"]]
    assert len(args) == 18
    body = refused(client, {"script_name": script["name"], "script_args": args})
    assert "along one axis at least" in body["detail"]
    assert made(client, script_name=script["name"], script_args=["Steps", "2", *args[2:]])["info"]["steps"] == 2


def test_a_cell_that_cannot_be_made_is_told_and_stops_no_other(tmp_path: Path) -> None:
    studio = opened(tmp_path, Failing())
    client = TestClient(create(studio), base_url=ADDRESS)
    args = ["Seed", "2-4", "", "", "", "", "", "", "", True, True, False, False, 0]
    body = made(client, prompt="sentence", script_name="x/y/z plot", script_args=args)
    assert [one.seed for one in recipes({"images": body["images"][1:]})] == [2, 4]
    assert body["problems"] == ["Seed 3: The picture is not a number."]
    studio.close()


@pytest.mark.parametrize(
    ("args", "field", "said"),
    [
        (None, "script_args", "a list of 14, 17 or 18 values"),
        ([], "script_args", "got '0 values'"),
        (["Steps", "1-3"], "script_args", "got '2 values'"),
        ([True, "", ""] + [0, "", ""] * 2, "axis_x", "a name, or a number"),
        ([99, "", ""] + [0, "", ""] * 2, "axis_x", "from 0 to 20"),
        ([-1, "", ""] + [0, "", ""] * 2, "axis_x", "a name, or a number"),
        (["Steps", 7, ""] + [0, "", ""] * 2, "axis_x", "a text of values"),
        (["Steps", "", [7]] + [0, "", ""] * 2, "axis_x", "a list of texts"),
        (["Steps", "3-x", ""] + [0, "", ""] * 2, "axis_x", "Steps must be"),
        (["Hires steps", "3", ""] + [0, "", ""] * 2, "axis_x", "Axis must be one of"),
        ([0, "", ""] * 3, "axis_x", "along one axis at least"),
        (["Steps", "1-3", ""] + [0, "", ""] * 2 + [False, True, False, False, 0], "draw_legend", "has its legend"),
        (["Steps", "1-3", ""] + [0, "", ""] * 2 + [True, True, True, False, 0], "include_sub_grids", "one grid"),
        (["Steps", "1-3", ""] + [0, "", ""] * 2 + [True, True, False, True, 0], "no_fixed_seeds", "drawn once"),
        (["Steps", "1-3", ""] + [0, "", ""] * 2 + [True, 2, False, False, 0], "include_lone_images", "true or false"),
        (["Steps", "1-3", ""] + [0, "", ""] * 2 + [True, True, False, False, "x"], "margin_size", "0 to 500"),
        (["Steps", "1-3", ""] + [0, "", ""] * 2 + [True, True, False, False, True, False, False, 0], "vary_seeds_x",
         "Take the axis Seed."),
    ],
)  # fmt: skip
def test_a_plot_that_cannot_be_followed_is_refused(client: TestClient, args: object, field: str, said: str) -> None:
    body = refused(client, {"script_name": "x/y/z plot", "script_args": args})
    assert (body["status"], [one["field"] for one in body["fields"]]) == (422, [field]), body
    assert said in body["detail"]


def test_a_plot_of_a_batch_is_refused(client: TestClient) -> None:
    args = ["Steps", "2,3", "", 0, "", "", 0, "", ""]
    body = refused(client, {"script_name": "x/y/z plot", "script_args": args, "n_iter": 2})
    assert "must be 1 with a script; got 2. Take the axis Seed" in body["detail"]
