"""A studio with an engine that needs no model, over an empty folder."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from webui.engine.checkpoints import Catalog
from webui.engine.fake import FakeEngine
from webui.settings import Settings
from webui.studio import Studio


@pytest.fixture
def studio(tmp_path: Path) -> Iterator[Studio]:
    """Give a working studio."""
    opened = Studio(Settings(data_dir=tmp_path), FakeEngine(), Catalog(tmp_path / "models"))
    opened.start()
    yield opened
    opened.close()
