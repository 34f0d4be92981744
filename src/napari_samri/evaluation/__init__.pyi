from .baselines import BASELINES, filled_box, inscribed_ellipse, otsu_in_box
from .metrics import (
    Metric,
    dice,
    find_metric,
    iou,
    known_metrics,
    register_metric,
    unregister_metric,
)

__all__ = [
    "BASELINES",
    "Metric",
    "dice",
    "filled_box",
    "find_metric",
    "inscribed_ellipse",
    "iou",
    "known_metrics",
    "otsu_in_box",
    "register_metric",
    "unregister_metric",
]
