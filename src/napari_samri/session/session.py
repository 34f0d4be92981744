"""One person, one image, one label array: intents in, masks and labels out."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from psygnal import Signal

from napari_samri.errors import InputError, SamriError
from napari_samri.geometry import flag, whole
from napari_samri.prompts import MaskRegion, PromptSet
from napari_samri.segment import NO_POST_PROCESSING, PostProcessing
from napari_samri.session.committing import commit_edit, commit_record
from napari_samri.session.edits import Edit, paint_edit, relabel_edit
from napari_samri.session.label_array import (
    checked_labels,
    plane_pixels,
    present_labels,
    table_of,
)
from napari_samri.session.labels import MAX_LABEL, LabelTable
from napari_samri.session.request import Preview, Request
from napari_samri.session.state import Document, History, Reopened, Step

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from napari_samri.geometry import Plane, Volume
    from napari_samri.segment import ModelInfo
    from napari_samri.session.service import MaskService

    Array = NDArray[Any]


class Session:
    """State and intents of one annotation session; all of it belongs to one thread.

    Parameters
    ----------
    volume : Volume
    service : MaskService
        Answers requests for masks; the session's own from now on.
    labels : integer array, optional
        Of the shape of `volume.array`; changed in place. A new one of uint16 if left out.

    Raises
    ------
    GeometryError, InputError
        If labels of another shape or dtype, or read-only ones, are given.
    """

    changed = Signal()  # the document, what can be undone, or which plane is looked at
    labels_changed = Signal(object)  # an Edit, already made: voxels to be shown anew
    previewed = Signal(object)  # Preview, or None
    revealed = Signal(object)  # Plane that an undone or redone step belongs to
    stepped = Signal(object, object)  # Document, and Edit or None: for the journal
    failed = Signal(object)  # SamriError

    def __init__(self, volume: Volume, service: MaskService, labels: Array | None = None) -> None:
        self.volume = volume
        self.service = service
        self.labels = checked_labels(labels, volume)
        self.document = Document(table=table_of(self.labels))
        self.history = History()
        self.plane: Plane | None = None
        self.preview: Preview | None = None
        self.live = True
        self.grid_is_known = True
        self.revision = 0
        self.saved_revision = 0
        self._multimask = False
        self._post = NO_POST_PROCESSING
        self._image_version = 0
        self._commit_pending: Request | None = None
        service.answered.connect(self._take_answer)
        service.failed.connect(self._take_failure)
        service.loaded.connect(self._take_model)

    # What is looked at and asked for

    @property
    def request(self) -> Request | None:
        """The request that the state means, or None if nothing is drawn on this plane."""
        if self.plane is None:
            return None
        prompts = self.document.prompts(self.plane)
        reopened = self.document.reopened.get(self.plane)
        if prompts.is_empty and reopened is None:
            return None
        return Request(
            plane=self.plane,
            slice_shape=self.plane.shape(self.volume),
            prompts=prompts,
            pixel_size_xy=self._pixel_size(self.plane),
            reopened=reopened,
            choice=self.service.choice,
            image_version=self._image_version,
            multimask=self._multimask,
            post=self._post,
        )

    @property
    def unsaved(self) -> bool:
        """Whether something was done since labels were saved."""
        return self.revision != self.saved_revision

    def look_at(self, plane: Plane | None) -> None:
        """Go to a plane; None while no plane is shown, as in a 3D view."""
        if plane == self.plane:
            return
        if plane is not None:
            plane.check(self.volume)
        self.plane = plane
        if plane is not None:
            self.service.look_at(plane)
            self._activate_reopened()
        self._follow()
        self.changed.emit()

    def set_prompts(self, prompts: PromptSet, plane: Plane | None = None) -> None:
        """Take what is now drawn on a plane (the one looked at), one step of history.

        Raises
        ------
        InputError
            If a prompt lies outside the slice; the state stays as it was.
        """
        plane = plane or self._needed_plane()
        if prompts == self.document.prompts(plane):
            return
        plane.check(self.volume)
        prompts.check(plane.shape(self.volume))
        self._step(self.document.with_prompts(plane, prompts), plane=plane)

    def run(self) -> None:
        """Ask for the mask of what is drawn, also where live prediction is off.

        Raises
        ------
        InputError
            If there is nothing to go by.
        """
        request = self.request
        if request is None:
            message = "there is no prompt on this slice; draw a box or click on the object first."
            raise InputError(message)
        if not self.service.awaits(request):
            self._commit_pending = None  # of a mask that was cancelled
            self._obtain(request)

    def set_candidates(self, multimask: bool) -> None:
        """Ask for three candidates instead of one mask, or the reverse."""
        self._multimask = flag(multimask, "multimask")
        self._follow()

    def set_post(self, post: PostProcessing) -> None:
        """Tidy masks in another way from now on."""
        self._post = post
        self._follow()

    def choose(self, candidate: int) -> None:
        """Choose one of the candidates of the preview."""
        candidate = whole(candidate, "the candidate")
        if self.preview is None or not 0 <= candidate < len(self.preview.masks):
            message = f"there is no candidate {candidate + 1}; ask for candidates first."
            raise InputError(message)
        self._show(replace(self.preview, chosen=candidate))

    def clear(self) -> None:
        """Remove all prompts of the plane, and close an object that was re-opened."""
        plane = self._needed_plane()
        if self.request is not None:
            self._step(self.document.without(plane))

    # Labels

    def commit(self) -> None:
        """Write the previewed mask as the active label; its prompts go.

        If the mask is still being computed, it is committed as soon as it is there.

        Raises
        ------
        InputError
            If there is nothing to commit, the mask is empty, or the label is locked.
        """
        request = self.request
        if request is None:
            message = "there is nothing to commit on this slice; draw a box or click first."
            raise InputError(message)
        self._check_target(self.document.table.active)
        if self.preview is None or self.preview.request != request:
            self._obtain(request)
        if self.preview is None or self.preview.request != request:
            self._commit_pending = request
            return
        self._commit(self.preview)

    def reopen(self, plane: Plane, row: int, column: int) -> None:
        """Re-open the object under a pixel: its mask becomes the prompt that others refine.

        Its label becomes the active one. Until a point or a stroke corrects it, its mask stays
        as it is, to the pixel.

        Raises
        ------
        InputError
            If there is no object, or its label is locked.
        """
        row, column = whole(row, "the row"), whole(column, "the column")
        pixels = plane_pixels(self.labels, self.volume, plane)
        inside = 0 <= row < pixels.shape[0] and 0 <= column < pixels.shape[1]
        label = int(pixels[row, column]) if inside else 0
        if label == 0:
            message = "there is no object at this place; click on one that was committed."
            raise InputError(message)
        self._check_lock(label)
        from scipy import ndimage

        parts, _ = ndimage.label(pixels == label, structure=np.ones((3, 3)))
        region = MaskRegion.from_array(parts == parts[row, column])
        reopened = {**self.document.reopened, plane: Reopened(label, region)}
        self.look_at(plane)
        table = self.document.table.including((label,)).activate(label)
        self._step(replace(self.document, reopened=reopened, table=table))

    def set_table(self, table: LabelTable) -> None:
        """Take another label table: names, colours, locks, the active label."""
        if table != self.document.table:
            self._step(replace(self.document, table=table), plane=None)

    def resume(self, document: Document, *, unsaved: bool) -> None:
        """Begin with what an earlier session on the same labels knew; not a step."""
        self.document = document
        self._activate_reopened()
        if unsaved:
            self.revision += 1
            self.stepped.emit(document, None)
        self._follow()
        self.changed.emit()

    def adopt(self, saved: Document) -> None:
        """Begin with names, locks and provenance that were saved with the labels; not a step."""
        table = saved.table.including(present_labels(self.labels))
        self.document = replace(saved, table=table)
        self.changed.emit()

    def activate(self, label: int) -> None:
        """Choose the label that masks are committed to, added if need be; not a step."""
        table, label = self.document.table, whole(label, "the label")
        if label != table.active:
            table = table.activate(label) if label in table else table.add(label=label)
            self.document = replace(self.document, table=table)
            self.history.amend(self.document)
            self.changed.emit()

    def next_object(self) -> None:
        """Add a label and make it the active one."""
        limit = min(MAX_LABEL, int(np.iinfo(self.labels.dtype).max))
        self.set_table(self.document.table.add(limit=limit))

    def remove_label(self, label: int) -> None:
        """Remove a label from the table, and its voxels from the array, as one step."""
        label = whole(label, "the label")
        self._check_lock(label)
        table = self.document.table.remove(label)
        others = {k: v for k, v in self.document.reopened.items() if v.label != label}
        document = replace(self.document, table=table, reopened=others)
        self._step(document, plane=None, edit=relabel_edit(self.labels, label, 0))

    def paint(self, where: tuple[Array, ...], after: Array) -> None:
        """Take what was painted by hand, one step of history; locked labels are spared.

        Parameters
        ----------
        where : tuple of int arrays (N,)
            Indices into the label array, no voxel twice.
        after : array (N,)
            Labels painted there.

        Raises
        ------
        InputError
            If some of it touched locked labels; the rest was taken.
        """
        edit = paint_edit(self.labels, where, after, self.document.table.locked)
        spared = int((self.labels[where] != after).sum()) - len(edit.where)
        if len(edit.where):
            self._step(self.document, edit=edit)
        if spared:
            # What was painted on them is shown, and has to be shown as it is.
            flat = np.ravel_multi_index(where, self.labels.shape)
            self.labels_changed.emit(Edit(flat, after, self.labels[where]))
            message = f"{spared} voxels belong to locked labels and were left as they were."
            raise InputError(message)

    def undo(self) -> None:
        """Take back the last step: prompts, commits, strokes and label changes alike."""
        step = self.history.undo()
        edit = step.edit.inverse() if step.edit is not None else None
        self._travel(step.plane, step.before, step.after, edit)

    def redo(self) -> None:
        """Do again what was undone last."""
        step = self.history.redo()
        self._travel(step.plane, step.after, step.before, step.edit)

    def restore(self, document: Document, edit: Edit | None) -> None:
        """Take up the work of another session, as one step."""
        self._step(document, plane=None, edit=edit)

    def change_image(self, volume: Volume) -> None:
        """Go on with other voxels of the same shape.

        Raises
        ------
        GeometryError
            If the shape is another one; the session goes on with the old voxels.
        """
        checked_labels(self.labels, volume)
        self.volume = volume
        self._image_version += 1
        self.service.change_image(volume)
        self._follow()

    def close(self) -> None:
        """Stop the engine; labels stay as they are."""
        for signal, slot in (
            (self.service.answered, self._take_answer),
            (self.service.failed, self._take_failure),
            (self.service.loaded, self._take_model),
        ):
            signal.disconnect(slot, missing_ok=True)
        self.service.engine.close()

    # Inside

    def _needed_plane(self) -> Plane:
        if self.plane is None:
            message = "no slice is shown; switch the viewer to 2D to draw prompts."
            raise InputError(message)
        return self.plane

    def _pixel_size(self, plane: Plane) -> tuple[float, float]:
        row, column = (self.volume.spacing_mm[axis] for axis in plane.pixel_axes)
        return column, row

    def _activate_reopened(self, known: Mapping[Plane, Reopened] | None = None) -> None:
        """Make the label of an object that is open on this plane the one that a commit writes.

        Parameters
        ----------
        known : mapping, optional
            What was open before, for which the label was chosen already.
        """
        if self.plane is None:
            return
        entry = self.document.reopened.get(self.plane)
        if entry is not None and (known is None or known.get(self.plane) != entry):
            table = self.document.table.including((entry.label,)).activate(entry.label)
            self.document = replace(self.document, table=table)
            self.history.amend(self.document)

    def _check_lock(self, label: int) -> None:
        if label in self.document.table and self.document.table[label].locked:
            name = self.document.table[label].name
            message = f"the label '{name}' is locked; unlock it or choose another label."
            raise InputError(message)

    def _check_target(self, label: int) -> None:
        """Raise InputError unless masks can be written as a label."""
        self._check_lock(label)
        highest = np.iinfo(self.labels.dtype).max
        if label > highest:
            message = (
                f"the labels are {self.labels.dtype}, which holds no label {label}; expected one "
                f"up to {highest}. Start with a new labels layer, or choose another label."
            )
            raise InputError(message)

    def _commit(self, preview: Preview) -> None:
        label, locked = self.document.table.active, self.document.table.locked
        edit = commit_edit(self.labels, self.volume, preview, label, locked)
        document = self.document.without(preview.request.plane)
        if not preview.request.is_uncorrected:  # else no model made it
            record = commit_record(preview, label, len(edit.where), self.service.info)
            document = replace(document, commits=(*document.commits, record))
        self._step(document, edit=edit)

    def _step(
        self, document: Document, *, plane: Plane | str | None = "", edit: Edit | None = None
    ) -> None:
        """Do a step: apply its edit, take its document, remember it, tell of it."""
        where = self.plane if isinstance(plane, str) else plane
        step = Step(self.document, document, where, edit)
        if edit is not None:
            edit.apply(self.labels)
        self.history.push(step)
        self._arrive(document, edit)

    def _travel(
        self, plane: Plane | None, document: Document, left: Document, edit: Edit | None
    ) -> None:
        """Go along a step of history, from the document that is left to another one."""
        active = self.document.table.active
        if document.table.active == left.table.active and active in document.table:
            # The step did not choose another label, so the user's latest choice stands.
            document = replace(document, table=document.table.activate(active))
        known = self.document.reopened
        self.document = document
        if edit is not None:
            edit.apply(self.labels)
        if plane is not None and plane != self.plane:
            self.revealed.emit(plane)
            self.look_at(plane)
        self._activate_reopened(known)
        self._arrive(self.document, edit)

    def _arrive(self, document: Document, edit: Edit | None) -> None:
        self.document = document
        self.revision += 1
        if edit is not None:
            self.labels_changed.emit(edit)
        self.stepped.emit(document, edit)
        self._follow()
        self.changed.emit()

    def _follow(self) -> None:
        """Show and ask for what the state now means."""
        request = self.request
        self._check_pending(request)
        if request is None or not request.can_be_asked:
            self.service.forget()
            self._show(None)
        elif self.preview is None or self.preview.request != request:
            if self.preview is not None and self.preview.request.plane != request.plane:
                self._show(None)
            if self.live or request.is_uncorrected:
                self._ask(request)

    def _obtain(self, request: Request) -> None:
        """Show a mask that is known, or ask for one.

        Raises
        ------
        InputError
            If its prompts are empty or lie outside the slice.
        """
        if request.is_uncorrected:
            self.service.forget()
            self._show(Preview.uncorrected(request))
        else:
            self.service.ask(request)

    def _check_pending(self, request: Request | None) -> None:
        """Tell if a mask that was to be committed is not asked for any more."""
        if self._commit_pending is not None and self._commit_pending != request:
            self._commit_pending = None
            message = (
                "the mask was still being computed when something else was done, so it was not "
                "committed; its prompts are kept."
            )
            self.failed.emit(InputError(message))

    def _ask(self, request: Request) -> None:
        try:
            self._obtain(request)
        except SamriError as error:
            self.failed.emit(error)

    def _show(self, preview: Preview | None) -> None:
        if preview is not self.preview:
            self.preview = preview
            self.previewed.emit(preview)

    def _take_answer(self, preview: Preview) -> None:
        request = self.request
        if request is None or preview.request != request:
            return  # late
        self._show(preview)
        if self._commit_pending == request:
            self._commit_pending = None
            try:
                self._check_target(self.document.table.active)
                self._commit(preview)
            except SamriError as error:
                self.failed.emit(error)

    def _take_failure(self, error: SamriError) -> None:
        self._commit_pending = None
        self.failed.emit(error)

    def _take_model(self, _: ModelInfo) -> None:
        self._follow()
        self.changed.emit()
