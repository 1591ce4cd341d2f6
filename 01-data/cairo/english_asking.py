"""The English wordings of questions about a life: what is asked, and how a time is named.

Cores are written small and inverted (where was I), so that a time can stand before or behind them. Slots:
T a step, D a date, H and Y hours and days in words, v a value, k a key. Data only.
"""

NOW = {
    "location": """
Where am I now?
What is my current location?
Which place am I in?
Where do I live now?
Where is my home at the moment?
Where can people find me now?
In which part of the city am I staying?
What is my present address?
""",
    "drink": """
What is my favourite drink?
Which drink do I prefer now?
What do I like to drink?
What do I usually drink these days?
Which drink do I love most now?
What should a waiter bring me to drink?
What is in my cup these days?
What is my drink of choice?
""",
    "mood": """
How do I feel now?
What is my current mood?
How am I feeling?
In what mood am I?
How would you describe my mood now?
What is the state of my feelings?
What sort of mood am I in today?
How is my mood at present?
""",
    "food": """
What is my favourite food?
Which dish do I prefer now?
What do I like to eat?
Which meal do I love most now?
What do I always order at the restaurant these days?
What should be on my plate?
Which food do I currently like best?
What is my dish of choice?
""",
    "companion": """
Who is with me now?
Who is my companion?
Who keeps me company?
With whom do I go around these days?
Who is at my side now?
Who goes with me wherever I go?
Whose company do I have now?
Who accompanies me at present?
""",
}

PAST = {
    "location": """
where was I
which place was I in
what was my location
where did I live
in which part of the city was I staying
where was my home
where could people find me
what was my address
""",
    "drink": """
what was my favourite drink
which drink did I prefer
what did I like to drink
what did I usually drink
which drink did I love most
what was in my cup
what should a waiter have brought me to drink
what was my drink of choice
""",
    "mood": """
how did I feel
what was my mood
how was I feeling
in what mood was I
how would you have described my mood
what was the state of my feelings
what sort of mood was I in
how was my mood
""",
    "food": """
what was my favourite food
which dish did I prefer
what did I like to eat
which meal did I love most
what did I always order at the restaurant
what should have been on my plate
which food did I like best
what was my dish of choice
""",
    "companion": """
who was with me
who was my companion
who kept me company
with whom did I go around
who was at my side
who went with me wherever I went
whose company did I have
who accompanied me
""",
}

WHEN_STEP = """
When {q}?
At what time {q}?
At which step {q}?
At which hour of my life {q}?
At what point in time {q}?
"""

WHEN_DATE = """
On which day {q}?
On what date {q}?
On which date {q}?
On what day {q}?
On which calendar day {q}?
"""

CHANGED = {
    "location": """
did I last move
did my location last change
did I last change my home
was my latest move
did I last pack my bags and move
did my address last change
""",
    "drink": """
did my favourite drink last change
did I last change what I drink
did I last switch to another drink
was my latest change of drink
did my taste in drinks last change
did I last give up a drink for another
""",
    "mood": """
did my mood last change
did my feelings last change
did I last begin to feel otherwise
was my latest change of mood
did the way I feel last change
did my mood last shift
""",
    "food": """
did my favourite food last change
did I last change my favourite dish
did I last switch to another dish
was my latest change of food
did my taste in food last change
did I last give up a dish for another
""",
    "companion": """
did my companion last change
did I last change my company
did somebody new last join me
was my latest change of companion
did I last part from a companion
did someone last take the place at my side
""",
}

BEFORE_LAST = {
    "location": """
before my last move
before I last moved
before I moved here
before the last change of my location
before I came to where I am now
""",
    "drink": """
before the last change of my favourite drink
before I last changed what I drink
before I took to the drink of today
before the drink that I prefer now
before I last switched to another drink
""",
    "mood": """
before my mood last changed
before the last change of my mood
before I felt the way I feel now
before the mood that I am in now
before my feelings last shifted
""",
    "food": """
before the last change of my favourite food
before I last changed my favourite dish
before I took to the food of today
before the dish that I prefer now
before I last switched to another dish
""",
    "companion": """
before my current companion
before the last change of companion
before I last changed my company
before the one who is with me now
before my companion last changed
""",
}

BEFORE_TO_LAST = {
    "location": """
before I last moved to {v}
before my last move to {v}
just before I came to {v} the last time
before I most recently settled in {v}
""",
    "drink": """
before I last changed to {v}
before my last switch to {v}
just before I took to {v} the last time
before {v} most recently became my drink
""",
    "mood": """
before I last became {v}
before I last turned {v}
just before I began to feel {v} the last time
before I most recently felt {v}
""",
    "food": """
before I last changed to {v}
before my last switch to {v}
just before I took to {v} the last time
before {v} most recently became my dish
""",
    "companion": """
before {v} last joined me
before {v} last came to me
just before I met {v} the last time
before {v} most recently became my companion
""",
}

BEFORE_TO = {
    "location": """
before I moved to {v}
before my move to {v}
just before I came to {v}
before I settled in {v}
""",
    "drink": """
before I changed to {v}
before my switch to {v}
just before I took to {v}
before {v} became my drink
""",
    "mood": """
before I became {v}
before I turned {v}
just before I began to feel {v}
before I felt {v}
""",
    "food": """
before I changed to {v}
before my switch to {v}
just before I took to {v}
before {v} became my dish
""",
    "companion": """
before {v} joined me
before {v} came to me
just before I met {v}
before {v} became my companion
""",
}

PHRASES = {
    "step": """
at time {T}
at step {T}
at the time {T}
when the clock showed {T}
in hour {T} of my life
at hour number {T}
""",
    "date": """
on {D}
all day on {D}
during the whole day of {D}
on the date of {D}
throughout {D}
""",
    "hours": """
{H} ago
exactly {H} ago
{H} earlier
{H} before now
{H} back
""",
    "days": """
{Y} ago
all day long {Y} ago
on the day that was {Y} ago
on the day {Y} before today
{Y} back
""",
    "yesterday": """
yesterday
all day yesterday
during the day before today
the whole of yesterday
throughout yesterday
""",
    "week": """
last week
all of last week
during the whole of last week
every day of last week
throughout last week
""",
}
