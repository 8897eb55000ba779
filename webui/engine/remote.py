"""The remote engine: makes pictures with the workers of a Ray cluster, one more ``Engine`` to everybody else.

The promise: which worker makes a picture does not show in it. Of each model the workers with one fingerprint work, and
no others; a worker with another file under the name is left out, by name and hash. A picture whose worker was lost is
made again from its start by another, at most AGAIN times. Closing the generator stops the worker within a step.
"""

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import replace
from functools import partial
from queue import SimpleQueue
from typing import Any, Final

from webui.engine import Standing, Step
from webui.engine.checkpoints import Catalog
from webui.engine.cluster import Cluster
from webui.engine.draft import Draft
from webui.engine.network_files import hashes_of
from webui.engine.posts import Post, begin, cause, refusal, why
from webui.engine.worker import Make, Worker, bare
from webui.errors import CheckpointError, EngineError, OutOfMemory, ReseedError, WorkerLost, shown
from webui.fingerprint import Fingerprint
from webui.recipe import Recipe

AGAIN: Final = 2
"""So often a picture whose worker was lost is made again."""
AHEAD: Final = 4
"""Steps that a worker makes before somebody has seen them."""
SETTLE: Final = 60.0
"""Seconds in which all workers may come up before those that are there decide what makes a model's pictures."""
LOOK: Final = 0.5
"""Seconds between two steps that only say that a picture waits for a worker."""
PAUSE: Final = 5.0
"""Seconds before a worker that did not come up is tried again."""

_log = logging.getLogger(__name__)


class Lost(Exception):
    """A worker's process is gone; says why."""


class RemoteEngine:
    """Makes as many pictures at a time as a cluster has workers. Any thread may use it.

    ``make`` makes the engine of each worker. With ``catalog``, the server's own files are what every worker must have.
    """

    def __init__(self, cluster: Cluster, make: Make, catalog: Catalog | None = None) -> None:
        self.workers, self.told = cluster.workers, cluster.told
        self.cluster = cluster
        self._make, self._catalog = make, catalog
        self._changed = threading.Condition()
        self._chosen: dict[tuple[str, str], Fingerprint] = {}
        self._began = time.monotonic()
        self._closed = False
        # Ray answers in a thread of its own, which must never wait for a lock that is held while Ray is called.
        self._answers: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._listener = threading.Thread(target=self._listen, name="reseed-cluster", daemon=True)
        self._warmed = ""
        self.posts = tuple(Post(number) for number in range(1, cluster.workers + 1))
        self._listener.start()
        for post in self.posts:
            self._start(post)

    def generate(self, recipe: Recipe, draft: Draft | None = None, stop: int | None = None) -> Iterator[Step]:
        """Yield the steps of making one picture, see ``webui.engine.Engine``; raise WorkerLost when it cannot be."""
        lost, note, small = 0, "", dict[Post, OutOfMemory]()
        while True:
            post, wanted = yield from self._taken(recipe, small, note)
            try:
                yield from self._made(post, (recipe, draft, stop, wanted), note)
                return
            except Lost as error:
                lost += 1
                sentence = f"{begin(str(post))} was lost: {error}"
                self._begin_again(post, sentence)
                if lost > AGAIN:
                    raise WorkerLost(
                        f"Workers were lost {lost} times while they made this picture, so it is not tried again. "
                        f"{sentence} A smaller size or fewer steps may help."
                    ) from None
                note = f"{sentence} The picture is made again ({lost} of {AGAIN})."
            except OutOfMemory as error:  # another card may have more room, or fewer others on it
                small[post] = error
                if not self._others(recipe.model, small):
                    raise
                note = f"{begin(str(post))} has too little memory for it; another tries."
                _log.warning("%s %s", note, error)
            finally:
                self._release(post)

    def warm(self, model: str) -> None:
        """Load a model at every worker that is not at work, also at those that come up later."""
        import ray

        with self._changed:
            self._warmed = model
            posts = [post for post in self.posts if post.state == "idle"]
            loading = {post.actor.warm.remote(model): post for post in posts}
        for ref in ray.wait([*loading], num_returns=len(loading), timeout=SETTLE)[0] if loading else ():
            try:
                error = ray.get(ref)
            except ray.exceptions.RayError as lost:
                _log.warning("%s did not load %s: %s", loading[ref], model, cause(lost))
                continue
            if error is not None:
                raise error
            loading[ref].model = model

    def count_tokens(self, text: str, model: str) -> tuple[int, int] | None:
        """Ask a worker that has loaded the model; None while none has."""
        import ray

        with self._changed:
            post = next((post for post in self.posts if post.about is not None and post.model == model), None)
            ref = None if post is None else _beside(post.actor.count_tokens).remote(text, model)
        try:
            found: tuple[int, int] | None = None if ref is None else ray.get(ref, timeout=2)
            return found
        except ray.exceptions.RayError:
            return None

    def close(self) -> None:
        """End all workers and leave the cluster."""
        import ray

        with self._changed:
            self._closed = True
            self._changed.notify_all()
            for post in self.posts:
                ray.kill(post.actor)
        self._answers.put(None)
        self._listener.join()
        self.cluster.close()

    # ---- workers come and go ---------------------------------------------------------------------------------------

    def _start(self, post: Post) -> None:
        """Ask the cluster for a worker's process; it is up when it has said where it is."""
        import ray

        size = {"num_cpus": self.cluster.cpus, "num_gpus": self.cluster.gpus}
        post.actor = ray.remote(concurrency_groups={"beside": 1}, max_restarts=0, **size)(Worker).remote(
            self._make, post.number
        )
        post.about, post.model, post.said = None, "", {}
        actor = post.actor
        self._when_done(_beside(actor.about).remote(), partial(self._is_up, post, actor))
        if self._warmed:
            actor.warm.remote(self._warmed)

    def _when_done(self, ref: Any, then: Callable[[Any], None]) -> None:
        """Call ``then`` with the future of an answer as soon as it is there, in the listener's thread."""
        ref.future().add_done_callback(lambda done: self._answers.put(partial(then, done)))

    def _listen(self) -> None:
        while (answer := self._answers.get()) is not None:
            answer()

    def _is_up(self, post: Post, actor: Any, done: Any) -> None:
        error = done.exception()
        with self._changed:
            if post.actor is not actor or self._closed:
                return
            if error is None:
                post.about, post.free_since = done.result(), time.monotonic()
                if self._warmed:
                    post.model = self._warmed
            else:
                post.trouble = f"{begin(str(post))} did not come up: {cause(error)}"
                _log.warning("%s", post.trouble)
                again = threading.Timer(PAUSE, self._begin_again, (post, post.trouble, actor))
                again.daemon = True
                again.start()
            self._changed.notify_all()

    def _begin_again(self, post: Post, trouble: str, actor: Any = None) -> None:
        """Give the place of a lost worker to a new one."""
        import ray

        with self._changed:
            if self._closed or (actor is not None and post.actor is not actor):
                return
            post.lost, post.trouble = post.lost + 1, trouble
            _log.warning("%s", trouble)
            ray.kill(post.actor)
            self._start(post)
            self._changed.notify_all()

    # ---- one picture -----------------------------------------------------------------------------------------------

    def _taken(
        self, recipe: Recipe, small: Mapping[Post, OutOfMemory], note: str
    ) -> Generator[Step, None, tuple[Post, Fingerprint]]:
        """Take a worker that is free, and return it with what is to make the picture; yield steps while there is none.

        Of those that are free, first one that has the model in memory, then who waits longest.
        """
        digest, worn = self._here(recipe)
        began = time.monotonic()
        while True:
            with self._changed:
                if self._closed:
                    raise EngineError("The cluster was left: no more pictures are made.")
                chosen = self._choose(recipe.model, digest)
                free = [
                    post
                    for post in self.posts
                    if post.state == "idle" and post not in small and post.said.get(recipe.model) == chosen is not None
                ]
                if free and chosen is not None:
                    post = min(free, key=lambda one: (one.model != recipe.model, one.free_since))
                    post.is_busy = True
                    return post, replace(chosen, **worn)
                if small and time.monotonic() - began > SETTLE:
                    raise next(iter(small.values()))
                trouble = next((one.trouble for one in self.posts if one.about is None and one.trouble), "")
                self._changed.wait(LOOK)
            yield Step(0, recipe.steps, note=note or f"Waiting for a worker. {trouble}".strip())

    def _made(
        self, post: Post, asked: tuple[Recipe, Draft | None, int | None, Fingerprint], note: str
    ) -> Iterator[Step]:
        """Yield the steps that a worker makes; raise Lost when it is gone."""
        import ray

        options = {"num_returns": "streaming", "_generator_backpressure_num_objects": AHEAD}
        began = time.monotonic()
        steps = post.actor.generate.options(**options).remote(*asked)
        ended = False
        try:
            for ref in steps:
                step = ray.get(ref)
                if isinstance(step, ReseedError):
                    raise step
                post.model = asked[0].model
                yield replace(step, note=note) if note else step
            ended = True
            post.made, post.seconds = post.made + 1, time.monotonic() - began
        except ray.exceptions.RayTaskError as error:
            raise EngineError(
                f"The picture could not be made because of a fault at {post} ({type(error.cause).__name__}: "
                f"{shown(str(error.cause), 200)}). The log has the details; the queue goes on."
            ) from error
        except ray.exceptions.TaskCancelledError:
            raise EngineError("The picture was stopped at the cluster.") from None
        except ray.exceptions.RayError as error:
            raise Lost(why(error)) from None
        finally:
            if not ended:  # also when nobody wants further steps: dropping them would not stop the worker
                ray.cancel(steps)

    def _release(self, post: Post) -> None:
        with self._changed:
            post.is_busy, post.free_since = False, time.monotonic()
            self._changed.notify_all()

    # ---- who may make it; called with the condition held, but for _here ----------------------------------------------

    def _here(self, recipe: Recipe) -> tuple[str, dict[str, str]]:
        """Return what the server's own files are: the model's hash and the LoRAs and embeddings of a picture.

        Without files of its own, the hash that the recipe names. Raises CheckpointError or NetworkError.
        """
        if self._catalog is None:
            return recipe.model_hash.lower(), {}
        checkpoint = self._catalog.find(recipe.model)
        worn = hashes_of(self._catalog.worn(recipe, checkpoint))
        if checkpoint.path is None:
            return recipe.model_hash.lower(), worn
        if recipe.model_hash:
            self._catalog.check(checkpoint, recipe.model_hash)
        return self._catalog.hash(checkpoint), worn

    def _choose(self, model: str, digest: str) -> Fingerprint | None:
        """Return what makes a model's pictures, the same for as long as the server runs; None while it is not known.

        The first time it is what most workers state. Raises CheckpointError when no worker can make them.
        """
        up = [post for post in self.posts if post.about is not None]
        for post in up:
            if model not in post.said:
                self._ask(post, model)
        said = [post.said[model] for post in up]
        fits = Counter(one for one in said if isinstance(one, Fingerprint) and one.model_hash.startswith(digest))
        chosen = self._chosen.get((model, digest))
        if chosen is not None and chosen in fits:
            return chosen
        if not up or None in said:
            return None
        if len(up) < len(self.posts) and (chosen is not None or time.monotonic() - self._began < SETTLE):
            return None
        if chosen is None and fits:
            self._chosen[model, digest] = fits.most_common(1)[0][0]
            return self._chosen[model, digest]
        reasons = [refusal(post, model, chosen, digest) for post in up]
        for post in up:
            del post.said[model]  # asked again for the next picture: somebody may have put the file there
        wanted = f" with the hash {digest[:10]}" if digest else ""
        raise CheckpointError(f"No worker can make pictures of the model {model}{wanted}. {' '.join(reasons)}")

    def _ask(self, post: Post, model: str) -> None:
        """Ask a worker what would make a model's pictures there; the answer is taken in by the listener."""
        actor, post.said[model] = post.actor, None

        def told(done: Any) -> None:
            with self._changed:
                if post.actor is actor:
                    error = done.exception()
                    answer = done.result() if error is None else EngineError(cause(error))
                    post.said[model] = bare(answer) if isinstance(answer, Fingerprint) else answer
                    self._changed.notify_all()

        self._when_done(_beside(actor.states).remote(Recipe.of(seed=0, model=model)), told)

    def _others(self, model: str, small: Mapping[Post, OutOfMemory]) -> bool:
        """Say whether a worker is left beside some that can make a model's pictures, or may when it is up."""
        with self._changed:
            chosen = [post.said.get(model) for post in small]
            return any(post.said.get(model) in (None, *chosen) for post in self.posts if post not in small)

    def standings(self) -> list[Standing]:
        """Say how the workers stand."""
        with self._changed:
            return [post.standing(tuple(self._left_out(post))) for post in self.posts]

    def _left_out(self, post: Post) -> Iterator[str]:
        for (model, digest), chosen in self._chosen.items():
            if (said := post.said.get(model)) is not None and said != chosen:
                yield refusal(post, model, chosen, digest)


def _beside(method: Any) -> Any:
    """Call a worker's method beside a picture that it makes."""
    return method.options(concurrency_group="beside")
