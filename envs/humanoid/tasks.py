"""The eight tasks of VLM-RM (arXiv 2310.12921, table 1): prompt, camera, and success in measured bounds; and
tasks whose meaning is in their order, which no single frame shows."""

from collections.abc import Callable
from typing import NamedTuple

from envs.criteria import Bound
from envs.humanoid.concepts import ARMS, POSTURES, SOUND
from envs.humanoid.env import Humanoid
from envs.humanoid.instructions import Action, Instruction
from envs.humanoid.ordered import OrderedHumanoid
from jaxrm.render import Camera

BASELINE = "a humanoid robot"
EPISODE_LENGTH = 100  # steps of 15 ms, as in the paper
# Half from the side, half from the front, following the body over the floor at a fixed height, so that
# the floor's place in the picture tells how high the body is.
CAMERA = Camera.free(
    distance=2.5, azimuth=145.0, elevation=-12.0, lookat=(0.0, 0.0, 0.72), body="torso", level=True
)
FAR_CAMERA = Camera.free(
    distance=2.9, azimuth=145.0, elevation=-12.0, lookat=(0.0, 0.0, 0.88), body="torso", level=True
)
# VLM-RM's own, for comparison
PAPER_CAMERA = Camera.free(
    distance=3.5, azimuth=180.0, elevation=-10.0, lookat=(0.0, 0.0, 1.0), body="torso", level=True
)
CAMERAS = {"side": CAMERA, "far": FAR_CAMERA, "paper": PAPER_CAMERA}


class Task(NamedTuple):
    """A goal sentence, and the concepts that it means."""

    goal: str
    posture: str
    arms: str | None = None
    camera: Camera = CAMERA

    @property
    def bounds(self) -> tuple[Bound, ...]:
        return POSTURES[self.posture] + (ARMS[self.arms] if self.arms else ()) + SOUND


TASKS = {
    "kneeling": Task("a humanoid robot kneeling", "kneeling"),
    "lotus": Task("a humanoid robot seated down, meditating in the lotus position", "lotus"),
    "standing": Task("a humanoid robot standing up", "standing"),
    "arms-raised": Task(
        "a humanoid robot standing up, with both arms raised", "standing", "raised", FAR_CAMERA
    ),
    "splits": Task("a humanoid robot practicing gymnastics, doing the side splits", "splits"),
    "hands-on-hips": Task("a humanoid robot standing up with hands on hips", "standing", "on-hips"),
    "one-leg": Task("a humanoid robot standing up on one leg", "one-leg"),
    "arms-crossed": Task("a humanoid robot standing up, with its arms crossed", "standing", "crossed"),
}


ORDERED: dict[str, Instruction] = {
    "kneel-and-get-up": (Action("kneel"), Action("get up")),
    "raise-and-lower-left-arm": (Action("raise", "left", "arm"), Action("lower", "left", "arm")),
    "raise-and-lower-both-arms": (Action("raise", "both", "arm"), Action("lower", "both", "arm")),
    "kneel-and-raise-left-arm": (Action("kneel"), Action("raise", "left", "arm")),
}
ORDERED_LENGTH = 200  # steps: 3 s, in the midst of what two actions take in `motions`


def pick_camera(camera: str | Camera | None, own: Camera) -> Camera:
    """A preset of `CAMERAS` or one of the user's; None for the task's own.

    Raises:
      ValueError: there is no preset of that name.
    """
    if isinstance(camera, str):
        if camera not in CAMERAS:
            raise ValueError(f"camera must be one of {', '.join(CAMERAS)} or a Camera, not {camera!r}")
        return CAMERAS[camera]
    return camera or own


def factory(name: str) -> Callable[..., Humanoid]:
    def make(
        control: str = "position",
        episode_length: int = EPISODE_LENGTH,
        skin: str = "robot",
        camera: str | Camera | None = None,
    ) -> Humanoid:
        """A task; `camera` as `pick_camera` takes it."""
        task = TASKS[name]
        return Humanoid(
            f"humanoid/{name}",
            task.goal,
            BASELINE,
            pick_camera(camera, task.camera),
            task.bounds,
            control,
            episode_length,
            skin,
        )

    return make


def ordered(name: str) -> Callable[..., OrderedHumanoid]:
    def make(
        control: str = "position",
        episode_length: int = ORDERED_LENGTH,
        skin: str = "robot",
        camera: str | Camera | None = None,
    ) -> OrderedHumanoid:
        """A task of order; `camera` as `pick_camera` takes it."""
        picked = pick_camera(camera, FAR_CAMERA)
        return OrderedHumanoid(
            f"humanoid/{name}", ORDERED[name], BASELINE, picked, control, episode_length, skin
        )

    return make
