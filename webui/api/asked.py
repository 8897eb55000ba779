"""What a JSON door read of a body: values for the studio, each with its path in the body, and everything wrong with it.

The promise: a body is settled whole or refused whole. Every bad field is named at once by its own path in the body
(``size.width``, ``seeds[2]``), and no member that means nothing here is passed over in silence.
"""

import hashlib
import json
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

from webui import seeds
from webui.errors import BadRecipe, BadValue, near
from webui.lineage import Lineage
from webui.recipe import PARAMS, Recipe
from webui.studio import Studio

LISTED: Final = 20
"""So many unknown members of one object are named one by one."""
OWN: Final = (*PARAMS, "numbering", "parent", "share")
"""What a door takes under ``reseed``: all of the recipe by its own names, and how it is settled."""
_PLAIN: Final = {"numbering": "Seeds of the batch", "parent": "Parent"}
_DRAWN: Final = "or −1 for a random one"


@dataclass
class Asked:
    """What is asked of the studio, see ``Studio.settle``; ``paths`` say where in the body a field came from."""

    values: dict[str, Any] = field(default_factory=dict)
    seed_text: str = "-1"
    count: object = 1
    numbering: str = seeds.NUMBERINGS[0]
    styles: tuple[str, ...] = ()
    parent: str = ""
    share: object = 0.0
    paths: dict[str, str] = field(default_factory=dict)
    problems: list[BadValue] = field(default_factory=list)

    @contextmanager
    def noting(self) -> Iterator[None]:
        """Note what is not allowed instead of stopping at it."""
        try:
            yield
        except BadValue as error:
            self.problems.append(error)

    def took(self, name: str, path: str, value: object) -> bool:
        """Note where a field of the recipe came from; False, with a problem, when another member gave it before."""
        if name in self.paths:
            self.problems.append(BadValue(path, path, value, f"left out where {self.paths[name]} is given"))
            return False
        self.paths[name] = path
        return True

    def put(self, name: str, path: str, value: object) -> None:
        """Take a value of the recipe as it stands in the body."""
        if self.took(name, path, value):
            self.values[name] = value

    def members(self, found: object, known: Collection[str], path: str = "") -> dict[str, Any]:
        """Return the members of an object that mean something here; every other one is a problem."""
        if not isinstance(found, dict):
            self.problems.append(BadValue(path, path, found, f"a JSON object with {_listed(known)}"))
            return {}
        unknown = [name for name in found if name not in known]
        for name in unknown[:LISTED]:
            rule = f"one of {_listed(known)}"
            problem = BadValue(inside(path, name[:100]), _member(path), name, rule, near(name[:100], known))
            self.problems.append(problem)
        if len(unknown) > LISTED:
            rule = f"one of {_listed(known)}"
            more = f"So must {len(unknown) - LISTED} more."
            self.problems.append(BadValue(path or "body", _member(path), unknown[LISTED][:100], rule, more))
        return {name: value for name, value in found.items() if name in known}

    def seed(self, path: str, value: object) -> str:
        """Read one seed of the body as text: its digits, −1 for a random one, nothing when it is none."""
        if (type(value) is int and value == -1) or (isinstance(value, str) and seeds.is_random(value)):
            return "-1"
        seed = PARAMS["seed"].accept(value)
        if seed is None:
            self.problems.append(BadValue(path, PARAMS["seed"].label, value, f"{PARAMS['seed'].rule}, {_DRAWN}"))
            return ""
        return str(seed)

    def own(self, found: object, path: str = "reseed") -> None:
        """Take what is under ``reseed``, see ``OWN``."""
        for name, value in self.members(found, OWN, path).items():
            where = inside(path, name)
            if name == "seed":
                if self.took(name, where, value):
                    self.seed_text = self.seed(where, value)
            elif name == "share":
                self.share = value
                self.paths[name] = where
            elif name not in _PLAIN:
                self.put(name, where, value)
            elif isinstance(value, str):
                setattr(self, name, value)
                self.paths[name] = where
            else:
                self.problems.append(BadValue(where, _PLAIN[name], value, "text"))

    def settle(self, studio: Studio) -> tuple[list[Recipe], Lineage]:
        """Settle what was asked; raise BadRecipe that names everything wrong by its path in the body."""
        problems = list(self.problems)
        lineage = Lineage(styles=self.styles)
        try:
            lineage = Lineage(self.parent, styles=self.styles)
        except BadValue as error:
            problems.append(self._placed(error))
        try:
            settled = studio.settle(
                self.values,
                self.seed_text,
                self.count,
                self.numbering,
                lineage,
                self.share,  # type: ignore[arg-type]
            )
        except BadRecipe as error:
            problems += [self._placed(one) for one in error.errors]
        except BadValue as error:
            problems.append(self._placed(error))
        if problems:  # of one field, the first says enough
            raise BadRecipe(_first(problems))
        return settled

    def _placed(self, error: BadValue) -> BadValue:
        return error.at(self.paths.get(error.field, error.field))


def inside(path: str, name: str) -> str:
    """Name a member of the object at a path.

    >>> inside("size", "width"), inside("", "prompt")
    ('size.width', 'prompt')
    """
    return f"{path}.{name}" if path else name


def digest(found: object, door: str) -> str:
    """Return the SHA-256 of what a body says, whatever its spaces and the order of its members."""
    text = json.dumps(found, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(f"{door} {text}".encode()).hexdigest()


def kept(about: str, door: str) -> Mapping[str, Any]:
    """Read what a door kept with a job in its ``about``; nothing of another door's, or of none."""
    try:
        found = json.loads(about or "{}")
    except ValueError:
        return {}
    own = found.get(door, {}) if isinstance(found, dict) else {}
    return own if isinstance(own, dict) else {}


def keep(door: str, values: Mapping[str, Any]) -> str:
    """Write what a door keeps with a job."""
    return json.dumps({door: values}, ensure_ascii=False)


def checked(asked: Asked, rule: Callable[[object], Any], value: object) -> Any:
    """Return a value that follows a rule, or None, with a problem noted."""
    with asked.noting():
        return rule(value)
    return None


def _first(problems: list[BadValue]) -> list[BadValue]:
    found: dict[str, BadValue] = {}
    for problem in problems:
        found.setdefault(problem.field, problem)
    return [*found.values()]


def _listed(known: Collection[str]) -> str:
    return ", ".join(known)


def _member(path: str) -> str:
    return f"A member of {path}" if path else "A member of the body"
