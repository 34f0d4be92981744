"""The encoder of a batch run: loaded once per process, slices in, features out."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

from napari_samri.embeddings import encode_input
from napari_samri.embeddings.bank import BankHeader
from napari_samri.errors import Cancelled
from napari_samri.models import bound_threads, load_model

if TYPE_CHECKING:
    from napari_samri.embeddings import Features
    from napari_samri.geometry import Frame
    from napari_samri.jobs import Cancel
    from napari_samri.models import LoadedModel, Preprocessing


class BankEncoder:
    """Encodes slices for a bank.

    Parameters
    ----------
    model : LoadedModel
    """

    def __init__(self, model: LoadedModel) -> None:
        self._model = model
        self.frame = lru_cache(maxsize=16)(self._make_frame)

    @property
    def preprocessing(self) -> Preprocessing:
        """The preprocessing of slices."""
        return self._model.preprocessing

    def header(self, quantisation: Any, turn: int = 0) -> BankHeader:
        """Return the header of a bank with this encoder's embeddings."""
        layout = self._model.network.layout
        return BankHeader(
            architecture=self._model.spec.architecture,
            encoder=self._model.encoder,
            family=self.preprocessing.id,
            preprocessing=self.preprocessing.identity,
            input_size=layout.input_size,
            low_res_size=layout.low_res_size,
            features=layout.features,
            quantisation=quantisation,
            turn=turn,
        )

    def __call__(self, input_image: Any, cancel: Cancel) -> Features:
        """Return the features of an encoder's input (1, C, S, S), in float32.

        Raises
        ------
        Cancelled
            If `cancel` says so while the encoder works.
        """

        def checkpoint(_: float) -> None:
            if cancel():
                raise Cancelled

        model = self._model
        return encode_input(model.network, input_image, model.device, checkpoint)

    def _make_frame(self, shape: tuple[int, int]) -> Frame:
        return self._model.preprocessing.make_frame(shape)


@lru_cache(maxsize=1)
def load_encoder(model: str, device: str, family: str | None) -> BankEncoder:
    """Load a model's encoder; a process that asks again gets the same one.

    Raises
    ------
    ModelError, DownloadError, InputError
        If the model is unknown, cannot be had, or is not what it should be.
    """
    bound_threads()
    return BankEncoder(load_model(model, device, family=family))
