"""What the small decoder knows, measured on what was held out."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from envs.humanoid.instructions import CHANGES, change_table
from envs.humanoid.motion_captions import sentences
from envs.humanoid.motions import Motions
from jaxrm.metrics.rank import roc_auc
from jaxrm.models import Decoder
from jaxrm.rewards.prompts import Tails, describe
from jaxrm.weights import DecoderCheckpoint
from train.lm import films
from train.lm.films import Film, Pool
from train.lm.read import Corpus, corpus, read_frames, tail_log_probs

WORDINGS = 4  # of each instruction, all kept from training
SHUFFLED = "its words shuffled"
BLOCK = 64  # trajectories that are read at once


class Figures(NamedTuple):
    """What was measured.

    Attributes:
      per_token: mean log-likelihood a token of what was done, and of what was not, behind a film in words;
        by name. "own": of the instruction that was carried out.
      blind: "own" and shuffled words without any film.
      above: share of films whose own instruction is likelier than the changed one; chance .5.
      auc: of log-odds of "True", own against changed instructions; and, "spoiled", of own instructions after
        films as they are and spoiled, half and half, by the oracle's judgement.
    """

    per_token: dict[str, float]
    blind: dict[str, float]
    above: dict[str, float]
    auc: dict[str, float]


class _Case(NamedTuple):
    """Films with instructions: the own one, then one changed in each of `CHANGES`; what applies, is wrong."""

    film: Film
    numbers: Int[Array, "n 1+kinds"]
    wrong: Bool[Array, "n 1+kinds"]


def measure(lm: DecoderCheckpoint, motions: Motions, count: int, key: Array) -> Figures:
    """Judges a decoder on combinations and wordings that it never read.

    Args:
      count: trajectories; a multiple of `BLOCK`.
    """
    key_pool, key_case, key_words, key_spoil = jax.random.split(key, 4)
    said = corpus(lm.processor, WORDINGS, held=True)
    drawn = jax.jit(lambda key: films.pool(motions, key, count, "combinations"))(key_pool)
    case = jax.jit(lambda key, drawn: _case(key, drawn, spoil=False))(key_case, drawn)
    mixed = describe(lm.processor, _shuffled(sentences(WORDINGS, True)))
    rows = said.rows(key_words, case.numbers)
    blind = case._replace(film=case.film._replace(mask=jnp.zeros_like(case.film.mask)))
    shown = _scores(lm.model, said, case, rows)
    own = rows[:, :1]
    whole = jax.tree.map(jnp.asarray, said._replace(describe=mixed))
    wrong = np.asarray(case.wrong)
    per_token = {"own": shown[:, 0].mean(), SHUFFLED: _scores(lm.model, whole, case, own).mean()}
    above = {}
    for place, kind in enumerate(CHANGES, start=1):
        chosen = wrong[:, place]
        per_token[kind] = shown[chosen, place].mean()
        above[kind] = (shown[chosen, 0] > shown[chosen, place]).mean()
    unseen = {
        "own": _scores(lm.model, said, blind, own).mean(),
        SHUFFLED: _scores(lm.model, whole, blind, own).mean(),
    }
    asked = said._replace(describe=said.ask)
    odds = _scores(lm.model, asked, case, rows)
    changed = odds[:, 1:][wrong[:, 1:]]
    labels = np.concatenate([np.ones(len(odds)), np.zeros(len(changed))])
    auc = {"changed": roc_auc(np.concatenate([odds[:, 0], changed]), labels)}
    spoiled = jax.jit(lambda key, drawn: _case(key, drawn, spoil=True))(key_spoil, drawn)
    truth = np.asarray(jnp.take_along_axis(spoiled.film.truth, drawn.which[:, None], axis=1))[:, 0]
    auc["spoiled"] = roc_auc(_scores(lm.model, asked, spoiled, own)[:, 0], truth.astype(float))
    return Figures(*(_plain(x) for x in (per_token, unseen, above, auc)))


def _plain(values: dict) -> dict[str, float]:
    return {name: float(value) for name, value in values.items()}


def _shuffled(said: tuple[str, ...]) -> list[str]:
    draw = np.random.default_rng(0)
    return [" ".join(draw.permutation(words.split())) for words in said]


def _case(key: Array, drawn: Pool, spoil: bool) -> _Case:
    key_film, key_change = jax.random.split(key)
    film = films.tell(key_film, drawn, spoil=spoil)
    numbers, keys = [drawn.which], jax.random.split(key_change, len(CHANGES))
    for kind, key_kind in zip(CHANGES, keys, strict=True):
        options = jnp.asarray(change_table(kind))[drawn.which]
        pick = jnp.argmax(jnp.where(options >= 0, jax.random.uniform(key_kind, options.shape), -1.0), axis=1)
        number = jnp.take_along_axis(options, pick[:, None], axis=1)[:, 0]
        numbers.append(jnp.where(number < 0, drawn.which, number))
    told = jnp.stack(numbers, axis=1)
    return _Case(film, told, ~jnp.take_along_axis(film.truth, told, axis=1))


def _scores(lm: Decoder, said: Corpus, case: _Case, rows: Int[Array, "n k"]) -> Float[np.ndarray, "n k"]:
    """Mean log-likelihood a token of `said.describe`; where those ask, the log-odds."""
    return np.asarray(_compiled(lm, said, case.film, rows))


@jax.jit
def _compiled(lm: Decoder, said: Corpus, film: Film, rows: Int[Array, "n k"]) -> Float[Array, "n k"]:
    def block(args: tuple[Film, Array]) -> Array:
        film, rows = args
        read = read_frames(lm, said.before, films.frame_vectors(lm, said.films, film.weights), film.mask)
        tails, n = said.describe[rows], len(rows)
        if tails.asks:
            flat = (x.reshape(n, -1, x.shape[-1]) for x in (tails.tokens, tails.mask, tails.scored))
            tails = Tails(*flat, first=tails.first)
        found = tail_log_probs(lm, read, tails)
        scored = tails.scored[..., tails.first :]
        means = (found * scored).sum(axis=-1) / scored.sum(axis=-1)
        means = means.reshape(*rows.shape, -1)
        return means[..., 0] - means[..., 1] if said.describe.asks else means[..., 0]

    parts = jax.tree.map(lambda x: x.reshape(-1, BLOCK, *x.shape[1:]), (film, rows))
    return jax.lax.map(block, parts).reshape(rows.shape)
