"""A cluster for tests and demos: an API server in this process, and time that can be made to fly."""
