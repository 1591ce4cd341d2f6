"""Recall tasks from the literature, in the row format of lives."""
