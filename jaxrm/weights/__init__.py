"""Hugging Face directories <-> our trees, tokenisers and exact preprocessing."""

from jaxrm.weights.clip import ClipCheckpoint, embed_frames, load_clip, save, unit
from jaxrm.weights.preprocess import ImageSettings, check_frames, default_settings, preprocess
from jaxrm.weights.processor import Processor
from jaxrm.weights.table import WeightsError
from jaxrm.weights.tokens import TextProcessor, TrainingWords, UnknownWordsError, check_texts

__all__ = [
    "ClipCheckpoint",
    "ImageSettings",
    "Processor",
    "TextProcessor",
    "TrainingWords",
    "UnknownWordsError",
    "WeightsError",
    "check_frames",
    "check_texts",
    "default_settings",
    "embed_frames",
    "load_clip",
    "preprocess",
    "save",
    "unit",
]
