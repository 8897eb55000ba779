"""What the tests of the API share: a studio that works over an empty folder, and a client of its application."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from tests.api.test_app import ADDRESS, opened
from webui.api.app import create
from webui.studio import Studio


@pytest.fixture
def studio(tmp_path: Path) -> Iterator[Studio]:
    """Open a studio, and close it at the end."""
    studio = opened(tmp_path)
    yield studio
    studio.close()


@pytest.fixture
def client(studio: Studio) -> TestClient:
    """Give a client of the studio's application."""
    return TestClient(create(studio), base_url=ADDRESS)
