"""What to train on, where to, and how: a form."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from magicgui.types import FileDialogMode
from magicgui.widgets import CheckBox, ComboBox, LineEdit, SpinBox

from napari_samri._napari import FEW_MASKS, suggested_numbers
from napari_samri._qt.form import JobForm, chosen_path, file_row
from napari_samri._qt.job_progress import show_text, wrapped
from napari_samri.errors import InputError
from napari_samri.geometry import TURNS
from napari_samri.training import OBJECTIVES

if TYPE_CHECKING:
    from pathlib import Path

    from napari.layers import Image, Labels

    from napari_samri._napari import Facts

Source = Literal["layers", "bank"]
SOURCES: tuple[tuple[str, Source], ...] = (("open layers", "layers"), ("bank", "bank"))
MOST = 1_000_000


@dataclass(frozen=True, eq=False)
class Choices:
    """What the form says."""

    source: Source
    bank: Path | None
    image: Image | None
    labels: Labels | Image | None  # what is open as an image may be labels
    out: Path | None
    objective: str
    components: bool
    augment: int
    device: str
    numbers: dict[str, Any]


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
        out = file_row(FileDialogMode.EXISTING_DIRECTORY, "Result", None, _OUT_TIP)
        super().__init__(out, device, keep, _KEEP_TIP)
        self.source = ComboBox(label="Train on", choices=SOURCES, tooltip=_SOURCE_TIP)
        self.bank = file_row(FileDialogMode.EXISTING_DIRECTORY, "Bank", None, _BANK_TIP)
        self.objective = ComboBox(
            label="Objective", choices=list(OBJECTIVES), value="simple", tooltip=_OBJECTIVE_TIP
        )
        self.components = CheckBox(
            label="", text="Each piece by itself", value=False, tooltip=_COMPONENTS_TIP
        )
        self.augment = SpinBox(label="Turned copies", min=0, max=TURNS - 1, tooltip=_AUGMENT_TIP)
        self.small = CheckBox(label="", text="Small data", value=True, tooltip=_SMALL_TIP)
        self.epochs = SpinBox(label="Epochs", min=1, max=MOST, tooltip=_EPOCHS_TIP)
        self.batch = SpinBox(label="Batch", min=1, max=MOST, tooltip=_BATCH_TIP)
        self.rate = LineEdit(label="Learning rate", tooltip=_RATE_TIP)
        self.patience = SpinBox(label="Patience", min=0, max=MOST, tooltip=_PATIENCE_TIP)
        sources = [self.source, self.bank, self.image, self.labels]
        numbers = [self.small, self.epochs, self.batch, self.rate, self.patience]
        how = [self.objective, self.components, self.augment, *numbers, self.device, self.keep]
        rows = [*sources, self.out, *how]
        self.finish(rows, sources)
        self.facts = wrapped()
        self.layout().addWidget(self.facts, len(rows), 0, 1, 2)
        self._facts: Facts | None = None
        self._filled: dict[str, Any] = {}
        self.source.changed.connect(self._show_source)
        self.small.changed.connect(lambda *_: self._fill())
        self.objective.changed.connect(lambda *_: self._fill(spare_typed=True))
        self._show_source()
        self._fill()
        self.show_facts(None)

    @property
    def choices(self) -> Choices:
        """What it says now.

        Raises
        ------
        InputError
            If the learning rate is no number.
        """
        return Choices(
            source=self.source.value,
            bank=chosen_path(self.bank),
            image=self.image.value,
            labels=self.labels.value,
            out=chosen_path(self.out),
            objective=self.objective.value,
            components=self.components.value,
            augment=self.augment.value if self.source.value == "layers" else 0,
            device=self.device.value,
            numbers={
                "epochs": self.epochs.value,
                "batch": self.batch.value,
                "learning_rate": _number(self.rate.value),
                "patience": self.patience.value,
                "quota": self._quota,
                "rate_decay": self._rate_decay,
            },
        )

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
        numbers = suggested_numbers(
            self._facts, few=self.small.value, objective=self.objective.value
        )
        self._quota, self._rate_decay = numbers["quota"], numbers["rate_decay"]
        numbers["learning_rate"] = f"{numbers['learning_rate']:g}"
        rows: dict[str, Any] = {
            "epochs": self.epochs,
            "batch": self.batch,
            "learning_rate": self.rate,
            "patience": self.patience,
        }
        for name, row in rows.items():
            if not spare_typed or row.value == self._filled.get(name):
                row.value = numbers[name]
            self._filled[name] = numbers[name]

    def _show_source(self) -> None:
        layers = [self.image, self.labels, self.augment]
        self.show_only([self.bank] if self.source.value == "bank" else layers, [self.bank, *layers])


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError as error:
        message = f"the learning rate is {text!r}; expected a number such as 1e-4."
        raise InputError(message) from error


_SOURCE_TIP = (
    "An image and the labels drawn on it, which are embedded on the way; or a bank, which the "
    "Embed widget makes of whole data sets"
)
_BANK_TIP = "Folder of a bank, NAME.zarr; its embeddings must be of the chosen model's encoder"
_OUT_TIP = (
    "Folder of the run, which may be new: the best decoder, the curves, and what a run that was "
    "cancelled goes on from"
)
_OBJECTIVE_TIP = (
    "simple: a box or a point, and the quality estimate too; the usual choice for few labels. "
    "samri-box: one box per object, where it is long moved by up to 5 pixels of 256. samri-bp: "
    "such a box and a point (SAMRI's method, for large data). medsam: a box up to 20 pixels of 256 "
    "too large on each side, as MedSAM was tuned. medicosam: boxes or points, then eight "
    "corrections by clicks, and the quality estimate; about nine times slower. Choose it if you "
    "correct masks by clicks"
)
_COMPONENTS_TIP = (
    "On: each connected piece of a label on a slice is an object with a box of its own, such as "
    "lesions of one kind. Off: one box goes around all pieces of a label"
)
_AUGMENT_TIP = (
    "So many turned and flipped copies of each slice are embedded and shown too, 3: quarter turns. "
    "For scans that will lie otherwise than these"
)
_SMALL_TIP = (
    f"Numbers for few labels, chosen by itself below {FEW_MASKS:,} masks: many short epochs, a "
    "higher learning rate, and an end when validation gets no better"
)
_EPOCHS_TIP = (
    "Rounds through the masks, each time with new prompts; with few masks all of them, with many "
    "5,000 of each data set. The best epoch is kept"
)
_BATCH_TIP = "Masks per step. Memory does not depend on it: 8 at a time are computed"
_RATE_TIP = (
    "1e-4 for few labels; 1e-5 is SAMRI's for hundreds of thousands. Higher learns faster, and "
    "forgets more"
)
_PATIENCE_TIP = "Stop after so many epochs without a better validation; 0: never"
_KEEP_TIP = (
    "On: it goes on without the window, and this widget finds it again. Off: it stops. The best so "
    "far is kept either way, and Fine-tune goes on from there"
)
