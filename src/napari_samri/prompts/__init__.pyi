from .drawing import Line, Outline, Stroke
from .outline import ellipse_outline, mask_to_box, rectangle_to_box
from .prompt import Box, MaskRegion, Point, Prompt
from .prompt_set import PromptSet
from .record import PROMPTS, SliceRequest, read_requests

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
    "mask_to_box",
    "read_requests",
    "rectangle_to_box",
]
