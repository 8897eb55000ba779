"""Styles: words around a prompt, and the file that A1111 keeps them in."""

import pytest

from webui.errors import BadValue
from webui.styles import Style, apply, find, parse


@pytest.mark.parametrize(
    ("style", "prompt", "expected"),
    [
        ("", "a lake", "a lake"),
        ("", " a lake ", " a lake "),
        ("oil", "a lake", "a lake, oil"),
        ("oil", "", "oil"),
        (" oil ", " a lake ", "a lake, oil"),
        ("oil of {prompt}, old", "a lake", "oil of a lake, old"),
        ("{prompt} {prompt}", "duck", "duck duck"),
        ("{prompt}", "{prompt}", "{prompt}"),
        ("oil of {prompt}", "", "oil of "),
    ],
)
def test_around(style: str, prompt: str, expected: str) -> None:
    assert apply(prompt, "", [Style("x", style)])[0] == expected
    assert apply("", prompt, [Style("x", "", style)])[1] == expected


def test_in_order() -> None:
    styles = [Style("a", "oil of {prompt}", "photo"), Style("b", "calm", "{prompt}, grain")]
    assert apply("a lake", "fog", styles) == ("oil of a lake, calm", "fog, photo, grain")


def named(*styles: Style) -> dict[str, Style]:
    return {style.name: style for style in styles}


def test_the_file() -> None:
    text = '\ufeffname,prompt,negative_prompt\r\nOil,"oil, {prompt}","bad, photo"\r\n# x,a,b\r\nShort,calm\r\n'
    assert parse(text) == (named(Style("Oil", "oil, {prompt}", "bad, photo"), Style("Short", "calm")), [])
    assert parse("name,text\nOld,words\n") == (named(Style("Old", "words")), [])
    assert parse("") == parse("\ufeff\n") == ({}, [])


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("no,such,columns\n1,2,3\n", "Line 1 must name the columns: name,prompt,negative_prompt."),
        ("name,prompt\na,b\n,c\n", "Line 3 has no name."),
        ("name,prompt\na,b\n" + "n" * 101 + ",c\n", "Line 3 has a name of 101 characters: at most 100 are allowed."),
        ("name,prompt\na,b\na,c\n", "Line 3 names a once more: the style that came first counts."),
        ("name,prompt\na,b\nc,d, e\n", "Line 3 has 3 columns and the first line 2: put words with a comma in"),
        ('name,prompt\na,b\nc,"d\ne,f\n', "From line 3 on nothing can be read: unexpected end of data."),
        ("name,prompt\na,b\nc," + "x" * 200_000 + "\nd,e\n", "From line 3 on nothing can be read: field larger"),
    ],
)
def test_a_line_that_cannot_be_read_is_named_and_the_others_are_read(text: str, line: str) -> None:
    found, problems = parse(text)
    assert len(problems) == 1
    assert problems[0].startswith(line)
    assert found == ({} if line.startswith("Line 1") else named(Style("a", "b")))


def test_find_is_without_regard_to_case() -> None:
    known = named(Style("Oil"), Style("Calm"))
    assert find([" calm ", "Oil"], known) == [known["Calm"], known["Oil"]]
    with pytest.raises(BadValue, match=r"Styles must be one of Oil, Calm; got 'Oul'\. Did you mean Oil\?"):
        find(["Oil", "Oul"], known)
    with pytest.raises(BadValue, match="there are none yet"):
        find(["Oil"], {})
