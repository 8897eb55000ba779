"""Training data drawn on the machine that trains: pictures for the autoencoder, shards of latents for the denoiser.

The promise: picture number `i` of a run is a function of the run's seed and `i`; shards may be drawn in any order, by
any number of processes, again after a kill, and are always the same. Numbers from `HELD_OUT` on are never trained on.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from webui.demo.layout import CODE_SIZE, code_of_seed, make_layout
from webui.demo.scenes import SIZE, draw_scene
from webui.demo.words import CHOICES, STYLES, WEATHERS, Content, draw_content, labels

HELD_OUT = 1 << 31
"""First number of the pictures kept for measuring."""

SHARD = 2048
"""Pictures in a shard."""

Encode = Callable[[NDArray[np.uint8]], NDArray[np.float32]]


def content_of_picture(seed: int, number: int) -> Content:
    """Draw what picture `number` shows."""
    return draw_content(random.Random(f"content {seed} {number}"))


def code_of_picture(seed: int, number: int) -> NDArray[np.float64]:
    """Draw the layout code of picture `number`."""
    return code_of_seed((seed << 40) + number)


def draw_picture(seed: int, number: int) -> NDArray[np.uint8]:
    """Draw picture `number`, 256 x 256 x 3."""
    return draw_scene(make_layout(code_of_picture(seed, number)), content_of_picture(seed, number))


def describe(seed: int, numbers: range) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """Give the layout codes and the content's class indices of a range of pictures."""
    codes = np.stack([code_of_picture(seed, n) for n in numbers]).astype(np.float32)
    contents = np.array([labels(content_of_picture(seed, n)) for n in numbers], np.uint8)
    return codes, contents


def draw_pictures(seed: int, numbers: range, processes: int) -> NDArray[np.uint8]:
    """Draw a range of pictures on several processes."""
    pictures = np.empty((len(numbers), SIZE, SIZE, 3), np.uint8)
    drawer = partial(draw_picture, seed)
    if processes <= 1:
        for k, number in enumerate(tqdm(numbers, desc="pictures", mininterval=5)):
            pictures[k] = drawer(number)
        return pictures
    with ProcessPoolExecutor(processes) as pool:
        for k, picture in enumerate(
            tqdm(pool.map(drawer, numbers, chunksize=32), total=len(numbers), desc="pictures", mininterval=5)
        ):
            pictures[k] = picture
    return pictures


def shard_path(folder: Path, index: int) -> Path:
    """Name the file of a shard."""
    return folder / f"{index:05d}.npz"


def make_shard(folder: Path, seed: int, index: int, encode: Encode, size: int = SHARD) -> Path:
    """Draw and encode one shard, unless it is there; the file appears whole or not at all."""
    path = shard_path(folder, index)
    if path.exists():
        return path
    folder.mkdir(parents=True, exist_ok=True)
    numbers = range(index * size, (index + 1) * size)
    codes, contents = describe(seed, numbers)
    latents = [encode(np.stack([draw_picture(seed, n) for n in numbers[k : k + 64]])) for k in range(0, size, 64)]
    partial_path = path.with_name(f"{path.stem}.{os.getpid()}.partial.npz")
    np.savez(partial_path, latents=np.concatenate(latents).astype(np.float16), codes=codes, contents=contents)
    partial_path.replace(path)
    return path


class Pool:
    """The shards of a run in memory: latents, layout codes and contents of all pictures so far taken up."""

    def __init__(self, folder: Path, seed: int, encode: Encode, size: int = SHARD) -> None:
        self.folder, self.seed, self.encode, self.size = folder, seed, encode, size
        self.shards: list[tuple[NDArray[np.float16], NDArray[np.float32], NDArray[np.uint8]]] = []

    def grow(self, count: int) -> None:
        """Take up shards until there are `count`; a missing one is drawn now."""
        while len(self.shards) < count:
            with np.load(make_shard(self.folder, self.seed, len(self.shards), self.encode, self.size)) as file:
                self.shards.append((file["latents"], file["codes"], file["contents"]))

    def plain(self) -> NDArray[np.int64]:
        """Give the places of pictures in flat colours and fair weather: what is best learned first."""
        style, weather = list(CHOICES).index("style"), list(CHOICES).index("weather")
        rows = np.concatenate([contents for _, _, contents in self.shards])
        return np.flatnonzero((rows[:, style] == STYLES.index("flat")) & (rows[:, weather] <= WEATHERS.index("cloudy")))

    def take(self, places: NDArray[np.int64]) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.uint8]]:
        """Gather latents, codes and contents of the pictures at these places (0 .. pictures taken up)."""
        found = [(self.shards[p // self.size], p % self.size) for p in places]
        latents = np.stack([shard[0][k] for shard, k in found]).astype(np.float32)
        return latents, np.stack([shard[1][k] for shard, k in found]), np.stack([shard[2][k] for shard, k in found])


def check_sizes() -> None:
    """Fail early where the modules of the drawing program do not fit together."""
    if code_of_seed(0).shape != (CODE_SIZE,) or len(labels(Content())) != len(CHOICES):
        raise ValueError("The layout code or the content's fields do not fit the tables of webui.demo.")
