"""One-off facts in Arabic by kind: how each is told, how it is asked for, and the clause "when …".

It holds no sentence itself; they stand in the modules that it imports. Data only.
"""

from chronos.data.cairo import arabic_dealings, arabic_things
from chronos.data.cairo.arabic_times import FACT_WHEN_DATE as WHEN_DATE
from chronos.data.cairo.arabic_times import FACT_WHEN_STEP as WHEN_STEP

FACTS = {**arabic_things.FACTS, **arabic_dealings.FACTS}

__all__ = ["FACTS", "WHEN_DATE", "WHEN_STEP"]
