"""Making one picture of a job: from the engine, or on from its draft, into the gallery or among the drafts.

The promise: a picture that is finished from a draft has the pixels it has without one, so whoever asks for a picture
whose draft is kept gets it sooner and nothing else; a draft that does not fit here is left alone. A picture that is
made again to be compared never comes from a draft.
"""

import io
import logging
from collections.abc import Callable, Generator
from dataclasses import replace

from PIL import Image

from webui.drafts import Drafts
from webui.engine import Engine, Step
from webui.errors import DraftError, EngineError, ReseedError, shown
from webui.gallery import Gallery, Record
from webui.journal import origin
from webui.lineage import Lineage
from webui.progress import State
from webui.recipe import Recipe

_log = logging.getLogger(__name__)


class Maker:
    """Makes pictures for the queue's workers."""

    def __init__(self, engine: Engine, gallery: Gallery, drafts: Drafts) -> None:
        self._engine, self._gallery, self._drafts = engine, gallery, drafts

    def steps(self, state: State, recipe: Recipe) -> Generator[Step]:
        """Yield the steps of a picture of a job; raises what the engine does."""
        draft = self._drafts.find(recipe) if state.compare is None else None
        stop = state.stop(recipe)
        if draft is not None:
            try:
                yield from self._engine.generate(recipe, draft, stop)
                return
            except DraftError as error:  # it is raised before the first step
                _log.info("The draft of seed %d is not used. %s", recipe.seed, error)
        yield from self._engine.generate(recipe, None, stop)

    def keep(self, state: State, number: int, last: Step | None) -> Record | str | None:
        """Keep what the last step brought: a record of a saved picture, or the key of a draft.

        A picture that is only compared leaves nothing. Raises EngineError when there is nothing to keep, StorageError
        when it cannot be written.
        """
        if last is not None and last.draft is not None:
            return self._drafts.save(last.draft)
        if last is None or last.image is None or last.fingerprint is None:
            raise EngineError("The engine ended without a picture. The log may say why.")
        if state.compare is not None:
            state.compare(last.image, last.fingerprint)
            return None
        lineage = self._traced(state.lineage)
        return self._gallery.save(
            last.image, state.recipes[number], last.fingerprint, origin(state.job, number), lineage
        )

    def _traced(self, lineage: Lineage) -> Lineage:
        """Name a parent that was still being made when the job was asked for; it was before this one in the queue."""
        if ":" not in lineage.parent:
            return lineage
        parent = self._gallery.find_origin(lineage.parent)
        return replace(lineage, parent=parent.id if parent is not None else "")


def jpeg(preview: Image.Image) -> bytes:
    """Return a preview as a JPEG file."""
    buffer = io.BytesIO()
    preview.convert("RGB").save(buffer, "JPEG", quality=85)
    return buffer.getvalue()


def attempt(work: Callable[[], object]) -> ReseedError | None:
    """Do some work of the worker's and return what went wrong; whatever it is, the worker lives on."""
    try:
        work()
    except ReseedError as error:
        _log.warning("%s", error)
        return error
    except Exception as error:  # the one broad except of the house: a fault must not end the worker
        _log.exception("A fault in the worker")
        return EngineError(
            f"The picture could not be made because of a fault in the program ({type(error).__name__}: "
            f"{shown(str(error), 200)}). The log has the details; the queue goes on."
        )
    return None
