"""Engines: which one makes the pictures, as the settings ask. torch, diffusers and Ray are not imported here."""

from webui.engine import Engine
from webui.engine.checkpoints import Catalog
from webui.engine.remote import RemoteEngine
from webui.settings import Settings


def engine(settings: Settings, found: Catalog) -> Engine:
    """Make the engine; raise BadValue or EngineError when a cluster that is asked for cannot be had."""
    if settings.ray:
        from webui.engine import cluster, worker

        opened = cluster.open_cluster(cluster.asked(settings.ray, settings.ray_workers), settings.device)
        make = worker.Diffusion(
            settings.models,
            settings.loras,
            settings.embeddings,
            settings.cache,
            settings.device,
            settings.dtype,
            opened.threads,
            hub=not settings.door.demo,
        )
        return RemoteEngine(opened, make, found)
    from webui.engine.diffusion import DiffusionEngine

    return DiffusionEngine(found, settings.device, settings.dtype)
