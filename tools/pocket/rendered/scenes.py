"""Photographs as they are or made into something else, with captions and questions about what was done."""

from __future__ import annotations

from collections.abc import Callable

from PIL import Image, ImageEnhance, ImageOps
from tools.pocket.rendered import variants
from tools.pocket.rendered.picture import Question, Rendered, question
from tools.pocket.rendered.questions import about_medium, among
from tools.pocket.rendered.studio import Kind, Studio, Template
from tools.pocket.rendered.surfaces import camera, compressed, grain

Change = Callable[..., Image.Image]

_SKETCHES: dict[str, tuple[Change, ...]] = {
    "pencil sketch": (variants.pencil,),
    "pencil drawing": (variants.pencil, variants.hatching),
    "sketch": (variants.pencil, variants.charcoal, variants.line_art, variants.hatching),
    "drawing": (variants.pencil, variants.line_art, variants.coloured_pencil, variants.hatching),
    "line drawing": (variants.line_art,),
    "charcoal drawing": (variants.charcoal,),
    "coloured pencil drawing": (variants.coloured_pencil,),
    "ink drawing": (variants.line_art, variants.hatching),
}
_PAINTINGS: dict[str, tuple[Change, ...]] = {
    "painting": (variants.oil_painting, variants.watercolour, variants.pointillism),
    "oil painting": (variants.oil_painting,),
    "watercolour painting": (variants.watercolour,),
    "impressionist painting": (variants.oil_painting, variants.pointillism),
}
_CARTOONS: dict[str, tuple[Change, ...]] = {
    "cartoon": (variants.cartoon,),
    "comic drawing": (variants.cartoon,),
    "poster print": (variants.poster,),
    "pixel art picture": (variants.pixel_art,),
}


def _drawn(names: dict[str, tuple[Change, ...]], medium: str) -> Template:
    """Make a template that draws a photograph in one of the named manners."""

    def draw(studio: Studio) -> Rendered:
        rng = studio.rng
        image, text = studio.photo()
        name = rng.choice(list(names))
        image = rng.choice(names[name])(image, rng)
        article = "an" if name[0] in "aeiou" else "a"
        captions = [f"{article} {name} of {text}", f"{article} {name}", f"{text}, {name}"]
        return Rendered(image, captions, about_medium(rng, medium))

    return draw


def photograph(studio: Studio) -> Rendered:
    """Render a photograph, unchanged but for exposure."""
    rng = studio.rng
    image, text = studio.photo()
    image = camera(image, rng) if rng.random() < 0.5 else image
    captions = [f"a photo of {text}", "a photo", "a photograph", text]
    asked = about_medium(rng, "photo")
    if rng.random() < 0.2:
        asked.append(question(("colour photo", "black-and-white photo"), "colour photo"))
    return Rendered(image, captions, asked)


_BY_NIGHT = ("night", "at night", "nighttime", "a photo taken at night", "in the dark")
_BY_DAY = ("day", "in daylight", "daytime", "a photo taken during the day", "by day")


def _time_of_day(studio: Studio, which: int) -> Question:
    forms = studio.rng.choice([0, 0, 0, 1, 2, 3, 4])
    return question((_BY_DAY[forms], _BY_NIGHT[forms]), (_BY_DAY, _BY_NIGHT)[which][forms])


def by_night(studio: Studio) -> Rendered:
    """Render an outdoor photograph darkened."""
    rng = studio.rng
    image, text = studio.photo("outdoor")
    captions = [f"{text} at night", "a photo taken at night", f"a dark photo of {text}", "night"]
    asked = [_time_of_day(studio, 1), among(rng, "night", ("day", "morning", "noon", "fog", "indoors"))]
    return Rendered(variants.night(image, rng), captions, asked)


def real_night(studio: Studio) -> Rendered:
    """Render a photograph that a caption places at night, as it is."""
    image, text = studio.photo("night")
    captions = [text, "a photo taken at night", "night"]
    return Rendered(image, captions, [_time_of_day(studio, 1)])


def by_day(studio: Studio) -> Rendered:
    """Render an outdoor photograph in daylight, bright or dull."""
    rng = studio.rng
    image, text = studio.photo("outdoor")
    image = ImageEnhance.Brightness(image).enhance(rng.uniform(0.75, 1.25))
    captions = [f"{text} in daylight", "a photo taken during the day", f"{text} by day", "day"]
    return Rendered(
        image, captions, [_time_of_day(studio, 0), among(rng, "day", ("night", "midnight", "dusk", "darkness"))]
    )


def at_dusk(studio: Studio) -> Rendered:
    """Render an outdoor photograph in the light of sunset."""
    image, text = studio.photo("outdoor")
    captions = [f"{text} at sunset", f"{text} at dusk", "a photo taken at sunset"]
    asked = [among(studio.rng, "sunset", ("noon", "fog", "midnight", "snow"))]
    return Rendered(variants.dusk(image, studio.rng), captions, asked)


_WEATHER: dict[str, tuple[Change, tuple[str, ...]]] = {
    "fog": (variants.fog, ("foggy", "mist", "misty")),
    "snow": (variants.snowfall, ("snowing", "snowfall")),
    "rain": (variants.rain, ("rainy", "raining")),
}


def weather(studio: Studio) -> Rendered:
    """Render an outdoor photograph in fog, snow or rain."""
    rng = studio.rng
    image, text = studio.photo("outdoor")
    name = rng.choice(list(_WEATHER))
    change, words = _WEATHER[name]
    captions = [f"{text} in the {name}", f"{rng.choice(words)} weather", f"a photo of {text}, {rng.choice(words)}"]
    return Rendered(change(image, rng), captions, [among(rng, name, ("fog", "snow", "rain", "sunshine"))])


def _sepia(image: Image.Image, _: object) -> Image.Image:
    return ImageOps.colorize(ImageOps.autocontrast(image.convert("L")), (40, 20, 5), (255, 240, 200))


def _grey(image: Image.Image, _: object) -> Image.Image:
    return image.convert("L").convert("RGB")


_TONES: dict[str, tuple[Change, tuple[str, ...], tuple[str, ...]]] = {
    "black and white": (_grey, ("black-and-white", "greyscale", "monochrome"), ("in colour", "sepia")),
    "sepia": (_sepia, ("sepia-toned", "old brownish"), ("in colour", "black and white")),
    "blurry": (variants.blurred, ("blurry", "out-of-focus", "blurred"), ("sharp", "in focus")),
    "noisy": (lambda image, rng: grain(image, rng, rng.uniform(25, 60)), ("noisy", "grainy"), ("clean", "smooth")),
    "upside down": (lambda image, _: image.rotate(180), ("upside-down",), ("upright",)),
    "sideways": (lambda image, rng: image.rotate(rng.choice([90, 270]), expand=True), ("rotated",), ("upright",)),
    "overexposed": (
        lambda image, rng: ImageEnhance.Brightness(image).enhance(rng.uniform(2, 3)),
        ("overexposed",),
        ("underexposed",),
    ),
    "in colour": (lambda image, _: ImageEnhance.Color(image).enhance(1.2), ("colour",), ("black and white", "sepia")),
    "sharp": (lambda image, _: image, ("sharp", "clear"), ("blurry", "out of focus")),
    "upright": (lambda image, _: image, ("upright",), ("upside down",)),
    "pixelated": (
        lambda image, rng: image.resize((image.width // 14, image.height // 14), rng.choice([0, 4])).resize(
            image.size, 0
        ),
        ("pixelated",),
        ("sharp", "clear"),
    ),
}


def toned(studio: Studio) -> Rendered:
    """Render a photograph in another tone, focus or orientation."""
    rng = studio.rng
    image, text = studio.photo()
    name = rng.choice(list(_TONES))
    change, adjectives, others = _TONES[name]
    adjective = rng.choice(adjectives)
    article = "an" if adjective[0] in "aeiou" else "a"
    captions = [f"{article} {adjective} photo of {text}", f"{article} {adjective} photo"]
    asked = [among(rng, name, others), *about_medium(rng, "photo")]
    return Rendered(change(image, rng), captions, asked)


def drawn_picture(studio: Studio) -> Rendered:
    """Render a clip art or emoji as it is, sometimes on a tinted ground or as an old JPEG."""
    rng = studio.rng
    topic = rng.choice(["openclipart", "openclipart", "noto_emoji"])
    picture = studio.album.pick(rng, topic)
    image, text = studio.album.open(picture), picture.texts[0].lower()
    names = (
        ("clip art", "drawing", "illustration", "cartoon")
        if topic == "openclipart"
        else ("emoji", "icon", "drawing", "cartoon")
    )
    name = rng.choice(names)
    image = compressed(image, rng) if rng.random() < 0.3 else image
    article = "an" if name[0] in "aei" else "a"
    captions = [f"{article} {name} of {text}", f"{article} {name}", f"a drawing of {text}"]
    return Rendered(image, captions, about_medium(rng, "clip art"))


SKETCH = Kind((_drawn(_SKETCHES, "sketch"),))
PAINTING = Kind((_drawn(_PAINTINGS, "painting"),))
CARTOON = Kind((_drawn(_CARTOONS, "cartoon"),))
PHOTO = Kind((photograph,))
DRAWING = Kind((drawn_picture, drawn_picture, _drawn(_SKETCHES, "sketch")))
NIGHT = Kind((by_night, by_night, by_night, real_night), (by_night,))
DAY = Kind((by_day,))
DUSK = Kind((at_dusk,))
WEATHER = Kind((weather,))
TONE = Kind((toned,))
