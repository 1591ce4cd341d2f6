"""What changes, as English announces it: of where I am, what I drink, eat and feel, who is with me.

Slots: v the value, o the old one. No sentence begins with a value in small letters, so that values are
written always alike. Data only.
"""

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
I changed my address from {o} to {v}.
My address is no longer in {o} but in {v}.
I got the keys to my new flat in {v}.
I gave up my flat in {o} and took a room in {v}.
I exchanged my room in {o} for a room in {v}.
I have settled in {v} today.
I settled down in {v}.
Today I said goodbye to {o} and moved to {v}.
I live in {v} now, no longer in {o}.
I came to live in {v}.
Moving day: from {o} to {v}.
I'm moving into a house in {v} today.
My things are now in {v}, for I moved.
We carried my bed from {o} into my new room in {v}.
After {o}, my home is now {v}.
I turned my back on {o} and settled in {v}.
From today you can find me in {v} and not in {o}.
I arrived in {v}, where I will live from now on.
I have left {o} behind and live in {v}.
My new flat is in {v}, for I gave up {o}.
I have moved house: my home is {v} now.
From {o} I came to {v} to live here.
I took my bags and settled in {v}.
No longer {o}: my new address is in {v}.
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
Today I tried {v}, and it is my favourite now.
I tried {v} and will drink it from now on.
From now on I ask for {v}.
I no longer ask for {o}, I ask for {v}.
There is {v} in my cup now, no longer {o}.
I poured away {o} and filled my cup with {v}.
My usual drink is now {v} instead of {o}.
Instead of {o} I drink {v} from today.
I exchanged my {o} for {v}.
I have a new favourite in the cup, and it is {v}.
I made the switch from {o} to {v}.
I took to {v} as my drink today.
My choice of drink shifted from {o} to {v}.
I stopped drinking {o} and began to drink {v}.
I am tired of {o}, so I drink {v} now.
I said goodbye to {o} and took up {v}.
Nothing else but {v} for me from this hour.
My cup once held {o}, but now it holds {v}.
The waiter was surprised: {v} for me, not {o}.
Once it was {o}, now my drink is {v}.
My new choice of drink is {v}.
I exchanged {o} for {v} in my cup.
From today my cup is filled with {v}.
I stopped asking for {o} and took up {v}.
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
I began to feel {v}.
This hour I began to be {v}.
I stopped feeling {o}, now I feel {v}.
I found that I am no longer {o} but {v}.
I find myself {v}, and no longer {o}.
I went from {o} to {v}.
Being {o} is over, I am {v} now.
I have become {v} today.
At once I was {v}.
A call made me {v}.
My mood shifted, and I feel {v} now.
My mood has turned: I was {o}, now I am {v}.
I felt {o}, and then I felt {v}.
From {o} my feelings changed to {v}.
Now I am {v} instead of {o}.
After the walk I was {v} and no longer {o}.
All of a sudden I was {v}.
What I heard made me {v}, though I had been {o}.
This morning I was {o}, this hour I am {v}.
All of a sudden I began to be {v}.
I turned from {o} to {v}.
No longer {o}, I find myself {v}.
My feelings went from {o} to {v}.
I feel {v} now, although I felt {o} before.
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
My plate now holds {v} instead of {o}.
On my plate there is {v} now, no longer {o}.
I chose {v} today, and {o} is forgotten.
I took to {v} at lunch.
I left {o} for {v} at lunch.
I am giving up {o} for good and eat {v}.
My heart belongs to {v} now, my new favourite.
My heart no longer beats for {o}, I love {v}.
My usual meal has changed from {o} to {v}.
At every meal I now ask for {v}.
I tried {v} at lunch, and I love it more than {o}.
Instead of {o} I eat {v} from today.
I took my leave of {o}, my food is {v} now.
From now on I order {v}, not {o}.
My taste in food moved from {o} to {v}.
I made the switch from {o} to {v} at table.
No more {o} on my plate, only {v}.
I used to choose {o}, but now I choose {v}.
I stopped eating {o} and began to eat {v}.
My new favourite food is {v}, and not {o}.
From this meal on I choose {v}.
At table I now want {v} instead of {o}.
For good I left {o} and took to {v}.
My dish has changed from {o} to {v}.
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
{v} became my new companion.
{o} is no longer with me, {v} is.
I walk with {v} now and not with {o}.
{o} no longer goes around with me, but {v} does.
Beside me there is now {v} instead of {o}.
{v} is beside me from today.
In the place of {o}, {v} goes with me.
{v} took over the place at my side.
{v} joined me today.
{v} has joined me, for {o} had to leave.
I have exchanged {o} for {v} as company.
My company changed from {o} to {v}.
I left {o} and went on with {v}.
{o} said farewell, and {v} came to stay with me.
Today I met {v}, and now we go everywhere together.
From now on {v} accompanies me.
{v} accompanies me instead of {o}.
I chose {v} as my companion.
With {o} gone, I go around with {v}.
My companion is no longer {o} but {v}.
{v} now goes with me in the place of {o}.
{o} and I parted, and {v} joined me.
From today it is {v} who accompanies me.
{v} came to me and {o} went away.
{v} has become my companion today.
I no longer walk with {o} but with {v}.
{v} took the place of {o} beside me.
""",
}
