"""Styles: words around a prompt, and the file that A1111 keeps them in."""

import pytest

from webui.styles import Style, apply, parse


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


def test_the_file() -> None:
    text = '\ufeffname,prompt,negative_prompt\r\nOil,"oil, {prompt}","bad, photo"\r\n# x,a,b\r\n,c,d\r\nShort,calm\r\n'
    assert parse(text) == [Style("Oil", "oil, {prompt}", "bad, photo"), Style("Short", "calm")]
    assert parse("name,text\nOld,words\n") == [Style("Old", "words")]
    assert parse("") == [] and parse("no,such,columns\n1,2,3\n") == []
    assert parse("name,prompt\na,b\n" + "c," + "x" * 200_000 + "\nd,e\n") == [Style("a", "b")]
