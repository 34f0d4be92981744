"""SAM's own networks: built empty, filled from a checkpoint without a wasted copy, and run.

One way of decoding serves a click in the viewer and a batch of training alike: prompts of mixed
kinds for several images, through the decoder's own weights. It gives the same numbers as the
library's `PromptEncoder` and `MaskDecoder`.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Self

import torch
from segment_anything import sam_model_registry
from segment_anything.modeling import ImageEncoderViT
from torch import nn

from napari_samri.models.network import PADDING, Architecture, Layout, fill, watched
from napari_samri.models.sam1.encoder import encode_vit
from napari_samri.models.sam1.few_tokens import decode_batch, pixels_of

if TYPE_CHECKING:
    from segment_anything.modeling import MaskDecoder, PromptEncoder, Sam

    from napari_samri.models.checkpoint import Checkpoint
    from napari_samri.models.network import Choose, Features, PromptBatch, Shapes, Watch


class Sam1Network(nn.Module):
    """SAM's image encoder, prompt encoder and mask decoder, as a `Network`.

    Parameters
    ----------
    image_encoder : torch.nn.Module
        From (B, channels, S, S) to (B, C, h, w).
    prompt_encoder : segment_anything.modeling.PromptEncoder
    mask_decoder : segment_anything.modeling.MaskDecoder
    channels : int
        Of the input.
    """

    def __init__(
        self,
        image_encoder: nn.Module,
        prompt_encoder: PromptEncoder,
        mask_decoder: MaskDecoder,
        channels: int = 3,
    ) -> None:
        super().__init__()
        self.image_encoder = image_encoder
        self.prompt_encoder = prompt_encoder
        self.mask_decoder = mask_decoder
        self._channels = channels
        self._position: tuple[object, torch.Tensor] | None = None

    @classmethod
    def of(cls, sam: Sam) -> Self:
        """Take over the parts of the library's own class."""
        return cls(sam.image_encoder, sam.prompt_encoder, sam.mask_decoder).eval()

    @property
    def layout(self) -> Layout:
        """The sizes of its arrays."""
        prompts = self.prompt_encoder
        return Layout(
            input_size=prompts.input_image_size[0],
            channels=self._channels,
            low_res_size=prompts.mask_input_size[0],
            features={"image": (prompts.embed_dim, *prompts.image_embedding_size)},
        )

    @property
    def trainable(self) -> nn.Module:
        """The mask decoder."""
        return self.mask_decoder

    def encode(self, images: torch.Tensor, watch: Watch | None = None) -> Features:
        """Return ``image``, (B, C, h, w), of inputs (B, channels, S, S).

        Where no gradient is asked for, SAM's own encoder is run in a quicker way.
        """
        if isinstance(self.image_encoder, ImageEncoderViT) and not torch.is_grad_enabled():
            return {"image": encode_vit(self.image_encoder, images, watch)}
        with watched(self.image_encoder, watch):
            return {"image": self.image_encoder(images)}

    def decode(
        self,
        features: Features,
        prompts: PromptBatch,
        *,
        image: torch.Tensor | None = None,
        choose: Choose | None = None,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Answer prompts: see `Network.decode`."""
        return decode_batch(
            self.mask_decoder,
            features["image"],
            self._position_of_pixels(),
            _tokens(self.prompt_encoder, prompts),
            _dense(self.prompt_encoder, prompts),
            image,
            choose,
        )

    def _position_of_pixels(self) -> torch.Tensor:
        """Return the positional encoding (1, P, C) of the embedding's pixels, made once.

        Until its matrix changes, or the size of the input.
        """
        matrix = self.prompt_encoder.pe_layer.positional_encoding_gaussian_matrix
        key = (
            matrix.data_ptr(),
            matrix._version,
            matrix.device,
            self.prompt_encoder.image_embedding_size,
        )
        if self._position is None or self._position[0] != key:
            # What is made in inference mode could not be trained with.
            with torch.inference_mode(False), torch.no_grad():
                self._position = key, pixels_of(self.prompt_encoder.get_dense_pe())
        return self._position[1]


def _tokens(encoder: PromptEncoder, prompts: PromptBatch) -> torch.Tensor:
    """Return the tokens (N, T, C) of points, corners and padding."""
    # SAM takes whole numbers for the corners of pixels, and moves to their centres itself.
    tokens = encoder.pe_layer.forward_with_coords(
        prompts.points_input + 0.5, encoder.input_image_size
    )
    padding = (prompts.labels == PADDING)[..., None]
    tokens = torch.where(padding, encoder.not_a_point_embed.weight, tokens)
    for label, embedding in enumerate(encoder.point_embeddings):
        tokens = tokens + (prompts.labels == label)[..., None] * embedding.weight
    return tokens


def _dense(encoder: PromptEncoder, prompts: PromptBatch) -> torch.Tensor:
    """Return what mask prompts add to the embedding's pixels: (N, C, h, w), or (1, C, 1, 1)."""
    none = encoder.no_mask_embed.weight.reshape(1, -1, 1, 1)
    if prompts.masks is None:
        return none
    has_mask = prompts.has_mask[:, None, None, None]
    return torch.where(has_mask, encoder.mask_downscaling(prompts.masks), none)


VIT_BY_WIDTH = {768: "vit_b", 1024: "vit_l", 1280: "vit_h"}


def build_vit(checkpoint: Checkpoint, architecture: str) -> Sam1Network:
    """Build SAM with a ViT encoder from a checkpoint, strictly, in fp32.

    Raises
    ------
    ModelError
        If tensors are missing, left over, or of another shape; the message names them.
    """
    # On the meta device nothing is allocated or initialised: 1 s and 375 MB saved for ViT-B.
    with torch.device("meta"):
        network = Sam1Network.of(sam_model_registry[architecture]())
    fill(network, checkpoint)
    return network


def _is_vit(shapes: Shapes, architecture: str) -> bool:
    width = next(reversed(shapes.get("image_encoder.pos_embed", ())), 0)
    return VIT_BY_WIDTH.get(width) == architecture


VITS = tuple(
    Architecture(
        id=f"vit_{size}",
        title=f"SAM ViT-{size.upper()}",
        fits=partial(_is_vit, architecture=f"vit_{size}"),
        build=partial(build_vit, architecture=f"vit_{size}"),
        original=f"sam-vit-{size}",
        in_sam=True,
    )
    for size in "blh"
)
