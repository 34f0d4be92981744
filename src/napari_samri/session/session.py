"""One person, one image, one label array: intents in, masks and labels out."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from psygnal import Signal

from napari_samri.errors import InputError, SamriError
from napari_samri.geometry import flag, whole
from napari_samri.session.history import Document, History, Reopened, Step
from napari_samri.session.labels import (
    Edit,
    LabelTable,
    checked_labels,
    object_at,
    paint_edit,
    present_labels,
    relabel_edit,
    table_in,
)
from napari_samri.session.proposal import (
    MaskOptions,
    Preview,
    Request,
    check_target,
    committed,
    resolve,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from napari_samri.geometry import Plane, Volume
    from napari_samri.prompts import PromptSet
    from napari_samri.segment import ModelInfo, PostProcessing
    from napari_samri.session.recovery import Recovered
    from napari_samri.session.scheduler import Scheduler

    Array = NDArray[Any]


class Session:
    """State and intents of one annotation session; all of it belongs to one thread.

    Parameters
    ----------
    volume : Volume
    scheduler : Scheduler
        Answers requests for masks; the session's own from now on.
    labels : integer array, optional
        Of the shape of `volume.array`; changed in place. A new one of uint16 if left out.

    Raises
    ------
    GeometryError, InputError
        If labels of another shape or dtype, or read-only ones, are given.
    """

    changed = Signal()  # the document, what can be undone, or which plane is looked at
    labels_changed = Signal(object)  # an Edit, already made: voxels to be drawn again
    revealed = Signal(object)  # Plane that an undone or redone step belongs to
    stepped = Signal(object, object)  # Document, and Edit or None: for the journal
    failed = Signal(object)  # SamriError

    def __init__(self, volume: Volume, scheduler: Scheduler, labels: Array | None = None) -> None:
        self.volume = volume
        self.scheduler = scheduler
        self.previewed = scheduler.previewed  # emits a Preview, or None
        self.labels = checked_labels(labels, volume)
        self.document = Document(table=table_in(self.labels))
        self.history = History()
        self.plane: Plane | None = None
        self.options = MaskOptions(choice=scheduler.choice)
        self.live = self.grid_is_known = True
        self.revision = self.saved_revision = 0
        self._commit_pending: Request | None = None
        scheduler.answered.connect(self._commit_if_pending)
        scheduler.failed.connect(self._take_failure)
        scheduler.loaded.connect(self._take_model)

    # What is looked at and asked for

    @property
    def request(self) -> Request | None:
        """The request that the state means, or None if nothing is drawn on this plane."""
        return resolve(self.document, self.plane, self.volume, self.options)

    @property
    def preview(self) -> Preview | None:
        """The mask that is shown but not committed, if there is one."""
        return self.scheduler.preview

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
            self.scheduler.look_at(plane)
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
        self._step(self.document.with_prompts(plane, prompts), plane)

    def run(self) -> None:
        """Ask for the mask of what is drawn, also where live prediction is off.

        Raises
        ------
        InputError
            If there is nothing to go by.
        """
        request = self._needed_request("ask for")
        if not self.scheduler.awaits(request):
            self._commit_pending = None  # of a mask that was cancelled
            self.scheduler.ask(request)

    def set_candidates(self, multimask: bool) -> None:
        """Ask for three candidates instead of one mask, or the reverse."""
        self.options = replace(self.options, multimask=flag(multimask, "multimask"))
        self._follow()

    def set_post(self, post: PostProcessing) -> None:
        """Post-process masks in another way from now on."""
        self.options = replace(self.options, post=post)
        self._follow()

    def choose(self, candidate: int) -> None:
        """Choose one of the candidates of the preview."""
        candidate = whole(candidate, "the candidate")
        if self.preview is None or not 0 <= candidate < len(self.preview.masks):
            message = f"there is no candidate {candidate + 1}; ask for candidates first."
            raise InputError(message)
        self.scheduler.show(replace(self.preview, chosen=candidate))

    def clear(self) -> None:
        """Remove all prompts of the plane, and close an object that was re-opened."""
        plane = self._needed_plane()
        if self.request is not None:
            self._step(self.document.without(plane), plane)

    # Labels

    def commit(self) -> None:
        """Write the previewed mask as the active label; its prompts go.

        If the mask is still being computed, it is committed as soon as it is there.

        Raises
        ------
        InputError
            If there is nothing to commit, the mask is empty, or the label is locked.
        """
        request = self._needed_request("commit")
        check_target(self.labels, self.document.table)
        preview = self.scheduler.obtain(request)
        if preview is None:
            self._commit_pending = request
        else:
            self._commit(preview)

    def reopen(self, plane: Plane, row: int, column: int) -> None:
        """Re-open the object under a pixel: its mask becomes the prompt that others refine.

        Its label becomes the active one. Until a point or a stroke corrects it, the mask stays.

        Raises
        ------
        InputError
            If there is no object, or its label is locked.
        """
        row, column = whole(row, "the row"), whole(column, "the column")
        plane.check(self.volume)
        label, mask = object_at(plane.of(self.labels), row, column)
        self.document.table.check_unlocked(label)
        self.look_at(plane)
        reopened = {**self.document.reopened, plane: Reopened(label, mask)}
        self._step(replace(self.document, reopened=reopened).with_active(label), plane)

    def set_table(self, table: LabelTable) -> None:
        """Take another label table: names, colours, locks, the active label."""
        if table != self.document.table:
            self._step(replace(self.document, table=table), None)

    def resume(self, document: Document, *, unsaved: bool = False) -> None:
        """Begin with what an earlier session, or the labels' file, knew of them; not a step."""
        table = document.table.including(present_labels(self.labels))
        self.document = replace(document, table=table)
        self._activate_reopened()
        if unsaved:
            self.revision += 1
            self.stepped.emit(self.document, None)
        self._follow()
        self.changed.emit()

    def activate(self, label: int) -> None:
        """Choose the label that masks are committed to, added if need be; not a step."""
        label = whole(label, "the label")
        if label != self.document.table.active:
            self._amend(self.document.with_active(label))
            self.changed.emit()

    def next_object(self) -> None:
        """Add a label and make it the active one."""
        self.set_table(self.document.table.add(limit=int(np.iinfo(self.labels.dtype).max)))

    def remove_label(self, label: int) -> None:
        """Remove a label from the table, and its voxels from the array, as one step."""
        label = whole(label, "the label")
        self.document.table.check_unlocked(label)
        document = self.document.without_label(label)
        self._step(document, None, relabel_edit(self.labels, label, 0))

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
            self._step(self.document, self.plane, edit)
        if spared:
            # A layer shows what was painted on them: it has to show what is there.
            flat = np.ravel_multi_index(where, self.labels.shape)
            self.labels_changed.emit(Edit(flat, after, self.labels[where]))
            message = f"{spared} voxels belong to locked labels and were left as they were."
            raise InputError(message)

    def undo(self) -> None:
        """Take back the last step: prompts, commits, strokes and label changes alike."""
        self._travel(self.history.undo())

    def redo(self) -> None:
        """Repeat the step that was undone last."""
        self._travel(self.history.redo())

    def restore(self, recovered: Recovered) -> None:
        """Take up the work that a crash left behind, as one step.

        Raises
        ------
        InputError
            If these labels cannot hold its labels.
        """
        self._step(recovered.document, None, recovered.edit(self.labels))

    def change_image(self, volume: Volume) -> None:
        """Go on with other voxels of the same shape.

        Raises
        ------
        GeometryError
            If the shape is another one; the session goes on with the old voxels.
        """
        checked_labels(self.labels, volume)
        self.volume = volume
        self.options = replace(self.options, image_version=self.options.image_version + 1)
        self.scheduler.change_image(volume)
        self._follow()

    def close(self) -> None:
        """Stop the engine; labels stay as they are."""
        self.scheduler.answered.disconnect(self._commit_if_pending, missing_ok=True)
        self.scheduler.failed.disconnect(self._take_failure, missing_ok=True)
        self.scheduler.loaded.disconnect(self._take_model, missing_ok=True)
        self.scheduler.close()

    def _needed_plane(self) -> Plane:
        if self.plane is None:
            message = "no slice is shown; switch the viewer to 2D to draw prompts."
            raise InputError(message)
        return self.plane

    def _needed_request(self, what: str) -> Request:
        request = self.request
        if request is None:
            message = f"there is nothing to {what} on this slice; draw a box or click first."
            raise InputError(message)
        return request

    def _activate_reopened(self, known: Mapping[Plane, Reopened] | None = None) -> None:
        """Activate the label of an object that is re-opened on this plane, unless it is `known`."""
        if self.plane is None:
            return
        entry = self.document.reopened.get(self.plane)
        if entry is not None and (known is None or known.get(self.plane) != entry):
            self._amend(self.document.with_active(entry.label))

    def _amend(self, document: Document) -> None:
        """Take a document that differs by what is not a step of its own."""
        self.document = document
        self.history.amend(document)

    def _commit(self, preview: Preview) -> None:
        info = self.scheduler.info
        document, edit = committed(preview, self.document, self.labels, self.volume, info)
        self._step(document, self.plane, edit)

    def _step(self, document: Document, plane: Plane | None, edit: Edit | None = None) -> None:
        """Do a step: apply its edit, take its document, remember it, announce it."""
        self.history.push(Step(self.document, document, plane, edit))
        if edit is not None:
            edit.apply(self.labels)
        self.document = document
        self._arrive(edit)

    def _travel(self, step: Step) -> None:
        """Go from the document before a step of history, or of one undone, to that after it."""
        known, document, active = self.document.reopened, step.after, self.document.table.active
        if document.table.active == step.before.table.active and active in document.table:
            # The step did not choose another label, so the user's latest choice stands.
            document = document.with_active(active)
        self.document = document
        if step.edit is not None:
            step.edit.apply(self.labels)
        if step.plane is not None and step.plane != self.plane:
            self.revealed.emit(step.plane)
            self.look_at(step.plane)
        self._activate_reopened(known)
        self._arrive(step.edit)

    def _arrive(self, edit: Edit | None) -> None:
        self.revision += 1
        if edit is not None:
            self.labels_changed.emit(edit)
        self.stepped.emit(self.document, edit)
        self._follow()
        self.changed.emit()

    def _follow(self) -> None:
        """Show and ask for what the state now means."""
        request = self.request
        if self._commit_pending is not None and self._commit_pending != request:
            self._commit_pending = None
            message = (
                "the mask was still being computed when something else was done, so it was not "
                "committed; its prompts are kept."
            )
            self.failed.emit(InputError(message))
        try:
            self.scheduler.follow(request, ask=self.live)
        except SamriError as error:
            self.failed.emit(error)

    def _commit_if_pending(self, preview: Preview) -> None:
        """Commit a mask that has just come, if a commit waits for it."""
        if self._commit_pending == preview.request:
            self._commit_pending = None
            try:
                check_target(self.labels, self.document.table)
                self._commit(preview)
            except SamriError as error:
                self.failed.emit(error)

    def _take_failure(self, error: SamriError) -> None:
        self._commit_pending = None
        self.failed.emit(error)

    def _take_model(self, _: ModelInfo) -> None:
        self.options = replace(self.options, choice=self.scheduler.choice)
        self._follow()
        self.changed.emit()
