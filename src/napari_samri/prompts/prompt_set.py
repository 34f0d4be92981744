"""All that somebody drew for one label on one slice, and what it says about each object."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from napari_samri.prompts.outline import (
    clip_box,
    line_to_box,
    mask_to_box,
    polygon_to_mask,
)
from napari_samri.prompts.prompt import Box, Point, Prompt
from napari_samri.prompts.region import MaskRegion

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_samri.prompts.drawing import Line, Outline, Stroke


@dataclass(frozen=True)
class PromptSet:
    """All that somebody drew for one label on one slice.

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
        points = tuple(
            Point(x, y, stroke.positive) for stroke in self.strokes for x, y in stroke.points
        )
        objects = [Prompt(clip_box(box, slice_shape)) for box in self.boxes]
        for line in self.lines:
            box = line_to_box(line.start, line.end, slice_shape, pixel_size_xy=pixel_size_xy)
            objects.append(Prompt(box))
        for outline in self.outlines:
            mask = polygon_to_mask(np.array(outline.vertices), slice_shape)
            objects.append(Prompt(mask_to_box(mask), mask=MaskRegion.from_array(mask)))
        prompts = share_points(objects, (*self.points, *points))
        for prompt in prompts:
            prompt.check(slice_shape)
        return prompts


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
