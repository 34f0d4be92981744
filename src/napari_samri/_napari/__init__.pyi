from .annotation import Annotation, annotations_of
from .banks import PreviewLayers, bank_layers, show_bank
from .canvas import labels_drawn_on, new_labels
from .connections import KEYS, Connections, bind_keys, pick_pixel, shown_key
from .current import CurrentSession, open_annotation
from .layer_tasks import LayerPair, image_in_view, layer_pair, warm_task
from .layers import volume_name
from .placing import check_layers, labels_on_image
from .preferences import current_settings, model_chosen, use_model_in
from .prompt_layers import POSITIVE, SIGN_COLOURS
from .reader import layer_data, source_of
from .roles import (
    IMAGE_KEY,
    as_labels_layer,
    doubt,
    images_of,
    labels_of,
    may_be_labels,
    use_as_image,
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
    "as_labels_layer",
    "bank_layers",
    "bind_keys",
    "check_layers",
    "current_settings",
    "doubt",
    "image_in_view",
    "images_of",
    "labels_drawn_on",
    "labels_of",
    "labels_on_image",
    "layer_data",
    "layer_pair",
    "may_be_labels",
    "model_chosen",
    "new_labels",
    "open_annotation",
    "pick_pixel",
    "show_bank",
    "shown_key",
    "source_of",
    "unsaved_labels",
    "use_as_image",
    "use_model_in",
    "volume_name",
    "warm_task",
]
