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
