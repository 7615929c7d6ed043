"""Opening images: every mode, orientation and name there is, and files that are no images."""

from __future__ import annotations

import os
import struct
import warnings
import zlib
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import ExifTags, Image

from clipcli.errors import ImageError
from clipcli.images.files import looks_like_image, open_image
from clipcli.images.limits import MAX_PIXELS

RED, WHITE = (255, 0, 0), (255, 255, 255)
ORIENTATION = ExifTags.Base.Orientation
UNDO = {
    1: None, 2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180, 4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE, 6: Image.Transpose.ROTATE_90, 7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}  # fmt: skip
"""How a camera held each way stores an upright scene: the inverse of the turn the orientation asks for."""


def encoded(image: Image.Image, form: str, **options: Any) -> bytes:
    file = BytesIO()
    image.save(file, form, **options)
    return file.getvalue()


def scene() -> Image.Image:
    """A small picture in which no two corners are alike, so that every turn shows."""
    across, down = np.meshgrid(np.linspace(0, 255, 96), np.linspace(0, 255, 64))
    return Image.fromarray(np.stack([across, down, np.full_like(across, 60)], axis=-1).astype(np.uint8))


def exif_of(orientation: int) -> bytes:
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    return exif.tobytes()


def raw_exif(*entries: tuple[int, int, int, bytes]) -> bytes:
    """An EXIF block with the given entries, right or wrong: (tag, type, count, 4 bytes of value)."""
    packed = b"".join(struct.pack("<HHI", tag, kind, count) + value for tag, kind, count, value in entries)
    return b"Exif\0\0II*\0" + struct.pack("<IH", 8, len(entries)) + packed + b"\0\0\0\0"


def png(width: int, height: int, *, bits: int = 8, colour: int = 2, rows: bytes = b"") -> bytes:
    """A PNG file put together by hand, with whatever its header promises."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows, 9)) + chunk(b"IEND", b"")


def colour_of(image: Image.Image) -> tuple[int, ...]:
    """The average colour."""
    return tuple(np.asarray(image).reshape(-1, 3).mean(axis=0).round().astype(int).tolist())


def distance(one: Image.Image, other: Image.Image) -> float:
    """The average difference of two images of the same size, in levels of 255."""
    assert one.size == other.size
    return float(np.abs(np.asarray(one, dtype=float) - np.asarray(other, dtype=float)).mean())


def refusal(source: Path | bytes) -> ImageError:
    with pytest.raises(ImageError) as caught:
        open_image(source)
    assert "\n" not in str(caught.value)
    return caught.value


def as_file(folder: Path, name: str | bytes, content: bytes) -> Path:
    path = folder / os.fsdecode(name)
    path.write_bytes(content)
    return path


# --- modes --------------------------------------------------------------------------------------------


def test_a_grey_image_becomes_rgb() -> None:
    assert colour_of(open_image(encoded(Image.new("L", (4, 4), 90), "PNG"))) == (90, 90, 90)


def test_a_black_and_white_image_becomes_rgb() -> None:
    assert colour_of(open_image(encoded(Image.new("1", (4, 4), 1), "PNG"))) == WHITE


@pytest.mark.parametrize(
    ("mode", "clear", "solid"),
    [("RGBA", (9, 9, 9, 0), (255, 0, 0, 255)), ("LA", (9, 0), (76, 255))],
)
def test_transparency_shows_white(mode: str, clear: tuple[int, ...], solid: tuple[int, ...]) -> None:
    image = Image.new(mode, (4, 2), clear)
    image.paste(solid, (2, 0, 4, 2))
    opened = open_image(encoded(image, "PNG"))
    assert opened.getpixel((0, 0)) == WHITE
    assert opened.getpixel((3, 0)) == (RED if mode == "RGBA" else (76, 76, 76))


def test_half_transparency_mixes_with_white() -> None:
    assert colour_of(open_image(encoded(Image.new("RGBA", (4, 4), (255, 0, 0, 128)), "PNG"))) == (255, 127, 127)


def palette_image() -> Image.Image:
    image = Image.new("P", (4, 2), 0)
    image.putpalette([*RED, 0, 0, 255])
    image.paste(1, (2, 0, 4, 2))
    return image


def test_a_palette_gives_its_colours() -> None:
    assert open_image(encoded(palette_image(), "PNG")).getpixel((0, 0)) == RED


@pytest.mark.parametrize("form", ["PNG", "GIF"])
def test_a_transparent_palette_entry_shows_white(form: str) -> None:
    opened = open_image(encoded(palette_image(), form, transparency=0))
    assert (opened.getpixel((0, 0)), opened.getpixel((3, 0))) == (WHITE, (0, 0, 255))


@pytest.mark.parametrize(("mode", "value"), [("L", 7), ("RGB", (7, 8, 9))])
def test_a_colour_declared_transparent_shows_white(mode: str, value: Any) -> None:
    assert colour_of(open_image(encoded(Image.new(mode, (4, 4), value), "PNG", transparency=value))) == WHITE


def test_cmyk_becomes_the_colour_it_prints() -> None:
    assert colour_of(open_image(encoded(Image.new("CMYK", (16, 16), (0, 255, 255, 0)), "TIFF"))) == RED


def test_cmyk_that_adobe_inverted_becomes_the_colour_it_prints() -> None:
    data = encoded(Image.new("CMYK", (16, 16), (0, 255, 255, 0)), "JPEG")
    assert b"Adobe" in data
    assert colour_of(open_image(data)) == RED


@pytest.mark.parametrize("form", ["PNG", "TIFF"])
def test_16_bit_grey_is_scaled_and_does_not_come_out_white(form: str) -> None:
    ramp = np.linspace(0, 65535, 64 * 48).reshape(48, 64).round().astype(np.uint16)
    opened = np.asarray(open_image(encoded(Image.fromarray(ramp), form)), dtype=float)
    np.testing.assert_allclose(opened[:, :, 0], ramp / 257.0, atol=0.5001)


def test_16_bit_grey_stays_dark_where_it_is_dark() -> None:
    assert colour_of(open_image(encoded(Image.fromarray(np.full((4, 4), 514, np.uint16)), "PNG"))) == (2, 2, 2)


def test_16_bit_colour_is_scaled() -> None:
    row = b"\0" + struct.pack(">HHH", 65535, 32896, 0) * 3
    assert colour_of(open_image(png(3, 2, bits=16, rows=row * 2))) == (255, 128, 0)


def test_32_bit_integers_are_scaled() -> None:
    ramp = np.linspace(0, 65535, 64).reshape(8, 8).astype(np.int32)
    assert colour_of(open_image(encoded(Image.fromarray(ramp), "TIFF"))) == (128, 128, 128)


@pytest.mark.parametrize(("low", "high"), [(0.0, 1.0), (0.0, 255.0), (-20.0, 4000.0)])
def test_floats_are_scaled_from_the_range_they_use(low: float, high: float) -> None:
    ramp = np.linspace(low, high, 64 * 48, dtype=np.float32).reshape(48, 64)
    opened = np.asarray(open_image(encoded(Image.fromarray(ramp), "TIFF")))
    assert (opened.min(), opened.max()) == (0, 255)
    assert colour_of(Image.fromarray(opened)) == pytest.approx((128, 128, 128), abs=1)


def test_a_picture_without_a_single_number_is_refused() -> None:
    error = refusal(encoded(Image.fromarray(np.full((4, 4), np.nan, np.float32)), "TIFF"))
    assert (error.kind, "no valid samples" in str(error)) == ("unreadable", True)


# --- orientation ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_photo_comes_out_upright_however_the_camera_was_held(orientation: int) -> None:
    undo = UNDO[orientation]
    stored = scene() if undo is None else scene().transpose(undo)
    opened = open_image(encoded(stored, "JPEG", quality=95, exif=exif_of(orientation)))
    assert distance(opened, scene()) < 4


@pytest.mark.parametrize("form", ["PNG", "WEBP", "AVIF", "TIFF", "HEIF"])
def test_every_format_that_has_an_orientation_comes_out_upright(form: str) -> None:
    if form == "HEIF":
        pytest.importorskip("pillow_heif").register_heif_opener()
    stored = scene().transpose(Image.Transpose.ROTATE_90)
    assert distance(open_image(encoded(stored, form, exif=exif_of(6))), scene()) < 6


@pytest.mark.parametrize(
    "entry",
    [
        pytest.param((0x011A, 2, 4, b"abc\0"), id="text for a number"),
        pytest.param((0x011A, 11, 1, struct.pack("<f", float("nan"))), id="no number"),
        pytest.param((0x011A, 5, 1, struct.pack("<I", 99_999)), id="offset beyond the end"),
        pytest.param((0x8825, 9, 1, struct.pack("<i", -3)), id="negative offset"),
        pytest.param((0x011A, 77, 1, bytes(4)), id="unknown type"),
    ],
)
def test_a_broken_entry_beside_it_does_not_hide_the_orientation(entry: tuple[int, int, int, bytes]) -> None:
    exif = raw_exif((0x0112, 3, 1, struct.pack("<HH", 6, 0)), entry)
    assert open_image(encoded(Image.new("RGB", (20, 10)), "JPEG", exif=exif)).size == (10, 20)


@pytest.mark.parametrize(
    "exif",
    [
        pytest.param(b"Exif\0\0" + b"garbage" * 9, id="garbage"),
        pytest.param(raw_exif((0x0112, 3, 1, struct.pack("<HH", 9, 0))), id="orientation nine"),
        pytest.param(raw_exif((0x0112, 2, 2, b"6\0\0\0")), id="orientation in words"),
        pytest.param(raw_exif((0x0112, 3, 1, struct.pack("<HH", 6, 0)))[:20], id="cut off"),
    ],
)
def test_broken_exif_turns_nothing_and_costs_nothing(exif: bytes) -> None:
    assert open_image(encoded(Image.new("RGB", (20, 10)), "JPEG", exif=exif)).size == (20, 10)


# --- formats and frames -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "form", ["JPEG", "PNG", "GIF", "WEBP", "AVIF", "BMP", "TIFF", "PPM", "JPEG2000", "QOI", "HEIF"]
)
def test_every_common_format_is_recognised_and_opened(form: str) -> None:
    if form == "HEIF":
        pytest.importorskip("pillow_heif").register_heif_opener()
    data = encoded(scene(), form)
    assert looks_like_image(data[:32])
    assert distance(open_image(data), scene()) < 25  # GIF has 256 colours


@pytest.mark.parametrize("form", ["GIF", "WEBP", "PNG", "TIFF"])
def test_the_first_frame_of_several_is_taken(form: str) -> None:
    frames = [Image.new("RGB", (8, 8), colour) for colour in (RED, (0, 255, 0), (0, 0, 255))]
    data = encoded(frames[0], form, save_all=True, append_images=frames[1:])
    assert colour_of(open_image(data)) == pytest.approx(RED, abs=3)


@pytest.mark.parametrize(("form", "suffix"), [("PNG", ".jpg"), ("JPEG", ".png"), ("WEBP", ""), ("GIF", ".txt")])
def test_content_counts_and_not_the_suffix(form: str, suffix: str, tmp_path: Path) -> None:
    path = as_file(tmp_path, f"picture{suffix}", encoded(scene(), form))
    assert open_image(path).size == scene().size


@pytest.mark.parametrize(
    "content",
    [b"just some words\n", b"<html></html>", b"<svg xmlns='http://www.w3.org/2000/svg'/>", b"%PDF-1.7\n", b"x", b"\0"],
)
def test_what_is_no_image_is_refused_as_such(content: bytes, tmp_path: Path) -> None:
    assert refusal(as_file(tmp_path, "letter.jpg", content)).kind == "not_an_image"


def test_an_open_file_is_read_like_a_path() -> None:
    assert open_image(BytesIO(encoded(scene(), "PNG"))).size == scene().size


# --- names ------------------------------------------------------------------------------------------------

AWKWARD_NAMES = [
    b"my holiday photo.png", b"it's \"quoted\".png", b"two\nlines.png", "猫のしゃしん.png".encode(),
    "Ёлка-🎄.png".encode(), b"latin-\xe9\xff.png", b"-l.png", b"[*?].png", b"~", b"%s{0}.png",
]  # fmt: skip


@pytest.mark.parametrize("name", AWKWARD_NAMES)
def test_a_file_of_any_name_is_opened(name: bytes, tmp_path: Path) -> None:
    try:
        path = as_file(tmp_path, name, encoded(scene(), "PNG"))
    except OSError:
        pytest.skip("the file system here does not allow this name")
    assert open_image(path).size == scene().size


# --- files that are none, or damaged ------------------------------------------------------------------------


@pytest.mark.parametrize("kept", [0.02, 0.3, 0.99])
def test_a_truncated_jpeg_is_refused_as_truncated(kept: float, photos: dict[str, Path]) -> None:
    data = photos["rocket"].read_bytes()
    assert refusal(data[: int(len(data) * kept)]).kind == "truncated"


@pytest.mark.parametrize("form", ["PNG", "GIF", "WEBP", "AVIF", "TIFF", "JPEG2000", "BMP"])
def test_half_a_file_is_refused(form: str) -> None:
    data = encoded(Image.effect_noise((64, 64), 80).convert("RGB"), form)
    assert refusal(data[: len(data) // 2]).kind in ("truncated", "unreadable")


def test_a_file_without_bytes_is_refused_as_empty(tmp_path: Path) -> None:
    assert refusal(as_file(tmp_path, "empty.jpg", b"")).kind == "empty"


def test_no_bytes_are_refused_as_empty() -> None:
    assert refusal(b"").kind == "empty"


def test_a_folder_named_like_an_image_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.jpg").mkdir()
    assert refusal(tmp_path / "x.jpg").kind == "not_a_file"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes with names here")
def test_a_pipe_is_refused_without_waiting_for_it(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.jpg")
    assert refusal(tmp_path / "pipe.jpg").kind == "not_a_file"


def test_a_missing_file_is_refused_as_not_found(tmp_path: Path) -> None:
    assert refusal(tmp_path / "nowhere.jpg").kind == "not_found"


def test_a_dangling_link_is_named_as_one(tmp_path: Path) -> None:
    (tmp_path / "link.jpg").symlink_to(tmp_path / "nowhere.jpg")
    error = refusal(tmp_path / "link.jpg")
    assert (error.kind, str(error)) == ("not_found", "dangling link")


def test_a_link_to_itself_is_refused(tmp_path: Path) -> None:
    (tmp_path / "loop.jpg").symlink_to(tmp_path / "loop.jpg")
    assert refusal(tmp_path / "loop.jpg").kind == "unreadable"


def test_a_name_that_is_too_long_is_refused(tmp_path: Path) -> None:
    assert refusal(tmp_path / ("x" * 5000)).kind == "unreadable"


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read everything")
def test_a_file_one_may_not_read_is_refused(tmp_path: Path) -> None:
    path = as_file(tmp_path, "secret.png", encoded(scene(), "PNG"))
    path.chmod(0)
    assert refusal(path).kind == "unreadable"


# --- sizes ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [(1, 1), (1, 20_000), (20_000, 1)])
def test_images_of_extreme_shape_are_opened(size: tuple[int, int]) -> None:
    assert open_image(encoded(Image.new("RGB", size, RED), "PNG")).size == size


def test_a_huge_image_is_refused_with_its_size_before_anything_is_decoded() -> None:
    error = refusal(png(30_000, 30_000))  # no pixels are in it: decoding would fail as truncated
    assert error.kind == "too_large"
    assert "900,000,000 pixels" in str(error)
    assert f"{MAX_PIXELS / 1e6:.0f} megapixels" in str(error)


def test_a_bomb_of_tiny_data_is_refused() -> None:
    rows = bytes(1 + 20_000 * 3) * 200
    assert refusal(png(20_000, 20_000, rows=rows)).kind == "too_large"


def test_an_image_at_the_limit_is_not_refused_for_its_size() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert refusal(png(MAX_PIXELS // 10, 10)).kind == "truncated"


# --- anything at all ----------------------------------------------------------------------------------------

SIGNATURES = [
    b"\xff\xd8\xff\xe0\0\x10JFIF\0", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", b"GIF89a", b"RIFF\xff\0\0\0WEBPVP8 ", b"BM",
    b"II*\0\x08\0\0\0", b"MM\0*", b"P6 3 3 255\n", b"\0\0\0\x0cjP  \r\n\x87\n", b"\0\0\1\0", b"icns", b"DDS ", b"qoif",
    b"8BPS\0\1", b"\x01\xda\x01", b"\0\0\0\x18ftypavif", b"\0\0\0\x18ftypheic", b"\0\0\0\x18ftypmif1", b"\x28\0\0\0",
]  # fmt: skip


@given(st.builds(bytes.__add__, st.sampled_from([b"", *SIGNATURES]), st.binary(max_size=200)))
def test_no_bytes_whatever_raise_anything_but_an_image_error(data: bytes) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            assert open_image(data).mode == "RGB"
        except ImageError as error:
            assert error.kind
            assert str(error).isprintable()


@given(position=st.integers(0, 4000), value=st.integers(0, 255), form=st.sampled_from(["PNG", "JPEG", "GIF", "TIFF"]))
def test_a_file_with_one_wrong_byte_opens_or_raises_an_image_error(position: int, value: int, form: str) -> None:
    data = bytearray(encoded(scene(), form))
    data[position % len(data)] = value
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            assert open_image(bytes(data)).mode == "RGB"
        except ImageError as error:
            assert error.kind


@given(st.binary(max_size=40))
def test_any_first_bytes_can_be_asked_about(signature: bytes) -> None:
    assert looks_like_image(signature) in (True, False)


# --- finding ------------------------------------------------------------------------------------------------


# --- large JPEGs are decoded at a part of their size -------------------------------------------------


def fits_224(width: int, height: int) -> tuple[int, int]:
    scale = 224 / min(width, height)
    return round(width * scale), round(height * scale)


def jpeg_of(size: tuple[int, int], form: str = "JPEG", **options: Any) -> bytes:
    file = BytesIO()
    pattern = Image.frombytes("RGB", (16, 16), np.random.default_rng(1).bytes(768))
    pattern.resize(size, Image.Resampling.BICUBIC).save(file, form, **options)
    return file.getvalue()


@pytest.mark.parametrize(
    ("size", "decoded"),
    [((4000, 3000), (1000, 750)), ((8000, 6000), (1000, 750)), ((1000, 900), (500, 450)), ((895, 895), (895, 895)),
     ((300, 200), (300, 200)), ((3000, 500), (3000, 500)), ((6001, 1793), (1501, 449))],
)  # fmt: skip
def test_a_large_jpeg_is_decoded_smaller_but_at_twice_what_is_needed_at_least(
    size: tuple[int, int], decoded: tuple[int, int]
) -> None:
    assert open_image(jpeg_of(size), fits_224).size == decoded
    assert min(decoded) >= min(448, *size)


def test_without_a_wish_a_jpeg_is_decoded_whole() -> None:
    assert open_image(jpeg_of((2000, 1000))).size == (2000, 1000)


def test_other_formats_are_decoded_whole() -> None:
    assert open_image(jpeg_of((2000, 1000), "PNG"), fits_224).size == (2000, 1000)


def test_a_jpeg_of_several_pictures_is_decoded_smaller_too() -> None:
    second = Image.new("RGB", (2000, 1000))
    data = jpeg_of((2000, 1000), "MPO", save_all=True, append_images=[second])
    assert open_image(data, fits_224).size == (1000, 500)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_of_a_turned_jpeg_the_upright_size_counts(orientation: int) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    asked: list[tuple[int, int]] = []

    def squashed(width: int, height: int) -> tuple[int, int]:
        asked.append((width, height))
        return (400, 100)

    opened = open_image(jpeg_of((3200, 1600), exif=exif.tobytes()), squashed)
    on_its_side = orientation >= 5
    assert asked == [(1600, 3200) if on_its_side else (3200, 1600)]
    # Lying, 3200 wide for 400; on its side, 1600 wide for 400: at least twice that must be left.
    assert opened.size == ((800, 1600) if on_its_side else (800, 400))


@pytest.mark.parametrize("mode", ["L", "CMYK"])
def test_grey_and_cmyk_jpegs_keep_their_colours_when_decoded_smaller(mode: str) -> None:
    file = BytesIO()
    Image.new("RGB", (2000, 1500), (200, 60, 60)).convert(mode).save(file, "JPEG", quality=95)
    smaller, whole = open_image(file.getvalue(), fits_224), open_image(file.getvalue())
    assert smaller.size == (1000, 750)
    assert np.abs(np.asarray(smaller)[5, 5].astype(int) - np.asarray(whole)[5, 5]).max() <= 2


def test_a_large_jpeg_that_is_cut_off_is_refused_as_truncated() -> None:
    data = jpeg_of((4000, 3000))
    with pytest.raises(ImageError, match="damaged") as refused:
        open_image(data[: len(data) // 2], fits_224)
    assert refused.value.kind == "truncated"


def test_decoding_smaller_hardly_moves_an_embedding(photos: dict[str, Path]) -> None:
    from clipcli.models.model import open_model
    from clipcli.models.resolve import resolve_model

    encoder = open_model(resolve_model("pocket"), "cpu", "fp32").image_encoder
    preprocessing = encoder.preprocessing
    for path in photos.values():
        file = BytesIO()
        picture = Image.open(path).convert("RGB")
        scale = 2400 / max(picture.size)
        picture.resize((round(picture.width * scale), round(picture.height * scale)), Image.Resampling.LANCZOS).save(
            file, "JPEG", quality=92
        )
        pixels = [preprocessing.pixels(open_image(file.getvalue(), wish)) for wish in (None, preprocessing.resized)]
        whole, smaller = encoder.encode(pixels)
        assert whole @ smaller > 0.995
