"""Prompts: what a person says about an object, in pixels of a slice, and how it is written down."""

from napari_samri.prompts.prompt import Box, Point, Prompt, PromptSet
from napari_samri.prompts.request import SliceRequest, read_requests

__all__ = ["Box", "Point", "Prompt", "PromptSet", "SliceRequest", "read_requests"]
