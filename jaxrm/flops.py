"""How much arithmetic a function is: its matrix products and convolutions, read off its jaxpr.

XLA's own count (`cost_analysis`) takes the body of a loop once, however often it runs, and our layers are a
loop. Here a scan's body counts as often as it runs. Elementwise work is left out, as papers do.
"""

import math
from collections.abc import Callable, Iterator
from typing import Any

import jax
from jax.extend.core import Jaxpr, JaxprEqn


def count_flops(function: Callable[..., Any], *arguments: Any) -> int:
    """Multiplications and additions of all matrix products and convolutions; a fused pair counts as two.

    Args:
      function: pure; it is traced, not run.
      arguments: arrays or `jax.ShapeDtypeStruct`s.

    Raises:
      ValueError: a loop whose number of rounds is known only when it runs.
    """
    return _count(jax.make_jaxpr(function)(*arguments).jaxpr)


def _count(jaxpr: Jaxpr) -> int:
    return sum(_count_equation(equation) for equation in jaxpr.eqns)


def _count_equation(equation: JaxprEqn) -> int:
    name, params = equation.primitive.name, equation.params
    if name == "dot_general":
        (contracted, _), _ = params["dimension_numbers"]
        left, out = equation.invars[0].aval.shape, equation.outvars[0].aval.shape
        return 2 * math.prod(out) * math.prod(left[axis] for axis in contracted)
    if name == "conv_general_dilated":
        kernel, out = equation.invars[1].aval.shape, equation.outvars[0].aval.shape
        return 2 * math.prod(out) * math.prod(kernel) // kernel[params["dimension_numbers"].rhs_spec[0]]
    inner = [_count(jaxpr) for jaxpr in inner_jaxprs(params)]
    if name == "scan":
        return params["length"] * sum(inner)
    if name == "while" and sum(inner):
        raise ValueError("a while loop runs as often as its data say: its work cannot be counted")
    return max(inner, default=0) if name == "cond" else sum(inner)


def inner_jaxprs(params: dict[str, Any]) -> Iterator[Jaxpr]:
    """The functions that an equation calls, those with constants of their own included."""
    leaves = jax.tree.leaves(
        list(params.values()), is_leaf=lambda x: isinstance(getattr(x, "jaxpr", x), Jaxpr)
    )
    for leaf in leaves:
        if isinstance(inner := getattr(leaf, "jaxpr", leaf), Jaxpr):
            yield inner
