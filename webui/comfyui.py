"""ComfyUI: the seed, the words and the numbers of a picture, found by following the links of its graph.

A picture of ComfyUI carries no list of parameters but the graph that made it: nodes by their number, each with inputs
that are values or links ``[node, output]``. The promise: the sampler that began from nothing is found and its links
are followed backwards, each at most once, never more than ``MAX_HOPS`` in a row; what is not understood is kept by
the node's name. Both forms are read: what was run (``prompt``) and what the editor shows (``workflow``).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

MAX_HOPS: Final = 40
MAX_NODES: Final = 5000

_SAMPLERS: Final = ("KSampler", "KSamplerAdvanced", "SamplerCustom", "SamplerCustomAdvanced")
_STRINGS: Final = (
    "text",
    "string",
    "value",
    "prompt",
    "text_g",
    "t5xxl",
    "populated_text",
    "wildcard_text",
    "positive",
    "String",
    "STRING",
)
_NUMBERS: Final = ("value", "seed", "int", "float", "noise_seed", "number", "Value", "steps", "cfg")
_OF_SAMPLER: Final = ("eta", "s_noise", "s_churn", "s_tmin", "s_tmax")
_OF_SCHEDULE: Final = ("sigma_min", "sigma_max", "rho")
_ONWARDS: Final = ("conditioning", "conditioning_1", "conditioning_to", "positive", "base_positive")
_PLAIN: Final = frozenset({
    "VAEDecode", "SaveImage", "PreviewImage", "KSampler", "KSamplerAdvanced", "SamplerCustom", "SamplerCustomAdvanced",
    "CLIPTextEncode", "EmptyLatentImage", "CheckpointLoaderSimple", "KSamplerSelect", "BasicScheduler", "RandomNoise",
    "CFGGuider", "BasicGuider", "CLIPSetLastLayer", "KarrasScheduler", "ExponentialScheduler", "VAELoader", "Note",
})  # fmt: skip
_WIDGETS: Final = {
    "KSampler": ("seed", "", "steps", "cfg", "sampler_name", "scheduler", "denoise"),
    "KSamplerAdvanced": ("add_noise", "noise_seed", "", "steps", "cfg", "sampler_name", "scheduler", "start_at_step",
                         "end_at_step"),
    "SamplerCustom": ("add_noise", "noise_seed", "", "cfg"),
    "CLIPTextEncode": ("text",),
    "EmptyLatentImage": ("width", "height", "batch_size"),
    "CheckpointLoaderSimple": ("ckpt_name",),
    "CLIPSetLastLayer": ("stop_at_clip_layer",),
    "LoraLoader": ("lora_name", "strength_model", "strength_clip"),
    "KSamplerSelect": ("sampler_name",),
    "BasicScheduler": ("scheduler", "steps", "denoise"),
    "RandomNoise": ("noise_seed", ""),
    "CFGGuider": ("cfg",),
    "PrimitiveNode": ("value", ""),
}  # fmt: skip
"""The order of the values that the editor's form keeps without names; an empty name is one of the editor's own."""


@dataclass
class Found:
    """What a graph says: values by the recipe's names, other nodes by theirs, and sentences."""

    values: dict[str, Any] = field(default_factory=dict)
    rest: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Node:
    """A node of the graph: its number, its kind and its inputs."""

    id: str
    kind: str
    inputs: Mapping[str, Any]


def read(data: Mapping[str, Any]) -> Found | None:
    """Read a graph in either form; None when there is no sampler in it."""
    inner = data.get("prompt")
    nodes = dict(_nodes(inner if isinstance(inner, dict) else data)) or dict(_drawn(data))
    graph = Graph(nodes)
    chosen = graph.first_sampler()
    return graph.found(chosen) if chosen is not None else None


def _nodes(data: Mapping[str, Any]) -> Iterator[tuple[str, Node]]:
    """Yield the nodes of a graph as it was run."""
    for key, node in list(data.items())[:MAX_NODES]:
        if isinstance(node, dict) and isinstance(kind := node.get("class_type"), str):
            inputs = node.get("inputs")
            yield str(key), Node(str(key), kind, inputs if isinstance(inputs, dict) else {})


def _drawn(data: Mapping[str, Any]) -> Iterator[tuple[str, Node]]:
    """Yield the nodes of a graph as the editor draws it: links by number, values without names; muted ones left out."""
    nodes, links = data.get("nodes"), data.get("links")
    if not isinstance(nodes, list) or not isinstance(links, list):
        return
    sources = {str(link[0]): [str(link[1]), link[2]] for link in links if isinstance(link, list) and len(link) > 2}
    for node in nodes[:MAX_NODES]:
        if not isinstance(node, dict) or not isinstance(kind := node.get("type"), str) or node.get("mode") in (2, 4):
            continue
        kept = node.get("widgets_values")
        inputs: dict[str, Any] = dict(kept) if isinstance(kept, dict) else {}
        if isinstance(kept, list):
            names = _WIDGETS.get(kind, ())
            inputs = {name: value for name, value in zip(names, kept, strict=False) if name}
        slots = node.get("inputs")
        for slot in slots if isinstance(slots, list) else []:
            if isinstance(slot, dict) and (link := sources.get(str(slot.get("link")))):
                inputs[str(slot.get("name"))] = link
        yield str(node.get("id")), Node(str(node.get("id")), kind, inputs)


def _sides(node: Node) -> tuple[str, ...]:
    """Return the names of the inputs that are a node's width and height; nothing when it has none."""
    pairs = (("width", "height"), ("empty_latent_width", "empty_latent_height"))
    return next((pair for pair in pairs if set(pair) <= node.inputs.keys()), ())


class Graph:
    """The nodes of a graph by number, and the ways through it."""

    def __init__(self, nodes: dict[str, Node]) -> None:
        self.nodes = nodes

    def linked(self, value: Any) -> tuple[Node, int] | None:
        """Return the node that a link names and the number of its output; None when the value is no link."""
        if isinstance(value, list) and len(value) == 2 and isinstance(value[0], str | int):
            node = self.nodes.get(str(value[0]))
            for _ in range(MAX_HOPS):  # the editor's form has nodes that only bend a line
                if node is None or node.kind != "Reroute":
                    break
                value = next((link for link in node.inputs.values() if isinstance(link, list) and len(link) == 2), [])
                node = self.nodes.get(str(value[0])) if value else None
            return (node, value[1] if isinstance(value[1], int) else 0) if node is not None else None
        return None

    def samplers(self) -> list[Node]:
        """List the nodes that make a picture out of noise."""
        return [node for node in self.nodes.values() if node.kind in _SAMPLERS or self._is_like(node)]

    @staticmethod
    def _is_like(node: Node) -> bool:
        """A sampler of an extension has the names of KSampler's inputs."""
        return {"steps", "cfg", "sampler_name"} <= node.inputs.keys() and not {"seed", "noise_seed"}.isdisjoint(
            node.inputs
        )

    def first_sampler(self) -> Node | None:
        """Find the sampler that begins from an empty latent; else the first one there is."""
        found = self.samplers()
        return next((node for node in found if self.empty(node) is not None), found[0] if found else None)

    def back(self, node: Node, names: tuple[str, ...]) -> Iterator[Node]:
        """Walk backwards from a node along the first link among the named inputs, again and again."""
        seen = {node.id}
        for _ in range(MAX_HOPS):
            step = next((link for name in names if (link := self.linked(node.inputs.get(name)))), None)
            if step is None or step[0].id in seen:
                return
            node = step[0]
            seen.add(node.id)
            yield node

    def empty(self, sampler: Node) -> Node | None:
        """Find the empty latent that a sampler begins from; None when it begins from a picture."""
        for node in self.back(sampler, ("latent_image", "latent", "samples", "optional_latent")):
            if node.kind in _SAMPLERS or "VAEEncode" in node.kind:
                return None
            if _sides(node) and "Upscale" not in node.kind:
                return node
        return None

    def value(self, given: Any, names: tuple[str, ...] = _NUMBERS) -> Any:
        """Return a value, following links to the nodes that hold one."""
        for _ in range(MAX_HOPS):
            link = self.linked(given)
            if link is None:
                return None if isinstance(given, list | dict) else given
            inputs = link[0].inputs
            given = next((inputs[name] for name in names if inputs.get(name) is not None), None)
        return None

    def text(self, given: Any, side: str) -> tuple[Node | None, Any]:
        """Follow a condition back to the words of its side, positive or negative: node and words, None without any."""
        for _ in range(MAX_HOPS):
            link = self.linked(given)
            if link is None:
                return None, None
            node, output = link
            if node.kind == "ConditioningZeroOut":
                return node, ""
            if {"positive", "negative"} <= node.inputs.keys():
                if self.linked(node.inputs[side]) is None:  # a loader of an extension holds both texts itself
                    return node, self.value(node.inputs[side], _STRINGS)
                given = node.inputs["negative" if output == 1 else "positive"]
                continue
            onward = next((node.inputs[name] for name in _ONWARDS if self.linked(node.inputs.get(name))), None)
            if onward is None:
                return node, self.value([node.id, output], _STRINGS)
            given = onward
        return None, None

    def found(self, sampler: Node) -> Found:
        """Say what a sampler and what leads to it say."""
        found = Found()
        inputs, guider = sampler.inputs, self._at(sampler, "guider")
        given = {**(guider.inputs if guider else {}), **inputs}
        seed = given.get("noise_seed", given.get("seed"))
        if (noise := self._at(sampler, "noise")) is not None:
            seed = noise.inputs.get("noise_seed", noise.inputs.get("seed"))
        found.values |= {"seed": self.value(seed), "cfg_scale": self.value(given.get("cfg"))}
        if guider is not None and guider.kind == "BasicGuider":
            found.values["cfg_scale"] = 1
        self._steps(sampler, found)
        self._words(given, found)
        self._size(sampler, found)
        start = guider if guider is not None and "model" in guider.inputs else sampler
        for node in self.back(start, ("model", "unet", "model1")):
            if (
                name := next((node.inputs[key] for key in ("ckpt_name", "unet_name") if key in node.inputs), None)
            ) is not None:
                found.values["model"] = self.value(name, ("ckpt_name", "value", "string"))
        self._rest(sampler, found)
        return found

    def _at(self, node: Node, name: str) -> Node | None:
        link = self.linked(node.inputs.get(name))
        return link[0] if link else None

    def _steps(self, sampler: Node, found: Found) -> None:
        """Read steps, sampler and schedule, from the node itself or from those that SamplerCustom is given."""
        inputs = sampler.inputs
        names = ("sampler_name", "scheduler", "steps", "denoise")
        sampler_name, scheduler, steps, denoise = (self.value(inputs.get(name), (name, *_NUMBERS)) for name in names)
        if (node := self._at(sampler, "sampler")) is not None:
            sampler_name = self.value(node.inputs.get("sampler_name")) or node.kind.removeprefix("Sampler")
            found.values |= {name: self.value(node.inputs.get(name), (name, *_NUMBERS)) for name in _OF_SAMPLER}
        if (node := self._at(sampler, "sigmas")) is not None:
            steps, denoise = self.value(node.inputs.get("steps")), self.value(node.inputs.get("denoise"))
            scheduler = self.value(node.inputs.get("scheduler")) or node.kind.removesuffix("Scheduler")
            found.values |= {name: self.value(node.inputs.get(name), (name, *_NUMBERS)) for name in _OF_SCHEDULE}
        found.values |= {"sampler": sampler_name, "schedule": scheduler, "steps": steps}
        if isinstance(denoise, int | float) and denoise != 1:
            found.rest["Denoising strength"] = denoise
        begun, ended = self.value(inputs.get("start_at_step")), self.value(inputs.get("end_at_step"))
        whole = isinstance(steps, int) and isinstance(ended, int) and ended < steps
        if whole or (isinstance(begun, int) and begun > 0):
            found.rest["Steps done"] = f"{begun} to {ended}"

    def _words(self, given: Mapping[str, Any], found: Found) -> None:
        node, found.values["prompt"] = self.text(given.get("positive", given.get("conditioning")), "positive")
        _, found.values["negative_prompt"] = self.text(given.get("negative"), "negative")
        if "negative" not in given:
            found.values["negative_prompt"] = ""
        if not isinstance(found.values["prompt"], str):
            found.values["prompt"] = None
            found.notes.append("Its prompt is not a plain text in the graph.")
        if not isinstance(found.values["negative_prompt"], str):
            found.values["negative_prompt"] = None
        for clip in self.back(node, ("clip",)) if node is not None else ():
            layer = self.value(clip.inputs.get("stop_at_clip_layer"))
            if isinstance(layer, int) and layer < 0:
                found.values["clip_skip"] = -layer
                break

    def _size(self, sampler: Node, found: Found) -> None:
        latent = self.empty(sampler)
        if latent is None:
            found.rest["Init image"] = "the sampler began from a picture"
            return
        for name, side in zip(("width", "height"), _sides(latent), strict=False):
            found.values[name] = self.value(latent.inputs[side], (name, *_NUMBERS))
        count = self.value(latent.inputs.get("batch_size"))
        if isinstance(count, int) and count > 1:
            found.notes.append(
                f"{count} pictures were made at once, and it does not say which this is: the first is read."
            )

    def _rest(self, sampler: Node, found: Found) -> None:
        others = [node for node in self.samplers() if node.id != sampler.id]
        if others:
            found.rest["Refiner or second pass"] = ", ".join(node.kind for node in others[:8])
        for node in self.nodes.values():
            if node.kind not in _PLAIN and node.id != sampler.id:
                plain = {key: value for key, value in node.inputs.items() if isinstance(value, str | int | float)}
                found.rest.setdefault(node.kind, plain or "used")
