"""Deep pictures: whatever the bits, byte order, layout, alpha or missing samples, it is the picture that was meant."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from clipcli.errors import ImageError
from clipcli.images.files import open_image
from clipcli.images.rgb import to_rgb
from clipcli.images.white_point import choose_range
from tests.deep_files import pillow_tiff, png_file, raw_tiff, tiff_file, to_bits

ORDERS = ("<", ">")
Levels = NDArray[np.uint8]


@pytest.fixture(scope="module")
def rgb(photos: dict[str, Path]) -> Levels:
    return np.asarray(Image.open(photos["astronaut"]).convert("RGB").resize((96, 64)))


@pytest.fixture(scope="module")
def grey(rgb: Levels) -> Levels:
    return np.asarray(Image.fromarray(rgb).convert("L"))


def distance(data: bytes, levels: NDArray[Any]) -> float:
    """The average difference between an encoded picture and the levels it should have, in levels of 255."""
    wanted = levels if levels.ndim == 3 else np.repeat(levels[:, :, None], 3, axis=2)
    return float(np.abs(np.asarray(open_image(data), float) - wanted).mean())


def on_white(levels: Levels, opacity: Levels) -> NDArray[np.float64]:
    cover = opacity / 255.0 if levels.ndim == 2 else (opacity / 255.0)[:, :, None]
    return np.asarray(levels * cover + 255.0 * (1.0 - cover))


# --- bits and byte order ------------------------------------------------------------------------------------


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("bits", [8, 10, 12, 14, 16])
def test_fewer_bits_in_a_file_of_16_give_the_same_picture(bits: int, order: str, grey: Levels, rgb: Levels) -> None:
    assert distance(tiff_file(to_bits(grey, bits), byteorder=order), grey) < 1.5
    assert distance(tiff_file(to_bits(rgb, bits), "rgb", byteorder=order), rgb) < 1.5
    assert distance(tiff_file(2**bits - 1 - to_bits(grey, bits), "miniswhite", byteorder=order), grey) < 1.5


@pytest.mark.parametrize("bits", [8, 10, 12, 14, 16])
@pytest.mark.parametrize("colour", [0, 2, 4, 6])
def test_fewer_bits_in_a_png_of_16_give_the_same_picture(bits: int, colour: int, grey: Levels, rgb: Levels) -> None:
    levels = rgb if colour & 2 else grey
    samples = to_bits(levels, bits)
    if colour & 4:
        samples = np.dstack([samples, np.full(grey.shape, 2**bits - 1, np.uint16)])
    assert distance(png_file(samples, colour, 16), levels) < 1.5


def test_a_dark_picture_of_8_bits_stays_dark_in_16(grey: Levels) -> None:
    dark = grey // 8
    assert distance(tiff_file(dark.astype(np.uint16) * 257), dark) < 0.6
    assert distance(png_file(dark.astype(np.uint16) * 257, 0, 16), dark) < 0.6


@pytest.mark.parametrize("bits", [2, 4, 6, 10, 12, 14])
@pytest.mark.parametrize("inverted", [False, True])
def test_samples_packed_across_bytes_are_unpacked(bits: int, inverted: bool, grey: Levels) -> None:
    samples = to_bits(grey, bits)
    stored = 2**bits - 1 - samples if inverted else samples
    packed = np.packbits(((stored[:, :, None] >> np.arange(bits)[::-1]) & 1).astype(np.uint8).reshape(64, -1), axis=1)
    data = raw_tiff(
        packed.tobytes(), (256, 96), (257, 64), (258, bits), (259, 1), (262, int(not inverted)), (277, 1), (278, 64)
    )
    assert distance(data, np.round(samples / (2**bits - 1) * 255)) < 0.6


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda levels: (levels.astype(np.int32) * 257 - 32768).astype(np.int16), id="int16, all of it"),
        pytest.param(lambda levels: levels.astype(np.int16), id="int16 of 8 bits"),
        pytest.param(lambda levels: to_bits(levels, 12).astype(np.int16), id="int16 of 12 bits"),
        pytest.param(lambda levels: to_bits(levels, 15).astype(np.int16), id="int16 of 15 bits"),
        pytest.param(lambda levels: (levels / 255 * 3000 - 1000).astype(np.int16), id="int16, Hounsfield units"),
        pytest.param(lambda levels: (levels.astype(np.int16) - 128).astype(np.int8), id="int8"),
        pytest.param(lambda levels: levels.astype(np.uint32) * 16843009, id="uint32, all of it"),
        pytest.param(lambda levels: levels.astype(np.uint32), id="uint32 of 8 bits"),
        pytest.param(lambda levels: levels.astype(np.uint32) * 257, id="uint32 of 16 bits"),
        pytest.param(lambda levels: levels.astype(np.uint32) * 4000, id="uint32, counts"),
        pytest.param(lambda levels: levels.astype(np.int32), id="int32 of 8 bits"),
        pytest.param(lambda levels: (levels / 255).astype(np.float16), id="float16, 0 to 1"),
        pytest.param(lambda levels: (levels / 255).astype(np.float32), id="float32, 0 to 1"),
        pytest.param(lambda levels: levels / 255, id="float64, 0 to 1"),
        pytest.param(lambda levels: (levels / 127.5 - 1).astype(np.float32), id="float32, -1 to 1"),
        pytest.param(lambda levels: (levels + 0.25).astype(np.float32), id="float32, 0 to 255"),
        pytest.param(lambda levels: (levels * 257.0).astype(np.float32), id="float32, 0 to 65535"),
        pytest.param(lambda levels: to_bits(levels, 12).astype(np.float32), id="float32, 12 bits"),
        pytest.param(lambda levels: (levels / 255 * 40 + 270).astype(np.float32), id="float32, kelvins"),
        pytest.param(lambda levels: levels / 255 * 1e12, id="float64, 0 to 1e12"),
        pytest.param(lambda levels: (levels / 255 * 1e-4).astype(np.float32), id="float32, 0 to 1e-4"),
    ],
)
def test_a_picture_is_the_same_in_every_type_of_number(change: Any, order: str, grey: Levels) -> None:
    assert distance(tiff_file(change(grey), byteorder=order), grey) < 4


@given(st.sampled_from(["uint8", "uint16", "int16", "int32", "float32"]), st.binary(min_size=16, max_size=64))
def test_whatever_the_samples_white_is_above_black(kind: str, data: bytes) -> None:
    samples = np.nan_to_num(np.frombuffer(data[: len(data) // 4 * 4], kind).astype(kind)).clip(-1e9, 1e9).astype(kind)
    black, white = choose_range(samples, samples.dtype.itemsize * 8)
    assert black < white or samples.min() == samples.max()


# --- layouts ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("options", [{}, {"tile": (32, 48)}, {"rowsperstrip": 13}, {"bigtiff": True}])
@pytest.mark.parametrize("planes", ["contig", "separate"])
@pytest.mark.parametrize("kind", [np.uint8, np.uint16, np.float32])
def test_the_layout_of_a_tiff_makes_no_difference(
    kind: Any, planes: str, options: dict[str, Any], order: str, rgb: Levels
) -> None:
    scale = {np.uint8: 1, np.uint16: 257, np.float32: 1 / 255}[kind]
    samples = (rgb * np.float64(scale)).astype(kind)
    assert distance(tiff_file(samples, "rgb", planarconfig=planes, byteorder=order, **options), rgb) < 0.6


@pytest.mark.parametrize("compression", ["tiff_lzw", "tiff_adobe_deflate", "packbits", "zstd", "lzma"])
@pytest.mark.parametrize("bits", [12, 16])
def test_a_compressed_deep_tiff_is_read(compression: str, bits: int, grey: Levels) -> None:
    assert distance(pillow_tiff(to_bits(grey, bits), compression), grey) < 1.5


@pytest.mark.parametrize("kind", ["<u2", ">u2", "<u4", "<f4", ">f4", "<f8"])
def test_differences_between_samples_are_added_up(kind: str, grey: Levels) -> None:
    samples = (grey * np.float64(1 / 255 if "f" in kind else 257 if "2" in kind else 16843009)).astype(kind)
    order, width = kind[0], int(kind[2])
    whole = samples.view(f"{order}u{width}")
    differences = np.diff(whole, axis=1, prepend=np.zeros((64, 1), whole.dtype)).astype(f"{order}u{width}")
    data = zlib.compress(differences.tobytes())
    tags = [(256, 96), (257, 64), (258, 8 * width), (259, 8), (262, 1), (277, 1), (278, 64), (317, 2)]
    file = raw_tiff(data, *tags, (339, 3 if "f" in kind else 1))
    if order == ">":
        file = swapped(file)
    assert distance(file, grey) < 0.6


@pytest.mark.parametrize("kind", ["f2", "f4", "f8"])
def test_differences_between_the_bytes_of_floats_are_added_up(kind: str, grey: Levels) -> None:
    width = int(kind[1])
    planes = (grey / 255).astype(f">{kind}").view(np.uint8).reshape(64, 96, width).transpose(0, 2, 1).reshape(64, -1)
    differences = np.diff(planes, axis=1, prepend=np.zeros((64, 1), np.uint8))
    tags = [(256, 96), (257, 64), (258, 8 * width), (259, 8), (262, 1), (277, 1), (278, 64), (317, 3), (339, 3)]
    assert distance(raw_tiff(zlib.compress(differences.tobytes()), *tags), grey) < 0.6


def swapped(file: bytes) -> bytes:
    """The same TIFF with its structure in the other byte order; its samples are left as they are."""
    count = struct.unpack_from("<H", file, 8)[0]
    entries = (struct.unpack_from("<HHII", file, 10 + 12 * place) for place in range(count))
    head = b"MM\0*" + struct.pack(">IH", 8, count) + b"".join(struct.pack(">HHII", *entry) for entry in entries)
    return head + file[len(head) :]


@pytest.mark.parametrize("bits", [8, 16])
def test_the_inks_of_a_cmyk_tiff_become_the_colours_they_print(bits: int, rgb: Levels) -> None:
    inks = Image.fromarray(rgb).convert("CMYK")
    stored = np.asarray(inks).astype(np.uint16) * 257 if bits == 16 else np.asarray(inks)
    assert distance(tiff_file(stored, "separated"), np.asarray(inks.convert("RGB"))) < 0.6


@pytest.mark.parametrize("scale", [1, 257])
def test_a_palette_gives_its_colours_also_where_a_writer_stored_bytes(scale: int, rgb: Levels) -> None:
    reduced = Image.fromarray(rgb).quantize(64)
    colours = np.zeros((3, 256), np.uint16)
    colours[:, :64] = np.array(reduced.getpalette()[:192]).reshape(-1, 3).T * scale  # type: ignore[index]
    data = tiff_file(np.asarray(reduced), "palette", colormap=colours)
    assert distance(data, np.asarray(reduced.convert("RGB"))) < 0.6


@pytest.mark.parametrize("kind", [np.uint8, np.uint16, np.float32])
def test_channels_of_no_stated_meaning_are_left_out(kind: Any, grey: Levels, rgb: Levels) -> None:
    scale = {np.uint8: 1, np.uint16: 257, np.float32: 1 / 255}[kind]
    more = (np.dstack([rgb, grey * 0, grey * 0]) * np.float64(scale)).astype(kind)
    assert distance(tiff_file(more, "rgb", extrasamples=["unspecified"] * 2), rgb) < 0.6
    more = (np.dstack([grey, grey * 0, grey * 0, grey]) * np.float64(scale)).astype(kind)
    assert distance(tiff_file(more, extrasamples=["unspecified"] * 3), grey) < 0.6


@pytest.mark.parametrize("tags", [[(258, 24)], [(258, 32), (259, 34887)], [(258, 16), (262, 8)], [(258, 64), (339, 6)]])
def test_a_deep_tiff_that_cannot_be_read_rightly_is_refused(tags: list[tuple[int, int]]) -> None:
    every = {256: 96, 257: 64, 259: 1, 262: 1, 277: 1, 278: 64, **dict(tags)}
    with pytest.raises(ImageError, match="TIFF") as refused:
        open_image(raw_tiff(bytes(96 * 64 * 8), *every.items()))
    assert refused.value.kind == "unsupported"


@pytest.mark.parametrize("white", [100, 1023, 4095, 65535])
def test_the_white_that_a_netpbm_file_declares_is_white(white: int, grey: Levels, rgb: Levels) -> None:
    for number, levels in ((5, grey), (6, rgb)):
        samples = np.round(levels / 255 * white).astype(">u2" if white > 255 else np.uint8)
        header = b"P%d # by hand\n96 64\n%d\n" % (number, white)
        assert distance(header + samples.tobytes(), levels) < 1.5


# --- missing samples ----------------------------------------------------------------------------------------

MISSING = [np.nan, np.inf, -np.inf, -9999.0, -32768.0, -3.4028234663852886e38, 3.4e38, 1e35]


@pytest.mark.parametrize("share", [0.0005, 0.05, 0.3])
@pytest.mark.parametrize("value", MISSING)
def test_samples_that_are_missing_do_not_change_the_others(value: float, share: float, grey: Levels) -> None:
    missing = np.random.default_rng(0).random(grey.shape) < share
    samples = np.where(missing, value, grey / 255).astype(np.float32)
    shown = np.asarray(open_image(tiff_file(samples)), float)[:, :, 0]
    assert np.abs(shown - grey)[~missing].max() <= 1
    assert len(np.unique(shown[missing])) == 1  # one tone, neither the darkest nor the lightest
    assert grey.min() < shown[missing].max() < grey.max()


@pytest.mark.parametrize("kind", [np.int16, np.uint16, np.int32, np.float32, np.float64])
def test_a_declared_number_means_no_data(kind: Any, grey: Levels) -> None:
    missing = np.random.default_rng(0).random(grey.shape) < 0.1
    number = 60_000 if kind is np.uint16 else -5
    samples = np.where(missing, float(number), to_bits(grey, 12)).astype(kind)
    shown = np.asarray(open_image(tiff_file(samples, nodata=str(number))), float)[:, :, 0]
    assert np.abs(shown - grey)[~missing].mean() < 4


@pytest.mark.parametrize(("count", "value"), [(1, 1.02), (10, 3.0), (20, 1e6)])
def test_a_few_samples_out_of_range_do_not_change_the_others(count: int, value: float, grey: Levels) -> None:
    samples = (grey / 255).astype(np.float32)
    samples.ravel()[np.random.default_rng(0).choice(samples.size, count, replace=False)] = value
    assert distance(tiff_file(samples), grey) < 1


def test_hot_pixels_do_not_darken_the_rest(grey: Levels) -> None:
    samples = to_bits(grey, 12)
    samples.ravel()[:20] = 65535
    assert distance(tiff_file(samples), grey) < 1.5


def test_a_mask_of_two_values_keeps_both() -> None:
    for kind, values in ((np.uint16, (0, 65535)), (np.int16, (-32768, 32767)), (np.float32, (0, 1))):
        mask = np.array(values, kind)[np.random.default_rng(0).integers(0, 2, (32, 32))]
        assert set(np.unique(np.asarray(open_image(tiff_file(mask))))) == {0, 255}


# --- transparency -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("planes", ["contig", "separate"])
@pytest.mark.parametrize("kind", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("premultiplied", [False, True])
def test_opacity_mixes_with_white_at_every_depth(
    premultiplied: bool, kind: Any, planes: str, grey: Levels, rgb: Levels
) -> None:
    opacity = np.full(grey.shape, 255, np.uint8)
    opacity[:10], opacity[10:20] = 0, 128
    scale = {np.uint8: 1, np.uint16: 257, np.float32: 1 / 255}[kind]
    for levels, photometric in ((rgb, "rgb"), (grey, "minisblack")):
        cover = (opacity / 255.0) if levels.ndim == 2 else (opacity / 255.0)[:, :, None]
        stored = np.dstack([levels * cover if premultiplied else levels, opacity]) * np.float64(scale)
        name = "assocalpha" if premultiplied else "unassalpha"
        data = tiff_file(stored.astype(kind), photometric, extrasamples=[name], planarconfig=planes)
        assert distance(data, on_white(levels, opacity)) < 1


def key_picture(levels: Levels, bits: int, key: tuple[int, ...]) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """Samples of some bits, the key in the middle and nowhere else."""
    samples = to_bits(levels, bits).astype(np.int64).reshape(64, 96, -1)
    same = (samples == key).all(axis=2)
    samples[same] = np.array(key) + (1 if bits > 1 else 0)
    hidden = np.zeros((64, 96), np.bool_)
    hidden[10:40, 20:70] = True
    samples[hidden] = key
    return samples, hidden | (same if bits == 1 else False)


@pytest.mark.parametrize("bits", [1, 2, 4, 8, 16])
@pytest.mark.parametrize("high_bits", [0, 0xFF00])
def test_a_grey_key_is_transparent_at_every_depth(bits: int, high_bits: int, grey: Levels) -> None:
    samples, hidden = key_picture(grey, bits, (1,))
    stored = 1 | (high_bits if bits <= 8 else 0)  # bits that a sample does not have count for nothing
    data = png_file(samples, 0, bits, transparency=struct.pack(">H", stored))
    wanted = np.where(hidden, 255, np.round(samples[:, :, 0] / (2**bits - 1) * 255))
    assert distance(data, wanted) < 1


@pytest.mark.parametrize("bits", [8, 16])
def test_a_colour_key_is_transparent_at_every_depth(bits: int, rgb: Levels) -> None:
    samples, hidden = key_picture(rgb, bits, (1, 2, 3))
    data = png_file(samples, 2, bits, transparency=struct.pack(">3H", 1, 2, 3))
    assert distance(data, np.where(hidden[:, :, None], 255, np.round(samples / (2**bits - 1) * 255))) < 1


def test_of_a_key_of_16_bits_all_bits_count() -> None:
    samples = np.full((4, 4, 3), 0x0102)
    samples[:, :2] = 0x0103  # the same upper byte
    samples[0, 0] = 0xFFFF
    shown = np.asarray(open_image(png_file(samples, 2, 16, transparency=struct.pack(">3H", *(0x0102,) * 3))))
    assert shown[2, 3].tolist() == [255, 255, 255]
    assert shown[2, 0].tolist() != [255, 255, 255]


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_the_opacity_of_palette_entries_counts(bits: int) -> None:
    index = np.arange(64).reshape(8, 8) % 2
    data = png_file(index, 3, bits, palette=bytes([255, 0, 0, 0, 0, 255]), transparency=b"\0")
    assert {tuple(colour) for colour in np.asarray(open_image(data)).reshape(-1, 3)} == {(255, 255, 255), (0, 0, 255)}


@pytest.mark.parametrize("mode", ["I;16", "I", "F"])
def test_deep_pictures_of_pillow_are_scaled_too(mode: str, grey: Levels) -> None:
    kinds: dict[str, Any] = {
        "I;16": to_bits(grey, 12),
        "I": grey.astype(np.int32),
        "F": (grey / 255).astype(np.float32),
    }
    shown = np.asarray(to_rgb(Image.fromarray(kinds[mode])), np.float64)
    assert np.abs(shown[:, :, 0] - grey).mean() < 1
