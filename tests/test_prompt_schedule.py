"""Prompts that change with the steps, AND, extra networks: A1111's readings; total, linear, whole."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.growth import growth
from webui.prompt import WEIGHT_LIMIT
from webui.prompt_schedule import Network, Part, at, networks, outline, parts, switch, timeline, trailing

GRAMMAR = st.text(st.sampled_from("ab ()[]:|\\.,10-<>AND#é猫🦆\n"), max_size=60)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", [(10, "")]),
        ("a", [(10, "a")]),
        ("[a:b:0.5]", [(5, "a"), (10, "b")]),
        ("[a:b:.5]", [(5, "a"), (10, "b")]),
        ("[a:b:0.51]", [(5, "a"), (10, "b")]),
        ("[a:b:0.59]", [(5, "a"), (10, "b")]),
        ("[a:b:0.09]", [(10, "b")]),
        ("[a:b:3]", [(3, "a"), (10, "b")]),
        ("[a:b:1]", [(1, "a"), (10, "b")]),
        ("[a:b:1.0]", [(10, "a")]),
        ("[a:b:1.]", [(10, "a")]),
        ("[a:b:1.5]", [(10, "a")]),
        ("[a:b:10]", [(10, "a")]),
        ("[a:b:9]", [(9, "a"), (10, "b")]),
        ("[a:b:11]", [(10, "a")]),
        ("[a:b:999999999999]", [(10, "a")]),
        ("[a:b:0]", [(10, "b")]),
        ("[a:b:0.0]", [(10, "b")]),
        ("[a:b:-1]", [(10, "b")]),
        ("[a:b:-0.5]", [(10, "b")]),
        ("[a:b:+2]", [(2, "a"), (10, "b")]),
        ("[a:b: 0.5 ]", [(5, "a"), (10, "b")]),
        ("[a : b : 0.5]", [(5, "a "), (10, " b ")]),
        ("[a:b:1e-1]", [(10, "b")]),
        ("[a:b:5e-1]", [(10, "b")]),
        ("[a:b:5.0e-1]", [(5, "a"), (10, "b")]),
        ("[to:0.5]", [(5, ""), (10, "to")]),
        ("x [to:2] y", [(2, "x  y"), (10, "x to y")]),
        ("[from::0.5]", [(5, "from"), (10, "")]),
        ("[:to:0.5]", [(5, ""), (10, "to")]),
        ("[::0.5]", [(10, "")]),
        ("[:0.5]", [(10, "")]),
        ("[a:a:0.5]", [(10, "a")]),
        ("[0.3:0.5]", [(5, ""), (10, "0.3")]),
        ("[1:2:3]", [(3, "1"), (10, "2")]),
        ("[a:b:.25][c:d:.75]", [(2, "ac"), (7, "bc"), (10, "bd")]),
        ("[a:b:.75][c:d:.25]", [(2, "ac"), (7, "ad"), (10, "bd")]),
        ("[a:[b:c:6]:3]", [(3, "a"), (6, "b"), (10, "c")]),
        ("[[a:b:3]:c:6]", [(3, "a"), (6, "b"), (10, "c")]),
        ("[[a:b:6]:c:3]", [(3, "a"), (10, "c")]),
        ("[a [b:c:3] d:e:6]", [(3, "a b d"), (6, "a c d"), (10, "e")]),
        ("[(a:1.2):(b:0.8):5]", [(5, "(a:1.2)"), (10, "(b:0.8)")]),
        ("([a:b:5]:1.3)", [(5, "(a:1.3)"), (10, "(b:1.3)")]),
        ("((a) [b:c:5])", [(5, "((a) b)"), (10, "((a) c)")]),
        ("[[a]:b:5]", [(5, "[a]"), (10, "b")]),
        ("[[[a:b:5]]]", [(5, "[[a]]"), (10, "[[b]]")]),
        ("[a BREAK b:c:5]", [(5, "a BREAK b"), (10, "c")]),
        ("[a\nb:c:5]", [(5, "a\nb"), (10, "c")]),
        ("[猫:犬:5]", [(5, "猫"), (10, "犬")]),
        ("[🦆:🐈‍⬛:5]", [(5, "🦆"), (10, "🐈‍⬛")]),
        (r"[a\:b:c:5]", [(5, r"a\:b"), (10, "c")]),
        (r"[a\]b:c:5]", [(5, r"a\]b"), (10, "c")]),
        (r"[\(:\):5]", [(5, r"\("), (10, r"\)")]),
        (r"[a\\:b:5]", [(5, r"a\\"), (10, "b")]),
    ],
)  # fmt: skip
def test_schedules(text: str, expected: list[tuple[int, str]]) -> None:
    assert list(timeline(text, 10)) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[a|b]", ["a", "b", "a", "b", "a", "b"]),
        ("[a|b|c]", ["a", "b", "c", "a", "b", "c"]),
        ("[a|b|c|d]", ["a", "b", "c", "d", "a", "b"]),
        ("[|x]", ["", "x", "", "x", "", "x"]),
        ("[x|]", ["x", "", "x", "", "x", ""]),
        ("[a||b]", ["a", "", "b", "a", "", "b"]),
        ("[|]", [""] * 6),
        ("[a|a]", ["a"] * 6),
        ("[a|b] [c|d|e]", ["a c", "b d", "a e", "b c", "a d", "b e"]),
        ("[a|[b|c]]", ["a", "c", "a", "c", "a", "c"]),
        ("[a|[b|c|d]]", ["a", "c", "a", "b", "a", "d"]),
        ("[a|[b:c:3]]", ["a", "b", "a", "c", "a", "c"]),
        ("[[a|b]:c:4]", ["a", "b", "a", "b", "c", "c"]),
        ("[(a:1.2)|b]", ["(a:1.2)", "b"] * 3),
        ("([a|b]:1.2)", ["(a:1.2)", "(b:1.2)"] * 3),
        ("x [a |b ] y", ["x a  y", "x b  y"] * 3),
        ("[猫|犬]", ["猫", "犬"] * 3),
        (r"[a\|b|c]", [r"a\|b", "c"] * 3),
    ],
)
def test_turns(text: str, expected: list[str]) -> None:
    line = timeline(text, 6)
    assert [at(line, step) for step in range(1, 7)] == expected


@pytest.mark.parametrize(
    "text",
    ["[a:b:c:0.5]", "[a|b:0.5]", "[a:b|c:0.5]", "[a:b]", "[a:b:x]", "[a:b:]", "[a:]", "[a]", "[]", "[:]", "a | b",
     "[a:b:0.5", "a:b:0.5]", "(a:b:0.5)", "(a|b)", "[a:b:0.5)", "(a:b:0.5]", "[a (b:c:0.5]", "[a) b:c:0.5]",
     "[x (a:b:1.2) y:z:0.5]", "[x (a|b) y:z:0.5]", "[a:b:0.5.5]", "[a:b:1,5]", "[a:b:５]", "[a:b:nan]", "[a:b:inf]",
     "[a:b:0x5]", "[a:b:--5]", "[a:b:0.5 x]", "[a:b:5 5]", r"\[a:b:0.5]", r"\[a|b\]", r"[a:b:0.5\]", "(a:1.2)",
     "16:9", "10:30", "http://a.b:80/c", "{a|b}", "<lora:x:1>", "[", "]", "[[", "]]", "][", "[(])", "\\", "[\\",
     "[a:b:" + "9" * 200 + "]", "[a:b:" + " " * 200 + "5]", "[a:b:(5)]", "[a:b:[5]]"],
)  # fmt: skip
def test_what_is_no_schedule_stays_text(text: str) -> None:
    assert timeline(text, 10) == ((10, text),)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[ [a:b:5]", [(5, "[ a"), (10, "[ b")]),
        ("[a:b:5] ]", [(5, "a ]"), (10, "b ]")]),
        ("([a:b:5]", [(5, "(a"), (10, "(b")]),
        ("a: [b:c:5]", [(5, "a: b"), (10, "a: c")]),
        ("[[a:b:5]:c:d:0.5]", [(5, "[a:c:d:0.5]"), (10, "[b:c:d:0.5]")]),
        ("(x:y:1.2) [a:b:5]", [(5, "(x:y:1.2) a"), (10, "(x:y:1.2) b")]),
        ("a | [b:c:5]", [(5, "a | b"), (10, "a | c")]),
    ],
)
def test_what_is_no_schedule_leaves_its_neighbours_alone(text: str, expected: list[tuple[int, str]]) -> None:
    assert list(timeline(text, 10)) == expected


@pytest.mark.parametrize(
    ("number", "steps", "last"),
    [("0.5", 20, 10), ("0.5", 21, 10), ("0.99", 20, 19), ("0.999", 1, 0), ("1", 1, 1), ("0.3", 10, 3),
     ("0.29", 100, 28), ("-3", 9, 0), ("7", 5, 5), ("1.0", 5, 5), ("1e2", 50, 50), ("5", 150, 5)],
)  # fmt: skip
def test_switch(number: str, steps: int, last: int) -> None:
    assert switch(number, steps) == last


def test_beyond_the_last_step_the_last_text_stays() -> None:
    assert [at(timeline("[a:b:3]", 10), step) for step in (1, 3, 4, 10, 11, 999)] == ["a", "a", "b", "b", "b", "b"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", [("", 1)]),
        (" a ", [(" a ", 1)]),
        ("a AND b", [("a", 1), ("b", 1)]),
        ("a cat :1.2 AND a dog:0.5", [("a cat", 1.2), ("a dog", 0.5)]),
        ("a:1.2AND b", [("a:1.2AND b", 1)]),
        ("a :1.2 AND b : -1", [("a", 1.2), ("b", -1)]),
        ("a :+1 AND b : .5", [("a", 1), ("b", 0.5)]),
        ("a :2. AND b", [("a", 2), ("b", 1)]),
        ("a AND b AND c :3", [("a", 1), ("b", 1), ("c", 3)]),
        ("AND", [("", 1), ("", 1)]),
        ("a AND", [("a", 1), ("", 1)]),
        ("AND b", [("", 1), ("b", 1)]),
        ("a\nAND\nb", [("a", 1), ("b", 1)]),
        ("a,AND,b", [("a,", 1), (",b", 1)]),
        ("SAND AND LAND", [("SAND", 1), ("LAND", 1)]),
        ("ANDROID and And", [("ANDROID and And", 1)]),
        ("AND_b", [("AND_b", 1)]),
        ("a AND b :x", [("a", 1), ("b :x", 1)]),
        ("a AND b :1.2.3", [("a", 1), ("b :1.2.3", 1)]),
        ("a AND b :１", [("a", 1), ("b :１", 1)]),
        (r"a AND b \:2", [("a", 1), (r"b \:2", 1)]),
        ("a AND (b:1.2)", [("a", 1), ("(b:1.2)", 1)]),
        ("a AND (b:1.2):0.5", [("a", 1), ("(b:1.2)", 0.5)]),
        ("a AND [b:c:0.5]", [("a", 1), ("[b:c:0.5]", 1)]),
        ("a AND 16:9", [("a", 1), ("16", 9)]),
        ("a AND b :0", [("a", 1), ("b", 0)]),
        ("a AND b :999999", [("a", 1), ("b", WEIGHT_LIMIT)]),
        ("a AND b :-999999", [("a", 1), ("b", -WEIGHT_LIMIT)]),
        ("ratio 3:4", [("ratio 3:4", 1)]),
        ("16:9", [("16:9", 1)]),
        ("cat:0", [("cat:0", 1)]),
        ("猫 AND 犬 :0.5", [("猫", 1), ("犬", 0.5)]),
        ("猫AND犬", [("猫AND犬", 1)]),
        ("🦆 AND 🐈", [("🦆", 1), ("🐈", 1)]),
    ],
)
def test_and(text: str, expected: list[tuple[str, float]]) -> None:
    assert parts(text) == [Part(*pair) for pair in expected]


@pytest.mark.parametrize(
    ("text", "number"),
    [("a:4", 4), ("a : 4 ", 4), ("a:-1", -1), ("a:.5", 0.5), ("a:", None), ("a", None), ("", None), ("a:b", None),
     (":4", 4), (r"a\:4", None), ("a:4)", None), ("a:1e5", None), ("a:" + "1" * 200, None)],
)  # fmt: skip
def test_trailing(text: str, number: float | None) -> None:
    assert trailing(text) == number


@pytest.mark.parametrize(
    ("text", "words", "found"),
    [
        ("a <lora:x:0.8>", "a ", [("lora", "x", "0.8")]),
        ("<lora:x>", "", [("lora", "x")]),
        ("a<lora:x:1>b<hypernet:y:2>c", "abc", [("lora", "x", "1"), ("hypernet", "y", "2")]),
        ("<lora:x:te=1:unet=0.5>", "", [("lora", "x", "te=1", "unet=0.5")]),
        ("<lora:my file.v2:1>", "", [("lora", "my file.v2", "1")]),
        ("[<lora:x:1>:b:5]", "[:b:5]", [("lora", "x", "1")]),
        ("<lora:猫:1>", "", [("lora", "猫", "1")]),
        ("a < b : c > d", "a < b : c > d", []),
        ("<3", "<3", []),
        ("<:smile:12>", "<:smile:12>", []),
        ("<lora>", "<lora>", []),
        ("<lora:>", "<lora:>", []),
        ("<lora:x", "<lora:x", []),
        (r"\<lora:x:1>", r"\<lora:x:1>", []),
        ("<a<lora:x:1>", "<a", [("lora", "x", "1")]),
    ],
)
def test_networks(text: str, words: str, found: list[tuple[str, ...]]) -> None:
    assert networks(text) == (words, [Network(kind, tuple(arguments)) for kind, *arguments in found])


@given(GRAMMAR, st.integers(1, 40))
def test_timelines_are_whole(text: str, steps: int) -> None:
    line = timeline(text, steps)
    ends = [end for end, _ in line]
    assert ends == sorted(set(ends)) and ends[0] >= 1 and ends[-1] == steps
    assert all(first[1] != second[1] for first, second in pairwise(line))
    found = outline(text)
    assert [at(line, step) for step in range(1, steps + 1)] == [found.text(step, steps) for step in range(1, steps + 1)]


@given(GRAMMAR)
def test_nothing_is_lost(text: str) -> None:
    assert "".join(outline(text).tokens) == text
    assert " AND ".join(part.text for part in parts(text)).count("AND") >= len(parts(text)) - 1
    words, found = networks(text)
    assert len(words) + sum(len(str(network)) for network in found) == len(text)


@given(st.text(st.characters(exclude_characters="[]:|"), max_size=80), st.integers(1, 40))
def test_text_without_grammar_stays_itself(text: str, steps: int) -> None:
    assert timeline(text, steps) == ((steps, text),)


@given(
    GRAMMAR.filter(lambda text: not set(text) & set("[]()|:\\")),
    GRAMMAR.filter(lambda text: not set(text) & set("[]()|:\\")),
)
def test_joins(first: str, second: str) -> None:
    """A schedule reads its own words and nothing of its neighbours'."""
    assert [at(timeline(f"x[{first}:{second}:2]y", 4), step) for step in (1, 2, 3, 4)] == [
        f"x{first}y", f"x{first}y", f"x{second}y", f"x{second}y",
    ]  # fmt: skip


UNITS = ["[", "]", "[a:b:0.5]", "[a|b]", "[a|", "[a:", "(", "([", "([)]", ":", "|", "\\", "[a:b:", "AND ", "a:1 AND ",
         "<", "<a:", "<a:b>", "[[a:b:0.5]:c:0.5]", " ", "[]", "()", "(a:1.2)", "[a:b:999999999999"]  # fmt: skip


@pytest.mark.parametrize("unit", UNITS)
def test_linear(unit: str) -> None:
    assert growth(outline, unit) < 1.5
    assert growth(lambda text: timeline(text, 4), unit) < 1.5
    assert growth(parts, unit) < 1.5
    assert growth(networks, unit) < 1.5


def test_depth_beyond_reason() -> None:
    depth = 20_000
    text = "[" * depth + "a" + ":b:5]" * depth
    assert timeline(text, 10) == ((5, "a"), (10, "b"))
    turns = "[" * depth + "a" + "|b]" * depth
    assert timeline(turns, 2) == ((1, "a"), (2, "b"))
