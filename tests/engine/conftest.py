"""One engine with the bundled model and one with tiny random models of every family, loaded once for all tests."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.engine import tiny
from webui.engine.checkpoints import Catalog
from webui.engine.diffusion import DiffusionEngine
from webui.recipe import Recipe


@pytest.fixture(scope="session")
def engine() -> DiffusionEngine:
    return DiffusionEngine(Catalog(), device="cpu")


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    for family in tiny.FAMILIES:
        tiny.save(family, folder / family)
    return folder


@pytest.fixture(scope="session")
def tiny_engine(models: Path) -> DiffusionEngine:
    return DiffusionEngine(Catalog(models), device="cpu")


@pytest.fixture(scope="session")
def engines(models: Path) -> dict[str, DiffusionEngine]:
    """An engine for each family, so that tests that go through them need not load them in turn."""
    return {family: DiffusionEngine(Catalog(models), device="cpu") for family in tiny.FAMILIES}


@pytest.fixture
def recipe() -> Recipe:
    """A small picture of the bundled model."""
    return Recipe.of(prompt="a lake at sunset", seed=7, steps=4, width=64, height=64, cfg_scale=4.0)


def _image(engine: DiffusionEngine, recipe: Recipe) -> Image.Image:
    *_, last = engine.generate(recipe)
    assert last.image is not None
    assert last.image.size == (recipe.width, recipe.height)
    return last.image


@pytest.fixture
def pixels():
    """Make a picture and return its pixels (H, W, 3), uint8."""
    return lambda engine, recipe: np.asarray(_image(engine, recipe))
