"""Screenshots of web pages and of phones; for measuring also mail, a calendar, a log-in page and a player."""

from __future__ import annotations

from tools.pocket.rendered import writing
from tools.pocket.rendered.picture import Rendered
from tools.pocket.rendered.screens import screenshot
from tools.pocket.rendered.studio import Studio
from tools.pocket.rendered.widgets import Screen, theme


def _browser(studio: Studio, tall: bool = False) -> tuple[Screen, float]:
    """Open a browser's window; return it with the upper edge of the page."""
    rng = studio.rng
    width = rng.randint(440, 860)
    screen = Screen(
        studio,
        width,
        round(width * (rng.uniform(1, 1.5) if tall else rng.choice([0.5625, 0.625, 0.75, 1]))),
        theme(rng, 0.2),
    )
    if rng.random() < 0.4:
        return screen, 0
    y = 0.0
    screen.panel((0, 0, width, 22), (222, 225, 230) if not screen.look.is_dark else (50, 52, 56))
    for i in range(rng.randint(1, 4)):
        screen.panel((6 + 110 * i, 4, 110 + 110 * i, 22), screen.look.ground if i == 0 else (205, 208, 212), 5)
        screen.text((14 + 110 * i, 6), screen.words(2)[:14], 10, screen.look.text if i == 0 else (60, 60, 60))
    y = 22
    screen.field((60, y + 3, width - 70, y + 21), f"https://www.{writing.word(rng)}.com/{writing.word(rng)}")
    for i in range(3):
        screen.draw.ellipse((6 + 17 * i, y + 6, 18 + 17 * i, y + 18), outline=screen.look.faint)
    return screen, y + 25


def _site_header(screen: Screen, y: float) -> float:
    rng, height = screen.rng, screen.rng.randint(26, 48)
    colour = rng.choice([screen.look.accent, screen.look.panel])
    screen.panel((0, y, screen.width, y + height), colour)
    ink = (255, 255, 255) if colour == screen.look.accent else screen.look.text
    screen.text((12, y + height / 2 - 11), screen.words(1), 18, ink)
    x = screen.width - 20.0
    for _ in range(rng.randint(2, 5)):
        name = writing.word(rng).title()[:9]
        x -= screen.face(11).getlength(name) + 14
        if x > 150:
            screen.text((x, y + height / 2 - 7), name, 11, ink)
    return y + height


def article(studio: Studio) -> Rendered:
    """Render a web page with an article, photographs and a side column."""
    rng = studio.rng
    screen, y = _browser(studio, rng.random() < 0.3)
    y = _site_header(screen, y) + 10
    split = screen.width * rng.choice([0.68, 0.75, 1])
    left = screen.width * rng.choice([0.03, 0.06, 0.15])
    screen.text((left, y), screen.words(4), rng.uniform(18, 28))
    y += 36
    if rng.random() < 0.6:
        bottom = y + rng.uniform(60, 180)
        screen.picture((left, y, split - 16, bottom))
        y = bottom + 8
    while y < screen.height - 20:
        y = screen.lines((left, y, split - 16, screen.height), rng.uniform(9, 13), most=rng.randint(2, 8)) + 8
        if rng.random() < 0.3:
            screen.text((left, y), screen.words(3), 16)
            y += 26
    at = y = 90.0
    while split < screen.width and at < screen.height - 60:
        screen.panel((split, at, screen.width - 10, at + 50), screen.look.panel, 4)
        at = screen.lines((split + 6, at + 6, screen.width - 16, at + 50), 9, most=3) + 14
    return screenshot(studio, screen.image, "web page", ("website", "news website", "blog"))


def shop(studio: Studio) -> Rendered:
    """Render an online shop or gallery: a grid of pictures with titles and prices."""
    rng = studio.rng
    screen, y = _browser(studio)
    y = _site_header(screen, y) + 10
    count = rng.randint(2, 5)
    width = (screen.width - 20) / count
    topic = rng.choice(["photo", "noto_emoji", "openclipart", "trashnet"])
    priced = rng.random() < 0.7
    while y < screen.height - 30:
        for i in range(count):
            x = 10 + i * width
            screen.picture((x + 5, y, x + width - 5, y + width * 0.75), topic)
            screen.lines((x + 6, y + width * 0.78, x + width - 8, y + width * 0.78 + 34), 10, most=rng.randint(1, 2))
            if priced:
                screen.text((x + 6, y + width * 0.78 + 28), writing.money(rng), 12, screen.look.accent)
        y += width * 0.75 + 56
    return screenshot(studio, screen.image, "web page", ("online shop", "website", "image gallery"))


def search_results(studio: Studio) -> Rendered:
    """Render a search engine's results."""
    rng = studio.rng
    screen, y = _browser(studio)
    screen.field((80, y + 8, screen.width * 0.75, y + 30), f"{writing.word(rng)} {writing.word(rng)}")
    screen.text((14, y + 8), rng.choice(["find", "Seek", "look"]), 18, screen.look.accent)
    y += 48
    link = (138, 180, 248) if screen.look.is_dark else (26, 13, 171)
    while y < screen.height - 20:
        screen.text((80, y), screen.words(4), 14, link)
        screen.text((80, y + 17), f"www.{writing.word(rng)}.org", 9, (0, 110, 50))
        y = screen.lines((80, y + 29, screen.width * 0.78, screen.height), 10, most=rng.randint(1, 3)) + 12
    return screenshot(studio, screen.image, "web page", ("search results", "search engine"))


def _phone(studio: Studio) -> Screen:
    width = studio.rng.randint(300, 380)
    return Screen(studio, width, round(width * studio.rng.uniform(1.6, 2.16)))


def _status_bar(screen: Screen, colour: tuple[int, int, int] | None = None) -> None:
    screen.text((14, 4), f"{screen.rng.randint(0, 23)}:{screen.rng.randint(0, 59):02d}", 13, colour)
    for i, x in enumerate((62, 46, 28)):
        screen.draw.rectangle((screen.width - x, 7, screen.width - x + 8 + 2 * i, 17), colour or screen.look.text)


def phone_home(studio: Studio) -> Rendered:
    """Render a phone's home screen."""
    screen = _phone(studio)
    rng = screen.rng
    screen.image.paste(studio.backdrop(screen.image.size, 0.6), (0, 0))
    _status_bar(screen, (255, 255, 255))
    step = screen.width / rng.choice([4, 4, 5])
    for row in range(rng.randint(2, int(screen.height / step / 1.3))):
        for col in range(int(screen.width / step)):
            x, y = col * step + step * 0.18, 50 + row * step * 1.25
            screen.icon(x, y, step * 0.64)
            screen.text((x, y + step * 0.7), writing.word(rng)[:8].title(), 10, (255, 255, 255))
    screen.panel((10, screen.height - step * 1.1, screen.width - 10, screen.height - 8), (220, 220, 225), 16)
    for col in range(int(screen.width / step)):
        screen.icon(col * step + step * 0.18, screen.height - step, step * 0.64)
    return screenshot(studio, screen.image, "phone screen", ("smartphone home screen", "phone with app icons"))


def phone_list(studio: Studio) -> Rendered:
    """Render a phone's list: settings, contacts, songs or messages."""
    screen = _phone(studio)
    rng = screen.rng
    _status_bar(screen)
    screen.text((16, 34), rng.choice(["Settings", "Contacts", "Messages", "Songs", "Notes", "Inbox"]), 26)
    y, step, faces = 80.0, rng.randint(40, 66), rng.random() < 0.4
    while y < screen.height - step:
        if faces:
            screen.picture((14, y + 6, step + 2, y + step - 6), "idenprof")
        else:
            screen.icon(16, y + 10, step - 24)
        screen.text((step + 12, y + 8), screen.words(2)[:20], 15)
        screen.lines((step + 12, y + 28, screen.width - 50, y + 46), 11, screen.look.faint, 1)
        if rng.random() < 0.3:
            screen.panel(
                (screen.width - 46, y + 12, screen.width - 14, y + 30),
                rng.choice([(52, 199, 89), screen.look.faint]),
                9,
            )
        screen.draw.line([(step + 12, y + step), (screen.width, y + step)], screen.look.panel)
        y += step
    return screenshot(studio, screen.image, "phone screen", ("phone settings screen", "mobile app"))


def chat(studio: Studio) -> Rendered:
    """Render a chat on a phone or in a window."""
    rng = studio.rng
    screen = _phone(studio) if rng.random() < 0.6 else Screen(studio, rng.randint(420, 700), rng.randint(320, 520))
    screen.image.paste(
        rng.choice([screen.look.ground, (229, 221, 213)]) if not screen.look.is_dark else screen.look.ground,
        (0, 0, *screen.image.size),
    )
    _status_bar(screen)
    screen.panel((0, 24, screen.width, 62), rng.choice([screen.look.accent, screen.look.panel]))
    screen.picture((12, 28, 42, 58), "idenprof")
    screen.text((52, 34), writing.person(rng), 15)
    mine, y = rng.choice([(0, 132, 255), (220, 248, 198), (52, 199, 89)]), 74.0
    while y < screen.height - 80:
        own, wide, count = rng.random() < 0.5, screen.width * rng.uniform(0.3, 0.72), rng.randint(1, 4)
        left = screen.width - wide - 10 if own else 10
        height = count * 17.5 + 12 if rng.random() < 0.88 else wide * 0.6
        screen.panel((left, y, left + wide, y + height), mine if own else screen.look.panel, 11)
        if height == count * 17.5 + 12:
            ink = (255, 255, 255) if own and sum(mine) < 500 else (20, 20, 20) if own else screen.look.text
            screen.lines((left + 10, y + 5, left + wide - 8, y + height), 12, ink, count)
        else:
            screen.picture((left + 4, y + 4, left + wide - 4, y + height - 4))
        y += height + rng.randint(5, 14)
    screen.field((12, screen.height - 38, screen.width - 50, screen.height - 10), "Message")
    screen.icon(screen.width - 42, screen.height - 38, 28)
    return screenshot(studio, screen.image, "chat app", ("chat conversation", "messaging app", "text messages"))


def feed(studio: Studio) -> Rendered:
    """Render a social network's feed on a phone."""
    screen = _phone(studio)
    rng = screen.rng
    _status_bar(screen)
    y = 30.0
    while y < screen.height - 30:
        screen.picture((10, y, 40, y + 30), "idenprof")
        screen.text((48, y + 6), writing.person(rng), 13)
        bottom = y + 38 + screen.width * rng.uniform(0.5, 1)
        screen.picture((0, y + 38, screen.width, bottom))
        for i in range(3):
            screen.draw.ellipse((12 + 30 * i, bottom + 6, 30 + 30 * i, bottom + 24), outline=screen.look.text, width=2)
        y = screen.lines((12, bottom + 30, screen.width - 12, bottom + 80), 12, most=rng.randint(1, 3)) + 10
    return screenshot(studio, screen.image, "phone screen", ("social media app", "photo app"))


TEMPLATES = (article, article, shop, search_results, phone_home, phone_list, chat, feed)
