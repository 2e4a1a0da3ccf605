"""Pixels as a function of the state: a ray caster for MuJoCo scenes in plain JAX.

`Scene.from_mujoco(mj_model)` holds what a model's bodies look like, `scene.view(data, camera)`
where everything is at one pose, and `render(scene, view)` draws it. All three work under `jit`
and `vmap`, on CPU, GPU and TPU.
"""

from jaxrm.render.camera import Camera
from jaxrm.render.draw import render, render_all
from jaxrm.render.scene import Scene
from jaxrm.render.view import Picture, View, is_finite

__all__ = ["Camera", "Picture", "Scene", "View", "is_finite", "render", "render_all"]
