"""Fetching a checkpoint from the Hugging Face hub: safetensors, JSON and tokeniser files, nothing else."""

import json
import os
from pathlib import Path
from typing import Any

SINGLE, OPEN_CLIP = "model.safetensors", "open_clip_model.safetensors"
# No pickle and no code is ever fetched.
SMALL_FILES = ("*.json", "merges.txt", "vocab.txt", "spiece.model", "tokenizer.model")
WEIGHTS = (SINGLE, "model-*-of-*.safetensors")
OPEN_CLIP_WEIGHTS = (OPEN_CLIP, "open_clip_model-*-of-*.safetensors")
PICKLES = (".bin", ".pt", ".pth", ".ckpt")
OWN_CODE = ("mosaic_gpt",)  # types that transformers has no class for
DECODER_TYPES = ("llama", "qwen2", "qwen3", "gpt2", "gpt_neox", "mpt", "mosaic_gpt")  # in config.json


def fetch(name: str) -> Path:
    """A hub id ("organisation/name") -> the directory of its cached copy, fetched where it is not there yet.

    The small files come first: they say which weights are wanted, since a repository may hold the same
    network twice (transformers' and open_clip's format).

    Raises:
      FileNotFoundError: no such model, no access, no network and no cached copy, or no safetensors there.
    """
    directory = _download(name, SMALL_FILES)
    open_clip = (directory / "open_clip_config.json").is_file() and _model_type(directory) is None
    directory = _download(name, OPEN_CLIP_WEIGHTS if open_clip else WEIGHTS)
    if not any(directory.glob("*.safetensors")):
        raise FileNotFoundError(_without_safetensors(name, directory))
    return directory


def _model_type(directory: Path) -> Any:
    """What config.json is of; None: not of transformers, such as timm's, which open_clip's repositories carry
    too.
    """
    try:
        given = json.loads((directory / "config.json").read_bytes())
    except (OSError, ValueError):  # said later, by what reads it
        return None
    return given.get("model_type") if isinstance(given, dict) else None


def _download(name: str, patterns: tuple[str, ...]) -> Path:
    from huggingface_hub import errors, snapshot_download  # slow to import; most runs need no network

    try:
        return Path(snapshot_download(name, allow_patterns=list(patterns)))
    except errors.GatedRepoError as error:
        why = f"it is gated: accept its terms on https://huggingface.co/{name}, then `hf auth login`"
        raise FileNotFoundError(_message(name, why)) from error
    except errors.RepositoryNotFoundError as error:
        why = "there is no model of that name, or it is private: check the spelling, or `hf auth login`"
        raise FileNotFoundError(_message(name, why)) from error
    except errors.HFValidationError as error:
        raise FileNotFoundError(_message(name, f"that is no possible name: {_first_line(error)}")) from error
    except Exception as error:  # no network, offline mode, a proxy, a broken download: one meaning
        offline = " (HF_HUB_OFFLINE is set)" if os.environ.get("HF_HUB_OFFLINE", "0") not in ("", "0") else ""
        why = (
            f"the hub cannot be reached{offline} and no complete copy is cached. Where there is a network, "
            f"`hf download {name} --local-dir DIR` fetches it; then name DIR. ({_first_line(error)})"
        )
        raise FileNotFoundError(_message(name, why)) from error


def _message(name: str, why: str) -> str:
    return f"no directory {name!r} here, and from the Hugging Face hub: {why}"


def _first_line(error: Exception) -> str:
    text = str(error).strip()
    return f"{type(error).__name__}: {text.splitlines()[0]}" if text else type(error).__name__


def _without_safetensors(name: str, cached: Path) -> str:
    """Says what the repository has instead; asked for only here, where loading has failed anyway."""
    from huggingface_hub import list_repo_files

    try:
        pickles = [file for file in list_repo_files(name) if file.endswith(PICKLES)]
    except Exception:  # no network: the cached copy is all we know
        return f"the cached copy of {name!r} has no safetensors, and the hub cannot be asked for more"
    if not pickles:
        return f"{name!r} of the Hugging Face hub holds no {SINGLE}, {SINGLE}.index.json or {OPEN_CLIP}"
    return f"{name!r} of the Hugging Face hub {pickle_advice(pickles, 'DIR', cached)}"


def pickle_advice(pickles: list[str], directory: str, config: Path) -> str:
    """Why pickles are refused, and the lines that convert one where it is trusted.

    Args:
      pickles: names of files.
      directory: where they are, or will be.
      config: the directory whose config.json says what they are of.
    """
    # of a decoder `AutoModel` is a part: it would be saved without its head, and under other names
    kind = _model_type(config)
    auto = "AutoModelForCausalLM" if kind in DECODER_TYPES else "AutoModel"
    download = f"fetch it with `hf download ... --local-dir {directory}`, then " if directory == "DIR" else ""
    target = OPEN_CLIP if Path(pickles[0]).name.startswith("open_clip") else SINGLE
    source = Path(directory) / pickles[0]
    classes = (
        f'where torch and transformers are installed, python -c "from transformers import {auto} as M; '
        f"M.from_pretrained('{directory}').save_pretrained('{directory}')\"\nor, for"
    )
    return (
        f"holds its weights as {', '.join(pickles)} only. Such files can run code when they are opened, so "
        f"they are never loaded here. Convert a checkpoint that you trust once: {download}"
        f"{'for' if kind in OWN_CODE else classes} any file that holds tensors by name,\n"
        "  import torch, safetensors.torch\n"
        f"  tensors = torch.load('{source}', map_location='cpu', weights_only=True)\n"
        "  tensors = {name: tensor.clone().contiguous() for name, tensor in tensors.items()}\n"
        f"  safetensors.torch.save_file(tensors, '{Path(directory) / target}', metadata={{'format': 'pt'}})"
    )
