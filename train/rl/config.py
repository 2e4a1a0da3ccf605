"""The settings of a policy run."""

import dataclasses
import re
from pathlib import Path
from typing import Any, Literal, get_args

import tyro

from jaxrm.weights import files
from jaxrm.weights.preprocess import ResizeMode
from train.rl import limits, recipes
from train.rl.limits import check_choice
from train.rl.networks import ACTIVATIONS, DISTRIBUTIONS

REWARDS = ("clip", "likelihood", "truth")
FORMS = ("describe", "ask")
ALGORITHMS = ("ppo", "sac")
BETWEEN = ("linear", "hold")
OURS = ("scene-clip", "scene-clip-fine")  # CLIPs that come with us; the second is the dearer
OUR_DECODER = "instruct-lm"


def _flat(task: str) -> str:
    """As the name of a folder, of a task or of a sentence."""
    return re.sub(r"\W+", "-", task).strip("-")[:60] if _is_sentence(task) else re.sub("[/:]", "-", task)


def _is_sentence(task: str) -> bool:
    """A name has one word."""
    return " " in task.strip()


def _of_recipe() -> Any:
    """A field that the recipe of task and learner gives where the caller does not."""
    return dataclasses.field(default=None)


@dataclasses.dataclass(frozen=True)
class PolicyConfig:
    """Train a policy on a task. What is not given comes from the task's recipe (`train/rl/recipes.py`)."""

    task: tyro.conf.Positional[str] = ""
    """Name of the task, or `module:factory` for one of your own; none with --mjcf."""
    also: tuple[str, ...] = ()
    """Further postures of the humanoid to train in the same program, a policy each, with every seed: names of
    tasks, or sentences for this one."""
    mjcf: Path | None = None
    """Instead of a task, a body of your own: the file of a MuJoCo model with actuators. Needs --goal."""
    goal: str | tuple[str, ...] | None = None
    """A sentence that replaces the task's own prompt; of several, the mean direction counts."""
    negatives: tuple[str, ...] = ()
    """Sentences of what shall not be seen: the likeness to them is taken off the reward."""
    reward: str = "clip"
    """clip: the sentence, of each frame; likelihood: of the episode so far, as a language model reads it;
    truth: the task's ground-truth reward."""
    model: str = _of_recipe()
    """A CLIP: a directory, a model that comes with us, or a hub id. Likelihood sees with it. Without it:
    scene-clip; with likelihood scene-clip-fine, whose embeddings fomo-interface reads."""
    lm: str = OUR_DECODER
    """With likelihood: a decoder LLM, named likewise."""
    lm_dtype: str = "float32"
    """And what it is computed in, float32 or bfloat16, in which its weights are then kept, too."""
    interface: str = "fomo-interface"
    """With likelihood: what turns frames into the decoder's input; a directory or one that comes with us."""
    likelihood_form: Literal["describe", "ask"] = "describe"
    """With likelihood: describe, how probable a token of the sentence is, their geometric mean; ask, how
    probable that it was carried out."""
    likelihood_difference: bool = False
    """With likelihood: reward what each frame adds to the logarithm, as a potential, not the whole so far."""
    likelihood_start: bool = False
    """With likelihood: show the state that an episode starts from, too, not only what its steps lead to."""
    likelihood_frames: int = 32
    """With likelihood: frames that an episode gives at most, one every --reward-every steps."""
    update_interface_every: int = 0
    """With likelihood: iterations between updates of the interface on the policy's own episodes; 0: none. By
    SAC what is in the replay keeps the scores of the interface that was there when it was written."""
    interface_learning_rate: float = 3e-4
    """Of Adam, where the interface learns."""
    interface_films: int = 256
    """Where it learns: films made of any instruction, and as many of the goal, for it to learn from too."""
    keep_episodes: int = 0
    """With likelihood: episodes that are kept in the run's folder, for train interface --episodes."""
    baseline: str | None = None
    """With alpha: a sentence that replaces the task's own of the body doing nothing in particular."""
    alpha: float = 0.0
    """Strength of goal-baseline regularisation; 0 is the cosine with the goal."""
    allow_unknown_words: bool = False
    """Take a sentence with words that the model never saw."""
    control: str | None = None
    """How actions move the body, e.g. position or torque; by default the task's own."""
    camera: str | None = None
    """A preset of the task; with --mjcf one of the model, or distance,azimuth,elevation[,height] (m, deg)."""
    skin: str | None = None
    """How the humanoid looks: robot, which the default weights know, textured or plain."""
    substeps: int | None = None
    """With --mjcf: physics steps an action; by default as many as make about 17.5 ms."""
    varied_starts: float = 0.0
    """Share of the training episodes that start in any posture, those of the logged success among them; in
    the beginning and the end policies are judged from the task's own start."""
    episode_length: int | None = None
    """Steps of an episode; by default the task's own, with --mjcf 100."""
    algo: str = "ppo"
    """The learner: ppo or sac."""
    steps: int = _of_recipe()
    """Environment steps, over all worlds."""
    seed: int = 0
    """The first seed."""
    seeds: int = 1
    """How many seeds to train in one program: --seed, --seed + 1, ..."""
    out: Path | None = None
    """The run's folder; by default runs/TASK-seedS (TASK-sac-seedS). With several seeds, one in it each."""
    resume: bool = False
    """Go on with the run in `out`; also for more steps, where the learning rate does not fall over them."""

    num_envs: int = _of_recipe()
    """Worlds in parallel."""
    num_shards: int = 8
    """Virtual shards; a multiple of the devices. Results depend on it, not on the devices."""
    unroll_length: int = _of_recipe()
    """Steps of each world an iteration."""
    learning_rate: float = _of_recipe()
    """Of Adam."""
    decay: bool = _of_recipe()
    """Let the learning rate fall linearly to 0 over the run."""
    gamma: float = _of_recipe()
    """Discount a step."""
    normalize_reward: bool = _of_recipe()
    """Shift and scale rewards by their running mean and deviation before learning."""
    policy_hidden: tuple[int, ...] = _of_recipe()
    """Widths of the policy's hidden layers."""
    value_hidden: tuple[int, ...] = _of_recipe()
    """Widths of the hidden layers of the value function, or of each critic."""
    activation: str = _of_recipe()
    """Of the hidden layers."""
    action_distribution: str = "tanh-normal"
    """Of the sampled actions; sac knows tanh-normal alone."""

    epochs: int = _of_recipe()
    """PPO: passes over an iteration's samples."""
    minibatches: int = _of_recipe()
    """PPO: updates a pass."""
    max_grad_norm: float = _of_recipe()
    """PPO: gradients are clipped to this global norm."""
    gae_lambda: float = _of_recipe()
    """PPO: of the advantages: 0 trusts the value function, 1 the returns."""
    entropy_cost: float = _of_recipe()
    """PPO: weight of the policy's entropy in the loss."""
    value_cost: float = 0.5
    """PPO: weight of the value function's error in the loss."""
    clip: float = 0.2
    """PPO: range of the probability ratio."""

    updates_per_step: float = _of_recipe()
    """SAC: gradient steps for each environment step, over all worlds."""
    batch_size: int = _of_recipe()
    """SAC: transitions a gradient step."""
    learning_starts: int = _of_recipe()
    """SAC: environment steps, of uniform actions, before the first gradient step."""
    replay_size: int = _of_recipe()
    """SAC: transitions that the replay holds, over all shards."""
    tau: float = _of_recipe()
    """SAC: share of the way that the target critics go towards the critics a gradient step."""
    temperature: float = _of_recipe()
    """SAC: weight of the policy's entropy, to begin with."""
    layer_norm: bool = _of_recipe()
    """SAC: normalise the hidden layers of the critics."""
    tune_temperature: bool = _of_recipe()
    """SAC: tune the temperature towards an entropy of -1 nat for every action dimension."""

    reward_every: int = _of_recipe()
    """Judge every so many steps."""
    reward_between: str = "linear"
    """Between two judged steps of an episode: linear, the line between them; hold, the earlier score."""
    both_sides: bool = _of_recipe()
    """With clip: judge every state from the camera's mirror image across the body, too; the mean counts."""
    frame_size: int | None = None
    """With clip: side of the frames drawn, in pixels; without, the model's own. Others are resized."""
    resize: ResizeMode = "pil"
    """And how: pil, as the model's preprocessing says; vlmrm, bicubic without antialias, as VLM-RM's code."""
    reward_batch: int = 256
    """Poses drawn and judged at a time: sets the memory of the reward."""

    eval_episodes: int = 100
    """Episodes from the task's own start, before and after training."""
    video_episodes: int = 4
    """Episodes in a video; 0 makes none."""
    video_size: int = 256
    """Height and width of an episode's frames."""
    seconds_per_call: float = 3.0
    """About how often the program brings news."""
    calls_per_checkpoint: int = 10
    """How often the training state is saved, counted in calls of the program."""

    def __post_init__(self) -> None:
        if self.out is not None:
            object.__setattr__(self, "out", Path(self.out))
        if self.mjcf is not None:
            object.__setattr__(self, "mjcf", Path(self.mjcf).expanduser().absolute())
            object.__setattr__(self, "task", self.task or self._task_of_body)
        if isinstance(self.goal, list | tuple):
            object.__setattr__(self, "goal", self.goal[0] if len(self.goal) == 1 else tuple(self.goal))
        for name in ("negatives", "also"):
            if isinstance(value := getattr(self, name), str):
                object.__setattr__(self, name, (value,))
        if self.model is None:
            object.__setattr__(self, "model", OURS[self.reward == "likelihood"])
        named = [task for task in self.tasks if not _is_sentence(task)]
        for name, value in recipes.of(named or [""], self.algo).items():
            if getattr(self, name) is None:
                object.__setattr__(self, name, value)

    def validate(self) -> None:
        """Refuses settings that cannot be trained with, and those that would do nothing.

        Raises:
          ValueError: with what is wrong, and the nearest thing that is right.
        """
        check_choice("algo", self.algo, ALGORITHMS)
        check_choice("reward", self.reward, REWARDS)
        check_choice("likelihood_form", self.likelihood_form, FORMS)
        check_choice("activation", self.activation, ACTIVATIONS)
        check_choice("action_distribution", self.action_distribution, DISTRIBUTIONS)
        check_choice("reward_between", self.reward_between, BETWEEN)
        check_choice("resize", self.resize, get_args(ResizeMode))
        limits.check_numbers(self)
        self._check_body()
        self._check_sentences()
        if self.reward != "truth" and self.unroll_length % self.reward_every:
            raise ValueError(
                f"reward_every {self.reward_every} does not divide unroll_length {self.unroll_length}"
            )
        if self.algo == "sac":
            self._check_sac()
        self._check_shards()
        if not self.resume:  # earlier versions took them, and their runs are to go on
            limits.check_use(
                self, PolicyConfig(self.task, also=self.also, algo=self.algo, reward=self.reward)
            )

    def _check_body(self) -> None:
        if not self.task:
            raise ValueError("name a task, or a body of your own with --mjcf FILE")
        if self.mjcf is None:
            if self.task.endswith((".xml", ".urdf")):
                raise ValueError(f"a body of your own is named by --mjcf {self.task}")
            return
        if self.task != self._task_of_body:
            raise ValueError(f"task {self.task!r} has a body of its own: give a task or --mjcf, not both")
        if self.reward == "truth":
            raise ValueError(f"{self.mjcf.name!r} has no ground truth: leave out --reward truth, give --goal")
        if not self.goals:
            raise ValueError(f"no goal for {self.mjcf.name!r}: say what it shall do with --goal SENTENCE")

    def _check_sentences(self) -> None:
        if self.baseline is not None and not self.baseline.strip():
            raise ValueError("baseline is empty: say what the body does in a sentence")
        if self.skin not in (None, "robot") and self.reward != "truth" and self.sees_with_ours:
            raise ValueError(
                f"{self.model} never saw the skin {self.skin!r}, only robot: give a --model that has"
            )
        if self.reward == "likelihood" and len(self.goals) > 1:
            raise ValueError("reward 'likelihood' takes one goal: there is no mean of sentences")
        for name, sentences in (("goal", self.goals), ("negatives", self.negatives)):
            if not all(sentence.strip() for sentence in sentences):
                raise ValueError(f"{name} is empty: say what you want in a sentence")
        if self.reward == "truth" and len(self.goals) > 1:
            raise ValueError("reward 'truth' takes one goal")
        if self.goal == ():
            raise ValueError("goal is empty: say what you want in a sentence")
        if self.also:
            self._check_tasks()

    def _check_tasks(self) -> None:
        if self.goals and not all(map(_is_sentence, self.also)):
            raise ValueError("goal replaces the prompt of one task: leave it out, or also")
        if self.reward == "likelihood":
            raise ValueError("reward 'likelihood' reads one instruction: train one task at a time")
        if len(set(map(_flat, self.tasks))) < len(self.tasks):
            raise ValueError(f"also names a task twice, or sentences too much alike: {', '.join(self.tasks)}")

    def _check_sac(self) -> None:
        if self.action_distribution != "tanh-normal":
            raise ValueError(f"action_distribution is {self.action_distribution!r}; sac needs 'tanh-normal'")
        updates = self.updates_per_step * self.steps_per_iteration
        if abs(updates - round(updates)) > 1e-6 * updates or round(updates) < 1:
            raise ValueError(
                f"updates_per_step {self.updates_per_step} gives {updates:g} gradient steps for the"
                f" {self.steps_per_iteration} steps of an iteration (num_envs x unroll_length);"
                " it must be a whole number"
            )
        if self.learning_starts > self.iterations * self.steps_per_iteration:
            raise ValueError(
                f"learning_starts {self.learning_starts} comes after the last of"
                f" {self.iterations * self.steps_per_iteration} steps: nothing would be learnt"
            )
        if self.replay_size < self.steps_per_iteration:
            raise ValueError(
                f"replay_size {self.replay_size} does not hold the {self.steps_per_iteration} steps"
                " of an iteration"
            )

    def check_shapes(self, devices: int) -> None:
        """Refuses worlds, shards, devices and minibatches that do not divide.

        Raises:
          ValueError: naming the numbers.
        """
        if self.num_shards % devices:
            raise ValueError(f"num_shards {self.num_shards} is no multiple of the {devices} devices")
        self._check_shards()

    def _check_shards(self) -> None:
        if self.num_envs % self.num_shards:
            raise ValueError(f"num_envs {self.num_envs} is no multiple of num_shards {self.num_shards}")
        if self.algo == "sac":
            for name in ("replay_size", "batch_size"):
                if getattr(self, name) % self.num_shards:
                    raise ValueError(
                        f"{name} {getattr(self, name)} is no multiple of num_shards {self.num_shards}"
                    )
            return
        samples = self.num_envs // self.num_shards * self.unroll_length
        if samples % self.minibatches:
            raise ValueError(f"{self.minibatches} minibatches do not divide the {samples} samples of a shard")

    @property
    def _task_of_body(self) -> str:
        return f"mjcf/{self.mjcf.stem}" if self.mjcf else ""

    @property
    def sees_with_ours(self) -> bool:
        """Whether the model is one of `OURS`, by its name or by whatever path leads to it."""
        path = Path(self.model).expanduser()
        if path.is_dir():
            return path.resolve() in [files.find(name).resolve() for name in OURS]
        return self.model in OURS

    @property
    def steps_per_iteration(self) -> int:
        return self.num_envs * self.unroll_length

    @property
    def iterations(self) -> int:
        return -(-self.steps // self.steps_per_iteration)

    @property
    def updates_per_iteration(self) -> int:
        """Gradient steps of SAC."""
        return round(self.updates_per_step * self.steps_per_iteration)

    @property
    def goals(self) -> tuple[str, ...]:
        """The sentences that replace the task's own; none where it stands."""
        if self.goal is None:
            return ()
        return (self.goal,) if isinstance(self.goal, str) else self.goal

    @property
    def tasks(self) -> tuple[str, ...]:
        """All that share the program: tasks, and sentences for the first of them."""
        return (self.task, *self.also)

    def of_tasks(self) -> list["PolicyConfig"]:
        """A config for each of `tasks`, which alone would be that run."""
        alone = dataclasses.replace(self, also=())
        others = [{"goal": what} if _is_sentence(what) else {"task": what} for what in self.also]
        return [alone, *(dataclasses.replace(alone, **other) for other in others)]

    @property
    def runs(self) -> int:
        """Policies that are trained in one program: a task and a seed each."""
        return len(self.tasks) * self.seeds

    def of_runs(self) -> list["PolicyConfig"]:
        """A config for each task and seed, as a run of its own in a folder of its own."""
        if self.runs == 1:
            return [self]
        return [
            dataclasses.replace(alone, seed=seed, seeds=1, out=self.folder / self._name_of(task, seed))
            for task, alone in zip(self.tasks, self.of_tasks(), strict=True)
            for seed in range(self.seed, self.seed + self.seeds)
        ]

    def _name_of(self, task: str, seed: int) -> str:
        return f"{_flat(task)}-seed{seed}" if self.also else f"seed{seed}"

    @property
    def folder(self) -> Path:
        if self.out is not None:
            return self.out
        names = [task if _is_sentence(task) else task.rpartition("/")[2] for task in self.also]
        task = "-".join(map(_flat, [self.task, *names]))
        if len(task) > 150:  # of 255 that a folder's name may have
            task = f"{_flat(self.task)}-and-{len(names)}-more"
        learner = "" if self.algo == "ppo" else f"-{self.algo}"
        last = f"-{self.seed + self.seeds - 1}" if self.seeds > 1 else ""
        return Path("runs") / f"{task}{learner}-seed{self.seed}{last}"
