"""The names of samplers and schedules: the table that form, infotext, command line and engine read.

A sampler is the algorithm ("Euler a"), a schedule the spacing of its sigmas ("Karras"; the page calls it *Schedule
type*, as A1111 does). Names are those of the field; old combined names ("DPM++ 2M Karras") are read. An unknown name
is an error that lists near ones, never a silent default. The algorithms are in ``webui.engine.sampling`` and
``webui.engine.schedules``, one function for each row here.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from webui.errors import BadValue, near


@dataclass(frozen=True)
class Sampler:
    """A row of the sampler table.

    ``schedule`` is what *Automatic* means for it; ``stochastic`` says that noise is added between the steps, so that
    another number of steps gives another composition; ``evaluations`` is the number of model calls per full step.
    """

    name: str
    aliases: tuple[str, ...]
    schedule: str
    stochastic: bool = False
    evaluations: int = 1
    note: str = ""


@dataclass(frozen=True)
class Schedule:
    """A row of the schedule table."""

    name: str
    aliases: tuple[str, ...] = ()
    note: str = ""


SAMPLERS = (
    Sampler("Euler", ("k_euler",), "Uniform", note="The simplest; one model call a step."),
    Sampler("Euler a", ("k_euler_a", "k_euler_ancestral"), "Uniform", stochastic=True,
            note="Adds noise at every step: lively, but another number of steps is another picture."),
    Sampler("Heun", ("k_heun",), "Uniform", evaluations=2, note="Second order: two model calls a step."),
    Sampler("DPM++ 2M", ("k_dpmpp_2m",), "Karras", note="Second order at one call a step; good from 8 steps on."),
    Sampler("DPM++ 2S a", ("k_dpmpp_2s_a",), "Karras", stochastic=True, evaluations=2,
            note="Second order with noise at every step."),
    Sampler("DDIM", ("ddim",), "DDIM", note="Deterministic, on timesteps; the classic."),
)  # fmt: skip

AUTOMATIC = "Automatic"
SCHEDULES = (
    Schedule(AUTOMATIC, ("automatic",), "The sampler's own choice."),
    Schedule("Uniform", ("uniform",), "Timesteps evenly spaced."),
    Schedule("Karras", ("karras",), "Karras et al. 2022, ρ = 7: more steps where detail forms."),
    Schedule("Exponential", ("exponential",), "Even steps in log σ."),
    Schedule("SGM Uniform", ("sgm_uniform", "SGMUniform"), "Uniform without the last, smallest σ."),
    Schedule("Simple", ("simple",), "Every n-th training σ from the top."),
    Schedule("DDIM", ("ddim",), "Every n-th training σ from the bottom, as DDIM spaces its timesteps."),
)


def _lookup(rows: tuple[Sampler, ...] | tuple[Schedule, ...]) -> dict[str, str]:
    return {name.lower(): row.name for row in rows for name in (row.name, *row.aliases)}


_SAMPLER_NAMES, _SCHEDULE_NAMES = _lookup(SAMPLERS), _lookup(SCHEDULES)
_BY_NAME = {row.name: row for row in SAMPLERS}


def sampler_names() -> tuple[str, ...]:
    """List the samplers in the order of the table."""
    return tuple(row.name for row in SAMPLERS)


def schedule_names() -> tuple[str, ...]:
    """List the schedules in the order of the table."""
    return tuple(row.name for row in SCHEDULES)


def sampler(name: str) -> Sampler:
    """Find a sampler by name or alias, without regard to case.

    >>> sampler("k_euler_a").name
    'Euler a'

    Raises BadValue with near names.
    """
    return _BY_NAME[_found("sampler", "Sampler", name, _SAMPLER_NAMES, sampler_names())]


def schedule(name: str) -> str:
    """Find a schedule's name by name or alias, without regard to case.

    >>> schedule("sgm_uniform")
    'SGM Uniform'

    Raises BadValue with near names.
    """
    return _found("schedule", "Schedule type", name, _SCHEDULE_NAMES, schedule_names())


def _found(field: str, label: str, name: str, known: Mapping[str, str], names: Sequence[str]) -> str:
    found = known.get(name.strip().lower())
    if found is None:
        raise BadValue(field, label, name, f"one of {', '.join(names)}", near(name, names))
    return found


def settle_schedule(sampler_name: str, schedule_name: str) -> str:
    """Say which schedule is really used: *Automatic* becomes the sampler's own.

    >>> settle_schedule("DPM++ 2M", "Automatic"), settle_schedule("DPM++ 2M", "Simple")
    ('Karras', 'Simple')
    """
    found = schedule(schedule_name)
    return sampler(sampler_name).schedule if found == AUTOMATIC else found


def split(name: str) -> tuple[str, str | None]:
    """Read a sampler name that may carry its schedule, as pictures from before A1111 1.9 do.

    >>> split("DPM++ 2M Karras"), split("Euler a")
    (('DPM++ 2M', 'Karras'), ('Euler a', None))

    Raises BadValue when neither reading knows the sampler.
    """
    lowered = name.strip().lower()
    if lowered in _SAMPLER_NAMES:
        return _SAMPLER_NAMES[lowered], None
    for ending in sorted(_SCHEDULE_NAMES, key=len, reverse=True):
        head = lowered.removesuffix(" " + ending)
        if head != lowered and head in _SAMPLER_NAMES:
            return _SAMPLER_NAMES[head], _SCHEDULE_NAMES[ending]
    return sampler(name).name, None
