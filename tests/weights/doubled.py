"""transformers' decoders in float64 from end to end.

Their norms, rotary angles and softmax ask for float32 by name, which leaves 1e-7 of noise in a model of
float64. Here the names mean float64 for a while: the code that runs is the library's own.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def float64_everywhere() -> Iterator[None]:
    """`torch.float32`, `torch.float` and `Tensor.float` mean float64."""
    kept = torch.float32, torch.float, torch.Tensor.float
    torch.float32 = torch.float = torch.float64
    torch.Tensor.float = torch.Tensor.double
    try:
        yield
    finally:
        torch.float32, torch.float, torch.Tensor.float = kept


def doubled(model: torch.nn.Module) -> torch.nn.Module:
    """A copy of a decoder of transformers in float64; to be made and called in
    `float64_everywhere`, for its angles are computed when it is made."""
    copy = type(model)(model.config).double()
    copy.load_state_dict(model.state_dict())
    return copy.eval()
