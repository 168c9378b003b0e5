"""Symbolic execution of the IR with z3.  Nothing outside this folder and the proofs uses z3."""
