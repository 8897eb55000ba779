"""Reproduce: make a picture again from what it says of itself, and compare.

The promise: the recipe in the picture is what is made, with the very model it names, known by its hash; when that is
not here, nothing is made and no other takes its place. *identical* means that every pixel is equal; else the difference
is given in figures, with everything that is not as it was when the picture was made.
"""

import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final, Literal

from PIL import Image

from webui import networks, pixels, png, verdict
from webui.engine import Engine
from webui.engine.checkpoints import Catalog
from webui.errors import (
    BadRecipe,
    BadValue,
    CheckpointError,
    NetworkError,
    PictureError,
    ReseedError,
    StorageError,
    shown,
)
from webui.fingerprint import Fingerprint
from webui.networks import Here
from webui.pixels import Difference
from webui.png import PictureText
from webui.recipe import PARAMS, Recipe
from webui.verdict import Verdict

Outcome = Literal["identical", "differs", "environment", "unreadable", "failed"]

EXIT: Final[dict[Outcome, int]] = {"identical": 0, "differs": 1, "failed": 1, "unreadable": 2, "environment": 3}
"""The command line's status for each outcome; that of several pictures is the smallest that is not 0."""

_TELLING: Final = ("steps", "sampler", "cfg_scale", "model")
"""What changes every picture, and has a default that need not be what another program used."""


@dataclass(frozen=True)
class Result:
    """What came of making a picture again.

    ``environment`` says what is not as it was: (then, now) by field of the fingerprint. ``kept`` and ``made`` are the
    pixels on disk and those made now, when both are there.
    """

    path: Path
    outcome: Outcome
    sentence: str
    verdict: Verdict | None = None
    difference: Difference | None = None
    environment: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    recorded_sha256: str | None = None
    kept_sha256: str | None = None
    made_sha256: str | None = None
    fingerprint: Fingerprint | None = None
    kept: Image.Image | None = field(default=None, repr=False)
    made: Image.Image | None = field(default=None, repr=False)

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        return {
            "path": os.fsencode(self.path).decode("utf-8", "backslashreplace"),
            "outcome": self.outcome,
            "sentence": self.sentence,
            "verdict": None if self.verdict is None else self.verdict.to_dict(),
            "difference": None if self.difference is None else self.difference.to_dict(),
            "environment": {name: {"then": then, "now": now} for name, (then, now) in self.environment.items()},
            "pixels_sha256": {"recorded": self.recorded_sha256, "kept": self.kept_sha256, "made": self.made_sha256},
            "fingerprint": None if self.fingerprint is None else self.fingerprint.to_dict(),
        }


@dataclass(frozen=True)
class Remake:
    """A picture that can be made again here: what it says, its pixels, and the recipe to make."""

    path: Path
    text: PictureText
    kept: Image.Image = field(repr=False)
    recipe: Recipe

    def compare(self, made: Image.Image, by: Fingerprint) -> Result:
        """Compare the picture with the one that was made of the recipe just now."""
        return _compared(Result(self.path, "identical", "", kept=self.kept, made=made, fingerprint=by), self.text)

    def failed(self, error: ReseedError) -> Result:
        """Say that it could not be made."""
        if isinstance(error, CheckpointError):
            return _without_model(self.path, self.recipe, _digest(self.text, self.recipe), error)
        outcome: Outcome = "environment" if isinstance(error, NetworkError) else "failed"
        return Result(self.path, outcome, f"It could not be made again. {error}")


def reproduce(path: Path, engine: Engine, catalog: Catalog) -> Result:
    """Make the picture in a file again with an engine and compare; faults become outcomes, never exceptions."""
    remake = prepared(path, catalog)
    if isinstance(remake, Result):
        return remake
    try:
        *_, last = engine.generate(remake.recipe)
    except ReseedError as error:
        return remake.failed(error)
    assert last.image is not None
    assert last.fingerprint is not None
    return remake.compare(last.image, last.fingerprint)


def prepared(path: Path, catalog: Catalog) -> Remake | Result:
    """Read a file and find its model; when it cannot be read or its model is not here, that is the result."""
    try:
        text = png.read(path)
        kept = pixels.decoded(path)
        wanted = _recipe(text, kept)
    except (PictureError, BadRecipe) as error:
        return Result(path, "unreadable", str(error))
    digest = _digest(text, wanted)
    try:
        return Remake(path, text, kept, settled(wanted, digest, catalog))
    except CheckpointError as error:
        return _without_model(path, wanted, digest, error)


def settled(recipe: Recipe, digest: str, catalog: Catalog) -> Recipe:
    """Name the model that is here under the hash that a picture names, whatever it is called now.

    Raises CheckpointError, naming the model by name and hash, when no such model is here.
    """
    try:
        checkpoint = catalog.find(recipe.model)
        if checkpoint.path is None:  # a hub id that is not downloaded: the engine gets it and compares the hash
            return recipe
        if not digest or catalog.hash(checkpoint).startswith(digest.lower()):
            return recipe
        here = f"the one here that has its name has the hash {catalog.hash(checkpoint)[:10]} and is another"
    except CheckpointError:
        here = f"here are: {', '.join(catalog.names()) or 'none'}"
    if len(digest) >= 10:
        for checkpoint in catalog.all():
            if catalog.hash(checkpoint).startswith(digest.lower()):
                return recipe.but(model=checkpoint.name)
    known = f" with the hash {digest}" if digest else ""
    raise CheckpointError(
        f"The picture was made with the model {recipe.model}{known}, which is not here; {here}. Put that model into "
        "the models folder."
    )


def expected(text: PictureText, catalog: Catalog, now: Fingerprint) -> Verdict:
    """Come to a verdict on a picture without making it; of the models only the one that it names is hashed."""
    named = text.fingerprint.model if text.fingerprint is not None else _value(text, "model")
    models, here = dict.fromkeys(catalog.names(), ""), _networks_here(text, catalog)
    with suppress(CheckpointError):  # it is not here, and the verdict says so
        checkpoint = catalog.find(named)
        models[named] = catalog.hash(checkpoint) if checkpoint.path is not None else ""
    return verdict.judge(
        now,
        models,
        here,
        made=text.fingerprint,
        reading=text.reading,
        source=text.source,
        pixels_sha256=text.pixels_sha256,
    )


def _networks_here(text: PictureText, catalog: Catalog) -> Here:
    """Return the hashes of the LoRAs and embeddings that a picture names, and of embeddings that its words name now."""
    wanted = verdict.wanted_networks(text.fingerprint, text.reading)
    found = {kind: catalog.networks.here(kind, [*names]) for kind, names in wanted.items()}
    with suppress(BadValue):  # a prompt that is not allowed names nothing
        named = catalog.networks.named(text.recipe) if text.recipe is not None else []
        found["embedding"] |= catalog.networks.here("embedding", named)
    return found


def difference_picture(result: Result) -> tuple[bytes, int] | None:
    """Draw the difference as a PNG, brightened by a factor; None when there is no difference to draw."""
    if result.kept is None or result.made is None or result.difference is None or not result.difference.maximum:
        return None
    drawn, factor = pixels.amplified(result.kept, result.made)
    name = shown(result.path.name, 80).strip("'\"")
    return png.encode(drawn, {"Comment": f"Difference of {name}, times {factor}"}), factor


def write_difference(result: Result, target: Path) -> int | None:
    """Write the difference, brightened, as a PNG; return the factor, None when there is no difference to draw.

    Raises StorageError when the file cannot be written; an existing file is never overwritten.
    """
    drawn = difference_picture(result)
    if drawn is None:
        return None
    data, factor = drawn
    try:
        with target.open("xb") as file:
            file.write(data)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise StorageError(f"The difference was not written to {target}: {reason}.") from None
    return factor


def _recipe(text: PictureText, kept: Image.Image) -> Recipe:
    """Return the recipe of a picture; that of another program's is what its infotext says, and the picture's size."""
    if text.recipe is not None:
        return text.recipe
    if text.reading is None:
        raise PictureError("The picture carries no recipe.")
    if text.reading.problems:
        raise BadRecipe(text.reading.problems)
    if "seed" not in text.reading.values:
        raise BadRecipe([BadValue("seed", "Seed", None, "named by the picture")])
    return Recipe.of(**{"width": kept.width, "height": kept.height, **text.reading.values})


def _digest(text: PictureText, recipe: Recipe) -> str:
    return text.fingerprint.model_hash if text.fingerprint is not None else recipe.model_hash


def _compared(result: Result, text: PictureText) -> Result:
    kept, made, by = result.kept, result.made, result.fingerprint
    assert kept is not None
    assert made is not None
    assert by is not None
    kept_sha256, made_sha256 = png.pixels_sha256(kept), png.pixels_sha256(made)
    equal = kept_sha256 == made_sha256
    edited = not equal and made_sha256 == text.pixels_sha256
    changed = verdict.changed(text.fingerprint, by) if text.fingerprint is not None else {}
    named = text.fingerprint.model if text.fingerprint is not None else _value(text, "model")
    judged = verdict.judge(
        by,
        {by.model: by.model_hash, named: by.model_hash},
        {
            kind: {name: (digest,) for name, digest in used.items()}
            for kind, used in networks.of_fingerprint(by).items()
        },
        made=text.fingerprint,
        reading=text.reading,
        source=text.source,
        pixels_sha256=text.pixels_sha256,
        proved=equal,
    )
    outcome: Outcome = "identical" if equal else "differs"
    if not equal and not edited and (changed or text.fingerprint is None):
        outcome = "environment"
    done = replace(
        result,
        outcome=outcome,
        verdict=judged,
        difference=pixels.compare(kept, made) if kept.size == made.size else None,
        environment=changed,
        recorded_sha256=text.pixels_sha256,
        kept_sha256=kept_sha256,
        made_sha256=made_sha256,
    )
    return replace(done, sentence=" ".join(_sentences(done, text, edited)))


def _sentences(result: Result, text: PictureText, edited: bool) -> Iterator[str]:
    assert result.kept is not None
    assert result.made is not None
    if result.outcome == "identical":
        though = ", though not all is as it was" if result.environment else ""
        yield f"Identical: made again here, every pixel is equal{though}."
        if result.recorded_sha256 not in (None, result.made_sha256):
            yield "But the hash that is recorded in the file is another: the record was changed."
    elif result.difference is None:
        sizes = [f"{image.width}×{image.height}" for image in (result.kept, result.made)]
        yield f"Differs: it has {sizes[0]} pixels, made again it has {sizes[1]}."
    elif not result.difference.maximum:
        yield f"Differs only in its mode: {result.kept.mode} instead of {result.made.mode}."
    else:
        yield f"Differs: {result.difference}."
    if edited:
        yield "Its recipe still gives the pixels that were recorded: the file was changed after it was saved."
    elif result.outcome == "differs":
        yield (
            "What is recorded of how it was made is the same here: what differs is the recipe, the pixels or the "
            "processor."
        )
    assumed = [PARAMS[name].label for name in _TELLING if text.reading is not None and not _value(text, name)]
    if assumed:
        yield f"The picture does not say {', '.join(assumed)}: the defaults were taken."


def _value(text: PictureText, name: str) -> str:
    return str(text.reading.values.get(name, "")) if text.reading is not None else ""


def _without_model(path: Path, recipe: Recipe, digest: str, error: CheckpointError) -> Result:
    gone = {"model": (recipe.model, ""), "model_hash": (digest, "")}
    return Result(path, "environment", str(error), environment=gone)
