"""The English wordings of questions about a life by name: what is asked, and how a time is named.

It holds no wording itself; they stand in the modules that it imports. Data only.
"""

from chronos.data.cairo.english_asked import NOW, PAST
from chronos.data.cairo.english_times import PHRASES, WHEN_DATE, WHEN_STEP
from chronos.data.cairo.english_turns import BEFORE_LAST, BEFORE_TO, BEFORE_TO_LAST, CHANGED

__all__ = [
    "BEFORE_LAST",
    "BEFORE_TO",
    "BEFORE_TO_LAST",
    "CHANGED",
    "NOW",
    "PAST",
    "PHRASES",
    "WHEN_DATE",
    "WHEN_STEP",
]
