"""Stories: same seed, same bytes; and every answer is true in a world rebuilt from the text alone."""

import hashlib
import re

import pytest

from chronos.console import ChronosError
from chronos.data import wording
from chronos.data.dice import Dice
from chronos.data.stories import LEVELS, stories, tales

PERSON = rf"(?P<who>{'|'.join(wording.PEOPLE)}|[Ss]?[Hh]e)"
OTHER = rf"(?P<to>{'|'.join(wording.PEOPLE)})"
PLACE = rf"(?P<place>{'|'.join(wording.PLACES)})"
THING = rf"(?P<thing>{'|'.join(wording.THINGS)})"
COLOUR = rf"(?P<colour>{'|'.join(wording.COLOURS)})"

# The reader knows English, not the grammar: verbs decide what a sentence does.
READS = [
    ("put", rf"{PERSON} (?:was|sat|played|stood) in the {PLACE}(?: too)?\.$"),
    ("beside", rf"{PERSON} was there too\.$"),
    ("lie", rf"(?:[Tt]here was )?[Aa]? ?{COLOUR} {THING} (?:lay )?in the {PLACE}\.$"),
    ("lie", rf"In the {PLACE} there was a {COLOUR} {THING}\.$"),
    ("hold", rf"{PERSON} (?:had|held) a {COLOUR} {THING}\.$"),
    ("carry", rf"{PERSON} (?:carried|took) the {THING} to the {PLACE}\.$"),
    ("carry", rf"{PERSON} went to the {PLACE} with the {THING}\.$"),
    ("move", rf"(?:Then |Soon |After a while, )?{PERSON} (?:went|walked|ran|hurried) to the {PLACE}\.$"),
    ("move", rf'"I am off to the {PLACE}!" said {PERSON}, and went\.$'),
    ("take", rf"How pretty the {THING} was! {PERSON} picked it up\.$"),
    ("take", rf"{PERSON} picked up the {THING}\.$"),
    ("take", rf"{PERSON} (?:saw|found) the {THING} and (?:took it|picked it up)\.$"),
    ("drop", rf"{PERSON} (?:put|laid|left) the {THING} (?:down|there|down softly)\.$"),
    ("drop", rf"{PERSON} put down the {THING}\.$"),
    ("give", rf"(?:As a present, )?{PERSON} (?:gave|handed) the {THING} to {OTHER}\.$"),
    ("give", rf"(?:As a present, )?{PERSON} gave {OTHER} the {THING}\.$"),
    ("unseen", rf"{PERSON} (?:was away and )?did not see it\.$"),
]
READS = [(kind, re.compile(pattern)) for kind, pattern in READS]
OPENINGS = sorted({opening for day in wording.DAYS for opening in day[0]}, key=len, reverse=True)
OPENING = re.compile("|".join(re.escape(opening) + " " for opening in OPENINGS))
NAMES = re.compile(rf"\b({'|'.join(wording.PEOPLE)})\b")


class Reader:
    """Rebuilds the world from sentences; shares no code with the simulator that told them."""

    def __init__(self):
        self.at, self.trail = {}, {}
        self.thing, self.colour = {}, {}  # thing -> (person, None) or (None, place)
        self.seen = {}  # person -> {thing: as self.thing}
        self.who = self.event_place = None

    def place(self, thing):
        person, place = self.thing[thing]
        return self.at[person] if person else place

    def everyone_looks(self):
        for person, here in self.at.items():
            known = self.seen.setdefault(person, {})
            for thing, spot in self.thing.items():
                if self.place(thing) == here:
                    known[thing] = spot
                elif thing in known and here == (known[thing][1] or self.at[known[thing][0]]):
                    del known[thing]

    def read(self, sentence):
        for kind, pattern in READS:
            if found := pattern.match(sentence):
                self.act(kind, found.groupdict())
                self.everyone_looks()
                return
        bare = sentence.split(" said ")[0]
        assert not re.search(rf"\b({'|'.join(wording.PLACES + wording.THINGS)})\b", bare), sentence
        names = NAMES.findall(sentence)
        self.who = names[0] if names else self.who

    def act(self, kind, found):
        who = self.who if found.get("who", "she").lower() in ("she", "he") else found["who"]
        if found.get("who", "").lower() in ("she", "he"):
            assert (found["who"].lower() == "she") == (who in wording.SHE)
        thing, place = found.get("thing"), found.get("place")
        if kind == "unseen":
            assert self.at[who] != self.event_place
            return
        if kind in ("put", "beside"):
            self.at[who] = place or self.at[self.who]
            self.trail[who] = [self.at[who]]
        elif kind == "lie":
            self.thing[thing], self.colour[thing] = (None, place), found["colour"]
        elif kind == "hold":
            self.thing[thing], self.colour[thing] = (who, None), found["colour"]
        elif kind in ("move", "carry"):
            assert self.at[who] != place, "walked to where they were"
            assert kind == "move" or self.thing[thing] == (who, None)
            self.at[who] = place
            self.trail[who].append(place)
        elif kind == "take":
            assert self.thing[thing] == (None, self.at[who]), "took what did not lie there"
            self.thing[thing] = (who, None)
        elif kind == "drop":
            assert self.thing[thing] == (who, None)
            self.thing[thing] = (None, self.at[who])
        elif kind == "give":
            assert self.thing[thing] == (who, None)
            assert self.at[who] == self.at[found["to"]], "gave to someone far away"
            self.thing[thing] = (found["to"], None)
        self.event_place = self.at.get(who)
        self.who = None if kind == "lie" else who

    def answer(self, question):
        last = question.rstrip("?").split()[-1]
        if found := re.match(r"Where does (\w+) think the (\w+) is\?", question):
            return f"{found[1]} thinks the {found[2]} is in the {self.seen[found[1]][found[2]][1]}."
        if found := re.match(r"Who does (\w+) think has the (\w+)\?", question):
            return f"{found[1]} thinks {self.seen[found[1]][found[2]][0]} has the {found[2]}."
        if found := re.match(r"Where was (\w+) before the (\w+)\?", question):
            before = self.trail[found[1]][self.trail[found[1]].index(found[2]) - 1]
            return f"Before the {found[2]}, {found[1]} was in the {before}."
        if question.startswith("Where is the "):
            return f"The {last} is in the {self.place(last)}."
        if question.startswith("Where is "):
            return f"{last} is in the {self.at[last]}."
        if question.startswith("What colour"):
            return f"The {last} is {self.colour[last]}."
        if question.startswith("Who has "):
            return f"{self.thing[last][0] or 'Nobody'} has the {last}."
        name = question.split()[2]
        held = [f"the {thing}" for thing, spot in self.thing.items() if spot == (name, None)]
        return f"{name} has {' and '.join(held) or 'nothing'}."


def sentences(body):
    """Cut at sentence ends, keeping what is said, and `How pretty …!`, with its sentence."""
    return re.findall(r'(?:How pretty[^!]*! )?(?:"[^"]*")?[^.]*\.', body)


def read(tale):
    reader = Reader()
    body = OPENING.sub("", tale.body, count=1)
    assert body != tale.body
    for sentence in sentences(body):
        reader.read(sentence.strip())
    return reader


@pytest.mark.parametrize("level", sorted(LEVELS))
def test_answers_are_true_in_the_world_that_the_text_tells(level):
    for tale in tales(400, 11, level):
        reader = read(tale)
        assert tale.questions, tale.body
        for _, question, answer in tale.questions:
            assert reader.answer(question) == answer, tale.text


def test_same_seed_same_bytes_everywhere():
    told = "".join(stories(200, 7)).encode()
    assert (
        hashlib.sha256(told).hexdigest() == "f90d7211ff57b061c615b95966842382c482fe05d1a3d9292e899cce0dd1af3f"
    )
    assert list(stories(5, 7)) == list(stories(50, 7))[:5]
    assert list(stories(5, 7)) != list(stories(5, 8))


def test_difficulty_is_graded():
    lengths = [sum(len(text) for text in stories(200, 3, level)) for level in sorted(LEVELS)]
    assert lengths[0] < lengths[1] < lengths[2] < min(lengths[3:])


def test_beliefs_are_often_false_and_often_true():
    beliefs = []
    for tale in tales(300, 5, 5):
        reader = read(tale)
        for kind, question, _ in tale.questions:
            if kind == "thinks":
                name, thing = re.search(r"does (\w+) think .*the (\w+)", question).groups()
                beliefs.append(reader.seen[name][thing] == reader.thing[thing])
    assert 0.3 < sum(beliefs) / len(beliefs) < 0.7


def test_vocabulary_is_small_and_text_plain_ascii():
    text = " ".join(stories(3000, 1))
    assert text.isascii()
    assert len(set(re.findall(r"[a-z]+", text.lower()))) < 400


def test_all_levels_are_mixed_and_texts_differ():
    told = list(tales(2000, 0))
    share = [sum(tale.level == level for tale in told) for level in LEVELS]
    assert min(share) > 300
    assert len({tale.text for tale in told}) == len(told)


@pytest.mark.parametrize(("n", "level"), [(1, 0), (1, 6), (-1, None)])
def test_absurd_requests_are_refused(n, level):
    with pytest.raises(ChronosError):
        stories(n, 0, level)


def test_dice_are_splitmix64():
    """The stream of seed 1234567 in the reference implementation (Vigna, splitmix64.c)."""
    dice = Dice()
    dice.state = 1234567
    expected = [6457827717110365317, 3203168211198807973, 9817491932198370423]
    assert [dice.below(1 << 64) for _ in expected] == expected


def test_dice_are_fair_and_samples_distinct():
    dice = Dice(3)
    counts = [0] * 6
    for _ in range(6000):
        counts[dice.below(6)] += 1
    assert min(counts) > 880 and max(counts) < 1120
    assert sorted(dice.sample(range(20), 20)) == list(range(20))
