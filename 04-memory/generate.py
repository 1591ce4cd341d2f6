"""The plain generation loop: feed the prompt once, then a token at a time with the state carried along.

It streams token ids; text, chat and servers are stage 07's.
"""

from collections.abc import Iterator, Sequence

import numpy as np

from chronos.architecture.tape import Tensor, no_grad
from chronos.console import ChronosError
from chronos.memory.model import Model
from chronos.memory.sampling import Sampling, choose

DEFAULT = Sampling()


def generate(
    model: Model, prompt: Sequence[int] | np.ndarray, *, max_new_tokens: int,
    sampling: Sampling = DEFAULT, stop: Sequence[int] = (),
) -> Iterator[int]:  # fmt: skip
    """Yield up to `max_new_tokens` ids after `prompt` (at least one id); ends before an id of `stop`.

    A window that is full is restarted from its second half, so a text can grow past the context.
    """
    if max_new_tokens < 0:
        raise ChronosError("max-new-tokens must not be negative", got=max_new_tokens)
    context = model.config.context
    seen = [int(i) for i in prompt]
    if not seen:
        raise ChronosError("the prompt has no tokens", mend="give at least one character")
    if not model.config.causal:
        raise ChronosError("a bidirectional model does not generate left to right")
    fresh, state = seen[-context:], None
    for step in range(max_new_tokens):
        if state is not None and int(state.length[0]) + len(fresh) > context:
            fresh, state = seen[-(context // 2 or 1) :], None
        with no_grad():
            out = model(np.array([fresh]), state)
            logits = model.logits(Tensor(out.hidden.data[0, -1]))
        state = out.state
        token = choose(logits, sampling, step)
        if token in stop:
            return
        yield token
        seen.append(token)
        fresh = [token]
