"""What the controllers of all kinds of instances have in common: pods, claims, configuration, conditions, finalizers.

A kind of instance says what is its own in an `InstanceComponent`; its controller puts shared tasks and tasks of its own together
in one pipeline.
"""
