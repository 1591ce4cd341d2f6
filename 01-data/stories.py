"""Stories: a seeded, endless supply of small tales whose questions have one right answer.

Five levels: 1 facts, 2 moves, 3 giving, 4 many people and things, 5 beliefs. No randomness but the seed's.
Try `chronos data stories --n 3 --seed 7 --level 2`.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from chronos.console import ChronosError
from chronos.data import wording
from chronos.data.asking import Asked, ask
from chronos.data.dice import Dice
from chronos.data.world import Event, Spot, World


@dataclass(frozen=True)
class Level:
    """How much happens in a story: (fewest, most) of each, and which questions are asked at its end."""

    people: tuple[int, int]
    things: tuple[int, int]
    places: int
    events: tuple[int, int]
    questions: tuple[int, int]
    kinds: tuple[str, ...]
    actions: tuple[str, ...] = ("move", "move", "take", "drop", "give", "give")  # twice: twice as often


_FACTS = ("person", "thing", "colour")
_HANDS = ("person", "thing", "holder", "holder")
LEVELS = {
    1: Level((1, 2), (1, 1), 3, (0, 0), (3, 4), _FACTS),
    2: Level((1, 2), (1, 1), 4, (1, 3), (3, 4), (*_FACTS, "person", "before"), ("move",)),
    3: Level((2, 2), (1, 1), 2, (3, 5), (3, 4), _HANDS),
    4: Level((3, 3), (2, 2), 3, (5, 8), (5, 6), (*_HANDS, "has", "before", "colour")),
    5: Level((2, 3), (1, 1), 2, (4, 7), (4, 5), ("thinks", "thinks", "thinks", "thing", "person")),
}


@dataclass
class Tale:
    """A told story: its text, and its questions as (kind, question, answer)."""

    level: int
    body: str
    questions: list[Asked]

    @property
    def text(self) -> str:
        """The body on one line, then each question with its answer on a line of its own."""
        return "\n".join([self.body, *(f"{ask} {answer}" for _, ask, answer in self.questions)]) + "\n"


def stories(n: int, seed: int, level: int | None = None) -> Iterator[str]:
    """n texts; each depends on (seed, its position, level) alone, so a longer run begins like a shorter.

    `level` 1 … 5, or None for all of them in equal shares. Raises ChronosError for another level or n < 0.
    """
    return (tale.text for tale in tales(n, seed, level))


def tales(n: int, seed: int, level: int | None = None) -> Iterator[Tale]:
    """As `stories`, with the questions still apart from the text."""
    if level is not None and level not in LEVELS:
        raise ChronosError("no such level of stories", expected="1 to 5", got=level)
    if n < 0:
        raise ChronosError("the number of stories cannot be negative", got=n)
    return (_tell(Dice(seed, index, level or 0), level) for index in range(n))


def _tell(dice: Dice, number: int | None) -> Tale:
    number = number or dice.between(1, len(LEVELS))
    level = LEVELS[number]
    for _ in range(4 if "thinks" in level.kinds else 1):  # most tales of beliefs should have a false one
        teller = _Teller(dice, level)
        teller.tell()
        if teller.world.mistaken():
            break
    asked = ask(teller.world, level.kinds, dice.between(*level.questions), dice)
    return Tale(number, " ".join(teller.sentences), asked)


class _Teller:
    """Lets things happen in a world and says them, sentence by sentence."""

    def __init__(self, dice: Dice, level: Level):
        self.dice, self.level, self.world = dice, level, World()
        self.sentences: list[str] = []
        self.subject = ""  # of the last sentence, where a pronoun could refer to it
        self.last = Event("", "", "")
        self.openings, sights, self.endings = dice.pick(wording.DAYS)
        self.sights = dice.sample(sights, len(sights))  # each is told at most once
        self.template = ""  # of the last sentence that say() said
        self.places = dice.sample(wording.PLACES, level.places)

    def say(self, templates: tuple[str, ...], person: str, **words: str) -> None:
        """One sentence about a person, by name or, if they were the subject just before, by pronoun."""
        name = person
        if self.subject == person and self.dice.chance(50):
            name = wording.subject(person)
        words |= {"N": person, "P": name[0].upper() + name[1:], "p": name}
        choice = [template for template in templates if template != self.template]
        self.template = self.dice.pick(choice)
        self.sentences.append(self.template.format(**words))
        self.subject = person

    def look_around(self) -> None:
        """Something of the day's own, unless all has been told."""
        if self.sights:
            self.sentences.append(self.sights.pop())
            self.subject = ""

    def tell(self) -> None:
        """The whole tale: who and what there is, what happens, and how the day ends."""
        self.open()
        for _ in range(self.dice.between(*self.level.events)):
            self.go_on()
        if self.dice.chance(40):
            self.sentences.append(self.dice.pick(self.endings))

    def open(self) -> None:
        """Who is where, and what things there are."""
        dice, world = self.dice, self.world
        people = dice.sample(wording.PEOPLE, dice.between(*self.level.people))
        for person in people:
            self._introduce(person)
        for thing in dice.sample(wording.THINGS, dice.between(*self.level.things)):
            colour = dice.pick(wording.COLOURS)
            if "give" in self.level.actions and dice.chance(40):
                owner = dice.pick(people)
                world.add_thing(thing, colour, Spot("has", owner))
                self.say(wording.HOLD, owner, T=thing, C=colour)
            else:
                place = dice.pick(self.places)
                world.add_thing(thing, colour, Spot("lies", place))
                self.sentences.append(dice.pick(wording.LIE).format(T=thing, C=colour, L=place))
                self.subject = ""
        for place in self.places:
            world.look(place)

    def _introduce(self, person: str) -> None:
        place = self.dice.pick(self.places)
        together = self.subject and self.world.where[self.subject] == place
        self.world.add_person(person, place)
        self.say(wording.TOO if together else wording.ARRIVE, person, L=place)
        if len(self.sentences) == 1:
            self.sentences[0] = f"{self.dice.pick(self.openings)} {self.sentences[0]}"
        elif self.dice.chance(20):
            self.look_around()

    def go_on(self) -> None:
        """One more event, now and then with something beside it."""
        event = self._choose()
        if event is None:
            return
        away = [p for p, place in self.world.where.items() if place != self.world.where[event.person]]
        carried = self.world.held_by(event.person)
        self.world.happen(event)
        self.last = event
        self._tell_event(event, carried)
        if "thinks" in self.level.kinds and event.kind != "move" and away and self.dice.chance(40):
            self.say(wording.UNSEEN, self.dice.pick(away))
            self.subject = ""
        elif self.dice.chance(15):
            self._beside(event.person)

    def _choose(self) -> Event | None:
        possible = self.world.possible(self.places)
        kinds = [kind for kind in self.level.actions if possible[kind]]
        for _ in range(8):  # a thing just touched rests, and nobody walks twice in a row, if others can act
            event = self.dice.pick(possible[self.dice.pick(kinds)])
            part = 1 if event.kind == "move" else 2
            if event[part] != self.last[part] or self.level.actions == ("move",):
                return event
        return None

    def _tell_event(self, event: Event, carried: list[str]) -> None:
        kind, person, target, other = event
        if kind == "move" and carried and self.dice.chance(50):
            self.say(wording.CARRY, person, L=target, T=self.dice.pick(carried))
        elif kind == "move":
            self.say(wording.MOVE, person, L=target)
        elif kind == "take":
            self.say(wording.TAKE, person, T=target)
        elif kind == "drop":
            self.say(wording.DROP, person, T=target)
        else:
            self.say(wording.GIVE, person, T=target, Q=other)
            if self.dice.chance(40):
                self.sentences.append(self.dice.pick(wording.THANKS).format(N=person, Q=other))
            self.subject = ""  # "she" could now be either

    def _beside(self, person: str) -> None:
        if self.dice.chance(50):
            self.say(wording.MOODS, person)
        else:
            self.look_around()
