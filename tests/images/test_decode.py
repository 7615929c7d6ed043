"""Files that hold more than a picture, less than one, or far too much: only pixels count, in bounds."""

from __future__ import annotations

import io
import struct
import subprocess
import sys
import threading
import time
import zlib
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image

from clipcli.errors import ImageError
from clipcli.images.embedded import MOST_SCANS
from clipcli.images.files import looks_like_image, open_image
from clipcli.images.formats import SIGNATURE_BYTES
from clipcli.images.limits import DECODING_BYTES
from clipcli.images.memory_budget import MemoryBudget
from clipcli.inputs.discover import Source, discover
from tests.deep_files import png_chunk, png_file, tiff_file

SIDE = 96


@pytest.fixture(scope="module")
def picture(photos: dict[str, Path]) -> Image.Image:
    return Image.open(photos["astronaut"]).convert("RGB").resize((SIDE, 64))


@pytest.fixture(scope="module")
def levels(picture: Image.Image) -> np.ndarray:
    return np.asarray(picture)


def encoded(image: Image.Image, form: str, **options: Any) -> bytes:
    file = BytesIO()
    image.save(file, form, **options)
    return file.getvalue()


def distance(data: bytes, image: Image.Image) -> float:
    opened = open_image(data)
    assert opened.size == image.size
    return float(np.abs(np.asarray(opened, float) - np.asarray(image, float)).mean())


def refusal(data: bytes) -> ImageError:
    with pytest.raises(ImageError) as caught:
        open_image(data)
    return caught.value


# --- an alpha channel that hides everything ---------------------------------------------------------------


def bitmap(image: Image.Image, header: int) -> bytes:
    """A BMP of 32 bits with a mask for opacity, and no opacity."""
    pixels = np.dstack([np.asarray(image)[::-1, :, ::-1], np.zeros(image.size[::-1], np.uint8)]).tobytes()
    masks = struct.pack("<4I", 0xFF0000, 0xFF00, 0xFF, 0xFF000000)
    fields = struct.pack("<IiiHHIIiiII", header, *image.size, 1, 32, 3, len(pixels), 2835, 2835, 0, 0) + masks
    info = fields.ljust(header, b"\0")
    return b"BM" + struct.pack("<IHHI", 14 + header + len(pixels), 0, 0, 14 + header) + info + pixels


@pytest.mark.parametrize("header", [56, 108, 124])
def test_an_empty_opacity_mask_of_a_bitmap_hides_nothing(header: int, picture: Image.Image) -> None:
    assert distance(bitmap(picture, header), picture) < 1


@pytest.mark.parametrize("form", ["PNG", "TIFF", "WEBP", "DDS", "SGI", "QOI", "ICO", "JPEG2000"])
def test_an_alpha_channel_that_is_zero_everywhere_hides_nothing(form: str, picture: Image.Image) -> None:
    clear = picture.resize((64, 64)).convert("RGBA")
    clear.putalpha(0)
    options: dict[str, dict[str, Any]] = {"WEBP": {"lossless": True, "exact": True}, "ICO": {"sizes": [(64, 64)]}}
    assert distance(encoded(clear, form, **options.get(form, {})), clear.convert("RGB")) < 2


@pytest.mark.parametrize("kind", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("meaning", ["assocalpha", "unassalpha"])
def test_nor_does_one_of_a_deep_picture(kind: Any, meaning: str, picture: Image.Image, levels: np.ndarray) -> None:
    scale = {np.uint8: 1, np.uint16: 257, np.float32: 1 / 255}[kind]
    samples = (np.dstack([levels, levels[:, :, :1] * 0]) * np.float64(scale)).astype(kind)
    assert distance(tiff_file(samples, "rgb", extrasamples=[meaning]), picture) < 1
    if kind is np.uint16:
        assert distance(png_file(samples, 6, 16), picture) < 1


def photoshop(image: Image.Image, opacity: int, layers: int | None, resources: bytes = b"") -> bytes:
    """A PSD of four channels and some layers; a negative number says that the fourth channel is transparency."""
    channels = [*image.split(), Image.new("L", image.size, opacity)]
    head = b"8BPS\0\1" + bytes(6) + struct.pack(">HIIHH", 4, image.height, image.width, 8, 3)
    section = b"" if layers is None else struct.pack(">Ih", 4, layers) + bytes(2)
    lengths = bytes(4) + struct.pack(">I", len(resources)) + resources + struct.pack(">I", len(section)) + section
    return head + lengths + bytes(2) + b"".join(channel.tobytes() for channel in channels)


@pytest.mark.parametrize("layers", [None, 0, 1])
def test_a_saved_selection_of_photoshop_is_not_transparency(layers: int | None, picture: Image.Image) -> None:
    for opacity in (0, 40):
        assert distance(photoshop(picture, opacity, layers), picture) < 1


def test_real_transparency_of_photoshop_shows_white(picture: Image.Image) -> None:
    white = Image.new("RGB", picture.size, "white")
    assert distance(photoshop(picture, 51, -1), Image.blend(white, picture, 0.2)) < 2


# --- metadata ---------------------------------------------------------------------------------------------

MANY = zlib.compress(bytes(5 << 20))
CHUNKS = [
    (b"zTXt", b"k\0\0" + MANY), (b"iTXt", b"k\0\1\0\0\0" + MANY), (b"iCCP", b"k\0\0" + MANY),
    (b"zTXt", b"Raw profile type exif\0\0" + MANY), (b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0<x \xff"), (b"iTXt", b""),
    (b"iCCP", b"k\0\0rubbish"), (b"zTXt", b"k\0\0rubbish"),
    (b"eXIf", b"rubbish" * 9), (b"gAMA", b"\0"), (b"pHYs", b"\0"), (b"sRGB", b""),
    (b"cHRM", b"12"), (b"cICP", b"1"), (b"acTL", b""), (b"acTL", struct.pack(">II", 1 << 30, 0)), (b"tRNS", b"\0"),
    (b"tIME", b""), (b"prVt", b"anything"),
]  # fmt: skip


@pytest.mark.parametrize("place", ["before", "after"])
@pytest.mark.parametrize("chunk", CHUNKS, ids=lambda chunk: chunk[0].decode() + str(len(chunk[1])))
def test_no_other_chunk_of_a_png_fails_its_picture(
    chunk: tuple[bytes, bytes], place: str, picture: Image.Image, levels: np.ndarray
) -> None:
    other: dict[str, Any] = {place: png_chunk(*chunk)}
    assert distance(png_file(levels, 2, 8, **other), picture) == 0
    other = {place: png_chunk(*chunk, wrong_sum=True)}
    assert distance(png_file(levels, 2, 8, **other), picture) == 0


def test_a_png_without_its_end_is_whole_if_its_pixels_are(picture: Image.Image) -> None:
    assert distance(encoded(picture, "PNG")[:-12], picture) == 0


def test_an_icon_is_not_failed_by_the_metadata_of_the_png_in_it(levels: np.ndarray, picture: Image.Image) -> None:
    inner = png_file(levels, 2, 8, before=png_chunk(b"zTXt", b"k\0\0" + MANY))
    head = b"\0\0\1\0\1\0" + struct.pack("<4B2H2I", SIDE, 64, 0, 0, 1, 32, len(inner), 22)
    assert distance(head + inner, picture) == 0


RUBBISH = [
    b"Exif\0\0rubbish" * 3, b"http://ns.adobe.com/xap/1.0/\0<x \xff", b"ICC_PROFILE\0\x05\x02rubbish", b"ICC_PROFILE\0",
    b"Photoshop 3.0\0" + b"8BIM\x03\xed\xff\xff\xff\xff\xff\xff", b"MPF\0rubbish",
    b"MPF\0II*\0\x08\0\0\0\xff\xff" + bytes(9),
    b"MPF\0II*\0\x08\0\0\0\x01\0\x02\xb0\x07\0\x04\0\0\0\0\0\0\0", b"Adobe", b"JFIF",
]  # fmt: skip


@pytest.mark.parametrize("rubbish", RUBBISH, ids=range(len(RUBBISH)))
def test_broken_metadata_do_not_fail_a_jpeg(rubbish: bytes, picture: Image.Image) -> None:
    data = encoded(picture, "JPEG", quality=95)
    segments = [struct.pack(">BBH", 255, marker, len(rubbish) + 2) + rubbish for marker in (0xE1, 0xE2, 0xED, 0xFE)]
    assert distance(data[:2] + b"".join(segments) + data[2:], picture) < 4


@pytest.mark.parametrize("kind", ["exif", "icc_profile", "xmp"])
@pytest.mark.parametrize("form", ["WEBP", "TIFF"])
def test_broken_metadata_do_not_fail_other_formats(form: str, kind: str, picture: Image.Image) -> None:
    if form == "TIFF" and kind == "exif":
        options: dict[str, Any] = {"tiffinfo": {34665: 0xFFFFFFF0}}
    else:
        options = {kind: b"\xff\xfe rubbish" * 9}
    assert distance(encoded(picture, form, **options), picture) < 9


def test_broken_resources_do_not_fail_a_psd(picture: Image.Image) -> None:
    assert distance(photoshop(picture, 255, None, b"8BIM\x03\xed\xff\xff\xff\xff\xff\xff\xff"), picture) < 1


# --- raw files --------------------------------------------------------------------------------------------


def raw_file(preview: np.ndarray | None, side: int = 400, *, as_first: bool = True, jpeg: bool = False) -> bytes:
    """A DNG: sensor data, and a preview, as the first picture or below it."""
    sensor = (np.random.default_rng(0).random((side, side)) * 16383).astype(np.uint16)
    version = [(50706, 1, 4, b"\x01\x04\0\0", True)]
    cfa: dict[str, Any] = {"photometric": "cfa", "extratags": [(33421, 3, 2, (2, 2)), (33422, 1, 4, b"\0\1\1\2")]}
    small: dict[str, Any] = {"photometric": "rgb", "subfiletype": 1}
    file = BytesIO()
    with tifffile.TiffWriter(file) as writer:
        if preview is None:
            writer.write(sensor, **{**cfa, "extratags": cfa["extratags"] + version})
        elif as_first:
            writer.write(preview, subifds=1, extratags=version, **small)
            writer.write(sensor, **cfa)
        else:
            writer.write(sensor, subifds=2, **{**cfa, "extratags": cfa["extratags"] + version})
            writer.write(preview[::8, ::8], **small)
            writer.write(preview, **small)
    return file.getvalue()


@pytest.mark.parametrize("as_first", [True, False])
def test_of_a_raw_file_the_largest_preview_is_used(as_first: bool, photos: dict[str, Path]) -> None:
    preview = Image.open(photos["astronaut"]).convert("RGB").resize((240, 160))
    assert distance(raw_file(np.asarray(preview), as_first=as_first), preview) < 1


@pytest.mark.parametrize("as_first", [True, False])
def test_a_raw_file_with_a_tiny_preview_is_refused(as_first: bool, picture: Image.Image) -> None:
    error = refusal(raw_file(np.asarray(picture.resize((48, 48))), as_first=as_first))
    assert error.kind == "unsupported"
    assert "48 x 48 pixels" in str(error)


def test_a_raw_file_without_a_preview_is_refused() -> None:
    error = refusal(raw_file(None))
    assert (error.kind, "without a preview" in str(error)) == ("unsupported", True)


@pytest.mark.parametrize("orientation", [1, 6])
def test_the_jpeg_in_a_raw_file_is_used_and_turned(orientation: int, photos: dict[str, Path]) -> None:
    preview = Image.open(photos["astronaut"]).convert("RGB").resize((300, 200))
    jpeg = encoded(preview, "JPEG", quality=95)
    first = [(254, 1), (256, 32), (257, 32), (259, 6), (274, orientation), (330, 110), (513, 200), (514, len(jpeg))]
    second = [(254, 0), (256, 4000), (257, 3000), (258, 14), (259, 7), (262, 32803)]

    def directory(tags: list[tuple[int, int]]) -> bytes:
        return struct.pack("<H", len(tags)) + b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags)

    data = (b"II*\0\x08\0\0\0" + directory(first) + bytes(4)).ljust(110, b"\0") + directory(second) + bytes(4)
    shown = preview if orientation == 1 else preview.transpose(Image.Transpose.ROTATE_270)
    assert distance(data.ljust(200, b"\0") + jpeg, shown) < 4


# --- signatures -------------------------------------------------------------------------------------------

TEXTS = [
    b"BM is short for bitmap.\n", b"BMW,Audi,Opel\n1,2,3\n", b"P1 first point\n", b"P5: see below\n",
    b"P6\nsome words here\n",
    b"P2 12 apples and 3 pears\n", b"Python is a language\n", b"PyRGBA\nnot a picture\n", b"Pf. Dr. Miller\n", b"P3\n",
    b"Phone list\n", b"(\0\0\0 not a bitmap", b"\0\0\1\0", b"\0\0\1\0\xff\xff" + bytes(16),
    b"\x01\xda words", b"DDS words",
    b"qoif words and more words", b"8BPS words", b"P4 x\n", b"P1\n# Heading\n\nText with # signs.\n",
]  # fmt: skip


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("length", [0, 5000])
def test_a_text_that_begins_like_an_image_is_not_one(text: bytes, length: int, tmp_path: Path) -> None:
    content = text + b"And so on. " * (length // 11)
    assert not looks_like_image(content[:SIGNATURE_BYTES])
    (tmp_path / "notes.txt").write_bytes(content)
    (tmp_path / "photo").write_bytes(encoded(Image.new("RGB", (4, 4)), "BMP"))
    assert [item.name for item in discover(Source((str(tmp_path),)))] == [str(tmp_path / "photo")]


@pytest.mark.parametrize("form", ["BMP", "DIB", "PPM", "ICO", "SGI", "DDS", "QOI", "GIF", "ICNS"])
@pytest.mark.parametrize("mode", ["RGB", "L", "1"])
def test_real_headers_are_recognised(form: str, mode: str) -> None:
    try:
        data = encoded(Image.new("RGB", (32, 32), "red").convert(mode), form)
    except (OSError, ValueError):
        pytest.skip("not a mode of this format")
    assert looks_like_image(data[:SIGNATURE_BYTES])


@pytest.mark.parametrize(
    "header", [b"P5\n# one\n# two\n4 4\n255\n", b"P6 # " + b"long " * 99 + b"\n4 4 255\n", b"P4\n8 1\n"]
)
def test_a_header_with_comments_is_recognised(header: bytes) -> None:
    assert looks_like_image((header + bytes(48))[:SIGNATURE_BYTES])


# --- bounds -----------------------------------------------------------------------------------------------


def test_claims_are_granted_in_order_and_never_exceed_the_budget() -> None:
    budget = MemoryBudget(100)
    used: list[int] = []
    now, most = [0], [0]
    lock = threading.Lock()

    def take(size: int) -> None:
        with budget.claim(size):
            with lock:
                now[0] += min(size, 100)
                most[0] = max(most[0], now[0])
                used.append(size)
            time.sleep(0.001)
            with lock:
                now[0] -= min(size, 100)

    threads = [threading.Thread(target=take, args=(size,)) for size in [10, 60, 100, 250, 5, 5, 90, 30] * 10]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert len(used) == 80
    assert most[0] <= 100


DECODE = """
import sys, threading
from clipcli.errors import ImageError
from clipcli.images.files import decoded_image
from clipcli.images.preprocess import Preprocessing

model = Preprocessing(224, 224, (0.0,) * 3, (1.0,) * 3)

def decode(path):
    try:
        with open(path, "rb") as file, decoded_image(file, model.resized) as image:
            print(model.pixels(image).mean())
    except ImageError as error:
        print(error.kind)

threads = [threading.Thread(target=decode, args=(path,)) for path in sys.argv[1:]]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
with open("/proc/self/status") as status:
    print(next(line for line in status if line.startswith("VmHWM")).split()[1])
"""


def zeros_png(side: int, bits: int, colour: int) -> bytes:
    line = bytes(1 + side * {0: 1, 2: 3, 6: 4}[colour] * bits // 8)
    packer = zlib.compressobj(1)
    data = b"".join(packer.compress(line) for _ in range(side)) + packer.flush()
    header = png_chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, bits, colour, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + png_chunk(b"IDAT", data) + png_chunk(b"IEND")


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads the highest memory use from /proc")
def test_many_workers_with_large_pictures_stay_within_the_bound(tmp_path: Path) -> None:
    paths = []
    for number, (bits, colour) in enumerate([(16, 0), (16, 0), (8, 2), (8, 6), (16, 0), (16, 0)]):
        paths.append(tmp_path / f"{number}.png")
        paths[-1].write_bytes(zeros_png(12_000, bits, colour))
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", DECODE, *paths], capture_output=True, text=True)
    *answers, highest = done.stdout.split()
    assert (done.stderr, answers) == ("", ["0.0"] * 6)
    assert int(highest) << 10 < DECODING_BYTES + (200 << 20)


def test_a_jpeg_of_thousands_of_scans_is_refused_before_it_is_decoded() -> None:
    data = encoded(Image.effect_noise((64, 64), 50), "JPEG", progressive=True)
    scan = data[data.rindex(b"\xff\xda") : -2]
    assert open_image(data[:-2] + scan * 20 + b"\xff\xd9").size == (64, 64)
    error = refusal(data[:-2] + scan * 4000 + b"\xff\xd9")
    assert (error.kind, f"limit of {MOST_SCANS}" in str(error)) == ("too_large", True)


def test_many_pictures_in_one_jpeg_do_not_count_as_its_scans(picture: Image.Image) -> None:
    data = encoded(picture, "JPEG", progressive=True)
    assert open_image(data + data * 40).size == picture.size


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"qoif" + struct.pack(">IIBB", 13000, 13000, 4, 0) + b"\xfd" * 9999, id="QOI"),
        pytest.param(b"P3 9000 9000 255 " + b"1 " * 999, id="plain PPM"),
    ],
)
def test_what_is_decoded_in_python_has_a_limit_of_its_own(data: bytes) -> None:
    error = refusal(data)
    assert (error.kind, "over the limit of" in str(error)) == ("too_large", True)


def test_a_tiff_whose_directories_point_at_each_other_ends() -> None:
    entry = struct.pack("<HHII", 330, 4, 1, 8)
    assert refusal(b"II*\0\x08\0\0\0\x01\0" + entry + struct.pack("<I", 8)).kind == "unreadable"


def test_a_strip_that_unpacks_to_more_than_it_should_is_cut_off(levels: np.ndarray) -> None:
    data = tiff_file(levels.astype(np.uint16) * 257, "rgb", compression="zlib")
    with tifffile.TiffFile(io.BytesIO(data)) as opened:
        offset = opened.pages[0].dataoffsets[0]  # type: ignore[union-attr]
        stored = opened.pages[0].tags[279].offset  # type: ignore[union-attr]
    packer = zlib.compressobj(9)
    bomb = packer.compress(levels.astype("<u2").tobytes()) + packer.compress(bytes(50 << 20)) + packer.flush()
    entry = struct.pack("<HHII", 279, 4, 1, len(bomb))
    file = data[:stored] + entry + data[stored + 12 : offset] + bomb
    assert open_image(file).size == (SIDE, 64)


def test_decoders_write_nothing_to_stderr(tmp_path: Path, picture: Image.Image) -> None:
    samples = (np.random.default_rng(0).random((64, 64)) * 60000).astype(np.uint16)
    paths = []
    for number, compression in enumerate(["tiff_lzw", "tiff_adobe_deflate", "jpeg"]):
        source = picture if compression == "jpeg" else Image.fromarray(samples)
        data = bytearray(encoded(source, "TIFF", compression=compression))
        data[300:900] = np.random.default_rng(number).bytes(600)
        paths.append(tmp_path / f"{number}.tif")
        paths[-1].write_bytes(data)
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", DECODE, *paths], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
