"""What the small CLIP's training begins from: random weights, or those of another training."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Float

import jaxrm
from jaxrm.models import Clip, TextConfig, TransformerConfig, VisionConfig
from jaxrm.models import ClipConfig as ModelConfig
from jaxrm.models.positions import resample
from jaxrm.weights.tokens import TextProcessor
from train.clip.config import ClipConfig
from train.vocabulary import respelt, train_tokenizer

CONTEXT = 32  # tokens


def start(config: ClipConfig, everything: list[str], key: Array) -> tuple[Clip, TextProcessor]:
    """The tokeniser of all that is said, and a model that reads by it: a new one, or `config.start`'s.

    Raises:
      ValueError: the towers of `config.start` have other widths or depths than those wanted.
    """
    tokenizer = train_tokenizer(everything)
    wanted = architecture(config, tokenizer.get_vocab_size())
    texts = TextProcessor(tokenizer, wanted.text)
    if config.start is None:
        return Clip.create(wanted, key), texts
    started = jaxrm.load_clip(str(config.start))
    had, read = started.model.config, started.processor.texts
    words = replace(had.text, vocabulary=wanted.text.vocabulary, eos_token_id=wanted.text.eos_token_id)
    grid = replace(had.vision, image_size=config.size, patch_size=config.patch)
    if read is None or replace(had, text=words, vision=grid) != wanted:
        raise ValueError(f"{str(config.start)!r} is of another size: {had}, not {wanted}")
    table = np.asarray(started.model.text.embedding[...])
    started.model.text.embedding = nnx.Param(jnp.asarray(respelt(table, read.tokenizer, tokenizer)))
    vision, old, new = started.model.vision, had.vision.grid, wanted.vision.grid
    vision.patches.kernel = nnx.Param(_resized_kernel(vision.patches.kernel[...], config.patch))
    vision.positions = nnx.Param(_resized_positions(vision.positions[...], old, new))
    return jax.tree.unflatten(
        jax.tree.structure(Clip.abstract(wanted)), jax.tree.leaves(started.model)
    ), texts


def architecture(config: ClipConfig, vocabulary: int) -> ModelConfig:
    """The two towers of a config, for a tokeniser of so many entries."""

    def tower(width: int, layers: int, heads: int) -> TransformerConfig:
        return TransformerConfig(width, layers, heads, 4 * width, "quick_gelu")

    vision = VisionConfig(tower(config.width, config.layers, config.heads), config.size, config.patch)
    text = TextConfig(tower(config.text_width, config.text_layers, 4), vocabulary, CONTEXT, vocabulary - 1)
    return ModelConfig(vision, text, config.projection, float(np.log(10.0)))


def _resized_kernel(
    kernel: Float[Array, "patch patch channels width"], patch: int
) -> Float[Array, "new new channels width"]:
    """The kernel of a patch embedding for patches of another side; one colour gives the same vector."""
    wanted = (patch, patch, *kernel.shape[2:])
    return jax.image.resize(kernel, wanted, "linear", antialias=False) * (kernel.shape[0] / patch) ** 2


def _resized_positions(
    positions: Float[Array, "tokens width"], old: int, new: int
) -> Float[Array, "new_tokens width"]:
    """Position embeddings of another grid; the class token's stays."""
    grid = resample(positions[1:].reshape(old, old, -1), new, new, antialias=False)
    return jnp.concatenate([positions[:1], grid.reshape(new * new, -1)])
