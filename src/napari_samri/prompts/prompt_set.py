"""All that was drawn for one label on one slice, and the prompts of each object that it makes."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING

from napari_samri.errors import InputError
from napari_samri.prompts.clip import clip_box, clip_path, outside
from napari_samri.prompts.drawing import check_path
from napari_samri.prompts.outline import line_to_box, mask_to_box, polygon_to_mask
from napari_samri.prompts.prompt import Box, MaskRegion, Point, Prompt
from napari_samri.prompts.scribble import scribbles_to_points

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from napari_samri.prompts.drawing import Line, Outline, Stroke


@dataclass(frozen=True)
class PromptSet:
    """All that was drawn for one label on one slice.

    Parameters
    ----------
    boxes : tuple of Box
    points : tuple of Point
    strokes : tuple of Stroke
        Scribbles, which become points.
    lines : tuple of Line
        Longest diameters, which become boxes.
    outlines : tuple of Outline
        Which become masks and their boxes.
    """

    boxes: tuple[Box, ...] = ()
    points: tuple[Point, ...] = ()
    strokes: tuple[Stroke, ...] = ()
    lines: tuple[Line, ...] = ()
    outlines: tuple[Outline, ...] = ()

    @property
    def is_empty(self) -> bool:
        """Whether nothing is drawn."""
        return self == PromptSet()

    @property
    def has_object(self) -> bool:
        """Whether something says what the object is, not only what it is not."""
        return (
            bool(self.boxes or self.lines or self.outlines)
            or any(point.positive for point in self.points)
            or any(stroke.positive for stroke in self.strokes)
        )

    def without(self, other: PromptSet) -> PromptSet:
        """Return what is in this set and not in another one."""
        return PromptSet(
            **{
                each.name: tuple(
                    item
                    for item in getattr(self, each.name)
                    if item not in getattr(other, each.name)
                )
                for each in fields(self)
            }
        )

    def joined(self, other: PromptSet) -> PromptSet:
        """Return what is in this set and in another one, after it."""
        return PromptSet(
            **{
                each.name: (*getattr(self, each.name), *getattr(other, each.name))
                for each in fields(self)
            }
        )

    def check(self, slice_shape: tuple[int, int]) -> None:
        """Raise InputError unless each thing drawn has a size and lies on a slice (H, W).

        Unlike `resolve`, negative points alone pass: more may be drawn.
        """
        for point in self.all_points(slice_shape):
            point.check(slice_shape)
        self._objects(slice_shape, (1.0, 1.0))

    def split(self) -> tuple[Prompt, ...]:
        """Return one prompt per object, of boxes and points alone; unchecked.

        Each box is an object. A positive point belongs to the boxes around it, a negative point
        to every box; with a single box, all points are its own. Positive points outside of
        several boxes make one more object. Without boxes, all points are one object.
        """
        return share_points([Prompt(box) for box in self.boxes], self.points)

    def resolve(
        self,
        slice_shape: tuple[int, int],
        *,
        pixel_size_xy: tuple[float, float] = (1.0, 1.0),
    ) -> tuple[Prompt, ...]:
        """Return one checked prompt per object of a slice (H, W).

        Each box, line and outline is an object, in this order; points, and those that scribbles
        become, are shared among them as in `split`. What hangs over the slice's border is
        clipped to it.

        Parameters
        ----------
        slice_shape : tuple of int
            (H, W).
        pixel_size_xy : tuple of float
            Width and height of a pixel in mm; only their ratio counts, and only for lines.

        Raises
        ------
        InputError
            If nothing positive is drawn, or a shape lies outside the slice or has no size.
        """
        prompts = share_points(
            self._objects(slice_shape, pixel_size_xy), self.all_points(slice_shape)
        )
        for prompt in prompts:
            prompt.check(slice_shape)
        return prompts

    def all_points(self, slice_shape: tuple[int, int]) -> tuple[Point, ...]:
        """Return the points, unchecked, and those that scribbles become on a slice (H, W).

        Raises
        ------
        InputError
            If a scribble lies wholly outside the slice, or there are too many.
        """
        pieces, signs = [], []
        for stroke in self.strokes:
            parts = _on_slice(stroke, slice_shape)
            pieces += parts
            signs += [stroke.positive] * len(parts)
        return (*self.points, *scribbles_to_points(pieces, signs, slice_shape))

    def _objects(
        self, slice_shape: tuple[int, int], pixel_size_xy: tuple[float, float]
    ) -> list[Prompt]:
        """Return what is known of each object without points, clipped to the slice."""
        objects = [Prompt(clip_box(box, slice_shape)) for box in self.boxes]
        objects += [
            Prompt(line_to_box(line.start, line.end, slice_shape, pixel_size_xy=pixel_size_xy))
            for line in self.lines
        ]
        return objects + [_inside(outline, slice_shape) for outline in self.outlines]


def _on_slice(stroke: Stroke, slice_shape: tuple[int, int]) -> list[NDArray[np.float64]]:
    """Return the pieces (N, 2) of a scribble on a slice: one, unless it leaves and comes back."""
    path = check_path(stroke.points, "scribble", at_least=1)
    pieces = clip_path(path, slice_shape)
    if not pieces:
        raise InputError(
            outside(f"the scribble from ({path[0, 0]:g}, {path[0, 1]:g})", slice_shape)
        )
    return pieces


def _inside(outline: Outline, slice_shape: tuple[int, int]) -> Prompt:
    """Return the mask of an outline, and its box."""
    mask = polygon_to_mask(outline.vertices, slice_shape)
    if not mask.any():
        height, width = slice_shape
        message = (
            f"the outline of {len(outline.vertices)} points has no pixel's centre inside; expected "
            f"one around pixels of the slice, x in 0 to {width - 1} and y in 0 to {height - 1}. "
            "Draw it larger, or on the image."
        )
        raise InputError(message)
    return Prompt(mask_to_box(mask), mask=MaskRegion.from_array(mask))


def share_points(objects: Sequence[Prompt], points: tuple[Point, ...]) -> tuple[Prompt, ...]:
    """Give each object, known by its box, the points that `PromptSet.split` says are its own."""
    if len(objects) <= 1:
        return (replace(objects[0] if objects else Prompt(), points=points),)
    negative = tuple(point for point in points if not point.positive)
    positive = tuple(point for point in points if point.positive)
    shared = [
        replace(item, points=(*(p for p in positive if _holds(item, p)), *negative))
        for item in objects
    ]
    loose = tuple(p for p in positive if not any(_holds(item, p) for item in objects))
    if loose:
        shared.append(Prompt(None, (*loose, *negative)))
    return tuple(shared)


def _holds(item: Prompt, point: Point) -> bool:
    return item.box is not None and item.box.contains(point)
