"""What to embed, where to, and how: a form."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from magicgui.types import FileDialogMode
from magicgui.widgets import ComboBox, LineEdit, SpinBox

from napari_samri._qt.form import JobForm, chosen_path, file_row
from napari_samri.datasets.layouts import LAYOUTS

if TYPE_CHECKING:
    from pathlib import Path

    from napari.layers import Image, Labels

Source = Literal["folder", "manifest", "layers"]
SOURCES: tuple[tuple[str, Source], ...] = (
    ("data set folder", "folder"),
    ("manifest", "manifest"),
    ("open layers", "layers"),
)
# Tables are files, and this is about a folder.
_LAYOUTS = (
    ("recognised", ""),
    *((layout.id, layout.id) for layout in LAYOUTS if layout.id != "csv"),
)
_CHANNELS = (("none: 3D images", -1), *((str(number), number) for number in range(16)))
STORED_AS = (("float16", "float16"), ("int8, half the bytes", "int8"))
MAX_WORKERS = 64


@dataclass(frozen=True, eq=False)
class Choices:
    """What the form says."""

    source: Source
    folder: Path | None
    layout: str
    patient_pattern: str
    channel: int | None
    manifest: Path | None
    image: Image | None
    labels: Labels | Image | None  # what is open as an image may be labels
    out: Path | None
    quantisation: str
    device: str
    workers: int
    keep: bool


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
        out = file_row(FileDialogMode.OPTIONAL_FILE, "Bank", "*.zarr", _OUT_TIP)
        super().__init__(out, device, keep, _KEEP_TIP)
        self.source = ComboBox(label="Embed", choices=SOURCES, tooltip=_SOURCE_TIP)
        self.folder = file_row(FileDialogMode.EXISTING_DIRECTORY, "Folder", None, _FOLDER_TIP)
        self.layout_id = ComboBox(label="Layout", choices=_LAYOUTS, tooltip=_LAYOUT_TIP)
        self.patient = LineEdit(label="Patient", tooltip=_PATIENT_TIP)
        self.channel = ComboBox(label="Channel", choices=_CHANNELS, tooltip=_CHANNEL_TIP)
        self.manifest = file_row(
            FileDialogMode.EXISTING_FILE, "Manifest", "*.json", "Made by 'napari-samri prepare'"
        )
        self.quantisation = ComboBox(label="Stored as", choices=STORED_AS, tooltip=_STORED_TIP)
        self.workers = SpinBox(
            label="Processes", value=1, min=1, max=MAX_WORKERS, tooltip=_WORKERS_TIP
        )
        self._of_folder = [self.folder, self.layout_id, self.patient, self.channel]
        sources = [self.source, *self._of_folder, self.manifest, self.image, self.labels]
        how = [self.out, self.quantisation, self.device, self.workers, self.keep]
        self.finish([*sources, *how], sources)
        self._show_source()
        self.source.changed.connect(self._show_source)

    @property
    def choices(self) -> Choices:
        """What it says now."""
        return Choices(
            source=self.source.value,
            folder=chosen_path(self.folder),
            layout=self.layout_id.value,
            patient_pattern=self.patient.value.strip(),
            channel=None if self.channel.value < 0 else self.channel.value,
            manifest=chosen_path(self.manifest),
            image=self.image.value,
            labels=self.labels.value,
            out=chosen_path(self.out),
            quantisation=self.quantisation.value,
            device=self.device.value,
            workers=self.workers.value,
            keep=self.keep.value,
        )

    def _show_source(self) -> None:
        rows: dict[str, list[Any]] = {"folder": self._of_folder, "manifest": [self.manifest]}
        shown = rows.get(self.source.value, [self.image, self.labels])
        self.show_only(shown, [*self._of_folder, self.manifest, self.image, self.labels])


_SOURCE_TIP = "Slices with labels: of a whole data set, of a prepared manifest, or of two layers"
_FOLDER_TIP = (
    "nnU-Net, BIDS derivatives, BraTS, TotalSegmentator, ACDC, SAMRI's own layout, or NAME_img "
    "beside NAME_seg; slices are chosen and patients split by the usual rules. For other rules: "
    "'napari-samri prepare'"
)
_LAYOUT_TIP = "How the folder is laid out, where it is not recognised rightly"
_PATIENT_TIP = (
    "A regular expression on an image's path in the folder, whose first group is the patient, such "
    "as ^(p\\d+)_. Left empty, the names tell, without parts such as frame01 or ses-1"
)
_CHANNEL_TIP = "Of 4D images, the channel or time point that the labels belong to, from 0"
_OUT_TIP = (
    "A new name, NAME.zarr, or a bank that is there: what it has already is not embedded again"
)
_STORED_TIP = (
    "float16 keeps the encoder's numbers; int8 takes half the bytes, and masks differ a little "
    "from those of float16 embeddings (see the documentation for how much)"
)
_WORKERS_TIP = (
    "Each has its own model in memory and takes its share of the slices; more than one pays where "
    "there are many cores, or several GPUs' worth of memory"
)
_KEEP_TIP = (
    "On: it goes on without the window, and this widget finds it again. Off: it stops after the "
    "slice under way; embed again to go on. Nothing is lost either way"
)
