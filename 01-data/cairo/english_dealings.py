"""One-off facts about people in English: numbers, birthdays, promises, debts, meetings, rumours.

Slots: k who (of rumours: what) is asked about, a the answer; of rumours n who said it, p what. Data only.
"""

# kind: (statements, questions, clauses)
FACTS = {
    "phone": (
        """
{k}'s phone number ends in {a}.
I must remember that the phone of {k} ends in {a}.
{k} gave me a number that ends in {a}.
The last digits of {k}'s number are {a}.
I wrote down {k}'s number, which ends in {a}.
I noted that {k}'s phone number ends in {a}.
The end of the phone number of {k} is {a}.
To reach {k}, dial a number with {a} at the end.
{k} can be reached on a number ending in {a}.
I saved the number of {k}, with {a} at the end.
When I call {k}, the last digits that I dial are {a}.
The phone number of {k} has {a} as its last digits.
I noted the last digits of {k}'s phone: {a}.
The number that I dial to reach {k} ends in {a}.
I wrote down the end of {k}'s phone number: {a}.
""",
        """
What does {k}'s phone number end in?
Which digits end the phone number of {k}?
What are the last digits of {k}'s number?
How does the phone number of {k} end?
With which digits does {k}'s number end?
What is the end of {k}'s phone number?
What digits do I dial last when I call {k}?
Which digits did I write down for {k}?
What number must I dial at the end to call {k}?
Which digits did I note for {k}'s phone?
With what digits can I reach {k}?
In what does the phone number of {k} end?
What does the number of {k} end in?
What comes last in {k}'s phone number?
Which digits stand at the end of {k}'s number?
How does {k}'s number end?
What did I write down as the end of {k}'s number?
Which are the last digits of {k}'s phone?
Which number ending did I save for {k}?
What digits must I dial to reach {k}?
Which last digits did I note for {k}?
Which digits stand last in {k}'s phone number?
Which number did I write down for {k}?
What must I dial last to reach {k}?
""",
        """
when I wrote down {k}'s phone number
when I learned how {k}'s phone number ends
when I noted {k}'s phone number
while I was writing down the number of {k}
as I wrote down {k}'s number
when {k} gave me a phone number
at the moment I saved {k}'s number
when I was told the number of {k}
as I learned the last digits of {k}'s number
while {k} gave me a phone number
as I saved {k}'s phone number
as I noted the number of {k}
""",
    ),
    "birthday": (
        """
{k}'s birthday is on {a}.
{k} was born on {a}.
{k} will celebrate a birthday on {a}.
I found out that {k} has a birthday on {a}.
I marked {a} as the birthday of {k}.
On {a} it is {k}'s birthday.
The birthday of {k} falls on {a}.
The date of {k}'s birthday is {a}.
I noted {a} as {k}'s day of birth.
{k} told me about being born on {a}.
On {a} I must congratulate {k}.
In the calendar I marked {k}'s birthday on {a}.
{a} is the birthday of {k}.
I noted the date of {k}'s birthday: {a}.
For {k}'s birthday I marked {a}.
""",
        """
When is {k}'s birthday?
On which day was {k} born?
What is the date of {k}'s birthday?
When does {k} celebrate a birthday?
When was {k} born?
On which day should I congratulate {k}?
On which date is {k}'s birthday?
What day is {k}'s birthday?
On what date was {k} born?
What is {k}'s date of birth?
When must I congratulate {k}?
Which date did I note for {k}'s birthday?
What day did I mark as the birthday of {k}?
On which day of the year was {k} born?
When is the birthday of {k}?
On what day does {k} celebrate?
On which day does {k} have a birthday?
When does the birthday of {k} come?
Which day of the year is {k}'s birthday?
On which date must I congratulate {k}?
What is the day of {k}'s birthday?
Which date did I mark for {k}'s birthday?
Which day did I mark for {k}'s birthday?
On what day of the year is the birthday of {k}?
""",
        """
when I learned the date of {k}'s birthday
when I heard on which day {k} was born
when I noted {k}'s birthday
while I was marking the birthday of {k}
as I heard about {k}'s birthday
when I found out {k}'s birthday
when I was told the birthday of {k}
at the moment I learned {k}'s date of birth
as I marked {k}'s birthday in the calendar
while I was told {k}'s date of birth
as I learned on which day {k} was born
as I noted the birthday of {k}
""",
    ),
    "promise": (
        """
I promised {k} to {a}.
I gave {k} my word to {a}.
{k} made me promise to {a}.
There is a promise between {k} and me: to {a}.
I swore to {a} for {k}.
{k} has my promise that I will {a}.
I told {k} that I would {a}, and I swore it.
{k} expects me to {a}, as I promised.
My promise to {k} is to {a}.
I have to {a}, for {k} has my word.
I must keep my word to {k} and {a}.
What I promised {k} is to {a}.
{k} has my word that I will {a}.
I promised that I would {a} for {k}.
I swore to {k} that I would {a}.
""",
        """
What did I promise {k}?
What have I promised to do for {k}?
What is my promise to {k}?
What did I give {k} my word to do?
What must I do to keep my promise to {k}?
Which promise did I make to {k}?
What did I swear to do for {k}?
What does {k} expect of me?
What have I sworn to {k}?
What is {k} expecting from me?
What did {k} make me promise?
What did I tell {k} that I would do?
What is it that I gave {k} my word to do?
What promise did I give {k}?
Which promise does {k} have from me?
What must I do for {k}?
What did I say I would do for {k}?
What is the promise between {k} and me?
For what does {k} have my word?
What do I have to do for {k}?
What have I promised {k}?
What did I swear that I would do for {k}?
What does {k} expect me to do?
What did I swear to {k}?
""",
        """
when I promised something to {k}
when I gave {k} my word
when I made {k} a promise
as I gave {k} my word
while I was giving {k} my word
when I swore something to {k}
at the moment I promised {k} something
while I was making my promise to {k}
when {k} made me promise something
at the moment I swore something to {k}
as I swore something to {k}
as I was making {k} a promise
""",
    ),
    "debt": (
        """
I borrowed {a} from {k}.
I owe {k} {a}.
{k} lent me {a}.
My debt to {k} is {a}.
I must pay back {a} to {k}.
{k} gave me {a}, and I must pay it back.
I am in debt to {k}: {a}.
I got {a} from {k} as a loan.
{k} will want {a} back from me.
I have to give {k} back the sum of {a}.
The sum that I owe {k} is {a}.
I needed money and took {a} from {k}.
I owe a sum of {a} to {k}.
I took a loan of {a} from {k}.
I took {a} from {k} and must pay it back.
""",
        """
How much do I owe {k}?
What did I borrow from {k}?
How much did {k} lend me?
How large is my debt to {k}?
What must I pay back to {k}?
How much money did I take from {k}?
What do I owe {k}?
What sum do I owe {k}?
Which sum did {k} lend me?
How many pounds did {k} lend me?
How many pounds did I borrow from {k}?
How much did I borrow from {k}?
How much must I give back to {k}?
What is my debt to {k}?
How much did I get from {k}?
What sum must I pay back to {k}?
How much money did {k} give me?
How deep am I in debt to {k}?
What loan did I get from {k}?
How many pounds must I pay back to {k}?
Which sum do I owe to {k}?
How much money do I owe {k}?
How many pounds do I owe {k}?
Which sum did I get from {k}?
""",
        """
when I borrowed money from {k}
when {k} lent me money
while {k} was lending me money
as I was borrowing money from {k}
while I was taking a loan from {k}
when I got a loan from {k}
at the moment {k} gave me money
as {k} lent me money
when I came to owe {k} money
as I got a loan from {k}
while I was borrowing money from {k}
as I was taking money from {k}
""",
    ),
    "meeting": (
        """
I agreed to meet {k} in {a}.
{k} will wait for me in {a}.
My meeting with {k} will be in {a}.
{k} and I will see each other in {a}.
Next month I will meet {k} in {a}.
{k} and I agreed on a meeting in {a}.
I arranged to see {k} in {a}.
I am to see {k} in {a} soon.
{a} is where I will meet {k}.
{a} is the place of my meeting with {k}.
We will meet in {a}, {k} and I.
I must go to {a} to meet {k}.
In {a} I am to see {k} next month.
{k} and I arranged to meet in {a}.
I am to meet {k} in {a} next month.
""",
        """
Where will I meet {k}?
Where did I agree to meet {k}?
Where will {k} wait for me?
In which place is my meeting with {k}?
Where will {k} and I see each other?
What is the place of my meeting with {k}?
Where am I to meet {k}?
Where must I go to see {k}?
Where will {k} meet me?
Where should I wait for {k}?
Where does {k} expect me?
Where is my meeting with {k}?
In which place will {k} wait for me?
Where have {k} and I arranged to meet?
What place did {k} and I agree on?
To which place must I go for {k}?
In what place am I to see {k}?
Where did I arrange to see {k}?
Where will my meeting with {k} be?
Where must I wait for {k}?
To what place must I go to meet {k}?
In which place did I arrange to meet {k}?
Where must I go to meet {k}?
Where am I to see {k}?
""",
        """
when I agreed to meet {k}
when I arranged the meeting with {k}
while I was arranging to meet {k}
as I agreed to see {k}
while {k} and I were agreeing on a place
when {k} and I arranged to meet
at the moment I agreed to a meeting with {k}
as {k} and I agreed to meet
while I was arranging a meeting with {k}
while {k} and I were arranging a meeting
as I arranged to meet {k}
as I was arranging to see {k}
""",
    ),
    "said": (
        """
{n} told me that {k} {p}.
I heard from {n} that {k} {p}.
According to {n}, {k} {p}.
{n} says that {k} {p}.
In passing {n} mentioned that {k} {p}.
I was told by {n} that {k} {p}.
{n} spread the rumour that {k} {p}.
The words of {n} were that {k} {p}.
From {n} I know that {k} {p}.
It was {n} who said that {k} {p}.
{n} let me know that {k} {p}.
A rumour from {n}: {k} {p}.
I have it from {n} that {k} {p}.
In the words of {n}, {k} {p}.
It was {n} who mentioned to me that {k} {p}.
""",
        """
Who told me that {k} {p}?
Who told me something about {k}?
From whom did I hear that {k} {p}?
From whom do I know about {k}?
Who said that {k} {p}?
Who spoke to me of {k}?
Who mentioned that {k} {p}?
Who was it that spoke of {k}?
From whom is the rumour about {k}?
Who spread the rumour that {k} {p}?
Whose words were about {k}?
By whom was I told that {k} {p}?
Who let me know that {k} {p}?
Who said something about {k}?
From whom did I hear of {k}?
Whose rumour was it that {k} {p}?
Who talked to me about {k}?
Who was it that told me about {k}?
From whom do I have it that {k} {p}?
Who mentioned to me that {k} {p}?
Who spoke of {k} to me?
From whom did I hear something about {k}?
Who mentioned {k} to me?
Whose words were it that {k} {p}?
""",
        """
when I heard the rumour about {k}
when somebody told me about {k}
while somebody was telling me about {k}
when I was told about {k}
as I heard about {k}
at the moment I heard of {k}
when somebody mentioned {k} to me
as the rumour about {k} reached me
when I was being told of {k}
as somebody mentioned {k}
while I was being told about {k}
as I was being told about {k}
""",
    ),
}
