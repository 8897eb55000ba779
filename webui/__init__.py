"""Reseed: a text-to-image web UI whose seeds you can trust."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("reseed")
except PackageNotFoundError:  # run from a checkout that is not installed
    __version__ = "0+unknown"
