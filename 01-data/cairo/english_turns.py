"""How English questions name a change: when it came, and what was before it.

Slot: v the value that it brought. CHANGED is inverted, to stand behind "when". Data only.
"""

CHANGED = {
    "location": """
did I last move
did my location last change
did I last change my home
was my latest move
did I last change my address
was my last move
did I last move house
did I last settle in another place
did I last go to live in another place
did I last pack and leave
did I last leave my home for another
was the last change of my home
did my home last change
did I last get a new address
was my last change of address
did I last settle in a new home
did I last pack my bags and move
did my address last change
""",
    "drink": """
did my favourite drink last change
did I last change what I drink
did I last switch to another drink
was my latest change of drink
did my usual drink last change
did my taste last turn to another drink
was my last change of drink
was my latest switch to another drink
did I last give up my favourite drink
did I last take to a new drink
did I last choose another drink
did I last replace my drink with another
did I last begin to drink something else
did another drink last become my favourite
did I last change my taste in drinks
was my last switch to a new drink
did my taste in drinks last change
did I last give up a drink for another
""",
    "mood": """
did my mood last change
did my feelings last change
did I last begin to feel otherwise
was my latest change of mood
did my feelings last shift
did I last begin to feel another way
was my last change of mood
did my mood last turn
did I last change my mood
was the last shift of my mood
did I last stop feeling the way I felt
did the state of my feelings last change
did I last find myself in another mood
did something last change the way I feel
was my latest shift of mood
was the last change in the way I feel
did the way I feel last change
did my mood last shift
""",
    "food": """
did my favourite food last change
did I last change my favourite dish
did I last switch to another dish
was my latest change of food
did my usual dish last change
did my taste last turn to another food
was my last change of food
was my latest switch to another dish
did I last give up my favourite dish
did I last take to a new dish
did I last choose another dish
did I last replace my dish with another
did I last begin to eat something else
did another food last become my favourite
did I last change my taste in food
was my last switch to a new dish
did my taste in food last change
did I last give up a dish for another
""",
    "companion": """
did my companion last change
did I last change my company
did somebody new last join me
was my latest change of companion
did someone new last come to my side
did I last part from somebody
did a companion last leave me
did someone last take my companion's place
was my last change of company
did my company last change
did I last get a new companion
did I last choose another companion
did another companion last join me
did somebody last become my new companion
was the last change at my side
did another last become my companion
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
before I last changed my home
before my address last changed
before I came to live here
before I settled where I live now
before my latest move
before I last packed my bags and moved
before I got my present address
before the place where I am now
before I came to my present home
before the last change of my address
before I came to where I am now
""",
    "drink": """
before the last change of my favourite drink
before I last changed what I drink
before I took to the drink of today
before the drink that I prefer now
before my usual drink last changed
before my latest switch to another drink
before I last gave up a drink for another
before I took to my present drink
before my taste in drinks last changed
before I chose the drink that I have now
before I switched to the drink of today
before another drink last became my favourite
before my present drink
before I last took to another drink
before I last switched to another drink
""",
    "mood": """
before my mood last changed
before the last change of my mood
before I felt the way I feel now
before the mood that I am in now
before my mood last shifted
before the last shift of my feelings
before my feelings last changed
before my latest change of mood
before I came to feel as I do now
before my present mood
before I began to feel this way
before my mood last turned
before the latest shift of my mood
before I began to feel the way I do now
before my feelings last shifted
""",
    "food": """
before the last change of my favourite food
before I last changed my favourite dish
before I took to the food of today
before the dish that I prefer now
before my usual dish last changed
before my latest switch to another dish
before I last gave up a dish for another
before I took to my present dish
before my taste in food last changed
before I chose the dish that I have now
before I switched to the food of today
before another dish last became my favourite
before my present dish
before I last took to another dish
before I last switched to another dish
""",
    "companion": """
before my current companion
before the last change of companion
before I last changed my company
before the person who is with me now
before my present companion joined me
before my company last changed
before I last parted from a companion
before my latest change of company
before I met my companion of today
before somebody new last joined me
before I had my present company
before I last got a new companion
before my latest change of companion
before my companion of today
before my companion last changed
""",
}

BEFORE_TO_LAST = {
    "location": """
before I last moved to {v}
before my last move to {v}
just before I came to {v} the last time
before I last settled in {v}
before I last came to live in {v}
before my most recent move to {v}
before I most recently moved to {v}
before my latest move to {v}
right before I last moved to {v}
before I most recently came to {v}
just before my latest move to {v}
before I most recently settled in {v}
""",
    "drink": """
before I last changed to {v}
before my last switch to {v}
just before I took to {v} the last time
before I last switched to {v}
before {v} last became my drink
before I most recently took to {v}
before my most recent switch to {v}
before I last chose {v} as my drink
before my latest change to {v}
before I most recently switched to {v}
just before I last took to {v}
before {v} most recently became my drink
""",
    "mood": """
before I last became {v}
before I last turned {v}
just before I began to feel {v} the last time
before I last began to feel {v}
before I most recently became {v}
before my mood last changed to {v}
before my feelings last shifted to {v}
right before I last became {v}
before my mood most recently turned {v}
before I most recently turned {v}
just before my mood last changed to {v}
before I most recently felt {v}
""",
    "food": """
before I last changed to {v}
before my last switch to {v}
just before I took to {v} the last time
before I last switched to {v}
before {v} last became my dish
before I most recently took to {v}
before my most recent switch to {v}
before I last chose {v} as my dish
before my latest change to {v}
before I most recently switched to {v}
just before I last took to {v}
before {v} most recently became my dish
""",
    "companion": """
before {v} last joined me
before {v} last came to me
just before I met {v} the last time
before {v} last became my companion
before {v} most recently joined me
before {v} last came to my side
before {v} most recently came to me
before I last chose {v} as my companion
right before {v} last joined me
before {v} most recently came to my side
just before {v} last became my companion
before {v} most recently became my companion
""",
}

BEFORE_TO = {
    "location": """
before I moved to {v}
before my move to {v}
just before I came to {v}
before I settled down in {v}
before I came to live in {v}
before I went to live in {v}
before I had my home in {v}
before my address was in {v}
right before I moved to {v}
just before my move to {v}
before I had a flat in {v}
before I settled in {v}
""",
    "drink": """
before I changed to {v}
before my switch to {v}
just before I took to {v}
before I switched to {v}
before I chose {v} as my drink
before {v} was my drink
before my change to {v}
before I had {v} as my favourite drink
right before I took to {v}
just before my switch to {v}
before I began to drink {v}
before {v} became my drink
""",
    "mood": """
before I became {v}
before I turned {v}
just before I began to feel {v}
before my mood changed to {v}
before my feelings shifted to {v}
right before I became {v}
before something made me {v}
before I was {v}
before my mood turned {v}
just before I turned {v}
before I began to be {v}
before I felt {v}
""",
    "food": """
before I changed to {v}
before my switch to {v}
just before I took to {v}
before I switched to {v}
before I chose {v} as my dish
before {v} was my dish
before my change to {v}
before I had {v} as my favourite dish
right before I took to {v}
just before my switch to {v}
before I began to eat {v}
before {v} became my dish
""",
    "companion": """
before {v} joined me
before {v} came to me
just before I met {v}
before {v} was my companion
before {v} came to my side
right before {v} joined me
before I chose {v} as my companion
before {v} began to accompany me
before I went around with {v}
just before {v} came to me
before I had {v} as my companion
before {v} became my companion
""",
}
