"""News for all that show a list of models."""

from __future__ import annotations

from psygnal import SignalInstance

# Emitted without arguments, on whatever thread, after the known models have changed.
models_changed = SignalInstance(name="models_changed")
