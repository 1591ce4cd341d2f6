"""A person's own texts as events: diaries, notes, chat exports and lives become sentences with times.

It reads and cuts; it remembers nothing. Begin with reading.py, then plain.py, dates.py and sentences.py.
"""
