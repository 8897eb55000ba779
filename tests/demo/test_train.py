"""The command line of the trainer: every stage from nothing to a picture."""

import json
from pathlib import Path

import pytest

from webui.demo.train import main


def test_help_names_every_stage(capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit):
        main(["--help"])
    text = capsys.readouterr().out
    assert all(stage in text for stage in ("data", "autoencoder", "text", "denoiser", "export", "sheet", "all"))


def test_the_data_stage_draws_and_fits_and_rests_when_all_is_there(tmp_path: Path):
    arguments = [
        "data",
        "--work",
        str(tmp_path),
        "--pictures",
        "12",
        "--held",
        "2",
        "--shards",
        "0",
        "--processes",
        "1",
    ]
    main(arguments)
    first = {p.name: p.stat().st_mtime_ns for p in tmp_path.glob("*.np*")}
    assert set(first) == {"held.npy", "pictures.npy", "linear.npz"}
    main(arguments)
    assert {p.name: p.stat().st_mtime_ns for p in tmp_path.glob("*.np*")} == first
    assert json.loads((tmp_path / "data.jsonl").read_text().splitlines()[0])["pictures"] == 12


def test_a_missing_stage_is_named(trained_work: Path, tmp_path: Path):
    (tmp_path / "linear.npz").write_bytes((trained_work / "linear.npz").read_bytes())
    (tmp_path / "text_encoder").symlink_to(trained_work / "text_encoder")
    with pytest.raises(FileNotFoundError, match="run the stage denoiser first"):
        main(["export", "--work", str(tmp_path)])
