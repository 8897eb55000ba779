"""The lists that A1111's clients ask for: samplers, models, styles, scripts and what else there may be.

The promise: what is listed can be used, and what this program does not have is an empty list. Paths of this machine and
secrets are not told.
"""

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from fastapi import APIRouter
from starlette.responses import JSONResponse

from webui import samplers
from webui.api.sdapi import xyz
from webui.errors import CheckpointError
from webui.studio import Studio

EMPTY: Final = (
    "upscalers", "latent-upscale-modes", "sd-vae", "sd-modules", "hypernetworks", "face-restorers",
    "realesrgan-models", "extensions",
)  # fmt: skip
"""Lists of what is not here."""
_RHO: Final = {"Karras": 7.0, "Polyexponential": 1.0}
_OF_MODEL: Final = ("Uniform", "SGM Uniform", "Simple", "Normal", "DDIM", "Beta", "Turbo")
"""Schedules that take their levels from those that the model was trained on."""


def add(router: APIRouter, prefix: str, studio: Studio) -> None:
    """Add the lists to a router."""
    lists: dict[str, Callable[[], Any]] = {
        "samplers": _samplers,
        "schedulers": _schedulers,
        "sd-models": lambda: _models(studio),
        "prompt-styles": lambda: _styles(studio),
        "loras": lambda: [_lora(name) for name in studio.catalog.networks.names("LoRA")],
        "embeddings": lambda: _embeddings(studio),
        "cmd-flags": lambda: _flags(studio),
        "memory": _memory,
        "scripts": lambda: {"txt2img": [xyz.NAME], "img2img": []},
        "script-info": lambda: [_plot()],
        **dict.fromkeys(EMPTY, list),
    }
    for name, make in lists.items():
        router.add_api_route(f"{prefix}/{name}", _answer(make), methods=["GET"], name=name)


def _answer(make: Callable[[], Any]) -> Callable[[], JSONResponse]:
    """Return a handler; as a plain function it runs beside the event loop."""

    def answer() -> JSONResponse:
        return JSONResponse(make())

    return answer


def _samplers() -> list[dict[str, Any]]:
    return [{"name": row.name, "aliases": list(row.aliases), "options": _options(row)} for row in samplers.SAMPLERS]


def _options(row: samplers.Sampler) -> dict[str, str]:
    """Tell what A1111 tells of a sampler: texts, and only what is so."""
    flags = {
        "second_order": row.evaluations == 2,
        "brownian_noise": row.brownian,
        "discard_next_to_last_sigma": row.discard_penultimate,
    }
    told = {name: "True" for name, so in flags.items() if so}
    return told if row.schedule == "Uniform" else {"scheduler": _alias(row.schedule), **told}


def _alias(schedule: str) -> str:
    return next(row.aliases[0] for row in samplers.SCHEDULES if row.name == schedule)


def _schedulers() -> list[dict[str, Any]]:
    return [
        {
            "name": row.aliases[0],
            "label": row.name,
            "aliases": list(row.aliases[1:]) or None,
            "default_rho": _RHO.get(row.name, -1.0),
            "need_inner_model": row.name in _OF_MODEL,
        }
        for row in samplers.SCHEDULES
    ]


def _models(studio: Studio) -> list[dict[str, Any]]:
    """List the models; hashes are told by the pictures, since computing them reads every file."""
    found = studio.catalog.all()
    if studio.model not in [one.name for one in found]:
        with suppress(CheckpointError):  # one that is named at the start and is not in the models folder
            found.append(studio.about(studio.model))
    return [
        {
            "title": one.name,
            "model_name": one.name,
            "hash": None,
            "sha256": None,
            "filename": one.path.name if one.path is not None else one.name,
            "config": None,
        }
        for one in found
    ]


def _styles(studio: Studio) -> list[dict[str, str]]:
    found, _ = studio.styles()
    return [
        {"name": name, "prompt": style.prompt, "negative_prompt": style.negative_prompt}
        for name, style in found.items()
    ]


def _lora(name: str) -> dict[str, Any]:
    return {"name": name, "alias": name, "path": "", "metadata": {}}


def _embeddings(studio: Studio) -> dict[str, Any]:
    about = {"step": None, "sd_checkpoint": None, "sd_checkpoint_name": None, "shape": None, "vectors": None}
    return {"loaded": dict.fromkeys(studio.catalog.networks.names("embedding"), about), "skipped": {}}


def _flags(studio: Studio) -> dict[str, Any]:
    settings = studio.settings
    return {
        "api": True,
        "nowebui": False,
        "listen": settings.host in ("0.0.0.0", "::", ""),
        "server_name": settings.host,
        "port": settings.port,
        "ckpt": studio.model,
        "device_id": settings.device,
    }


def _memory() -> dict[str, Any]:
    """Tell the machine's memory and the program's; what is not measured is an error in A1111's shape."""
    try:
        page = os.sysconf("SC_PAGE_SIZE")
        total = page * os.sysconf("SC_PHYS_PAGES")
        used = page * int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
        ram: dict[str, Any] = {"free": total - used, "used": used, "total": total}
    except (OSError, ValueError, AttributeError):
        ram = {"error": "It is not measured on this system."}
    return {"ram": ram, "cuda": {"error": "The memory of a graphics card is not measured."}}


def _plot() -> dict[str, Any]:
    """Describe the one script by its arguments."""
    axes = list(xyz.AXES)
    arguments = [
        {
            "label": name,
            "value": value,
            "minimum": None,
            "maximum": None,
            "step": None,
            "choices": axes if name.endswith("type") else None,
        }
        for name, value in xyz.ARGUMENTS.items()
    ]
    return {"name": xyz.NAME, "is_alwayson": False, "is_img2img": False, "args": arguments}
