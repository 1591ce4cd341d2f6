"""Questions about a world and their one right answer, chosen so that they are worth asking.

It reads the world and never changes it. `chronos.data.stories` ends each story with what it finds here.
"""

from chronos.data.dice import Dice
from chronos.data.wording import QUESTIONS
from chronos.data.world import World

Asked = tuple[str, str, str]  # (kind, question, answer)


def ask(world: World, kinds: tuple[str, ...], n: int, dice: Dice) -> list[Asked]:
    """Up to n different questions of these kinds; a kind named twice is asked twice as often."""
    asked: list[Asked] = []
    for _ in range(4 * n):
        kind = dice.pick(kinds)
        found = _candidates(world, kind, dice)
        if not found:
            continue
        template, words = dice.pick(found)
        question, answer = (part.format(**words) for part in QUESTIONS[template])
        if all(question != earlier for _, earlier, _ in asked):
            asked.append((kind, question, answer))
        if len(asked) == n:
            break
    return asked


def _candidates(world: World, kind: str, dice: Dice) -> list[tuple[str, dict[str, str]]]:
    """Every question of a kind that has an answer: its template and its words."""
    if kind == "person":
        return [(kind, {"N": person, "L": place}) for person, place in world.where.items()]
    if kind == "thing":
        return [(kind, {"T": thing, "L": world.place_of(thing)}) for thing in world.spot]
    if kind == "colour":
        return [(kind, {"T": thing, "C": colour}) for thing, colour in world.colour.items()]
    if kind == "holder":
        form = {"has": "holder", "lies": "nobody"}
        return [(form[spot.how], {"T": thing, "N": spot.name}) for thing, spot in world.spot.items()]
    if kind == "has":
        held = {person: world.held_by(person) for person in world.where}
        people = [*held, *(person for person in held for _ in held[person])]  # not "nothing" most of the time
        return [(kind, {"N": person, "X": _list(held[person])}) for person in people]
    if kind == "before":
        return [
            (kind, {"N": person, "L": places[-1], "B": places[-2]})
            for person, places in world.visited.items()
            if len(places) > 1 and places.count(places[-1]) == 1  # else "before the attic" names two times
        ]
    return _beliefs(world, dice)


def _beliefs(world: World, dice: Dice) -> list[tuple[str, dict[str, str]]]:
    """What people think of things they do not hold; mostly what is no longer true, if there is such."""
    false = world.mistaken()
    chosen = false if false and dice.chance(60) else world.belief
    return [
        ("thinks holder", {"N": person, "T": thing, "Q": spot.name})
        if spot.how == "has"
        else ("thinks place", {"N": person, "T": thing, "L": spot.name})
        for (person, thing), spot in chosen.items()
        if spot != ("has", person)
    ]


def _list(things: list[str]) -> str:
    return " and ".join(f"the {thing}" for thing in things) or "nothing"
