"""Golden decoders, and changes of a copy's files."""

from pathlib import Path

from safetensors.numpy import load_file, save_file

from jaxrm.weights import files

GOLDEN = Path(__file__).parents[1] / "golden"
LLAMA = GOLDEN / "decoder-llama"
PROMPTS, CONTINUATIONS = ["A video of a robot:", "it", ""], [" kneels down", " gets up from kneeling", "True"]


def edit(directory: Path, **changes) -> None:
    """Change model.safetensors: a tensor by name, or None to drop it."""
    tensors = load_file(directory / files.SINGLE) | {k.replace("__", "."): v for k, v in changes.items()}
    save_file(
        {name: tensor for name, tensor in tensors.items() if tensor is not None}, directory / files.SINGLE
    )


def edit_config(directory: Path, **changes) -> None:
    files.write_json(directory / "config.json", files.read_config(directory) | changes)
