"""Screenshots of single windows: terminals, editors, spreadsheets, dialogs, file managers."""

from __future__ import annotations

from PIL import Image
from tools.pocket.rendered import writing
from tools.pocket.rendered.picture import Rendered
from tools.pocket.rendered.questions import about_medium, among
from tools.pocket.rendered.studio import Studio
from tools.pocket.rendered.surfaces import camera, compressed, cover, lay_on, lit, plain_backdrop, reduced
from tools.pocket.rendered.widgets import Box, Screen, theme

KINDS_OF_SCREEN = (
    "terminal",
    "code editor",
    "web page",
    "spreadsheet",
    "chat app",
    "dialog box",
    "desktop",
    "file manager",
    "phone screen",
)


def screenshot(studio: Studio, image: Image.Image, name: str, more: tuple[str, ...] = ()) -> Rendered:
    """Describe a screenshot; a few are photographed from a monitor."""
    rng = studio.rng
    shown = rng.choice([name, *more])
    captions = [f"a screenshot of a {shown}", "a screenshot", f"screenshot: {shown}"]
    captions.append(rng.choice(["a computer screen", "a user interface", "a screen capture", "a software screenshot"]))
    asked = about_medium(rng, "screenshot")
    if name in KINDS_OF_SCREEN:
        asked.append(among(rng, name, KINDS_OF_SCREEN))
    image = reduced(image)
    if rng.random() < 0.06:
        image = lay_on(image, plain_backdrop((300, 260), rng), rng, rng.uniform(0.9, 1.2), 0.1)
        image, asked = camera(lit(image, rng), rng), asked[2:]
        captions = [f"a photo of a screen that shows a {shown}", "a photo of a computer screen"]
    return Rendered(compressed(image, rng) if rng.random() < 0.25 else image, captions, asked)


def size_of_screen(studio: Studio) -> tuple[int, int]:
    """Choose a window's size: wide, square or tall."""
    width = studio.rng.randint(430, 900)
    return width, round(width * studio.rng.choice([0.5625, 0.5625, 0.625, 0.75, 0.75, 1, 1.2]))


def terminal(studio: Studio) -> Rendered:
    """Render a terminal with commands and their output."""
    rng = studio.rng
    screen = Screen(studio, *size_of_screen(studio), theme(rng, 0.8))
    write_terminal(screen, (0, 0, screen.width, screen.height))
    return screenshot(studio, screen.image, "terminal", ("command line", "console window", "shell"))


def write_terminal(screen: Screen, box: Box) -> None:
    """Write commands and their output into a box of a screen."""
    rng = screen.rng
    left, top, right, bottom = box
    if rng.random() < 0.6:
        top = screen.title_bar(box, rng.choice(["Terminal", "bash", "user@host: ~", "Command Prompt", "PowerShell"]))
    ground, ink = rng.choice(
        [
            ((0, 0, 0), (220, 220, 220)),
            ((12, 12, 12), (0, 230, 60)),
            ((48, 10, 36), (240, 240, 240)),
            ((1, 36, 86), (240, 240, 240)),
        ]
    )
    if not screen.look.is_dark:
        ground, ink = (255, 255, 255), (10, 10, 10)
    screen.panel((left, top, right, bottom), ground)
    size, y = rng.uniform(8, 15), top + 4
    prompt, last = (
        rng.choice(["user@host:~$ ", "$ ", "C:\\> ", "~ % ", ">>> ", "root# "]),
        bottom - rng.choice([0, 0, 0.4]) * (bottom - top),
    )
    while y + size * 1.3 < last:
        command = rng.choice(
            ["ls -la", "git status", "make test", "python train.py", "cd src", "cat notes.txt", "ssh server", "top"]
        )
        screen.text((left + 5, y), prompt, size, rng.choice([(80, 220, 80), (90, 160, 255), ink]), mono=True)
        screen.text((left + 5 + screen.face(size, True).getlength(prompt), y), command, size, ink, mono=True)
        y += size * 1.35
        for _ in range(rng.randint(0, 10)):
            if y + size * 1.3 < last:
                colour = rng.choice([ink, ink, ink, (230, 80, 80), (230, 200, 80), (90, 170, 250)])
                screen.lines(
                    (left + 5, y, left + 5 + (right - left) * rng.uniform(0.15, 0.95), y + size * 1.5),
                    size,
                    colour,
                    1,
                    mono=True,
                )
                y += size * 1.35


_SYNTAX = [(86, 156, 214), (197, 134, 192), (206, 145, 120), (106, 153, 85), (220, 220, 170), (156, 220, 254)]
_SYNTAX_LIGHT = [(0, 0, 200), (160, 0, 160), (163, 21, 21), (0, 128, 0), (120, 90, 0), (30, 30, 30)]
_KEYWORDS = (
    "def",
    "return",
    "if",
    "for",
    "class",
    "import",
    "while",
    "const",
    "let",
    "public",
    "int",
    "else",
    "void",
    "=",
    "(self):",
    "{",
    "}",
    "=>",
    "0",
    "None",
)


def code_editor(studio: Studio) -> Rendered:
    """Render an editor with source code in colours."""
    rng = studio.rng
    screen = Screen(studio, *size_of_screen(studio), theme(rng, 0.65))
    write_code(screen, (0, 0, screen.width, screen.height))
    return screenshot(studio, screen.image, "code editor", ("source code", "programming editor", "computer program"))


def write_code(screen: Screen, box: Box) -> None:
    """Write source code in colours into a box of a screen."""
    rng = screen.rng
    left, top, right, bottom = box
    screen.panel(box, screen.look.ground)
    if rng.random() < 0.5:
        top = screen.title_bar(box, f"{writing.word(rng)}.py")
    side = left + rng.choice([0, (right - left) * 0.2])
    screen.panel((left, top, side, bottom))
    size, number, indent = rng.uniform(8, 14), rng.randint(1, 200), 0
    y = top + 5
    while y + size * 1.4 < bottom:
        if side > left:
            screen.lines(
                (left + 10, y, left + 10 + (side - left) * rng.uniform(0.4, 0.85), y + size * 1.5),
                size,
                screen.look.faint,
                1,
            )
        screen.text((side + 4, y), str(number), size, screen.look.faint, mono=True)
        x = side + size * 3 + indent * size * 1.6
        for _ in range(rng.choice([0, 1, 2, 3, 4, 5])):
            token = rng.choice(
                [rng.choice(_KEYWORDS), f"{writing.word(rng)}()", writing.word(rng), f'"{writing.word(rng)}"']
            )
            screen.text((x, y), token, size, rng.choice(_SYNTAX if screen.look.is_dark else _SYNTAX_LIGHT), mono=True)
            x += (len(token) + 1) * size * 0.6
            if x > right - 60:
                break
        indent = max(0, min(5, indent + rng.choice([-1, 0, 0, 1])))
        number, y = number + 1, y + size * 1.4


def spreadsheet(studio: Studio) -> Rendered:
    """Render a spreadsheet."""
    rng = studio.rng
    screen = Screen(studio, *size_of_screen(studio), theme(rng, 0.1))
    write_cells(screen, (0, 0, screen.width, screen.height))
    return screenshot(studio, screen.image, "spreadsheet", ("table of numbers", "spreadsheet program"))


def write_cells(screen: Screen, box: Box) -> None:
    """Draw a spreadsheet into a box of a screen."""
    rng = screen.rng
    left, _top, right, bottom = box
    screen.panel(box, screen.look.ground)
    y = screen.title_bar(box, f"{screen.words(2)}.xlsx")
    y = screen.menu_bar(left, right, y)
    for x in range(round(left) + 6, round(right) - 20, 22):
        screen.icon(x, y + 3, 14)
    y += 22
    screen.field((left + 60, y, right - 4, y + 17), "=SUM(B2:B14)")
    y += 20
    row, col, size = rng.randint(13, 20), rng.randint(48, 85), rng.uniform(8, 11)
    text = rng.random() < 0.9
    line = (90, 90, 90) if screen.look.is_dark else (208, 208, 208)
    screen.panel((left, y, right, y + row))
    for i, x in enumerate(range(round(left) + 26, round(right), col)):
        screen.draw.line([(x, y), (x, bottom)], line)
        screen.text((x + col / 2 - 4, y + 2), chr(65 + i % 26), size)
    for i, at in enumerate(range(round(y) + row, round(bottom), row)):
        screen.draw.line([(left, at), (right, at)], line)
        screen.text((left + 5, at + 2), str(i + 1), size, screen.look.faint)
        for x in range(round(left) + 28, round(right) - 20, col):
            if text and i < 25 and rng.random() < 0.6:
                screen.text(
                    (x + 2, at + 2), writing.word(rng)[:8] if x < left + 60 else f"{rng.uniform(0, 5000):.1f}", size
                )


def dialog(studio: Studio) -> Rendered:
    """Render a message box, alone or over a dimmed desktop."""
    rng = studio.rng
    screen = Screen(studio, rng.randint(320, 620), rng.randint(260, 420))
    screen.image.paste(wallpaper(studio, screen.image.size), (0, 0))
    inset = rng.choice([0, 0, 40, 60])
    write_dialog(screen, (inset, inset, screen.width - inset, screen.height - inset))
    return screenshot(studio, screen.image, "dialog box", ("error message", "message box", "pop-up window"))


def write_dialog(screen: Screen, box: Box) -> None:
    """Draw a message box into a box of a screen."""
    rng = screen.rng
    left, _, right, bottom = box
    screen.panel(box, screen.look.ground, 6, screen.look.faint)
    y = screen.title_bar(box, rng.choice(["Error", "Warning", "Save changes?", "Update", "Confirm", "Properties"])) + 14
    screen.icon(left + 14, y, 34)
    y = screen.lines((left + 60, y, right - 14, bottom - 50), rng.uniform(11, 14), most=rng.randint(1, 6))
    if rng.random() < 0.4 and y < bottom - 80:
        screen.panel((left + 20, y + 8, right - 20, y + 18))
        screen.panel((left + 20, y + 8, left + 20 + (right - left - 40) * rng.random(), y + 18), screen.look.accent)
    x = right - 14
    for i, name in enumerate(rng.sample(["OK", "Cancel", "Yes", "No", "Retry", "Close", "Help"], rng.randint(1, 3))):
        x -= screen.face(12).getlength(name) + 34
        screen.button((x, bottom - 36), name, i == 0)


def file_manager(studio: Studio) -> Rendered:
    """Render a file manager with icons or a list."""
    screen = Screen(studio, *size_of_screen(studio))
    write_files(screen, (0, 0, screen.width, screen.height))
    return screenshot(studio, screen.image, "file manager", ("folder window", "list of files"))


def write_files(screen: Screen, box: Box) -> None:
    """Draw a file manager into a box of a screen."""
    rng = screen.rng
    left, _, right, bottom = box
    screen.panel(box, screen.look.ground)
    y = screen.title_bar(box, screen.words(1))
    screen.field((left + 50, y + 4, right - 60, y + 24), f"/home/{writing.word(rng)}/{writing.word(rng)}")
    y += 30
    side = left + rng.randint(70, 130)
    screen.panel((left, y, side, bottom))
    for i, at in enumerate(range(round(y) + 8, round(bottom) - 16, 20)):
        if i < 9:
            screen.icon(left + 6, at, 11)
            screen.text((left + 22, at), writing.word(rng).title()[:9], 11)
    if rng.random() < 0.5:
        for at in range(round(y) + 6, round(bottom) - 16, 18):
            screen.icon(side + 8, at, 12)
            screen.text((side + 26, at), f"{writing.word(rng)}.{rng.choice(['txt', 'pdf', 'jpg', 'docx', 'zip'])}", 11)
            if right - side > 260:
                screen.text((right - 120, at), f"{rng.randint(1, 999)} KB   {writing.date(rng)}", 10, screen.look.faint)
        return
    pictures, step = rng.random() < 0.4, rng.randint(56, 84)
    for at in range(round(y) + 10, round(bottom) - step, step + 8):
        for x in range(round(side) + 12, round(right) - step, step + 6):
            if pictures:
                screen.picture((x, at, x + step - 16, at + step - 26))
            else:
                screen.panel(
                    (x + 6, at, x + step - 22, at + step - 28),
                    rng.choice([(255, 202, 80), (120, 170, 240), screen.look.panel]),
                    3,
                    screen.look.faint,
                )
            screen.text((x, at + step - 24), writing.word(rng)[:9], 9)


def wallpaper(studio: Studio, size: tuple[int, int]) -> Image.Image:
    """Return an outdoor photograph or a plain ground."""
    if studio.rng.random() < 0.6:
        return cover(studio.photo("outdoor")[0], size)
    return plain_backdrop(size, studio.rng)


TEMPLATES = (terminal, code_editor, spreadsheet, dialog, file_manager)
