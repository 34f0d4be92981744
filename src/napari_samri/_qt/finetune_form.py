"""What to train on, where to, and how: a form."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from magicgui.types import FileDialogMode
from magicgui.widgets import CheckBox

from napari_samri._qt.form import (
    BANK,
    FOLDER,
    LAYERS,
    MANIFEST,
    JobForm,
    chosen_path,
    file_row,
    rows_of,
)
from napari_samri._qt.job_progress import show_text, wrapped
from napari_samri.training import TrainConfig, find_objective
from napari_samri.work import (
    FEW_MASKS,
    RUN_BANK,
    FinetuneTask,
    existing_bank,
    run_folder,
    suggested_numbers,
)

if TYPE_CHECKING:
    from pathlib import Path

    from napari_samri.work import Facts


class FinetuneForm(JobForm):
    """What is trained on, and how.

    Parameters
    ----------
    device : str
        Chosen at first.
    keep : bool
        Whether jobs outlive the viewer at first.
    """

    def __init__(self, device: str, keep: bool) -> None:
        small = CheckBox(label="", text="Small data", value=True, tooltip=_SMALL_TIP)
        how: dict[str, Any] = {}
        for name, row in rows_of(TrainConfig, device=device, objective="simple").items():
            how |= {"small": small, name: row} if name == "epochs" else {name: row}
        super().__init__(
            (LAYERS, BANK, MANIFEST, FOLDER),
            ("Train on", _SOURCE_TIP),
            file_row(FileDialogMode.EXISTING_DIRECTORY, "Result", None, _OUT_TIP),
            how,
            keep,
            _KEEP_TIP,
        )
        self.small = small
        self.facts = wrapped()
        self.layout().addWidget(self.facts, len(self.rows), 0, 1, 2)
        self._facts: Facts | None = None
        self._numbers: dict[str, Any] = {}
        self.small.changed.connect(lambda *_: self._fill())
        self.rows["objective"].changed.connect(lambda *_: self._fill(spare_typed=True))
        self._fill()
        self.show_facts(None)

    def path(self) -> Path:
        """Return what is chosen, as all forms do; of a bank, its folder."""
        if self.source.value == "bank":
            return existing_bank(chosen_path(self.rows["bank"]))
        return super().path()

    def task(self, model: str, *, estimate: bool = False) -> FinetuneTask:
        """Return the task that it asks for; of layers, without their data.

        Raises
        ------
        InputError
            If something is missing or makes no sense.
        """
        data, source = self.data(), self.source.value
        path = None if source == "layers" else self.path()
        out = run_folder(chosen_path(self.out))
        fields = {**self._numbers, **self.given(TrainConfig)}
        fields["objective"] = find_objective(fields["objective"])
        if source == "bank":
            fields["augment"] = 0  # a bank has no images
        config = TrainConfig(
            bank=path if source == "bank" and path is not None else out / RUN_BANK,
            out=out,
            model=model,
            split_slices=True,
            **fields,
        )
        manifest = path if source == "manifest" else None
        return FinetuneTask(config=config, manifest=manifest, data=data, estimate=estimate)

    def show_facts(self, facts: Facts | None, text: str = "") -> None:
        """Say what there is to train on, or why that cannot be told, and choose numbers for it."""
        changed = facts != self._facts
        self._facts = facts
        show_text(self.facts, facts.text if facts else text)
        if facts is not None and changed:
            with self.small.changed.blocked():
                self.small.value = facts.few
            self._fill(spare_typed=True)

    def _fill(self, *, spare_typed: bool = False) -> None:
        """Fill in the numbers of small or of large data; those that were typed may stay."""
        before = self._numbers
        self._numbers = suggested_numbers(
            self._facts, few=self.small.value, objective=self.rows["objective"].value
        )
        for name, number in self._numbers.items():
            row = self.rows.get(name)
            if row is not None and (not spare_typed or row.value == _shown(before.get(name))):
                row.value = _shown(number)

    def _show_source(self) -> None:
        super()._show_source()
        self.show_row("augment", self.source.value != "bank")


def _shown(number: Any) -> Any:
    return f"{number:g}" if isinstance(number, float) else number


_SOURCE_TIP = (
    "An image and the labels drawn on it, a prepared manifest, or a data set, which are embedded "
    "on the way; or a bank, which the Embed widget makes of whole data sets"
)
_OUT_TIP = (
    "Folder of the run, which may be new: the best decoder, the curves, and what a run that was "
    "cancelled goes on from"
)
_SMALL_TIP = (
    f"Numbers for few labels, chosen by itself below {FEW_MASKS:,} masks: many short epochs, a "
    "higher learning rate, and an end when validation gets no better"
)
_KEEP_TIP = (
    "On: it goes on without the window, and this widget finds it again. Off: it stops. The best so "
    "far is kept either way, and Fine-tune goes on from there"
)
