"""How the built-in model ``pocket`` is made and measured."""

from clipcli.models._torchvision import import_open_clip

import_open_clip()  # before timm is imported anywhere here: it, too, fails where torchvision does not fit torch
