"""The radio of render speeds, and the warnings of what will not keep a composition, without a browser."""

from typing import Any

import gradio as gr
import pytest

from tests.ui.test_handlers import make, request
from webui import speeds
from webui.studio import Studio
from webui.ui import form
from webui.ui.handlers import Handlers
from webui.ui.speeds import LOOKED_AT, Speeds, field

SKIP = gr.skip()


@pytest.fixture
def radio(studio: Studio) -> Speeds:
    """Give the handlers of the radio over a studio."""
    return Speeds(studio)


def test_the_radio_begins_with_the_model_s_own_speed(studio: Studio) -> None:
    part = field(studio)
    assert part.value == "Default"
    assert [label for label, _ in part.choices][:3] == ["Turbo · 6", "Default · 12", "Quality · 24"]


def test_a_speed_sets_the_fields_and_the_fields_say_the_speed(radio: Speeds) -> None:
    assert radio.choose("Turbo", "reseed") == [6, "DPM++ 2M"]
    assert radio.choose(speeds.CUSTOM, "reseed") == radio.choose("Turbo", "gone") == [SKIP, SKIP]
    assert radio.follow(24, "DPM++ 2M", "reseed")["value"] == "Quality"
    custom = radio.follow(24, "Euler a", "reseed")
    assert (custom["value"], custom["info"]) == ("Custom", "Steps or a sampler of your own.")
    assert radio.follow(None, "DPM++ 2M", "reseed")["value"] == "Custom"
    assert radio.follow(24, "Euler", "gone") == SKIP


def warned(radio: Speeds, brought: str, seed: str, **changes: Any) -> str:
    values = {**radio.studio.defaults(), "steps": 3, "parent": brought, "seed": seed, **changes}
    _, drawn = radio.look(request(), *(values[name] for name in LOOKED_AT))
    return str(drawn)


def test_warnings_come_with_the_picture_s_seed_and_go_with_what_they_warn_of(radio: Speeds, studio: Studio) -> None:
    record = make(Handlers(studio), seed="7")[1].records[0]
    brought = form.brought(record.id, "7")
    assert "adds noise between the steps" in warned(radio, brought, "7", sampler="Euler a")
    assert "another composition" in warned(radio, form.brought(record.id), "7", rng="CPU", noise_layout="plain")
    assert warned(radio, brought, "7") == warned(radio, brought, "7", steps=24) == ""


@pytest.mark.parametrize("seed", ["", "-1", "8", "7, 8", "abc"])
def test_without_the_picture_s_seed_nothing_is_said(radio: Speeds, studio: Studio, seed: str) -> None:
    record = make(Handlers(studio), seed="7")[1].records[0]
    for brought in (form.brought(record.id, "7"), form.brought(record.id), "", "ab" * 16 + "@7"):
        assert warned(radio, brought, seed, sampler="Euler a") == ""
    assert warned(radio, "ab" * 16 + "@7", "7", sampler="Euler a") == ""


def test_a_sampler_that_is_none_is_no_reason_to_fail(radio: Speeds, studio: Studio) -> None:
    record = make(Handlers(studio), seed="7")[1].records[0]
    assert warned(radio, form.brought(record.id, "7"), "7", sampler="nonsense") == ""
