"""Pages with text: books, letters, papers, newspapers, typescript, handwriting; for measuring also CVs and reports."""

from __future__ import annotations

import random

from PIL import Image, ImageDraw
from tools.pocket.rendered import writing
from tools.pocket.rendered.layout import Column, signature
from tools.pocket.rendered.picture import Rendered
from tools.pocket.rendered.questions import about_medium, among
from tools.pocket.rendered.sheets import blank, finished
from tools.pocket.rendered.studio import Studio
from tools.pocket.rendered.surfaces import cover, dark

KINDS_OF_PAGE = (
    "letter", "newspaper", "book page", "invoice", "form", "table", "receipt", "handwritten note", "scientific paper",
    "crossword", "sheet music", "menu", "business card",
)  # fmt: skip
_FAMILIES = ("serif", "serif", "sans", "sans", "serif")


def document(studio: Studio, page: Image.Image, name: str, more: tuple[str, ...] = ()) -> Rendered:
    """Finish a page and describe it; ``name`` is the kind of page, ``more`` other names for it."""
    rng = studio.rng
    image, how = finished(page, studio)
    shown = rng.choice([name, *more])
    captions = [
        f"a document: {shown}",
        "a document",
        f"a photo of a {shown}" if how == "photographed" else f"a {shown}",
    ]
    captions.append(
        rng.choice(
            ["a page of text", "a sheet of paper with text on it", f"a {how or 'printed'} document", "printed text"]
        )
    )
    asked = about_medium(rng, "document")
    if name in KINDS_OF_PAGE:
        asked.append(among(rng, name, KINDS_OF_PAGE))
    return Rendered(image, captions, asked)


def column(page: Image.Image, rng: random.Random, left: float = 0, right: float = 1) -> Column:
    """Return the page's text area, or a part of it from ``left`` to ``right``."""
    margin = page.width * rng.uniform(0.07, 0.13)
    width = page.width - 2 * margin
    ink = rng.choice([(0, 0, 0), (25, 25, 25), dark(rng, 60)])
    start = margin + left * width + (8 if left else 0)
    return Column(
        ImageDraw.Draw(page),
        start,
        page.height * rng.uniform(0.05, 0.1),
        (right - left) * width - 12,
        page.height - margin,
        ink,
    )


def text_page(studio: Studio) -> Rendered:
    """Render a page of running text with headings."""
    rng = studio.rng
    page = blank(rng)
    col, style = column(page, rng), rng.choice(_FAMILIES)
    body, head = studio.font(style, rng.randint(11, 20)), studio.font(rng.choice(_FAMILIES), rng.randint(20, 34))
    justify = rng.random() < 0.5
    if rng.random() < 0.7:
        col.line(writing.title(rng), head, rng.choice(["left", "centre"]), 1.7)
    while not col.full:
        col.fill(rng, rng.randint(80, 700), body, rng.uniform(1.2, 1.6), justify)
        col.y += body.size * rng.uniform(0.4, 1.2)
        if rng.random() < 0.25:
            col.line(writing.title(rng, 3), studio.font(style, body.size * 1.3), "left", 1.6)
    return document(studio, page, "text document", ("page of text", "printed page"))


def book_page(studio: Studio) -> Rendered:
    """Render a page or an opening of a book."""
    rng = studio.rng
    double = rng.random() < 0.5
    page = blank(rng, "wide" if double else "tall")
    body = studio.font("serif", rng.randint(11, 18) if not double else rng.randint(9, 14))
    for left, right in ((0, 0.48), (0.52, 1)) if double else ((0, 1),):
        col = column(page, rng, left, right)
        col.y = page.height * 0.06
        col.line(writing.title(rng, 3).upper(), studio.font("serif", body.size * 0.8), "centre", 2)
        if rng.random() < 0.3:
            col.y += page.height * 0.15
            col.line(f"Chapter {rng.randint(1, 30)}", studio.font("serif", body.size * 2), "centre", 2)
        while not col.full:
            col.fill(rng, rng.randint(200, 900), body, 1.4, True)
    if double:
        draw, middle = ImageDraw.Draw(page), page.width // 2
        for step in range(18):
            shade = 140 + step * 6
            draw.line([(middle - step, 0), (middle - step, page.height)], (shade, shade, shade - 5))
            draw.line([(middle + step, 0), (middle + step, page.height)], (shade, shade, shade - 5))
    return document(studio, page, "book page", ("page of a book", "open book"))


def letter(studio: Studio) -> Rendered:
    """Render a letter with addresses, salutation and signature."""
    rng = studio.rng
    page = blank(rng)
    font, col = studio.font(rng.choice([*_FAMILIES, "mono"]), rng.randint(12, 18)), column(page, rng)
    if rng.random() < 0.4:
        col.line(writing.title(rng, 2), studio.font("display", 30), rng.choice(["left", "centre", "right"]), 1.6)
    for text in (writing.person(rng), *writing.address(rng)):
        col.line(text, font, "left")
    col.y += font.size * 2
    col.line(writing.date(rng), font, rng.choice(["left", "right"]), 2.5)
    col.line(f"Dear {writing.person(rng)},", font, "left", 2)
    for _ in range(rng.randint(1, 4)):
        col.fill(rng, rng.randint(120, 420), font)
        col.y += font.size
    col.line(rng.choice(["Yours sincerely,", "Kind regards,", "Best wishes,"]), font, "left", 2)
    signature(page, rng, col.left, col.y + 12, rng.uniform(70, 150), (20, 30, rng.randint(20, 140)))
    col.y += 40
    col.line(writing.person(rng), font)
    return document(studio, page, "letter", ("typed letter", "business letter"))


def newspaper(studio: Studio) -> Rendered:
    """Render a newspaper's page with columns, headlines and photographs."""
    rng = studio.rng
    page = blank(rng)
    col = column(page, rng)
    if rng.random() < 0.6:
        name = "The " + writing.title(rng, 1) + rng.choice([" Times", " Post", " Herald", " News", " Gazette"])
        col.line(name, studio.font(rng.choice(["serif", "display"]), page.width / 13), "centre", 1.3)
        col.rule(2)
    count, top = rng.randint(3, 5), col.y
    body = studio.font("serif", rng.randint(8, 11))
    for index in range(count):
        part = column(page, rng, index / count, (index + 1) / count)
        part.y = top
        while not part.full:
            part.block(writing.title(rng, 5), studio.font("serif", rng.choice([14, 18, 26])), 1.15)
            if rng.random() < 0.45:
                photo = cover(studio.photo()[0], (max(20, round(part.width)), rng.randint(60, 130)))
                page.paste(photo.convert("L") if rng.random() < 0.7 else photo, (round(part.left), round(part.y)))
                part.y += photo.height + 5
            part.fill(rng, rng.randint(300, 1200), body, 1.2, True)
            part.y += 8
    return document(studio, page, "newspaper", ("newspaper page", "newspaper article"))


def paper(studio: Studio) -> Rendered:
    """Render a scientific paper in two columns."""
    rng = studio.rng
    page = blank(rng)
    col, body = column(page, rng), studio.font("serif", rng.randint(8, 11))
    col.line(writing.title(rng, 5), studio.font("serif", 21), "centre", 1.6)
    col.line(f"{writing.person(rng)}, {writing.person(rng)}", studio.font("serif", 11), "centre", 2.2)
    col.fill(rng, 400, body)
    top = col.y + 12
    for left, right in ((0, 0.5), (0.5, 1)):
        part = column(page, rng, left, right)
        part.y = top
        while not part.full:
            if rng.random() < 0.25:
                figure(studio, part)
            part.line(f"{rng.randint(1, 6)} {writing.title(rng, 2)}", studio.font("serif", 13), "left", 1.5)
            part.fill(rng, rng.randint(300, 1200), body, 1.2, True)
    return document(studio, page, "scientific paper", ("research paper", "journal article"))


def figure(studio: Studio, part: Column) -> None:
    """Draw a small line chart in a column."""
    rng, height = studio.rng, studio.rng.randint(60, 110)
    box = (part.left + 14, part.y, part.left + part.width, part.y + height)
    part.draw.rectangle(box, outline=part.ink)
    for _ in range(rng.randint(1, 3)):
        points = [(box[0] + part.width * 0.9 * i / 9, box[1] + height * rng.uniform(0.1, 0.9)) for i in range(10)]
        part.draw.line(points, rng.choice([part.ink, (200, 30, 30), (30, 60, 200)]), 1)
    part.y += height + 4


def handwriting(studio: Studio) -> Rendered:
    """Render handwriting on plain, lined or squared paper."""
    rng = studio.rng
    page = blank(rng, rng.choice(["tall", "tall", "wide", "square"]))
    font, col = studio.font("hand", rng.randint(18, 38)), column(page, rng)
    step, lines = font.size * rng.uniform(1.2, 1.6), rng.choice(["none", "rows", "squares"])
    faint = rng.choice([(190, 205, 235), (215, 215, 215)])
    if lines != "none":
        y = col.y + font.size
        while y < page.height:
            col.draw.line([(0, y), (page.width, y)], faint)
            y += step if lines == "rows" else step / 2
    if lines == "squares":
        for x in range(0, page.width, max(4, round(step / 2))):
            col.draw.line([(x, 0), (x, page.height)], faint)
    col.ink = rng.choice([(20, 30, 120), (15, 15, 20), (60, 60, 70), (120, 20, 30)])
    while not col.full:
        col.fill(rng, rng.randint(40, 300), font, step / font.size)
        col.y += step * rng.choice([0, 1])
        if rng.random() < 0.15:
            break
    return document(studio, page, "handwritten note", ("handwritten page", "page of handwriting"))


TEMPLATES = (text_page, text_page, book_page, letter, newspaper, paper, handwriting)
