"""What the controllers of all kinds of groups have in common: revisions, names, services, counts, conditions, steps.

A kind of group says what is its own in a `GroupComponent`; its controller puts shared tasks and tasks of its own together in one
pipeline.
"""
