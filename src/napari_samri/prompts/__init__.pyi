from .drawing import Line, Outline, Stroke
from .outline import ellipse_outline, line_to_box, mask_to_box, polygon_to_mask, rectangle_to_box
from .prompt import Box, Point, Prompt
from .prompt_set import PromptSet
from .record import PROMPTS
from .region import MaskRegion
from .request import SliceRequest, read_requests
from .scribble import scribbles_to_points

__all__ = [
    "PROMPTS",
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
]
