"""A body of the user's own: any MuJoCo model that MJX can step, named by the path of its file.

Nothing is known of what such a body should do, so nothing but a sentence can: `success` holds nowhere, and
`has_truth` says that this means nothing.
"""

import warnings
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import mujoco
import numpy as np
from jaxtyping import Array, Bool, Float
from mujoco import mjx

from envs import quaternion
from envs.drawn import Drawn
from envs.kinematics import Frames, Kinematics
from envs.mjcf_file import actuator_name, load, pick_camera, root_of, start_of, told_of
from envs.physics import Physics, is_sane, simulate
from envs.types import State
from jaxrm.render import Camera, Scene
from jaxrm.types import Pose

CONTROL_SECONDS = 0.0175  # about how long an action lasts
EPISODE_LENGTH = 100  # steps
BASELINE = "a robot"
START_NOISE = 0.01  # rad, 1/s, and of the model's extent (at most 1 m), uniform
MAX_SPEED = 1e4  # rad/s or m/s; beyond it the physics has come apart
VELOCITY_SCALE = 0.1  # keeps velocities in the observation near 1

# plain numbers: MuJoCo's enums are not `in` arrays of numpy's integers
_FREE, _BALL = int(mujoco.mjtJoint.mjJNT_FREE), int(mujoco.mjtJoint.mjJNT_BALL)
_SLIDE = int(mujoco.mjtJoint.mjJNT_SLIDE)
# lights that go with a centre of mass, or point at one
_COM_MODES = [int(mujoco.mjtCamLight.mjCAMLIGHT_TRACKCOM), int(mujoco.mjtCamLight.mjCAMLIGHT_TARGETBODYCOM)]


class Layout(NamedTuple):
    """Where things lie in `qpos`.

    Attributes:
      quats: [rotations, 4].
      lengths: coordinates in metres.
      plain: coordinates that are observed as they are.
      ground: the root's x and y where it is free, else nothing.
      others: x and y of other free bodies, observed from the root where it is free, [bodies, 2].
    """

    quats: np.ndarray
    lengths: np.ndarray
    plain: np.ndarray
    ground: np.ndarray
    others: np.ndarray

    @classmethod
    def of(cls, m: mujoco.MjModel, root: str) -> "Layout":
        quats, lengths, ground, others = [], [], [], []
        for kind, first, body in zip(m.jnt_type, m.jnt_qposadr, m.jnt_bodyid, strict=True):
            if kind == _FREE:
                (ground if m.body(body).name == root else others).append([first, first + 1])
                lengths += [first, first + 1, first + 2]
            elif kind == _SLIDE:
                lengths.append(first)
            if kind in (_FREE, _BALL):
                begin = first + (3 if kind == _FREE else 0)
                quats.append([*range(begin, begin + 4)])
        apart = {int(i) for group in (*quats, *ground, *others) for i in group}
        plain = [i for i in range(m.nq) if i not in apart]
        return cls(
            quats=np.array(quats, int).reshape(-1, 4),
            lengths=np.array(lengths, int),
            plain=np.array(plain, int),
            ground=np.array(ground, int).reshape(-1),
            others=np.array(others, int).reshape(-1, 2),
        )


class MjcfEnv(Drawn):
    """See `envs.types.Env` for what the methods promise.

    An action in [-1, 1] goes to its actuator's `ctrlrange`; where an actuator has none it is the control
    itself, with a warning. It lasts `substeps` steps of the model's own time step. Episodes start in the
    keyframe "home", else in the first, else in `qpos0`, with a little noise; a time limit truncates.

    Args:
      file: an MJCF, or another XML file that MuJoCo compiles.
      goal: what the body shall do; may be empty where nobody trains it.
      baseline: the body doing nothing in particular, for `alpha`.
      camera: the name of one in the model, "distance,azimuth,elevation[,height]" (metres, degrees; goes with
        the root), or a `Camera`; by default one that the model fits into.
      substeps: physics steps an action; by default as many as make about 17.5 ms.
      episode_length: steps.

    Raises:
      FileNotFoundError: there is no such file.
      ValueError: the model cannot be read, moved, simulated or drawn, or has no such camera; file and thing
        are named.
    """

    has_truth = False
    camera: Any  # a `Camera`, or the name of one in the model

    def __init__(
        self,
        file: str | Path,
        goal: str = "",
        baseline: str = BASELINE,
        camera: str | Camera | None = None,
        substeps: int | None = None,
        episode_length: int = EPISODE_LENGTH,
    ) -> None:
        self.file = Path(file)
        self.name, self.goal, self.baseline = f"mjcf/{self.file.stem}", goal, baseline
        m = self.mj_model = load(self.file)
        self.substeps = max(1, round(CONTROL_SECONDS / m.opt.timestep)) if substeps is None else substeps
        self.episode_length = episode_length
        for name in ("substeps", "episode_length"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be at least 1")
        with told_of(self.file):
            root = root_of(m)
            self.camera = pick_camera(m, camera, root)
            self.scene = Scene.from_mujoco(m)
            self._model = mjx.put_model(m, impl="jax")
            self._data = mjx.make_data(m, impl="jax")
            alone = not (m.nmocap or isinstance(self.camera, str) or np.isin(m.light_mode, _COM_MODES).any())
            self._kinematics = Kinematics(m) if alone else None
            self._layout = Layout.of(m, root.name)
            self._start = self._start_physics()
            self._noise = np.full(m.nq, START_NOISE)
            self._noise[self._layout.lengths] *= min(1.0, m.stat.extent)
            self._control_middle, self._control_reach = _control_ranges(m, self.file)
            self.action_size = m.nu
            self.observation_size = self._trace()

    @property
    def control_seconds(self) -> float:
        """How long an action lasts."""
        return self.substeps * self.mj_model.opt.timestep

    def _start_physics(self) -> Physics:
        data = start_of(self.mj_model)
        return Physics(
            jnp.asarray(data.qpos),
            jnp.asarray(data.qvel),
            warmstart=jnp.zeros(self.mj_model.nv),
            act=jnp.asarray(data.act) if self.mj_model.na else None,
        )

    def _trace(self) -> int:
        """Numbers in an observation. MJX finds some of what it cannot do only when it is traced."""
        state = jax.eval_shape(self.reset, jax.random.PRNGKey(0))
        after = jax.eval_shape(self.step, state, jax.ShapeDtypeStruct((self.action_size,), jnp.float32))
        jax.eval_shape(lambda state: self.view(self.pose(state)), after)
        return state.obs.shape[0]

    def reset(self, key: Array) -> State:
        key_qpos, key_qvel = jax.random.split(key)
        noise = jax.random.uniform(key_qpos, (self.mj_model.nq,), minval=-1, maxval=1) * self._noise
        qpos = self._start.qpos + noise
        quats = qpos[self._layout.quats]
        qpos = qpos.at[self._layout.quats].set(quats / jnp.linalg.norm(quats, axis=-1, keepdims=True))
        shape = (self.mj_model.nv,)
        qvel = jax.random.uniform(key_qvel, shape, minval=-START_NOISE, maxval=START_NOISE)
        physics = self._start._replace(qpos=qpos, qvel=self._start.qvel + qvel)
        return self._begin(physics, jnp.zeros_like(qpos[0]), key)

    def step(self, state: State, action: Float[Array, "action"]) -> State:
        control = self._control_middle + self._control_reach * jnp.clip(action, -1, 1)
        physics = simulate(self._model, self._data, state.data, control, self.substeps)
        bad = ~is_sane(physics, MAX_SPEED)
        physics = jax.tree.map(lambda new, start: jnp.where(bad, start, new), physics, self._start)
        info = state.info | {"nan_resets": state.info["nan_resets"] + bad}
        after = self._state(physics, state.reward, state.time + 1, state.key, info)
        return after._replace(terminated=bad)

    def _observe(self, physics: Physics) -> Float[Array, "obs"]:
        """Coordinates without the root's x and y, other free bodies' from the root, rotations as matrices,
        velocities, states of actuators."""
        layout, qpos = self._layout, physics.qpos
        others = qpos[layout.others] - (qpos[layout.ground] if layout.ground.size else 0.0)
        turns = quaternion.matrices(quaternion.unit(qpos[layout.quats].T))
        flat = (qpos[layout.plain], others.reshape(-1), turns.reshape(-1))
        act = () if physics.act is None else (physics.act,)
        return jnp.concatenate([*flat, physics.qvel * VELOCITY_SCALE, *act])

    def kinematics(self, pose: Pose) -> Frames | mjx.Data:
        """Bodies and geoms; by MJX where mocap, a camera of the model or a centre of mass is asked for."""
        if self._kinematics is not None:
            return self._kinematics(pose.qpos)
        data = mjx.kinematics(self._model, self._data.replace(qpos=pose.qpos))
        return mjx.camlight(self._model, mjx.com_pos(self._model, data))

    def success(self, pose: Pose) -> Bool[Array, ""]:
        """Nowhere: nothing is known of what the body should do."""
        return jnp.zeros(pose.qpos.shape[:-1], bool)

    def progress(self, pose: Pose) -> Float[Array, ""]:
        """0 everywhere."""
        return jnp.zeros_like(pose.qpos[..., 0])


def _control_ranges(m: mujoco.MjModel, file: Path) -> tuple[Array, Array]:
    """Middle and reach of every actuator's control."""
    limited = m.actuator_ctrllimited.astype(bool)
    if not limited.all():
        names = ", ".join(actuator_name(m, int(i)) for i in np.flatnonzero(~limited))
        warnings.warn(
            f"{str(file)!r}: no ctrlrange for actuator {names}: an action from -1 to 1 is the control itself",
            stacklevel=3,
        )
    low, high = np.where(limited[:, None], m.actuator_ctrlrange, [-1.0, 1.0]).T
    return jnp.asarray((low + high) / 2), jnp.asarray((high - low) / 2)
