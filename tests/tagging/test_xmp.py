"""Keywords are added to packets of all programs and removed again, and the rest keeps its meaning."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from lxml import etree

from clipcli.tagging.keywords import Keyword
from clipcli.tagging.xmp import LARGEST, XmpError, keywords_added, keywords_removed
from tests.tagging.packets import PACKETS

KEYWORDS = (Keyword(("ai", "animal", "cat")), Keyword(("ai", "Küche & Bad")), Keyword(("ai", "AC/DC")))
OWN = {"XMP-dc:Subject", "XMP-lr:HierarchicalSubject", "XMP-digiKam:TagsList"}

UNREADABLE = ("utf-16", "unknown")  # for exiftool: a declaration of UTF-16, and a comment at the start

needs_exiftool = pytest.mark.skipif(shutil.which("exiftool") is None, reason="the program exiftool is not installed")


def canonical(packet: bytes) -> bytes:
    """A form that is equal for packets of equal meaning; white space between elements means nothing."""
    root = etree.fromstring(packet, etree.XMLParser(remove_blank_text=True, strip_cdata=True))
    return bytes(etree.tostring(root.getroottree(), method="c14n", with_comments=True))


def facts(packet: bytes, file: Path) -> dict[str, Any]:
    file.write_bytes(packet)
    done = subprocess.run(["exiftool", "-j", "-G1", "-a", "-struct", "-XMP:all", file], capture_output=True, check=True)
    return {name: value for name, value in json.loads(done.stdout)[0].items() if name != "SourceFile"}


@pytest.mark.parametrize("form", sorted(PACKETS))
def test_added_and_removed_again_leaves_the_meaning(form: str) -> None:
    added = keywords_added(PACKETS[form], KEYWORDS)
    assert canonical(added) != canonical(PACKETS[form])
    assert keywords_added(added, KEYWORDS) == added
    removed = keywords_removed(added, KEYWORDS)
    assert removed is not None
    assert canonical(removed) == canonical(PACKETS[form])


@needs_exiftool
@pytest.mark.parametrize("form", [name for name in sorted(PACKETS) if name not in UNREADABLE])
def test_exiftool_reads_the_keywords_and_everything_else_as_before(form: str, tmp_path: Path) -> None:
    before = facts(PACKETS[form], tmp_path / "before.xmp")
    after = facts(keywords_added(PACKETS[form], KEYWORDS), tmp_path / "after.xmp")
    assert {name: each for name, each in after.items() if name not in OWN} == {
        name: each for name, each in before.items() if name not in OWN
    }
    flat = before.get("XMP-dc:Subject", [])
    assert after["XMP-dc:Subject"] == [*flat, "cat", "Küche & Bad", "AC/DC"]
    paths = before.get("XMP-lr:HierarchicalSubject", [])
    assert after["XMP-lr:HierarchicalSubject"] == [*paths, "ai|animal|cat", "ai|Küche & Bad", "ai|AC/DC"]
    listed = before.get("XMP-digiKam:TagsList", [])
    listed = listed if isinstance(listed, list) else [listed]
    assert after["XMP-digiKam:TagsList"] == [*listed, "ai/animal/cat", "ai/Küche & Bad", "ai/AC_DC"]


def test_a_new_packet_goes_when_its_last_keyword_does_but_no_packet_of_others() -> None:
    packet = keywords_added(None, KEYWORDS[:1])
    assert packet.startswith(b"<?xpacket begin=")
    assert keywords_removed(packet, KEYWORDS[1:]) == packet
    assert keywords_removed(packet, KEYWORDS) is None
    bare = b'<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"/>'
    assert keywords_removed(keywords_added(bare, KEYWORDS), KEYWORDS) is not None


def test_a_keyword_that_is_there_in_another_unicode_form_is_not_added_twice() -> None:
    packet = keywords_added(None, [Keyword(("Gr\u00fcn",))])
    assert keywords_added(packet, [Keyword(("Gru\u0308n",))]) == packet


RDF = '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#" xmlns:dc="http://purl.org/dc/elements/1.1/">{}</rdf:RDF>'
DESCRIPTION = '<rdf:Description rdf:about="">{}</rdf:Description>'
BOMB = (
    '<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa">'
    + "".join(f'<!ENTITY {name} "{f"&{inner};" * 10}">' for inner, name in zip("abcdefghi", "bcdefghij", strict=True))
    + "]>"
)


@pytest.mark.parametrize(
    ("packet", "reason"),
    [
        ("", "it is not XML"),
        ("<x", "it is not XML"),
        ("<x/>", "it has no rdf:RDF"),
        (BOMB + RDF.format("&j;"), "it"),
        ('<!DOCTYPE x SYSTEM "http://127.0.0.1:9/x.dtd">' + RDF.format(""), "document type"),
        ('<!DOCTYPE x [<!ENTITY f SYSTEM "file:///etc/hostname">]>' + RDF.format("&f;"), "document type"),
        (RDF.format(DESCRIPTION.format("<dc:subject>cat</dc:subject>")), "subject is not a list"),
        (RDF.format('<rdf:Description rdf:about="" dc:subject="cat"/>'), "subject is not a list"),
        (RDF.format(DESCRIPTION.format("<dc:subject><rdf:Bag/><rdf:Bag/></dc:subject>")), "subject is not a list"),
        ("<a>" * 100_000, "it is not XML"),
        (" " * (LARGEST + 1), "larger than 16 MiB"),
    ],
)
def test_what_cannot_be_edited_without_a_loss_is_refused_in_one_line(packet: str, reason: str) -> None:
    for edit in (keywords_added, keywords_removed):
        with pytest.raises(XmpError, match=reason) as caught:
            edit(packet.encode(), KEYWORDS)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["]]>", "<b>&amp;", "'\"", "a\u2028b", "😀", "‏עברית"])
def test_any_text_comes_back(text: str) -> None:
    packet = keywords_added(PACKETS["lightroom"], [Keyword((text,))])
    root = etree.fromstring(packet)
    assert text in [each.text for each in root.iter("{*}li")]
