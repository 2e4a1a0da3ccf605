"""Hugging Face directories <-> our trees, tokenisers and exact preprocessing."""

from jaxrm.weights.checkpoint import Checkpoint, save
from jaxrm.weights.clip import ClipCheckpoint, embed_frames, load_clip
from jaxrm.weights.decoder import DecoderCheckpoint, load_decoder
from jaxrm.weights.decoder_text import DecoderProcessor
from jaxrm.weights.embed import unit
from jaxrm.weights.interface import load_interface, save_interface
from jaxrm.weights.preprocess import ImageSettings, check_frames, default_settings, preprocess
from jaxrm.weights.processor import Processor
from jaxrm.weights.table import WeightsError
from jaxrm.weights.tokens import TextProcessor, TrainingWords, UnknownWordsError, check_texts
from jaxrm.weights.tower import TowerCheckpoint, load_tower

__all__ = [
    "Checkpoint",
    "ClipCheckpoint",
    "DecoderCheckpoint",
    "DecoderProcessor",
    "ImageSettings",
    "Processor",
    "TextProcessor",
    "TowerCheckpoint",
    "TrainingWords",
    "UnknownWordsError",
    "WeightsError",
    "check_frames",
    "check_texts",
    "default_settings",
    "embed_frames",
    "load_clip",
    "load_decoder",
    "load_interface",
    "load_tower",
    "preprocess",
    "save",
    "save_interface",
    "unit",
]
