"""What docs/extending.md shows: a method, a target, a masker, a task, a protocol and a command."""
