"""What is not about me in English: distractors, which use the same words of others, and fillers.

Slots: v the value, o the old one, n and m other people, k a hidden object, d a door, g goods,
c a colour, T a number. Nothing here may contradict a mention or a change. Data only.
"""

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
{n} has a new flat in {v}.
The address of {n} is in {v}.
{n} settled in {v} and likes it.
I once had a friend in {v}.
My uncle was born in {v}.
They are building a bridge in {v}.
{n} asked me how to get to {v}.
The bus from {v} was full.
A letter came from {v}.
{n} dreams of living in {v}.
The rents in {v} went up again.
I read about the history of {v}.
{n} gave up a flat in {v} and went to {o}.
{n} arrived from {v} by train.
{n} never came back from {v}.
The home of {n} is in {v}.
{n} settled in {v} last year.
{n} lives in {o} and no longer in {v}.
As a child I read about {v}.
The train from {v} never arrived.
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
{n} drinks {v} every morning.
{n} ordered {v} for {m}.
In the cup of {n} there was {v}.
{n} asked the waiter for {v}.
A poster in the corridor showed {v}.
{n} praised {v} all evening.
I smelled {v} as I passed the shop.
They ran out of {v} at the coffee house.
{n} prefers {v} to {o}.
{n} gave up {v} for {o}.
My grandmother used to make {v}.
{n} has a new favourite drink, {v}.
A glass of {v} stood on the table of {n}.
{n} wanted to know how {v} is made.
{n} never starts the day without {v}.
A man in the metro was drinking {v}.
The usual drink of {n} is {v}.
I passed a shop that was selling {v}.
{n} starts every morning with {v}.
My grandmother loves {v}.
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
{n} looks {v} today.
{n} is {v} again.
{n} feels {v} because of {m}.
People in the metro looked {v}.
The dog next door seems {v}.
I asked {n} what it is like to be {v}.
Why {n} is {v}, nobody knows.
{n} has stopped being {v}.
{n} told {m} to stop being {v}.
I know a song about being {v}.
Last year I was often {v}.
The mood of {n} changed from {v} to {o}.
{n} wrote in a letter about feeling {v}.
A letter made {n} {v}.
My teacher was always {v}.
The children next door are {v} today.
The mood of {n} today: {v}.
{n} asked me why {m} is {v}.
The man in the film seems {v}.
My dog looks {v} today.
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
{n} ate {v} for lunch.
The plate of {n} was full of {v}.
{n} ordered {v} for {m}.
{n} sells {v} at a stall.
The restaurant near the station has no {v}.
{n} wants {v} at every meal.
{n} threw away the {v}.
My grandmother used to cook {v}.
I saw {v} in the window of a restaurant.
An old man near the station sold {v}.
{n} replaced {v} with {o}.
{n} tasted {v} and asked for more.
There was {v} at the wedding of {n}.
I read a recipe for {v}.
{n} has chosen {v} over {o}.
Some people eat {v} with {o}.
The restaurant sells {v} and some {o}.
{n} ate {v} near the station.
{n} gave up eating {v}.
They threw away {v} at the restaurant.
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
{v} is with {n} now.
{v} and {n} go everywhere together.
{v} keeps {n} company.
{n} spent the day with {v}.
{v} walked past without a word.
{n} parted from {v}.
{n} introduced {v} to {m}.
{v} replaced {m} at the side of {n}.
I have a photo of {v} and {n}.
{v} asked {n} for help.
{n} and {m} talked about {v}.
I received a letter from {v}.
{v} used to walk to the market with {n}.
{v} waited for {n} at the station.
{n} asked {m} how {v} is.
{v} accompanied {n} home.
{n} walked home with {v}.
{v} has joined {n}.
{n} and {v} used to go home together.
I was asked about {v} by {n}.
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
The shop on the corner was closed.
{n} promised to visit {m}.
A book fell from the shelf.
{n} gave {m} a book.
{n} lent {m} some money.
{m} owes money to {n}.
{n} borrowed a book from {m}.
The party of {n} was loud.
{m} forgot the birthday of {n}.
Dinner was late.
{n} invited {m} to dinner.
I opened the window for some air.
An old clock stood in the shop.
My clock stopped in the night.
The house across the street is empty.
{n} wants to buy a {g}.
The price of a {g} has doubled.
Someone left a {g} at the {d}.
{n} sold a {g} to {m}.
I read the news and forgot it.
{n} brought news from the {d}.
{n} works near the {d}.
There was a queue in front of the {d}.
A guard stood at the {d}.
The {d} has a new lock.
{m} forgot the code for the {d}.
A {c} bird sat on a branch.
The sky was {c} for a moment.
{n} wore a {c} shirt.
{n} found a {k} in the street.
{n} showed me a {k}.
A {k} was in the window of the shop.
{m} gave {n} a {k}.
{n} has no idea where the {k} of {m} is.
I dreamed of a {k}.
The number {T} was painted on a wall.
Somebody dialled {T} by mistake.
Page {T} was missing from the book.
They counted {T} people at the {d}.
Train {T} was cancelled.
A boat with the number {T} sailed by.
The dog of {m} barked at {n}.
It is still hot outside.
The road was long and full of dust.
This street was full of people.
Children played football in the street.
I cleaned the kitchen.
Somebody knocked, but nobody was there.
There was nothing to see on television.
A tap dripped all night.
I looked for my glasses.
Not much happened today.
{n} met {m} at the {d}.
{n} has something in mind, but {m} does not know.
{n} has a new phone number.
{n} asked {m} for the number of a doctor.
The visit of {n} was long.
A {c} {g} in the window is too expensive.
{n} and {m} talked all night.
The night was long.
Nobody was in the street.
A bus stopped in front of the {d}.
{n} asked {m} for a book.
{n} has sold the {g}.
{m} and {n} talked about the news.
{n} told {m} about the party.
The shop has an old {k}.
Someone left a {c} {k} at the {d}.
People counted {T} boats.
The number of the house is {T}.
I sat at the window and looked out.
{n} told {m} about the {k}.
{m} left a {k} in the street.
The dog of {n} slept on the {c} bench.
{m} promised {n} a visit.
The {g} in the shop window was expensive.
The clock on the tower stopped at {T}.
Nothing happened this hour.
{n} owes {m} a dinner.
{n} has a birthday party in mind for {m}.
House number {T} is still empty.
{n} told {m} the news from the {d}.
"""
