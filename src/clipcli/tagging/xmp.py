"""Keywords in an XMP packet: added and removed, and everything else in it keeps its meaning.

A packet comes from other programs or people: it is parsed without entities, document types and the network, and up to a
size. All namespaces, processing instructions and comments stay.
"""

from __future__ import annotations

import codecs
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from clipcli._version import __version__
from clipcli.errors import OutputError
from clipcli.tagging.keywords import Keyword, texts_of
from clipcli.text import name_key

__all__ = ["LARGEST", "XmpError", "keywords_added", "keywords_removed", "lxml_or_error"]

LARGEST = 1 << 24
"""The largest packet in bytes; the edits in a raw developer's sidecar take some hundred kilobytes."""

_META, _RDF = "adobe:ns:meta/", "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
_NAMESPACES = {
    "dc": "http://purl.org/dc/elements/1.1/",
    "lr": "http://ns.adobe.com/lightroom/1.0/",
    "digiKam": "http://www.digikam.org/ns/1.0/",
}
_TOOLKIT = f"{{{_META}}}xmptk"
_LISTS = (f"{{{_RDF}}}Bag", f"{{{_RDF}}}Seq", f"{{{_RDF}}}Alt")
_ITEM, _DESCRIPTION, _ABOUT = (f"{{{_RDF}}}{name}" for name in ("li", "Description", "about"))
_EMPTY = f"""<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="{_META}" x:xmptk="clipcli {__version__}">
 <rdf:RDF xmlns:rdf="{_RDF}">
  <rdf:Description rdf:about=""/>
 </rdf:RDF>
</x:xmpmeta>
<?xpacket end="w"?>
"""


class XmpError(ValueError):
    """A packet that cannot be edited without a loss; the text is one line for people."""


def lxml_or_error() -> Any:
    """Import lxml, or raise :class:`OutputError` with the name of the extra."""
    try:
        from lxml import etree
    except ImportError:
        raise OutputError("cannot write XMP: it needs an extra (pip install 'clipcli[tag]')") from None
    return etree


def keywords_added(packet: bytes | None, keywords: Sequence[Keyword]) -> bytes:
    """Return a packet with more keywords; the same bytes if it has them all.

    Parameters
    ----------
    packet
        An XMP packet or sidecar; ``None`` for a new one.

    Raises
    ------
    XmpError
        If it is not XMP, too large, or has its keywords in an unknown form.
    """
    tree = _parsed(_EMPTY.encode() if packet is None else packet)
    changed = False
    for name, kind, prefix, texts in _properties(keywords):
        lists = _lists_of(tree, name)
        known = {name_key(text) for each in lists for text in _texts_in(each)}
        missing = [text for text in texts if name_key(text) not in known]
        if missing:
            target = lists[0] if lists else _new_list(tree, name, kind, prefix)
            for text in missing:
                _append(target, _ITEM).text = text
            changed = True
    return _serialised(tree, packet) if changed or packet is None else packet


def keywords_removed(packet: bytes, keywords: Sequence[Keyword]) -> bytes | None:
    """Return a packet without some keywords, the same bytes if it has none of them.

    ``None`` if nothing is left of a packet that :func:`keywords_added` made.

    Raises
    ------
    XmpError
        As for :func:`keywords_added`.
    """
    tree = _parsed(packet)
    changed = False
    for name, _, _, texts in _properties(keywords):
        unwanted = set(map(name_key, texts))
        for each in _lists_of(tree, name):
            found = [item for item in each.iterchildren(_ITEM) if name_key(_text_of(item)) in unwanted]
            for item in found:
                _remove(item)
            if found and next(each.iterchildren(), None) is None:
                _remove(each.getparent())
            changed = changed or bool(found)
    if not changed:
        return packet
    return None if _is_empty_and_own(tree) else _serialised(tree, packet)


def _properties(keywords: Sequence[Keyword]) -> Iterator[tuple[str, str, str, list[str]]]:
    """Yield the name of each property, its kind of list, its usual prefix, and its values."""
    for field, texts in texts_of(keywords).items():
        prefix, _, name = field.partition(":")
        yield f"{{{_NAMESPACES[prefix]}}}{name}", _LISTS[prefix == "digiKam"], prefix, texts


def _parsed(packet: bytes) -> Any:
    etree = lxml_or_error()
    if len(packet) > LARGEST:
        raise XmpError(f"it is larger than {LARGEST >> 20} MiB")
    parser = etree.XMLParser(
        resolve_entities=False, load_dtd=False, no_network=True, huge_tree=False, strip_cdata=False,
        remove_blank_text=False, remove_comments=False, remove_pis=False, recover=False,
    )  # fmt: skip
    wide = packet.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    try:
        tree = etree.fromstring(packet if wide else packet.strip(b"\0 \t\r\n"), parser).getroottree()
    except (etree.XMLSyntaxError, ValueError, LookupError) as problem:
        raise XmpError(f"it is not XML: {' '.join(str(problem).split())[:120]}") from None
    if tree.docinfo.internalDTD is not None or next(tree.iter(etree.Entity), None) is not None:
        raise XmpError("it has a document type or entities, which XMP does not have")
    _rdf_of(tree)
    return tree


def _rdf_of(tree: Any) -> Any:
    root = tree.getroot()
    found = root if root.tag == f"{{{_RDF}}}RDF" else root.find(f"{{{_RDF}}}RDF")
    if found is None:
        raise XmpError("it is not XMP: it has no rdf:RDF")
    return found


def _lists_of(tree: Any, name: str) -> list[Any]:
    """Return the lists that hold the values of a property."""
    lists = []
    for description in _rdf_of(tree).iterchildren(_DESCRIPTION):
        if name in description.attrib:
            raise XmpError(f"its {_short(name)} is not a list")
        for found in description.iterchildren(name):
            inner = [each for each in found if isinstance(each.tag, str)]
            if len(inner) != 1 or inner[0].tag not in _LISTS:
                raise XmpError(f"its {_short(name)} is not a list")
            lists.append(inner[0])
    return lists


def _short(name: str) -> str:
    return name.rpartition("}")[2]


def _texts_in(values: Any) -> Iterable[str]:
    return (_text_of(item) for item in values.iterchildren(_ITEM))


def _text_of(item: Any) -> str:
    return "".join(item.itertext()).strip()


def _new_list(tree: Any, name: str, kind: str, prefix: str) -> Any:
    rdf = _rdf_of(tree)
    description = next(rdf.iterchildren(_DESCRIPTION), None)
    if description is None:
        description = _append(rdf, _DESCRIPTION)
        description.set(_ABOUT, "")
    return _append(_append(description, name, prefix), kind)


def _append(parent: Any, name: str, prefix: str | None = None) -> Any:
    """Append an element, on a separate line if its siblings are."""
    etree = lxml_or_error()
    namespaces = {prefix: name[1:].partition("}")[0]} if prefix else None
    last = parent[-1] if len(parent) else None
    outer = _indent_of(parent)
    child = etree.SubElement(parent, name, nsmap=namespaces)
    if last is not None:
        child.tail, last.tail = last.tail, parent.text if _is_blank(parent.text) else last.tail
    elif outer is not None and _is_blank(parent.text):
        parent.text, child.tail = outer + " ", outer
    return child


def _indent_of(element: Any) -> str | None:
    """Return the line break and the indent before an element, ``None`` if it is not at the start of a line."""
    before = element.getprevious()
    parent = element.getparent()
    text = before.tail if before is not None else parent.text if parent is not None else None
    return text if text and "\n" in text and not text.strip() else None


def _is_blank(text: str | None) -> bool:
    return not (text or "").strip()


def _remove(element: Any) -> None:
    """Remove an element with the white space before it."""
    before, parent = element.getprevious(), element.getparent()
    tail = element.tail if element.getnext() is None or not _is_blank(element.tail) else None
    if tail is not None:
        if before is not None:
            before.tail = tail if _is_blank(before.tail) else (before.tail or "") + tail
        elif not _is_blank(tail) or len(parent) == 1:
            parent.text = tail
    parent.remove(element)


def _is_empty_and_own(tree: Any) -> bool:
    """Return whether a packet is one of clipcli, without any property."""
    rdf = _rdf_of(tree)
    own = (tree.getroot().get(_TOOLKIT) or "").startswith("clipcli ")
    return own and all(
        each.tag == _DESCRIPTION and not len(each) and set(each.attrib) <= {_ABOUT} for each in rdf.iterchildren()
    )


def _serialised(tree: Any, packet: bytes | None) -> bytes:
    """Return the bytes of a packet, in its encoding, with the declaration and the byte-order mark it had."""
    etree = lxml_or_error()
    encoding = (tree.docinfo.encoding or "UTF-8") if packet is not None else "UTF-8"
    start = (packet or b"")[:128].removeprefix(codecs.BOM_UTF8)
    has_declaration = b"<?xml " in start or b"<\0?\0x\0m\0l" in start or b"\0<\0?\0x\0m\0l" in start
    if encoding.upper() != "UTF-8":
        return bytes(etree.tostring(tree, encoding=encoding, xml_declaration=has_declaration))
    root = tree.getroot()
    parts = [*reversed(list(root.itersiblings(preceding=True))), root, *root.itersiblings()]
    lines = [etree.tostring(each, encoding="UTF-8", xml_declaration=False, with_tail=False) for each in parts]
    if has_declaration:
        lines.insert(0, b'<?xml version="1.0" encoding="UTF-8"?>')
    mark = codecs.BOM_UTF8 if packet is not None and packet.startswith(codecs.BOM_UTF8) else b""
    return mark + b"\n".join(lines) + (b"\n" if packet is None or packet.endswith(b"\n") else b"")
