"""Make ``pocket`` from the training pictures: every step in order, each skipped where its result is there.

    python -m tools.pocket.train --train ../shared/train --out src/clipcli/models/pocket

1. ``words``: a text encoder that knows words (no pictures)
2. ``features``: the locked image network's features of all training pictures
3. ``rendered_features``: the same of pictures that are rendered for training
4. ``train_head``: the head and an adapter of MiniLM, on captions and label lists
5. ``train_text``: the text encoder learns the adapter's vectors; the model folder is written

Every step may be interrupted; the same command continues where it stopped.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from tools.pocket import features, rendered_features, train_head, train_text, words


def main(arguments: Sequence[str] | None = None) -> None:
    """Run all steps."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder for the weights and the configuration")
    parser.add_argument("--train", type=Path, default=Path("../shared/train"), help="folder of archives of pictures")
    parser.add_argument("--work", type=Path, default=Path("tools/pocket/work"), help="results of the single steps")
    parser.add_argument("--wordnet", type=Path, default=Path("/usr/share/wordnet"), help="WordNet 3.0's database files")
    given = parser.parse_args(arguments)
    work, pictures = ["--work", str(given.work)], ["--train", str(given.train)]
    nouns = ["--wordnet", str(given.wordnet)]
    if not (given.work / "words.safetensors").exists():
        words.main([*work, *nouns])
    features.main([*pictures, *work, "--views", "2"])
    if not (given.work / "rendered.json").exists():
        rendered_features.main([*pictures, *work])
    train_head.main([*pictures, *work, *nouns])
    train_text.main([*pictures, *work, *nouns, "--out", str(given.out)])


if __name__ == "__main__":
    main()
