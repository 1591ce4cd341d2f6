"""How English questions name a time, and how they ask for it.

Slots: T a step, D a date, H and Y hours and days in words, q what is asked. No phrase
holds another number. Data only.
"""

PHRASES = {
    "step": """
at time {T}
at step {T}
at the time {T}
when the clock showed {T}
at {T} on the clock
when the clock said {T}
when the time was {T}
at hour {T}
in hour {T}
at step number {T}
at the hour {T} of my life
during hour {T} of my life
when my life was at step {T}
when it was hour {T}
at step {T} of my life
when the time on the clock was {T}
in hour {T} of my life
at hour number {T}
""",
    "date": """
on {D}
all day on {D}
during the whole day of {D}
on the date of {D}
throughout the day of {D}
on the day of {D}
all through {D}
from morning to night on {D}
during all of {D}
when the date was {D}
the whole of {D}
all day long on {D}
throughout the whole of {D}
during the day on {D}
throughout {D}
""",
    "hours": """
{H} ago
exactly {H} ago
{H} earlier
{H} before now
{H} back from now
looking back {H}
just {H} ago
at the hour {H} before now
{H} in the past
{H} earlier than now
when it was {H} earlier
exactly {H} before this hour
exactly {H} back
just {H} earlier
{H} back
""",
    "days": """
{Y} ago
all day long {Y} ago
on the day that was {Y} ago
on the day {Y} before today
{Y} back from today
throughout the day {Y} ago
on the day {Y} ago
{Y} before today
the whole day {Y} ago
during the day {Y} ago
{Y} earlier than today
all day {Y} before today
on the day {Y} back
throughout the day {Y} before today
{Y} back
""",
    "yesterday": """
yesterday
all day yesterday
during the day before today
the whole of yesterday
throughout the day before today
on the day before today
all of yesterday
during yesterday
the whole day yesterday
all through yesterday
from morning to night yesterday
all day long yesterday
during the whole of yesterday
all through the day before today
throughout yesterday
""",
    "week": """
last week
all of last week
during the whole of last week
every day of last week
the whole of last week
all through last week
throughout the week before this
during all of last week
on every day of last week
in the course of last week
from the beginning to the end of last week
all last week
throughout the whole of last week
during last week
throughout last week
""",
}

# Of a change: {q} is inverted.
WHEN_STEP = """
When {q}?
At what time {q}?
At which step {q}?
At which hour of my life {q}?
At what hour {q}?
In which hour {q}?
At which time {q}?
At what step {q}?
At what moment {q}?
At which point {q}?
At which moment in time {q}?
In what hour of my life {q}?
At which point in my life {q}?
At which moment of my life {q}?
At what point in time {q}?
"""

WHEN_DATE = """
On which day {q}?
On what date {q}?
On which date {q}?
On what day {q}?
On which day of the calendar {q}?
On what calendar date {q}?
On which day of the year {q}?
On exactly which date {q}?
On exactly which day {q}?
On which day and date {q}?
On what day of the calendar {q}?
On which date in the calendar {q}?
On what calendar day {q}?
On exactly what date {q}?
On which calendar day {q}?
"""

# Of a one-off fact: {q} is a clause.
FACT_WHEN_STEP = """
What time was it {q}?
At what time was it {q}?
What step was it {q}?
What did the clock show {q}?
What was the time {q}?
What hour was it {q}?
Which step was it {q}?
Which hour was it {q}?
What did the clock say {q}?
What time did the clock show {q}?
At which step of my life was I {q}?
What was the hour {q}?
In which hour of my life was I {q}?
At which step was it {q}?
Which hour of my life was it {q}?
"""

FACT_WHEN_DATE = """
What day was it {q}?
What was the date {q}?
Which day was it {q}?
On what date was it {q}?
What date was it {q}?
Which date was it {q}?
What did the calendar say {q}?
What day did the calendar show {q}?
On which day was it {q}?
Which day of the calendar was it {q}?
What calendar date was it {q}?
On what day was it {q}?
What date did the calendar show {q}?
On which calendar date was it {q}?
Which calendar day was it {q}?
"""
