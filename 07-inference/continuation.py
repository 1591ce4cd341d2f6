"""One prompt, one continuation: what `chronos generate` does.

It streams text through `show` and returns the whole with its ids and its speed.
"""

from collections.abc import Callable, Sequence
from typing import Any

from chronos.console import warn
from chronos.inference.session import Count, Session, tokens
from chronos.inference.text_stream import TextStream
from chronos.memory.modeldir import Loaded
from chronos.memory.sampling import Sampling


def prompt_ids(loaded: Loaded, text: str) -> list[int]:
    """The ids of a prompt; an empty one is the end of some document, after which a new one begins.

    Warns of what the model cannot see: characters that it does not know, words beyond its context.
    """
    ids = loaded.tokenizer.encode(text).tolist() or [loaded.tokenizer.end]
    context = loaded.model.config.context
    if len(ids) > context:
        warn(f"the prompt has {len(ids):,} tokens: the model reads the last {context:,}, its context")
    if loaded.tokenizer.kind == "char" and (unknown := ids.count(loaded.tokenizer.unk)):
        warn(f"{unknown} of the prompt's characters are unknown to the model")
    return ids


def continue_text(
    loaded: Loaded,
    prompt: str,
    *,
    max_new_tokens: int,
    sampling: Sampling,
    stop: Sequence[str] = (),
    show: Callable[[str], None] = lambda text: None,
) -> dict[str, Any]:
    """{"text", "ids", "tokens_per_s"} of what follows `prompt`, up to the document's end or a stop string.

    `text` is the continuation alone; `ids` are the tokens as they were drawn, which with `stop` may reach
    past the text's end. tokens_per_s is the speed after the first token, so reading the prompt is not in it;
    None for fewer than two tokens.
    """
    stream = TextStream(loaded.tokenizer, stop)
    session = Session(loaded.model)
    session.add(prompt_ids(loaded, prompt))
    ids, count = [], Count()
    for token in tokens(session, sampling, max_new_tokens, end=loaded.tokenizer.end):
        count.token()
        ids.append(token)
        show(stream.feed(token))
        if stream.ended:
            break
    show(stream.finish())
    return {"text": stream.text, "ids": ids, "tokens_per_s": count.speed}
