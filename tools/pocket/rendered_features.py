"""Render pictures for training, and save their features with captions and questions.

python -m tools.pocket.rendered_features --work tools/pocket/work --count 400
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from tools.pocket.features import Array, FeatureExtractor
from tools.pocket.rendered import rendered_pictures
from tools.pocket.views import plain_view


def main(arguments: Sequence[str] | None = None) -> None:
    """Render, encode, save."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--train", type=Path, default=Path("../shared/train"))
    parser.add_argument("--work", type=Path, default=Path("tools/pocket/work"))
    parser.add_argument("--count", type=int, default=400, help="pictures of each kind")
    given = parser.parse_args(arguments)
    facts: list[dict[str, Any]] = []

    def views() -> Iterator[Array]:
        for picture in rendered_pictures(given.count, data=given.train):
            made = picture.rendered
            facts.append({"kind": picture.kind, "captions": made.captions, "questions": made.questions})
            yield plain_view(made.image)

    features = FeatureExtractor().features(views())
    np.save(given.work / "rendered.npy", features.astype(np.float16))
    (given.work / "rendered.json").write_text(json.dumps(facts), encoding="utf-8")
    print(len(facts), features.shape)


if __name__ == "__main__":
    main()
