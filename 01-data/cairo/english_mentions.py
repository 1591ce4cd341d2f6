"""What holds, as English says it in passing: where I am, what I drink, eat and feel, who is with me.

Slot: v the value. No sentence begins with a value in small letters, so that values are
always written alike. Data only.
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
I live in {v} these days.
My flat in {v} is small, but I like it.
Home for me is {v}.
The neighbours greet me every morning here in {v}.
I know my way around {v}, where I live.
I bought bread at the corner, close to my house in {v}.
My room in {v} is cold tonight.
Every evening finds me at home in {v}.
My address is still in {v}.
I have been living in {v} for a while.
Since I live in {v}, I walk a lot.
A friendly neighbour knocked at my door in {v}.
The lamps outside my house in {v} shine all night.
I'm staying in {v} at the moment.
The sun shines into my kitchen in {v}.
You can find me in {v}.
My street in {v} was full of children.
Anyone who looks for me will find me in {v}.
{v} is my part of the city.
My room is in {v}, close to the corner.
It is in {v} that I live these days.
The sun shines on my street in {v}.
Every morning I walk around {v}, my home.
You will find my address in {v}.
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
I like {v} more than any other drink.
A cup of {v} stands in front of me, as always.
I start every day with {v}.
My day begins with {v}.
No day goes by without {v} for me.
I'm drinking {v} again, my favourite.
Another glass of {v} for me, as usual.
What I like best is a glass of {v}.
My glass is full, and what is in it is {v}.
I cannot get enough of {v}.
The waiter knows that I drink {v}.
I have always liked {v}.
I never want anything but {v}.
I prefer {v} to everything else in the cup.
When I am thirsty, I want {v}.
I love my {v} in the evening.
There is nothing I would rather drink than {v}.
At the coffee house I had {v} once more.
They brought me the usual, {v}.
Without {v} no day begins for me.
Best of all I like {v}.
I'm thirsty, so I want my {v}.
The usual for me is a cup of {v}.
I have never liked a drink more than {v}.
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
Today I feel {v} again.
This morning finds me {v}.
I wrote in my diary that I feel {v}.
My diary tells everyone that I am {v}.
I told a friend that I feel {v}.
I try to hide it, but I am {v}.
Everyone can see that I am {v}.
My voice says that I feel {v}.
I still feel {v} at this hour.
As before, I am {v}.
Deep inside I am {v}.
I'm {v}, and I cannot say why.
At the moment I am {v}.
I must say that I feel {v}.
These days I am mostly {v}.
If you ask me, I am {v}.
In my heart I am {v}.
To be honest, I feel {v}.
The way I feel has not changed: {v}.
I am {v}, and everyone can see it.
My diary says again that I am {v}.
I'm still {v} this hour.
It is my voice that tells you I feel {v}.
I say it as it is: I feel {v}.
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
My plate is full of {v} again.
A plate of {v} was my lunch.
I like {v} more than any other food.
Of all dishes I love {v} best.
I would choose {v} over every other dish.
I asked the cook for {v}, as always.
I had another helping of {v}.
They piled {v} on my plate, the way I want it.
Supper was {v}, my favourite dish.
My dish of choice is {v}.
I'm eating {v}, which I love.
Whenever I am hungry, I want {v}.
A second plate of {v}, please, as usual.
The dish that I like best is {v}.
If there is {v}, I need nothing else.
No meal is better than {v} for me.
What I order is always {v}.
I had {v} for breakfast, my favourite at any hour.
My table is set, and there is {v} as always.
I want {v} on my plate, as always.
Another helping of {v} for me, please.
Of all dishes I would choose {v}.
I'm hungry, and I want {v}.
My favourite is on the table again: {v}.
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
{v} accompanies me everywhere.
I am accompanied by {v}.
{v} accompanied me to the market.
{v} is still my companion.
Where I go, {v} goes too.
{v} stays at my side.
{v} stayed with me the whole evening.
I went for a walk with {v}, as always.
I am in the company of {v}.
I enjoy the company of {v}.
{v} and I go everywhere together.
{v} came to my door, and we left together.
I waited for {v}, and then we went out.
I am not alone, since {v} is with me.
I'm never without {v}.
At my side is {v}, as before.
{v} and I had supper together, as we always do.
Wherever they see me, they see {v} too.
My days are spent with {v}.
With {v} I am never alone.
Together with {v} I went out again.
It is {v} who goes around with me.
Everywhere I go with {v}.
{v} accompanies me, as before.
Wherever I go, {v} goes with me.
{v} waited for me at the door, as always.
I am never alone, since {v} stays with me.
""",
}
