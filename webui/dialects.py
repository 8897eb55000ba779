"""Dialects: what other programs call samplers, schedules and models, how each is told, and what its silence means.

The promise: a name is translated only to the same algorithm under our name; one that has no equal here stays as it
was written and is refused by the recipe with a sentence. What a program leaves out has one meaning, its own default,
and is said in full: the variation that a form still holds may not leak into another program's picture.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from webui import samplers
from webui.errors import BadValue, shown

_SAMPLERS: Final = {
    "euler": "Euler", "euler_a": "Euler a", "euler_ancestral": "Euler a", "heun": "Heun", "lms": "LMS",
    "dpm_2": "DPM2", "dpm2": "DPM2", "kdpm_2": "DPM2", "dpm_2_ancestral": "DPM2 a", "dpm2_a": "DPM2 a",
    "kdpm_2_a": "DPM2 a", "dpm_2_a": "DPM2 a", "dpm_fast": "DPM fast", "dpm_adaptive": "DPM adaptive",
    "dpmpp_2s_ancestral": "DPM++ 2S a", "dpmpp_2s_a": "DPM++ 2S a", "dpmpp_sde": "DPM++ SDE", "dpmpp_2m": "DPM++ 2M",
    "dpmpp_2m_sde": "DPM++ 2M SDE", "dpmpp_2m_sde_heun": "DPM++ 2M SDE Heun", "dpmpp_3m_sde": "DPM++ 3M SDE",
    "ddim": "DDIM", "ddim_v3": "DDIM", "plms": "PLMS", "pndm": "PLMS", "ddpm": "DDPM", "lcm": "LCM", "deis": "DEIS",
    "uni_pc": "UniPC", "unipc": "UniPC", "restart": "Restart", "heunpp2": "HeunPP2", "ipndm": "IPNDM",
    "ipndm_v": "IPNDM_V", "euler ancestral": "Euler a", "eulerancestral": "Euler a", "dpm++ 2m": "DPM++ 2M",
    "dpm++ sde": "DPM++ SDE",
}  # fmt: skip
_SCHEDULES: Final = {
    "normal": "Normal", "karras": "Karras", "exponential": "Exponential", "sgm_uniform": "SGM Uniform",
    "simple": "Simple", "ddim_uniform": "DDIM", "beta": "Beta", "kl_optimal": "KL Optimal", "native": "Uniform",
    "polyexponential": "Polyexponential", "align_your_steps": "Align Your Steps",
    "alignyoursteps": "Align Your Steps",
}  # fmt: skip
_ON_TIMESTEPS: Final = ("DDIM", "PLMS", "UniPC", "LCM", "DDPM")
"""Samplers that space their steps themselves: a name without a schedule means that."""
_DRAWING: Final = frozenset(row.name for row in samplers.SAMPLERS if row.stochastic and not row.brownian)
_OWN_SIGMAS: Final = ("Karras", "Exponential")
_ENDINGS: Final = re.compile(r"\.(safetensors|ckpt|pt|pth|gguf|sft)\Z", re.I)
_VERSION: Final = re.compile(
    r"(?:f|neo|classic|reforge|fooocus|comfyui|reseed)?[\s\-v]*([0-9]{1,6}(?:\.[0-9]{1,6}){1,3})", re.I
)

SILENCE: Final[dict[str, Any]] = {
    "clip_skip": 1, "variation_strength": 0.0, "variations": "", "variation_noise": "start", "resize_width": 0,
    "resize_height": 0, "noise_layout": "plain", "ensd": 0, "emphasis": "Original", "eta": 1.0, "eta_ddim": 0.0,
    "s_noise": 1.0, "s_churn": 0.0, "s_tmin": 0.0, "s_tmax": 0.0, "sigma_min": 0.0, "sigma_max": 0.0, "rho": 0.0,
    "discard_penultimate": "Automatic", "sgm_noise": "Automatic", "noise_schedule": "Default", "ngms": 0.0,
    "ngms_all": "Off", "skip_early_cfg": 0.0,
}  # fmt: skip
"""What every program means by leaving these out."""
_PROFILES: Final = {
    "A1111": "A1111", "Reseed": "A1111", "Forge": "Forge", "reForge": "Forge", "ComfyUI": "ComfyUI",
    "Fooocus": "ComfyUI", "SwarmUI": "ComfyUI", "Krita AI Diffusion": "ComfyUI",
}  # fmt: skip
_NOISE: Final = {
    "A1111": "NV", "Forge": "NV", "reForge": "NV", "SD.Next": "NV", "NovelAI": "NV", "ComfyUI": "CPU", "SwarmUI": "CPU",
    "Fooocus": "CPU", "Krita AI Diffusion": "CPU",
}  # fmt: skip
_WORDS: Final = (
    ("comfy", "ComfyUI"), ("fooocus", "Fooocus"), ("reforge", "reForge"), ("reseed", "Reseed"), ("swarm", "SwarmUI"),
    ("sd.next", "SD.Next"), ("vlad", "SD.Next"), ("invoke", "InvokeAI"),
)  # fmt: skip
"""What a version says that names its program."""
FROM_CARD: Final = "Noise from the graphics card: NV gives the same numbers for most sizes."


@dataclass(frozen=True, slots=True)
class Maker:
    """The program that wrote a text: its name, and its version where it says one."""

    name: str = ""
    version: str = ""

    def silence(self, schedule: str = "", sampler: str = "") -> tuple[dict[str, Any], list[str]]:
        """Say what the program means by what it leaves out, and what a person should know of it, in sentences."""
        meant, notes = {**SILENCE, "profile": "A1111"}, []
        if profile := _PROFILES.get(self.name):
            # reForge's Beta is ComfyUI's, all else in it is Forge's.
            meant["profile"] = profile = "ComfyUI" if self.name == "reForge" and schedule == "Beta" else profile
        if noise := _NOISE.get(self.name):
            meant["rng"] = noise
        if self.name == "Reseed":
            pass
        elif profile:
            whose = "its" if profile in {self.name, "Forge"} else f"{profile}'s"
            told = f"Made by {self.name} {self.version}".rstrip()
            if self.name == "A1111" and not self.version:
                told = "Read as A1111 writes it"
            notes.append(f"{told}: {whose} arithmetic is used.")
            if profile == "ComfyUI" and sampler in _DRAWING:
                notes.append(f"ComfyUI draws the noise between {sampler}'s steps in its own way: they will differ.")
        elif self.name and self.name != "Civitai":
            notes.append(
                f"Made by {self.name}, whose arithmetic is not known here: A1111's is used, and the picture will only "
                "be alike."
            )
        elif self.name:
            notes.append(
                "Civitai's generator says neither whose noise nor whose arithmetic it used: A1111's arithmetic is used."
            )
        return meant, notes

    def translate(self, found: dict[str, Any]) -> list[str]:
        """Put values of an infotext that mean something else here into our terms; say what a person sees changed."""
        notes = []
        sampler, steps = found.get("sampler", ""), found.get("steps", "").strip()
        if (made := self.steps(sampler, steps)) != steps:
            notes.append(f"{self.name} made {made} steps of {steps} with {sampler}.")
            found["steps"] = made
        its_own = self.name in ("A1111", "Forge", "reForge") and sampler in ("DDIM", "PLMS", "UniPC")
        if its_own and found.get("schedule", samplers.AUTOMATIC) != samplers.AUTOMATIC:
            notes.append(f"{sampler} does not read the schedule type {found['schedule']} there.")
            found["schedule"] = samplers.AUTOMATIC
        oldest = self.name == "A1111" and not self.version and "rng" not in found
        if oldest and sampler == "DDIM" and "eta" in found:  # the etas of all samplers had the one key
            found.setdefault("eta_ddim", found.pop("eta"))
        return notes

    def steps(self, sampler: str, steps: str) -> str:
        """Say how many steps the program made of a number of steps.

        A1111 1.6 and Forge space UniPC's timesteps 1000 // steps apart, and make as many steps as fit.

        >>> Maker("A1111", "1.10.1").steps("UniPC", "30"), Maker("A1111", "1.5.2").steps("UniPC", "30")
        ('31', '30')
        """
        asked = int(steps) if steps.isdecimal() and len(steps) < 4 else 0
        since = self.name == "Forge" or (self.name == "A1111" and self._numbers() >= [1, 6])
        if sampler != "UniPC" or not since or not asked:
            return steps
        return str(-(-1000 // (1000 // asked)))

    def _numbers(self) -> list[int]:
        return [int(part) for part in self.version.split(".") if part.isdecimal()][:2]

    def names_combined(self, wrote_hash: bool) -> bool:
        """Say whether a sampler's name told the schedule too: before A1111 1.9 and where ComfyUI's names are written.

        A text without a version is old when a program wrote it, which then named the model's hash.
        """
        numbers = self._numbers()
        if self.name == "A1111":
            return numbers < [1, 9] if numbers else wrote_hash
        return self.name in ("ComfyUI", "Civitai", "Krita AI Diffusion") or (
            self.name == "Forge" and numbers[:1] == [0]
        )


def maker(keys: Mapping[str, str], hint: str = "") -> Maker:
    """Tell the program by the keys of its infotext; ``hint`` is what its file says beside them.

    >>> maker({"Version": "f2.0.1v1.10.1-previous-669-gdfdcbab6"})
    Maker(name='Forge', version='2.0.1')
    """
    text = keys.get("Version", "")
    lowered = text.lower()
    number = found[1] if (found := _VERSION.match(text)) else ""
    if app := keys.get("App"):
        return Maker(shown(app).strip("'\""), shown(text, 30).strip("'\"") if text else "")
    if hint:
        return Maker(hint, number if hint.lower() in lowered else "")
    for word, name in _WORDS:
        if word in lowered:
            return Maker(name, number)
    if re.match(r"f[0-9]|neo|classic|forge", lowered) or "Forge version" in keys:
        return Maker("Forge", number or shown(text, 30).strip("'\""))
    return Maker("A1111" if text else _unversioned(keys), number)


def _unversioned(keys: Mapping[str, str]) -> str:
    """Tell the program by an infotext that names no version."""
    if "Civitai resources" in keys or "Created Date" in keys:
        return "Civitai"
    return "Krita AI Diffusion" if keys.get("Model hash", "").strip() == "unknown" else "A1111"


def sampler(text: str) -> tuple[str, str | None]:
    """Read a sampler's name in any dialect, with the schedule that may stand in it; an unknown name stays itself.

    >>> sampler("DPM++ 2M Karras"), sampler("dpmpp_2m_karras"), sampler("euler_ancestral")
    (('DPM++ 2M', 'Karras'), ('DPM++ 2M', 'Karras'), ('Euler a', None))
    """
    try:
        return samplers.split(text)
    except BadValue:
        lowered = text.strip().lower()
    plain = lowered.removeprefix("k_").removeprefix("sample_").removesuffix("_gpu")
    if plain in _SAMPLERS:
        return _SAMPLERS[plain], None
    for ending, name in _SCHEDULES.items():
        for space in ("_", " "):
            head = plain.removesuffix(space + ending).removesuffix("_gpu")
            if head != plain and head in _SAMPLERS:
                return _SAMPLERS[head], schedule(name)
    return text, None


def schedule(text: str) -> str:
    """Read a schedule's name in any dialect; an unknown one stays itself.

    >>> schedule("sgm_uniform"), schedule("ddim_uniform")
    ('SGM Uniform', 'DDIM')
    """
    name = _SCHEDULES.get(text.strip().lower(), text)
    try:
        return samplers.schedule(name)
    except BadValue:
        return "Uniform" if name == "Normal" else name  # the same sigmas on SD 1.x, by the older name


def known_schedule(text: str) -> bool:
    """Say whether a text names a schedule of the table in some dialect."""
    return schedule(text) in samplers.schedule_names()


def unnamed_schedule(sampler_name: str) -> str:
    """Say what a sampler's name without a schedule meant before A1111 1.9, and means in programs that name both.

    >>> unnamed_schedule("DPM++ 2M"), unnamed_schedule("Euler a"), unnamed_schedule("DDIM")
    ('Uniform', 'Automatic', 'Automatic')
    """
    if sampler_name in _ON_TIMESTEPS or sampler_name not in samplers.sampler_names() or sampler_name == "Restart":
        return samplers.AUTOMATIC
    own = samplers.settle_schedule(sampler_name, samplers.AUTOMATIC)
    return "Uniform" if own in _OWN_SIGMAS else samplers.AUTOMATIC


def model(text: str) -> str:
    """Take a model's file name as other programs name it: without folders and ending.

    >>> model("SD1.5\\\\dreamshaper_8.safetensors")
    'dreamshaper_8'
    """
    return _ENDINGS.sub("", re.split(r"[\\/]", text.strip())[-1]) if _ENDINGS.search(text.strip()) else text.strip()


def is_sha256(text: str) -> bool:
    """Say whether a model hash can be the beginning of a SHA-256: the eight digits of 2022 were another sum.

    >>> is_sha256("6ce0161689"), is_sha256("7460a6fa"), is_sha256("unknown")
    (True, False, False)
    """
    return re.fullmatch(r"[0-9a-fA-F]{9,64}", text) is not None
