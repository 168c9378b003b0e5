"""The reference implementation held against the model: worlds, labels, logs.

The only part of `refimpl` that knows the model.  `docs/conformance.md` describes it.
"""
