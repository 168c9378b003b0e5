"""Bounded model checking: schedules one by one, what the scenario leaves open symbolic."""
