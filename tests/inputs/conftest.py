"""What the tests of bad inputs share: whatever is uploaded lies in a folder of the test's own."""

from collections.abc import Iterator

import pytest


@pytest.fixture(scope="package", autouse=True)
def uploads(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Let gradio keep what the page is sent in a folder that goes with the test."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRADIO_TEMP_DIR", str(tmp_path_factory.mktemp("uploads")))
        yield
