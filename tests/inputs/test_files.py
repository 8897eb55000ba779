"""Files, 82 to 87, at every door that takes files: refused with a sentence, or read without harm; nothing changes."""

import html
import re
from collections.abc import Iterator

import pytest

from tests.inputs.doors import House, opened, show
from tests.inputs.files import CASES, File
from tests.inputs.table import REFUSED


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """Give a house."""
    with opened(tmp_path_factory.mktemp("files")) as house:
        yield house


@pytest.mark.parametrize(
    ("file", "door"), [pytest.param(file, door, id=f"no-{file.number}-{file.what}-{door}") for file, door in CASES]
)
def test_a_file_is_read_without_harm_or_refused(house: House, file: File, door: str) -> None:
    before = house.state()
    answer = show(house, door, file.make(), file.name)
    assert answer.status in (0, 1, 2) if door == "cli" else answer.status < 500, answer.text
    assert answer.taken == (file.at(door) != REFUSED), answer.text[:2000]
    said = html.unescape(re.sub(r"<[^>]+>", " ", answer.text))
    if file.at(door) == REFUSED or door == "page":
        assert file.words(door) in said, said[:2000]
        assert "." in said
    assert "Traceback" not in answer.text
    assert "<script>" not in answer.text
    assert house.state() == before


TABLES = {
    "84-HTML": b"<html><script>alert(1)</script></html>",
    "84-PNG": b"\x89PNG\r\n\x1a\n\xff\xff",
    "85-cut": b'name,prompt\n"oil',
    "85-NUL": b"name\0,\0",
    "86-one cell of 30 MB": b"name,prompt\nx," + b"y" * 30_000_000,
}


@pytest.mark.parametrize("name", TABLES)
def test_a_table_of_styles_that_is_none_brings_nothing_in(house: House, name: str) -> None:
    before = house.state()
    sent = house.upload(TABLES[name], "styles.csv")
    answer = house.press("import", f'{sent}, [], "reseed"', "upload")
    assert answer.taken  # the handler answers; what it says stands in its note
    assert 'class=\\"wrong\\"' in answer.text, answer.text[-500:]
    assert "Traceback" not in answer.text and "<script>" not in answer.text
    assert house.state() == before
