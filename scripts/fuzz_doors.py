"""Fuzz the JSON doors by their own description in /openapi.json.

    pip install schemathesis && python scripts/fuzz_doors.py [--seconds 600] [--examples 400]

Serves them over an empty folder, with an engine that draws no real pictures, on a free port of 127.0.0.1, and lets
schemathesis send what the description allows and what it does not. Exits with 1 when any answer is a server's error,
with 130 when the time was over first, and its report says what was found by then. 501 is no error: it is how the door
for A1111's clients says what is not here.
"""

import argparse
import signal
import socket
import subprocess
import sys
import tempfile
import threading
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
    parser.add_argument("--examples", type=int, default=400, help="for each operation at most (default: 400)")
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
        command = [sys.executable, "-m", "schemathesis.cli", "run", address, "--checks", "not_a_server_error"]
        fuzzing = subprocess.Popen([*command, "--max-examples", str(asked.examples)], cwd=folder)
        try:
            status = fuzzing.wait(asked.seconds)
        except subprocess.TimeoutExpired:
            fuzzing.send_signal(signal.SIGINT)
            status = fuzzing.wait(60)
        server.should_exit = True
        thread.join(10)
        studio.close()
    return status


if __name__ == "__main__":
    raise SystemExit(main())
