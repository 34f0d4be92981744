"""Masks proposed for a plane: asked for by a frozen request, previewed, and committed as labels.

Equality of requests tells whether an answer is still the one asked for.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_samri.errors import InputError
from napari_samri.prompts import Prompt, mask_to_box
from napari_samri.segment import DEFAULT_MODEL, NO_POST_PROCESSING, ModelChoice, PostProcessing
from napari_samri.session.history import Commit
from napari_samri.session.labels import Edit, LabelTable, paint_edit, plane_voxels

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_samri.geometry import Plane, Volume
    from napari_samri.prompts import MaskRegion, PromptSet
    from napari_samri.segment import ModelInfo
    from napari_samri.session.history import Document, Reopened

    Array = NDArray[Any]


@dataclass(frozen=True, kw_only=True)
class MaskOptions:
    """What a mask depends on besides the prompts.

    Parameters
    ----------
    choice : ModelChoice
    image_version : int
        Grows whenever the image's voxels change.
    multimask : bool
        Three candidates instead of one mask.
    post : PostProcessing
    """

    choice: ModelChoice = DEFAULT_MODEL
    image_version: int = 0
    multimask: bool = False
    post: PostProcessing = NO_POST_PROCESSING


@dataclass(frozen=True, kw_only=True)
class Request:
    """All that a mask depends on.

    Parameters
    ----------
    plane : Plane
    slice_shape : tuple of int
        (H, W) of the plane.
    prompts : PromptSet
    pixel_size_xy : tuple of float
        Width and height of a pixel in mm.
    reopened : Reopened or None
        Object that the prompts refine.
    options : MaskOptions
    """

    plane: Plane
    slice_shape: tuple[int, int]
    prompts: PromptSet
    pixel_size_xy: tuple[float, float] = (1.0, 1.0)
    reopened: Reopened | None = None
    options: MaskOptions = MaskOptions()

    @property
    def can_be_asked(self) -> bool:
        """Whether the prompts say where an object is: negative points alone do not."""
        return self.reopened is not None or self.prompts.has_object

    @property
    def kept(self) -> MaskRegion | None:
        """The mask of an object that was re-opened, if no point or stroke corrects it."""
        corrected = self.prompts.points or self.prompts.strokes
        return self.reopened.mask if self.reopened is not None and not corrected else None

    @property
    def is_uncorrected(self) -> bool:
        """Whether the whole mask is that of a re-opened object: known, to the pixel."""
        return self.reopened is not None and self.prompts.is_empty

    def objects(self) -> tuple[Prompt, ...]:
        """Return one prompt per object.

        Points refine a re-opened object; boxes and outlines add further ones.

        Raises
        ------
        InputError
            If no prompt says where an object is, or one lies outside the slice.
        """
        if self.reopened is None:
            return self._resolved(self.prompts)
        others = replace(self.prompts, points=(), strokes=())
        beside = () if others.is_empty else self._resolved(others)
        if self.kept is not None and beside:
            return beside
        points = self.prompts.all_points(self.slice_shape)
        mask = self.reopened.mask
        # A mask alone means nothing to the networks; its box keeps the object where it is, but
        # would hold back an object that a positive point is to make larger.
        grows = any(point.positive for point in points)
        first = Prompt(None if grows else mask_to_box(mask.array), points, mask)
        first.check(self.slice_shape)
        return (first, *beside)

    def _resolved(self, prompts: PromptSet) -> tuple[Prompt, ...]:
        return prompts.resolve(self.slice_shape, pixel_size_xy=self.pixel_size_xy)


def resolve(
    document: Document, plane: Plane | None, volume: Volume, options: MaskOptions
) -> Request | None:
    """Return the request that a session's state means, or None if nothing is open on its plane."""
    if plane is None:
        return None
    prompts, reopened = document.prompts(plane), document.reopened.get(plane)
    if prompts.is_empty and reopened is None:
        return None
    height, width = (volume.spacing_mm[axis] for axis in plane.pixel_axes)
    return Request(
        plane=plane,
        slice_shape=plane.shape(volume),
        prompts=prompts,
        pixel_size_xy=(width, height),
        reopened=reopened,
        options=options,
    )


@dataclass(frozen=True, eq=False)
class Preview:
    """The answer to a request, not yet committed.

    Parameters
    ----------
    masks : bool array (M, H, W)
    scores : float array (M,)
        NaN where no model made the mask.
    chosen : int
        Index of the mask that a commit would take.
    """

    request: Request
    masks: NDArray[np.bool_]
    scores: NDArray[np.float32]
    chosen: int = 0

    @classmethod
    def answered(cls, request: Request, masks: NDArray[np.bool_], scores: Array) -> Preview:
        """Return a model's answer, with the object that was kept; the highest score is chosen."""
        if request.kept is not None:
            masks = masks | request.kept.array
        return cls(request, masks, scores, int(np.argmax(scores)))

    @classmethod
    def uncorrected(cls, request: Request) -> Preview:
        """Return the mask of an object that was re-opened, as it is."""
        if request.reopened is None:
            message = "no object was re-opened on this slice."
            raise InputError(message)
        return cls(request, request.reopened.mask.array[None], np.full(1, np.nan, np.float32))

    @property
    def mask(self) -> NDArray[np.bool_]:
        """The chosen mask, (H, W)."""
        mask: NDArray[np.bool_] = self.masks[self.chosen]
        return mask


def check_target(labels: Array, table: LabelTable) -> None:
    """Raise InputError unless masks can be written to `labels` as the active label of a table."""
    table.check_unlocked(table.active)
    highest = np.iinfo(labels.dtype).max
    if table.active > highest:
        message = (
            f"the labels are {labels.dtype}, which holds no label {table.active}; expected one "
            f"up to {highest}. Start with a new labels layer, or choose another label."
        )
        raise InputError(message)


def committed(
    preview: Preview, document: Document, labels: Array, volume: Volume, info: ModelInfo | None
) -> tuple[Document, Edit]:
    """Return the document after a mask is committed as its active label, and the edit that it is.

    Raises
    ------
    InputError
        If the mask is empty, or all of it lies on locked labels.
    """
    edit = _commit_edit(preview, document.table, labels, volume)
    after = document.without(preview.request.plane)
    if not preview.request.is_uncorrected:  # else no model made it
        commit = _commit_record(preview, document.table.active, len(edit.where), info)
        after = replace(after, commits=(*after.commits, commit))
    return after, edit


def _commit_edit(preview: Preview, table: LabelTable, labels: Array, volume: Volume) -> Edit:
    """Return the edit that writes a mask as the active label, in place of the object it refines."""
    request, mask = preview.request, preview.mask
    request.plane.check(volume)
    before = request.plane.of(labels)
    after = before.copy()
    if request.reopened is not None:
        # Its own label, even if another one has been chosen for it since.
        after[request.reopened.mask.array & (before == request.reopened.label)] = 0
    after[mask] = table.active
    if not mask.any():
        message = "the mask is empty, so nothing was committed; try a box or more points."
        raise InputError(message)
    rows, columns = np.nonzero(before != after)
    where = plane_voxels(labels, request.plane, rows, columns)
    edit = paint_edit(labels, where, after[rows, columns], table.locked)
    if len(rows) and not len(edit.where):
        message = (
            "all of the mask lies on locked labels, so nothing was committed; unlock them or "
            "draw elsewhere."
        )
        raise InputError(message)
    return edit


def _commit_record(preview: Preview, label: int, voxels: int, info: ModelInfo | None) -> Commit:
    """Return how a committed mask came about."""
    request = preview.request
    names = ("largest_component", "fill_holes")
    stale = info is None or info.score_is_stale
    return Commit(
        plane=request.plane,
        label=label,
        voxels=voxels,
        prompts=request.prompts,
        model=info.id if info is not None else request.options.choice.model,
        encoder=info.encoder if info is not None else "",
        score=None if stale else round(float(preview.scores[preview.chosen]), 4),
        post=tuple(name for name in names if getattr(request.options.post, name)),
        time=datetime.now(UTC).isoformat(timespec="seconds"),
    )
