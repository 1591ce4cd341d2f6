"""The English sentences of a life by name: mentions, changes, distractors and fillers.

The last fifth of each list is held out (book.py): other forms, made of words that the rest of the language
knows. It holds no sentence itself; they stand in the modules that it imports. Data only.
"""

from chronos.data.cairo.english_asides import DISTRACT, FILLER
from chronos.data.cairo.english_changes import CHANGE
from chronos.data.cairo.english_mentions import MENTION

__all__ = ["CHANGE", "DISTRACT", "FILLER", "MENTION"]
