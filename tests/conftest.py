"""What every test shares: no telemetry, no network for models, one thread so that a busy machine stays usable."""

import os

from hypothesis import HealthCheck, settings

os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

# On a busy machine a single example may take long; what must be fast is measured in processor time where it matters.
settings.register_profile("reseed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("reseed")
