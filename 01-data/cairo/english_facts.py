"""One-off facts in English: for each kind how it is told, how it is asked for, and the clause "when …".

Slots: k the key (what is asked about), a the answer; for rumours n who said it, k of what, p what. Data only.
"""

# kind: (statements, questions, clauses)
FACTS = {
    "hide": (
        """
I hid the {k} {a}.
I put the {k} {a}, so that nobody finds it.
The {k} is now hidden {a}.
I have a secret: the {k} lies {a}.
Nobody saw me as I left the {k} {a}.
""",
        """
Where did I hide the {k}?
Where is the {k} hidden?
Where did I put the {k}?
In what hiding place is the {k}?
Where should I look for the {k}?
Where does the {k} lie?
Where can the {k} be found?
Where did I leave the {k}?
""",
        """
when I hid the {k}
when I put the {k} out of sight
as I was hiding the {k}
""",
    ),
    "phone": (
        """
{k}'s phone number ends in {a}.
I must remember that the phone of {k} ends in {a}.
{k} gave me a number that ends in {a}.
The last digits of {k}'s number are {a}.
I wrote down the end of {k}'s phone number: {a}.
""",
        """
What does {k}'s phone number end in?
Which digits end the phone number of {k}?
What are the last digits of {k}'s number?
How does the phone number of {k} end?
With which four digits does {k}'s number end?
What is the end of {k}'s phone number?
Which number did I write down for {k}?
What must I dial last to reach {k}?
""",
        """
when I wrote down {k}'s phone number
when I learned how {k}'s phone number ends
as I noted the number of {k}
""",
    ),
    "code": (
        """
The code for the {k} is {a}.
They set the {k} code to {a}.
To open the {k}, one types {a}.
I learned the code of the {k}: {a}.
The {k} opens with the digits {a}.
""",
        """
What is the code for the {k}?
Which code opens the {k}?
How do I open the {k}?
What must I type to open the {k}?
Which digits open the {k}?
What is the {k} code?
To what did they set the code of the {k}?
Which four digits does the {k} need?
""",
        """
when I learned the code for the {k}
when they set the {k} code
as I was told the code of the {k}
""",
    ),
    "lent": (
        """
I lent my {k} to {a}.
{a} borrowed my {k}.
My {k} is now with {a}, who needs it.
I gave {a} my {k} for a while.
{a} took my {k} home on loan.
""",
        """
Who did I lend my {k} to?
Who borrowed my {k}?
Who has my {k}?
To whom did I give my {k} for a while?
With whom is my {k}?
Who took my {k}?
From whom must I get back my {k}?
In whose hands is my {k}?
""",
        """
when I lent out my {k}
when somebody borrowed my {k}
as I was giving away my {k} for a while
""",
    ),
    "birthday": (
        """
{k}'s birthday is on {a}.
{k} was born on {a}.
{k} will celebrate a birthday on {a}.
I found out that {k} has a birthday on {a}.
For {k}'s birthday I marked {a}.
""",
        """
When is {k}'s birthday?
On which day was {k} born?
What is the date of {k}'s birthday?
When does {k} celebrate a birthday?
When was {k} born?
On which day should I congratulate {k}?
Which day did I mark for {k}'s birthday?
On what day of the year is the birthday of {k}?
""",
        """
when I learned the date of {k}'s birthday
when I heard on which day {k} was born
as I noted the birthday of {k}
""",
    ),
    "promise": (
        """
I promised {k} to {a}.
I gave {k} my word to {a}.
{k} made me promise to {a}.
There is a promise between {k} and me: to {a}.
I swore to {k} that I would {a}.
""",
        """
What did I promise {k}?
What have I promised to do for {k}?
What is my promise to {k}?
What did I give {k} my word to do?
What must I do to keep my promise to {k}?
Which promise did I make to {k}?
What does {k} expect me to do?
What did I swear to {k}?
""",
        """
when I promised something to {k}
when I gave {k} my word
as I was making {k} a promise
""",
    ),
    "price": (
        """
I paid {a} for the {k}.
I bought the {k} for {a}.
The {k} cost me {a}.
The seller got {a} from me for the {k}.
For the {k} I spent {a}.
""",
        """
How much did I pay for the {k}?
What did the {k} cost me?
For how much did I buy the {k}?
What was the price of the {k}?
How much money went to the {k}?
How much did the seller of the {k} get?
What did I spend on the {k}?
How many pounds did the {k} cost?
""",
        """
when I bought the {k}
when I paid for the {k}
as I was buying the {k}
""",
    ),
    "debt": (
        """
I borrowed {a} from {k}.
I owe {k} {a}.
{k} lent me {a}.
My debt to {k} is {a}.
I took {a} from {k} and must pay it back.
""",
        """
How much do I owe {k}?
What did I borrow from {k}?
How much did {k} lend me?
How large is my debt to {k}?
What must I pay back to {k}?
How much money did I take from {k}?
How many pounds do I owe {k}?
Which sum did I get from {k}?
""",
        """
when I borrowed money from {k}
when {k} lent me money
as I was taking money from {k}
""",
    ),
    "meeting": (
        """
I agreed to meet {k} in {a}.
{k} will wait for me in {a}.
My meeting with {k} will be in {a}.
{k} and I will see each other in {a}.
I am to meet {k} in {a} next month.
""",
        """
Where will I meet {k}?
Where did I agree to meet {k}?
Where will {k} wait for me?
In which place is my meeting with {k}?
Where will {k} and I see each other?
What is the place of my meeting with {k}?
Where must I go to meet {k}?
Where am I to see {k}?
""",
        """
when I agreed to meet {k}
when I arranged the meeting with {k}
as I was arranging to see {k}
""",
    ),
    "said": (
        """
{n} told me that {k} {p}.
I heard from {n} that {k} {p}.
According to {n}, {k} {p}.
{n} says that {k} {p}.
It was {n} who mentioned to me that {k} {p}.
""",
        """
Who told me that {k} {p}?
Who told me something about {k}?
From whom did I hear that {k} {p}?
From whom do I know about {k}?
Who said that {k} {p}?
Who spoke to me of {k}?
Who mentioned {k} to me?
Whose words were it that {k} {p}?
""",
        """
when I heard the rumour about {k}
when somebody told me about {k}
as I was being told about {k}
""",
    ),
}

WHEN_STEP = """
What time was it {q}?
At what time was it {q}?
What step was it {q}?
What did the clock show {q}?
Which hour of my life was it {q}?
"""

WHEN_DATE = """
What day was it {q}?
What was the date {q}?
Which day was it {q}?
On what date was it {q}?
Which calendar day was it {q}?
"""
