"""The page: the door for people. The only part of the house that knows gradio, and it makes no request to outside."""

import os

# Read by gradio when it is imported: neither telemetry nor a version check may leave this machine.
os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
