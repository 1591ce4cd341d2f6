"""One-off facts about things in English: what was hidden, bought, lent out, and what opens a door.

Slots: k the thing (what is asked about), a the answer. Data only.
"""

# kind: (statements, questions, clauses)
FACTS = {
    "hide": (
        """
I hid the {k} {a}.
I put the {k} {a}, so that nobody finds it.
The {k} is now hidden {a}.
I have a secret: the {k} lies {a}.
I left the {k} {a} and told nobody.
Nobody knows that the {k} is {a}.
For safety I have put the {k} {a}.
The hiding place of the {k} is {a}.
I have hidden the {k} {a}.
If I ever look for the {k}, it is {a}.
Nobody saw me: I laid the {k} {a}.
My secret is safe, with the {k} {a}.
As nobody saw me, I hid the {k} {a}.
Out of sight, the {k} now lies {a}.
Nobody saw me as I left the {k} {a}.
""",
        """
Where did I hide the {k}?
Where is the {k} hidden?
Where did I put the {k}?
In what hiding place is the {k}?
Where should I look for the {k}?
Where does the {k} lie?
What is the hiding place of the {k}?
Where have I hidden the {k}?
Where is the {k}?
Where can I find the {k}?
Where is the {k} to be found?
Where was the {k} left?
In which place did I hide the {k}?
Where have I put the {k}?
Where must I look to find the {k}?
Where did the {k} go when I hid it?
Which place holds the {k}?
Where is the secret place of the {k}?
Where did I leave and hide the {k}?
In what place did I leave the {k}?
Where does the {k} lie hidden?
In which hiding place can I find the {k}?
Where can the {k} be found?
Where did I leave the {k}?
""",
        """
when I hid the {k}
when I put the {k} out of sight
while I was hiding the {k}
as I hid the {k}
at the moment when I hid the {k}
when I put the {k} in its hiding place
when I was putting the {k} out of sight
when the {k} was hidden
at the moment I put the {k} in a secret place
as I put the {k} out of sight
at the moment when I was hiding the {k}
as I was hiding the {k}
""",
    ),
    "code": (
        """
The code for the {k} is {a}.
They set the {k} code to {a}.
To open the {k}, one types {a}.
I learned the code of the {k}: {a}.
The {k} has {a} as its code.
With {a} the {k} opens.
The digits for the {k} are {a}.
The {k} needs the digits {a}.
I type {a} when I open the {k}.
The new code of the {k} is {a}.
They told me that the {k} code is {a}.
Whoever types {a} can open the {k}.
The code {a} opens the {k}.
I was told to type {a} at the {k}.
The {k} opens with the digits {a}.
""",
        """
What is the code for the {k}?
Which code opens the {k}?
How do I open the {k}?
What must I type to open the {k}?
Which digits open the {k}?
What is the {k} code?
What code do I need for the {k}?
Which digits do I type at the {k}?
What digits open the {k}?
Which code does the {k} have?
What is the code of the {k}?
What did they set as the code for the {k}?
With which digits does the {k} open?
What code was set for the {k}?
Which code was I told for the {k}?
What digits does the {k} need to open?
How can the {k} be opened?
What must be typed at the {k}?
Which code did I learn for the {k}?
To which digits did they set the {k} code?
Which digits do I need to open the {k}?
What do I type at the {k}?
To what did they set the code of the {k}?
Which four digits does the {k} need?
""",
        """
when I learned the code for the {k}
when they set the {k} code
when I was told the {k} code
as they set the code of the {k}
while they were setting the {k} code
when the code for the {k} was set
as I learned the {k} code
at the moment I learned how to open the {k}
when they told me the code for the {k}
while I was told the code of the {k}
as the {k} code was set
as I was told the code of the {k}
""",
    ),
    "lent": (
        """
I lent my {k} to {a}.
{a} borrowed my {k}.
My {k} is now with {a}, who needs it.
I gave {a} my {k} for a while.
{a} has my {k} on loan.
I let {a} take my {k}.
{a} asked for my {k}, and I lent it.
I handed my {k} to {a} for a few days.
My {k} went home with {a}.
{a} needed my {k} and took it.
Until I get it back, {a} has my {k}.
For a while my {k} is in the hands of {a}.
My {k} is on loan to {a}.
{a} borrowed my {k} for a few days.
{a} took my {k} home on loan.
""",
        """
Who did I lend my {k} to?
Who borrowed my {k}?
Who has my {k}?
To whom did I give my {k} for a while?
With whom is my {k}?
Who took my {k}?
To whom did I lend my {k}?
Who has my {k} on loan?
Whom did I lend my {k}?
Who got my {k} from me?
Into whose hands did I give my {k}?
Who must give me back my {k}?
With whom did my {k} go home?
Who needed my {k}?
Who is using my {k} now?
Who asked me for my {k}?
Whom do I ask to get my {k} back?
Who was given my {k}?
To whom is my {k} lent?
Whose hands is my {k} in?
Who borrowed my {k} from me?
From whom do I get my {k} back?
From whom must I get back my {k}?
In whose hands is my {k}?
""",
        """
when I lent out my {k}
when somebody borrowed my {k}
while I was lending my {k}
as I lent my {k}
when I gave my {k} to somebody for a while
at the moment I handed over my {k}
as somebody took my {k} home
while I was giving my {k} away on loan
while somebody was borrowing my {k}
as I was lending out my {k}
when somebody took my {k} on loan
as I was giving away my {k} for a while
""",
    ),
    "price": (
        """
I paid {a} for the {k}.
I bought the {k} for {a}.
The {k} cost me {a}.
The seller got {a} from me for the {k}.
I spent {a} on the {k}.
The price of the {k} was {a}.
I gave the seller {a} for the {k}.
The {k} is mine for {a}.
It took {a} to buy the {k}.
The seller wanted {a} for the {k}, and I paid.
I bought myself the {k} and paid {a}.
The {k} was sold to me for {a}.
The seller sold me the {k} for {a}.
To buy the {k} I paid {a}.
For the {k} I spent {a}.
""",
        """
How much did I pay for the {k}?
What did the {k} cost me?
For how much did I buy the {k}?
What was the price of the {k}?
How much money went to the {k}?
How much did the seller of the {k} get?
How much did I spend on the {k}?
How many pounds did I pay for the {k}?
What did I pay for the {k}?
How much did the {k} cost?
What sum did I pay for the {k}?
How much money did I spend to buy the {k}?
What was paid for the {k}?
What price did the {k} have?
At what price did I buy the {k}?
How much was the {k}?
How many pounds went to the seller of the {k}?
How much did I give for the {k}?
For what sum was the {k} sold to me?
How many pounds did I spend on the {k}?
What did the seller get for the {k}?
At what price was the {k} sold to me?
What did I spend on the {k}?
How many pounds did the {k} cost?
""",
        """
when I bought the {k}
when I paid for the {k}
while I was buying the {k}
as I paid for the {k}
when the {k} was sold to me
at the moment I bought the {k}
when I spent money on the {k}
while I was paying for the {k}
as I bought the {k}
as I was paying for the {k}
when I gave the seller money for the {k}
as I was buying the {k}
""",
    ),
}
