"""What is written beside a trained interface: how it was made, its suite, likelihoods over time, its card."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from jaxtyping import Array, Float

from envs.humanoid.instructions import INSTRUCTIONS, changed
from envs.humanoid.motion_captions import wordings
from jaxrm.metrics.suite import PerturbationRow, perturbation_table
from jaxrm.models.interface import Interface
from jaxrm.rewards.likelihood import LikelihoodWeights, Trajectories, score_prefixes
from jaxrm.weights import DecoderCheckpoint, load_interface
from jaxrm.weights.files import read_json, write_bytes, write_json
from train.films.films import Dataset
from train.interface.config import TrainingConfig
from train.interface.losses import Protocol, Words
from train.interface.suite import LENGTHS, UNSEEN, Found, accuracies, rows
from train.origin import origin

TRAINING, SUITE, OVER_TIME, CARD = "training.json", "suite.json", "over_time.png", "README.md"
CURVES = 6  # films whose likelihood is drawn
_HEADINGS = {
    "speeds": "speeds",
    "views": "cameras",
    "combinations": "combinations",
    UNSEEN: "starts and wordings",
}


def write_training(config: TrainingConfig, losses: list[float], seconds: float) -> None:
    """How it was made: the command, every option and the mean loss of each epoch."""
    options = {k: str(v) if isinstance(v, Path) else v for k, v in dataclasses.asdict(config).items()}
    options["episodes"] = [str(run) for run in config.episodes]
    made = origin("interface", config, seconds, without={"data"})
    made |= {"protocol": config.protocol, "options": options, "losses": losses}
    made["options"].pop("data")
    write_json(config.folder / TRAINING, made)


def suite_of(protocol: Protocol, found: Mapping[str, Found]) -> dict[str, Any]:
    """What an interface was found to tell apart, as `SUITE` holds it: kinds of perturbation over all sets of
    the length of training, each set over all kinds, and each kind of each set."""
    together = rows([part for name, part in found.items() if name not in LENGTHS])
    sets = {_HEADINGS.get(name, name): _of_set(part) for name, part in found.items()}
    return {"protocol": protocol, "rows": [row._asdict() for row in together], "sets": sets}


def _of_set(found: Found) -> dict[str, Any]:
    kinds, still = accuracies(found), accuracies(found, static=True)
    return {
        "trajectories": len(found.right),
        "accuracy": float(np.mean(list(kinds.values()))),
        "one frame only": float(np.mean(list(still.values()))),
        "kinds": {kind: {"accuracy": kinds[kind], "one frame only": still[kind]} for kind in kinds},
    }


def shown(suites: Mapping[str, Mapping[str, Any]]) -> str:
    """Suites by the names of their interfaces, as Markdown tables."""
    protocols, lines = {}, []
    for title, suite in suites.items():
        name = suite["protocol"] if len(suites) == 1 else f"{suite['protocol']} ({title})"
        protocols[name] = [PerturbationRow(**row) for row in suite["rows"]]
        for held, figures in suite["sets"].items():
            cells = (name, held, *(f"{figures[k]:.3f}" for k in ("accuracy", "one frame only")))
            lines.append(f"| {' | '.join(cells)} | {figures['trajectories']} |")
    head = "| protocol | held out | right in pairs, mean of the kinds (chance .50) | one frame only | films |"
    sets = _kinds_of_sets(suites)
    return "\n".join([perturbation_table(protocols), "", head, "|" + "---|" * 5, *lines, *sets])


def _kinds_of_sets(suites: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Every kind of every set, of one frame only in brackets; nothing of suites of an earlier version."""
    lines = []
    for title, suite in suites.items():
        sets = {name: figures["kinds"] for name, figures in suite["sets"].items() if "kinds" in figures}
        if not sets:
            continue
        whose = suite["protocol"] + f" ({title})" * (len(suites) > 1)
        what = "right in pairs (chance .50; one frame only)"
        lines += ["", f"| {whose}: {what} | {' | '.join(sets)} |", "|" + "---|" * (1 + len(sets))]
        for kind in dict.fromkeys(kind for kinds in sets.values() for kind in kinds):
            cells = [_share(kinds[kind]) if kind in kinds else "-" for kinds in sets.values()]
            lines.append(f"| {kind} | {' | '.join(cells)} |")
    return lines


def _share(found: Mapping[str, float]) -> str:
    return f"{found['accuracy']:.3f} ({found['one frame only']:.3f})"


def read_suite(folder: Path) -> dict:
    """The suite that a training measured.

    Raises:
      FileNotFoundError: it measured nothing there.
    """
    if not (folder / SUITE).is_file():
        raise FileNotFoundError(f"no suite in {str(folder)!r}: it has no {SUITE}; was it trained here?")
    return read_json(folder / SUITE)


def over_time(
    protocol: Protocol, lm: DecoderCheckpoint, interface: Interface, film: Dataset, said: list[str]
) -> Float[np.ndarray, "said t"]:
    """The score of every prefix of one film, for several sentences."""
    reading, tails = Words.saying(lm, protocol, said)
    found = [
        _prefixes(LikelihoodWeights(*reading, tails[number]), interface, film.trajectories)
        for number in range(len(said))
    ]
    return np.concatenate([np.asarray(x) for x in found])


_prefixes = jax.jit(score_prefixes)


def draw_over_time(
    path: Path, protocol: Protocol, lm: DecoderCheckpoint, interface: Interface, data: Dataset
) -> None:
    """Draws likelihoods over time: the own instruction of a few films, a changed one, and the own one while
    the film runs backwards."""
    count = min(CURVES, len(data.embeddings))
    figure, axes = plt.subplots(2, (count + 1) // 2, figsize=(11, 5.5), layout="constrained", squeeze=False)
    for place, axis in zip(range(count), axes.flat, strict=False):
        film = data[place : place + 1]
        own = INSTRUCTIONS[int(film.batch.which[0])]
        other = (changed(own, "side") or changed(own, "order") or changed(own, "verb") or (own,))[0]
        said = [wordings(one)[0] for one in (own, other)]
        frames = int(film.batch.mask.sum())
        back = Trajectories(film.embeddings[:, :frames][:, ::-1], film.batch.mask[:, :frames])
        back = Trajectories(*(_padded(x, film.batch.mask.shape[1]) for x in back))
        curves = over_time(protocol, lm, interface, film, said)
        reverse = over_time(
            protocol, lm, interface, Dataset(film.batch._replace(mask=back.mask), back.embeddings), said[:1]
        )
        axis.plot(curves[0, :frames], color="tab:green", label=said[0])
        axis.plot(curves[1, :frames], color="tab:red", label=said[1])
        axis.plot(reverse[0, :frames], color="tab:gray", ls="--", label="backwards")
        axis.set_title(said[0], fontsize=8)
        axis.legend(fontsize=6)
    figure.supxlabel("frame that the film ends with")
    figure.supylabel("log-odds of success" if protocol == "success" else "log-likelihood a token")
    figure.savefig(path, dpi=110)
    plt.close(figure)


def _padded(x: Array, length: int) -> Array:
    return jnp.pad(x, [(0, 0), (0, length - x.shape[1])] + [(0, 0)] * (x.ndim - 2))


_CARD = """\
# {name}

An interface of the likelihood reward (FoMo, arXiv 2312.03881, in our reconstruction): it turns what `{model}`
says about the frames of a trajectory into vectors that the frozen decoder `{lm}` reads as if they were words.
{layers}; {parameters:,} parameters. `jaxrm.load_interface({short!r})` loads it; it fits this tower and this
decoder and no others.

- **Command**: `{command}`
- **Protocol**: {protocol}; {epochs} epochs in batches of {batch}, {minutes:.0f} minutes on {device}, the
  making of {trajectories:,} trajectories and as many of bodies that fail included where they were not read
  from a file.
- **Data**: humanoid motions whose meaning is in their order, half of them under physics, drawn and embedded
  by this project; instructions in {wordings} wordings each. An oracle on states says what was carried out;
  only trajectories that did what they were told are right; wrong ones, where the protocol has any, are
  spoiled, of others, and of bodies that go only a part of their way, or fall; what is still right is no
  negative. Where it has any, prefixes are ranked too, for policies are paid for them: scores rise with how
  far a prefix came with its instruction, and a body that lies has come less far.{played}
- **Losses**, mean of each epoch: {losses}.

## Measured on what was held out

A pair is a trajectory that did its instruction and the same one spoiled, or with a changed instruction;
chance is .50. "One frame only": the same where each film is its first frame repeated. Intervals of 95% are
over trajectories of one training seed.

{suite}

![likelihoods over time]({over_time})

## Limits

The decoder was trained from random weights on this project's instruction language, so nothing here shows the
grounding of a pretrained one: no words beyond that language, no objects, no other body, no other camera
geometry. It was also taught to read trajectories told in words before; a pretrained decoder brings that with
it. `{model}` sees 64 pixels of one humanoid. Lengths other than those of training are frames left out or
shown twice.

## With a pretrained decoder

Put the safetensors, config.json and tokenizer.json of MPT-1B or Llama-3.2-1B into a directory, then

    python -m train interface --lm DIRECTORY --lm-dtype bfloat16 --width 512 --batch 32 --chunk 8 \\
        --out runs/mine
    python -m train policy humanoid/raise-and-lower-left-arm --reward likelihood --lm DIRECTORY \\
        --lm-dtype bfloat16 --interface runs/mine

The decoder stays frozen: its weights need 2.5 GB in bfloat16 and no state of the optimiser. MPT-1B comes
without a tokeniser of its own: GPT-NeoX-20B's is the one that it was trained with. `--chunk` bounds what is
kept for the gradient. Its own words may lie far from vectors of this size; the start is set by the
spread of its table of embeddings. This recipe is not measured here.
"""


def write_card(folder: Path) -> None:
    """Writes README.md from what lies in the folder."""
    made, interface = read_json(folder / TRAINING), load_interface(folder)
    options, layers = made["options"], interface.config.layers
    text = _CARD.format(
        name=folder.name,
        short=folder.name,
        layers="Linear, each frame by itself" if not layers else f"{layers} causal block(s) over the frames",
        parameters=sum(int(np.prod(x.shape)) for x in jax.tree.leaves(interface)),
        losses=", ".join(f"{loss:.3f}" for loss in made["losses"]),
        suite=shown({folder.name: read_suite(folder)}),
        played=_played(options["episodes"]),
        over_time=OVER_TIME,
        **{name: options[name] for name in ("model", "lm", "batch", "epochs", "trajectories", "wordings")},
        **{name: made[name] for name in ("command", "protocol", "minutes", "device")},
    )
    write_bytes(folder / CARD, text.encode())


def _played(runs: list[str]) -> str:
    """Of episodes among the films."""
    if not runs:
        return ""
    names = ", ".join(f"`{Path(run).name}`" for run in runs)
    return f"\n  Episodes that policies played while they learnt are among the films (runs {names})."
