"""The model and the contrastive loss for open_clip's trainer.

Pairs that share a class or caption are not treated as negatives. So each row of tokens ends with the number of its
*group*, which is passed to the loss with the features, through gradient accumulation and between processes.
"""

from __future__ import annotations

from typing import Any

import torch
from torch.nn import functional
from torch.nn.modules.batchnorm import _BatchNorm

from clipcli.training._open_clip import ClipLoss

__all__ = ["GroupedLoss", "TwoTowers"]


class TwoTowers(torch.nn.Module):
    """open_clip's model for token rows that end with their group.

    Parameters
    ----------
    network
        open_clip's ``CLIP`` or ``CustomTextCLIP``.
    keep_statistics
        Whether batch normalisations keep their means and variances: in fine-tuning, small batches would degrade them,
        and the weights could not be interpolated with the initial ones.
    """

    def __init__(self, network: Any, *, keep_statistics: bool) -> None:
        super().__init__()
        self.network = network
        self._keep_statistics = keep_statistics

    @property
    def logit_scale(self) -> Any:
        """The logarithm of the logit scale; the trainer bounds it after each step."""
        return self.network.logit_scale

    def train(self, mode: bool = True) -> TwoTowers:
        """Switch between training and evaluation."""
        super().train(mode)
        if self._keep_statistics:
            for module in self.network.modules():
                if isinstance(module, _BatchNorm):
                    module.eval()
        return self

    def forward(self, images: torch.Tensor, rows: torch.Tensor) -> dict[str, torch.Tensor]:
        """Encode N images (N, 3, H, W) and N token rows (N, L + 1)."""
        output = self.network(images.contiguous(memory_format=torch.channels_last), rows[:, :-1])
        names = ("image_features", "text_features", "logit_scale", "logit_bias")
        named = output if isinstance(output, dict) else dict(zip(names, output, strict=False))
        return {name: named[name] for name in names if name in named} | {"groups": rows[:, -1]}


class GroupedLoss(ClipLoss):  # type: ignore[misc]
    """The contrastive loss for pairs with several positives.

    The target of a row of logits is shared evenly among all members of its group, as in UniCL (Yang et
    al. 2022, *Unified Contrastive Learning in Image-Text-Label Space*); the same over columns, averaged. In
    a batch without repeats this is CLIP's loss. For a model with a logit bias it is SigLIP's (Zhai et al.
    2023), with a positive sign for each pair of one group.
    """

    def __init__(self, rank: int = 0, world_size: int = 1) -> None:
        super().__init__(gather_with_grad=True, rank=rank, world_size=world_size)

    def forward(
        self,
        image_features: torch.Tensor,
        text_features: torch.Tensor,
        logit_scale: torch.Tensor,
        logit_bias: torch.Tensor | None = None,
        groups: torch.Tensor | None = None,
        output_dict: bool = False,
    ) -> Any:
        """Return the loss of the batch of all processes, from (N, D) features of unit length and (N,) groups."""
        logits, of_texts = self.get_logits(image_features, text_features, logit_scale, logit_bias)
        same = self._same(groups, len(logits), logits)
        if logit_bias is None:
            targets = same / same.sum(dim=1, keepdim=True)
            loss = (functional.cross_entropy(logits, targets) + functional.cross_entropy(of_texts, targets)) / 2
        else:
            loss = -functional.logsigmoid((2.0 * same - 1.0) * logits).sum() / len(logits)
        return {"contrastive_loss": loss} if output_dict else loss

    def _same(self, groups: torch.Tensor | None, count: int, like: torch.Tensor) -> torch.Tensor:
        """Return (N, N), 1 for two pairs in the same group, else 0."""
        if groups is None:
            return torch.eye(count, dtype=like.dtype, device=like.device)
        if self.world_size > 1:
            parts = [torch.empty_like(groups) for _ in range(self.world_size)]
            torch.distributed.all_gather(parts, groups.contiguous())
            groups = torch.cat(parts)
        return (groups[:, None] == groups[None, :]).to(like.dtype)
