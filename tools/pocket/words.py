"""Train a text encoder on words alone: the start for the one that also learns from pictures.

    python -m tools.pocket.words --work tools/pocket/work

It learns to place a word where the image network's classifier has what the word names, and is saved as
``words.safetensors``. A checkpoint in the work folder lets an interrupted run continue with the same options.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import save_file
from tools.pocket import checkpoint, image_tower, space
from tools.pocket.batches import POOL, Batches
from tools.pocket.lexicon import build_lexicon
from tools.pocket.schedule import learning_rate
from tools.pocket.text_tower import build_text_tower, short_context, start_from_minilm, tokenizer
from torch import nn
from torch.nn import functional
from torch.nn.attention import SDPBackend, sdpa_kernel

CLASS_SCALE = 25.0  # sharpness of the class distributions that teacher and student are compared by
COSINE_SHARE = 5.0
FAST_BFLOAT16 = bool(torch.cpu.get_capabilities().get("amx_bf16"))


@dataclass(frozen=True)
class Options:
    """What a run is made of; a checkpoint is only used by a run with the same options."""

    steps: int
    batch: int
    rate: float
    seed: int
    held_out: tuple[str, ...] = ()


def train_text(tower: nn.Module, batches: Batches, leaves: torch.Tensor, options: Options, work: Path) -> None:
    """Train ``tower`` in place, checkpointing after every pool of batches.

    Parameters
    ----------
    leaves : (C, D) float32, unit vectors of the classes
    """
    optimizer = torch.optim.AdamW(tower.parameters(), lr=options.rate, betas=(0.9, 0.98), weight_decay=0.01, fused=True)
    step = checkpoint.restore(work / "checkpoint.pt", tower, optimizer, options)
    started, first = time.monotonic(), step
    while step < options.steps:
        total = 0.0
        for tokens, wanted in batches.pool(options.seed + 1_000_003 * step):
            optimizer.param_groups[0]["lr"] = learning_rate(step, options.steps, options.rate)
            loss = text_loss(tower, tokens, wanted, leaves)
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(tower.parameters(), 1.0)
            optimizer.step()
            total += loss.item()
            step += 1
        checkpoint.save(work / "checkpoint.pt", tower, optimizer, options, step)
        pace = (time.monotonic() - started) / (step - first)
        print(f"step {step}/{options.steps}  loss {total / POOL:.4f}  {pace:.2f} s/step", flush=True)


def text_loss(tower: nn.Module, tokens: torch.Tensor, wanted: torch.Tensor, leaves: torch.Tensor) -> torch.Tensor:
    """Cosine distance to the wanted vectors, and divergence from their distribution over the classes.

    Parameters
    ----------
    tokens : (B, L) int64
    wanted : (B, D) float32 of unit length
    leaves : (C, D) float32
    """
    # The fused attention kernel is the slower one for a dozen tokens; bfloat16 helps where the CPU has it.
    with (
        short_context(tower, tokens.shape[1]),
        sdpa_kernel(SDPBackend.MATH),
        torch.autocast("cpu", torch.bfloat16, enabled=FAST_BFLOAT16),
    ):
        features = tower(tokens)  # (B, D)
    found = functional.normalize(features.float(), dim=1)
    distance = 1.0 - (found * wanted).sum(dim=1).mean()
    target = functional.softmax(CLASS_SCALE * wanted @ leaves.T, dim=1)  # (B, C)
    given = functional.log_softmax(CLASS_SCALE * found @ leaves.T, dim=1)  # (B, C)
    return COSINE_SHARE * distance + functional.kl_div(given, target, reduction="batchmean")


def parse_arguments(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--wordnet", type=Path, default=Path("/usr/share/wordnet"), help="WordNet 3.0's database files")
    parser.add_argument("--work", type=Path, default=Path("tools/pocket/work"), help="checkpoint and cached embeddings")
    parser.add_argument("--steps", type=int, default=6000)
    parser.add_argument("--batch", type=int, default=512)
    parser.add_argument("--rate", type=float, default=1.5e-3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--held-out", type=Path, help="a file of words, one a line, to leave out (for checks)")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> None:
    """Train and save."""
    given = parse_arguments(arguments)
    torch.set_num_threads(given.threads)
    given.work.mkdir(parents=True, exist_ok=True)
    held_out = tuple(given.held_out.read_text().splitlines()) if given.held_out else ()
    options = Options(given.steps, given.batch, given.rate, given.seed, held_out)
    torch.manual_seed(options.seed)
    trunk = image_tower.load_trunk()
    directions = image_tower.class_directions(trunk)
    projection = space.joint_projection(directions, image_tower.mean_feature(trunk))
    leaves = space.class_vectors(directions, projection)
    lexicon = build_lexicon(given.wordnet, given.work, leaves, seed=options.seed, held_out=held_out)
    tower = build_text_tower()
    start_from_minilm(tower, given.work)
    batches = Batches(lexicon, tokenizer(), options.batch)
    train_text(tower, batches, torch.from_numpy(leaves), options, given.work)
    tensors = {f"text.{name}": tensor.half().contiguous() for name, tensor in tower.state_dict().items()}
    save_file(tensors, given.work / "words.safetensors")


if __name__ == "__main__":
    main()
