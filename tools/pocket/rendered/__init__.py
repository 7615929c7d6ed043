"""Pictures that no archive holds, rendered for training: pages, screens, signs, colours, counts, nights, sketches.

from tools.pocket.rendered import render, rendered_pictures
python -m tools.pocket.rendered --out FOLDER      # the labelled folders that measure
"""

from __future__ import annotations

from tools.pocket.rendered.picture import Question, Rendered
from tools.pocket.rendered.registry import KINDS, RenderedPicture, render, rendered_pictures

__all__ = ["KINDS", "Question", "Rendered", "RenderedPicture", "render", "rendered_pictures"]
