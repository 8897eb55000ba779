"""What property tests draw from."""

from hypothesis import strategies as st

from webui import samplers
from webui.recipe import Recipe

TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\r"), max_size=200)
SEEDS = st.integers(0, 2**64 - 1)
SIDES = st.integers(8, 256).map(lambda cells: cells * 8)
HASHES = st.just("") | st.text("0123456789abcdef", min_size=10, max_size=64)
VARIATIONS = st.lists(st.tuples(SEEDS, st.integers(0, 100)), max_size=4).map(
    lambda pairs: ", ".join(f"{seed}:{percent / 100}" for seed, percent in pairs)
)
SOURCES = st.tuples(SIDES, SIDES) | st.just((0, 0))
NOISES = st.sampled_from([("NV", "plain"), ("NV", "centred"), ("CPU", "plain")])

SWITCH = st.sampled_from(["Automatic", "On", "Off"])
DETAILS = st.fixed_dictionaries(
    {},
    optional={
        "eta": st.floats(0, 1),
        "eta_ddim": st.floats(0, 1),
        "s_noise": st.floats(0, 2),
        "s_churn": st.floats(0, 100),
        "s_tmin": st.floats(0, 1000),
        "s_tmax": st.floats(0, 1000),
        "sigma_min": st.floats(0, 100),
        "sigma_max": st.floats(0, 5000),
        "rho": st.floats(0, 20),
        "discard_penultimate": SWITCH,
        "sgm_noise": SWITCH,
        "noise_schedule": st.sampled_from(["Default", "Zero Terminal SNR"]),
        "ngms": st.floats(0, 15),
        "ngms_all": st.sampled_from(["On", "Off"]),
        "skip_early_cfg": st.floats(0, 1),
    },
)


@st.composite
def _recipes(draw: st.DrawFn) -> Recipe:
    """Draw a recipe; sides of a source go together, and only NV can be centred."""
    resize_width, resize_height = draw(SOURCES)
    rng, noise_layout = draw(NOISES)
    return Recipe.of(
        prompt=draw(TEXT),
        negative_prompt=draw(TEXT),
        seed=draw(SEEDS),
        steps=draw(st.integers(1, 150)),
        sampler=draw(st.sampled_from(samplers.sampler_names())),
        schedule=draw(st.sampled_from(samplers.schedule_names())),
        cfg_scale=draw(st.floats(0, 30)),
        width=draw(SIDES),
        height=draw(SIDES),
        model=draw(TEXT),
        model_hash=draw(HASHES),
        clip_skip=draw(st.integers(1, 12)),
        rng=rng,
        noise_layout=noise_layout,
        variation_seed=draw(SEEDS),
        variation_strength=draw(st.just(0.0) | st.floats(0, 1)),
        variations=draw(VARIATIONS),
        variation_noise=draw(st.sampled_from(["start", "every step"])),
        resize_width=resize_width,
        resize_height=resize_height,
        ensd=draw(st.just(0) | st.integers(0, 2**32 - 1)),
        emphasis=draw(st.sampled_from(["Original", "No norm", "Ignore", "None"])),
        profile=draw(st.sampled_from(["A1111", "Forge", "ComfyUI"])),
        **draw(DETAILS),
    )


RECIPES = _recipes()
