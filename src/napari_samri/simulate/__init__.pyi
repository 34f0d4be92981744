from .boxes import box_extents, grown_boxes, jitter_boxes, move_sides, tight_boxes
from .points import corrections, error_points, points_within, random_points

__all__ = [
    "box_extents",
    "corrections",
    "error_points",
    "grown_boxes",
    "jitter_boxes",
    "move_sides",
    "points_within",
    "random_points",
    "tight_boxes",
]
