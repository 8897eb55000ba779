"""The options that say who may come in: what they mean, and that no password is ever printed."""

import argparse
import socket
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI

from webui import serve
from webui.cli import main
from webui.cli_door import add_door, door_of
from webui.errors import BadValue, StorageError
from webui.settings import Door, Settings
from webui.ui import sharing


def settings(*options: str) -> Settings:
    parser = argparse.ArgumentParser()
    add_door(parser)
    return Settings(**door_of(parser.parse_args(options)))


def test_alone_the_server_answers_this_machine_and_nobody_logs_in() -> None:
    found = settings()
    assert (found.host, found.door) == ("127.0.0.1", Door())
    assert found.is_loopback and not found.door.is_guarded


def test_what_the_options_mean() -> None:
    found = settings("--listen", "--auth", "ann:a:b", "--auth", "bob:c", "--trust-proxy", "--share")
    assert (found.host, found.is_loopback) == ("0.0.0.0", False)
    assert found.door == Door((("ann", "a:b"), ("bob", "c")), proxy=True, share=True)
    assert "a:b" not in repr(found)
    found = settings("--host", "192.168.1.7", "--demo", "--allowed-host", "Pictures.Example", "--root-path", "/studio/")
    assert found.host == "192.168.1.7"
    assert found.door == Door(demo=True, hosts=("pictures.example",), root="/studio")
    assert settings("--listen", "--unprotected").door == Door()
    assert settings("--host", "127.0.0.1").host == "127.0.0.1"


def test_users_come_from_a_file_that_only_its_owner_may_read(tmp_path: Path) -> None:
    file = tmp_path / "users"
    file.write_text("# who may come in\nann:se cret\n\nbob:ü\n", encoding="utf-8")
    file.chmod(0o600)
    assert settings("--auth-file", str(file)).door.users == (("ann", "se cret"), ("bob", "ü"))
    for mode in (0o640, 0o604, 0o644):
        file.chmod(mode)
        with pytest.raises(BadValue, match=r"only you may read.*chmod 600"):
            settings("--auth-file", str(file))


@pytest.mark.parametrize(
    "content", [b"", b"# nobody\n", b"ann\n", b"ann:\n", b"ann:a\nann:b\n", b"\xff:x\n", b"a\x01b:c\n"]
)
def test_a_file_of_nobody_is_a_sentence(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "users"
    file.write_bytes(content)
    file.chmod(0o600)
    with pytest.raises(BadValue, match="auth"):
        settings("--auth-file", str(file))


def test_no_password_is_printed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "users"
    file.write_text("ann:hunter2\nann:hunter2\n:hunter2\n")
    file.chmod(0o600)
    for options in (["--auth", ":hunter2"], ["--auth", "ann:hunter2", "--demo"], ["--auth-file", str(file)]):
        assert main(["serve", *options]) == 2
    assert "hunter2" not in "".join(capsys.readouterr())


# The public link


def test_a_link_that_cannot_be_made_is_a_sentence_and_the_server_goes_on(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    monkeypatch.setattr("gradio.networking.GRADIO_API_SERVER", f"http://127.0.0.1:{port}/v3/tunnel-request")
    app = FastAPI()
    app.state.shared = set()
    serve._share(app, 7860)
    said = capsys.readouterr().err
    assert said.startswith("The link could not be made: Could not get share link from Gradio API Server.")
    assert said.endswith("The page is at http://127.0.0.1:7860 only.\n")
    assert app.state.shared == set()


def test_a_link_is_https_and_its_name_is_answered_from_then_on(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: dict[str, Any] = {}

    def connect(**options: Any) -> str:
        asked.update(options)
        return "http://0123abcd.gradio.live"

    assert sharing.link("127.0.0.1", 7860, "token", connect) == "https://0123abcd.gradio.live"
    assert (asked["local_host"], asked["local_port"], asked["share_token"]) == ("127.0.0.1", 7860, "token")
    monkeypatch.setattr("gradio.networking.setup_tunnel", connect)
    app = FastAPI()
    app.state.shared = set()
    serve._share(app, 7860)
    assert "https://0123abcd.gradio.live" in capsys.readouterr().out
    assert app.state.shared == {"0123abcd.gradio.live"}


def test_whatever_goes_wrong_with_a_link_is_one_sentence() -> None:
    def fails(**options: Any) -> str:
        raise RuntimeError("")

    with pytest.raises(StorageError, match=r"^RuntimeError\.$"):
        sharing.link("127.0.0.1", 7860, "token", fails)
