"""Sweeping: from the axes that a person wrote to a job, and where each of its pictures lies in the grid.

The promise: every place of the grid is accounted for. It holds a picture, or waits for one, or says in a sentence why
there is none: its values do not go together, the engine could not make it, it was stopped before. How the pictures
lie is kept with the job, so the grid is the same after a restart; recipes that are equal are one picture in two places.
"""

import itertools
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any, Final, Self

from webui.axes import parse_axis
from webui.errors import BadRecipe, BadValue, JobError
from webui.gallery import Record
from webui.grid import MOST_AXES, MOST_CELLS, Axis, sweep
from webui.lineage import Lineage
from webui.presets import Preset
from webui.progress import Progress
from webui.recipe import Recipe

VERSION: Final = 1
FIELDS: Final = ("axis_x", "axis_y", "axis_z")
"""How the axes are named as fields; X runs fastest."""
STOPPED: Final = "It was stopped before this picture was made."
DELETED: Final = "The picture is no longer in the outputs folder: it was moved or deleted."


@dataclass(frozen=True)
class Legend:
    """What an axis is called and what each of its values is."""

    label: str
    captions: tuple[str, ...]


@dataclass(frozen=True)
class Row:
    """A row of a block: its caption, empty without a Y axis, and the numbers of its cells."""

    caption: str
    cells: range


@dataclass(frozen=True)
class Layout:
    """How a sweep's pictures lie: one to three legends, X first, and what is in each cell, X fastest.

    A cell is the number of its picture in the job, from 0, or the sentence of values that do not go together.
    """

    legends: tuple[Legend, ...]
    cells: tuple[int | str, ...]

    @property
    def columns(self) -> tuple[str, ...]:
        """The captions of the X axis."""
        return self.legends[0].captions

    def blocks(self) -> list[tuple[str, list[Row]]]:
        """List the values of the Z axis, a single empty one without it, each with its rows.

        >>> x, y = Legend("Steps", ("8", "20")), Legend("Seed", ("7", "9"))
        >>> Layout((x, y), (0, 1, 2, 3)).blocks()
        [('', [Row(caption='7', cells=range(0, 2)), Row(caption='9', cells=range(2, 4))])]
        """
        wide = len(self.columns)
        starts = itertools.count(0, wide)
        return [
            (title, [Row(caption, range(at := next(starts), at + wide)) for caption in self._captions(1)])
            for title in self._captions(2)
        ]

    def _captions(self, number: int) -> tuple[str, ...]:
        return self.legends[number].captions if len(self.legends) > number else ("",)

    def captions(self, cell: int) -> tuple[str, ...]:
        """Return what the axes say of a cell, X first."""
        found = []
        for legend in self.legends:
            cell, at = divmod(cell, len(legend.captions))
            found.append(legend.captions[at])
        return tuple(found)

    def to_json(self) -> str:
        """Write JSON on one line, in ASCII."""
        axes = [{"label": legend.label, "captions": [*legend.captions]} for legend in self.legends]
        return json.dumps({"version": VERSION, "axes": axes, "cells": [*self.cells]})

    @classmethod
    def from_json(cls, text: str, count: int) -> Self:
        """Read what ``to_json`` wrote for a job of ``count`` pictures; raise JobError that says what is wrong."""
        try:
            data = json.loads(text)
            if data["version"] != VERSION:
                raise JobError(
                    f"How the pictures of the sweep lie was written by another version: {data['version']!r}."
                )
            legends = tuple(Legend(str(one["label"]), tuple(map(str, one["captions"]))) for one in data["axes"])
            cells = tuple(data["cells"])
        except (ValueError, RecursionError, KeyError, TypeError):
            raise JobError(
                "How the pictures of the sweep lie is damaged: they are in the history all the same."
            ) from None
        sizes = [len(legend.captions) for legend in legends]
        sound = all(isinstance(one, str) or (type(one) is int and 0 <= one < count) for one in cells)
        if not (sound and 1 <= len(sizes) <= MOST_AXES and prod(sizes) == len(cells) and 0 < len(cells) <= MOST_CELLS):
            raise JobError("How the pictures of the sweep lie does not fit them: they are in the history all the same.")
        return cls(legends, cells)


@dataclass(frozen=True)
class Planned:
    """A sweep that can be queued: how it lies, its pictures' recipes, and where they came from."""

    layout: Layout
    recipes: tuple[Recipe, ...]
    lineage: Lineage


@dataclass(frozen=True)
class Place:
    """What a cell shows now: its picture, why there is none, or neither while it waits for its turn."""

    captions: tuple[str, ...]
    record: Record | None = None
    reason: str = ""
    working: bool = False


def read_axes(
    texts: Sequence[tuple[str, str]],
    recipe: Recipe,
    models: Sequence[str] = (),
    presets: Mapping[str, Preset] | None = None,
) -> list[Axis]:
    """Read label and values of each axis of a sweep of ``recipe``; those with neither are left out.

    >>> [axis.values for axis in read_axes([("CFG scale", "3-5"), ("", ""), ("Seed", "7")], Recipe.of(seed=0))]
    [(3.0, 4.0, 5.0), (7,)]

    Raises BadRecipe that names everything wrong, the axis as the field: ``axis_x``, ``axis_y`` or ``axis_z``.
    """
    problems, found = [], []
    for field, (label, text) in zip(FIELDS, texts, strict=False):
        try:
            if label or text.strip():
                found.append(parse_axis(label, text, recipe, models, presets))
        except BadValue as error:
            problems.append(BadValue(field, error.label, error.value, error.allowed, error.hint))
    if not found and not problems:
        hint = "Choose what it changes and write its values, such as CFG scale and 3-12."
        problems.append(BadValue(FIELDS[0], "Sweep", "", "along one axis at least", hint))
    if problems:
        raise BadRecipe(problems)
    return found


def plan(
    recipe: Recipe, axes: Sequence[Axis], lineage: Lineage, check: Callable[[Recipe], object] = lambda recipe: None
) -> Planned:
    """Lay out a sweep of a recipe; ``check`` raises BadValue or BadRecipe for one that cannot be made here.

    What was typed stays in the lineage only when every picture has the words that were drawn for it. Raises BadRecipe
    when there are too many cells, or when not one of them can be made.
    """
    try:
        found = sweep(recipe, axes)
    except BadValue as error:
        raise BadRecipe([BadValue(FIELDS[0], error.label, error.value, error.allowed, error.hint)]) from None
    numbers: dict[Recipe, int] = {}
    cells: list[int | str] = []
    for cell in found:
        refusal = str(cell.error) if cell.recipe is None else _refusal(cell.recipe, check)
        cells.append(
            numbers.setdefault(cell.recipe, len(numbers)) if cell.recipe is not None and not refusal else refusal
        )
    if not numbers:
        rule = "of values that go together in at least one cell"
        raise BadRecipe([BadValue(FIELDS[0], "Sweep", ", ".join(axis.label for axis in axes), rule, str(cells[0]))])
    layout = Layout(tuple(Legend(axis.label, tuple(map(axis.caption, axis.values))) for axis in axes), tuple(cells))
    same = {(one.prompt, one.negative_prompt, one.seed) for one in (recipe, *numbers)}
    return Planned(layout, tuple(numbers), lineage if len(same) == 1 else Lineage(lineage.parent))


def _refusal(recipe: Recipe, check: Callable[[Recipe], Any]) -> str:
    try:
        check(recipe)
    except (BadValue, BadRecipe) as error:
        return str(error)
    return ""


def layout_of(progress: Progress) -> Layout:
    """Return how the pictures of a job lie; raise JobError when it is no sweep or nobody can tell any more."""
    if progress.kind != "sweep":
        raise JobError("The job is no sweep: its pictures lie in no grid.")
    return Layout.from_json(progress.about, progress.count)


def places(layout: Layout, progress: Progress) -> list[Place]:
    """Say what each cell of a sweep shows now, X fastest."""
    made, failed = dict(progress.made), dict(progress.failed)
    rest = {"succeeded": DELETED, "canceled": STOPPED, "failed": progress.error or STOPPED}.get(progress.status, "")
    found = []
    for at, cell in enumerate(layout.cells):
        captions = layout.captions(at)
        if isinstance(cell, str):
            found.append(Place(captions, reason=cell))
        elif cell in made:
            found.append(Place(captions, made[cell]))
        else:
            working = progress.status == "running" and cell in progress.at_work
            reason = failed.get(cell, rest if cell in progress.left else DELETED)
            found.append(Place(captions, reason=reason, working=working and not reason))
    return found
