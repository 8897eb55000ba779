"""Variation, seed resize, ENSD and the centred layout: what a recipe says is what its picture's noise is."""

import math

import numpy as np
import pytest
import torch

from webui.engine.noise import Stream
from webui.engine.picture_noise import PictureNoise, paste, slerp
from webui.errors import BadRecipe
from webui.recipe import Recipe

SHAPE = (1, 4, 64, 64)


def picture(shape: tuple[int, ...] = SHAPE, **values: object) -> PictureNoise:
    return PictureNoise(Recipe.of(**{"seed": 7, **values}), shape, 8)


def start(shape: tuple[int, ...] = SHAPE, **values: object) -> torch.Tensor:
    return picture(shape, **values).start()


def draws(seed: int, count: int, rng: str = "NV", shape: tuple[int, ...] = SHAPE) -> list[torch.Tensor]:
    stream = Stream(seed, rng, shape)
    return [stream.normal() for _ in range(count)]


def reference_slerp(low: np.ndarray, high: np.ndarray, strength: float) -> np.ndarray:
    """Shoemake's formula for every column (along H) of every channel, in float64, one column at a time."""
    out = np.empty_like(low, np.float64)
    for c in range(low.shape[1]):
        for x in range(low.shape[3]):
            a, b = low[0, c, :, x].astype(np.float64), high[0, c, :, x].astype(np.float64)
            omega = math.acos(float(a @ b / np.linalg.norm(a) / np.linalg.norm(b)))
            weights = math.sin((1 - strength) * omega), math.sin(strength * omega)
            out[0, c, :, x] = (weights[0] * a + weights[1] * b) / math.sin(omega)
    return out


# ---- without any of it ---------------------------------------------------------------------------


@pytest.mark.parametrize("rng", ["NV", "CPU"])
def test_a_plain_recipe_draws_its_seeds_stream(rng):
    noise = picture(rng=rng)
    expected = draws(7, 3, rng)
    assert all(torch.equal(a, b) for a, b in zip([noise.start(), noise.step(), noise.step()], expected, strict=True))


def test_sigma_noise_multiplies_all_but_the_starting_noise():
    plain, loud = picture(), picture(s_noise=1.25)
    assert torch.equal(loud.start(), plain.start())
    assert torch.equal(loud.step(), plain.step() * 1.25)
    sigmas = (14.0, 3.0, 0.5, 0.0)
    assert torch.equal(loud.path(sigmas)(14.0, 3.0), plain.path(sigmas)(14.0, 3.0) * 1.25)


# ---- variation -----------------------------------------------------------------------------------


@pytest.mark.parametrize("strength", [0.05, 0.5, 0.93])
def test_slerp_equals_the_formula_and_keeps_the_variance(strength):
    low, high = draws(1, 1)[0], draws(2, 1)[0]
    mixed = slerp(low, high, strength)
    assert np.abs(mixed.numpy() - reference_slerp(low.numpy(), high.numpy(), strength)).max() < 2e-5
    assert abs(mixed.std().item() - 1) < 0.02


@pytest.mark.parametrize("rng", ["NV", "CPU"])
def test_strength_0_is_the_seed_and_strength_1_the_variation_seed(rng):
    assert torch.equal(start(rng=rng, variation_seed=9, variation_strength=0), draws(7, 1, rng)[0])
    assert torch.equal(start(rng=rng, variation_seed=9, variation_strength=1), draws(9, 1, rng)[0])


def test_the_noise_of_the_steps_stays_the_seeds_own_as_in_a1111():
    noise = picture(variation_seed=9, variation_strength=1)
    noise.start()
    assert torch.equal(noise.step(), draws(7, 2)[1])


@pytest.mark.parametrize("rng", ["NV", "CPU"])
def test_with_every_step_strength_1_is_the_other_seed_whole(rng):
    noise = picture(rng=rng, variation_seed=9, variation_strength=1, variation_noise="every step")
    other = picture(rng=rng, seed=9)
    assert torch.equal(noise.start(), other.start())
    assert all(torch.equal(noise.step(), other.step()) for _ in range(3))


def test_every_step_with_ensd_is_the_other_seed_with_ensd():
    noise = picture(variation_seed=9, variation_strength=1, variation_noise="every step", ensd=31337)
    other = picture(seed=9, ensd=31337)
    assert torch.equal(noise.start(), other.start())
    assert all(torch.equal(noise.step(), other.step()) for _ in range(2))


def test_a_stack_of_variations_is_mixed_in_one_after_the_other():
    base, first, second = (draws(seed, 1)[0] for seed in (7, 9, 12))
    expected = slerp(slerp(base, first, 0.3), second, 0.1)
    assert torch.equal(start(variation_seed=9, variation_strength=0.3, variations="12:0.1"), expected)
    assert torch.equal(start(variations="9:0.3, 12:0.1"), expected)
    assert torch.equal(start(variations="9:0, 12:0"), base)


@pytest.mark.parametrize("shape", [(1, 16, 1, 64), (1, 4, 2, 3), (1, 4, 1, 1)])
@pytest.mark.parametrize("strength", [0.01, 0.5, 0.99])
def test_no_shape_and_no_twin_gives_nan(shape, strength):
    low, high = draws(1, 1, shape=shape)[0], draws(2, 1, shape=shape)[0]
    for a, b in ((low, high), (low, low), (low, -low), (low, low * 2)):
        assert slerp(a, b, strength).isfinite().all()
    assert torch.allclose(slerp(low, low, strength), low, atol=1e-5) or shape[2] == 1


# ---- ENSD ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("rng", ["NV", "CPU"])
def test_ensd_moves_the_steps_to_the_first_draws_of_another_seed(rng):
    noise = picture(rng=rng, ensd=31337)
    assert torch.equal(noise.start(), draws(7, 1, rng)[0])
    assert torch.equal(noise.step(), draws(7 + 31337, 1, rng)[0])


def test_ensd_goes_round_at_the_largest_seed():
    noise = picture(seed=2**64 - 1, ensd=3)
    noise.start()
    assert torch.equal(noise.step(), draws(2, 1)[0])


# ---- seed resize ---------------------------------------------------------------------------------


def test_512_pasted_into_768_has_the_old_centre_and_the_new_border():
    wide = (1, 4, 64, 96)
    noise, old, new = start(wide, resize_width=512, resize_height=512), draws(7, 1)[0], draws(7, 1, shape=wide)[0]
    assert torch.equal(noise[..., 16:80], old)
    assert torch.equal(noise[..., :16], new[..., :16])
    assert torch.equal(noise[..., 80:], new[..., 80:])


def test_a_smaller_picture_gets_the_centre_of_the_noise():
    assert torch.equal(start((1, 4, 64, 48), resize_width=512, resize_height=512), draws(7, 1)[0][..., 8:56])


def test_odd_differences_round_down_as_in_a1111():
    ground = torch.zeros(1, 1, 2, 65)
    assert paste(torch.ones(1, 1, 2, 64), ground)[0, 0, 0].tolist() == [1.0] * 64 + [0.0]
    source = torch.arange(64.0).expand(1, 1, 2, 64)
    assert paste(source, torch.zeros(1, 1, 2, 63))[0, 0, 0].tolist() == [*range(1, 63), 0.0]


def test_a_variation_is_mixed_into_the_small_noise_and_the_steps_go_on_with_the_seeds_second_draw():
    wide = (1, 4, 64, 96)
    noise = picture(wide, resize_width=512, resize_height=512, variation_seed=9, variation_strength=0.4)
    assert torch.equal(noise.start()[..., 16:80], slerp(draws(7, 1)[0], draws(9, 1)[0], 0.4))
    assert torch.equal(noise.step(), draws(7, 2, shape=wide)[1])


def test_the_same_size_is_no_resize():
    assert torch.equal(start(resize_width=512, resize_height=512), draws(7, 1)[0])


# ---- the centred layout --------------------------------------------------------------------------


@pytest.mark.parametrize("size", [(64, 96), (96, 64), (96, 96), (128, 80), (65, 67), (48, 40)])
def test_centred_sizes_share_their_middle(size):
    height, width = size
    small = start((1, 4, 40, 40), noise_layout="centred")
    other = start((1, 4, height, width), noise_layout="centred")
    y, x = height // 2 - 20, width // 2 - 20
    assert torch.equal(other[:, :, y : y + 40, x : x + 40], small)


def test_centred_noise_is_normal_and_each_channel_and_draw_its_own():
    noise = picture((1, 16, 128, 128), noise_layout="centred")
    first, second = noise.start(), noise.step()
    for draw in (first, second):
        assert abs(draw.mean().item()) < 0.01
        assert abs(draw.std().item() - 1) < 0.01
    rows = torch.cat([first.flatten(2)[0], second.flatten(2)[0], start((1, 16, 128, 128)).flatten(2)[0]])
    close = torch.corrcoef(rows) - torch.eye(len(rows))
    assert close.abs().max() < 0.05
    along = torch.corrcoef(torch.stack([first[0, 0, :, :-1].flatten(), first[0, 0, :, 1:].flatten()]))[0, 1]
    assert abs(along.item()) < 0.03


def test_centred_needs_philox_and_resize_needs_both_sides():
    with pytest.raises(BadRecipe, match="Noise layout must be plain with RNG CPU"):
        Recipe.of(seed=1, rng="CPU", noise_layout="centred")
    with pytest.raises(BadRecipe, match="Seed resize from height must be given"):
        Recipe.of(seed=1, resize_width=512)


@pytest.mark.parametrize("rng", ["NV", "CPU"])
def test_no_global_generator_is_read_or_moved(rng):
    values = {"variation_seed": 9, "variation_strength": 0.5, "variations": "3:0.2", "variation_noise": "every step"}
    torch.manual_seed(1)
    before = torch.get_rng_state()
    noise = picture(rng=rng, ensd=5, resize_width=256, resize_height=256, **values)
    first = (noise.start(), noise.step())
    assert torch.equal(before, torch.get_rng_state())
    torch.manual_seed(99)
    again = picture(rng=rng, ensd=5, resize_width=256, resize_height=256, **values)
    assert torch.equal(first[0], again.start())
    assert torch.equal(first[1], again.step())


def test_the_brownian_path_is_the_seeds_own_and_with_every_step_the_variation_seeds_too():
    sigmas, small = (10.0, 5.0, 1.0, 0.0), (1, 4, 8, 8)
    own = picture(small).path(sigmas)(10.0, 5.0)
    varied = {"variation_seed": 9, "variation_strength": 1.0}
    assert torch.equal(picture(small, **varied).path(sigmas)(10.0, 5.0), own)
    other = picture(small, seed=9).path(sigmas)(10.0, 5.0)
    assert torch.equal(picture(small, **varied, variation_noise="every step").path(sigmas)(10.0, 5.0), other)
    assert not torch.equal(own, other)
