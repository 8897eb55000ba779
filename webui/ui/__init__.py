"""The page: the door for people. The only part of the house that knows gradio, and it makes no request to outside."""

import os

from webui.ui import stubs

# Read by gradio when it is imported: neither telemetry nor a version check may leave this machine.
os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
stubs.leave_out()
