"""Prompts: what a person says about an object, in pixels of a slice, and how it is written down."""

from napari_samri.prompts.drawing import Line, Outline, Stroke
from napari_samri.prompts.outline import (
    ellipse_outline,
    line_to_box,
    mask_to_box,
    polygon_to_mask,
    rectangle_to_box,
)
from napari_samri.prompts.prompt import Box, Point, Prompt
from napari_samri.prompts.prompt_set import PromptSet
from napari_samri.prompts.record import PROMPT_SET, to_json
from napari_samri.prompts.region import MaskRegion
from napari_samri.prompts.request import SliceRequest, read_requests
from napari_samri.prompts.scribble import scribbles_to_points

__all__ = [
    "PROMPT_SET",
    "Box",
    "Line",
    "MaskRegion",
    "Outline",
    "Point",
    "Prompt",
    "PromptSet",
    "SliceRequest",
    "Stroke",
    "ellipse_outline",
    "line_to_box",
    "mask_to_box",
    "polygon_to_mask",
    "read_requests",
    "rectangle_to_box",
    "scribbles_to_points",
    "to_json",
]
