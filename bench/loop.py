"""Steps a second of the whole training loop, and where the time goes.

    python -m bench.loop humanoid/kneeling --reward clip --out bench/results/loop.json

The loop is timed as it runs: its one compiled program, several iterations a call. The parts are timed
apart, each as a compiled program of its own with the loop's own batch shapes (all worlds, the unroll's
steps, the reward's blocks, the update's minibatches), on one device. Parts apart need not sum to the
whole: fused, the compiler may do better, and the loop uses all devices. `physics` has the policy's
forward pass in it, as the unroll does.
"""

import contextlib
import io
import json
import os
import platform
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import tyro
from jax.sharding import Mesh, PartitionSpec
from rich.console import Console
from rich.table import Table

with contextlib.redirect_stdout(io.StringIO()):
    import jaxrm
    from train import cli, program
from jaxrm.rewards import clip
from train.config import PolicyConfig
from train.learner import Experience, TrainState
from train.parts import Parts
from train.rewards import in_blocks
from train.rollout import Transition
from train.session import versions


def main(
    task: tyro.conf.Positional[str] = "humanoid/kneeling",
    reward: str = "clip",
    algo: str = "ppo",
    model: str = "scene-clip",
    iterations: int = 3,
    repeats: int = 3,
    out: Path | None = None,
) -> None:
    """Times the training loop of a task and its parts.

    Args:
      task: name of the task.
      reward: clip or truth; with truth nothing is drawn or encoded.
      algo: ppo or sac.
      model: the CLIP.
      iterations: of the loop in a timed call.
      repeats: timed calls; the fastest counts.
      out: a JSON file for the figures.
    """
    cli.use_all_cores()
    config = PolicyConfig(task, reward=reward, algo=algo, model=model)
    config.validate()
    parts = Parts.build(config)
    whole = program.make_program(config, parts.env, parts.learner, parts.reward)
    weights = parts.reward.weights
    state = begun(config, whole.init(jax.random.PRNGKey(0)))
    state, _ = whole.run(state, weights, jnp.int32(1))

    def loop() -> Any:
        nonlocal state
        state, figures = whole.run(state, weights, jnp.int32(iterations))
        return figures

    seconds = {"loop": fastest(loop, repeats) / iterations, **time_parts(config, parts, repeats)}
    steps = config.steps_per_iteration
    report(task, reward, steps, seconds)
    if out is not None:
        out.parent.mkdir(parents=True, exist_ok=True)
        figures = {
            "task": task,
            "reward": parts.reward.name,
            "algo": algo,
            "steps_per_iteration": steps,
            "env_steps_per_second": steps / seconds["loop"],
            "seconds_per_iteration": seconds,
            "device": f"{jax.device_count()} x {jax.devices()[0].device_kind}",
            "machine": f"{platform.machine()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}",
            "versions": versions(),
        }
        out.write_text(json.dumps(figures, indent=2) + "\n")


def time_parts(config: PolicyConfig, parts: Parts, repeats: int) -> dict[str, float]:
    """Seconds an iteration of physics, rendering, encoding and updates, each by itself."""
    env, learner = parts.env, parts.learner
    mesh = program.make_mesh(jax.devices()[:1])
    state = program.make_program(config, env, learner, parts.reward, mesh).init(jax.random.PRNGKey(0))
    keys = jax.random.split(jax.random.PRNGKey(1), config.num_shards)
    collect = jax.jit(lambda s, k: program.collect(config, env, learner, s, k, k))
    _, steps = collect(state, keys)
    seconds = {"physics": fastest(lambda: collect(state, keys), repeats)}
    if config.reward == "clip":
        seconds |= time_reward(config, env, parts.reward.weights, steps, repeats)
    seconds["updates"] = fastest(make_update(parts, mesh, state, steps, keys), repeats)
    return seconds


def time_reward(config: PolicyConfig, env: Any, weights: Any, steps: Any, repeats: int) -> dict[str, float]:
    """In the reward's own blocks; frames are all kept between the two parts, which the loop never does."""
    images = jaxrm.load_clip(config.model).processor.images
    settings, size = clip.ClipSettings(images, config.alpha), images.size
    poses = jax.tree.map(lambda x: x[: config.unroll_length // config.reward_every], steps.pose)
    draw = jax.jit(
        lambda p: in_blocks(jax.vmap(lambda pose: env.frame(pose, size, size)), p, config.reward_batch)
    )
    frames = draw(poses)
    encode = jax.jit(
        lambda w, f: in_blocks(lambda block: clip.score(w, (), block, settings), f, config.reward_batch)
    )
    return {
        "rendering": fastest(lambda: draw(poses), repeats),
        "encoding": fastest(lambda: encode(weights, frames), repeats),
    }


def make_update(
    parts: Parts, mesh: Mesh, state: TrainState, steps: Transition, keys: Any
) -> Callable[[], Any]:
    """What the learner does with an unroll, on one device; its memory is donated, as in the loop."""
    state = begun(parts.config, state)

    def learn(memory: Any, state: TrainState, steps: Transition, keys: Any) -> Any:
        experience = Experience(steps, steps.truth, steps.valid)
        return parts.learner.learn(state._replace(memory=memory), experience, keys)

    everywhere = PartitionSpec()
    spread = jax.shard_map(learn, mesh=mesh, in_specs=everywhere, out_specs=everywhere, check_vma=False)
    compiled = jax.jit(spread, donate_argnums=0)
    memory, rest = state.memory, state._replace(memory=())

    def update() -> Any:
        nonlocal memory
        params, opt_state, memory, figures = compiled(memory, rest, steps, keys)
        return params, opt_state, figures

    return update


def begun(config: PolicyConfig, state: TrainState) -> TrainState:
    """Past the steps that SAC only collects."""
    iteration = config.learning_starts // config.steps_per_iteration + 1
    return state._replace(iteration=jax.device_put(jnp.int32(iteration), state.iteration.sharding))


def fastest(call: Callable[[], Any], repeats: int) -> float:
    """Seconds of the fastest of `repeats` calls, after one that compiles."""
    jax.block_until_ready(call())
    times = []
    for _ in range(repeats):
        began = time.perf_counter()
        jax.block_until_ready(call())
        times.append(time.perf_counter() - began)
    return min(times)


def report(task: str, reward: str, steps: int, seconds: dict[str, float]) -> None:
    pieces = sum(value for name, value in seconds.items() if name != "loop")
    table = Table(title=f"{task}, reward {reward}: {steps / seconds['loop']:,.0f} environment steps/s")
    for column in ("part", "ms an iteration", "share of the parts"):
        table.add_column(column, justify="left" if column == "part" else "right")
    for name, value in seconds.items():
        share = "" if name == "loop" else f"{value / pieces:.0%}"
        table.add_row(name, f"{1e3 * value:,.1f}", share)
    Console().print(table)


if __name__ == "__main__":
    tyro.cli(main)
