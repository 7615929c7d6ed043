"""``clipcli serve``: a model that stays open, behind HTTP."""
