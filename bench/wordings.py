"""How many wordings a small CLIP of ours takes for something else than the plainest sentence of their claim.

    python -m bench.wordings scene-clip

Sentences are drawn from all that captions can say, those that no training saw among them: of claims of
training, of postures with arms that no caption of training claimed, and of orders in two parts. One counts as
heard where no other plain sentence is nearer to it than its own.
"""

import itertools
import random

import numpy as np
import tyro

import jaxrm
from envs.humanoid import captions
from envs.humanoid.captions import Part
from envs.humanoid.concepts import ARMS, POSTURES
from train.rl.reading import plain_sentences

Said = list[tuple[tuple[Part, ...], str]]


def draw(rng: random.Random, each: int, orders: int) -> dict[str, Said]:
    """Claims and sentences: so many of each claim, and so many orders in all."""
    plain = set(plain_sentences().values())
    told = [claim for claim in captions.said() if claim in plain]
    pairs = [tuple(map(Part, names)) for names in itertools.product(POSTURES, ARMS)]
    found: dict[str, Said] = {
        name: [
            (claim, captions.sentence(rng, rng.choice(captions.tails(*claim))))
            for claim in claims
            for _ in range(each)
        ]
        for name, claims in (
            ("claims of training", told),
            ("pairs that no caption claimed", [pair for pair in pairs if pair not in told]),
        )
    }
    every = [
        (pair, tail.text)
        for pair in pairs
        for tail in captions.tails(*pair)
        if not tail.links and " and " in tail.text
    ]
    return found | {"orders in two parts": rng.sample(every, orders)}


def main(model: tyro.conf.Positional[str] = "scene-clip", each: int = 20, orders: int = 1500) -> None:
    """Prints the shares."""
    clip, plain = jaxrm.load_clip(model), plain_sentences()
    table, claims = np.asarray(clip.embed_texts(list(plain))), list(plain.values())
    for name, said in draw(random.Random(1), each, orders).items():
        nearest = (np.asarray(clip.embed_texts([text for _, text in said])) @ table.T).argmax(axis=1)
        wrong = np.mean([claims[row] != claim for row, (claim, _) in zip(nearest, said, strict=True)])
        print(f"{name}: {wrong:.4f} of {len(said):,}")


if __name__ == "__main__":
    tyro.cli(main)
