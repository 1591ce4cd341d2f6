"""What is done to a corpus on its way from files to training rows, as one frozen, checked configuration.

Only choices; each is explained, with its rule, in the module that carries it out.
Used as `prepare(source, out_dir, options=Options(dedupe="exact"))`.
"""

from dataclasses import dataclass, field

from chronos.console import ChronosError
from chronos.data.cleaning import Cleaning
from chronos.data.corpus.rules import check_filters

DEDUPE = ("none", "exact", "near")


@dataclass(frozen=True)
class Options:
    """How texts are cleaned (`cleaning`), which are left out (`dedupe`, `filters`), how sources are mixed.

    `dedupe`: "exact" keeps the first of texts that are the same but for white space and case, "near" also
    the first of those whose sets of word 5-grams overlap by at least `similarity` (Jaccard's index, 0 … 1).
    `filters` are names of quality rules or of sets of them; `report` measures quality without filtering.
    `epochs`: how often a source of a mix may be read before the mix ends.
    """

    cleaning: Cleaning = field(default_factory=Cleaning)
    dedupe: str = "none"
    similarity: float = 0.8
    filters: tuple[str, ...] = ()
    report: bool = False
    epochs: int = 1

    def __post_init__(self) -> None:
        if self.dedupe not in DEDUPE:
            raise ChronosError("unknown dedupe", expected=", ".join(DEDUPE), got=repr(self.dedupe))
        if not 0 < self.similarity <= 1:
            raise ChronosError("similarity must lie between 0 and 1", got=self.similarity)
        if self.epochs < 1:
            raise ChronosError("epochs must be at least 1", got=self.epochs)
        check_filters(self.filters)


DEFAULT = Options()
