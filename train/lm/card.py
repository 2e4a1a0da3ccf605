"""The model card of the small decoder."""

from pathlib import Path

import jax

from envs.humanoid.instructions import ACTIONS
from jaxrm.rewards.prompts import ASK, DESCRIBE
from jaxrm.weights import DecoderCheckpoint
from jaxrm.weights.files import read_json, write_bytes, write_json
from train.lm.config import LmConfig
from train.lm.films import POSTURES, TURNED
from train.lm.read import NOTHING, OFTEN
from train.lm.report import SHUFFLED, WORDINGS, Figures
from train.origin import origin

TRAINING, FIGURES, CARD = "training.json", "figures.json", "README.md"
_CARD = """\
# {name}

A decoder of {millions:.2f}M parameters in Llama's format, with a tokeniser of its own ({vocabulary} tokens).
It knows this project's instruction language ("kneels down, then raises its left arm") and nothing else. It
was trained from random weights; no text of others was read. `jaxrm.load_decoder({name!r})` loads it; its
format is that of torch's `LlamaForCausalLM`. The likelihood reward (FoMo, arXiv 2312.03881, in our
reconstruction) keeps it frozen and trains an interface in front of it: `checkpoints/fomo-interface`.

- **Command**: `{command}`
- **Data**: {films:,} trajectories, each told once, in words: a frame is the sum of the embeddings of the
  words for what an oracle sees in it ({postures}) and for how
  far the body has turned since the film began ({turned}), between two postures a little of both, with noise;
  at half to one and a half times the number of frames; half of them reversed, frozen, shuffled, cut short or
  hurried, and judged again; behind one that carries out nothing stands "{nothing}". For one film in
  eight nothing is shown, so that it knows the language by itself. One wording in eight and one pair of
  actions in six were kept from it.
- **Prompts**, those of the reward, with what was carried out or with the oracle's answer:
  `{describe}`;
  `{ask}`.
- **Told apart**: of the instruction that was carried out and some changed ones, the share of the former by
  the reward's own score, e^(log-likelihood a token / 0.1), is a loss too.
- **Asked**: about instructions that were carried out, changed ones, and one of any other film; of the kinds
  of change {often} as often as the others, in questions and among rivals.
- **Time**: {minutes:.0f} minutes on {device}.

**Why films in words.** A pretrained decoder has read many stories in order, and what an interface adds are
eyes. One from random weights cannot be steered by vectors at its input: it has nothing to do with them. Told
trajectories give it that ability, in the input space that an interface's vectors enter. No picture took part.

## Measured on what was held out

On {states:,} trajectories of pairs of actions that it never read, in {wordings} wordings each that it never
read. Mean log-likelihood a token (natural logarithm), and how often the instruction that was carried out is
likelier than a changed one; chance is .50.

| instruction | log-likelihood a token | own one likelier |
|---|---|---|
{rows}

- Asked "True or False" about own and changed instructions: AUC {changed:.3f} (chance .50). About own
  instructions after films as they are and spoiled: AUC {spoiled:.3f}.

## Limits

It cannot show the grounding of a pretrained decoder: words outside the instruction language are strings of
rare tokens to it, and it knows one body that can do {actions} things. Truth here is the oracle's. For other
instructions take MPT-1B, Llama-3.2-1B or another decoder from a directory (`python -m train interface --lm
DIRECTORY`) or train this one on your own sentences (`train/lm/films.py`, `envs/humanoid/motion_captions.py`).
"""


def write_training(config: LmConfig, losses: list[list[float]], seconds: float) -> None:
    """How it was made: the command, the losses of each call, and how long it took."""
    made = origin("lm", config, seconds)
    made |= {"films": config.steps * config.batch, "states": config.states, "losses": losses}
    write_json(config.out / TRAINING, made)


def write(folder: Path, lm: DecoderCheckpoint, figures: Figures) -> str:
    """Writes figures.json and README.md; returns the table."""
    write_json(folder / FIGURES, figures._asdict())
    made, table = read_json(folder / TRAINING), rows(figures)
    text = _CARD.format(
        name=folder.name,
        millions=sum(x.size for x in jax.tree.leaves(lm.model)) / 1e6,
        vocabulary=lm.model.config.vocabulary,
        postures=", ".join(POSTURES.values()),
        turned=", ".join(TURNED),
        describe=DESCRIBE,
        ask=ASK,
        often=", ".join(f"{kind} is drawn {times:g} times" for kind, times in OFTEN.items()),
        nothing=NOTHING,
        wordings=WORDINGS,
        rows=table,
        actions=len(ACTIONS),
        **figures.auc,
        **{name: made[name] for name in ("command", "films", "states", "minutes", "device")},
    )
    write_bytes(folder / CARD, text.encode())
    return table


def rows(figures: Figures) -> str:
    """The lines of the card's table."""
    shown, blind = figures.per_token, figures.blind
    lines = [("carried out", shown["own"], None), (SHUFFLED, shown[SHUFFLED], None)]
    lines += [(f"another {kind}", shown[kind], above) for kind, above in figures.above.items()]
    lines += [(f"no film is shown: {name}", value, None) for name, value in blind.items()]
    cells = ((name, f"{value:.3f}", "" if above is None else f"{above:.3f}") for name, value, above in lines)
    return "\n".join(f"| {' | '.join(row)} |" for row in cells)
