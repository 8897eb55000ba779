"""What is slow is imported late: the words, the command line's help and the history load no torch and no gradio."""

import subprocess
import sys

import pytest

HEAVY = {"torch", "diffusers", "transformers", "gradio", "pandas", "ray", "prometheus_client"}
WORDS = [
    "errors", "seeds", "samplers", "prompt", "prompt_schedule", "prompt_traps", "styles", "wildcards", "params",
    "recipe", "dialects", "infotext", "foreign", "comfyui", "grid", "presets", "settings", "verdict", "lineage",
    "axes", "changes", "hold", "link", "drift", "search",
]  # fmt: skip


def loaded_after(code: str) -> set[str]:
    """Run code in a fresh interpreter and return which heavy modules it loaded."""
    tail = f"\nimport sys; print(*sorted({HEAVY!r} & sys.modules.keys()), sep=',', file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", code + tail], capture_output=True, text=True, check=True, timeout=120)
    return set(done.stderr.splitlines()[-1].split(",")) - {""}


@pytest.mark.parametrize("name", WORDS)
def test_a_word_loads_nothing_heavy(name: str) -> None:
    assert loaded_after(f"import webui.{name}") == set()


@pytest.mark.parametrize(
    "arguments", [["--help"], ["--version"], *([name, "--help"] for name in ("make", "serve", "verify", "reproduce"))]
)
def test_help_loads_nothing_heavy(arguments: list[str]) -> None:
    code = f"from webui.cli import main\ntry: main({arguments!r})\nexcept SystemExit: pass"
    assert loaded_after(code) == set()


def test_the_history_and_the_queue_load_nothing_heavy() -> None:
    modules = ("png", "gallery", "drafts", "jobs", "studio", "engine.fake", "engine.remote")
    assert loaded_after(f"import {', '.join(f'webui.{name}' for name in modules)}") == set()


def test_the_page_is_built_without_torch() -> None:
    code = "import webui.ui.page, webui.api.app, webui.serve, webui.engine.diffusion, webui.engine.checkpoints"
    assert loaded_after(code) & {"torch", "diffusers", "transformers"} == set()


def test_the_check_can_fail() -> None:
    assert "gradio" in loaded_after("import gradio")


@pytest.mark.parametrize(
    ("first", "parses"), [("import webui.ui", False), ("import webui.serve, webui.ui.page", False), ("", True)]
)
def test_gradio_is_loaded_without_writing_its_stubs(first: str, parses: bool) -> None:
    """Alone gradio parses its own source at each import: the check can fail."""
    code = (
        "import ast\nread, seen = ast.get_source_segment, []\n"
        "def noted(*given, **options):\n    seen.append(given)\n    return read(*given, **options)\n"
        f"ast.get_source_segment = noted\n{first}\nimport gradio\nprint(bool(seen))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120)
    assert done.stdout.split()[-1] == str(parses)
