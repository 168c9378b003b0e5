/* Exports of a toy's own functions, for the test's own search.  Comes after the engine. */
int toy_step(unsigned t, uint64_t *v, run *r) { return step(t, v, r); }
unsigned toy_pc(unsigned t, const uint64_t *v) { return pc_of(t, v); }
uint64_t toy_ask(int which, const uint64_t *v) {
  return which == 0 ? broken(v) : which == 1 ? unseen(v) : which == 2 ? broken_at_end(v) : witnessed(v);
}
