"""What is asked of now and of the past in English; a time stands before or behind the small ones.

PAST is inverted (where was I), and no core holds a number, as only the time may. Data only.
"""

NOW = {
    "location": """
Where am I now?
What is my current location?
Which place am I in?
Where do I live now?
Where is my home at the moment?
Where can people find me now?
What is my address?
At what address do I live at present?
In which place do I live these days?
Where am I living?
Where am I staying now?
In what part of town is my home?
Which part of the city do I live in?
Where do I have my home?
What place do I call home now?
Where is my flat?
Where would a letter reach me now?
Where should a friend look for me now?
Where in the city is my place?
What is my present location?
In which part of town do I live now?
At what address can people find me?
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
What do I drink these days?
What is my usual drink?
Which drink is my favourite?
What would I choose to drink?
Which drink is my choice now?
What do I pour into my cup now?
With what do I fill my cup?
What drink do I ask the waiter for?
What drink am I fond of now?
Which of all drinks do I like best?
What should there be in my glass?
What do I drink most?
What do I want when I am thirsty?
What drink do I have in my cup?
What do I choose when I am thirsty?
Which drink do I ask for these days?
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
What mood am I in?
How is my mood today?
What sort of mood do I have now?
What are my feelings at present?
What do I feel these days?
How do I feel inside?
How are my spirits now?
What is my mood like?
How would I say that I feel?
What would my diary say about my mood?
How does life make me feel now?
What state of mind am I in?
In what state are my feelings today?
What sort of feelings do I have now?
How do I feel at present?
What is the state of my mood today?
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
What do I eat most these days?
What is my usual dish?
Which dish is my favourite?
What food would I choose?
Which dish is my choice now?
What is on my plate these days?
What dish am I fond of now?
Which of all dishes do I like best?
What do I currently like to eat?
What should a cook make for me?
What do I want when I am hungry?
Which meal is my choice these days?
What dish do I ask for at table?
What food is on my plate now?
Which dish do I currently love most?
What do I choose when I am hungry?
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
Who is accompanying me now?
By whom am I accompanied these days?
Who accompanies me wherever I go?
Whose company do I keep?
In whose company am I?
Whom do I have at my side?
Who stays with me at present?
Who walks with me now?
Who is my present companion?
With whom am I now?
Who is beside me?
Whom do I go around with?
What is the name of my companion?
Who is it that accompanies me now?
Whom do I have for company?
By whom am I accompanied at present?
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
where was I living
where was I staying
at what address did I live
which address was mine
in what part of town was my home
which part of the city did I live in
in which place did I live
what place did I call home
where did I have my home
where was my flat
where would a letter have reached me
where could I be found
where in the city was my place
what address did I have
in which part of town did I live
where could a letter have reached me
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
what did I drink
what was my usual drink
which drink was my favourite
what would I have chosen to drink
which drink was my choice
what did I pour into my cup
with what did I fill my cup
what drink did I ask the waiter for
what drink was I fond of
which of all drinks did I like best
what drink should they have brought me
what did the waiter bring me to drink
what was in my glass
what drink did I have in my cup
which drink did I ask for
what drink was brought to me
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
what mood was I in
which mood was I in
what sort of mood did I have
what were my feelings
what did I feel
how did I feel inside
how were my spirits
what was my mood like
how would I have said that I felt
what did my diary say about my mood
how did life make me feel
what state of mind was I in
in what state were my feelings
what sort of feelings did I have
in which mood was I
what did I say about my mood
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
what did I eat most
what was my usual dish
which dish was my favourite
what food would I have chosen
which dish was my choice
what was on my plate
what dish was I fond of
which of all dishes did I like best
which food did I love
what should a cook have made for me
what did I want to eat
which meal was my choice
what dish did I ask for
what food was on my plate
which dish did I like to eat
what was my choice of food
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
who was accompanying me
by whom was I accompanied
who accompanied me wherever I went
whose company did I keep
in whose company was I
whom did I have at my side
who stayed with me
who walked with me
who was beside me
with whom was I
who went around with me
whom did I go around with
what was the name of my companion
who was it that accompanied me
whom did I have for company
who was in my company
whose company did I have
who accompanied me
""",
}
