"""The studio: the one owner of engine, queue, gallery, presets and settings, handed to every door.

``submit`` is the common part of every door: here −1 is settled, presets are applied, a batch is numbered and recipes
come to be. Behind it there are only complete recipes.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from webui import grid, presets, reproduce, seeds, verdict
from webui.engine import Engine, script
from webui.engine.checkpoints import Catalog, Checkpoint
from webui.errors import BadRecipe, BadValue, CheckpointError, StorageError
from webui.gallery import Gallery
from webui.jobs import Jobs, Progress
from webui.params import Whole
from webui.png import PictureText
from webui.presets import Preset
from webui.recipe import PARAMS, Recipe
from webui.settings import Settings, shipped_presets
from webui.verdict import Verdict

COUNT: Final = Whole("Batch count", "How many pictures to make.", name="count", default=1, minimum=1, maximum=100)
BUNDLED: Final = "reseed"


class Studio:
    """Everything that a door needs. Open with ``Studio.open``; ``start`` begins to work, ``close`` ends it."""

    def __init__(self, settings: Settings, engine: Engine, catalog: Catalog) -> None:
        self.settings = settings
        self.engine = engine
        self.catalog = catalog
        for folder in (settings.data_dir, settings.outputs, settings.cache):
            _make_folder(folder)
        self.gallery = Gallery(settings.outputs, settings.cache / "index.db", settings.cache / "thumbnails")
        self.jobs = Jobs(settings.journal, engine, self.gallery)

    @classmethod
    def open(cls, settings: Settings) -> "Studio":
        """Compose the studio with the diffusion engine; imports neither torch nor diffusers yet."""
        from webui.engine.diffusion import DiffusionEngine

        catalog = Catalog(settings.models, hashes=settings.cache / "hashes.json")
        if settings.model is not None:
            catalog.find(settings.model)
        return cls(settings, DiffusionEngine(catalog, settings.device, settings.dtype), catalog)

    def start(self) -> None:
        """Bring the index up to date, recover the queue and begin to work; warm the chosen model meanwhile."""
        self.gallery.refresh()
        self.jobs.start()

    def close(self) -> None:
        """Stop working: the picture being made is given back to the queue."""
        self.jobs.close()
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
        """Read the presets by name: shipped ones, then the person's own, which win."""
        found: dict[str, Preset] = {}
        for folder in dict.fromkeys((shipped_presets(), self.settings.presets)):
            for path in sorted(folder.glob("*.json")):
                preset = presets.parse(path.read_text(encoding="utf-8"), path.name)
                found[preset.name] = preset
        return found

    def recipes(
        self, values: Mapping[str, Any], seed_text: str = "-1", count: object = 1, numbering: str = "increment"
    ) -> list[Recipe]:
        """Settle what a person asked for into complete recipes; raise BadRecipe that names everything wrong.

        ``values`` hold recipe fields by name; what is missing takes the model's defaults. ``seed_text`` is a seed
        field: one seed, −1 or empty, or a list with ranges, which stands for the whole batch.
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
            recipe = Recipe.of(**{**known, **_settled(values), "seed": named[0]})
            script.read(recipe)  # what a prompt asks for and nobody has is said before anything is queued
            if checkpoint is not None:
                checkpoint.check_size(recipe.width, recipe.height)
            if recipe.variation_strength and len(named) == 1:  # as in A1111: one composition, varied
                axis = grid.Axis("variation_seed", tuple(seeds.batch(recipe.variation_seed, pictures, rule)))
            else:
                axis = grid.Axis("seed", tuple(named if len(named) > 1 else seeds.batch(named[0], pictures, rule)))
        if problems:
            raise BadRecipe(problems)
        return grid.expand(recipe, [axis])

    def _checkpoint(self, model: object) -> Checkpoint:
        """Find the model that is asked for; one that is not here is a bad value."""
        try:
            return self.about(str(model))
        except CheckpointError as error:
            raise BadValue("model", "Model", model, "a model that is here", str(error)) from None

    def submit(
        self,
        values: Mapping[str, Any],
        seed_text: str = "-1",
        count: object = 1,
        numbering: str = "increment",
        key: str | None = None,
    ) -> Progress:
        """Settle and queue; return the job's first progress, with every seed in it. Raises like ``recipes``."""
        return self.jobs.submit(self.recipes(values, seed_text, count, numbering), key)

    def recall(self, text: PictureText) -> Verdict:
        """Say whether what a picture carries can give the same picture here, and why not; nothing is made."""
        return reproduce.expected(text, self.catalog, verdict.present(self.settings.device, self.settings.dtype))

    def count_tokens(self, text: str, model: str) -> tuple[int, int] | None:
        """Count a prompt's tokens and the room in their chunks, or None while the model is not loaded."""
        return self.engine.count_tokens(text, model)


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
