"""Screenshots of whole desktops with windows on them."""

from __future__ import annotations

from collections.abc import Callable

from tools.pocket.rendered import writing
from tools.pocket.rendered.picture import Rendered
from tools.pocket.rendered.screens import (
    screenshot,
    wallpaper,
    write_cells,
    write_code,
    write_dialog,
    write_files,
    write_terminal,
)
from tools.pocket.rendered.studio import Studio
from tools.pocket.rendered.widgets import Box, Screen, theme

_WINDOWS: tuple[Callable[[Screen, Box], None], ...] = (
    write_terminal,
    write_code,
    write_cells,
    write_dialog,
    write_files,
)


def desktop(studio: Studio) -> Rendered:
    """Render a desktop with wallpaper, icons, a task bar and windows."""
    rng = studio.rng
    width = rng.randint(620, 960)
    screen = Screen(studio, width, round(width * rng.choice([0.5625, 0.625, 0.75])))
    screen.image.paste(wallpaper(studio, screen.image.size), (0, 0))
    for i in range(rng.randint(0, 9)):
        x, y = 14 + 60 * (i // 5), 30 + 62 * (i % 5)
        screen.icon(x, y, 30)
        screen.text((x - 6, y + 34), writing.word(rng)[:8], 9, (255, 255, 255))
    for _ in range(rng.choice([0, 1, 1, 2, 2, 3])):
        w, h = screen.width * rng.uniform(0.35, 0.75), screen.height * rng.uniform(0.35, 0.75)
        left, top = rng.uniform(0, screen.width - w), rng.uniform(20, screen.height - h)
        screen.look = theme(rng)
        screen.panel((left + 4, top + 4, left + w + 4, top + h + 4), (40, 40, 40))
        rng.choice(_WINDOWS)(screen, (left, top, left + w, top + h))
    top = rng.choice([0, screen.height - 26])
    bar = rng.choice([(30, 30, 34), (235, 235, 238), (20, 60, 110)])
    screen.panel((0, top, screen.width, top + 26), bar)
    for i in range(rng.randint(3, 10)):
        screen.icon(8 + 28 * i, top + 4, 18)
    screen.text(
        (screen.width - 60, top + 5),
        f"{rng.randint(0, 23)}:{rng.randint(0, 59):02d}",
        12,
        (255, 255, 255) if sum(bar) < 300 else (20, 20, 20),
    )
    return screenshot(studio, screen.image, "desktop", ("computer desktop", "desktop with windows"))


TEMPLATES = (desktop, desktop)
