from .baselines import BASELINES, filled_box, inscribed_ellipse, otsu_in_box
from .metrics import METRICS, Metric, dice, find_metric, iou, register_metric, unregister_metric

__all__ = [
    "BASELINES",
    "METRICS",
    "Metric",
    "dice",
    "filled_box",
    "find_metric",
    "inscribed_ellipse",
    "iou",
    "otsu_in_box",
    "register_metric",
    "unregister_metric",
]
