"""What a box says before the image is looked at: a soft ellipse that touches its sides.

Given as a mask prompt beside the box itself, it spares a small network the learning of where
boxes are; what is left to learn is how the image differs from the ellipse. The answer to a
box, with or without points beside it, is the sum of both log-odds, of the prior and of what image
and points say for or against it: where edges are faint, an object is more often an ellipse than
not.
"""

from __future__ import annotations

import torch

STRENGTH = 4.0  # logit of what is certainly inside; outside it is the negative


def box_prior(boxes_input: torch.Tensor, size: int) -> torch.Tensor:
    """Return mask prompts for boxes.

    Parameters
    ----------
    boxes_input : tensor (K, 4)
        x0, y0, x1, y1 in pixels of the model's input, first and last pixel of the object.
    size : int
        Side of the input, which is also that of mask prompts.

    Returns
    -------
    tensor (K, 1, size, size)
        Logits from -4 to 4, 0 on the ellipse.
    """
    axis = torch.arange(size, device=boxes_input.device, dtype=boxes_input.dtype)
    x0, y0, x1, y1 = (side[:, None] for side in boxes_input.unbind(-1))
    across = (axis - (x0 + x1) / 2) / ((x1 - x0 + 1) / 2)
    down = (axis - (y0 + y1) / 2) / ((y1 - y0 + 1) / 2)
    radius = (across[:, None, :] ** 2 + down[:, :, None] ** 2).sqrt()
    return (STRENGTH * torch.tanh(2 * (1 - radius)))[:, None]
