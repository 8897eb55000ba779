"""``webui verify``: what it prints, its exit status, and that it loads and changes nothing it need not."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.damage import ask_index, make_leftover, make_orphan, other_pixels, pictures, sound
from webui.cli import main


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return sound(tmp_path / "data")


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Iterator[Callable[..., tuple[int, str, str]]]:
    def call(*arguments: object) -> tuple[int, str, str]:
        try:
            status = main(["verify", *map(str, arguments)])
        except SystemExit as leaving:
            status = int(str(leaving.code))
        return status, *capsys.readouterr()

    yield call


def test_the_command_on_a_clean_folder(data: Path, run: Callable[..., tuple[int, str, str]]) -> None:
    assert run("--data-dir", data)[:2] == (
        0, "Looked at 3 pictures, the pixels of none, 3 rows of the index: no problems.\n")  # fmt: skip
    assert run("--data-dir", data, "--read-data")[0] == 0
    status, out, _ = run("--json", "--read-data=5%", "--data-dir", data)
    assert (status, json.loads(out)) == (0, {"status": "clean", "files": 3, "decoded": 1, "foreign": 0, "rows": 3,
                                             "problems": [], "rebuilt": None})  # fmt: skip


def test_the_command_on_a_damaged_folder(data: Path, run: Callable[..., tuple[int, str, str]]) -> None:
    path = pictures(data)[0]
    other_pixels(path)
    status, out, _ = run("--read-data", path, "--data-dir", data)
    assert status == 1
    assert f"{path}: pixels-differ: Its pixels are not those" in out
    status, out, _ = run("--read-data", "--json", "--data-dir", data)
    assert status == 1
    (one, two) = json.loads(out)["problems"]
    assert (one["path"], one["kind"], two["kind"]) == (str(path), "pixels-differ", "stale-row")


def test_the_command_where_nothing_is(tmp_path: Path, run: Callable[..., tuple[int, str, str]]) -> None:
    status, out, _ = run("--data-dir", tmp_path / "new")
    assert (status, out) == (10, "There is no picture to verify.\n")
    assert run("--rebuild-index", "--data-dir", tmp_path / "new")[0] == 10
    assert list(tmp_path.iterdir()) == []
    status, out, _ = run("--json", "--data-dir", tmp_path)
    assert (status, json.loads(out)["status"]) == (10, "nothing")


def test_the_command_loads_nothing_heavy(data: Path) -> None:
    code = (
        f"import sys; from webui.cli import main; main(['verify', '--read-data', '--data-dir', {str(data)!r}]); "
        "print({'torch', 'diffusers', 'gradio', 'transformers'} & sys.modules.keys())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120)
    assert done.stdout.splitlines()[-1] == "set()"


@pytest.mark.parametrize("arguments", [["/no/such/folder"], ["--read-data=0%"], ["--read-data=x"], ["--nonsense"]])
def test_the_command_with_bad_input(arguments: list[str], data: Path, run: Callable[..., tuple[int, str, str]]) -> None:
    status, _, error = run(*arguments, "--data-dir", data)
    assert status == 2
    assert error.startswith("webui: ")
    assert len(error.splitlines()) == 1


def test_the_index_is_built_again_when_asked(data: Path, run: Callable[..., tuple[int, str, str]]) -> None:
    first, second, _ = pictures(data)
    ask_index(first, "UPDATE files SET seed = '9' WHERE seed = '7'")
    make_orphan(first)
    make_leftover(first)
    second.unlink()
    assert run("--data-dir", data)[0] == 1
    before = {path: path.read_bytes() for path in pictures(data)}
    status, out, _ = run("--rebuild-index", "--json", "--data-dir", data)
    assert (status, json.loads(out)["rebuilt"]) == (0, {"added": 1, "removed": 1})
    assert {path: path.read_bytes() for path in pictures(data)} == before
    (data / "cache" / "index.db").write_bytes(b"garbage" * 99)
    assert run("--data-dir", data)[0] == 1
    assert run("--rebuild-index", "--data-dir", data)[0] == 0
