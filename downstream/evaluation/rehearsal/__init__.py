"""`mimbench eval --rehearse`: every job of a matrix takes a few real steps before any is run."""
