"""Our weights in other libraries' names: the way back of `dialects/`."""
