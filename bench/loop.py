"""Steps a second of the whole training loop, and where the time goes.

    python -m bench.loop humanoid/kneeling --out bench/results/loop.json
    python -m bench.loop humanoid/kneeling --published --out bench/results/published.json
    python -m bench.loop humanoid/kneeling --published --model ViT-B-32 --unroll-length 5 --out FILE

The loop is timed as it runs: its one compiled program, several iterations a call. The parts are timed
apart, each as a compiled program of its own with the loop's own batch shapes (all worlds, the unroll's
steps, the reward's blocks, the update's minibatches), on one device. Parts apart need not sum to the
whole: fused, the compiler may do better, and the loop uses all devices. `physics` has the policy's
forward pass in it, as the unroll does.

With `--published` (extras `parity` and `peers`) the published pipeline (`bench/published.py`) runs first, in
processes of its own, with the same weights and the same settings, the paper's: once as published, at 480
pixels with shadows, once at the encoder's own size without; its rate is the mean over two unrolls, ours that
of the fastest call. Other options are those of `train policy`.
"""

import contextlib
import dataclasses
import io
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
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
    from train import cli
    from train.rl import program
from jaxrm.models import Clip, variants
from jaxrm.rewards import clip
from jaxrm.weights.clip import ClipCheckpoint
from jaxrm.weights.preprocess import default_settings
from jaxrm.weights.processor import Processor
from jaxrm.weights.tokens import TextProcessor
from train.mesh import make_mesh
from train.rl import recipes
from train.rl.config import PolicyConfig
from train.rl.learner import Experience, TrainState
from train.rl.parts import Parts
from train.rl.rewards import in_blocks, looks_of
from train.rl.rollout import Transition
from train.rl.session import versions

# Of both pipelines, or without effect on what is computed
FREE = ("model", "num_envs", "unroll_length", "num_shards", "reward_batch", "seed")


@dataclass(frozen=True)
class Config:
    """Times the training loop of a task and its parts, with the settings of `train policy`."""

    iterations: int = 3
    """Of the loop in a timed call."""
    repeats: int = 3
    """Timed calls; the fastest counts."""
    published: bool = False
    """Set the published pipeline beside it, both with the settings of VLM-RM's paper."""
    out: Path | None = None
    """A JSON file for the figures."""


def main(config: Config, policy: PolicyConfig) -> None:
    cli.use_all_cores(foreign=False)
    policy.validate()
    if policy.runs > 1:
        raise SystemExit("one task and one seed at a time: leave out --seeds and --also")
    if config.published:
        check_equal(policy)
    named = policy.model
    with tempfile.TemporaryDirectory() as temporary:
        policy = dataclasses.replace(policy, model=directory_of(policy.model, Path(temporary)))
        peers = (
            [time_published(policy, *how) for how in ((480, True), (None, False))] if config.published else []
        )
        figures = time_ours(policy, config) | {"model": named, "published": peers}
    report(figures)
    if config.out is not None:
        config.out.parent.mkdir(parents=True, exist_ok=True)
        config.out.write_text(json.dumps(figures, indent=2) + "\n")


def check_equal(policy: PolicyConfig) -> None:
    """Refuses settings that the published pipeline has not: it would do other work."""
    same = PolicyConfig(task="humanoid/kneeling", **recipes.VLM_RM)
    names = (field.name for field in dataclasses.fields(policy) if field.name not in FREE)
    other = [name for name in names if getattr(policy, name) != getattr(same, name)]
    if other:
        raise SystemExit(f"--published compares equal work: leave out {', '.join(other)}")


def time_ours(policy: PolicyConfig, config: Config) -> dict[str, Any]:
    """Rate of the whole loop, seconds of its parts, and the peak of the process' memory in MiB, which has
    the compiler's in it."""
    parts = Parts.build(policy)
    seconds = {"loop": time_loop(*start_loop(policy, parts), config.iterations, config.repeats)}
    # read before the parts keep what the loop does not
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    seconds |= time_parts(policy, parts, config.repeats)
    steps = policy.steps_per_iteration
    return {
        "task": policy.task,
        "reward": policy.reward,
        "algo": policy.algo,
        "steps_per_iteration": steps,
        "env_steps_per_second": steps / seconds["loop"],
        "seconds_per_iteration": seconds,
        "memory_mib": memory,
        **measured_on(),
    }


def measured_on() -> dict[str, Any]:
    """The hardware, how busy it is, and the versions of libraries."""
    return {
        "device": f"{jax.device_count()} x {jax.devices()[0].device_kind}",
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}",
        "versions": versions(),
    }


def start_loop(policy: PolicyConfig, parts: Parts) -> tuple[Any, TrainState, program.Frozen]:
    """The loop's compiled program, a state to run it from, and what it is given beside."""
    whole = program.make_program(policy, parts.env, parts.learner, parts.reward)
    state = begun(policy, whole.init(jax.random.PRNGKey(0)))
    return whole.run.lower(state, whole.frozen, jnp.int32(1)).compile(), state, whole.frozen


def time_loop(run: Any, state: TrainState, frozen: program.Frozen, iterations: int, repeats: int) -> float:
    """Seconds an iteration, of the fastest of `repeats` calls of so many; the state is donated."""

    def loop() -> Any:
        nonlocal state
        state, figures = run(state, frozen, jnp.int32(iterations))
        return figures

    return fastest(loop, repeats) / iterations


def time_published(policy: PolicyConfig, side: int | None, shadows: bool) -> dict[str, Any]:
    """The same of the published pipeline; `side` None: the encoder's own."""
    side = side or jaxrm.load_clip(policy.model).processor.images.size
    words = [
        *(sys.executable, "-W", "ignore", "-m", "bench.published", "--model", policy.model),
        *("--side", str(side), "--shadows" if shadows else "--no-shadows"),
        *("--envs", str(policy.num_envs), "--unroll", str(policy.unroll_length)),
    ]
    done = subprocess.run(words, check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def directory_of(model: str, temporary: Path) -> str:
    """Where the CLIP lies for both pipelines; a published size's name gives random weights."""
    known = jaxrm.load_clip("scene-clip")
    if model == "scene-clip":
        jaxrm.save(known, temporary)
    elif model in variants.CLIP:
        assert known.processor.texts is not None
        config = variants.CLIP[model]
        vocabulary = known.processor.texts.config
        text = dataclasses.replace(
            config.text, vocabulary=vocabulary.vocabulary, eos_token_id=vocabulary.eos_token_id
        )
        texts = TextProcessor(known.processor.texts.tokenizer, text)
        images = default_settings(config.vision.image_size)
        weights = Clip.create(dataclasses.replace(config, text=text), jax.random.key(0))
        jaxrm.save(ClipCheckpoint(weights, Processor(images, texts)), temporary)
    else:
        return model
    return str(temporary)


def time_parts(config: PolicyConfig, parts: Parts, repeats: int) -> dict[str, float]:
    """Seconds an iteration of physics, rendering, encoding and updates, each by itself."""
    env, learner = parts.env, parts.learner
    mesh = make_mesh(jax.devices()[:1])
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
    images = jaxrm.load_clip(config.model, resize=config.resize).processor.images
    settings, size = clip.ClipSettings(images, config.alpha), config.frame_size or images.size
    poses = jax.tree.map(lambda x: x[: config.unroll_length // config.reward_every], steps.pose)

    def frames_of(look: Any, poses: Any) -> Any:
        return in_blocks(jax.vmap(lambda pose: look.frame(pose, size, size)), poses, config.reward_batch)

    draw = jax.jit(lambda p: jnp.stack([frames_of(look, p) for look in looks_of(config, env)]))
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


def report(figures: dict[str, Any]) -> None:
    seconds, rate = figures["seconds_per_iteration"], figures["env_steps_per_second"]
    pieces = sum(value for name, value in seconds.items() if name != "loop")
    table = Table(
        title=f"{figures['task']}, {figures['reward']}, {figures['model']}: {rate:,.0f} environment steps/s"
    )
    for column in ("part", "ms an iteration", "share of the parts"):
        table.add_column(column, justify="left" if column == "part" else "right")
    for name, value in seconds.items():
        share = "" if name == "loop" else f"{value / pieces:.0%}"
        table.add_row(name, f"{1e3 * value:,.1f}", share)
    Console().print(table)
    for peer in figures["published"]:
        theirs = peer["env_steps_per_second"]
        shares = ", ".join(f"{name} {share:.0%}" for name, share in peer["shares"].items())
        Console().print(
            f"published, {peer['frames']} px: {theirs:,.1f} steps/s ({shares}); ours x {rate / theirs:.1f}"
        )


def parse(arguments: list[str]) -> tuple[Config, PolicyConfig]:
    """This program's options, and those of `train policy` behind the task's name."""
    config, rest = tyro.cli(Config, args=arguments, return_unknown_args=True)
    if not config.published:
        return config, cli.parse_policy(rest)
    default = PolicyConfig(task=next(iter(rest), "humanoid/kneeling"), **recipes.VLM_RM)
    return config, tyro.cli(PolicyConfig, args=rest, default=default)


if __name__ == "__main__":
    main(*parse(sys.argv[1:]))
