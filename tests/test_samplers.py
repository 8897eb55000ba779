"""Names of samplers and schedules: old ones are read, unknown ones are errors with near names."""

import pytest

from webui import samplers
from webui.errors import BadValue


@pytest.mark.parametrize("row", samplers.SAMPLERS, ids=lambda row: row.name)
def test_every_name_and_alias_is_found(row: samplers.Sampler) -> None:
    for name in (row.name, row.name.upper(), *row.aliases):
        assert samplers.sampler(name) is row
    assert row.schedule in samplers.schedule_names()


@pytest.mark.parametrize("sampler", samplers.sampler_names())
@pytest.mark.parametrize("schedule", samplers.schedule_names())
def test_combined_names_are_split(sampler: str, schedule: str) -> None:
    assert samplers.split(f"{sampler} {schedule}") == (sampler, schedule)


@pytest.mark.parametrize("row", samplers.SAMPLERS, ids=lambda row: row.name)
@pytest.mark.parametrize("schedule", samplers.SCHEDULES, ids=lambda row: row.name)
def test_aliases_are_split_too(row: samplers.Sampler, schedule: samplers.Schedule) -> None:
    for name in row.aliases:
        for ending in (schedule.name.upper(), *schedule.aliases):
            assert samplers.split(f"{name} {ending}") == (row.name, schedule.name)


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("DPM++ 2M SDE Heun Karras", ("DPM++ 2M SDE Heun", "Karras")),
        ("DPM++ 2M SDE Heun", ("DPM++ 2M SDE Heun", None)),
        ("DPM++ 3M SDE Exponential", ("DPM++ 3M SDE", "Exponential")),
        ("DPM++ 2S a Karras", ("DPM++ 2S a", "Karras")),
        ("DPM2 a Karras", ("DPM2 a", "Karras")),
        ("k_dpmpp_2m_sde_heun_exp", ("DPM++ 2M SDE Heun", "Exponential")),
        ("k_dpmpp_2m_ka", ("DPM++ 2M", "Karras")),
        ("Euler SGMUniform", ("Euler", "SGM Uniform")),
        ("DDIM DDIM", ("DDIM", "DDIM")),
    ],
)
def test_old_names(name: str, wanted: tuple[str, str | None]) -> None:
    assert samplers.split(name) == wanted


def test_the_flags_of_the_table() -> None:
    def named(flag: str) -> set[str]:
        return {row.name for row in samplers.SAMPLERS if getattr(row, flag)}

    assert named("discard_penultimate") == {"DPM2", "DPM2 a", "DPM++ 3M SDE"}
    assert named("brownian") == {"DPM++ SDE", "DPM++ 2M SDE", "DPM++ 2M SDE Heun", "DPM++ 3M SDE"}
    assert named("brownian") <= named("stochastic")
    by_schedule = {row.name: row.schedule for row in samplers.SAMPLERS if row.schedule != "Uniform"}
    karras = ("DPM++ 2M", "DPM++ SDE", "DPM++ 2S a", "DPM2", "DPM2 a", "Restart")
    exponential = ("DPM++ 2M SDE", "DPM++ 2M SDE Heun", "DPM++ 3M SDE")
    wanted = dict.fromkeys(karras, "Karras") | dict.fromkeys(exponential, "Exponential") | {"DDIM": "DDIM"}
    assert by_schedule == wanted


def test_automatic_is_settled() -> None:
    assert samplers.settle_schedule("Euler a", "automatic") == "Uniform"
    assert samplers.settle_schedule("DPM++ 2M", "Automatic") == "Karras"
    assert samplers.settle_schedule("DPM++ 2M", "sgm_uniform") == "SGM Uniform"


def test_an_unknown_sampler_names_near_ones() -> None:
    with pytest.raises(BadValue, match=r"Did you mean .*Euler") as caught:
        samplers.split("Eulr a")
    assert caught.value.field == "sampler"


def test_an_unknown_schedule_names_near_ones() -> None:
    with pytest.raises(BadValue, match="Did you mean Karras"):
        samplers.schedule("karas")
