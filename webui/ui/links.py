"""Links: recipes that leave the page as an address, and addresses that fill the form.

The promise: opening a link fills the form with exactly its recipe and starts nothing; a link that cannot be read
leaves the form as it is and gets a sentence. Links are relative to where the page was opened, so they work behind any
host name and path: the browser puts its own address before what is written here.
"""

from collections.abc import Sequence
from typing import Any

import gradio as gr

from webui import link, wildcards
from webui.errors import BadRecipe, BadValue, CheckpointError
from webui.recipe import Recipe
from webui.studio import Studio
from webui.ui import form, views
from webui.ui.desk import owner_of
from webui.ui.recall import Found, Recall, nothing
from webui.words import PROMPTS


class Links:
    """The handlers of links, over one studio."""

    def __init__(self, studio: Studio, recall: Recall) -> None:
        self.studio = studio
        self.recall = recall

    def write(self, request: gr.Request, *arguments: Any) -> tuple[str, str]:
        """Write the form as it stands as a link's parameters, and a note on what was settled for it."""
        try:
            values, seed, count, numbering, came, share = form.read(arguments)
            recipes, _ = self.studio.of(owner_of(request)).settle(values, seed, count, numbering, came, share)
            return link.write(recipes[0]), views.note(_settled(recipes, values, seed, came.styles))
        except (BadValue, BadRecipe) as problem:
            return "", views.note(f"There is no link of the form as it stands. {problem}", "wrong")

    def copy(self, request: gr.Request, memory: Any, shown: str, *arguments: Any) -> tuple[str, str]:
        """Write what is checked like a click on Generate."""
        return self.write(request, *arguments)

    def open(self, address: str, before: str) -> list[Any]:
        """Fill the form with the recipe of an address; without one, do nothing."""
        if not address:
            return [*nothing(), views.note("")]
        try:
            recipe = link.read(address)
        except (BadValue, BadRecipe) as problem:
            said = f"The link cannot be read; the form is as it was. {problem}"
            return [*nothing(), views.note(said, "wrong")]
        lines = ["Nothing is made until you press Generate.", *self._other_model(recipe)]
        return self.recall.fill(Found(recipe.values()), "link", before, lines)

    def _other_model(self, recipe: Recipe) -> list[str]:
        """Say when the model that is here under the name is another one than that of the link."""
        if not recipe.model_hash or recipe.model not in self.studio.models():  # the form says that it is not here
            return []
        try:
            self.studio.catalog.find(recipe.model, recipe.model_hash)
        except CheckpointError:
            other = f"the model {recipe.model} of the link has the hash {recipe.model_hash}, the one here has another."
            return [f"The picture will differ here: {other}"]
        return []


def _settled(recipes: Sequence[Recipe], values: dict[str, Any], seed: str, styles: Sequence[str]) -> str:
    """Say what of the form a link does not hold: a draw, a batch, a template."""
    recipe = recipes[0]
    said = [f"The link holds seed {recipe.seed}."]
    if str(recipe.seed) != seed.strip():
        said = [f"The link holds one picture: seed {recipe.seed}."]
    if styles or any(wildcards.escape(getattr(recipe, name)) != values[name] for name in PROMPTS):
        said.append("It holds the words as they are read: drawn, in their styles and held, not what was typed.")
    return " ".join(said)
