"""What property tests draw from."""

from hypothesis import strategies as st

from webui import samplers
from webui.recipe import Recipe

TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\r"), max_size=200)
RECIPES = st.builds(
    Recipe.of,
    prompt=TEXT,
    negative_prompt=TEXT,
    seed=st.integers(0, 2**64 - 1),
    steps=st.integers(1, 150),
    sampler=st.sampled_from(samplers.sampler_names()),
    schedule=st.sampled_from(samplers.schedule_names()),
    cfg_scale=st.floats(0, 30),
    width=st.integers(8, 256).map(lambda cells: cells * 8),
    height=st.integers(8, 256).map(lambda cells: cells * 8),
    model=TEXT,
    clip_skip=st.integers(1, 12),
    rng=st.sampled_from(["NV", "CPU"]),
)
