"""Fuzz the JSON doors by their own description in /openapi.json.

    pip install schemathesis && python scripts/fuzz_doors.py [--seconds 600]

Serves them over an empty folder, with an engine that draws no real pictures, on a free port of 127.0.0.1, and lets
schemathesis send what the description allows and what it does not: every boundary of every field once, which takes some
three minutes, then values at random until the time is over. Exits with another status than 0 when any answer is a
server's error, and its reports say which. 501 is no error: it is how the door for A1111's clients says what is not
here.
"""

import argparse
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import uvicorn

from webui.api.app import create
from webui.engine.checkpoints import Catalog
from webui.engine.fake import FakeEngine
from webui.serve import config
from webui.settings import Settings
from webui.studio import Studio

CONFIG = """
[checks.not_a_server_error]
expected-statuses = ["2xx", "3xx", "4xx", 501]
"""


def main() -> int:
    """Serve, fuzz, stop; return the exit status of schemathesis."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=600, help="after which to stop and report (default: 600)")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "schemathesis.toml").write_text(CONFIG)
        studio = Studio(Settings(data_dir=folder / "data"), FakeEngine(), Catalog(folder / "models"))
        studio.start()
        listener = socket.create_server(("127.0.0.1", 0))
        server = uvicorn.Server(config(create(studio)))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        address = f"http://127.0.0.1:{listener.getsockname()[1]}/openapi.json"
        program = [sys.executable, "-m", "schemathesis.cli"]
        what, end = [address, "--checks", "not_a_server_error"], time.monotonic() + asked.seconds
        status = subprocess.run([*program, "run", *what, "--phases", "coverage"], cwd=folder, check=False).returncode
        left = str(max(1, round(end - time.monotonic())))
        more = [*program, "fuzz", *what, "--max-time", left, "--continue-on-failure"]
        status = subprocess.run(more, cwd=folder, check=False).returncode or status
        server.should_exit = True
        thread.join(10)
        studio.close()
    return status


if __name__ == "__main__":
    raise SystemExit(main())
