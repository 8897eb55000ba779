"""What A1111's clients are told: the pictures of a request with what made them, and how far the work is.

The promise: the pictures are the files as they were saved, and every number beside them is the one that was used;
seeds stand as numbers where A1111 has them and once more as texts, since JSON readers round above 2^53.
"""

import base64
import json
from collections.abc import Sequence
from typing import Any, Final

from starlette.responses import JSONResponse

from webui import __version__, grid_picture, infotext, png, sweeping
from webui.api import wire
from webui.api.sdapi.door import Run
from webui.api.sdapi.txt2img import DEFAULTS, Asked
from webui.api.sdapi.xyz import Plot
from webui.errors import PictureError
from webui.gallery import Record
from webui.params import Param
from webui.progress import Progress
from webui.recipe import PARAMS, Recipe
from webui.sweeping import Place

VERSION: Final = f"Reseed {__version__}"
_EXTRAS: Final = (
    "schedule", "rng", "ensd", "eta", "eta_ddim", "s_churn", "s_tmin", "s_tmax", "s_noise", "sigma_min", "sigma_max",
    "rho", "discard_penultimate", "sgm_noise", "noise_schedule", "ngms", "ngms_all", "skip_early_cfg", "emphasis",
)  # fmt: skip
"""Fields that A1111 tells among its extra parameters, where they are not at their default."""


def pictures(run: Run, finished: Sequence[Progress]) -> JSONResponse:
    """Answer a request whose jobs have ended; raises Refused when one failed, or when a file is gone."""
    made = [record for progress in finished for record in progress.records]
    plot = run.asked.plot
    shown = made if plot is None or plot.lone else []
    failed = next((progress for progress in finished if progress.status == "failed"), None)
    if failed is not None:
        kept = f" {len(made)} of {len(run.recipes)} pictures were made before it; they are in the history."
        raise wire.Refused(500, failed.code or "failed", f"{failed.error}{kept if made else ''}")
    if any(not progress.done for progress in finished):
        raise wire.Refused(503, "unfinished", "The pictures are still being made; they will be in the history.")
    try:
        texts = [png.read_texts(record.path).get("parameters", "") for record in shown]
        files = wire.contents(shown) if run.asked.images else []
    except (OSError, PictureError) as error:
        sentence = "A picture was made, but its file is gone or damaged since: look into the history."
        raise wire.Refused(500, "storage", sentence) from error
    recipes = [record.recipe for record in shown]
    body: dict[str, Any] = {}
    if plot is not None:
        layout = sweeping.layout_of(finished[0])
        places = sweeping.places(layout, finished[0])
        grid = base64.b64encode(grid_picture.draw(layout, places)).decode()
        files = [grid, *files] if run.asked.images else []
        texts, recipes = [_of_grid(run, plot), *texts], [run.recipes[0], *recipes]
        body["problems"] = [_problem(place) for place in places if place.reason]
    told = _info(run.asked, recipes or [run.recipes[0]], made, texts)
    told |= {"job_timestamp": run.stamp, "index_of_first_image": 0 if plot is None else 1}
    body |= {"images": files, "parameters": {**DEFAULTS, **run.asked.body}}
    body |= {"info": json.dumps(told, ensure_ascii=False), "seeds": told["all_seeds"]}
    return JSONResponse({**body, "seedTexts": [str(seed) for seed in told["all_seeds"]]})


def _of_grid(run: Run, plot: Plot) -> str:
    """Write the infotext of a grid: that of its first cell, and the axes."""
    pairs = {"Script": "X/Y/Z plot"}
    for letter, (label, text) in zip("XYZ", plot.axes, strict=True):
        pairs |= {f"{letter} Type": label, f"{letter} Values": text} if label else {}
    return infotext.format(run.recipes[0], {**pairs, "Version": VERSION})


def _problem(place: Place) -> str:
    return f"{', '.join(place.captions)}: {place.reason}"


def _info(asked: Asked, recipes: Sequence[Recipe], made: Sequence[Record], texts: Sequence[str]) -> dict[str, Any]:
    """Tell A1111's ``info``, a list for each of ``recipes``; without a picture it tells of the first that was asked."""
    first = recipes[0]
    listed = recipes if texts else []
    varied = [one.variation_seed if one.variation_strength else -1 for one in recipes]
    hashes = [record.fingerprint.model_hash[:10] for record in made]
    return {
        "prompt": first.prompt,
        "all_prompts": [one.prompt for one in listed],
        "negative_prompt": first.negative_prompt,
        "all_negative_prompts": [one.negative_prompt for one in listed],
        "seed": first.seed,
        "all_seeds": [one.seed for one in listed],
        "subseed": varied[0],
        "all_subseeds": varied if texts else [],
        "subseed_strength": first.variation_strength,
        "width": first.width,
        "height": first.height,
        "sampler_name": first.sampler,
        "cfg_scale": first.cfg_scale,
        "steps": first.steps,
        "batch_size": asked.batch,
        "restore_faces": False,
        "face_restoration_model": None,
        "sd_model_name": first.model,
        "sd_model_hash": hashes[0] if hashes else None,
        "sd_vae_name": None,
        "sd_vae_hash": None,
        "seed_resize_from_w": first.resize_width or -1,
        "seed_resize_from_h": first.resize_height or -1,
        "denoising_strength": asked.body.get("denoising_strength"),
        "extra_generation_params": _extras(first),
        "infotexts": list(texts),
        "styles": list(asked.styles),
        "clip_skip": first.clip_skip,
        "is_using_inpainting_conditioning": False,
        "version": VERSION,
    }


def _extras(recipe: Recipe) -> dict[str, str]:
    told: dict[str, str] = {}
    for name in _EXTRAS:
        param: Param = PARAMS[name]
        value = getattr(recipe, name)
        if name in ("schedule", "rng") or value != param.default:
            told[param.label] = param.format(value)
    return told


def progress(found: tuple[Run, Progress] | None, preview: bool) -> dict[str, Any]:
    """Tell how far the newest request is, in A1111's words; ``preview`` asks for the picture as it stands, too."""
    run, now = found if found is not None else (None, None)
    state = {
        "skipped": run.skipped if run is not None else False,
        "interrupted": run.interrupted if run is not None else False,
        "stopping_generation": False,
        "job": "",
        "job_count": 0,
        "job_timestamp": run.stamp if run is not None else "0",
        "job_no": 0,
        "sampling_step": 0,
        "sampling_steps": 0,
    }
    told = {"progress": 0.0, "eta_relative": 0.0, "state": state, "current_image": None, "textinfo": None}
    if now is None or now.done:
        return told
    done = len(now.made) + len(now.failed)
    steps = now.steps or now.recipes[min(now.index, now.count - 1)].steps
    step = now.step if done <= now.index else 0
    state |= {
        "job": f"Batch {now.index + 1} out of {now.count}" if now.count > 1 else "txt2img",
        "job_count": now.count,
        "job_no": done,
        "sampling_step": step,
        "sampling_steps": steps,
    }
    share = 0.01 + (done + step / max(1, steps)) / now.count
    seen = base64.b64encode(now.preview).decode() if preview and now.preview else None
    waits = f"Waits for {now.position + 1} other jobs." if now.status == "pending" and now.position else None
    return told | {
        "progress": min(share, 1.0),
        "eta_relative": now.eta or 0.0,
        "current_image": seen,
        "textinfo": waits,
    }
