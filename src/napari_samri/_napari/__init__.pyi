from .annotation import Annotation, annotations_of
from .background import Background
from .bank_reading import bank_layers
from .bank_view import show_bank
from .canvas import labels_drawn_on, new_labels
from .connections import Connections
from .drawing import POSITIVE, SIGN_COLOURS
from .embed_request import (
    EmbedRequest,
    LayerPair,
    bank_path,
    existing_source,
    image_in_view,
    layer_pair,
    suggested_bank,
    warm_request,
)
from .embed_run import Status
from .embedding_job import EmbeddingJob
from .keys import KEYS, bind_keys, shown_key
from .layers import volume_name
from .model_choice import model_chosen, use_model_in
from .picking import pick_pixel
from .placing import check_layers, labels_on_image
from .preferences import current_settings
from .preview_layers import PreviewLayers
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
from .tune_request import (
    FEW_MASKS,
    Facts,
    TuneRequest,
    existing_bank,
    facts_of,
    run_folder,
    suggested_numbers,
    suggested_run,
)
from .tune_run import TuneStatus
from .tuning_job import TuningJob
from .unsaved import Unsaved, unsaved_labels

__all__ = [
    "FEW_MASKS",
    "IMAGE_KEY",
    "KEYS",
    "POSITIVE",
    "SIGN_COLOURS",
    "Annotation",
    "Background",
    "Connections",
    "EmbedRequest",
    "EmbeddingJob",
    "Facts",
    "LayerPair",
    "PreviewLayers",
    "Status",
    "TuneRequest",
    "TuneStatus",
    "TuningJob",
    "Unsaved",
    "annotations_of",
    "as_labels_layer",
    "bank_layers",
    "bank_path",
    "bind_keys",
    "check_layers",
    "current_settings",
    "doubt",
    "existing_bank",
    "existing_source",
    "facts_of",
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
    "pick_pixel",
    "run_folder",
    "show_bank",
    "shown_key",
    "source_of",
    "suggested_bank",
    "suggested_numbers",
    "suggested_run",
    "unsaved_labels",
    "use_as_image",
    "use_model_in",
    "volume_name",
    "warm_request",
]
