"""MPT with queries' and keys' norm in plain numpy, for one row of tokens: what no library can be asked.

The order is MosaicGPT's: project, cut, norm over the whole width, split into heads, linear biases, softmax.
"""

import math

import numpy as np


def random_tensors(vocabulary: int, width: int, layers: int) -> dict[str, np.ndarray]:
    """float32 tensors under the names of the published 1B."""
    shapes = {"transformer.wte.weight": (vocabulary, width), "transformer.ln_f.weight": (width,)}
    for i in range(layers):
        block = f"transformer.blocks.{i}"
        shapes |= {f"{block}.{n}.weight": (width,) for n in ("ln_1", "ln_2", "attn.q_ln", "attn.k_ln")}
        shapes[f"{block}.attn.Wqkv.weight"] = (3 * width, width)
        shapes[f"{block}.attn.out_proj.weight"] = (width, width)
        shapes[f"{block}.mlp.mlp_up.weight"] = (4 * width, width)
        shapes[f"{block}.mlp.mlp_down.weight"] = (width, 4 * width)
    draw = np.random.default_rng(0).normal
    return {
        name: (draw(size=shape) * 0.3 + (len(shape) == 1)).astype(np.float32)
        for name, shape in shapes.items()
    }


def logits(
    tensors, tokens: np.ndarray, heads: int, clip: float, qk_ln: bool = True, alibi_bias_max: float = 8
) -> np.ndarray:
    """float64 [t, vocabulary]."""
    weights = {name: tensor.astype(np.float64) for name, tensor in tensors.items()}
    x = weights["transformer.wte.weight"][tokens]
    layers = 1 + max(int(name.split(".")[2]) for name in weights if ".blocks." in name)
    for i in range(layers):
        block = {n.split(f"blocks.{i}.")[1]: w for n, w in weights.items() if f".blocks.{i}." in n}
        x = x + attention(block, norm(x, block["ln_1.weight"]), heads, clip, qk_ln, alibi_bias_max)
        hidden = norm(x, block["ln_2.weight"]) @ block["mlp.mlp_up.weight"].T
        hidden = 0.5 * hidden * (1 + np.vectorize(math.erf)(hidden / math.sqrt(2)))
        x = x + hidden @ block["mlp.mlp_down.weight"].T
    return norm(x, weights["transformer.ln_f.weight"]) @ weights["transformer.wte.weight"].T


def attention(
    block, x: np.ndarray, heads: int, clip: float, qk_ln: bool, alibi_bias_max: float
) -> np.ndarray:
    q, k, v = np.split(np.clip(x @ block["attn.Wqkv.weight"].T, -clip, clip), 3, axis=-1)
    if qk_ln:
        q, k = norm(q, block["attn.q_ln.weight"]), norm(k, block["attn.k_ln.weight"])
    t, width = x.shape
    head = width // heads
    n = 2 ** math.ceil(math.log2(heads))
    falls = [2.0 ** (-alibi_bias_max * (i + 1) / n) for i in range(n)]
    falls = falls if n == heads else (falls[1::2] + falls[::2])[:heads]
    out = np.zeros_like(x)
    for h in range(heads):
        part = slice(h * head, (h + 1) * head)
        for i in range(t):
            scores = np.array(
                [q[i, part] @ k[j, part] / math.sqrt(head) + falls[h] * (j - i) for j in range(i + 1)]
            )
            weights = np.exp(scores - scores.max())
            out[i, part] = (weights / weights.sum()) @ v[: i + 1, part]
    return out @ block["attn.out_proj.weight"].T


def norm(x: np.ndarray, scale: np.ndarray) -> np.ndarray:
    centred = x - x.mean(axis=-1, keepdims=True)
    return centred / np.sqrt((centred**2).mean(axis=-1, keepdims=True) + 1e-5) * scale
