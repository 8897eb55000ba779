"""Scripts: which prompts a picture's network reads at which of its model calls.

The promise: a script is a function of the recipe, so a repeat reads the same words at the same calls. Steps of
``[from:to:N]`` and ``[a|b]`` are counted in model calls, as in A1111: their total is the recipe's steps times the
calls that the sampler makes a step, so with Heun ``[a:b:10]`` changes after ten calls, five steps. The negative prompt
changes with the steps as well, but AND joins only prompts. What cannot be obeyed, an extra network that is no LoRA
above all, is an error and never dropped.
"""

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from webui import networks, prompt_schedule, samplers
from webui.errors import BadValue
from webui.networks import Lora
from webui.prompt_schedule import Timeline
from webui.recipe import PARAMS, Recipe

MOST_PARTS = 32
"""Prompts that AND may join; each is one more row through the network at every step."""

FIRST_STEP = 0
"""The number of the first model call. A1111 and Forge count from 0 and change *after* the step that is named, so
``[a:b:3]`` is ``a`` for four calls and ``[a|b]`` begins with two calls of ``a``. Their pictures depend on it."""

T = TypeVar("T")


@dataclass(frozen=True)
class Script:
    """The prompts of a picture by step.

    ``negative`` is None where it is not read: at CFG scale 1, unless AND weighs prompts against it. ``said`` is all
    that each of them says over the steps, the negative prompt's first. ``leaves`` says at which call (its number and
    sigma) the negative prompt is left out. ``loras`` are what the prompt asks for beside its words.
    """

    positive: tuple[Timeline, ...]
    weights: tuple[float, ...]
    negative: Timeline | None
    said: tuple[tuple[str, ...], ...]
    leaves: Callable[[int, float], bool]
    loras: tuple[Lora, ...] = ()

    def texts(self) -> dict[str, list[str]]:
        """Return everything that is read at any step, by the recipe's field."""
        lines = {"prompt": self.positive, "negative_prompt": (self.negative or (),)}
        return {name: [words for line in found for _, words in line] for name, found in lines.items()}

    def at(self, step: int, sigma: float = math.inf) -> tuple[str, ...]:
        """Return what is read at a call, counted from 0: the negative prompt first, if any."""
        negative = () if self.negative is None or self.leaves(step, sigma) else (self.negative,)
        return tuple(prompt_schedule.at(line, step) for line in (*negative, *self.positive))

    def has_negative(self) -> bool:
        """Say whether the negative prompt has any words at any step."""
        return self.negative is not None and any(words.strip() for _, words in self.negative)

    def follow(self, prepare: Callable[[tuple[str, ...]], T], begin: int = 0) -> Callable[[float], T]:
        """Return a function that gives each model call, told its sigma, what was prepared for its texts.

        The first texts are prepared at once. ``begin`` calls were made before. Only the present texts' is held: turns
        of many long prompts would fill any memory.
        """
        steps = itertools.count(FIRST_STEP + begin)
        texts = self.at(FIRST_STEP + begin)
        prepared = prepare(texts)

        def following(sigma: float) -> T:
            nonlocal texts, prepared
            now = self.at(next(steps), sigma)
            if now != texts:
                prepared = prepare(now)
                texts = now
            return prepared

        return following


def read(recipe: Recipe, guided: bool = True) -> Script:
    """Read a recipe's prompts.

    ``guided`` is False for models that take no negative prompt. Raises BadValue for extra networks that are no LoRA,
    and for AND where it cannot be obeyed.
    """
    calls = total(recipe)
    words, found = prompt_schedule.networks(recipe.prompt)
    if other := [network for network in found if network.kind not in networks.LORA_KINDS]:
        rule = f"without extra networks that are no LoRA, such as {other[0]}"
        hint = "Take it out, or write \\< where the text itself is meant."
        raise BadValue("prompt", PARAMS["prompt"].label, str(other[0]), rule, hint)
    comfyui = recipe.profile == "ComfyUI"  # has neither steps nor AND in its prompts
    parts = [prompt_schedule.Part(words)] if comfyui else prompt_schedule.parts(words)
    texts = (recipe.negative_prompt, *(part.text for part in parts))
    lines = [((calls, text),) if comfyui else prompt_schedule.entries(text, calls) for text in texts]
    negative, *positive = map(prompt_schedule.merged, lines)
    joined = len(parts) > 1
    if joined and (not guided or len(parts) > MOST_PARTS):
        rule = f"of at most {MOST_PARTS} parts joined by AND" if guided else "without AND for this model"
        raise BadValue("prompt", PARAMS["prompt"].label, recipe.prompt, rule, "Write the word in small letters.")
    return Script(
        tuple(positive),
        tuple(part.weight for part in parts),
        negative if guided and (joined or recipe.cfg_scale != 1) else None,
        tuple(tuple(text for _, text in line) for line in lines),
        _leaving(recipe, calls),
        networks.loras(found),
    )


def _leaving(recipe: Recipe, calls: int) -> Callable[[int, float], bool]:
    """Return when the negative prompt is left out: at the first calls, and below a sigma at every other or at all."""
    early, every = recipe.skip_early_cfg, recipe.ngms_all == "On"

    def leaves(step: int, sigma: float) -> bool:
        return (early > 0 and step / calls <= early) or (sigma < recipe.ngms and (every or step % 2 == 1))

    return leaves


def total(recipe: Recipe) -> int:
    """Count the steps that prompts are timed by.

    >>> total(Recipe.of(seed=0, steps=20, sampler="Euler")), total(Recipe.of(seed=0, steps=20, sampler="Heun"))
    (20, 40)
    """
    return recipe.steps * samplers.sampler(recipe.sampler).evaluations
