"""Stage 03, tokenization: text to numbers and back, and the shards that training reads.

Knows text and ids, nothing of models. Try `chronos tokenizer train --text FILE --kind bpe --vocab 512`.
"""
