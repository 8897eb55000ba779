"""Errors: they are sentences, and the same ones after a journey between processes."""

import copy
import pickle

import pytest

from webui import errors
from webui.errors import BadRecipe, BadValue, NetworkError, ReseedError

VALUE = BadValue("steps", "Steps", 0, "a whole number from 1 to 150", "Take 20.")
ONES = [
    VALUE,
    NetworkError("prompt", "Prompt", "<lora:ink>", "a LoRA that is here"),
    BadRecipe([VALUE, BadValue("width", "Width", 7, "a multiple of 8")]),
    errors.CheckpointError("There is no model 'x'."),
    errors.OutOfMemory("Too large."),
    errors.WorkerLost("Lost."),
    errors.LimitError("Too many.", 15),
]


@pytest.mark.parametrize("error", ONES, ids=lambda error: type(error).__name__)
def test_an_error_travels_between_processes(error: ReseedError) -> None:
    for came in (pickle.loads(pickle.dumps(error)), copy.copy(error)):
        assert (type(came), str(came), came.code) == (type(error), str(error), error.code)
        kept = {name: str(value) for name, value in vars(error).items()}
        assert {name: str(value) for name, value in vars(came).items()} == kept
