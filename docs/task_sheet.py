"""The contact sheet of the tasks: states that each task's predicate accepts, and states that it just refuses.

    python -m docs.task_sheet docs/tasks.png

Accepted states are pulled from random postures into the task's bounds; refused ones are states of the same
way whose miss is small, under them the bound that they fail first.
"""

import sys
from functools import partial

import jax
import jax.numpy as jnp
import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np

from envs import criteria
from envs.humanoid import reach
from envs.humanoid.postures import Sampler
from envs.humanoid.tasks import TASKS, factory
from jaxrm.render import render

SIZE, COLUMNS, TRIED, STEPS = 160, 5, 256, 60


def candidates(env, sampler, key, task):
    """States on the way into the bounds of a task, [TRIED, nq], and how far each misses them."""

    def misses(qpos):
        measures = env.measures(env.pose_at(qpos))
        return jnp.stack([criteria.miss(task.bounds, measures) for task in TASKS.values()])

    def wanted(measures):
        return jnp.stack([criteria.miss(task.bounds, measures) for task in TASKS.values()])[task]

    def one(key):
        key_start, key_steps, key_loose = jax.random.split(key, 3)
        starts = jax.vmap(sampler.sample)(jax.random.split(key_start, 16))
        steps = jax.random.randint(key_steps, (), 5, STEPS)
        nearest = starts[jnp.argmin(jax.vmap(lambda qpos: misses(qpos)[task])(starts))]
        qpos = reach.pull(env, sampler, wanted, nearest, steps, limit=STEPS)
        noise = 0.12 * jax.random.normal(key_loose, (len(qpos) - 7,)) * (steps % 2)
        return sampler.settle(qpos.at[7:].add(noise), 0.0)

    qpos = jax.vmap(one)(jax.random.split(key, TRIED))
    return qpos, jax.vmap(misses)(qpos)[:, task], jax.vmap(lambda q: env.measures(env.pose_at(q)))(qpos)


def main(out: str) -> None:
    env = factory("kneeling")()
    find = jax.jit(partial(candidates, env, Sampler(env)))
    draw = jax.jit(
        jax.vmap(
            lambda q, camera: render(env.scene, env.view(env.pose_at(q), camera), height=SIZE, width=SIZE),
            in_axes=(0, None),
        )
    )
    figure, axes = plt.subplots(len(TASKS), 2 * COLUMNS, figsize=(2 * COLUMNS * 1.25, len(TASKS) * 1.42))
    for number, (row, (name, task)) in enumerate(zip(axes, TASKS.items(), strict=True)):
        qpos, miss, measures = find(jax.random.key(0), number)
        miss = np.asarray(miss)
        print(f"{name}: {(miss == 0).mean():.0%} of {TRIED} accepted")
        found = (np.flatnonzero(miss == 0), np.flatnonzero((miss > 0.15) & (miss < 0.6)))
        for axis in row:  # one without a state stays empty
            axis.axis("off")
        places = [side * COLUMNS + n for side, few in enumerate(found) for n in range(len(few[:COLUMNS]))]
        picks = np.concatenate([few[:COLUMNS] for few in found])
        frames = draw(qpos[picks], task.camera)
        for axis, frame, pick in zip(row[places], frames, picks, strict=True):
            axis.imshow(frame)
            good = miss[pick] == 0
            told = name if good else f"not: {worst(task.bounds, measures, pick)}"
            axis.set_title(told, fontsize=5.5, color="tab:green" if good else "tab:red", pad=2)
    figure.subplots_adjust(left=0.005, right=0.995, bottom=0.005, top=0.98, wspace=0.03, hspace=0.12)
    figure.savefig(out, dpi=110)


def worst(bounds, measures, pick) -> str:
    """The bound that a state misses most."""
    mine = jax.tree.map(lambda x: x[pick], measures)
    return max(bounds, key=lambda bound: float(criteria.miss((bound,), mine))).name


if __name__ == "__main__":
    main(*sys.argv[1:])
