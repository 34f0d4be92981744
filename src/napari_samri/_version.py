"""The version, once: hatch reads it here, and what is written names it."""

__version__ = "0.1.0"
