"""A controller runtime for asyncio."""

if __name__ != "controller_runtime":
    raise ImportError(f"import this package as 'controller_runtime', not {__name__!r}")
