"""The head that `pocket` is trained with, and open_clip's layers that it is saved as."""

from __future__ import annotations

import torch
from tools.pocket.bank import FREE, Axes
from tools.pocket.head import HIDDEN, JOINT, WIDTH, Head
from tools.pocket.moved import SURE, Mover
from torch.nn import functional

CLASSES, FEATURES = HIDDEN - FREE, 520


def test_the_exported_layers_give_what_the_head_gives() -> None:
    torch.manual_seed(0)
    features = torch.rand(600, FEATURES)
    axes = Axes(features, torch.randn(CLASSES, FEATURES), torch.randn(CLASSES))
    head = Head(CLASSES).eval()
    layers = head.layers(axes)
    hidden = functional.gelu(functional.linear(features[:5], layers["fc1.weight"], layers["fc1.bias"]))
    out = functional.linear(hidden, layers["fc2.weight"], layers["fc2.bias"])
    assert out.shape == (5, WIDTH)
    assert not out[:, JOINT:].any()
    with torch.no_grad():
        torch.testing.assert_close(out[:, :JOINT], head(axes.seen(features[:5])), rtol=1e-3, atol=1e-2)


def test_moved_logits_are_as_sure_of_their_class_as_a_photograph() -> None:
    generator = torch.Generator().manual_seed(0)
    features, rows = torch.rand(200, 32, generator=generator), torch.randn(10, 32, generator=generator)
    mover = Mover(rows, torch.zeros(10), features)
    classes = torch.arange(10)
    logits = features[:10] @ rows.T
    moved = mover.move(logits, classes, generator)
    before, after = (torch.softmax(each, dim=1)[classes, classes] for each in (logits, moved))
    assert ((after > SURE[0] - 0.01) & (after < SURE[1] + 0.01)).all()
    assert after.mean() > before.mean() + 0.2
