"""What to embed, where to, and how: a form."""

from __future__ import annotations

from typing import TYPE_CHECKING

from magicgui.types import FileDialogMode

from napari_samri._qt.form import (
    FOLDER,
    LAYERS,
    MANIFEST,
    JobForm,
    chosen_path,
    file_row,
    rows_of,
)
from napari_samri.work import EmbedConfig, EmbedTask, bank_path

if TYPE_CHECKING:
    from pathlib import Path


class EmbedForm(JobForm):
    """What is embedded, and how.

    Parameters
    ----------
    device : str
        Chosen at first.
    keep : bool
        Whether jobs outlive the viewer at first.
    """

    def __init__(self, device: str, keep: bool) -> None:
        super().__init__(
            (FOLDER, MANIFEST, LAYERS),
            ("Embed", _SOURCE_TIP),
            file_row(FileDialogMode.OPTIONAL_FILE, "Bank", "*.zarr", _OUT_TIP),
            {**rows_of(EmbedConfig, device=device), **rows_of(EmbedTask)},
            keep,
            _KEEP_TIP,
        )

    def task(self, model: str) -> EmbedTask:
        """Return the task that it asks for; of layers, without their data.

        Raises
        ------
        InputError
            If something is missing or makes no sense.
        """
        data = self.data()
        source = self.path() if self.source.value == "manifest" else None
        out = bank_path(chosen_path(self.out))
        config = EmbedConfig(
            manifest=source or _manifest_of(out), out=out, model=model, **self.given(EmbedConfig)
        )
        return EmbedTask(config=config, data=data, **self.given(EmbedTask))


def _manifest_of(bank: Path) -> Path:
    return bank.with_suffix(".json")


_SOURCE_TIP = "Slices with labels: of a whole data set, of a prepared manifest, or of two layers"
_OUT_TIP = (
    "A new name, NAME.zarr, or a bank that is there: what it has already is not embedded again"
)
_KEEP_TIP = (
    "On: it goes on without the window, and this widget finds it again. Off: it stops after the "
    "slice under way; embed again to go on. Nothing is lost either way"
)
