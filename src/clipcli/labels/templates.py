"""Prompt templates: parsing, filling, and the built-in template sets.

A template is one line of text with exactly one place for the label, written ``{}`` or ``{label}``.
Filling is plain text replacement, never ``str.format``, so a template cannot reach attributes and a
label may contain any character. ``a/an`` becomes the article that the next word needs, or nothing if the label starts
with an article ("the Eiffel Tower").
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from clipcli.errors import TemplateError
from clipcli.labels.articles import article_for
from clipcli.text import is_unicode, near_matches, numbered_lines, read_text

__all__ = [
    "DEFAULT_TEMPLATE",
    "Template",
    "builtin_set_names",
    "builtin_set_path",
    "has_placeholder",
    "load_templates",
    "parse_template",
    "parse_template_file",
    "resolve_templates",
]

DEFAULT_TEMPLATE = "a photo of a/an {label}"

_PLACE = re.compile(r"\{(?:label)?\}")
_PLACEHOLDER = re.compile(r"\{\s*\w*\s*\}")
_ARTICLE_PLACE = re.compile(r"\b([aA])/an (?=(\S+))")


@dataclass(frozen=True)
class Template:
    """A valid prompt template: ``text`` has exactly one placeholder for the label."""

    text: str

    def fill(self, label: str) -> str:
        """Return the prompt for one label, e.g. ``"a photo of an owl"``."""
        with_article = _ARTICLE_PLACE.sub(
            lambda place: _as_written(article_for(_PLACE.sub(lambda _: label, place[2])), place[1]), self.text
        )
        return _PLACE.sub(lambda _: label, with_article)


def _as_written(article: str, first_letter: str) -> str:
    """Replace ``a/an`` or ``A/an`` by the article and a space, or by nothing."""
    return (article.capitalize() if first_letter == "A" else article) + " " * bool(article)


def has_placeholder(text: str) -> bool:
    """Return whether a text is a template: whether it has a word, or nothing, in braces."""
    return bool(_PLACEHOLDER.search(text))


def parse_template(text: str, where: str = "template") -> Template:
    """Check one template.

    Parameters
    ----------
    text
        The template, e.g. ``"a photo of a {label}"``.
    where
        The name of the template in errors: an option, or ``file:line``.

    Raises
    ------
    TemplateError
        If it does not have exactly one placeholder for the label, or has another placeholder.
    """
    template = text.strip()
    if not is_unicode(template):
        raise TemplateError(f"{where}: {template!r} is not valid Unicode text")
    places = _PLACE.findall(template)
    rest = _PLACE.sub("", template)
    if "{" in rest or "}" in rest:
        raise TemplateError(f"{where}: unknown placeholder in {template!r} (use {{}} or {{label}})")
    if len(places) != 1:
        found = "no placeholder" if not places else f"{len(places)} placeholders"
        raise TemplateError(f"{where}: {found} for the label in {template!r} (write {{label}} exactly once)")
    return Template(template)


def parse_template_file(text: str, where: str) -> list[Template]:
    """Parse a template set: one template per line, without ``#`` comments and blank lines."""
    templates: list[Template] = []
    for number, line in numbered_lines(text):
        if line.startswith("#"):
            continue
        template = parse_template(line, f"{where}:{number}")
        if template not in templates:
            templates.append(template)
    if not templates:
        raise TemplateError(f"{where}: it has no templates")
    return templates


def _set_folder() -> Path:
    """Find the built-in sets: in the installed wheel, or next to ``src`` in a source checkout."""
    package = Path(__file__).resolve().parents[1]
    installed = package / "prompt_sets"
    return installed if installed.is_dir() else package.parents[1] / "prompts"


def builtin_set_names() -> list[str]:
    """Return the names of the built-in template sets, sorted."""
    return sorted(path.stem for path in _set_folder().glob("*.txt"))


def builtin_set_path(name: str) -> Path:
    """Return the file of one built-in set.

    Raises
    ------
    TemplateError
        If there is no set of that name; the message names near matches.
    """
    names = builtin_set_names()
    if name not in names:
        raise TemplateError(f"no template set or file {name!r} ({near_matches(name, names)})")
    return _set_folder() / f"{name}.txt"


def load_templates(name_or_file: str) -> list[Template]:
    """Load a built-in template set, or a file.

    A built-in name takes precedence over a file of the same name; write ``./photo`` for the file.
    """
    if name_or_file not in builtin_set_names() and _is_file(name_or_file):
        path = Path(name_or_file)
    else:
        path = builtin_set_path(name_or_file)
    return parse_template_file(read_text(path, TemplateError), name_or_file)


def _is_file(name: str) -> bool:
    try:
        return Path(name).is_file()
    except OSError:  # such as a template in place of a name: too long for a file name
        return False


def resolve_templates(templates: list[str] | None = None, sets: list[str] | None = None) -> list[Template]:
    """Return the templates of ``--template`` and ``--prompts``, or the default one if there are none."""
    gathered = [parse_template(text, "--template") for text in templates or []]
    for name in sets or []:
        gathered.extend(load_templates(name))
    return list(dict.fromkeys(gathered)) or [Template(DEFAULT_TEMPLATE)]
