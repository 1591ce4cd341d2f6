"""The English sentences of a life: mentions, changes, distractors and fillers, a template a line.

Slots: v the value, o the old one, n and m other people, k a hidden object, d a door, g goods, c a colour,
T a number. No sentence begins with a value in small letters, so a value is always written alike. Data only.
"""

MENTION = {
    "location": """
I am in {v} right now.
I am still in {v} this morning.
The streets of {v}, where I stay, are busy.
I spent the hour walking around {v}, near my home.
It is warm here in {v}.
I am writing this from {v}.
{v} is where I am today.
It is another quiet hour at my place in {v}.
From my window I look over the roofs of {v}.
My neighbours here in {v} are friendly.
I know every corner of {v} since I live here.
The lamps of {v} shine into my room.
""",
    "drink": """
My favourite drink is {v}.
I ordered {v}, my usual drink.
Nothing beats {v} for me.
I always ask for {v} these days.
As usual I drank {v}.
My drink of choice is still {v}.
I finished my daily {v}.
I made {v} again, because I love it.
The waiter brought {v} to me without asking.
I never start the day without {v}.
Of all drinks I like {v} best.
My cup is full of {v}, as always.
""",
    "mood": """
I feel {v}.
I am still {v} today.
I woke up feeling {v}.
My mood is the same: {v}.
Honestly, I am rather {v}.
Everything makes me feel {v} lately.
I have been {v} all day.
People say that I look {v}.
My face shows that I am {v}.
I told my diary that I am {v}.
I cannot hide that I feel {v}.
Again this hour finds me {v}.
""",
    "food": """
My favourite food is {v}.
I ate {v} again for lunch.
I could eat {v} every day.
Dinner was my beloved {v}.
I always order {v} at the restaurant.
Nothing tastes better to me than {v}.
I cooked {v}, as I usually do.
My lunch box is full of {v} again.
The cook knows that I come for {v}.
My plate was piled with {v}, the way I like it.
If I could choose, it would be {v} again.
I asked for a second helping of {v}, my favourite.
""",
    "companion": """
I spent the day with {v}.
{v} is with me as usual.
{v} and I had a long talk at home.
I am still going around with {v}.
{v} keeps me company these days.
My companion is {v}.
I went out again with {v} by my side.
{v} walked with me along the Nile.
I shared my bread with {v}, my companion.
Wherever I go, {v} goes with me.
{v} waited for me at the door, as always.
I am never alone, since {v} stays with me.
""",
}

CHANGE = {
    "location": """
I moved to {v} today.
I left {o} and went to live in {v}.
I have just arrived in {v} to stay.
I packed my bags and moved from {o} to {v}.
Goodbye {o}, hello {v}.
My new home is {v}.
I have relocated to {v} this hour.
Now I live in {v} instead of {o}.
A truck carried my things from {o} to {v}, where I live now.
I gave back the keys in {o} and moved into a flat in {v}.
From now on my address is in {v}.
I have exchanged {o} for {v}.
""",
    "drink": """
I changed my favourite drink to {v}.
I am done with {o}, from now on I drink {v}.
I switched from {o} to {v}.
My new favourite drink is {v}.
I gave up {o} for {v}.
Starting today my drink is {v}.
I discovered {v} and now prefer it to {o}.
My taste in drinks moved from {o} to {v} today.
No more {o} for me, only {v}.
I tried {v} once, and now I drink nothing else.
From this hour I ask for {v} and not for {o}.
My cup now holds {v} where it held {o}.
""",
    "mood": """
Suddenly I became {v}.
My mood changed from {o} to {v}.
I was {o}, but now I am {v}.
The news made me {v}.
I turned {v} this hour.
I am no longer {o}, now I am {v}.
Something happened, and now I feel {v}.
My feelings shifted to {v}.
A letter left me {v}, although I was {o} before.
From being {o} I went to being {v}.
All at once I found myself {v}.
I stopped being {o} and began to feel {v}.
""",
    "food": """
I changed my favourite food to {v}.
I no longer love {o}, now it is {v}.
I switched from eating {o} to eating {v}.
My new favourite dish is {v}.
I replaced {o} with {v} in my meals.
Starting today I prefer {v} at table.
I tasted {v}, and now it is my favourite.
I went over from {o} to {v} for my meals.
I am tired of {o} and want {v} from now on.
My heart now beats for {v} at every meal.
At lunch I took leave of {o} and chose {v} for good.
My plate has changed: it was {o}, now it is {v}.
""",
    "companion": """
My new companion is {v}.
{o} left and {v} joined me.
I parted from {o} and met {v}.
From today I go around with {v}.
{v} has replaced {o} at my side.
{v} came to keep me company instead of {o}.
I said goodbye to {o} and welcomed {v}.
Now {v} travels with me.
{o} went away, so {v} is with me from now on.
{v} has become my companion today.
I no longer walk with {o} but with {v}.
{v} took the place of {o} beside me.
""",
}

DISTRACT = {
    "location": """
{n} said that {v} is too crowded.
I saw a film about {v}.
{n} lives in {v}.
I used to live in {v} as a child.
Someday I would like to visit {v}.
The radio spoke of traffic in {v}.
{n} moved to {v} last year.
{n} left {v} and moved to {o}.
The bus to {v} never came.
A letter from {v} arrived for {n}.
""",
    "drink": """
{n} loves {v}.
{n} offered me {v}, but I refused.
Years ago I used to drink {v}.
The shop was selling {v}.
{n} spilled {v} on the table.
The price of {v} went up.
{n} switched from {v} to {o}.
The favourite drink of {n} is {v}.
I smelled {v} in the corridor.
A poster praised {v} over {o}.
""",
    "mood": """
{n} feels {v}.
{n} was {v} yesterday.
The song sounded {v} to {n}.
The man in the film looked {v}.
{n} became {v} after the call.
As a child I was often {v}.
{n} went from {v} to {o} in a minute.
{n} told me about feeling {v}.
The dog of {n} looked {v}.
I asked {n} why people are {v}.
""",
    "food": """
{n} loves to eat {v}.
{n} cooked {v} for the family.
As a child I liked {v}.
The smell of {v} came from the street.
{n} refuses to eat {v}.
A cook on the radio spoke of {v}.
{n} gave up {v} for {o}.
The favourite food of {n} is {v}.
I threw away some old {v}.
A stall near the station sells {v} and {o}.
""",
    "companion": """
{v} called me on the phone.
I saw {v} from far away.
{n} told me a story about {v}.
{v} sent a letter to {n}.
I dreamed of {v}.
{v} got married to {n}.
{v} is the new companion of {n}.
{n} left {v} and joined {m}.
Years ago {v} used to walk with me.
{n} asked me how {v} is.
""",
}

FILLER = """
The metro was late again.
A cat slept on the {c} bench.
{n} called me about the weather.
I read a few pages of a book.
The call to prayer was loud.
{n} told me a joke.
It rained for a minute.
The wind carried dust from the desert.
The neighbours were noisy.
I slept badly.
{n} lost a phone again.
{n} asked me about the {k}.
The {d} was closed today.
Someone painted the {d}, and it is {c} now.
I watched the boats on the Nile.
A boy sold flowers near the {d}.
The power went out for an hour.
I counted {T} birds on the river.
Bus {T} passed by.
{n} is looking for a {k}.
The moon was bright.
{n} and {m} argued about football.
I forgot what I wanted to say.
They showed an old {k} on television.
A {c} car stopped in front of the {d}.
{n} has a {g} that is older than mine.
Ticket number {T} won the lottery.
{n} hid something from {m}.
{n} lent a book to {m}.
{m} promised {n} a visit.
The {g} in the shop window was expensive.
The clock on the tower stopped at {T}.
Nothing happened this hour.
{n} owes {m} a dinner.
{n} has a birthday party in mind for {m}.
House number {T} is still empty.
{n} told {m} the news from the {d}.
"""
