"""XMP packets: where programs put their texts, in every format; and no packet does harm."""

import io
from pathlib import Path
from xml.sax.saxutils import escape, quoteattr

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, PngImagePlugin

from tests.growth import growth
from tests.test_png import INFOTEXT, picture
from webui import png, xmp

SPACES = (
    'xmlns:exif="http://ns.adobe.com/exif/1.0/" xmlns:dc="http://purl.org/dc/elements/1.1/" '
    'xmlns:xmp="http://ns.adobe.com/xap/1.0/" xmlns:my="http://example.org/my/"'
)
DRAW_THINGS = '{"c": "a cat", "uc": "fog", "sampler": "Euler Ancestral", "scale": 7.5, "seed": 1234, "steps": 20}'


def packet(inner: str = "", attributes: str = "") -> str:
    return (
        '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/">'
        '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        f'<rdf:Description rdf:about="" {SPACES} {attributes}>{inner}</rdf:Description></rdf:RDF></x:xmpmeta>'
        '<?xpacket end="w"?>'
    )


def items(text: str, *others: str) -> str:
    found = "".join(f'<rdf:li xml:lang="x-default">{escape(item)}</rdf:li>' for item in (text, *others))
    return f"<rdf:Alt>{found}</rdf:Alt>"


SHAPES = {
    "comment": packet(f"<exif:UserComment>{items(INFOTEXT)}</exif:UserComment>"),
    "several": packet(f"<exif:UserComment>{items(INFOTEXT, 'another')}</exif:UserComment>"),
    "plain": packet(f"<exif:UserComment>{escape(INFOTEXT)}</exif:UserComment>"),
    "attribute": packet(attributes=f"exif:UserComment={quoteattr(INFOTEXT, {chr(10): '&#10;'})}"),
    "data": packet(f"<exif:UserComment><![CDATA[{INFOTEXT}]]></exif:UserComment>"),
    "description": packet(f"<dc:description>{items(INFOTEXT)}</dc:description><xmp:CreatorTool>x</xmp:CreatorTool>"),
    "own": packet(f"<my:parameters>{escape(INFOTEXT)}</my:parameters>"),
}


def saved(kind: str, text: str) -> bytes:
    buffer = io.BytesIO()
    if kind == "PNG":
        info = PngImagePlugin.PngInfo()
        info.add_itxt(xmp.KEY, text)
        picture().save(buffer, kind, pnginfo=info)
    else:
        picture().save(buffer, kind, xmp=text.encode())
    return buffer.getvalue()


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
@pytest.mark.parametrize("shape", SHAPES)
def test_an_infotext_is_found_wherever_it_stands(kind: str, shape: str) -> None:
    found = png.read(saved(kind, SHAPES[shape]))
    assert found.infotext == INFOTEXT
    assert found.reading is not None
    assert (found.reading.values["seed"], found.reading.values["prompt"]) == (4294967295, "a house by a lake, 湖")


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_draw_things_writes_its_settings_there(kind: str) -> None:
    text = packet(
        f"<exif:UserComment>{items(DRAW_THINGS)}</exif:UserComment>"
        f"<dc:description>{items('a cat, Steps: 20, Sampler: Euler Ancestral')}</dc:description>",
        'xmp:CreatorTool="Draw Things"',
    )
    found = png.read(saved(kind, text))
    assert (found.source, found.reading and found.reading.values["seed"]) == ("Draw Things", 1234)


def test_what_stands_outside_of_the_packet_wins() -> None:
    exif, buffer = Image.Exif(), io.BytesIO()
    exif.get_ifd(0x8769)[0x9286] = b"ASCII\0\0\0" + b"a lake\nSteps: 3, Sampler: Euler, Seed: 4"
    picture().save(buffer, "JPEG", exif=exif.tobytes(), xmp=SHAPES["comment"].encode())
    assert (png.read(buffer.getvalue()).infotext or "").startswith("a lake")


def test_a_camera_and_an_editor_are_no_programs() -> None:
    text = packet(f"<dc:description>{items('Holidays: the lake')}</dc:description>", 'xmp:CreatorTool="GIMP 2.10"')
    for kind in ("PNG", "JPEG", "WEBP"):
        with pytest.raises(png.NoRecipe, match="carries no recipe"):
            png.read(saved(kind, text))


LAUGHS = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10 if n else "ha"}">' for n in range(12))


@pytest.mark.parametrize(
    "head",
    [
        f"<!DOCTYPE x [{LAUGHS}]>",
        '<!DOCTYPE x [<!ENTITY l11 SYSTEM "file:///etc/hostname">]>',
        '<!DOCTYPE x SYSTEM "http://127.0.0.1:1/x.dtd">',
        "<!DOCTYPE x>",
    ],
)
def test_a_document_type_is_refused(head: str) -> None:
    inner = packet("<exif:UserComment>&l11;Steps: 3, Sampler: Euler, Seed: 4</exif:UserComment>").split("?>", 1)[1]
    assert xmp.read(head + inner) == {}
    assert xmp.read(inner.replace("&l11;", "")) == {"parameters": "Steps: 3, Sampler: Euler, Seed: 4"}


def test_a_packet_that_is_too_long_is_not_read() -> None:
    text = packet(f"<exif:UserComment>{INFOTEXT}</exif:UserComment>")
    room = xmp.MAX_XMP - len(text.encode())
    assert xmp.read(text + " " * room)["parameters"] == INFOTEXT
    assert xmp.read(text + " " * (room + 1)) == {}


@given(st.text(max_size=200) | st.text(st.sampled_from("<>/&;=\"'! [rdf:li"), max_size=80).map(packet))
def test_reading_is_total(text: str) -> None:
    assert set(xmp.read(text)) <= {
        "parameters",
        "prompt",
        "workflow",
        "invokeai_metadata",
        "Description",
        "Software",
        "Title",
    }


@pytest.mark.parametrize("unit", ["<a>", "<a/>", "<rdf:li>x</rdf:li>", "x", "&amp;", "<!-- -->", "<rdf:Description>",
                                  '<b xmlns="u">', "<exif:UserComment>x</exif:UserComment>"])  # fmt: skip
def test_a_long_packet_takes_linear_time(unit: str) -> None:
    head, tail = packet("|").split("|")
    assert growth(lambda text: xmp.read(head + text + tail), unit) < 1.5


def test_no_file_is_opened(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("Steps: 3, Sampler: Euler, Seed: 99")
    uri = (tmp_path / "secret").as_uri()
    text = f'<!DOCTYPE x [<!ENTITY s SYSTEM "{uri}">]>' + packet("<exif:UserComment>&s;</exif:UserComment>")
    assert xmp.read(text) == {}
