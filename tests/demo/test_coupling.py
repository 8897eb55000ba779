"""The coupling: noise carries a layout exactly, and stays Gaussian noise."""

import pytest
import torch

from webui.demo.coupling import read_code, write_code
from webui.demo.layout import CODE_SIZE


def noises(count: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(count, 8, 16, 16, generator=torch.Generator().manual_seed(seed))


def codes(count: int, seed: int = 1) -> torch.Tensor:
    return torch.randn(count, CODE_SIZE, generator=torch.Generator().manual_seed(seed))


def test_what_is_written_is_read():
    code = codes(5)
    assert torch.allclose(read_code(write_code(noises(5), code)), code, atol=1e-5)


def test_all_but_the_code_stays():
    noise = noises(3)
    written = write_code(noise, codes(3))
    assert torch.equal(written[:, 4:], noise[:, 4:])
    restored = write_code(written, read_code(noise))
    assert torch.allclose(restored, noise, atol=1e-5)


def test_the_code_of_any_noise_is_standard_gaussian():
    code = read_code(noises(4000))
    assert abs(float(code.mean())) < 0.01
    assert abs(float(code.std()) - 1.0) < 0.01
    correlations = torch.corrcoef(code.T) - torch.eye(CODE_SIZE)
    assert float(correlations.abs().max()) < 0.08


def test_written_noise_is_standard_gaussian_noise():
    written = write_code(noises(4000), codes(4000)).flatten(1)
    assert abs(float(written.std()) - 1.0) < 0.005
    some = torch.corrcoef(written[:, :200].T) - torch.eye(200)
    assert float(some.abs().max()) < 0.09


def test_codes_of_another_count_are_refused():
    with pytest.raises(ValueError, match="2 noises need codes"):
        write_code(noises(2), codes(3))
