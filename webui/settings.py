"""Settings: how the program runs on this machine. None of them may reach a pixel; the engine does not import them.

Device and dtype are here because a person chooses them at the start; they are handed to the engine and written into
every picture's fingerprint.
"""

import ipaddress
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

DEVICES: Final = ("cuda", "xpu", "mps", "cpu")
DTYPES: Final = ("exact", "fast", "float32", "float16", "bfloat16")
"""Number types of the networks: ``exact`` is float32 everywhere, ``fast`` the half precision of the device, if any."""
DEFAULT_PORT: Final = 7860


def checkout() -> Path | None:
    """Return the folder of the checkout that this program runs from, or None when it is installed elsewhere."""
    root = Path(__file__).resolve().parent.parent
    return root if (root / "pyproject.toml").is_file() and (root / "outputs").is_dir() else None


def default_data_dir() -> Path:
    """Return where pictures and records live: the checkout it runs from, else the platform's user data folder."""
    found = checkout()
    if found is not None:
        return found
    from platformdirs import user_data_path

    return Path(user_data_path("reseed", appauthor=False))


def shipped_presets() -> Path:
    """Return the folder of the presets that come with the program."""
    found = checkout()
    return found / "presets" if found is not None else Path(sys.prefix) / "share" / "reseed" / "presets"


def is_loopback(host: str) -> bool:
    """Say whether an address is this machine's own, which no other reaches.

    >>> is_loopback("127.0.0.1"), is_loopback("localhost"), is_loopback("0.0.0.0"), is_loopback("pictures.example")
    (True, True, False, False)
    """
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


@dataclass(frozen=True)
class Door:
    """Who may come in, and by which names: all for whoever serves the page, nothing for other commands.

    ``users`` are names with passwords; with any, everybody logs in. In a ``demo`` everybody is a visitor with limits.
    ``hosts`` are further names that the server answers to; ``proxy`` says that one stands before it and is believed,
    ``root`` is the path at which that one shows it, such as ``/studio``. ``share`` asks for a public link.
    """

    users: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    demo: bool = False
    hosts: tuple[str, ...] = ()
    proxy: bool = False
    root: str = ""
    share: bool = False

    @property
    def is_guarded(self) -> bool:
        """Say whether people are told apart."""
        return bool(self.users) or self.demo


@dataclass(frozen=True)
class Settings:
    """How the program runs. Paths are absolute.

    ``model`` is chosen in the form at the start; ``device`` and ``dtype`` None mean the best there is. ``ray`` names a
    cluster that makes the pictures, see ``webui.engine.cluster``; empty is this process.
    """

    data_dir: Path = field(default_factory=default_data_dir)
    models_dir: Path | None = None
    loras_dir: Path | None = None
    embeddings_dir: Path | None = None
    model: str | None = None
    device: str | None = None
    dtype: str | None = None
    host: str = "127.0.0.1"
    port: int = DEFAULT_PORT
    journal_file: Path | None = None
    wildcards_dir: Path | None = None
    styles_file: Path | None = None
    door: Door = Door()
    ray: str = ""
    ray_workers: int = 0

    @property
    def is_loopback(self) -> bool:
        """Say whether only this machine is answered."""
        return is_loopback(self.host)

    @property
    def outputs(self) -> Path:
        """Where pictures are saved, a folder a day."""
        return self.data_dir / "outputs"

    @property
    def models(self) -> Path:
        """Where models are looked for."""
        return self.models_dir or self.data_dir / "models"

    @property
    def loras(self) -> Path:
        """Where LoRAs are looked for."""
        return self.loras_dir or self.models / "loras"

    @property
    def embeddings(self) -> Path:
        """Where embeddings (textual inversions) are looked for."""
        return self.embeddings_dir or self.models / "embeddings"

    @property
    def presets(self) -> Path:
        """Where a person's own presets are: below the shipped ones where these are in the same data folder."""
        folder = self.data_dir / "presets"
        return folder / "own" if folder == shipped_presets() else folder

    @property
    def wildcards(self) -> Path:
        """Where the lists are that ``__name__`` in a prompt draws from."""
        return self.wildcards_dir or self.data_dir / "wildcards"

    @property
    def styles(self) -> Path:
        """The table of a person's styles."""
        return self.styles_file or self.data_dir / "styles.csv"

    @property
    def favourites(self) -> Path:
        """The marks of the favourites: precious."""
        return self.data_dir / "favourites.json"

    @property
    def drafts(self) -> Path:
        """Where drafts are kept until their pictures are finished: a cache."""
        return self.cache / "drafts"

    @property
    def cache(self) -> Path:
        """What can be thrown away: thumbnails, index, hashes."""
        return self.data_dir / "cache"

    @property
    def journal(self) -> Path:
        """The record of accepted jobs: precious."""
        return self.journal_file or self.data_dir / "jobs.db"
