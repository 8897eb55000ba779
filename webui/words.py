"""Words: how what a person typed becomes the words of each picture, styles first, then wildcards.

The promise: it is settled at the door. Each picture draws from its own seed, prompt and negative prompt apart, and its
recipe holds only the words that came of it. What was typed is kept beside the recipe, as its lineage, and a recipe that
comes back into a form is escaped, so that its words are never drawn a second time.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final

from webui import styles, wildcards
from webui.errors import BadRecipe, BadValue
from webui.lineage import Lineage
from webui.recipe import PARAMS
from webui.styles import Style

PROMPTS: Final = ("prompt", "negative_prompt")
_SALTS: Final = {"prompt": "", "negative_prompt": "negative"}


@dataclass(frozen=True)
class Typed:
    """What was typed, the styles that were chosen, and the lists that its wildcards draw from."""

    prompt: str
    negative_prompt: str
    styles: Sequence[Style]
    lists: Mapping[str, Sequence[str]]

    @classmethod
    def of(cls, values: Mapping[str, Any], names: Sequence[str], known: Mapping[str, Style], lists: "Lists") -> "Typed":
        """Take the prompts out of a form's values; raise BadRecipe that names everything that is not allowed."""
        problems: list[BadValue] = []
        texts: dict[str, str] = {}
        for name in PROMPTS:
            try:
                texts[name] = PARAMS[name].check(values.get(name, ""))
            except BadValue as problem:
                problems.append(problem)
        try:
            chosen = styles.find(names, known)
        except BadValue as problem:
            problems.append(problem)
        if problems:
            raise BadRecipe(problems)
        typed = cls(texts["prompt"], texts["negative_prompt"], chosen, lists)
        for name, template in zip(PROMPTS, typed._styled(), strict=True):
            wildcards.check(template, lists, name)
        return typed

    def words(self, seed: int) -> dict[str, str]:
        """Return prompt and negative prompt of the picture with a seed; raise BadValue where a list cannot be drawn."""
        return {
            name: wildcards.expand(template, seed, self.lists, _SALTS[name], name)
            for name, template in zip(PROMPTS, self._styled(), strict=True)
        }

    def lineage(self, parent: str, words: Mapping[str, str]) -> Lineage:
        """Say where pictures with such words came from; templates that say no more than the words are left out."""
        plain = all(wildcards.escape(words[name]) == getattr(self, name) for name in PROMPTS)
        if plain and not self.styles:
            return Lineage(parent)
        return Lineage(parent, self.prompt, self.negative_prompt, tuple(style.name for style in self.styles))

    def _styled(self) -> tuple[str, str]:
        return styles.apply(self.prompt, self.negative_prompt, self.styles)


def template(values: Mapping[str, Any], lineage: Lineage) -> dict[str, str]:
    """Return what was typed for a recipe's prompts: its templates; its words, escaped, where none are known.

    Where styles were chosen, nothing may have been typed.
    """
    words = {name: wildcards.escape(values[name]) for name in PROMPTS if name in values}
    typed = {"prompt": lineage.template, "negative_prompt": lineage.negative_template}
    return words | {name: text for name, text in typed.items() if text or lineage.styles}


class Lists(Mapping[str, Sequence[str]]):
    """The lists of wildcards in a folder: ``*.txt``, a line for each option; in subfolders they are ``folder/name``.

    Names and lines are read when they are first asked for, names without regard to case; a list that cannot be read
    raises OSError or UnicodeDecodeError then.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._lines: dict[Path, list[str]] = {}

    @cached_property
    def _paths(self) -> dict[str, tuple[str, Path]]:
        """The lists by their names in small letters."""
        paths = sorted(path for path in self.folder.rglob("*.txt") if path.is_file())
        named = [(path.relative_to(self.folder).with_suffix("").as_posix(), path) for path in paths]
        return {name.lower(): (name, path) for name, path in named}

    def __getitem__(self, name: str) -> Sequence[str]:
        _, path = self._paths[name.lower()]
        if path not in self._lines:
            self._lines[path] = path.read_text(encoding="utf-8-sig").split("\n")
        return self._lines[path]

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and name.lower() in self._paths

    def __iter__(self) -> Iterator[str]:
        return iter(name for name, _ in self._paths.values())

    def __len__(self) -> int:
        return len(self._paths)


def read_styles(file: Path) -> tuple[dict[str, Style], list[str]]:
    """Read the styles in a file by name, and a sentence for each line that cannot be read; no file is no styles."""
    try:
        found, problems = styles.parse(file.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        return {}, []
    except OSError as error:
        return {}, [f"{file} cannot be read: {error.strerror or error}."]
    except UnicodeDecodeError:
        return {}, [f"{file} cannot be read: it is not UTF-8 text."]
    return found, [f"{file.name}: {problem}" for problem in problems]
