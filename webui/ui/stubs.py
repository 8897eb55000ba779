"""Loads gradio without the type stubs that it writes for editors: more than half of the time of its import.

At each import gradio (6.31) parses the source of each of its components again, builds the stub of its events from a
template and rewrites the ``.pyi`` beside it where that differs, in the installed package. Editors read these files, no
program does, and the package brings them; a server has no business to write there.

The promise: nothing but that function is replaced, before the first component is made; where gradio is loaded already,
or has no such function any more, nothing happens.
"""

import sys
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from types import ModuleType

MODULE = "gradio.component_meta"
WRITER = "create_or_modify_pyi"


class _Quiet(Loader):
    """Loads the module as its own loader does, and takes out what writes stubs."""

    def __init__(self, own: Loader) -> None:
        self.own = own

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self.own.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        self.own.exec_module(module)
        if hasattr(module, WRITER):
            setattr(module, WRITER, lambda *_: None)


class _Finder(MetaPathFinder):
    """Finds that one module, once."""

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        if name != MODULE:
            return None
        sys.meta_path.remove(self)
        spec = find_spec(name)
        if spec is not None and spec.loader is not None:
            spec.loader = _Quiet(spec.loader)
        return spec


def leave_out() -> None:
    """Have gradio loaded so from now on."""
    if MODULE not in sys.modules and not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Finder())
