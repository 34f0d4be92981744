from .masks import NO_POST_PROCESSING, Candidates, PostProcessing
from .predictor import Predictor, load_predictor
from .protocol import (
    CALLS,
    DEFAULT_MODEL,
    REPLIES,
    Answered,
    Call,
    CancelAll,
    Encode,
    Encoded,
    Load,
    Loaded,
    ModelChoice,
    ModelInfo,
    Predict,
    Reply,
)
from .slices import SliceMask, paint_labels, segment_slices

__all__ = [
    "CALLS",
    "DEFAULT_MODEL",
    "NO_POST_PROCESSING",
    "REPLIES",
    "Answered",
    "Call",
    "CancelAll",
    "Candidates",
    "Encode",
    "Encoded",
    "Load",
    "Loaded",
    "ModelChoice",
    "ModelInfo",
    "PostProcessing",
    "Predict",
    "Predictor",
    "Reply",
    "SliceMask",
    "load_predictor",
    "paint_labels",
    "segment_slices",
]
