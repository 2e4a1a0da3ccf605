"""Cart and pole: keep the pole up, or swing it up, by pushing the cart; MuJoCo only draws it.

Equations and constants are those of `gymnasium.envs.classic_control.cartpole` (CartPole-v1), which follow
Florian, "Correct equations for the dynamics of the cart-pole system" (2007). As in VLM-RM (arXiv 2310.12921)
no episode ends early: 200 steps, whatever the pole does.
"""

import jax
import jax.numpy as jnp
import mujoco
import numpy as np
from jaxtyping import Array, Bool, Float

from envs.classic import ClassicControl, Physics, pick_camera, wrap_angle
from jaxrm.render import Camera
from jaxrm.types import Pose

GRAVITY = 9.8  # m/s^2
CART_MASS = 1.0  # kg
POLE_MASS = 0.1  # kg
HALF_POLE = 0.5  # m, from the hinge to the pole's middle
MAX_FORCE = 10.0  # N
TIME_STEP = 0.02  # s
EPISODE_LENGTH = 200  # steps
RAIL = 2.4  # m: half of the rail; beyond it Gymnasium's task has failed
UPRIGHT = 12 * np.pi / 180  # rad, Gymnasium's limit: within it the pole counts as upright
START_NOISE = 0.05  # m, rad and per second, uniform
# Limits of what is observed: m, m/s, rad, rad/s; Gymnasium's for place and angle. Without early ends most
# of what a beginner sees is lost poles and carts; they would stretch the scale on which learners normalise
# until the few degrees that matter drown, and a policy learns to let the pole go round instead.
SEEN = np.array([4.8, 5.0, 24 * np.pi / 180, 5.0], np.float32)

TOTAL_MASS = CART_MASS + POLE_MASS
POLE_MOMENT = POLE_MASS * HALF_POLE  # kg m

# The hinge is 0.9 m up; a positive angle leans towards positive x, which is right for the camera.
_DRAWING = """
<mujoco model="cartpole">
  <visual>
    <headlight ambient=".35 .35 .35" diffuse=".3 .3 .3" specular="0 0 0"/>
    <map znear=".01" zfar="50"/>
  </visual>
  <statistic center="0 0 1" extent="2"/>
  <asset>
    <texture type="skybox" builtin="gradient" rgb1=".82 .9 .97" rgb2=".45 .6 .78" width="64" height="64"/>
    <texture name="tiles" type="2d" builtin="checker" rgb1=".5 .53 .5" rgb2=".62 .65 .6"
             width="64" height="64"/>
    <material name="tiles" texture="tiles" texrepeat="1 1" texuniform="true" specular="0"/>
  </asset>
  <default><geom contype="0" conaffinity="0"/></default>
  <worldbody>
    <light directional="true" pos="0 -2 4" dir=".25 .45 -1" diffuse=".6 .6 .6"/>
    <geom name="floor" type="plane" size="0 0 .1" material="tiles"/>
    <geom name="rail" type="capsule" fromto="-2.6 0 .75 2.6 0 .75" size=".04" rgba=".25 .27 .3 1"/>
    <geom name="left post" type="box" pos="-2.6 0 .4" size=".06 .1 .4" rgba=".25 .27 .3 1"/>
    <geom name="right post" type="box" pos="2.6 0 .4" size=".06 .1 .4" rgba=".25 .27 .3 1"/>
    <body name="cart" pos="0 0 .75">
      <joint name="slide" type="slide" axis="1 0 0"/>
      <geom name="cart" type="box" size=".3 .16 .14" mass="1" rgba=".1 .25 .6 1"/>
      <body name="pole" pos="0 -.22 .1">
        <joint name="hinge" type="hinge" axis="0 1 0"/>
        <geom name="pole" type="capsule" fromto="0 0 0 0 0 1" size=".065" mass=".1" rgba=".9 .35 .1 1"/>
        <geom name="axle" type="sphere" size=".09" mass="0" rgba=".98 .85 .3 1"/>
      </body>
    </body>
  </worldbody>
</mujoco>
"""
CAMERAS = {
    "rail": Camera(position=(0.0, -6.0, 1.6), target=(0.0, 0.0, 1.1), fovy=50.0),  # all of it, as Gymnasium's
    # Along with the cart: at 64 pixels the pole has 22, and 12 degrees move its tip by 5. But no frame shows
    # a cart that nears the end of the rail, and policies leave it.
    "follow": Camera(position=(0.0, -4.0, 1.35), target=(0.0, 0.0, 0.95), fovy=40.0, body="cart", level=True),
}


class CartPole(ClassicControl):
    """The tasks `cartpole` and `cartpole/discrete`: the pole starts upright and is to stay so.

    The action is the force over 10 N; in the discrete task, Gymnasium's own, only its sign counts: 10 N to
    the right from 0 on, 10 N to the left below. The observation is Gymnasium's, the cart's position and speed
    and the pole's angle and angular speed, the angle wrapped and all cut off at `SEEN`.
    """

    goal = "pole vertically upright on top of the cart"
    baseline = "pole and cart"
    observation_size = 4
    action_size = 1

    def __init__(
        self,
        discrete: bool = False,
        episode_length: int = EPISODE_LENGTH,
        camera: str | Camera = "rail",
    ) -> None:
        self.name, self.discrete = ("cartpole/discrete" if discrete else "cartpole"), discrete
        super().__init__(
            mujoco.MjModel.from_xml_string(_DRAWING), pick_camera(camera, CAMERAS), episode_length
        )

    def _start(self, key: Array) -> Physics:
        """All within 0.05 of standing still in the middle, as in Gymnasium."""
        noise = jax.random.uniform(key, (4,), minval=-START_NOISE, maxval=START_NOISE)
        return Physics(qpos=noise[:2], qvel=noise[2:])

    def _force(self, action: Float[Array, "1"]) -> Float[Array, ""]:
        if self.discrete:
            action = jnp.sign(action) + (action == 0)  # 0 is right; NaN stays NaN
        return MAX_FORCE * action[0]

    def _advance(self, physics: Physics, action: Float[Array, "1"]) -> Physics:
        """Explicit Euler, as in Gymnasium."""
        return Physics(
            qpos=physics.qpos + TIME_STEP * physics.qvel,
            qvel=physics.qvel + TIME_STEP * accelerations(physics, self._force(action)),
        )

    def _observe(self, physics: Physics) -> Float[Array, "obs"]:
        (place, angle), (speed, turn) = physics.qpos, physics.qvel
        return jnp.clip(jnp.stack([place, speed, wrap_angle(angle), turn]), -SEEN, SEEN)

    def success(self, pose: Pose) -> Bool[Array, ""]:
        """The pole within 12 degrees of upright, the cart within 2.4 m of the middle: Gymnasium's limits."""
        return (_tilt(pose) <= UPRIGHT) & (jnp.abs(pose.qpos[0]) <= RAIL)

    def progress(self, pose: Pose) -> Float[Array, ""]:
        """1 where `success` holds; falls to 0 with the cube of the way from hanging to upright, linearly with
        the way beyond the rail.

        Without the cube a pole that goes round and round earns more than half of what an upright one does.
        """
        up = jnp.clip((jnp.pi - _tilt(pose)) / (jnp.pi - UPRIGHT), 0.0, 1.0)
        return up**3 * jnp.clip(2.0 - jnp.abs(pose.qpos[0]) / RAIL, 0.0, 1.0)

    def sample(self, key: Array) -> Float[Array, "2"]:
        """Anywhere on the rail; half of the poles anywhere on the circle, half within 0.5 rad of upright."""
        place, angle, near = jax.random.uniform(key, (3,), minval=-1.0, maxval=1.0)
        return jnp.stack([RAIL * place, jnp.where(near > 0, 0.5, jnp.pi) * angle])


class SwingUp(CartPole):
    """The task `cartpole/swing-up`: the pole hangs, and is to be swung up and held.

    The same equations in Gymnasium's other integrator, `semi-implicit euler`: with the explicit one a hanging
    pole gains energy by itself and swings up untouched. Buffers stop the cart at both ends of the rail. The
    observation has the angle's cosine and sine in the place of the angle.
    """

    observation_size = 5

    def __init__(self, episode_length: int = EPISODE_LENGTH, camera: str | Camera = "rail") -> None:
        super().__init__(episode_length=episode_length, camera=camera)
        self.name = "cartpole/swing-up"

    def _start(self, key: Array) -> Physics:
        start = super()._start(key)
        return start._replace(qpos=start.qpos.at[1].add(jnp.pi))

    def _advance(self, physics: Physics, action: Float[Array, "1"]) -> Physics:
        qvel = physics.qvel + TIME_STEP * accelerations(physics, self._force(action))
        return stop_at_rail(Physics(physics.qpos + TIME_STEP * qvel, qvel))

    def _observe(self, physics: Physics) -> Float[Array, "obs"]:
        (place, angle), (speed, turn) = physics.qpos, physics.qvel
        return jnp.stack([place, speed, jnp.cos(angle), jnp.sin(angle), turn])


def accelerations(physics: Physics, force: Float[Array, ""]) -> Float[Array, "2"]:
    """Of the cart, m/s^2, and of the pole's angle, rad/s^2, in Gymnasium's terms."""
    cos, sin, turn = jnp.cos(physics.qpos[1]), jnp.sin(physics.qpos[1]), physics.qvel[1]
    push = (force + POLE_MOMENT * turn**2 * sin) / TOTAL_MASS
    pole = (GRAVITY * sin - cos * push) / (HALF_POLE * (4 / 3 - POLE_MASS * cos**2 / TOTAL_MASS))
    return jnp.stack([push - POLE_MOMENT * pole * cos / TOTAL_MASS, pole])


def stop_at_rail(physics: Physics) -> Physics:
    """Ends the cart's motion at the ends of the rail, without bounce.

    The blow acts on the cart alone, so the pole's momentum about its hinge,
    m l (v cos a + 4/3 l da/dt), stays as it was.
    """
    place, speed = physics.qpos[0], physics.qvel[0]
    lost = jnp.where((jnp.abs(place) >= RAIL) & (place * speed > 0), speed, 0.0)
    turned = lost * jnp.cos(physics.qpos[1]) / (4 / 3 * HALF_POLE)
    return Physics(
        qpos=physics.qpos.at[0].set(jnp.clip(place, -RAIL, RAIL)),
        qvel=physics.qvel + jnp.stack([-lost, turned]),
    )


def _tilt(pose: Pose) -> Float[Array, ""]:
    """Angle of the pole from upright, 0 to pi."""
    return jnp.abs(wrap_angle(pose.qpos[1]))
