"""The studio: the one owner of engine, queue, gallery, presets and settings, handed to every door.

``submit`` is the common part of every door: here −1 is settled, a batch is numbered, styles are applied, wildcards are
drawn and recipes come to be. Behind it there are only complete recipes.
"""

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, Final, Self

from webui import engines, grid, hold, presets, reproduce, seeds, sweeping, verdict, words
from webui.checks import Checks
from webui.drafts import Drafts
from webui.engine import Engine, script
from webui.engine.checkpoints import Catalog, Checkpoint
from webui.errors import BadRecipe, BadValue, CheckpointError, JobError, LimitError, ReseedError, StorageError
from webui.favourites import Favourites
from webui.gallery import Gallery
from webui.jobs import Jobs
from webui.journal import Key
from webui.limits import Limits
from webui.lineage import UNKNOWN, Lineage
from webui.params import Whole
from webui.png import PictureText
from webui.preset_files import PresetFiles
from webui.presets import Preset
from webui.progress import Progress
from webui.recipe import PARAMS, Recipe
from webui.settings import Settings, shipped_presets
from webui.styles import Style
from webui.sweeping import Planned
from webui.trash import Trash
from webui.verdict import Verdict
from webui.words import Lists, Typed

COUNT: Final = Whole("Batch count", "How many pictures to make.", name="count", default=1, minimum=1, maximum=100)
BUNDLED: Final = "reseed"
SEEDS: Final = 12
"""So many seeds are explored at once."""


class Studio:
    """Everything that a door needs. Open with ``Studio.open``; ``start`` begins to work, ``close`` ends it."""

    def __init__(self, settings: Settings, engine: Engine, catalog: Catalog) -> None:
        self.settings = settings
        self.engine = engine
        self.catalog = catalog
        for folder in (settings.data_dir, settings.outputs, settings.cache):
            _make_folder(folder)
        self.gallery = Gallery(settings.outputs, settings.cache / "index.db", settings.cache / "thumbnails")
        self.favourites = Favourites(settings.favourites)
        self.trash = Trash(self.gallery)
        self.drafts = Drafts(settings.drafts)
        self.preset_files = PresetFiles(shipped_presets(), settings.presets)
        self.jobs = Jobs(settings.journal, engine, self.gallery, self.drafts)
        self.jobs.limits = Limits() if settings.door.demo else None
        catalog.hub = catalog.hub and not settings.door.demo  # no visitor makes this machine download a model
        self.checks = Checks(settings, catalog, self.jobs)

    def of(self, owner: str) -> Self:
        """Return the studio as an owner sees it: pictures, jobs, checks and trash are the owner's own.

        Every door asks with the owner of each request, see ``webui.api.gate``. An empty owner sees all; where people
        are told apart there is none, and ReseedError is raised.
        """
        if self.settings.door.is_guarded and not owner:
            raise ReseedError("Nobody knows whose request this is. Log in again, or open the page again.")
        seen = copy.copy(self)
        seen.gallery, seen.jobs = self.gallery.of(owner), self.jobs.of(owner)
        seen.trash, seen.checks = Trash(seen.gallery), self.checks.of_owner(seen.jobs)
        return seen

    def must_not_be_demo(self, what: str) -> None:
        """Raise LimitError in a demo, where some of what is kept is everybody's; ``what`` begins the sentence."""
        if self.settings.door.demo:
            raise LimitError(f"{what} not possible in this demo.")

    @classmethod
    def open(cls, settings: Settings) -> "Studio":
        """Compose the studio with the diffusion engine, or a cluster's; imports neither torch nor diffusers yet."""
        found = catalog(settings)
        if settings.model is not None:
            found.find(settings.model)
        return cls(settings, engines.engine(settings, found), found)

    def start(self) -> None:
        """Bring the index up to date, recover the queue and begin to work; warm the chosen model meanwhile."""
        self.gallery.refresh()
        self.jobs.start()

    def close(self) -> None:
        """Stop working: the picture being made is given back to the queue."""
        self.jobs.close()
        self.engine.close()
        self.gallery.close()

    @property
    def model(self) -> str:
        """The model that the form begins with."""
        return self.settings.model or BUNDLED

    def models(self) -> list[str]:
        """List the models that are here by name, the bundled one first."""
        return self.catalog.names()

    def about(self, model: str) -> Checkpoint:
        """Describe a model; raise CheckpointError when it is not here."""
        return self.catalog.find(model)

    def defaults(self, model: str | None = None) -> dict[str, Any]:
        """Return the form's first values for a model: the recipe's defaults, its native size, its suggestions."""
        checkpoint = self.about(model or self.model)
        return {
            **{name: param.default for name, param in PARAMS.items() if not param.required},
            "width": checkpoint.width,
            "height": checkpoint.height,
            **checkpoint.defaults,
            "model": checkpoint.name,
        }

    def presets(self) -> dict[str, Preset]:
        """Read the presets by name: shipped ones, then the person's own, which win; raise StorageError for a bad file.

        Those that only hold the styles of ``styles.csv`` are not among them: see ``styles``.
        """
        found, problems = self.preset_files.read()
        if problems:
            raise StorageError(problems[0])
        return found

    def styles(self) -> tuple[dict[str, Style], list[str]]:
        """Read all words that can be put around a prompt, by name, and a sentence for each that cannot be read.

        Of one name, the words of a person's own preset win over those of ``styles.csv``, and these over shipped ones.
        """
        table, problems = words.read_styles(self.settings.styles)
        rows = [Preset(style.name, style.prompt, style.negative_prompt) for style in table.values()]
        shipped, own = self.preset_files.shipped(), self.preset_files.own()
        merged = presets.merge(shipped.presets, rows, own.presets)
        found = {name: preset.style for name, preset in merged.items()}
        styles = {name: style for name, style in found.items() if style is not None}
        return styles, [*own.problems, *shipped.problems, *problems]

    def family(self, model: str) -> str:
        """Return what a preset's ``families`` call a model: its family, or its name where it is the bundled one."""
        return model if model == BUNDLED else self.about(model).family

    def settle(  # noqa: PLR0913, PLR0917 — what a form holds
        self,
        values: Mapping[str, Any],
        seed_text: str = "-1",
        count: object = 1,
        numbering: str = "increment",
        lineage: Lineage = UNKNOWN,
        share: float = 0.0,
    ) -> tuple[list[Recipe], Lineage]:
        """Settle what a person asked for into complete recipes and where they came from.

        ``values`` hold recipe fields by name; what is missing takes the model's defaults. The prompts are templates:
        wildcards in them are drawn from each picture's seed, see ``webui.words``. ``seed_text`` is a seed field: one
        seed, −1 or empty, or a list with ranges, which stands for the whole batch. Of ``lineage`` the parent and the
        names of the styles count. With a ``share`` above 0, the prompts are held to the parent's for that share of the
        steps, see ``webui.hold``; without a parent there is nothing to hold. Raises BadRecipe that names everything
        wrong.
        """
        problems: list[BadValue] = []
        named: list[int] = [0]
        pictures, rule = 1, seeds.NUMBERINGS[0]
        checkpoint: Checkpoint | None = None
        with _noting(problems):
            named = seeds.expand(seed_text)
        with _noting(problems):
            pictures = COUNT.check(count)
        with _noting(problems):
            rule = _numbering(numbering)
        with _noting(problems):
            checkpoint = self._checkpoint(values.get("model", self.model))
        known = self.defaults(checkpoint.name) if checkpoint is not None else {}
        with _noting(problems):
            recipe = Recipe.of(**{**known, **_settled(values), **dict.fromkeys(words.PROMPTS, ""), "seed": named[0]})
            if checkpoint is not None:
                checkpoint.check(recipe)
            if recipe.variation_strength and len(named) == 1:  # as in A1111: one composition, varied
                axis = grid.Axis("variation_seed", tuple(seeds.batch(recipe.variation_seed, pictures, rule)))
            else:
                axis = grid.Axis("seed", tuple(named if len(named) > 1 else seeds.batch(named[0], pictures, rule)))
        with _noting(problems):
            typed = Typed.of(values, lineage.styles, self.styles()[0], Lists(self.settings.wildcards))
            typed.words(named[0])
            parent = self._held(lineage.parent) if hold.SHARE.check(share) else None
            if checkpoint is not None and not problems:
                recipes = [_worded(one, typed, parent, share) for one in grid.expand(recipe, [axis])]
                for one in {(one.prompt, one.negative_prompt): one for one in recipes}.values():
                    self.catalog.networks.used(one, checkpoint)
        if problems:
            raise BadRecipe(problems)
        return recipes, typed.lineage(lineage.parent, {name: getattr(recipes[0], name) for name in words.PROMPTS})

    def parent(self, id: str) -> Recipe | None:
        """Return the recipe of a picture by its id, or by its origin while it is made; None when it is not there."""
        record = self.gallery.get(id)
        if record is not None:
            return record.recipe
        job, _, number = id.partition(":")
        try:
            return self.jobs.progress(job).recipes[int(number)]
        except (JobError, ValueError, IndexError):
            return None

    def _held(self, id: str) -> Recipe | None:
        """Return the recipe that is held to; a parent that is gone is a bad value."""
        found = self.parent(id) if id else None
        if id and found is None:
            rule = "0 without the picture that is held to: it is no longer here"
            raise BadValue("share", hold.SHARE.label, id, rule, "Bring another picture's seed or words into the form.")
        return found

    def _checkpoint(self, model: object) -> Checkpoint:
        """Find the model that is asked for; one that is not here is a bad value."""
        try:
            return self.about(str(model))
        except CheckpointError as error:
            raise BadValue("model", "Model", model, "a model that is here", str(error)) from None

    def submit(  # noqa: PLR0913, PLR0917 — what a form holds
        self,
        values: Mapping[str, Any],
        seed_text: str = "-1",
        count: object = 1,
        numbering: str = "increment",
        lineage: Lineage = UNKNOWN,
        share: float = 0.0,
        *,
        key: Key | None = None,
    ) -> Progress:
        """Settle and queue; return the job's first progress, with every seed in it. Raises like ``settle``."""
        recipes, came = self.settle(values, seed_text, count, numbering, lineage, share)
        return self.jobs.submit(recipes, key, came)

    def settle_seeds(
        self, values: Mapping[str, Any], seed_text: str = "-1", lineage: Lineage = UNKNOWN, share: float = 0.0
    ) -> tuple[list[Recipe], Lineage]:
        """Settle what a person wants to explore, like ``settle``: SEEDS seeds one after the other, or those listed."""
        recipes, came = self.settle(values, seed_text, SEEDS, lineage=lineage, share=share)
        if len(recipes) > COUNT.maximum:
            allowed = f"a list of at most {COUNT.maximum} seeds to explore"
            raise BadValue("seed", PARAMS["seed"].label, seed_text, allowed, "Generate takes more.")
        return recipes, came

    def explore(
        self,
        values: Mapping[str, Any],
        seed_text: str = "-1",
        lineage: Lineage = UNKNOWN,
        share: float = 0.0,
        *,
        sheet: str = "",
    ) -> Progress:
        """Settle and queue drafts of many seeds; raises like ``settle_seeds``.

        ``sheet`` is the first job of the contact sheet that they are added to. The job's ``about`` is ``SHEET:SHARE``.
        To finish some, submit their recipes to ``jobs``: what was drawn is not made again, see ``webui.making``.
        """
        recipes, came = self.settle_seeds(values, seed_text, lineage, share)
        return self.jobs.submit(recipes, None, came, kind="explore", about=f"{sheet}:{share}")

    def plan(
        self,
        axes: Sequence[tuple[str, str]],
        values: Mapping[str, Any],
        seed_text: str = "-1",
        lineage: Lineage = UNKNOWN,
        share: float = 0.0,
    ) -> Planned:
        """Settle a sweep: up to three axes as label and values, and for everything else what ``settle`` takes.

        A random seed is drawn once for all cells, and so are wildcards. Raises BadRecipe that names everything wrong,
        an axis as ``axis_x``, ``axis_y`` or ``axis_z``.
        """
        problems: list[BadValue] = []
        recipe, came, found = Recipe.of(seed=0), UNKNOWN, list[grid.Axis]()
        with _noting(problems):
            recipes, came = self.settle(values, seed_text, 1, seeds.NUMBERINGS[0], lineage, share)
            recipe = recipes[0]
        if all(problem.field != "seed" for problem in problems) and len(seeds.expand(seed_text)) > 1:
            rule, hint = "one seed for a sweep", f"For more, take the axis {PARAMS['seed'].label}."
            problems.append(BadValue("seed", PARAMS["seed"].label, seed_text, rule, hint))
        if problems:
            with _noting([]):  # the axes are read all the same: what is typed is the nearest to their recipe
                recipe = recipe.but(**{name: values.get(name, "") for name in words.PROMPTS})
        with _noting(problems):
            found = sweeping.read_axes(axes, recipe, self.models(), self.presets())
        if problems:
            raise BadRecipe(problems)
        return sweeping.plan(recipe, found, came, self._checker())

    def sweep(self, planned: Planned) -> Progress:
        """Queue a sweep; return the job's first progress."""
        about = planned.layout.to_json()
        return self.jobs.submit(planned.recipes, lineage=planned.lineage, kind="sweep", about=about)

    def _checker(self) -> Callable[[Recipe], None]:
        """Return what raises BadValue for a complete recipe that cannot be made here; each model is found once."""
        find = cache(self._checkpoint)

        def check(recipe: Recipe) -> None:
            checkpoint = find(recipe.model)
            checkpoint.check(recipe)
            script.read(recipe)
            self.catalog.networks.used(recipe, checkpoint)

        return check

    def recall(self, text: PictureText) -> Verdict:
        """Say whether what a picture carries can give the same picture here, and why not; nothing is made."""
        return reproduce.expected(text, self.catalog, verdict.present(self.settings.device, self.settings.dtype))

    def count_tokens(self, text: str, model: str) -> tuple[int, int] | None:
        """Count a prompt's tokens and the room in their chunks, or None while the model is not loaded."""
        return self.engine.count_tokens(text, model)


def catalog(settings: Settings) -> Catalog:
    """Return the models, LoRAs and embeddings that are here."""
    hashes = settings.cache / "hashes.json"
    return Catalog(settings.models, hashes=hashes, loras=settings.loras, embeddings=settings.embeddings)


def _worded(recipe: Recipe, typed: Typed, parent: Recipe | None, share: float) -> Recipe:
    """Give a picture its words, held to its parent's; what cannot be made of them is said before it is queued."""
    worded = recipe.but(**typed.words(recipe.seed))
    if parent is not None:
        worded = hold.hold_recipe(parent, worded, share)
    script.read(worded)
    return worded


def _settled(values: Mapping[str, Any]) -> dict[str, Any]:
    """Draw the variation seed where −1 or nothing asks for one and it counts; where it does not count it is 0."""
    text = str(values.get("variation_seed", "0"))
    if not seeds.is_random(text):
        return dict(values)
    return {**values, "variation_seed": seeds.draw() if values.get("variation_strength") else 0}


@contextmanager
def _noting(problems: list[BadValue]) -> Iterator[None]:
    """Note what is not allowed instead of stopping at it, so that everything can be named at once."""
    try:
        yield
    except BadRecipe as error:
        problems += error.errors
    except BadValue as error:
        problems.append(error)


def _numbering(name: str) -> seeds.Numbering:
    for known in seeds.NUMBERINGS:
        if known == name:
            return known
    raise BadValue("numbering", "Seeds of the batch", name, f"one of {', '.join(seeds.NUMBERINGS)}")


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(
            f"The folder {folder} cannot be made: {error.strerror}. Choose another with --data-dir."
        ) from None
