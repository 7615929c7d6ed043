"""Kinds of screen that only measure: a mail program, a calendar, a log-in page, a video player, settings."""

from __future__ import annotations

from tools.pocket.rendered import writing
from tools.pocket.rendered.picture import Rendered
from tools.pocket.rendered.screens import screenshot, size_of_screen
from tools.pocket.rendered.studio import Studio
from tools.pocket.rendered.widgets import Screen


def mail(studio: Studio) -> Rendered:
    """Render a mail program in three panes."""
    screen = Screen(studio, *size_of_screen(studio))
    rng = screen.rng
    y = screen.menu_bar(0, screen.width, screen.title_bar((0, 0, screen.width, screen.height), "Inbox"))
    first, second = screen.width * 0.18, screen.width * 0.46
    screen.panel((0, y, first, screen.height))
    for i, name in enumerate(("Inbox", "Drafts", "Sent", "Junk", "Archive", "Deleted")):
        screen.text((10, y + 10 + 22 * i), name, 12)
    at = y + 4
    while at < screen.height - 20:
        screen.text((first + 8, at), writing.person(rng), 12)
        at = screen.lines((first + 8, at + 16, second - 8, at + 46), 9, screen.look.faint, 2) + 6
        screen.draw.line([(first, at), (second, at)], screen.look.panel)
    screen.draw.line([(second, y), (second, screen.height)], screen.look.faint)
    screen.text((second + 12, y + 10), screen.words(3), 17)
    screen.lines((second + 12, y + 44, screen.width - 12, screen.height * 0.85), 11)
    return screenshot(studio, screen.image, "mail program")


def calendar(studio: Studio) -> Rendered:
    """Render a calendar program's month."""
    screen = Screen(studio, *size_of_screen(studio))
    rng = screen.rng
    screen.text((14, 8), f"{rng.choice(writing.MONTHS)} {rng.randint(2001, 2030)}", 20)
    width, height = screen.width / 7, (screen.height - 40) / 5
    for day in range(35):
        x, y = day % 7 * width, 40 + day // 7 * height
        screen.draw.rectangle((x, y, x + width, y + height), outline=screen.look.faint)
        screen.text((x + 4, y + 2), str(day % 31 + 1), 11)
        if rng.random() < 0.35:
            screen.panel((x + 3, y + 18, x + width - 3, y + 32), screen.look.accent, 3)
            screen.text((x + 6, y + 19), writing.word(rng)[:8], 9, (255, 255, 255))
    return screenshot(studio, screen.image, "calendar program")


def login(studio: Studio) -> Rendered:
    """Render a page that asks for a name and a password."""
    screen = Screen(studio, *size_of_screen(studio))
    if screen.rng.random() < 0.4:
        screen.image.paste(studio.backdrop(screen.image.size, 0.5), (0, 0))
    left, top = screen.width / 2 - 120, screen.height / 2 - 110
    screen.panel((left, top, left + 240, top + 220), screen.look.ground, 8, screen.look.faint)
    screen.text((left + 20, top + 16), "Sign in", 22)
    for i, name in enumerate(("Email", "Password")):
        screen.text((left + 20, top + 56 + 50 * i), name, 11)
        screen.field(
            (left + 20, top + 72 + 50 * i, left + 220, top + 94 + 50 * i), "•••••••" if i else "name@example.org"
        )
    screen.button((left + 20, top + 168), "Log in")
    return screenshot(studio, screen.image, "log-in page")


def player(studio: Studio) -> Rendered:
    """Render a video player with its controls and a list of videos."""
    screen = Screen(studio, *size_of_screen(studio))
    rng = screen.rng
    right, bottom = screen.width * 0.7, screen.height * 0.68
    screen.panel((0, 0, screen.width, 26))
    screen.picture((8, 32, right, bottom))
    screen.panel((8, bottom - 18, right, bottom), (20, 20, 20))
    screen.panel((8, bottom - 20, 8 + right * rng.random(), bottom - 17), (230, 30, 30))
    screen.text((14, bottom - 16), "1:24 / 5:02", 10, (255, 255, 255))
    screen.text((8, bottom + 8), screen.words(4), 16)
    screen.lines((8, bottom + 34, right, screen.height), 10)
    y = 32.0
    while y < screen.height - 50:
        screen.picture((right + 10, y, right + 80, y + 42))
        screen.lines((right + 86, y, screen.width - 4, y + 42), 9, most=3)
        y += 50
    return screenshot(studio, screen.image, "video player")


TEMPLATES = (mail, calendar, login, player)
