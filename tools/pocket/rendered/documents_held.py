"""Kinds of page that only measure: a CV, a report with lists, a contents page, a certificate."""

from __future__ import annotations

from PIL import ImageDraw
from tools.pocket.rendered import writing
from tools.pocket.rendered.documents import column, document
from tools.pocket.rendered.layout import Column, signature
from tools.pocket.rendered.picture import Rendered
from tools.pocket.rendered.sheets import blank
from tools.pocket.rendered.studio import Studio
from tools.pocket.rendered.surfaces import cover, dark


def resume(studio: Studio) -> Rendered:
    """Render a CV with a portrait and a narrow second column."""
    rng = studio.rng
    page = blank(rng)
    draw, wide = ImageDraw.Draw(page), page.width
    draw.rectangle((0, 0, wide * 0.32, page.height), rng.choice([(235, 238, 242), dark(rng, 90)]))
    page.paste(cover(studio.photo("idenprof")[0], (90, 110)), (round(wide * 0.08), 30))
    main = Column(draw, wide * 0.37, 30, wide * 0.58, page.height - 30)
    main.line(writing.person(rng), studio.font("sans", 30), "left", 1.8)
    body = studio.font("sans", rng.randint(10, 13))
    while not main.full:
        main.line(
            rng.choice(["Experience", "Education", "Skills", "Languages"]).upper(), studio.font("sans", 16), "left", 1.4
        )
        main.rule()
        for _ in range(rng.randint(1, 3)):
            main.line(f"{rng.randint(1990, 2025)}  {writing.title(rng, 3)}", body)
            main.fill(rng, rng.randint(40, 140), body)
    return document(studio, page, "CV", ("résumé",))


def report(studio: Studio) -> Rendered:
    """Render a report with numbered headings and lists."""
    rng = studio.rng
    page = blank(rng)
    col, body = column(page, rng), studio.font(rng.choice(["sans", "serif"]), rng.randint(12, 17))
    col.line(writing.title(rng, 3), studio.font("sans", 28), "left", 1.8)
    number = 0
    while not col.full:
        number += 1
        col.line(f"{number}. {writing.title(rng, 2)}", studio.font("sans", body.size * 1.3), "left", 1.7)
        for _ in range(rng.randint(2, 6)):
            col.fill(rng, rng.randint(40, 140), body, 1.4)
    return document(studio, page, "report")


def contents(studio: Studio) -> Rendered:
    """Render a table of contents with dotted leaders."""
    rng = studio.rng
    page = blank(rng)
    col, body, at = column(page, rng), studio.font("serif", rng.randint(12, 18)), 1
    col.line("Contents", studio.font("serif", 30), "centre", 2)
    dots = max(1.0, body.getlength("."))
    while not col.full:
        text = writing.title(rng, 4)
        room = col.width - body.getlength(f"{text} {at}") - 10
        col.line(f"{text} {'.' * max(0, int(room / dots))} {at}", body, "left", 1.6)
        at += rng.randint(1, 19)
    return document(studio, page, "table of contents")


def certificate(studio: Studio) -> Rendered:
    """Render a certificate with a frame and signatures."""
    rng = studio.rng
    page = blank(rng, "wide")
    draw, colour = ImageDraw.Draw(page), dark(rng, 140)
    for inset in (12, 18, 22):
        draw.rectangle((inset, inset, page.width - inset, page.height - inset), outline=colour, width=2)
    col = Column(draw, 50, page.height * 0.12, page.width - 100, page.height - 20, (30, 30, 40))
    col.line("Certificate", studio.font("serif", page.width / 11), "centre", 1.5)
    col.line(f"This is to certify that {writing.person(rng)}", studio.font("serif", 19), "centre", 2)
    col.fill(rng, 90, studio.font("serif", 17))
    col.y = page.height * 0.78
    signature(page, rng, page.width * 0.2, col.y, 120, (20, 20, 90))
    signature(page, rng, page.width * 0.6, col.y, 120, (20, 20, 90))
    col.line(writing.date(rng), studio.font("serif", 14), "left")
    return document(studio, page, "certificate")


TEMPLATES = (resume, report, contents, certificate)
