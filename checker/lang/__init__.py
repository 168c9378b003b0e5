"""The language: front end, compiler, intermediate representation."""
