"""The one place where kernels are chosen: float32 takes the fast twin, everything else the plain one.

`CHRONOS_KERNELS=plain` runs NumPy alone: slow, and the definition of what is right.
"""

import os
from collections.abc import Callable
from typing import Any

import numpy as np

from chronos.architecture.kernels import plain
from chronos.console import ChronosError

_wanted = os.environ.get("CHRONOS_KERNELS", "fast")
if _wanted not in ("fast", "plain"):
    raise ChronosError("CHRONOS_KERNELS must be fast or plain", got=repr(_wanted))


def _choose(name: str) -> Callable[..., Any]:
    """The kernel of that name; which twin runs is decided by the type of its first array."""
    slow = getattr(plain, name)
    if _wanted == "plain":
        return slow
    from chronos.architecture.kernels import fast

    quick = getattr(fast, name)

    def kernel(first: np.ndarray, *rest: Any) -> Any:
        return quick(first, *rest) if first.dtype == np.float32 else slow(first, *rest)

    kernel.__name__, kernel.__doc__ = name, slow.__doc__
    return kernel


gelu, gelu_backward = _choose("gelu"), _choose("gelu_backward")
relu2, relu2_backward = _choose("relu2"), _choose("relu2_backward")
swiglu, swiglu_backward = _choose("swiglu"), _choose("swiglu_backward")
layer_norm, layer_norm_backward = _choose("layer_norm"), _choose("layer_norm_backward")
rms_norm, rms_norm_backward = _choose("rms_norm"), _choose("rms_norm_backward")
qk_norm, qk_norm_backward = _choose("qk_norm"), _choose("qk_norm_backward")
rotary = _choose("rotary")
softmax_visible, softmax_again = _choose("softmax_visible"), _choose("softmax_again")
softmax_backward = _choose("softmax_backward")
cross_entropy = _choose("cross_entropy")
embedding_backward = _choose("embedding_backward")
dropout = _choose("dropout")
adamw = _choose("adamw")

KERNELS = tuple(name for name, value in globals().items() if callable(value) and hasattr(plain, name))
