"""Scripts: which prompts a picture's network reads at which of its model calls.

The promise: a script is a function of the recipe, so a repeat reads the same words at the same calls. Steps of
``[from:to:N]`` and ``[a|b]`` are counted in model calls, as in A1111: their total is the recipe's steps times the
calls that the sampler makes a step, so with Heun ``[a:b:10]`` changes after ten calls, five steps. The negative prompt
changes with the steps as well, but AND joins only prompts. What cannot be obeyed, an extra network above all, is an
error and never dropped.
"""

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from webui import prompt_schedule, samplers
from webui.errors import BadValue
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

    ``negative`` is None where it is not read: at CFG scale 1, unless AND weighs prompts against it.
    """

    positive: tuple[Timeline, ...]
    weights: tuple[float, ...]
    negative: Timeline | None

    def at(self, step: int) -> tuple[str, ...]:
        """Return what is read in a step, counted from 0: the negative prompt first, if any."""
        lines = self.positive if self.negative is None else (self.negative, *self.positive)
        return tuple(prompt_schedule.at(line, step) for line in lines)

    def has_negative(self) -> bool:
        """Say whether the negative prompt has any words at any step."""
        return self.negative is not None and any(words.strip() for _, words in self.negative)

    def follow(self, prepare: Callable[[tuple[str, ...]], T]) -> Callable[[], T]:
        """Return a function that gives each model call what was prepared for its texts, the first at once.

        Only the present texts' is held: turns of many long prompts would fill any memory.
        """
        steps = itertools.count(FIRST_STEP)
        texts = self.at(FIRST_STEP)
        prepared = prepare(texts)

        def following() -> T:
            nonlocal texts, prepared
            now = self.at(next(steps))
            if now != texts:
                prepared = prepare(now)
                texts = now
            return prepared

        return following


def read(recipe: Recipe, guided: bool = True) -> Script:
    """Read a recipe's prompts.

    ``guided`` is False for models that take no negative prompt. Raises BadValue for extra networks, which are not
    loaded, and for AND where it cannot be obeyed.
    """
    calls = total(recipe)
    words, networks = prompt_schedule.networks(recipe.prompt)
    if networks:
        rule = f"without extra networks that are not loaded, such as {networks[0]}"
        hint = "Take it out, or write \\< where the text itself is meant."
        raise BadValue("prompt", PARAMS["prompt"].label, str(networks[0]), rule, hint)
    if recipe.profile == "ComfyUI":  # has neither steps nor AND in its prompts
        parts = [prompt_schedule.Part(words)]
        positive: tuple[Timeline, ...] = (((calls, words),),)
        negative: Timeline = ((calls, recipe.negative_prompt),)
    else:
        parts = prompt_schedule.parts(words)
        positive = tuple(prompt_schedule.timeline(part.text, calls) for part in parts)
        negative = prompt_schedule.timeline(recipe.negative_prompt, calls)
    joined = len(parts) > 1
    if joined and (not guided or len(parts) > MOST_PARTS):
        rule = f"of at most {MOST_PARTS} parts joined by AND" if guided else "without AND for this model"
        raise BadValue("prompt", PARAMS["prompt"].label, recipe.prompt, rule, "Write the word in small letters.")
    return Script(
        positive,
        tuple(part.weight for part in parts),
        negative if guided and (joined or recipe.cfg_scale != 1) else None,
    )


def total(recipe: Recipe) -> int:
    """Count the steps that prompts are timed by.

    >>> total(Recipe.of(seed=0, steps=20, sampler="Euler")), total(Recipe.of(seed=0, steps=20, sampler="Heun"))
    (20, 40)
    """
    return recipe.steps * samplers.sampler(recipe.sampler).evaluations
