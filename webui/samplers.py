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
    ``brownian``: that noise is of one path per picture, so that the composition stays when the steps change.
    ``discard_penultimate``: its schedule is made one step longer and the last σ but one dropped, as A1111 does.
    ``flow``: it has a form for flow models.
    """

    name: str
    aliases: tuple[str, ...]
    schedule: str
    stochastic: bool = False
    evaluations: int = 1
    note: str = ""
    brownian: bool = False
    discard_penultimate: bool = False
    flow: bool = True


@dataclass(frozen=True)
class Schedule:
    """A row of the schedule table; ``flow``: it has a meaning for flow models."""

    name: str
    aliases: tuple[str, ...] = ()
    note: str = ""
    flow: bool = True


SAMPLERS = (
    Sampler("Euler", ("k_euler",), "Uniform", note="The simplest; one model call a step."),
    Sampler("Euler a", ("k_euler_a", "k_euler_ancestral"), "Uniform", stochastic=True,
            note="Adds noise at every step: lively, but another number of steps is another picture."),
    Sampler("Heun", ("k_heun",), "Uniform", evaluations=2, note="Second order: two model calls a step."),
    Sampler("DPM++ 2M", ("k_dpmpp_2m",), "Karras", note="Second order at one call a step; good from 8 steps on."),
    Sampler("DPM++ SDE", ("k_dpmpp_sde",), "Karras", stochastic=True, evaluations=2, brownian=True,
            note="Second order on Brownian noise: fine detail, and the composition stays when the steps change."),
    Sampler("DPM++ 2M SDE", ("k_dpmpp_2m_sde",), "Exponential", stochastic=True, brownian=True,
            note="DPM++ 2M on Brownian noise; one call a step."),
    Sampler("DPM++ 2M SDE Heun", ("k_dpmpp_2m_sde_heun",), "Exponential", stochastic=True, brownian=True,
            note="DPM++ 2M SDE with Heun's correction."),
    Sampler("DPM++ 2S a", ("k_dpmpp_2s_a",), "Karras", stochastic=True, evaluations=2,
            note="Second order with noise at every step."),
    Sampler("DPM++ 3M SDE", ("k_dpmpp_3m_sde",), "Exponential", stochastic=True, brownian=True,
            discard_penultimate=True, note="Third order on Brownian noise; wants 25 steps or more."),
    Sampler("LMS", ("k_lms",), "Uniform", note="Linear multistep, fourth order at one call a step."),
    Sampler("DPM2", ("k_dpm_2",), "Karras", evaluations=2, discard_penultimate=True, note="The midpoint method."),
    Sampler("DPM2 a", ("k_dpm_2_a", "k_dpm_2_ancestral"), "Karras", stochastic=True, evaluations=2,
            discard_penultimate=True, note="The midpoint method with noise at every step."),
    Sampler("DPM fast", ("k_dpm_fast",), "Uniform", stochastic=True, flow=False,
            note="Of the schedule it uses only the ends. Not for flow models."),
    Sampler("DPM adaptive", ("k_dpm_ad", "k_dpm_adaptive"), "Uniform", stochastic=True, evaluations=3, flow=False,
            note="Chooses its own steps: their number has no effect, and of the schedule it uses only the ends. "
            "Not for flow models."),
    Sampler("Restart", ("restart", "k_restart"), "Karras", stochastic=True, evaluations=2, flow=False,
            note="Heun; from 20 steps on it goes back to σ = 2 and walks on again. Not for flow models."),
    Sampler("HeunPP2", ("heunpp2", "k_heunpp2"), "Uniform", evaluations=3, note="Heun with two looks ahead."),
    Sampler("IPNDM", ("ipndm", "k_ipndm"), "Uniform", note="Fourth order at one call a step, fixed weights."),
    Sampler("DEIS", ("deis", "k_deis"), "Uniform", note="Third order at one call a step; good at few steps."),
    Sampler("DDIM", ("ddim", "k_ddim"), "DDIM", note="Deterministic, on timesteps; the classic."),
    Sampler("UniPC", ("unipc", "uni_pc", "k_unipc"), "Uniform",
            note="Predicts and corrects, third order at one call a step; good at few steps."),
    Sampler("LCM", ("lcm", "k_lcm"), "Uniform", stochastic=True,
            note="For LCM models and LoRAs, 4 to 8 steps at a CFG scale of 1 to 2."),
    Sampler("DDPM", ("ddpm", "k_ddpm"), "Uniform", stochastic=True,
            note="The original; wants many steps. For diffusion models the same as Euler a."),
)  # fmt: skip

_CHURNED = ("Euler", "Heun", "DPM2")
OPTIONS = {
    "eta": ("Euler a", "DPM2 a", "DPM++ 2S a", "DPM++ SDE", "DPM++ 2M SDE", "DPM++ 2M SDE Heun", "DPM++ 3M SDE",
            "DPM fast", "DPM adaptive"),
    "eta_ddim": ("DDIM",),
    "s_churn": _CHURNED,
    "s_tmin": _CHURNED,
    "s_tmax": _CHURNED,
}  # fmt: skip
"""Fields of a recipe that only some samplers read, each with these samplers."""

AUTOMATIC = "Automatic"
SCHEDULES = (
    Schedule(AUTOMATIC, ("automatic",), "The sampler's own choice."),
    Schedule("Uniform", ("uniform",), "Timesteps evenly spaced."),
    Schedule("Karras", ("karras",), "Karras et al. 2022, ρ = 7: more steps where detail forms."),
    Schedule("Exponential", ("exponential",), "Even steps in log σ."),
    Schedule("Polyexponential", ("polyexponential",), "With ρ = 1, as everywhere: the same as Exponential."),
    Schedule("SGM Uniform", ("sgm_uniform", "SGMUniform"), "Uniform without the last, smallest σ."),
    Schedule("KL Optimal", ("kl_optimal",), "Even steps in arctan σ; ends at the smallest σ, not at 0."),
    Schedule("Align Your Steps", ("align_your_steps", "ays"),
             "Sabour et al. 2024: levels found for SD 1.5 and SDXL; good at 10 steps. Not for flow models.",
             flow=False),
    Schedule("Simple", ("simple",), "Every n-th training σ from the top."),
    Schedule("Normal", ("normal",), "The same as Uniform."),
    Schedule("DDIM", ("ddim",), "Every n-th training σ from the bottom, as DDIM spaces its timesteps."),
    Schedule("Beta", ("beta",), "Quantiles of the beta distribution, 0.6 and 0.6: more steps at both ends."),
    Schedule("Turbo", ("turbo",), "For SD Turbo and SDXL Turbo, 1 to 4 steps."),
)  # fmt: skip


def _lookup(rows: tuple[Sampler, ...] | tuple[Schedule, ...]) -> dict[str, str]:
    return {name.lower(): row.name for row in rows for name in (row.name, *row.aliases)}


_SAMPLER_NAMES, _SCHEDULE_NAMES = _lookup(SAMPLERS), _lookup(SCHEDULES)
_BY_NAME = {row.name: row for row in SAMPLERS}
_SCHEDULES = {row.name: row for row in SCHEDULES}
_FLOW = "one that has a form for flow models"
_SHORT = {"_ka": "Karras", "_exp": "Exponential"}


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


def without_flow(sampler_name: str) -> BadValue | None:
    """Say that a sampler has no form for flow models (SD 3, Flux), naming near ones; None when it has one."""
    if sampler(sampler_name).flow:
        return None
    return BadValue("sampler", "Sampler", sampler_name, _FLOW, "Near ones are Heun, DPM++ 2M or DPM++ 2S a.")


def schedule_without_flow(name: str) -> BadValue | None:
    """Say that a schedule has no meaning for flow models (SD 3, Flux), naming near ones; None when it has one."""
    if _SCHEDULES[schedule(name)].flow:
        return None
    return BadValue("schedule", "Schedule type", name, _FLOW, "Try Simple or Beta.")


def settle_schedule(sampler_name: str, schedule_name: str) -> str:
    """Say which schedule is really used: *Automatic* becomes the sampler's own.

    >>> settle_schedule("DPM++ 2M", "Automatic"), settle_schedule("DPM++ 2M", "Simple")
    ('Karras', 'Simple')
    """
    found = schedule(schedule_name)
    return sampler(sampler_name).schedule if found == AUTOMATIC else found


def options(sampler_name: str) -> tuple[str, ...]:
    """Name the fields of a recipe that this sampler reads and others do not.

    >>> options("Euler"), options("LMS")
    (('s_churn', 's_tmin', 's_tmax'), ())
    """
    return tuple(field for field, rows in OPTIONS.items() if sampler(sampler_name).name in rows)


def discards_penultimate(sampler_name: str, profile: str) -> bool:
    """Say whether a program leaves out the last sigma but one for a sampler.

    >>> discards_penultimate("DPM++ 3M SDE", "A1111"), discards_penultimate("DPM++ 3M SDE", "ComfyUI")
    (True, False)
    """
    row = sampler(sampler_name)
    return row.name in ("DPM2", "DPM2 a", "UniPC") if profile == "ComfyUI" else row.discard_penultimate


def split(name: str) -> tuple[str, str | None]:
    """Read a sampler name that may carry its schedule, as pictures from before A1111 1.9 do.

    >>> split("DPM++ 2M Karras"), split("Euler a")
    (('DPM++ 2M', 'Karras'), ('Euler a', None))

    The endings ``_ka`` and ``_exp`` of the oldest aliases are read, too.

    Raises BadValue when neither reading knows the sampler.
    """
    lowered = name.strip().lower()
    if lowered in _SAMPLER_NAMES:
        return _SAMPLER_NAMES[lowered], None
    endings = {f" {ending}": found for ending, found in _SCHEDULE_NAMES.items()} | _SHORT
    for ending in sorted(endings, key=len, reverse=True):
        head = lowered.removesuffix(ending)
        if head != lowered and head in _SAMPLER_NAMES:
            return _SAMPLER_NAMES[head], endings[ending]
    return sampler(name).name, None
