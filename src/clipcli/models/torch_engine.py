"""The engine that runs a model as open_clip built it, with torch."""

from __future__ import annotations

from functools import cached_property

from clipcli.models.backend import Opening
from clipcli.models.devices import choose_device, choose_precision
from clipcli.models.encoders import ImageEncoder, TextEncoder
from clipcli.models.model import Model, open_model

__all__ = ["Backend"]


class Backend:
    """A model run by torch; see :class:`clipcli.models.backend.Backend`."""

    def __init__(self, opening: Opening) -> None:
        self._opening = opening

    @cached_property
    def model(self) -> Model:
        """The model, opened on first use."""
        return open_model(self._opening.source, self._opening.device, self._opening.precision)

    @property
    def is_loaded(self) -> bool:
        """Whether it had to be opened so far."""
        return "model" in self.__dict__

    @property
    def device(self) -> str:
        """Where it runs."""
        return self.model.device

    def arithmetic(self) -> str:
        """Return what the image encoder computes in."""
        if self.is_loaded:
            return self.model.precision
        if self._opening.precision != "auto":
            return choose_precision(self._opening.precision, "")
        return choose_precision("auto", choose_device(self._opening.device))

    def scale(self) -> tuple[float, float | None]:
        """Return the model's logit scale and bias."""
        return self.model.logit_scale, self.model.logit_bias

    def image_encoder(self) -> ImageEncoder:
        """Return the image encoder."""
        return self.model.image_encoder

    def text_encoder(self) -> TextEncoder:
        """Return the text encoder."""
        return self.model.text_encoder
