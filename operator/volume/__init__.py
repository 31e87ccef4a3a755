"""Volumes that are changed in place through the API of their cloud.

`modifier` says what such a cloud offers, `modification` where the change of one volume is, `aws` and `azure` are two clouds,
`pacing` keeps them from being asked too often, and `clouds` opens those that an operator was told to use.
"""
