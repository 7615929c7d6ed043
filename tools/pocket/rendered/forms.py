"""Pages made of fields, lines and tables: invoices, receipts, forms, tables, menus, music, crosswords, cards."""

from __future__ import annotations

from PIL import Image, ImageDraw
from tools.pocket.rendered import writing
from tools.pocket.rendered.documents import column, document
from tools.pocket.rendered.layout import Column, grid
from tools.pocket.rendered.picture import Rendered
from tools.pocket.rendered.sheets import blank
from tools.pocket.rendered.studio import Studio
from tools.pocket.rendered.surfaces import any_colour, dark, pale


def invoice(studio: Studio) -> Rendered:
    """Render an invoice or a bill."""
    rng = studio.rng
    page = blank(rng)
    col, font = column(page, rng), studio.font(rng.choice(["sans", "sans", "serif", "mono"]), rng.randint(11, 15))
    col.line(
        writing.title(rng, 2), studio.font(rng.choice(["sans", "display"]), 28), rng.choice(["left", "right"]), 1.7
    )
    col.line(
        rng.choice(["INVOICE", "Invoice", "BILL", "Quotation", "Order confirmation"]),
        studio.font("sans", 22),
        "left",
        1.6,
    )
    for text in (f"No. {rng.randint(1000, 99999)}", writing.date(rng), writing.person(rng), *writing.address(rng)):
        col.line(text, font, rng.choice(["left", "left", "right"]))
    col.y += font.size * 2
    rows = [["Item", "Qty", "Price", "Total"]]
    rows += [
        [writing.title(rng, 2), str(rng.randint(1, 20)), writing.money(rng), writing.money(rng)]
        for _ in range(rng.randint(3, 14))
    ]
    grid(col, rows, font, (5, 1, 2, 2), rng, rng.choice(["both", "rows", "none"]))
    col.y += 8
    for name in ("Subtotal", "Tax", "Total"):
        col.line(f"{name}   {writing.money(rng)}", font, "right")
    col.y = max(col.y, page.height * 0.85)
    col.fill(rng, rng.randint(40, 140), studio.font("sans", 9))
    return document(studio, page, "invoice", ("bill",))


def receipt(studio: Studio) -> Rendered:
    """Render a shop's receipt."""
    rng = studio.rng
    width = rng.randint(240, 330)
    page = Image.new("RGB", (width, round(width * rng.uniform(1.5, 2.3))), pale(rng, 238))
    font = studio.font("mono", width / rng.uniform(20, 26))
    col = Column(
        ImageDraw.Draw(page), width * 0.06, 12, width * 0.88, page.height - 10, rng.choice([(20, 20, 20), (80, 80, 95)])
    )
    for text in (writing.title(rng, 2).upper(), *writing.address(rng), writing.date(rng)):
        col.line(text, font, "centre")
    while col.y < page.height * rng.uniform(0.6, 0.72):
        price, name = f"{rng.uniform(0.5, 40):.2f}", writing.word(rng).upper()[:12]
        col.line(name + price.rjust(max(1, int(col.width / max(1, font.getlength("0"))) - len(name))), font)
    col.rule()
    col.line(f"TOTAL  {rng.uniform(5, 200):.2f}", studio.font("mono", font.size * 1.3), "right")
    col.line("THANK YOU", font, "centre", 1.8)
    x = col.left
    while x < col.left + col.width and rng.random() < 0.97:
        bar = rng.choice([1, 1, 2, 3])
        col.draw.rectangle((x, col.y, x + bar, col.y + 26), col.ink)
        x += bar + rng.choice([1, 2, 3])
    return document(studio, page, "receipt", ("shop receipt", "till receipt"))


def form(studio: Studio) -> Rendered:
    """Render a form with fields, check boxes and some handwriting in them."""
    rng = studio.rng
    page = blank(rng)
    col, font, hand = column(page, rng), studio.font("sans", rng.randint(11, 14)), studio.font("hand", 19)
    col.line(
        rng.choice(["Application form", "Registration", "Questionnaire", "Tax return", "Order form"]),
        studio.font("sans", 24),
        "left",
        2,
    )
    filled = rng.random() < 0.6
    while not col.full:
        label = rng.choice(["Name", "Date of birth", "Address", "Phone", "Occupation", writing.title(rng, 2)])
        if rng.random() < 0.3:
            for place in range(3):
                x = col.left + place * col.width / 3
                col.draw.rectangle((x, col.y, x + 11, col.y + 11), outline=col.ink)
                col.draw.text((x + 16, col.y - 2), writing.word(rng), col.ink, font)
                if filled and rng.random() < 0.4:
                    col.draw.line([(x, col.y), (x + 11, col.y + 11)], (20, 20, 140), 2)
            col.y += font.size * 2
            continue
        col.line(label, font)
        box = (col.left, col.y, col.left + col.width * rng.uniform(0.4, 1), col.y + 24)
        col.draw.rectangle(box, rng.choice([None, (240, 244, 250)]), outline=(120, 120, 120))
        if filled and rng.random() < 0.7:
            col.draw.text((col.left + 6, col.y), writing.person(rng), (20, 30, 130), hand)
        col.y += 34
    return document(studio, page, "form", ("filled-in form" if filled else "blank form",))


def table(studio: Studio) -> Rendered:
    """Render a printed table or timetable."""
    rng = studio.rng
    page = blank(rng, rng.choice(["tall", "wide"]))
    col, font = column(page, rng), studio.font(rng.choice(["sans", "serif", "mono"]), rng.randint(10, 14))
    col.line(writing.title(rng, 4), studio.font("sans", 20), rng.choice(["left", "centre"]), 1.8)
    count = rng.randint(3, 8)
    rows = [[writing.word(rng).title()[:9] for _ in range(count)]]
    rows += [
        [writing.word(rng)[:12], *(f"{rng.uniform(0, 999):.{rng.choice([0, 1, 2])}f}" for _ in range(count - 1))]
        for _ in range(60)
    ]
    grid(col, rows[: rng.randint(6, 60)], font, (2, *([1] * (count - 1))), rng, rng.choice(["both", "rows", "none"]))
    col.y += 10
    col.fill(rng, 200, font)
    return document(studio, page, "table", ("table of numbers", "printed table"))


def menu(studio: Studio) -> Rendered:
    """Render a restaurant's menu."""
    rng = studio.rng
    page = blank(rng)
    if rng.random() < 0.3:
        page.paste(dark(rng, 60), (0, 0, *page.size))
    col, font = column(page, rng), studio.font(rng.choice(["serif", "hand", "sans"]), rng.randint(14, 20))
    col.ink = (240, 235, 220) if page.getpixel((2, 2))[0] < 100 else col.ink  # type: ignore[index]
    col.line("Menu", studio.font(rng.choice(["display", "hand", "serif"]), 48), "centre", 1.6)
    while not col.full:
        col.line(
            rng.choice(["Starters", "Soups", "Mains", "Desserts", "Drinks"]), studio.font("serif", 24), "centre", 1.7
        )
        for _ in range(rng.randint(3, 5)):
            col.draw.text((col.left, col.y), writing.title(rng, 3)[:26], col.ink, font)
            col.line(f"{rng.uniform(3, 40):.2f}", font, "right")
    return document(studio, page, "menu", ("restaurant menu",))


def music(studio: Studio) -> Rendered:
    """Render a sheet of music."""
    rng = studio.rng
    page = blank(rng)
    col = column(page, rng)
    col.line(writing.title(rng, 3), studio.font("serif", 26), "centre", 2.2)
    gap = rng.randint(5, 8)
    while col.y + gap * 8 < col.bottom:
        for line in range(5):
            y = col.y + line * gap
            col.draw.line([(col.left, y), (col.left + col.width, y)], col.ink)
        x = col.left + 30
        while x < col.left + col.width - 10:
            y = col.y + rng.randint(-1, 9) * gap / 2
            col.draw.ellipse((x, y - gap / 2, x + gap * 1.3, y + gap / 2), rng.choice([col.ink, None]), outline=col.ink)
            stem = x + gap * 1.3 if y > col.y + 2 * gap else x
            col.draw.line([(stem, y), (stem, y + (-3.5 if y > col.y + 2 * gap else 3.5) * gap)], col.ink)
            x += gap * rng.choice([2, 3, 4])
            if rng.random() < 0.15:
                col.draw.line([(x, col.y), (x, col.y + 4 * gap)], col.ink)
        col.y += gap * rng.uniform(8, 10)
    return document(studio, page, "sheet music", ("music score", "musical notation"))


def crossword(studio: Studio) -> Rendered:
    """Render a crossword or number puzzle."""
    rng = studio.rng
    page = blank(rng, "square")
    draw, count = ImageDraw.Draw(page), rng.choice([9, 11, 13, 15])
    cell, font = page.width * 0.86 / count, studio.font("sans", page.width * 0.5 / count)
    for i in range(count):
        for j in range(count):
            x, y = page.width * 0.07 + i * cell, page.height * 0.07 + j * cell
            draw.rectangle(
                (x, y, x + cell, y + cell), (0, 0, 0) if rng.random() < 0.25 else (255, 255, 255), outline=(0, 0, 0)
            )
            if rng.random() < 0.2:
                draw.text((x + cell * 0.25, y + cell * 0.15), rng.choice("ABCDEFGHIJKLMNOPRSTUVW"), (20, 30, 130), font)
    return document(studio, page, "crossword", ("crossword puzzle",))


def card(studio: Studio) -> Rendered:
    """Render a business card."""
    rng = studio.rng
    page = Image.new("RGB", (480, 290), rng.choice([(255, 255, 255), pale(rng), dark(rng)]))
    light = page.getpixel((1, 1))[0] > 128  # type: ignore[index]
    col = Column(ImageDraw.Draw(page), 40, rng.randint(50, 110), 400, 290, (20, 20, 20) if light else (240, 240, 240))
    align = rng.choice(["left", "centre", "right"])
    col.line(writing.person(rng), studio.font(rng.choice(["sans", "serif", "hand"]), 36), align, 1.4)
    col.line(writing.title(rng, 2), studio.font("sans", 20), align, 1.6)
    for text in (*writing.address(rng), f"+{rng.randint(10**9, 10**10)}"):
        col.line(text, studio.font("sans", 16), align)
    col.draw.rectangle((0, 0, rng.randint(8, 30), 290), any_colour(rng))
    return document(studio, page, "business card", ("visiting card",))


TEMPLATES = (invoice, receipt, form, table, menu, music, crossword, card)
