"""The published pipeline, made again from its description: VLM-RM's SAC on Gymnasium's humanoid.

    python -m bench.published --model DIR --side 480        (extras `parity` and `peers`)

Gymnasium's Humanoid-v4 in processes of their own, MuJoCo's renderer, frames sent to the main process, turned
to float, shrunk by bicubic without antialias, embedded by torch's CLIPModel, cosines written into
Stable-Baselines3's replay, then SAC's gradient steps. Settings are the paper's (arXiv 2310.12921): 32
environments, 256 x 256 networks, batch 512, 100 gradient steps for 3,200 transitions, no early end of
episodes. `bench.loop --published` runs this in a process of its own and sets our loop beside it.
"""

import json
import resource
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gymnasium
import mujoco
import numpy as np
import torch
import transformers
import tyro
from stable_baselines3 import SAC
from stable_baselines3.common.vec_env import SubprocVecEnv
from tokenizers import Tokenizer

PAPER_CAMERA = {
    "trackbodyid": 1,
    "distance": 3.5,
    "lookat": np.array([0.0, 0.0, 1.0]),
    "elevation": -10.0,
    "azimuth": 180.0,
}
EPISODE_LENGTH = 100
BLOCK = 64  # frames embedded at a time
FILLED = 50_000  # transitions in the replay when memory is read
KIB = 1024  # of which Linux counts


@dataclass(frozen=True)
class Config:
    """Times the published pipeline."""

    model: str
    """A directory with a CLIP in Hugging Face's format."""
    side: int = 480
    """Of the frames that MuJoCo draws, pixels; the paper's 480."""
    shadows: bool = True
    """And reflections, as MuJoCo draws by default."""
    goal: str = "a humanoid robot kneeling"
    envs: int = 32
    unroll: int = 100
    """Steps of each environment between updates."""
    iterations: int = 2
    """Timed unrolls with their updates, after one that is not timed."""


class Filmed(gymnasium.Wrapper):
    """Puts each step's frame, and the seconds of physics and drawing, into `info`."""

    def __init__(self, side: int, shadows: bool):
        super().__init__(
            gymnasium.make(
                "Humanoid-v4",
                render_mode="rgb_array",
                width=side,
                height=side,
                terminate_when_unhealthy=False,
                max_episode_steps=EPISODE_LENGTH,
            )
        )
        self.unwrapped.mujoco_renderer.default_cam_config = PAPER_CAMERA
        self.shadows = shadows

    def step(self, action: Any) -> Any:
        began = time.perf_counter()
        obs, reward, terminated, truncated, info = self.env.step(action)
        stepped = time.perf_counter()
        frame = self.env.render()
        seconds = (stepped - began, time.perf_counter() - stepped)
        return obs, reward, terminated, truncated, info | {"frame": frame, "seconds": seconds}

    def reset(self, **options: Any) -> Any:
        result = self.env.reset(**options)
        if not self.shadows:
            self.env.render()  # the viewer is made here
            flags = self.unwrapped.mujoco_renderer.viewer.scn.flags
            flags[mujoco.mjtRndFlag.mjRND_SHADOW] = flags[mujoco.mjtRndFlag.mjRND_REFLECTION] = False
        return result


class Cosine:
    """Cosine of frames with one sentence, by torch."""

    def __init__(self, directory: str, goal: str):
        self.model = transformers.CLIPModel.from_pretrained(directory).eval()
        self.side = self.model.config.vision_config.image_size
        settings = json.loads((Path(directory) / "preprocessor_config.json").read_text())
        self.mean, self.std = (
            torch.tensor(settings[name])[:, None, None] for name in ("image_mean", "image_std")
        )
        ids = Tokenizer.from_file(str(Path(directory) / "tokenizer.json")).encode(goal).ids
        self.goal = _unit(self.model.get_text_features(torch.tensor([ids]))).detach()[0]

    @torch.no_grad()
    def __call__(self, frames: list[np.ndarray]) -> np.ndarray:
        scores = []
        for start in range(0, len(frames), BLOCK):
            pixels = torch.from_numpy(np.stack(frames[start : start + BLOCK])).permute(0, 3, 1, 2) / 255
            if pixels.shape[-1] != self.side:
                pixels = torch.nn.functional.interpolate(pixels, (self.side, self.side), mode="bicubic")
            seen = self.model.get_image_features((pixels.clamp(0, 1) - self.mean) / self.std)
            scores.append(_unit(seen) @ self.goal)
        return torch.cat(scores).numpy()


def _unit(seen: Any) -> torch.Tensor:
    return torch.nn.functional.normalize(getattr(seen, "pooler_output", seen), dim=-1)


class ClipRewardedSac(SAC):
    """SAC whose rewards are known only after an unroll, when all its frames are embedded at once."""

    def begin(self, cosine: Cosine) -> None:
        self.cosine, self.frames = cosine, []
        self.seconds = dict.fromkeys(("physics", "rendering", "collecting", "encoding", "updates"), 0.0)

    def _store_transition(
        self, replay_buffer: Any, action: Any, obs: Any, reward: Any, done: Any, infos: Any
    ):
        for info in infos:
            self.frames.append(info.pop("frame"))
            for name, seconds in zip(("physics", "rendering"), info.pop("seconds"), strict=True):
                self.seconds[name] += seconds
        super()._store_transition(replay_buffer, action, obs, reward, done, infos)

    def collect_rollouts(self, *args: Any, **options: Any) -> Any:
        began, first = time.perf_counter(), self.replay_buffer.pos
        result = super().collect_rollouts(*args, **options)
        collected = time.perf_counter()
        scores = self.cosine(self.frames).reshape(-1, self.n_envs)
        places = (first + np.arange(len(scores))) % self.replay_buffer.buffer_size
        self.replay_buffer.rewards[places] = scores
        self.frames = []
        self.seconds["collecting"] += collected - began
        self.seconds["encoding"] += time.perf_counter() - collected
        return result

    def train(self, *args: Any, **options: Any) -> None:
        began = time.perf_counter()
        super().train(*args, **options)
        self.seconds["updates"] += time.perf_counter() - began


def measure(config: Config) -> dict[str, Any]:
    """Rates, shares and memory of one pipeline."""
    steps = config.envs * config.unroll
    worlds = SubprocVecEnv([lambda: Filmed(config.side, config.shadows)] * config.envs)
    model = ClipRewardedSac(
        "MlpPolicy",
        worlds,
        learning_rate=6e-4,
        buffer_size=1_000_000,
        learning_starts=0,
        batch_size=512,
        tau=0.005,
        gamma=0.95,
        train_freq=(config.unroll, "step"),
        gradient_steps=round(steps / 32),
        seed=0,
        device="cpu",
    )
    model.begin(Cosine(config.model, config.goal))
    model.learn(steps)
    model.seconds = dict.fromkeys(model.seconds, 0.0)
    began = time.perf_counter()
    model.learn(steps * config.iterations, reset_num_timesteps=False)
    wall = time.perf_counter() - began
    _fill(model.replay_buffer, FILLED // config.envs)
    memory = _memory([worker.pid for worker in worlds.processes])
    worlds.close()
    return {
        "frames": config.side,
        "shadows": config.shadows,
        "env_steps_per_second": round(steps * config.iterations / wall, 2),
        "shares": _shares(model.seconds, wall),
        "memory_mib": memory,
    }


def _shares(seconds: dict[str, float], wall: float) -> dict[str, float]:
    """Of the wall's time. Workers share the cores, so their own times only split what collecting took."""
    busy = seconds["physics"] + seconds["rendering"]
    parts = {
        name: seconds["collecting"] * seconds[name] / busy / wall for name in ("physics", "rendering")
    } | {name: seconds[name] / wall for name in ("encoding", "updates")}
    return {name: round(share, 3) for name, share in parts.items()}


def _fill(memory: Any, rows: int) -> None:
    """Writes the last row again until so many are in use: pages that were never written cost nothing yet."""
    for _ in range(max(0, rows - memory.pos)):
        last = memory.pos - 1
        memory.add(
            memory.observations[last],
            memory.next_observations[last],
            memory.actions[last],
            memory.rewards[last],
            memory.dones[last],
            [{}] * memory.n_envs,
        )


def _memory(workers: list[int]) -> dict[str, int]:
    """MiB: this process's peak, and what the environments' processes hold, shared pages counted once."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    held = 0
    for worker in workers:
        lines = Path(f"/proc/{worker}/smaps_rollup").read_text().splitlines()
        held += next(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return {"main": round(peak / KIB), "workers": round(held / KIB)}


if __name__ == "__main__":
    print(json.dumps(measure(tyro.cli(Config, prog="python -m bench.published"))))
