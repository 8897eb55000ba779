"""One stream for each picture: the next draw depends on its seed and on nothing else."""

import numpy as np
import pytest
import torch

from webui.engine.noise import Stream
from webui.engine.philox import randn

SHAPE = (1, 4, 8, 8)


def draws(seed: int, rng: str, count: int = 3) -> list[torch.Tensor]:
    stream = Stream(seed, rng, SHAPE)
    return [stream.normal() for _ in range(count)]


@pytest.mark.parametrize("rng", ["NV", "CPU"])
def test_image_k_of_a_batch_draws_what_its_seed_draws_alone(rng):
    streams = [Stream(40 + k, rng, SHAPE) for k in range(4)]
    together = [[stream.normal() for stream in streams] for _ in range(3)]  # all first draws, then all second draws…
    for k in range(4):
        assert all(torch.equal(together[draw][k], alone) for draw, alone in enumerate(draws(40 + k, rng)))


@pytest.mark.parametrize("rng", ["NV", "CPU"])
def test_float32_on_the_cpu_and_draws_differ(rng):
    first, second, third = draws(5, rng)
    assert (first.dtype, first.device.type, tuple(first.shape)) == (torch.float32, "cpu", SHAPE)
    assert not torch.equal(first, second)
    assert not torch.equal(second, third)


def test_nv_counts_draws():
    for draw, noise in enumerate(draws(2**63 + 5, "NV")):
        assert np.array_equal(noise.numpy(), randn(2**63 + 5, draw, SHAPE))


def test_cpu_is_a_plain_torch_generator():
    generator = torch.Generator().manual_seed(42)
    assert all(torch.equal(noise, torch.randn(SHAPE, generator=generator)) for noise in draws(42, "CPU"))
    assert np.allclose(draws(42, "CPU")[0].flatten()[:4], [1.9269153, 1.4872841, 0.9007172, -2.1055210])


def test_cpu_reads_only_the_low_32_bits_and_nv_reads_all():
    assert torch.equal(draws(0, "CPU")[0], draws(2**32, "CPU")[0])
    assert torch.equal(draws(2**32 - 1, "CPU")[0], draws(2**64 - 1, "CPU")[0])
    assert not torch.equal(draws(0, "NV")[0], draws(2**32, "NV")[0])
    assert not torch.equal(draws(2**32 - 1, "NV")[0], draws(2**64 - 1, "NV")[0])


@pytest.mark.parametrize("rng", ["NV", "CPU"])
def test_leaves_the_global_generators_alone(rng):
    torch.manual_seed(1)
    before = torch.get_rng_state()
    draws(9, rng)
    assert torch.equal(before, torch.get_rng_state())


def test_unknown_source():
    with pytest.raises(ValueError, match="GPU"):
        Stream(1, "GPU", SHAPE)
