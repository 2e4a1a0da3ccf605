"""CLIP's ResNet and text tower in plain torch, written from the paper and from the names of the tensors.

It stands in where open_clip is not installed: that needs a torchvision which PyPI does not build for every
torch. Where open_clip is there, `test_open_clip.py` compares all three.
"""

import torch
import torch.nn.functional as F

Tensors = dict[str, torch.Tensor]


def shapes(
    layers: tuple[int, ...], channels: int, size: int, output: int, text: dict[str, int]
) -> dict[str, tuple[int, ...]]:
    """Every tensor of an open_clip checkpoint and its shape."""
    found: dict[str, tuple[int, ...]] = {"logit_scale": (), "ln_final.weight": (), "ln_final.bias": ()}

    def conv(name: str, norm: str, inputs: int, outputs: int, kernel: int) -> None:
        found[f"{name}.weight"] = (outputs, inputs, kernel, kernel)
        for part in ("weight", "bias", "running_mean", "running_var"):
            found[f"{norm}.{part}"] = (outputs,)
        found[f"{norm}.num_batches_tracked"] = ()

    half, inputs = channels // 2, channels
    for i, (a, b) in enumerate([(3, half), (half, half), (half, channels)], start=1):
        conv(f"visual.conv{i}", f"visual.bn{i}", a, b, 3)
    for stage, count in enumerate(layers, start=1):
        inner = channels * 2 ** (stage - 1)
        for block in range(count):
            at = f"visual.layer{stage}.{block}"
            conv(f"{at}.conv1", f"{at}.bn1", inputs, inner, 1)
            conv(f"{at}.conv2", f"{at}.bn2", inner, inner, 3)
            conv(f"{at}.conv3", f"{at}.bn3", inner, 4 * inner, 1)
            if block == 0:
                conv(f"{at}.downsample.0", f"{at}.downsample.1", inputs, 4 * inner, 1)
            inputs = 4 * inner
    pool = "visual.attnpool"
    found[f"{pool}.positional_embedding"] = ((size // 32) ** 2 + 1, inputs)
    for part, outputs in zip("qkvc", (inputs, inputs, inputs, output), strict=True):
        found |= {f"{pool}.{part}_proj.weight": (outputs, inputs), f"{pool}.{part}_proj.bias": (outputs,)}
    return found | _text_shapes(output, text)


def _text_shapes(output: int, text: dict[str, int]) -> dict[str, tuple[int, ...]]:
    width = text["width"]
    found: dict[str, tuple[int, ...]] = {
        "token_embedding.weight": (text["vocab_size"], width),
        "positional_embedding": (text["context_length"], width),
        "ln_final.weight": (width,),
        "ln_final.bias": (width,),
        "text_projection": (width, output),
    }
    for layer in range(text["layers"]):
        for name, shape in {
            "ln_1.weight": (width,),
            "ln_1.bias": (width,),
            "attn.in_proj_weight": (3 * width, width),
            "attn.in_proj_bias": (3 * width,),
            "attn.out_proj.weight": (width, width),
            "attn.out_proj.bias": (width,),
            "ln_2.weight": (width,),
            "ln_2.bias": (width,),
            "mlp.c_fc.weight": (4 * width, width),
            "mlp.c_fc.bias": (4 * width,),
            "mlp.c_proj.weight": (width, 4 * width),
            "mlp.c_proj.bias": (width,),
        }.items():
            found[f"transformer.resblocks.{layer}.{name}"] = shape
    return found


def random_tensors(wanted: dict[str, tuple[int, ...]], seed: int = 0) -> Tensors:
    """Weights at a scale that keeps the signal alive, running variances above zero, counters as integers."""
    generator = torch.Generator().manual_seed(seed)
    made = {}
    for name, shape in wanted.items():
        if name.endswith("num_batches_tracked"):
            made[name] = torch.tensor(7)
            continue
        x = torch.randn(shape, generator=generator)
        fan_in = x[0].numel() if x.ndim > 1 else 1
        near_one = name.endswith(("running_var",)) or (x.ndim == 1 and name.endswith(".weight"))
        made[name] = 1 + 0.3 * x.tanh() if near_one else x * (fan_in**-0.5 if x.ndim > 1 else 0.1)
    return made


def image_features(t: Tensors, pixels: torch.Tensor, head_width: int = 64) -> torch.Tensor:
    """[n, 3, h, w] -> [n, d]."""

    def conv(x: torch.Tensor, name: str, norm: str, stride: int = 1) -> torch.Tensor:
        kernel = t[f"{name}.weight"]
        x = F.conv2d(x, kernel, stride=stride, padding=kernel.shape[-1] // 2)
        statistics = (t[f"{norm}.{part}"] for part in ("running_mean", "running_var", "weight", "bias"))
        return F.batch_norm(x, *statistics, eps=1e-5)

    x = pixels
    for i in (1, 2, 3):
        x = conv(x, f"visual.conv{i}", f"visual.bn{i}", stride=2 if i == 1 else 1).relu()
    x, stage = F.avg_pool2d(x, 2), 1
    while f"visual.layer{stage}.0.conv1.weight" in t:
        block = 0
        while f"visual.layer{stage}.{block}.conv1.weight" in t:
            at, shrink = f"visual.layer{stage}.{block}", 2 if stage > 1 and block == 0 else 1
            y = conv(x, f"{at}.conv1", f"{at}.bn1").relu()
            y = F.avg_pool2d(conv(y, f"{at}.conv2", f"{at}.bn2").relu(), shrink)
            y = conv(y, f"{at}.conv3", f"{at}.bn3")
            if block == 0:
                x = conv(F.avg_pool2d(x, shrink), f"{at}.downsample.0", f"{at}.downsample.1")
            x, block = (x + y).relu(), block + 1
        stage += 1
    x = x.flatten(2).mT
    x = torch.cat([x.mean(1, keepdim=True), x], 1) + t["visual.attnpool.positional_embedding"]
    q, k, v = (
        F.linear(x, t[f"visual.attnpool.{p}_proj.weight"], t[f"visual.attnpool.{p}_proj.bias"]) for p in "qkv"
    )
    x = _attention(q, k, v, x.shape[-1] // head_width)[:, 0]
    return F.linear(x, t["visual.attnpool.c_proj.weight"], t["visual.attnpool.c_proj.bias"])


def text_features(t: Tensors, ids: torch.Tensor, heads: int, quick: bool) -> torch.Tensor:
    """[n, length] -> [n, d], read at the largest id."""
    x, length, layer = t["token_embedding.weight"][ids], ids.shape[1], 0
    x = x + t["positional_embedding"][:length]
    while (at := f"transformer.resblocks.{layer}") + ".ln_1.weight" in t:

        def part(x: torch.Tensor, name: str, at: str = at) -> torch.Tensor:
            weight, bias = (t.get(f"{at}.{name}{end}") for end in (".weight", ".bias"))
            if weight is None:
                weight, bias = t[f"{at}.{name}_weight"], t[f"{at}.{name}_bias"]
            return (
                F.layer_norm(x, (x.shape[-1],), weight, bias) if "ln" in name else F.linear(x, weight, bias)
            )

        q, k, v = part(part(x, "ln_1"), "attn.in_proj").chunk(3, -1)
        x = x + part(_attention(q, k, v, heads, causal=True), "attn.out_proj")
        y = part(part(x, "ln_2"), "mlp.c_fc")
        x = x + part(y * torch.sigmoid(1.702 * y) if quick else F.gelu(y), "mlp.c_proj")
        layer += 1
    x = F.layer_norm(x, (x.shape[-1],), t["ln_final.weight"], t["ln_final.bias"])
    return x[torch.arange(len(x)), ids.argmax(-1)] @ t["text_projection"]


def _attention(q, k, v, heads: int, causal: bool = False) -> torch.Tensor:
    shape = q.shape
    q, k, v = (x.reshape(*shape[:2], heads, -1).transpose(1, 2) for x in (q, k, v))
    scores = q @ k.mT * q.shape[-1] ** -0.5
    if causal:
        scores = scores + torch.full(scores.shape[-2:], -torch.inf, dtype=q.dtype).triu(1)
    return (scores.softmax(-1) @ v).transpose(1, 2).reshape(shape)
