"""Time Reseed beside a plain diffusers script, and beside other programs by their addresses, in one run.

    python scripts/benchmark.py [--model bundled|sd15|FOLDER] [--size 256x256 …] [--steps 8] [--rounds 5]
                                [--dtype float32 …] [--threads N] [--peer a1111=URL] [--peer comfyui=URL] [--out DIR]

Every contestant is a process of its own with the same number of threads; they take turns picture by picture, the first
of a round changing, so that a neighbour's load falls on all of them alike. What is compared are medians and their
ratios to the diffusers script, in single precision as it comes; the quarters are printed beside. ``sd15``
is the architecture of Stable Diffusion 1.5 with random weights, which the script builds once in the cache folder: its
pictures are noise, its arithmetic is the real one. A peer makes pictures with whatever model it has loaded.

Figures go to DIR/benchmark.json, a table to DIR/benchmark.md, a plot to DIR/benchmark.svg.
"""

import argparse
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import httpx

ROOT = Path(__file__).resolve().parent.parent
BUNDLED = ROOT / "webui" / "demo" / "model"
CONFIGS = ROOT / "webui" / "engine" / "configs"
CFG = 7.0
PROMPTS = ("a house by a lake", "a house by a lake at night", "a castle in the mountains", "a tent in the desert")
CASES = ("new seed", "new prompt")
"""A warm picture with the prompt of the one before, and one with the seed of the one before."""


class Painter(Protocol):
    """What a contestant's process does."""

    def load(self) -> None:
        """Import what is slow and load the weights."""
        ...

    def networks(self) -> list[Any]:
        """Return the networks, whose time is the work itself and not what is done around it."""
        ...

    def paint(self, prompt: str, seed: int, width: int, height: int, steps: int) -> None:
        """Make a picture with Euler and keep nothing of it."""
        ...


class Diffusers:
    """The script that a user of diffusers would write."""

    def __init__(self, model: Path, dtype: str) -> None:
        self.model, self.dtype = model, dtype

    def load(self) -> None:
        import torch
        from diffusers import EulerDiscreteScheduler, StableDiffusionPipeline

        pipe = StableDiffusionPipeline.from_pretrained(self.model, torch_dtype=getattr(torch, self.dtype))
        pipe.scheduler = EulerDiscreteScheduler.from_config(pipe.scheduler.config)
        pipe.set_progress_bar_config(disable=True)
        self.pipe = pipe

    def networks(self) -> list[Any]:
        return [self.pipe.unet, self.pipe.text_encoder, self.pipe.vae.decoder]

    def paint(self, prompt: str, seed: int, width: int, height: int, steps: int) -> None:
        import torch

        generator = torch.Generator().manual_seed(seed)
        size = {"width": width, "height": height}
        self.pipe(prompt, num_inference_steps=steps, guidance_scale=CFG, generator=generator, **size)


class Reseed:
    """The engine as the program uses it: a recipe in, steps and a picture out."""

    def __init__(self, model: Path, dtype: str) -> None:
        self.model, self.dtype = model, dtype

    def load(self) -> None:
        from webui.engine.checkpoints import Catalog
        from webui.engine.diffusion import DiffusionEngine

        catalog = Catalog(bundled=self.model.resolve())
        self.engine = DiffusionEngine(catalog, "cpu", self.dtype)
        self.engine.warm("reseed")

    def networks(self) -> list[Any]:
        pipe: Any = self.engine._model("reseed", "").family.pipe
        return [pipe.unet, pipe.text_encoder, pipe.vae.decoder]

    def paint(self, prompt: str, seed: int, width: int, height: int, steps: int) -> None:
        from webui.recipe import Recipe

        values = {"prompt": prompt, "seed": seed, "width": width, "height": height, "steps": steps}
        recipe = Recipe.of(**values, cfg_scale=CFG, sampler="Euler")
        assert [*self.engine.generate(recipe)][-1].image is not None


CONTESTANTS: dict[str, Callable[[Path, str], Painter]] = {"diffusers": Diffusers, "reseed": Reseed}


def environment(**more: str) -> dict[str, str]:
    """Give the environment of a process that finds this package."""
    return {**os.environ, "PYTHONPATH": str(ROOT), **more}


def contest(name: str, model: Path, dtype: str) -> None:
    """Be a contestant: load, then make a picture for each line of JSON that comes, and say what it took."""
    began = time.perf_counter()
    painter = CONTESTANTS[name](model, dtype)
    painter.load()
    inside = _clocked(painter.networks())
    _say(load=time.perf_counter() - began)
    for line in sys.stdin:
        inside.clear()
        began, cpu = time.perf_counter(), time.process_time()
        painter.paint(**json.loads(line))
        took = time.perf_counter() - began
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        _say(seconds=took, cpu=time.process_time() - cpu, networks=sum(inside), calls=len(inside), megabytes=memory)


def _clocked(networks: list[Any]) -> list[float]:
    """Note the seconds of every call of networks in a list."""
    inside: list[float] = []
    for network in networks:
        network.register_forward_pre_hook(lambda *_: inside.append(-time.perf_counter()))
        network.register_forward_hook(lambda *_: inside.append(inside.pop() + time.perf_counter()))
    return inside


def _say(**figures: float) -> None:
    sys.__stdout__.write(json.dumps(figures) + "\n")  # type: ignore[union-attr]
    sys.__stdout__.flush()  # type: ignore[union-attr]


@dataclass
class Contestant:
    """A contestant's process and what it has said."""

    name: str
    model: Path
    dtype: str
    threads: int
    first: float = 0.0
    """Seconds from the start of the process to its first picture."""
    load: float = 0.0
    taken: dict[tuple[str, str], list[dict[str, float]]] = field(default_factory=dict)
    """Figures of each picture by size and case."""

    @property
    def title(self) -> str:
        """Name it in tables."""
        return f"{self.name} {self.dtype}"

    @contextmanager
    def running(self) -> Iterator[None]:
        """Start the process; end it."""
        command = [sys.executable, __file__, "--contestant", self.name, str(self.model), self.dtype]
        env = environment(OMP_NUM_THREADS=str(self.threads), HF_HUB_OFFLINE="1")
        began = time.perf_counter()
        with subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=env
        ) as process:
            self.process = process
            try:
                self.load = self._heard()["load"]
                self.paint(PROMPTS[0], 1, 256, 256, 1)
                self.first = time.perf_counter() - began
                yield
            finally:
                process.terminate()

    def paint(self, prompt: str, seed: int, width: int, height: int, steps: int) -> dict[str, float]:
        """Have a picture made and return the figures."""
        assert self.process.stdin is not None
        wanted = {"prompt": prompt, "seed": seed, "width": width, "height": height, "steps": steps}
        self.process.stdin.write(json.dumps(wanted) + "\n")
        self.process.stdin.flush()
        return self._heard()

    def _heard(self) -> dict[str, float]:
        assert self.process.stdout is not None
        while line := self.process.stdout.readline():
            with suppress(ValueError):  # a library's own words
                found: dict[str, float] = json.loads(line)
                return found
        raise SystemExit(f"{self.title} ended before it said anything: run with --contestant {self.name} to see why.")


class Peer:
    """Another program, asked over HTTP: ``a1111`` (Forge too) or ``comfyui``."""

    def __init__(self, kind: str, address: str) -> None:
        self.name, self.title, self.address = kind, kind, address.rstrip("/")
        self.taken: dict[tuple[str, str], list[dict[str, float]]] = {}
        self.paint = {"a1111": self._a1111, "comfyui": self._comfyui}[kind]

    def _a1111(self, prompt: str, seed: int, width: int, height: int, steps: int) -> dict[str, float]:
        body = {"prompt": prompt, "seed": seed, "width": width, "height": height, "steps": steps}
        began = time.perf_counter()
        answer = httpx.post(
            f"{self.address}/sdapi/v1/txt2img", json={**body, "cfg_scale": CFG, "sampler_name": "Euler"}, timeout=3600
        )
        answer.raise_for_status()
        assert answer.json()["images"]
        return {"seconds": time.perf_counter() - began}

    def _comfyui(self, prompt: str, seed: int, width: int, height: int, steps: int) -> dict[str, float]:
        loaders = httpx.get(f"{self.address}/object_info/CheckpointLoaderSimple", timeout=60).json()
        checkpoint = loaders["CheckpointLoaderSimple"]["input"]["required"]["ckpt_name"][0][0]
        drawn = {"seed": seed, "steps": steps, "cfg": CFG, "sampler_name": "euler", "scheduler": "normal", "denoise": 1}
        nodes = {
            "1": ("CheckpointLoaderSimple", {"ckpt_name": checkpoint}),
            "2": ("CLIPTextEncode", {"text": prompt, "clip": ["1", 1]}),
            "3": ("CLIPTextEncode", {"text": "", "clip": ["1", 1]}),
            "4": ("EmptyLatentImage", {"width": width, "height": height, "batch_size": 1}),
            "5": ("KSampler", {**drawn, "model": ["1", 0], "positive": ["2", 0], "negative": ["3", 0],
                               "latent_image": ["4", 0]}),
            "6": ("VAEDecode", {"samples": ["5", 0], "vae": ["1", 2]}),
            "7": ("PreviewImage", {"images": ["6", 0]}),
        }  # fmt: skip
        graph = {key: {"class_type": kind, "inputs": inputs} for key, (kind, inputs) in nodes.items()}
        began = time.perf_counter()
        answer = httpx.post(f"{self.address}/prompt", json={"prompt": graph}, timeout=60)
        answer.raise_for_status()
        number = answer.json()["prompt_id"]
        while number not in httpx.get(f"{self.address}/history/{number}", timeout=60).json():
            time.sleep(0.02)
        return {"seconds": time.perf_counter() - began}


def compete(contestants: list[Contestant | Peer], sizes: list[tuple[int, int]], steps: int, rounds: int) -> None:
    """Let all make the same pictures in turn; the first of each is not counted."""
    for width, height in sizes:
        key = f"{width}x{height}"
        for one in contestants:
            one.paint(PROMPTS[0], 1, width, height, steps)
        seed, prompt = 1, 0
        for turn in range(rounds):
            for case in CASES:
                seed, prompt = (seed + 1, prompt) if case == "new seed" else (seed, (prompt + 1) % len(PROMPTS))
                for k in range(len(contestants)):
                    one = contestants[(turn + k) % len(contestants)]
                    found = one.paint(PROMPTS[prompt], seed, width, height, steps)
                    one.taken.setdefault((key, case), []).append(found)
            print(f"{key}: {turn + 1} of {rounds} rounds", file=sys.stderr, flush=True)


def build_sd15(folder: Path) -> Path:
    """Write a folder with the architecture of Stable Diffusion 1.5 and random weights, unless it is there; 2 GB."""
    target = folder / "sd15-random"
    if (target / "model_index.json").is_file():
        return target
    import torch
    from diffusers import AutoencoderKL, PNDMScheduler, StableDiffusionPipeline, UNet2DConditionModel
    from transformers import CLIPTextConfig, CLIPTextModel

    from webui.engine.loading import clip_tokenizer

    source = CONFIGS / "sd1"
    torch.manual_seed(0)
    unet, vae = (
        network.from_config(json.loads((source / part / "config.json").read_text("utf-8")))
        for network, part in ((UNet2DConditionModel, "unet"), (AutoencoderKL, "vae"))
    )
    pipe = StableDiffusionPipeline(
        vae=vae.half(),
        text_encoder=CLIPTextModel(CLIPTextConfig.from_pretrained(source / "text_encoder")).half(),
        tokenizer=clip_tokenizer(),
        unet=unet.half(),
        scheduler=PNDMScheduler.from_pretrained(source / "scheduler"),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    pipe.save_pretrained(target)
    return target


def measure_imports(times: int) -> dict[str, float]:
    """Give the seconds that fresh interpreters take to import what each program needs, and what the page needs."""
    lines = {
        "the page (webui.serve, gradio)": "import webui.serve, webui.ui.page, webui.api.app",
        "torch": "import torch",
        "diffusers' pipeline": "from diffusers import StableDiffusionPipeline",
    }
    found: dict[str, list[float]] = {name: [] for name in lines}
    for _ in range(times):
        for name, line in lines.items():
            began = time.perf_counter()
            subprocess.run(
                [sys.executable, "-c", line],
                check=True,
                capture_output=True,
                env=environment(),
            )
            found[name].append(time.perf_counter() - began)
    return {name: statistics.median(seconds) for name, seconds in found.items()}


def measure_start(times: int) -> dict[str, list[float]]:
    """Start the program in an empty folder and give the seconds to its page and to its first picture."""
    found: dict[str, list[float]] = {"page": [], "first picture": []}
    for _ in range(times):
        with tempfile.TemporaryDirectory(prefix="reseed-benchmark-") as folder:
            began = time.perf_counter()
            command = [sys.executable, "-m", "webui", "--port", "0", "--data-dir", folder]
            env = environment(PYTHONUNBUFFERED="1")
            with subprocess.Popen(
                command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=env
            ) as server:
                try:
                    assert server.stdout is not None
                    address = next(word for word in server.stdout.readline().split() if word.startswith("http"))
                    assert httpx.get(address, timeout=60, follow_redirects=True).status_code == 200
                    found["page"].append(time.perf_counter() - began)
                    Peer("a1111", address).paint(PROMPTS[0], 1, 256, 256, 12)
                    found["first picture"].append(time.perf_counter() - began)
                finally:
                    server.terminate()
    return found


def measure_queue(times: int) -> list[float]:
    """Give the seconds that a picture takes from the queue to the gallery where the engine costs next to nothing."""
    from webui.engine.checkpoints import Catalog
    from webui.engine.fake import FakeEngine
    from webui.recipe import Recipe
    from webui.settings import Settings
    from webui.studio import Studio

    with tempfile.TemporaryDirectory(prefix="reseed-benchmark-") as folder:
        studio = Studio(Settings(data_dir=Path(folder)), FakeEngine(), Catalog(Path(folder) / "models"))
        studio.start()
        seconds = []
        for seed in range(times):
            recipe = Recipe.of(prompt=PROMPTS[0], seed=seed, width=256, height=256, steps=8)
            began = time.perf_counter()
            *_, last = studio.jobs.watch(studio.jobs.submit([recipe]).job)
            seconds.append(time.perf_counter() - began)
            assert last.status == "succeeded"
        studio.close()
    return seconds


def quarters(values: list[float]) -> tuple[float, float, float]:
    """Give the lower quarter, the median and the upper quarter."""
    if len(values) < 2:
        return values[0], values[0], values[0]
    low, middle, high = statistics.quantiles(values, n=4, method="inclusive")
    return low, middle, high


def rows_of(contestants: list[Contestant | Peer], steps: int) -> list[dict[str, Any]]:
    """Sum up every contestant's pictures, beside those of the first."""
    rows = []
    for one in contestants:
        for (size, case), taken in one.taken.items():
            low, middle, high = quarters([figures["seconds"] for figures in taken])
            row: dict[str, Any] = {
                "who": one.title,
                "size": size,
                "case": case,
                "seconds": middle,
                "quarters": [low, high],
            }
            plain = statistics.median(figures["seconds"] for figures in contestants[0].taken[size, case])
            row["ratio"] = plain / middle
            if "networks" in taken[0]:
                outside = [figures["seconds"] - figures["networks"] for figures in taken]
                row |= {
                    "cpu": statistics.median(figures["cpu"] for figures in taken),
                    "outside": statistics.median(outside),
                    "share": statistics.median(o / f["seconds"] for o, f in zip(outside, taken, strict=True)),
                    "step": statistics.median(figures["networks"] for figures in taken) / steps,
                    "calls": statistics.median(figures["calls"] for figures in taken),
                    "megabytes": max(figures["megabytes"] for figures in taken),
                }
            rows.append(row)
    return rows


def table(report: dict[str, Any]) -> str:
    """Write the report as markdown."""
    lines = [
        f"{report['machine']}, {report['threads']} threads, load {report['load']:.1f} at the start; "
        f"{report['model']}, {report['steps']} steps of Euler, CFG {CFG:g}.",
        "",
        "| size | case | who | median s (quarters) | × faster | processor s | beyond the networks | peak MB |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in report["pictures"]:
        low, high = row["quarters"]
        inner = (
            (f"{row['cpu']:.2f}", f"{1000 * row['outside']:.0f} ms, {row['share']:.1%}", f"{row['megabytes']:.0f}")
            if "cpu" in row
            else ("", "", "")
        )
        cells = (
            row["size"],
            row["case"],
            row["who"],
            f"{row['seconds']:.2f} ({low:.2f} to {high:.2f})",
            f"{row['ratio']:.2f}",
            *inner,
        )
        lines.append(f"| {' | '.join(cells)} |")
    lines += ["", "| once | seconds |", "|---|---|"]
    for name, value in report["once"].items():
        lines.append(f"| {name} | {value:.3f} |" if value < 0.1 else f"| {name} | {value:.1f} |")
    return "\n".join(lines) + "\n"


def plot(report: dict[str, Any]) -> str:
    """Draw the medians as bars with their quarters, as SVG."""
    rows = report["pictures"]
    most, left, high = max(row["quarters"][1] for row in rows), 300, 26
    scale = 460 / most
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="820" height="{high * len(rows) + 20}" '
        'font-family="sans-serif" font-size="13">',
        '<rect width="100%" height="100%" fill="#ffffff"/>',
    ]
    for k, row in enumerate(rows):
        y, low, upper = 10 + high * k, *(scale * v for v in row["quarters"])
        colour = "#2f6f4f" if row["who"].startswith("reseed") else "#9aa5b1"
        parts += [
            f'<text x="{left - 10}" y="{y + 15}" text-anchor="end" fill="#1f2933">'
            f"{row['who']}, {row['size']}, {row['case']}</text>",
            f'<rect x="{left}" y="{y + 3}" width="{scale * row["seconds"]:.1f}" height="16" fill="{colour}"/>',
            f'<path d="M{left + low:.1f} {y + 11}H{left + upper:.1f}" stroke="#1f2933"/>',
            f'<text x="{left + max(upper, scale * row["seconds"]) + 6:.1f}" y="{y + 15}" fill="#1f2933">'
            f"{row['seconds']:.2f} s</text>",
        ]
    return "\n".join([*parts, "</svg>"]) + "\n"


def processor() -> str:
    """Name the processor as its maker does, or its kind."""
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--contestant", nargs=3, metavar=("NAME", "MODEL", "DTYPE"), help=argparse.SUPPRESS)
    parser.add_argument("--model", default="bundled", help="bundled, sd15 or a diffusers folder")
    parser.add_argument("--size", nargs="+", default=["256x256"])
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--dtype", nargs="+", default=["float32"], choices=("float32", "bfloat16", "float16"))
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--peer", action="append", default=[], metavar="KIND=URL", help="a1111=URL or comfyui=URL")
    parser.add_argument("--cache", type=Path, default=Path(tempfile.gettempdir()) / "reseed-benchmark")
    parser.add_argument("--out", type=Path, default=Path("benchmark"))
    parser.add_argument("--starts", type=int, default=3, help="starts of the whole program; 0 leaves them out")
    return parser.parse_args()


def main() -> None:
    """Measure everything that was asked for and write it down."""
    args = arguments()
    if args.contestant:
        name, folder, dtype = args.contestant
        return contest(name, Path(folder), dtype)
    sys.path.insert(0, str(ROOT))
    peers = [Peer(*text.split("=", 1)) for text in args.peer]
    sizes = [(int(w), int(h)) for w, _, h in (text.partition("x") for text in args.size)]
    model = BUNDLED if args.model == "bundled" else build_sd15(args.cache) if args.model == "sd15" else Path(args.model)
    report: dict[str, Any] = {
        "machine": processor(), "threads": args.threads, "load": os.getloadavg()[0], "model": args.model,
        "steps": args.steps, "rounds": args.rounds, "once": {},
    }  # fmt: skip
    if args.starts:
        report["once"] |= {f"import {name}": value for name, value in measure_imports(args.starts).items()}
        for name, seconds in measure_start(args.starts).items():
            report["once"][f"start to {name}, bundled model"] = statistics.median(seconds)
        report["once"]["a picture of the fake engine through the queue"] = statistics.median(measure_queue(30))
    own = [Contestant("diffusers", model, "float32", args.threads)]
    own += [Contestant("reseed", model, dtype, args.threads) for dtype in args.dtype]
    rivals: list[Contestant | Peer] = [*own, *peers]
    with ExitStack() as stack:
        for one in own:
            stack.enter_context(one.running())
        compete(rivals, sizes, args.steps, args.rounds)
    for one in own:
        report["once"][f"{one.title}: load"] = one.load
        report["once"][f"{one.title}: process to first picture (one step)"] = one.first
    report["pictures"] = rows_of(rivals, args.steps)
    args.out.mkdir(parents=True, exist_ok=True)
    (args.out / "benchmark.json").write_text(json.dumps(report, indent=1) + "\n", "utf-8")
    (args.out / "benchmark.svg").write_text(plot(report), "utf-8")
    text = table(report)
    (args.out / "benchmark.md").write_text(text, "utf-8")
    print(text)


if __name__ == "__main__":
    main()
