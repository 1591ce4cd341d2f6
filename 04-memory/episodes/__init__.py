"""Episodic memory: events on disk, written once, found again by the most recent match."""
