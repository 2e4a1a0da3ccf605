"""Rows that the tables of several families share."""

from collections.abc import Mapping

from jaxrm.weights.fields import LINEAR
from jaxrm.weights.table import Row

# Our name in a block -> theirs, the order of axes, the parts; of transformers' CLIP and SigLIP.
BLOCK = {
    "attention_norm.scale": ("layer_norm1.weight", None, ()),
    "attention_norm.bias": ("layer_norm1.bias", None, ()),
    "attention.qkv.kernel": ("self_attn.{part}_proj.weight", LINEAR, ("q", "k", "v")),
    "attention.qkv.bias": ("self_attn.{part}_proj.bias", None, ("q", "k", "v")),
    "attention.out.kernel": ("self_attn.out_proj.weight", LINEAR, ()),
    "attention.out.bias": ("self_attn.out_proj.bias", None, ()),
    "mlp_norm.scale": ("layer_norm2.weight", None, ()),
    "mlp_norm.bias": ("layer_norm2.bias", None, ()),
    "mlp.up.kernel": ("mlp.fc1.weight", LINEAR, ()),
    "mlp.up.bias": ("mlp.fc1.bias", None, ()),
    "mlp.down.kernel": ("mlp.fc2.weight", LINEAR, ()),
    "mlp.down.bias": ("mlp.fc2.bias", None, ()),
}


def norm(ours: str, theirs: str) -> tuple[Row, Row]:
    """A layer norm."""
    return Row(f"{ours}.scale", f"{theirs}.weight"), Row(f"{ours}.bias", f"{theirs}.bias")


def linear(ours: str, theirs: str) -> tuple[Row, Row]:
    """A linear map with its bias."""
    return Row(f"{ours}.kernel", f"{theirs}.weight", LINEAR), Row(f"{ours}.bias", f"{theirs}.bias")


def blocks(ours: str, theirs: str, layers: int, block: Mapping[str, tuple] = BLOCK) -> tuple[Row, ...]:
    """The stacked blocks of the transformer of `ours` ("": the tree itself); `theirs` has `{layer}` in it."""
    where = f"{ours}.transformer.blocks".lstrip(".")
    return tuple(
        Row(f"{where}.{inside}", f"{theirs}.{name}", axes, parts, layers)
        for inside, (name, axes, parts) in block.items()
    )
