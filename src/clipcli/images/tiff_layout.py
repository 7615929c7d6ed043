"""How the samples of a TIFF image are stored: bit depth, strips or tiles, compression."""

from __future__ import annotations

from dataclasses import dataclass

from clipcli.errors import ImageError
from clipcli.images.tiff import Directory, Tag

__all__ = ["Layout", "can_decompress", "layout_of"]

_DECOMPRESSED = {1, 5, 8, 32773, 32946, 34925, 50000}  # none, LZW, Deflate, PackBits, LZMA, Zstandard
_KINDS = {1: "u", 2: "i", 3: "f", 4: "u"}


@dataclass(frozen=True)
class Layout:
    """How the samples of an image are stored.

    Parameters
    ----------
    directory
        The directory that describes the image.
    width, height, channels
        Of the image.
    bits, kind
        Of a sample; the kind is NumPy's: ``u``, ``i`` or ``f``.
    tile
        Width and height of a strip or tile.
    apart
        Whether each channel is stored separately.
    """

    directory: Directory
    width: int
    height: int
    channels: int
    bits: int
    kind: str
    tile: tuple[int, int]
    apart: bool

    @property
    def segment_bytes(self) -> int:
        """Size of a decompressed strip or tile in bytes, before its samples are unpacked."""
        return self.row_bytes * self.tile[1]

    @property
    def row_bytes(self) -> int:
        """Size of a row of a strip or tile in bytes, before its samples are unpacked."""
        return -(-self.tile[0] * self.channels_together * self.bits // 8)

    @property
    def channels_together(self) -> int:
        """The number of channels of a strip or tile."""
        return 1 if self.apart else self.channels

    @property
    def is_compressed(self) -> bool:
        """Whether a strip or tile can only be read completely."""
        plain = self.directory.number(Tag.COMPRESSION, 1) == 1 and self.directory.number(Tag.FILL_ORDER, 1) == 1
        return not plain or self.directory.number(Tag.PREDICTOR, 1) != 1

    @property
    def sample_bytes(self) -> int:
        """Size of an unpacked sample in bytes."""
        return self.bits // 8 if self.bits in (8, 16, 32, 64) else 1 if self.bits < 8 else 2


def can_decompress(directory: Directory) -> bool:
    """Return whether strips and tiles can be decompressed without knowledge of their samples."""
    return directory.number(Tag.COMPRESSION, 1) in _DECOMPRESSED


def layout_of(directory: Directory) -> Layout:
    """Return the layout of an image.

    Raises
    ------
    ImageError
        If it is damaged or of an unsupported kind.
    """
    width, height = directory.size
    channels = directory.number(Tag.SAMPLES, 1)
    depths = set(directory.numbers(Tag.BITS, (1,))[:channels])
    formats = set(directory.numbers(Tag.SAMPLE_FORMAT, (1,))[:channels])
    if min(width, height, channels) < 1 or channels > 1024:
        raise ImageError("unreadable", f"damaged image ({width} x {height} pixels of {channels} samples)")
    bits, form = depths.pop(), formats.pop()
    fits = bits in ((8, 16, 32, 64) if form in (1, 2, 4) else (16, 32, 64)) or (form in (1, 4) and 1 <= bits <= 16)
    if depths or formats or form not in _KINDS or not fits:
        raise ImageError("unsupported", f"TIFF with samples of {bits} bits, format {form} (convert it to 8 or 16 bits)")
    compression, predictor = directory.number(Tag.COMPRESSION, 1), directory.number(Tag.PREDICTOR, 1)
    if not can_decompress(directory):
        remedy = f"TIFF of {bits}-bit samples with compression {compression} (save it with LZW, Deflate or none)"
        raise ImageError("unsupported", remedy)
    if compression == 1:
        predictor = 1
    if predictor not in (1, 2, 3) or (predictor == 2 and bits not in (8, 16, 32, 64)):
        raise ImageError("unsupported", f"TIFF of {bits}-bit samples with predictor {predictor}")
    tile = (directory.number(Tag.TILE_WIDTH, 0), directory.number(Tag.TILE_HEIGHT, 0))
    if Tag.TILE_OFFSETS not in directory.tags:
        tile = (width, min(height, directory.number(Tag.ROWS_PER_STRIP, height)))
    if min(tile) < 1 or max(tile) > 1 << 24:
        raise ImageError("unreadable", "damaged image (strips or tiles without a size)")
    apart = directory.number(Tag.PLANAR, 1) == 2 and channels > 1
    return Layout(directory, width, height, channels, bits, _KINDS[form], tile, apart)
