"""The world behind a story: who is where, who has what, and what each person believes.

A simulator and nothing else: it chooses no words and draws no numbers. `chronos.data.stories` drives it.
"""

from typing import NamedTuple


class Event(NamedTuple):
    """move(person, place) · take(person, thing) · drop(person, thing) · give(person, thing, other)"""

    kind: str
    person: str
    target: str
    other: str = ""


class Spot(NamedTuple):
    """Where a thing is: how = "has" (name: its holder) or "lies" (name: the place)."""

    how: str
    name: str


class World:
    """Everything that is true, and for each person what they last saw of each thing.

    Seeing is simple: whoever is in a place sees all that happens, lies and is held there, and nothing
    else. A belief lasts until its owner sees the thing elsewhere, or sees that it is gone.
    """

    def __init__(self) -> None:
        self.where: dict[str, str] = {}  # person -> place
        self.visited: dict[str, list[str]] = {}  # person -> places in order, the present one last
        self.spot: dict[str, Spot] = {}  # thing -> where it is
        self.colour: dict[str, str] = {}  # thing -> its colour
        self.belief: dict[tuple[str, str], Spot] = {}  # (person, thing) -> last seen there

    def add_person(self, person: str, place: str) -> None:
        """A person enters the story; look() is to be called when all stand where they stand."""
        self.where[person] = place
        self.visited[person] = [place]

    def add_thing(self, thing: str, colour: str, spot: Spot) -> None:
        """A thing enters the story, lying in a place or held by a person."""
        self.spot[thing] = spot
        self.colour[thing] = colour

    def place_of(self, thing: str) -> str:
        """The place in which a thing is, carried or not."""
        spot = self.spot[thing]
        return self.where[spot.name] if spot.how == "has" else spot.name

    def held_by(self, person: str) -> list[str]:
        """The things that a person has, in the order of their introduction."""
        return [thing for thing, spot in self.spot.items() if spot == ("has", person)]

    def others_near(self, person: str) -> list[str]:
        """The other people in the same place."""
        return [p for p, place in self.where.items() if place == self.where[person] and p != person]

    def happen(self, event: Event) -> None:
        """Make an event true; everybody in its place sees it."""
        kind, person, target, other = event
        if kind == "move":
            self.where[person] = target
            self.visited[person].append(target)
        elif kind == "take":
            self.spot[target] = Spot("has", person)
        elif kind == "drop":
            self.spot[target] = Spot("lies", self.where[person])
        else:
            self.spot[target] = Spot("has", other)
        self.look(self.where[person])

    def look(self, place: str) -> None:
        """Everybody in a place sees what is there, and what is not."""
        people = [p for p, at in self.where.items() if at == place]
        for thing, spot in self.spot.items():
            if self.place_of(thing) == place:
                for person in people:
                    self.belief[person, thing] = spot
            else:
                for person in people:
                    self._miss(person, thing, place)

    def _miss(self, person: str, thing: str, place: str) -> None:
        # The thing is not here: a belief that it lies here, or is held by someone here, is over.
        believed = self.belief.get((person, thing))
        if believed == ("lies", place) or (believed and self.where.get(believed.name) == place):
            del self.belief[person, thing]

    def mistaken(self) -> dict[tuple[str, str], Spot]:
        """The beliefs that are no longer true."""
        return {pair: spot for pair, spot in self.belief.items() if spot != self.spot[pair[1]]}

    def possible(self, places: list[str]) -> dict[str, list[Event]]:
        """What may happen next, by kind of event."""
        events: dict[str, list[Event]] = {"move": [], "take": [], "drop": [], "give": []}
        for person, here in self.where.items():
            events["move"] += [Event("move", person, place) for place in places if place != here]
            near = self.others_near(person)
            for thing, spot in self.spot.items():
                if spot == ("lies", here):
                    events["take"].append(Event("take", person, thing))
                elif spot == ("has", person):
                    events["drop"].append(Event("drop", person, thing))
                    events["give"] += [Event("give", person, thing, other) for other in near]
        return events
