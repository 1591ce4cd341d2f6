"""One-off facts in English by kind: how each is told, how it is asked for, and the clause "when …".

It holds no sentence itself; they stand in the modules that it imports. Data only.
"""

from chronos.data.cairo import english_dealings, english_things
from chronos.data.cairo.english_times import FACT_WHEN_DATE as WHEN_DATE
from chronos.data.cairo.english_times import FACT_WHEN_STEP as WHEN_STEP

FACTS = {**english_things.FACTS, **english_dealings.FACTS}

__all__ = ["FACTS", "WHEN_DATE", "WHEN_STEP"]
