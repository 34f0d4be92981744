from .annotation import Annotation, annotations_of
from .banks import PreviewLayers, bank_layers, show_bank
from .connections import KEYS, Connections, bind_keys, pick_pixel, shown_key
from .current import CurrentSession, open_annotation
from .layer_tasks import LayerPair, image_in_view, layer_pair, warm_task
from .layers import volume_name
from .placing import labels_on_image
from .preferences import current_settings, model_chosen, use_model_in
from .prompt_layers import POSITIVE, SIGN_COLOURS
from .reader import layer_data, source_of
from .roles import (
    IMAGE_KEY,
    images_of,
    labels_of,
    may_be_labels,
)
from .unsaved import Unsaved, unsaved_labels

__all__ = [
    "IMAGE_KEY",
    "KEYS",
    "POSITIVE",
    "SIGN_COLOURS",
    "Annotation",
    "Connections",
    "CurrentSession",
    "LayerPair",
    "PreviewLayers",
    "Unsaved",
    "annotations_of",
    "bank_layers",
    "bind_keys",
    "current_settings",
    "image_in_view",
    "images_of",
    "labels_of",
    "labels_on_image",
    "layer_data",
    "layer_pair",
    "may_be_labels",
    "model_chosen",
    "open_annotation",
    "pick_pixel",
    "show_bank",
    "shown_key",
    "source_of",
    "unsaved_labels",
    "use_model_in",
    "volume_name",
    "warm_task",
]
