"""The one place where kernels are chosen: float32 takes the fast twin, everything else the plain one.

Fast is C or Numba; what is in C takes its plain twin where the C library was not built.
`CHRONOS_KERNELS=plain` runs NumPy alone: slow, and the definition of what is right.
"""

import os
from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np

from chronos import native
from chronos.architecture.kernels import (
    dsa_plain,
    kda_plain,
    novelty_plain,
    plain,
    ragged_plain,
    stick_plain,
    words_plain,
)
from chronos.console import ChronosError

_wanted = os.environ.get("CHRONOS_KERNELS", "fast")
if _wanted not in ("fast", "plain"):
    raise ChronosError("CHRONOS_KERNELS must be fast or plain", got=repr(_wanted))


def _choose(name: str, slow_home: ModuleType = plain) -> Callable[..., Any]:
    """The kernel of that name; which twin runs is decided by the type of its first array."""
    slow = getattr(slow_home, name)
    if _wanted == "plain":
        return slow
    from chronos.architecture.kernels import (
        dsa_fast,
        fast,
        kda_fast,
        novelty_fast,
        ragged_fast,
        stick_fast,
        words_fast,
    )

    if slow_home is plain and name not in fast.BY_NUMBA and not native.available():
        return slow
    homes = {plain: fast, kda_plain: kda_fast, dsa_plain: dsa_fast, stick_plain: stick_fast}
    homes |= {ragged_plain: ragged_fast, novelty_plain: novelty_fast, words_plain: words_fast}
    quick = getattr(homes[slow_home], name)

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
stick, stick_backward = _choose("stick", stick_plain), _choose("stick_backward", stick_plain)
stick_scan = _choose("stick_scan", stick_plain)
kda, kda_backward = _choose("kda", kda_plain), _choose("kda_backward", kda_plain)
short_conv, short_conv_backward = (_choose(name, kda_plain) for name in ("short_conv", "short_conv_backward"))
decay_gate, decay_gate_backward = (_choose(name, kda_plain) for name in ("decay_gate", "decay_gate_backward"))
gated_norm, gated_norm_backward = (_choose(name, kda_plain) for name in ("gated_norm", "gated_norm_backward"))
index_scores = _choose("index_scores", dsa_plain)
index_scores_backward = _choose("index_scores_backward", dsa_plain)
top_k, index_kl = _choose("top_k", dsa_plain), _choose("index_kl", dsa_plain)
sparse_attention = _choose("sparse_attention", dsa_plain)
sparse_attention_backward = _choose("sparse_attention_backward", dsa_plain)
ragged_attention = _choose("ragged_attention", ragged_plain)
ragged_attention_backward = _choose("ragged_attention_backward", ragged_plain)
ragged_conv = _choose("ragged_conv", ragged_plain)
ragged_conv_backward = _choose("ragged_conv_backward", ragged_plain)
ragged_pool = _choose("ragged_pool", ragged_plain)
ragged_pool_backward = _choose("ragged_pool_backward", ragged_plain)
recall_words, mark_shares = (_choose(name, ragged_plain) for name in ("recall_words", "mark_shares"))
recall_words_backward = _choose("recall_words_backward", ragged_plain)
mark_shares_backward = _choose("mark_shares_backward", ragged_plain)
novelty = _choose("novelty", novelty_plain)
word_lengths, word_scores = (_choose(name, words_plain) for name in ("word_lengths", "word_scores"))

KERNELS = tuple(name for name, value in globals().items() if callable(value) and hasattr(plain, name))
