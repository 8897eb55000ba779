"""The branch of a picture: its parents above it, its children below, and an end wherever the line is broken."""

import re
from pathlib import Path

from tests.test_gallery import made, opened, recipe
from webui.gallery import Gallery, Record
from webui.lineage import Lineage
from webui.ui import branch


def save(kept: Gallery, seed: int, parent: Record | None = None) -> Record:
    return kept.save(*made(recipe(seed, prompt="<b>a lake")), lineage=Lineage(parent.id if parent else ""))


def drawn(kept: Gallery, record: Record) -> str:
    """Return the seeds of a branch with a bracket for each list, the current one marked."""
    text = branch.draw(kept, record)
    assert "<b>" not in text
    text = re.sub(r'<li[^>]*><button[^>]*?( aria-current="true")?><img[^>]*>', lambda m: "*" if m[1] else " ", text)
    return re.sub(
        r"<p.*?</p>|</?section.*?>|</?span>|</?li.*?>|</button>", "", text.replace("</ul>", ")").replace("<ul>", "(")
    )


def test_parents_above_children_below(tmp_path: Path) -> None:
    kept = opened(tmp_path)
    first = save(kept, 1)
    assert branch.draw(kept, first) == ""
    second = save(kept, 2, first)
    third = save(kept, 3, second)
    save(kept, 4, second)
    save(kept, 5, third)
    assert drawn(kept, second) == "( 1(*2( 4 3( 5))))"
    assert drawn(kept, first) == "(*1( 2( 4 3)))"
    assert drawn(kept, third) == "( 1( 2(*3( 5))))"
    second.path.unlink()
    assert drawn(kept, third) == "(A picture that is not here(*3( 5)))"
    assert branch.draw(kept, first) == ""
    assert 'aria-label="Show the picture with seed 5: &lt;b&gt;a lake"' in branch.draw(kept, third)
    kept.close()


def test_a_long_line_and_many_children_stay_small(tmp_path: Path) -> None:
    kept = opened(tmp_path)
    line = [save(kept, 100)]
    for number in range(1, 9):
        line.append(save(kept, 100 + number, line[-1]))
    for number in range(9):
        save(kept, number, line[-1])
    text = drawn(kept, line[-1])
    assert text.startswith("(Earlier pictures( 102(")
    assert "*108( 8 7 6 5 4 3 2 1and more)" in text
    kept.close()
