"""Several tasks of the humanoid as one environment, so that one program can train a policy for each."""

import copy
from collections.abc import Sequence
from functools import partial

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from envs import criteria
from envs.humanoid.env import Humanoid
from envs.types import Env, is_ordered
from jaxrm.render import Camera, View
from jaxrm.types import Pose


class TaskChoice(Humanoid):
    """The humanoid with success, progress and camera of the task that `at` has chosen; the first's without.

    The number of the task may be traced. Judgements of all tasks are then computed and one is taken: they
    cost little beside a step of physics, which all share.
    """

    def __init__(self, tasks: Sequence[Humanoid]) -> None:
        """`tasks` have one body, one control and episodes of one length, as those of one config have."""
        vars(self).update(vars(tasks[0]))
        self._tasks = tuple(tasks)
        self._cameras: Camera = jax.tree.map(
            lambda *leaves: jnp.stack([jnp.asarray(leaf) for leaf in leaves]),
            *(task.camera for task in tasks),
        )
        self._chosen: int | Array = 0

    def at(self, task: int | Array) -> Humanoid:
        """One of the tasks, counted from 0: itself, or where the number is traced what judges like it."""
        if isinstance(task, int):
            return self._tasks[task]
        chosen = copy.copy(self)
        chosen._chosen = task
        return chosen

    def view(self, pose: Pose, camera: Camera | None = None) -> View:
        return super().view(
            pose, jax.tree.map(lambda x: x[self._chosen], self._cameras) if camera is None else camera
        )

    def success(self, pose: Pose) -> Bool[Array, ""]:
        judges = [partial(criteria.holds, task.bounds) for task in self._tasks]
        return jax.lax.switch(self._chosen, judges, self.measures(pose))

    def progress(self, pose: Pose) -> Float[Array, ""]:
        judges = [partial(criteria.degree, task.bounds) for task in self._tasks]
        return jax.lax.switch(self._chosen, judges, self.measures(pose))


def of_task(env: Env, task: int | Array) -> Env:
    """One task of several; an environment that knows but one as it is."""
    return env.at(task) if isinstance(env, TaskChoice) else env


def choice(tasks: Sequence[Env]) -> TaskChoice:
    """Raises ValueError where a task is not one of the humanoid's postures."""
    for task in tasks:
        if not isinstance(task, Humanoid) or is_ordered(task):
            raise ValueError(f"{task.name!r} cannot share a program: only postures of the humanoid can")
    return TaskChoice([task for task in tasks if isinstance(task, Humanoid)])
