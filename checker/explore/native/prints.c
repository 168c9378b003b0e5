/* Fingerprints of states, and the table of those that were seen (for hashed.c).
 *
 * The fingerprint is a sum over the words, each mixed with its own constant, mixed once more
 * (Zobrist hashing: A new hashing method with application for game playing, 1970; here with a
 * function instead of tables): a step changes few words, and the sum is changed by these only.
 *
 * The table has one cell for each fingerprint, without wrapping around: some cells more are
 * behind the end.  A fingerprint goes to the first free cell from the place that its fraction of
 * all numbers is in the table.  So growing in place only moves cells up, from the last to the first;
 * those few that would not move up wait until all others have.
 */

#define ROW (NWORDS + 1) /* a state's vector, and the sum over it */
#define SPARE_CELLS 4096
#define HASHED_CHUNK 16

typedef struct pile { /* the states of a layer */
  uint64_t *row;
  size_t room; /* bytes */
  uint64_t count;
} pile;

typedef struct hashed hashed;

typedef struct hasher {
  hashed *s;
  pthread_t thread;
  run run;
  uint64_t src[ROW], v[NWORDS];
  uint64_t pend[PENDING][ROW], print[PENDING];
  unsigned pending;
  uint64_t transitions, failed, expanded, wrong, witnesses;
  coverage covered;
  range left;
} hasher;

struct hashed {
  uint8_t stops[NSTOPS + 1], sites[NSITES + 1];
  uint64_t *cell, cells, grow_at;
  size_t room;
  pile now, next;
  uint64_t layers, begun, max_memory;
  uint64_t cursor, end; /* rows of this layer to be claimed */
  range left[MAX_WORKERS];
  unsigned lefts, taken, workers;
  int stop, dead, full, finished;
  hasher *hasher;
  _Alignas(64) uint64_t count; /* fingerprints */
};

INLINE uint64_t word_print(uint64_t word, unsigned i) {
  return mix(mix(word + (i + 1) * 0x9e3779b97f4a7c15u) ^ (i + 1) * 0xd1342543de82ef95u);
}

INLINE uint64_t fingerprint(uint64_t sum) {
  uint64_t print = mix(sum);
  return print ? print : 1; /* 0 is a free cell */
}

/* ------------------------------------------------------------------------- the table */

INLINE uint64_t print_place(const hashed *s, uint64_t print) { return among(print, s->cells); }

/* 1 new, 0 known, -1 no room. */
INLINE int insert_print(hashed *s, uint64_t print) {
  uint64_t *cell = s->cell + print_place(s, print), *end = s->cell + s->cells + SPARE_CELLS;
  for (; cell < end; cell++) {
    uint64_t seen = relaxed_load(cell);
    if (seen == 0 && __atomic_compare_exchange_n(cell, &seen, print, 0, __ATOMIC_RELAXED,
                                                 __ATOMIC_RELAXED))
      return 1;
    if (seen == print)
      return 0;
  }
  return -1;
}

static uint64_t hashed_bytes(const hashed *s) {
  uint64_t rows = relaxed_load(&s->now.count) + relaxed_load(&s->next.count);
  return sizeof *s + s->workers * sizeof(hasher) + (s->cells + SPARE_CELLS) * 8 + rows * ROW * 8;
}

static void set_cells(hashed *s, uint64_t cells) {
  s->cells = cells;
  s->grow_at = cells / 16 * 13;
}

/* By half, in place; nobody inserts.  0: there is no more memory, nothing has changed. */
static int grow_prints(hashed *s) {
  uint64_t old = s->cells, cells = old + old / 2;
  roots wait = {0};
  int ok = 1;
  if ((cells + SPARE_CELLS) * 8 > s->room ||
      (s->max_memory && hashed_bytes(s) + (cells - old) * 8 > s->max_memory))
    return 0;
  want_huge(s->cell, (cells + SPARE_CELLS) * 8);
  set_cells(s, cells);
  for (uint64_t from = old + SPARE_CELLS; ok && from-- > 0;) {
    uint64_t print = s->cell[from];
    if (print == 0)
      continue;
    s->cell[from] = 0;
    if (print_place(s, print) < from)
      ok = push_root(&wait, print);
    else
      ok = insert_print(s, print) == 1;
  }
  for (size_t i = 0; ok && i < wait.count; i++)
    ok = insert_print(s, wait.item[i]) == 1;
  free(wait.item);
  if (!ok)
    s->dead = 1; /* some are lost */
  return ok;
}
