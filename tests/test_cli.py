"""The command line: JSON lines, absolute paths, one sentence and status 2 for bad input."""

import json
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from webui import __version__, png
from webui.cli import main
from webui.journal import Journal
from webui.styles import Style
from webui.sweeping import Layout
from webui.words import Lists, Typed

ROOT = Path(__file__).resolve().parent.parent


def webui(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "webui", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=240, cwd=ROOT, check=False)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[dict[str, object]]]:
    """Two pictures made by the command line on the bundled model."""
    folder = tmp_path_factory.mktemp("data")
    done = webui("make", "a lake at sunset", "--negative", "fog", "--seed", 2**64 - 2, "--count", 2, "--steps", 4,
                 "--preset", "Pastel", "--data-dir", folder, "--json")  # fmt: skip
    assert done.returncode == 0, done.stderr
    return folder, [json.loads(line) for line in done.stdout.splitlines()]


def test_make_prints_a_json_line_for_each_picture(made: tuple[Path, list[dict[str, object]]]) -> None:
    folder, lines = made
    assert [line["seed"] for line in lines] == [str(2**64 - 2), str(2**64 - 1)]
    for line in lines:
        path = Path(str(line["path"]))
        assert path.is_absolute() and path.is_relative_to(folder / "outputs")
        found = png.read(path)
        assert found.recipe is not None
        assert found.recipe.to_dict() == line["recipe"]
        assert found.recipe.prompt == "a lake at sunset, pastel colors"
        assert found.recipe.negative_prompt == "fog"
        assert found.pixels_sha256 == line["pixels_sha256"]


def test_making_it_again_in_another_process_gives_equal_pixels(
    made: tuple[Path, list[dict[str, object]]], tmp_path: Path
) -> None:
    done = webui("make", "a lake at sunset", "--negative", "fog", "--seed", str(2**64 - 2), "--steps", "4",
                 "--preset", "Pastel", "--data-dir", tmp_path, "--json")  # fmt: skip
    assert json.loads(done.stdout)["pixels_sha256"] == made[1][0]["pixels_sha256"]


def test_info(made: tuple[Path, list[dict[str, object]]], capsys: pytest.CaptureFixture[str]) -> None:
    path = Path(str(made[1][0]["path"]))
    assert main(["info", str(path)]) == 0
    text, _, verdict = capsys.readouterr().out.partition("\n\n")
    assert f"Seed: {2**64 - 2}" in text
    assert verdict.startswith("Recall: expected identical.")
    assert main(["info", str(path), "--json"]) == 0
    data = json.loads(capsys.readouterr().out)
    assert data["seed"] == str(2**64 - 2)
    assert data["recipe"] == made[1][0]["recipe"]
    assert data["verdict"]["kind"] == "expected identical"


def test_info_names_what_will_differ(
    made: tuple[Path, list[dict[str, object]]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = Path(str(made[1][0]["path"]))
    assert main(["info", str(path), "--device", "cuda", "--dtype", "float16"]) == 0
    out = capsys.readouterr().out
    assert "Recall: will differ.\nIt was made on the device cpu, here it is cuda" in out
    texts = {"invokeai_metadata": json.dumps({"positive_prompt": "a cat", "seed": 5, "steps": 3, "loras": [1]})}
    other = tmp_path / "invoke.png"
    other.write_bytes(png.encode(Image.new("RGB", (8, 8)), texts))
    assert main(["info", str(other), "--data-dir", str(tmp_path)]) == 0
    out = capsys.readouterr().out
    assert "Prompt: a cat" in out
    assert "Seed: 5" in out
    assert "It was made by InvokeAI" in out


def test_what_was_made_is_verified_and_reproduced_in_another_process(
    made: tuple[Path, list[dict[str, object]]], capsys: pytest.CaptureFixture[str]
) -> None:
    folder, lines = made
    assert main(["verify", "--read-data", "--data-dir", str(folder)]) == 0
    assert main(["reproduce", *(str(line["path"]) for line in lines), "--json", "--data-dir", str(folder)]) == 0
    found = [json.loads(line) for line in capsys.readouterr().out.splitlines()[1:]]
    assert [one["outcome"] for one in found] == ["identical", "identical"]
    assert [one["pixels_sha256"]["made"] for one in found] == [line["pixels_sha256"] for line in lines]


def test_info_finds_a_picture_by_its_name_below_outputs(
    made: tuple[Path, list[dict[str, object]]], capsys: pytest.CaptureFixture[str]
) -> None:
    folder, lines = made
    path = Path(str(lines[0]["path"]))
    assert main(["info", str(path.relative_to(folder / "outputs")), "--data-dir", str(folder), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["path"] == str(path)


BAD = [
    (["make", "x", "--seed", "abc"], "Seed must be"),
    (["make", "x", "--seed", "1.5"], "Seed must be"),
    (["make", "x", "--seed", "-2"], "Seed must be"),
    (["make", "x", "--seed", str(2**64)], "Seed must be"),
    (["make", "x", "--steps", "0"], "Steps must be a whole number from 1 to 150"),
    (["make", "x", "--steps", "1e3"], "Steps must be"),
    (["make", "x", "--width", "513"], "Nearest: 512 or 520"),
    (["make", "x", "--sampler", "eular"], "Did you mean Euler"),
    (["make", "x", "--cfg-scale", "nan"], "CFG scale must be"),
    (["make", "x", "--count", "0"], "Batch count must be"),
    (["make", "x", "--preset", "nope"], "Preset must be"),
    (["make", "x", "--model", "nope"], "nope"),
    (["make", "__x__"], "Wildcard must be the name of a list; there are none yet; got 'x'"),
    (["make", "x", "--style", "nope"], "Styles must be"),
    (["make", "x", "--wildcards", "/no/such"], "--wildcards must be a folder that is there"),
    (["make", "x", "--styles", "/no/such.csv"], "--styles must be a file that is there"),
    (["make", "x", "--nonsense"], "Unrecognized"),
    (["make"], "PROMPT"),
    (["sweep", "x"], "Sweep must be along one axis at least"),
    (["sweep", "x", "--x", "Steps"], "--x must be an axis and its values, such as 'CFG scale=3-12'; got 'Steps'."),
    (["sweep", "x", "--y", "=3"], "--y must be an axis"),
    (["sweep", "x", "--x", "Stepz=1-3"], "Did you mean Steps"),
    (["sweep", "x", "--x", "Steps=1-x", "--y", "CFG scale=y"], "got '1-x'. CFG scale must be"),
    (["sweep", "x", "--x", "RNG=CPU", "--y", "Noise layout=centred"], "Sweep must be of values that go together"),
    (["sweep", "x", "--x", "Steps=1-3", "--seed", "1-3"], "Seed must be one seed for a sweep"),
    (["sweep", "x", "--x", "Steps=1", "--steps", "0"], "Steps must be"),
    (["sweep", "x", "--x", "Steps=1", "--grid", "/no/such/grid.png"], "--grid must be a new file"),
    (["sweep", "x", "--x", "Steps=1", "--count", "3"], "Unrecognized"),
    (["info", "/no/such/file.png"], "file.png"),
    (["verify", "/no/such/file.png"], "PATH must be"),
    (["verify", "--read-data=0%"], "--read-data must be"),
    (["reproduce"], "FILE"),
    (["reproduce", "a.png", "b.png", "--difference", "c.png"], "--difference must be"),
    (["--port", "99999"], "--port must be"),
    (["serve", "--port", "x"], "Argument --port"),
    (["serve", "--device", "abacus"], "abacus"),
    (["serve", "--listen"], "--listen must be given with --auth, --auth-file, --demo or --unprotected"),
    (["serve", "--host", "192.168.1.7"], "--host must be given with --auth"),
    (["serve", "--listen", "--host", "127.0.0.1"], "not allowed with argument"),
    (["serve", "--share"], "--share must be given with --auth"),
    (["serve", "--share", "--unprotected"], "--share must be given with --auth"),
    (["serve", "--auth", "ann:secret", "--demo"], "--demo must be given without passwords"),
    (["serve", "--demo", "--unprotected"], "--unprotected must be given without"),
    (["serve", "--auth", "ann:secret", "--auth", "ann:other"], "a name that is given once; got 'ann'"),
    (["serve", "--auth", "secret"], "--auth must be USER:PASSWORD"),
    (["serve", "--auth", ":secret"], "--auth must be USER:PASSWORD"),
    (["serve", "--auth", "ann:"], "--auth must be USER:PASSWORD"),
    (["serve", "--auth-file", "/nowhere/users"], "--auth-file must be a file that is there"),
    (["serve", "--ray", "remote"], "--ray must be local, local:N, auto, or an address such as 10.0.0.5:6379"),
    (["serve", "--ray", "local:0"], "--ray must be local:N with N from 1 to 256; got 'local:0'"),
    (["make", "x", "--ray", "ray://10.0.0.5:10001"], "Ray Client (ray://…) is not used"),
    (["serve", "--ray-workers", "2"], "--ray-workers must be a whole number from 1 to 256, and given with --ray"),
    (["serve", "--allowed-host", "http://pictures.example"], "--allowed-host must be a host name"),
    (["serve", "--root-path", "studio"], "--root-path must be a path such as /studio"),
    (["serve", "--root-path", "//evil.example"], "--root-path must be a path such as /studio"),
]


@pytest.mark.parametrize(
    ("arguments", "words"), BAD, ids=lambda value: " ".join(value) if isinstance(value, list) else ""
)
def test_bad_input_is_one_sentence_and_status_2(
    arguments: list[str], words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if arguments[0] in ("make", "sweep"):
        arguments = [*arguments, "--data-dir", str(tmp_path)]
    try:
        status = main(arguments)
    except SystemExit as leaving:
        status = int(str(leaving.code))
    error = capsys.readouterr().err
    assert status == 2
    assert words in error
    assert error.startswith("webui: ")
    assert len(error.strip().splitlines()) == 1
    assert "Traceback" not in error
    assert not list(tmp_path.glob("outputs/*/*.png"))


def test_wildcards_and_styles_are_drawn_by_the_command_line_as_by_the_page(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "lists").mkdir()
    (tmp_path / "lists" / "thing.txt").write_text("house\nboat\n")
    (tmp_path / "table.csv").write_text('name,prompt,negative_prompt\nOil,"oil of {prompt}",photo\n')
    where = ["--wildcards", tmp_path / "lists", "--styles", tmp_path / "table.csv", "--data-dir", tmp_path / "data"]
    small = ["--seed", "5-8", "--steps", "1", "--width", "64", "--height", "64", "--json", *where]
    asked = [["a {red|blue} __thing__", "--style", "oil"], ["a {red|blue} __thing__", "--literal"]]
    drawn, literal = [], []
    for words, kept in zip(asked, (drawn, literal), strict=True):
        assert main([str(one) for one in ("make", *words, *small)]) == 0
        kept += [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    styles = {"Oil": Style("Oil", "oil of {prompt}", "photo")}
    typed = Typed.of({"prompt": asked[0][0]}, ["Oil"], styles, Lists(tmp_path / "lists"))
    assert [one["recipe"]["prompt"] for one in drawn] == [typed.words(seed)["prompt"] for seed in range(5, 9)]
    assert drawn[0]["lineage"] == {"template": asked[0][0], "styles": ["Oil"]}
    assert {one["recipe"]["prompt"] for one in literal} == {"a {red|blue} __thing__"}
    assert [one["lineage"] for one in literal] == [{}] * 4


def test_a_sweep_prints_its_pictures_and_says_which_cells_have_none(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    grid = tmp_path / "grid.png"
    asked = ["sweep", "a lake", "--x", "Noise layout=plain,centred", "--y", "rng=NV, CPU", "--z", "Seed=7-8"]
    small = ["--steps", "1", "--width", "64", "--height", "64", "--grid", grid, "--data-dir", tmp_path / "data"]
    assert main([str(one) for one in (*asked, *small)]) == 0
    out, err = capsys.readouterr()
    lines = [json.loads(line) for line in out.splitlines()]
    assert [line["cells"] for line in lines[:2]] == [
        [["Noise layout plain", "RNG NV", "Seed 7"]],
        [["Noise layout centred", "RNG NV", "Seed 7"]],
    ]
    assert [line["seed"] for line in lines] == ["7"] * 3 + ["8"] * 3
    assert all(Path(line["path"]).is_file() for line in lines)
    assert err.splitlines() == [
        f"webui: Noise layout centred, RNG CPU, Seed {seed}: Noise layout must be plain with RNG CPU; got 'centred'. "
        "Or choose RNG NV."
        for seed in (7, 8)
    ]
    layout = Layout.from_json(png.read_texts(grid.read_bytes())["sweep"], 6)
    assert [cell for cell in layout.cells if isinstance(cell, int)] == list(range(6))
    assert main([str(one) for one in (*asked, *small)]) == 2
    assert "--grid must be a new file" in capsys.readouterr().err


def test_a_picture_of_a_sweep_is_the_one_that_make_gives(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    small = ["a lake", "--width", "64", "--height", "64", "--seed", "7", "--data-dir", str(tmp_path)]
    assert main(["sweep", *small, "--x", "Steps=1, 2", "--y", "CFG scale=3"]) == 0
    swept = [json.loads(line)["pixels_sha256"] for line in capsys.readouterr().out.splitlines()]
    assert main(["make", *small, "--steps", "2", "--cfg-scale", "3", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["pixels_sha256"] == swept[1] != swept[0]


def test_a_second_server_in_one_data_folder_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first = Journal(tmp_path / "jobs.db")
    first.claim()
    assert main(["--port", "0", "--data-dir", str(tmp_path)]) == 1
    assert "Another Reseed is at work" in capsys.readouterr().err
    first.close()


def test_a_port_that_is_taken_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        assert main(["--port", port, "--data-dir", str(tmp_path)]) == 1
    assert f"Port {port} cannot be used" in capsys.readouterr().err


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        main(["--version"])
    assert capsys.readouterr().out.strip() == f"reseed {__version__}"


def test_the_documentation_is_what_the_program_declares() -> None:
    done = subprocess.run(
        [sys.executable, "scripts/make_docs.py", "--check"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout
