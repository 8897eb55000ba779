"""The evaluation on the real bundled model, with tiny numbers: each part runs, writes its files and tells the truth."""

import json
import random
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.demo.conftest import CPU
from webui.demo import figures
from webui.demo.evaluate import main
from webui.demo.judge import JudgePlan, load_judge, look, train_judge
from webui.demo.layout import CODE_SIZE
from webui.demo.measures import Painter, make_pair, samples_seen, small_change
from webui.demo.runs import Log
from webui.demo.trials import CASES, FIVE_HUNDRED, SHEET_PROMPTS, SNOW, measure_speed, probability
from webui.demo.words import CHOICES, Content
from webui.engine.checkpoints import BUNDLED, Catalog
from webui.errors import CheckpointError

NATIVE = Catalog().find("reseed").width
FEW = [
    "--model",
    str(BUNDLED),
    "--pairs",
    "2",
    "--pictures",
    "3",
    "--reference",
    "8",
    "--steps",
    "1",
    "--seeds",
    "1",
    "--threads",
    "1",
]


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a judge of one step, in which every part but the slow ones has run."""
    work = tmp_path_factory.mktemp("evaluate")
    train_judge(work, JudgePlan(seed=1, steps=1, pictures=4, held=2, batch=4, width=8), CPU)
    main(["all", "--work", str(work), *FEW, "--sizes", "64x64", "96x64", "--skip", "speed", "contact", "autoencoder"])
    main(["autoencoder", "--work", str(work), *FEW])
    return work


def report(work: Path) -> dict[str, dict[str, object]]:
    found = json.loads((work / "evaluation" / "evaluation.json").read_text("utf-8"))
    assert isinstance(found, dict)
    return found


def test_parts_fill_one_report(work):
    found = report(work)
    assert list(found["parts"]) == ["composition", "adherence", "distance", "words", "sizes", "autoencoder"]
    assert found["model_hash"] == Painter(BUNDLED, "cpu").digest
    assert (found["width"], found["steps"]) == (NATIVE, 1)


def test_composition(work):
    found = report(work)["parts"]["composition"]
    assert {len(values) for values in found["likeness"].values()} == {2}
    assert 0.0 <= found["auc"] <= 1.0
    assert found["mean_same"] == pytest.approx(np.mean(found["likeness"]["same"]))
    assert "taught" in found
    text = (work / "evaluation" / "composition.txt").read_text("utf-8")
    assert text.count("2 pairs") == 2
    assert sum(int(line.split()[1]) for line in text.splitlines() if line[0] in "+-") == 4
    assert Image.open(work / "evaluation" / "composition.png").width > 300


def test_adherence_and_distance(work):
    parts = report(work)["parts"]
    assert list(parts["adherence"]["attributes"]) == list(CHOICES)
    assert parts["adherence"]["attributes"]["time"]["asked"] == 3
    curve = [json.loads(line) for line in (work / "curve.jsonl").read_text("utf-8").splitlines()]
    assert [line["distance"] for line in curve] == [parts["distance"]["distance"]]
    assert parts["distance"]["distance"] > 0


def test_the_autoencoder_of_the_bundled_model(work):
    found = report(work)["parts"]["autoencoder"]
    assert 20 < found["psnr"] < 45
    assert found["worst"] <= min(found["psnr"], found["middle"])
    assert min(found["by_style"].values()) <= found["psnr"] <= max(found["by_style"].values())


def test_words_and_sizes(work):
    parts = report(work)["parts"]
    cases = {case["name"]: case for case in parts["words"]["cases"]}
    assert len(cases) == len(CASES)
    assert (cases["empty prompt"]["changed"], cases["empty prompt"]["likeness"]) == (0.0, 1.0)
    assert cases["unknown words alone"]["changed"] > 0
    assert cases["(snow:1.5)"]["changed"] > 0
    assert cases["negative prompt night"]["changed"] > 0
    assert [size["size"] for size in parts["sizes"]["sizes"]] == ["64x64", "96x64"]
    assert (work / "evaluation" / "size-96x64.png").exists()
    assert (work / "evaluation" / "words.png").exists()


def test_table(work):
    text = (work / "evaluation" / "evaluation.md").read_text("utf-8")
    firsts = [line.split("|")[1].strip() for line in text.splitlines() if line.startswith("| ")]
    numbers = [first for first in firsts if first.isdigit()]
    assert numbers == ["2", "2", "3", "4", "5", "7", "7", "8", "8"]
    assert all(f"| {name} |" in text for name in CHOICES)


def test_another_model_or_other_settings_begin_a_new_report(work, tmp_path):
    (tmp_path / "evaluation").mkdir()
    old = tmp_path / "evaluation" / "evaluation.json"
    old.write_text(json.dumps({**report(work), "steps": 99}), "utf-8")
    (tmp_path / "judge.safetensors").symlink_to(work / "judge.safetensors")
    main(["autoencoder", "--work", str(tmp_path), *FEW])
    assert list(report(tmp_path)["parts"]) == ["autoencoder"]


def test_contact_sheet_by_all(work, tmp_path):
    (tmp_path / "judge.safetensors").symlink_to(work / "judge.safetensors")
    others = ["speed", "composition", "adherence", "distance", "autoencoder", "words", "sizes"]
    main(["all", "--work", str(tmp_path), *FEW, "--skip", *others, "--json", str(tmp_path / "a.json")])
    assert list(json.loads((tmp_path / "a.json").read_text("utf-8"))["parts"]) == ["contact"]
    picture = Image.open(tmp_path / "evaluation" / "contact.png")
    assert picture.width == figures.MARGIN + NATIVE * len(SHEET_PROMPTS)


def test_speed_is_measured_in_a_process_of_its_own():
    (run,) = measure_speed(BUNDLED, "cpu", 1, ["float32"], repeats=0)["runs"]
    assert run["seconds_20"] > 0
    assert run["seconds_8"] > 0
    assert run["peak_mb"] > 100
    assert (run["dtype"], run["threads"], run["width"]) == ("float32", 1, NATIVE)


def test_a_model_that_is_not_there_is_a_sentence(tmp_path):
    with pytest.raises(CheckpointError, match="There is no model"):
        main(["autoencoder", "--work", str(tmp_path), "--model", str(tmp_path / "nowhere")])


def test_judge_command(tmp_path, capsys):
    few = ["--pictures", "4", "--held", "2", "--batch", "4", "--width", "8", "--steps", "1", "--threads", "1"]
    main(["judge", "--work", str(tmp_path / "new"), *few])
    assert json.loads(capsys.readouterr().out)["step"] == 1
    assert (tmp_path / "new" / "judge.safetensors").exists()


def test_structure_command(tmp_path, capsys):
    main(["structure", "--work", str(tmp_path), "--pairs", "3", "--threads", "1"])
    assert json.loads(capsys.readouterr().out)["pairs"] == 3


def test_pictures_are_a_function_of_the_recipe():
    painter = Painter(BUNDLED, "cpu", "float32", steps=1)
    assert np.array_equal(painter.paint("a lake", 3), painter.paint("a lake", 3))
    assert not np.array_equal(painter.paint("a lake", 3), painter.paint("a lake", 4))
    code = painter.code(3)
    assert code is not None
    assert code.shape == (CODE_SIZE,)


def test_a_pair_differs_by_one_small_change():
    for index in range(40):
        pair = make_pair(1, index)
        assert pair == make_pair(1, index)
        assert pair.prompt != pair.other
        assert pair.content.place == pair.changed.place
        before, after = asdict(pair.content), asdict(pair.changed)
        assert before[pair.change] != after[pair.change]
    assert small_change(Content(), random.Random(1))[1] != Content()


def test_samples_are_read_from_the_log(tmp_path):
    assert samples_seen(tmp_path) == 0
    Log(tmp_path / "denoiser.jsonl").write(step=3, samples=144)
    assert samples_seen(tmp_path) == 144


def test_watched_probabilities_are_of_any_value(work):
    verdicts = look(load_judge(work, CPU), [np.zeros((96, 96, 3), np.uint8)])
    parts = [
        verdicts.probabilities[name][0, [CHOICES[name].index(value) for value in values]].sum()
        for name, values in SNOW.items()
    ]
    assert probability(verdicts, SNOW) == pytest.approx(1 - np.prod([1 - part for part in parts]))


def test_five_hundred_words():
    assert 500 <= len(FIVE_HUNDRED.split()) <= 1000


def test_histogram_text():
    text = figures.histogram_text({"same": [1.0, 1.0, -1.0]})
    assert text.splitlines()[1].split()[1] == "1"
    assert text.splitlines()[-1].split()[1] == "2"
