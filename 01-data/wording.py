"""The words of the stories: names, places, things, and several ways to tell each event.

Only words; what is true is decided by the world. A few hundred in all, so that a small model learns them.
"""

SHE = ("Anna", "Ella", "Ida", "Lily", "Mia", "Nora", "Rosa", "Ruth")
HE = ("Ben", "Finn", "Leo", "Max", "Omar", "Paul", "Sam", "Tom")
PEOPLE = SHE + HE
PLACES = ("attic", "bakery", "barn", "cellar", "forest", "garden", "kitchen", "library", "meadow", "orchard")
PLACES += ("stable", "workshop")
THINGS = ("apple", "ball", "basket", "bell", "blanket", "boat", "book", "candle", "cup", "drum", "flute")
THINGS += ("hat", "kite", "lamp", "puppet", "shell")
COLOURS = ("black", "blue", "brown", "golden", "green", "grey", "pink", "purple", "red", "silver", "white")
COLOURS += ("yellow",)

# Each day has its light: openings, what one notices during it, and endings.
DAYS = (
    (
        ("One day,", "One sunny morning,", "On a bright summer day,", "Early one fine morning,"),
        (
            "The sun was warm.",
            "A bird sang in a tree.",
            "Bees buzzed around the flowers.",
            "The sky was blue.",
        ),
        ("What a lovely day it was.", "Then it was time for lunch.", "It was the best day of the summer."),
    ),
    (
        ("One day,", "One rainy day,", "On a wet afternoon,", "One day, when it rained and rained,"),
        (
            "Rain fell on the roof.",
            "The clouds were dark.",
            "Drops ran down the window.",
            "A frog jumped by.",
        ),
        ("At last the rain stopped.", "Then there was hot soup for all.", "Soon a rainbow came out."),
    ),
    (
        ("One day,", "One winter day,", "On a cold and snowy morning,", "One day, when the snow was deep,"),
        ("Snow fell softly.", "It was very quiet.", "There was ice on the pond.", "A little mouse ran by."),
        ("Then it was time for warm milk.", "Soon it grew dark.", "The snow shone under the moon."),
    ),
    (
        ("One day,", "One windy day,", "On an autumn afternoon,", "One day, when the wind was strong,"),
        ("The wind blew and blew.", "Yellow leaves danced in the air.", "A door creaked.", "A crow called."),
        ("At last the wind was still.", "Then it was time to go home.", "Soon the lights went on."),
    ),
    (
        ("One day,", "One quiet evening,", "Late in the day,", "One evening, when the stars came out,"),
        ("The moon was round.", "An owl called.", "It was almost dark.", "The old cat slept by the fire."),
        ("Then it was time for bed.", "And then everyone said good night.", "Soon all was still."),
    ),
)

# {P} the person (or a pronoun), {Q} another, {T} a thing, {L} a place, {C} a colour, {N} always the name.
ARRIVE = ("{N} was in the {L}.", "{N} sat in the {L}.", "{N} played in the {L}.", "{N} stood in the {L}.")
TOO = ("{N} was in the {L} too.", "{N} was there too.")
LIE = ("There was a {C} {T} in the {L}.", "A {C} {T} lay in the {L}.", "In the {L} there was a {C} {T}.")
HOLD = ("{P} had a {C} {T}.", "{P} held a {C} {T}.")
MOVE = (
    "{P} went to the {L}.",
    "{P} walked to the {L}.",
    "{P} ran to the {L}.",
    "{P} hurried to the {L}.",
    "Then {p} went to the {L}.",
    "Soon {p} walked to the {L}.",
    "After a while, {p} went to the {L}.",
    '"I am off to the {L}!" said {N}, and went.',
)
CARRY = (
    "{P} carried the {T} to the {L}.",
    "{P} took the {T} to the {L}.",
    "{P} went to the {L} with the {T}.",
)
TAKE = (
    "{P} picked up the {T}.",
    "{P} found the {T} and took it.",
    "{P} saw the {T} and picked it up.",
    "How pretty the {T} was! {P} picked it up.",
)
DROP = (
    "{P} put the {T} down.",
    "{P} put down the {T}.",
    "{P} left the {T} there.",
    "{P} laid the {T} down softly.",
)
GIVE = (
    "{P} gave the {T} to {Q}.",
    "{P} gave {Q} the {T}.",
    "{P} handed the {T} to {Q}.",
    "As a present, {p} gave {Q} the {T}.",
)
THANKS = (
    '"Thank you," said {Q}.',
    '"Thank you, {N}!" said {Q}.',
    '"How kind you are, {N}!" said {Q}.',
    "{Q} smiled.",
    "{Q} was very happy.",
)
MOODS = (
    "{P} sang a little song.",
    "{P} was happy.",
    "{P} laughed.",
    "{P} was a little tired.",
    '"What a nice day," said {N}.',
    "{P} thought of supper.",
    "{P} danced a little dance.",
    "{P} told a funny story.",
    "{P} ate a sweet cake.",
    '"Hello, little friend," said {N} to a beetle.',
)
UNSEEN = ("{N} did not see it.", "{N} was away and did not see it.")

QUESTIONS = {
    "person": ("Where is {N}?", "{N} is in the {L}."),
    "thing": ("Where is the {T}?", "The {T} is in the {L}."),
    "colour": ("What colour is the {T}?", "The {T} is {C}."),
    "holder": ("Who has the {T}?", "{N} has the {T}."),
    "nobody": ("Who has the {T}?", "Nobody has the {T}."),
    "before": ("Where was {N} before the {L}?", "Before the {L}, {N} was in the {B}."),
    "has": ("What does {N} have?", "{N} has {X}."),
    "thinks place": ("Where does {N} think the {T} is?", "{N} thinks the {T} is in the {L}."),
    "thinks holder": ("Who does {N} think has the {T}?", "{N} thinks {Q} has the {T}."),
}


def subject(person: str) -> str:
    """The pronoun that may stand for a person who was the subject just before."""
    return "she" if person in SHE else "he"
