"""Reading the fields of a config.json of Hugging Face."""

from collections.abc import Mapping
from typing import Any

from jaxrm.models import TransformerConfig

LINEAR = (1, 0)  # torch keeps [out, in]
CONVOLUTION = (2, 3, 1, 0)  # torch keeps [out, channel, height, width]


def present(fields: Mapping[str, Any] | None) -> dict[str, Any]:
    """Without the fields that are null, as if omitted."""
    return {name: value for name, value in (fields or {}).items() if value is not None}


def square(fields: Mapping[str, Any], name: str) -> int:
    """A size given as one number or as two equal ones."""
    value = fields[name]
    sizes = set(value) if isinstance(value, (list, tuple)) else {value}
    if len(sizes) != 1:
        raise ValueError(f"{name} is {value}: only square images and patches are supported")
    return sizes.pop()


def check_rgb(fields: Mapping[str, Any]) -> None:
    """Raise unless images have 3 channels."""
    channels = fields.get("num_channels", 3)
    if channels != 3:
        raise ValueError(f"num_channels is {channels}: only images of 3 channels are supported")


def transformer(fields: Mapping[str, Any], dtype: str, **more: Any) -> TransformerConfig:
    """The fields that transformers gives to each of its encoders."""
    return TransformerConfig(
        width=fields["hidden_size"],
        layers=fields["num_hidden_layers"],
        heads=fields["num_attention_heads"],
        mlp_width=fields["intermediate_size"],
        activation=fields["hidden_act"],
        norm_eps=fields["layer_norm_eps"],
        dtype=dtype,
        **more,
    )


def format_transformer(config: TransformerConfig) -> dict[str, Any]:
    """The inverse of `transformer`."""
    return {
        "hidden_size": config.width,
        "num_hidden_layers": config.layers,
        "num_attention_heads": config.heads,
        "intermediate_size": config.mlp_width,
        "hidden_act": config.activation,
        "layer_norm_eps": config.norm_eps,
    }
