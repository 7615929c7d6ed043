"""Read the parts of a ``multipart/form-data`` body that is in memory; nothing is written to a disk."""

from __future__ import annotations

from dataclasses import dataclass, field

from clipcli.serving.problems import RequestError, bad_request

__all__ = ["Part", "parse_multipart", "split_header"]

_MOST_HEADERS = 8
_LONGEST_HEADER = 4096


@dataclass
class Part:
    """One part of a form.

    Parameters
    ----------
    name
        The name of its field.
    filename
        The name of its file; ``None`` if it has none.
    kind
        Its media type, in lower case; empty if it has none.
    data
        Its content.
    """

    name: str = ""
    filename: str | None = None
    kind: str = ""
    data: bytearray = field(default_factory=bytearray, repr=False)

    @property
    def is_image(self) -> bool:
        """Whether it is a file rather than a value."""
        return self.filename is not None or self.kind.startswith("image/") or self.kind == "application/octet-stream"

    @property
    def text(self) -> str:
        """Its content as text.

        Raises
        ------
        RequestError
            If it is not UTF-8.
        """
        try:
            return self.data.decode()
        except UnicodeDecodeError:
            raise bad_request(f"{self.name[:60]}: it is not UTF-8 text") from None


def split_header(value: str | bytes) -> tuple[str, dict[str, str]]:
    """Split a header such as ``form-data; name="a"`` into its value, in lower case, and its parameters."""
    from python_multipart.multipart import parse_options_header

    kind, parameters = parse_options_header(value.encode("latin-1", "replace") if isinstance(value, str) else value)
    return kind.decode("latin-1"), {
        name.decode("latin-1").lower(): each.decode("utf-8", "replace") for name, each in parameters.items()
    }


def parse_multipart(body: bytes, content_type: str, most_images: int, most_fields: int) -> list[Part]:
    """Parse a form.

    Parameters
    ----------
    content_type
        The header of the request, with the boundary.
    most_images, most_fields
        How many files and how many values it may have.

    Raises
    ------
    RequestError
        If it is malformed, is cut off, or has too many parts.
    """
    from python_multipart.exceptions import FormParserError
    from python_multipart.multipart import MultipartParser

    boundary = split_header(content_type)[1].get("boundary", "")
    if not boundary or not boundary.isascii():
        raise bad_request("multipart/form-data: its boundary is missing")
    found = _Parts(most_images, most_fields)
    try:
        parser = MultipartParser(
            boundary, found.callbacks(), max_header_count=_MOST_HEADERS, max_header_size=_LONGEST_HEADER  # type: ignore[arg-type]
        )  # fmt: skip
        parser.write(body)
        parser.finalize()
    except FormParserError as problem:
        raise bad_request(f"multipart/form-data: {' '.join(str(problem).split())[:120]}") from None
    if not found.is_complete:
        raise bad_request("multipart/form-data: it is cut off")
    return found.parts


class _Parts:
    """Gathers the parts while a form is parsed."""

    def __init__(self, most_images: int, most_fields: int) -> None:
        self.parts: list[Part] = []
        self.is_complete = False
        self._left = {True: most_images, False: most_fields}
        self._header, self._value = bytearray(), bytearray()

    def callbacks(self) -> dict[str, object]:
        return {
            "on_part_begin": lambda: self.parts.append(Part()),
            "on_header_field": lambda data, start, end: self._header.extend(data[start:end]),
            "on_header_value": lambda data, start, end: self._value.extend(data[start:end]),
            "on_header_end": self._end_header,
            "on_headers_finished": self._check_part,
            "on_part_data": lambda data, start, end: self.parts[-1].data.extend(memoryview(data)[start:end]),
            "on_end": self._end,
        }

    def _end_header(self) -> None:
        name, part = bytes(self._header).lower(), self.parts[-1]
        value, parameters = split_header(bytes(self._value))
        if name == b"content-disposition":
            part.name, part.filename = parameters.get("name", ""), parameters.get("filename")
        elif name == b"content-type":
            part.kind = value
        self._header.clear()
        self._value.clear()

    def _check_part(self) -> None:
        part = self.parts[-1]
        self._left[part.is_image] -= 1
        if self._left[part.is_image] < 0:
            raise RequestError("too_large", f"multipart/form-data: too many {'images' if part.is_image else 'fields'}")
        if not part.is_image and not part.name:
            raise bad_request("multipart/form-data: a part has neither a name nor a file name")

    def _end(self) -> None:
        self.is_complete = True
