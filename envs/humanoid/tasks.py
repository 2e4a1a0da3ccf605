"""The eight tasks of VLM-RM (arXiv 2310.12921, table 1): prompt, camera, and success in measured bounds."""

from collections.abc import Callable
from typing import NamedTuple

from envs.humanoid.criteria import INF, Bound
from envs.humanoid.env import Humanoid
from jaxrm.render import Camera

BASELINE = "a humanoid robot"
EPISODE_LENGTH = 100  # steps of 15 ms, as in the paper
# Half from the side, half from the front, following the body over the floor at a fixed height, so that
# the floor's place in the picture tells how high the body is.
CAMERA = Camera.free(distance=2.5, azimuth=145.0, elevation=-12.0, lookat=(0.0, 0.0, 0.72), body="torso", level=True)

ON_FLOOR = 0.11  # m, highest centre of a foot (radius 0.075) or knee (radius 0.06) that touches the floor

FEET_DOWN = Bound("feet on the floor", lambda m: m.ankles, 0.03, ON_FLOOR, 0.15)
STANDS = (
    Bound("torso upright", lambda m: m.upright, 0.90, INF, 0.25),
    Bound("hips high", lambda m: m.hips, 0.75, INF, 0.15),
    FEET_DOWN,
)
SITS = (
    Bound("torso upright", lambda m: m.upright, 0.80, INF, 0.3),
    Bound("hips on the floor", lambda m: m.hips, 0.02, 0.17, 0.15),
)


class Task(NamedTuple):
    goal: str
    bounds: tuple[Bound, ...]
    camera: Camera = CAMERA


TASKS = {
    "kneeling": Task(
        "a humanoid robot kneeling",
        (
            Bound("knees on the floor", lambda m: m.knees, 0.03, ON_FLOOR, 0.2),
            Bound("torso upright", lambda m: m.upright, 0.75, INF, 0.3),
            Bound("hips off the floor and low", lambda m: m.hips, 0.28, 0.62, 0.25),
        ),
    ),
    "lotus": Task(
        "a humanoid robot seated down, meditating in the lotus position",
        (
            *SITS,
            Bound("knees on the floor", lambda m: m.knees, 0.02, 0.22, 0.2),
            Bound("knees outward", lambda m: m.knee_out, 0.20, INF, 0.15),
            Bound("feet inward", lambda m: m.ankle_out, -INF, 0.18, 0.15),
            Bound("feet close", lambda m: m.ankle_ahead, -INF, 0.45, 0.25),
        ),
    ),
    "standing": Task("a humanoid robot standing up", STANDS),
    "arms-raised": Task(
        "a humanoid robot standing up, with both arms raised",
        (*STANDS, Bound("hands above the head", lambda m: m.hands_above_head, 0.0, INF, 0.25)),
    ),
    "splits": Task(
        "a humanoid robot practicing gymnastics, doing the side splits",
        (
            Bound("torso upright", lambda m: m.upright, 0.70, INF, 0.3),
            Bound("hips low", lambda m: m.hips, 0.02, 0.35, 0.2),
            Bound("feet apart", lambda m: m.ankle_gap, 1.0, INF, 0.3),
            Bound("legs sideways", lambda m: m.ankle_out, 0.35, INF, 0.2),
        ),
    ),
    "hands-on-hips": Task(
        "a humanoid robot standing up with hands on hips",
        (
            *STANDS,
            Bound("hands at the hips", lambda m: m.hands_to_hips, 0.0, 0.14, 0.15),
            Bound("elbows out", lambda m: m.elbows_out, 0.20, INF, 0.1),
        ),
    ),
    "one-leg": Task(
        "a humanoid robot standing up on one leg",
        (
            Bound("torso upright", lambda m: m.upright, 0.80, INF, 0.3),
            Bound("hips high", lambda m: m.hips, 0.70, INF, 0.15),
            Bound("one foot on the floor", lambda m: m.ankles.min(), 0.03, ON_FLOOR, 0.15),
            Bound("the other lifted", lambda m: m.ankles.max(), 0.25, INF, 0.15),
        ),
    ),
    "arms-crossed": Task(
        "a humanoid robot standing up, with its arms crossed",
        (
            *STANDS,
            Bound("hands across the chest", lambda m: m.hands_out, -INF, -0.03, 0.15),
            Bound("hands ahead", lambda m: m.hands_ahead, 0.06, 0.40, 0.15),
            Bound("hands at the chest", lambda m: m.hands_above_shoulders, -0.35, 0.10, 0.2),
        ),
    ),
}


def factory(name: str) -> Callable[..., Humanoid]:
    def make(control: str = "position", episode_length: int = EPISODE_LENGTH) -> Humanoid:
        task = TASKS[name]
        return Humanoid(f"humanoid/{name}", task.goal, BASELINE, task.camera, task.bounds, control, episode_length)

    return make
