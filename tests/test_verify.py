"""Every kind of damage is named, a clean folder is clean, and looking changes nothing, also beside a running server."""

import os
import shutil
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from tests.damage import (
    LONG_AGO,
    ask_index,
    chunks,
    edit,
    flip,
    make_leftover,
    make_odd_name,
    make_orphan,
    make_pipe,
    of_other_version,
    other_hash,
    other_pixels,
    pictures,
    rewrite,
    sound,
    strip,
    with_other_recipe,
    without,
    write,
)
from tests.test_gallery import opened, save
from webui import png, verify
from webui.errors import BadValue
from webui.settings import Settings


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return sound(tmp_path / "data")


def looked(data: Path, *paths: Path, part: float = 1.0) -> verify.Report:
    return verify.verify(Settings(data_dir=data), paths, part)


def state(folder: Path) -> dict[Path, tuple[object, ...]]:
    """Everything that could be changed: names, times and bytes."""
    return {path: (path.lstat().st_mtime_ns, path.is_dir() or path.read_bytes()) for path in folder.rglob("*")
            if path.suffix != ".db-shm"}  # fmt: skip


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
    ("row-differs", "lineage", lambda path: ask_index(path, "UPDATE files SET parent = 'x' WHERE seed = '7'")),
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
