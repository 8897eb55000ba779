"""Training data: a function of the seed and the number, in whatever order and process it is drawn."""

from pathlib import Path

import numpy as np

from webui.demo.autoencoder import LinearEncoder
from webui.demo.data import (
    HELD_OUT,
    Pool,
    check_sizes,
    content_of_picture,
    describe,
    draw_picture,
    draw_pictures,
    make_shard,
)


def test_a_shard_drawn_again_is_the_same(words_work: Path, tmp_path: Path):
    linear = LinearEncoder.load(words_work / "linear.npz")
    first = make_shard(tmp_path / "a", 3, 1, linear.encode, size=16)
    second = make_shard(tmp_path / "b", 3, 1, linear.encode, size=16)
    with np.load(first) as a, np.load(second) as b:
        assert sorted(a.files) == ["codes", "contents", "latents"]
        assert all(np.array_equal(a[name], b[name]) for name in a.files)


def test_a_shard_that_is_there_is_left_alone_and_no_half_file_stays(words_work: Path, tmp_path: Path):
    linear = LinearEncoder.load(words_work / "linear.npz")
    path = make_shard(tmp_path, 3, 0, linear.encode, size=16)
    before = path.stat().st_mtime_ns
    make_shard(tmp_path, 3, 0, linear.encode, size=16)
    assert path.stat().st_mtime_ns == before
    assert [p.name for p in tmp_path.iterdir()] == ["00000.npz"]


def test_the_pool_gives_each_picture_its_own_latent_code_and_content(words_work: Path, tmp_path: Path):
    linear = LinearEncoder.load(words_work / "linear.npz")
    pool = Pool(tmp_path, 3, linear.encode, size=16)
    pool.grow(2)
    latents, codes, contents = pool.take(np.array([22, 3]))
    wanted_codes, wanted_contents = describe(3, range(22, 23))
    assert np.array_equal(codes[0], wanted_codes[0]) and np.array_equal(contents[0], wanted_contents[0])
    alone = linear.encode(draw_picture(3, 22)[None])[0]
    assert np.abs(latents[0] - alone).max() < 0.01


def test_plain_pictures_are_flat_and_fair(words_work: Path, tmp_path: Path):
    pool = Pool(tmp_path, 3, LinearEncoder.load(words_work / "linear.npz").encode, size=32)
    pool.grow(1)
    plain = [
        n for n in range(32) if (c := content_of_picture(3, n)).style == "flat" and c.weather in ("clear", "cloudy")
    ]
    assert pool.plain().tolist() == plain and 0 < len(plain) < 32


def test_several_processes_draw_what_one_draws():
    assert np.array_equal(draw_pictures(4, range(6), 2), draw_pictures(4, range(6), 1))


def test_runs_and_numbers_differ_and_held_out_pictures_are_others():
    contents = [content_of_picture(1, n) for n in range(50)]
    assert contents != [content_of_picture(2, n) for n in range(50)]
    assert contents != [content_of_picture(1, HELD_OUT + n) for n in range(50)]


def test_the_tables_fit_together():
    check_sizes()
