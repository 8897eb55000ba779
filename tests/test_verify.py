"""Every kind of damage is named, a clean folder is clean, and looking changes nothing, also beside a running server."""

import json
import os
import shutil
import sqlite3
import struct
import subprocess
import sys
import threading
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.test_gallery import opened, save
from webui import png, verify
from webui.cli import main
from webui.errors import BadValue
from webui.settings import Settings

LONG_AGO = 1_600_000_000


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data folder with three pictures and a finished index."""
    folder = tmp_path / "data"
    kept = opened(folder)
    for seed in (7, 8, 2**64 - 1):
        save(kept, seed)
    kept.close()
    return folder


def looked(data: Path, *paths: Path, part: float = 1.0) -> verify.Report:
    return verify.verify(Settings(data_dir=data), paths, part)


def pictures(data: Path) -> list[Path]:
    return sorted((data / "outputs").rglob("*.png"))


def state(folder: Path) -> dict[Path, tuple[object, ...]]:
    """Everything that could be changed: names, times and bytes."""
    return {path: (path.lstat().st_mtime_ns, path.is_dir() or path.read_bytes()) for path in folder.rglob("*")
            if path.suffix != ".db-shm"}  # fmt: skip


# Ways to damage a picture


def chunks(path: Path) -> list[tuple[bytes, bytes]]:
    raw, at, found = path.read_bytes(), 8, []
    while at < len(raw):
        length, kind = struct.unpack(">I4s", raw[at : at + 8])
        found.append((kind, raw[at + 8 : at + 8 + length]))
        at += 12 + length
    return found


def write(path: Path, parts: list[tuple[bytes, bytes]]) -> None:
    """Write a PNG from chunks, with right checksums."""
    sealed = (struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
              for kind, body in parts)  # fmt: skip
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(sealed))


def edit(path: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """Change the recipe chunk of a picture; pixels stay, checksums fit."""
    texts = png.read_texts(path)
    chunk = json.loads(texts["recipe"])
    change(chunk)
    rewrite(path, {**texts, "recipe": json.dumps(chunk)})


def rewrite(path: Path, texts: dict[str, str]) -> None:
    with Image.open(path) as image:
        data = png.encode(image, texts)
    path.write_bytes(data)


def flip(path: Path, after: bytes) -> None:
    """Flip a bit behind the name of a chunk."""
    raw = bytearray(path.read_bytes())
    raw[raw.index(after) + 12] ^= 1
    path.write_bytes(raw)


def other_pixels(path: Path) -> None:
    texts = png.read_texts(path)
    with Image.open(path) as image:
        image.putpixel((3, 3), (1, 2, 3))
        data = png.encode(image, texts)
    path.write_bytes(data)


def ask_index(path: Path, query: str) -> None:
    with sqlite3.connect(path.parents[2] / "cache" / "index.db") as db:
        db.execute(query)
    db.close()


def without(path: Path, *kinds: bytes) -> None:
    write(path, [(kind, body) for kind, body in chunks(path) if kind not in kinds])


def strip(path: Path, key: str) -> None:
    rewrite(path, {name: text for name, text in png.read_texts(path).items() if name != key})


def of_other_version(chunk: dict[str, Any]) -> None:
    chunk["version"] = 99


def with_other_recipe(**values: object) -> Callable[[dict[str, Any]], None]:
    return lambda chunk: chunk["recipe"].update(values)


def other_hash(chunk: dict[str, Any]) -> None:
    chunk["pixels_sha256"] = "0" * 64


def make_leftover(path: Path) -> None:
    left = path.with_name(".reseed-0123456789abcdef.tmp")
    left.write_bytes(b"half a pict")
    os.utime(left, (LONG_AGO, LONG_AGO))


def make_orphan(path: Path) -> None:
    elsewhere = opened(path.parents[2] / "elsewhere")
    record = save(elsewhere, 99)
    elsewhere.close()
    target = path.with_name("00099-99.png")
    shutil.copy(record.path, target)
    os.utime(target, (LONG_AGO, LONG_AGO))


def make_pipe(path: Path) -> None:
    os.mkfifo(path.with_name("00044-1.png"))


def make_odd_name(path: Path) -> None:
    strip(path, "recipe")
    strip(path, "parameters")
    path.rename(path.with_name(os.fsdecode(b"\xff.png")))


DAMAGE: list[tuple[str, str, Callable[[Path], object]]] = [
    ("empty", "0 bytes", lambda path: path.write_bytes(b"")),
    ("not-png", "not a PNG", lambda path: path.write_bytes(b"<html>not found</html>")),
    ("not-file", "no file", make_pipe),
    ("truncated", "cut off after 4 bytes", lambda path: path.write_bytes(path.read_bytes()[:4])),
    ("truncated", "cut off", lambda path: path.write_bytes(path.read_bytes()[:-1])),
    ("truncated", "cut off", lambda path: path.write_bytes(path.read_bytes()[:100])),
    ("truncated", "cut off", lambda path: path.write_bytes(path.read_bytes()[:-12])),
    ("bad-chunk", "At byte 8", lambda path: path.write_bytes(path.read_bytes()[:8] + bytes(99))),
    ("bad-chunk", "instead of 13", lambda path: write(path, [(b"IHDR", b""), *chunks(path)[1:]])),
    ("bad-chunk", "At byte 8", lambda path: without(path, b"IHDR")),
    ("bad-crc", "IDAT", lambda path: flip(path, b"IDAT")),
    ("bad-crc", "IHDR", lambda path: flip(path, b"IHDR")),
    ("bad-crc", "iTXt", lambda path: flip(path, b"iTXt")),
    ("no-pixels", "IDAT", lambda path: without(path, b"IDAT")),
    ("trailing", "3 more bytes", lambda path: path.write_bytes(path.read_bytes() + b"MZ!")),
    ("no-recipe", "no recipe", lambda path: without(path, b"tEXt", b"iTXt")),
    ("no-recipe", "infotext", lambda path: strip(path, "recipe")),
    ("recipe-version", "version 99", lambda path: edit(path, of_other_version)),
    ("recipe-version", "version 77", lambda path: edit(path, with_other_recipe(version=77))),
    ("bad-recipe", "Steps must be", lambda path: edit(path, with_other_recipe(steps=0))),
    ("bad-recipe", "Seed must be", lambda path: edit(path, with_other_recipe(seed="-1"))),
    ("bad-recipe", "lacks a part", lambda path: edit(path, lambda chunk: chunk.pop("id"))),
    ("bad-recipe", "not readable", lambda path: rewrite(path, {"recipe": "{half"})),
    ("texts-differ", "seed 5", lambda path: rewrite(
        path, {**png.read_texts(path), "parameters": "a lake\nSteps: 1, Sampler: Euler, Seed: 5"})),
    ("name-differs", "seed 12", lambda path: path.rename(path.with_name("00001-12.png"))),
    ("size-differs", "64×64 pixels, its recipe 128×64", lambda path: edit(path, with_other_recipe(width=128))),
    ("duplicate-id", "00001-7.png", lambda path: shutil.copy2(path, path.with_name("copy.png"))),
    ("bad-pixels", "cannot be decoded", lambda path: write(
        path, [(kind, bytes(9) if kind == b"IDAT" else body) for kind, body in chunks(path)])),
    ("pixels-differ", "not those that were recorded", other_pixels),
    ("pixels-differ", "instead of 0000000000", lambda path: edit(path, other_hash)),
    ("odd-name", "not readable text", make_odd_name),
    ("link", "/etc/hostname", lambda path: path.with_name("00050-1.png").symlink_to("/etc/hostname")),
    ("link", "link to 00001-7.png", lambda path: path.with_name("00051-1.png").symlink_to(path.name)),
    ("link", "/nowhere", lambda path: path.with_name("folder").symlink_to("/nowhere")),
    ("leftover", "did not end", make_leftover),
    ("orphan-file", "not in the index", make_orphan),
    ("orphan-row", "no such file", lambda path: path.unlink()),
    ("stale-row", "changed after", lambda path: os.utime(path, (LONG_AGO, LONG_AGO))),
    ("row-differs", "seed", lambda path: ask_index(path, "UPDATE files SET seed = '9' WHERE seed = '7'")),
    ("row-differs", "recipe", lambda path: ask_index(path, "UPDATE files SET recipe = '{}' WHERE seed = '7'")),
    ("row-differs", "id", lambda path: ask_index(path, "UPDATE files SET id = '' WHERE seed = '7'")),
    ("index-damaged", "not a database", lambda path: (path.parents[2] / "cache" / "index.db").write_bytes(b"x" * 999)),
    ("index-damaged", "version 99", lambda path: ask_index(path, "PRAGMA user_version = 99")),
]  # fmt: skip

FOLLOWS = {
    "name-differs": {"orphan-row"},
    "odd-name": {"orphan-row", "no-recipe"},
    "row-differs": set[str](),
    "stale-row": set[str](),
}
"""What else is then true. A file that was changed is also newer than its row."""


@pytest.mark.parametrize(("kind", "words", "damage"), DAMAGE, ids=[f"{k}-{w[:12]}" for k, w, _ in DAMAGE])
def test_damage_is_named(data: Path, kind: str, words: str, damage: Callable[[Path], object]) -> None:
    damage(pictures(data)[0])
    before = state(data / "cache")
    report = looked(data)
    also = FOLLOWS.get(kind, {"stale-row"})
    assert kind in {problem.kind for problem in report.problems}
    assert {problem.kind for problem in report.problems} - also == {kind}
    assert any(words in problem.sentence for problem in report.problems if problem.kind == kind)
    assert all(problem.sentence.endswith((".", "…")) and problem.kind in verify.KINDS for problem in report.problems)
    assert report.status == "problems"
    assert state(data / "cache") == before
    str(report).encode()


def test_every_kind_has_a_test() -> None:
    assert {kind for kind, _, _ in DAMAGE} | {"unreadable"} == set(verify.KINDS)


def test_the_page_lists_every_kind() -> None:
    page = (Path(__file__).parent.parent / "docs" / "verify.md").read_text("utf-8")
    assert [line for line in page.splitlines() if line.startswith("| `") and "webui" not in line] == [
        f"| `{kind}` | {means} |" for kind, means in verify.KINDS.items()
    ]


@pytest.mark.skipif(not Path("/proc/self/mem").exists(), reason="a file that cannot be read, for root either")
def test_what_cannot_be_read_is_named(data: Path) -> None:
    (problem,) = looked(data, Path("/proc/self/mem")).problems
    assert (problem.path, problem.kind) == (f"/proc/{os.getpid()}/mem", "unreadable")


def test_several_problems_of_several_files_come_sorted(data: Path) -> None:
    first, second, third = pictures(data)
    first.write_bytes(b"")
    other_pixels(second)
    second.write_bytes(second.read_bytes() + b"!")
    third.unlink()
    found = [(Path(problem.path).name[:5], problem.kind) for problem in looked(data).problems]
    assert found == [("00001", "empty"), ("00001", "stale-row"), ("00002", "trailing"), ("00002", "pixels-differ"),
                     ("00002", "stale-row"), ("00003", "orphan-row")]  # fmt: skip


def test_bits_that_rot_in_place_are_found_though_no_time_changes(data: Path) -> None:
    path = pictures(data)[0]
    before = path.stat()
    flip(path, b"IDAT")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert [problem.kind for problem in looked(data, part=0).problems] == ["bad-crc"]


def test_a_folder_reached_by_a_link_is_the_same_folder(data: Path, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(data)
    pictures(data)[0].unlink()
    for folder, path in ((data, link / "outputs"), (link, data / "outputs")):
        report = looked(folder, path)
        assert ([problem.kind for problem in report.problems], report.files) == (["orphan-row"], 2)


def test_without_the_data_pixels_are_not_decoded(data: Path) -> None:
    other_pixels(pictures(data)[0])
    report = looked(data, part=0)
    assert report.decoded == 0
    assert {problem.kind for problem in report.problems} == {"stale-row"}


# Clean, and unchanged


def test_a_clean_folder_is_clean_and_stays_as_it_is(data: Path) -> None:
    before = state(data)
    report = looked(data)
    assert (report.status, report.files, report.decoded, report.rows) == ("clean", 3, 3, 3)
    assert state(data) == before
    assert str(report) == "Looked at 3 pictures, the pixels of 3, 3 rows of the index: no problems."


def test_an_index_that_was_deleted_is_no_problem_and_is_not_made(data: Path) -> None:
    shutil.rmtree(data / "cache")
    report = looked(data)
    assert (report.status, report.rows) == ("clean", None)
    assert not (data / "cache").exists()


def test_a_picture_of_another_program_is_no_problem(data: Path) -> None:
    path = data / "outputs" / "foreign.png"
    path.write_bytes(png.encode(Image.new("RGB", (8, 8)), {"parameters": "a cat\nSteps: 20, Sampler: Euler, Seed: 5"}))
    report = looked(data)
    assert (report.status, report.foreign) == ("clean", 1)


def test_beside_a_running_server(data: Path) -> None:
    kept = opened(data)
    saver = threading.Thread(target=lambda: [save(kept, seed) for seed in range(100, 140)])
    saver.start()
    reports = [looked(data, part=0.1)]
    while saver.is_alive():
        reports.append(looked(data, part=0.1))
    saver.join()
    assert [problem for report in reports for problem in report.problems] == []
    before = state(data)
    assert (data / "cache" / "index.db-wal").exists()
    assert looked(data).rows == 43  # rows that are still in the journal count
    assert state(data) == before
    kept.close()


def test_a_save_in_progress_is_no_leftover(data: Path) -> None:
    pictures(data)[0].with_name(".reseed-0123456789abcdef.tmp").write_bytes(b"half")
    assert looked(data).status == "clean"


def test_only_some_files_and_folders(data: Path, tmp_path: Path) -> None:
    first, second, third = pictures(data)
    first.write_bytes(b"")
    third.unlink()
    assert {problem.kind for problem in looked(data, first).problems} == {"empty", "stale-row"}
    assert looked(data, second).status == "clean"
    assert looked(data, Path(second.parent.name) / second.name).files == 1
    assert {problem.kind for problem in looked(data, first.parent).problems} == {"empty", "stale-row", "orphan-row"}
    elsewhere = tmp_path / "elsewhere"
    shutil.copytree(data / "outputs", elsewhere)
    report = looked(data, elsewhere)
    assert ([problem.kind for problem in report.problems], report.rows) == (["empty"], None)
    assert looked(data, elsewhere, elsewhere / first.parent.name / second.name).files == 2
    with pytest.raises(BadValue, match="PATH must be"):
        looked(data, Path("nowhere"))


# The share of the pixels


@pytest.mark.parametrize("text", ["0%", "5", "101%", "-5%", "nan%", "", "5%%", "half"])
def test_what_is_no_share(text: str) -> None:
    with pytest.raises(BadValue, match="--read-data must be"):
        verify.share(text)


def test_a_sample_is_the_same_each_time_and_of_the_right_size(tmp_path: Path) -> None:
    files = [tmp_path / f"{number}.png" for number in range(200)]
    tenth = verify.sample(files, tmp_path, 0.1)
    assert len(tenth) == 20
    assert tenth == verify.sample(files[::-1], tmp_path, 0.1)
    assert tenth < verify.sample(files, tmp_path, 0.2)
    assert len(verify.sample(files, tmp_path, 0.001)) == 1
    assert verify.sample(files, tmp_path, 0) == set()
    assert verify.sample(files, tmp_path, 1) == set(files)


# The command line


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
