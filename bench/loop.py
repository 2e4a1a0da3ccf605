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
from rich.console import Console
from rich.table import Table

with contextlib.redirect_stdout(io.StringIO()):
    import jaxrm
    from train import cli, policies, ppo, program, rollout
from jaxrm.weights import embed_frames
from train.config import PolicyConfig


def main(
    task: tyro.conf.Positional[str] = "humanoid/kneeling",
    reward: str = "clip",
    model: str = "scene-clip",
    iterations: int = 3,
    repeats: int = 3,
    out: Path | None = None,
) -> None:
    """Times the training loop of a task and its parts.

    Args:
      task: name of the task.
      reward: clip or truth; with truth nothing is drawn or encoded.
      model: the CLIP.
      iterations: of the loop in a timed call.
      repeats: timed calls; the fastest counts.
      out: a JSON file for the figures.
    """
    cli.use_all_cores()
    config = PolicyConfig(task, reward=reward, model=model)
    config.validate()
    parts = policies._Parts.build(config)
    whole = program.make_program(config, parts.env, parts.networks, parts.reward)
    weights = parts.reward.weights
    state = whole.init(jax.random.PRNGKey(0))
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
            "steps_per_iteration": steps,
            "env_steps_per_second": steps / seconds["loop"],
            "seconds_per_iteration": seconds,
            "device": f"{jax.device_count()} x {jax.devices()[0].device_kind}",
            "machine": f"{platform.machine()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}",
            "versions": policies.versions(),
        }
        out.write_text(json.dumps(figures, indent=2) + "\n")


def time_parts(config: PolicyConfig, parts: Any, repeats: int) -> dict[str, float]:
    """Seconds an iteration of physics, rendering, encoding and updates, each by itself."""
    env, networks = parts.env, parts.networks
    mesh = program.make_mesh(jax.devices()[:1])
    state = program.make_program(config, env, networks, parts.reward, mesh).init(jax.random.PRNGKey(0))
    keys = jax.random.split(jax.random.PRNGKey(1), config.num_shards)
    collect = jax.jit(lambda s, k: program.collect(config, env, networks, s, k, k))
    _, steps = collect(state, keys)
    seconds = {"physics": fastest(lambda: collect(state, keys), repeats)}
    if config.reward == "clip":
        seconds |= time_reward(config, env, parts.reward.weights.model, steps, repeats)
    seconds["updates"] = fastest(make_update(config, networks, state, steps, keys), repeats)
    return seconds


def time_reward(config: PolicyConfig, env: Any, model: Any, steps: Any, repeats: int) -> dict[str, float]:
    settings = jaxrm.load_clip(config.model).processor.images
    poses = jax.tree.map(lambda x: x[: config.unroll_length // config.reward_every], steps.pose)
    poses = jax.tree.map(lambda x: x.reshape(-1, config.reward_batch, x.shape[-1]), poses)
    size = settings.size
    draw = jax.jit(lambda p: jax.lax.map(jax.vmap(lambda pose: env.frame(pose, size, size)), p))
    encode = jax.jit(lambda m, f: jax.lax.map(lambda block: embed_frames(m, block, settings), f))
    frames = draw(poses)
    return {
        "rendering": fastest(lambda: draw(poses), repeats),
        "encoding": fastest(lambda: encode(model, frames), repeats),
    }


def make_update(config: PolicyConfig, networks: Any, state: Any, steps: Any, keys: Any) -> Callable[[], Any]:
    optimizer = ppo.make_optimizer(config.learning_rate, config.max_grad_norm, None)
    shards = config.num_shards
    per_shard = config.num_envs // shards

    def update(state: program.TrainState, steps: rollout.Transition, keys: Any) -> Any:
        zeros = jnp.zeros_like(steps.truth)
        samples = ppo.Samples(steps.obs, steps.action, steps.log_prob, steps.truth, zeros, zeros + 1)
        samples = jax.tree.map(lambda x: program.split_shards(x, shards, per_shard), samples)
        return ppo.update(
            state.params,
            optimizer.init(state.params),
            state.obs_stats,
            samples,
            keys,
            networks=networks,
            optimizer=optimizer,
            costs=ppo.LossCosts(config.clip, config.value_cost, config.entropy_cost),
            epochs=config.epochs,
            minibatches=config.minibatches,
        )

    compiled = jax.jit(update)
    return lambda: compiled(state, steps, keys)


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
