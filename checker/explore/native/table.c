/* The set of visited states: open addressing over 64-bit roots, one cache line a probe.
 *
 * A line has 8 cells; a root belongs to the line at the same fraction of the table as its hash
 * of all hashes, and goes to the first free cell from there on.  Insertion is one
 * compare-and-swap (Laarman, van de Pol, Weber: Boosting multi-core reachability performance
 * with shared hash tables, FMCAD 2010).  Nothing is read through a root before the workers have
 * met at the end of a layer, so relaxed order will do.
 *
 * Growth in place: the place of a hash only moves up when the table grows, so going
 * through the lines from the last to the first, everything moves to lines already done.  No
 * second table is needed, and both ends move through memory in order.
 */

#define LINE 8 /* cells of a cache line */

typedef struct states {
  uint64_t *cell;
  uint64_t lines;    /* in use */
  uint64_t grow_at;  /* states */
  size_t room;       /* bytes of address space of cell */
  uint64_t *order;   /* roots in order of discovery */
  size_t order_room; /* bytes */
  int huge;
  _Alignas(64) uint64_t count; /* states in order; workers add what they found in lots */
} states;

INLINE uint64_t hash_root(uint64_t root) { return mix(root + 0x9e3779b97f4a7c15u); }

INLINE uint64_t home(const states *s, uint64_t root) { return among(hash_root(root), s->lines); }

INLINE void fetch_line(const states *s, uint64_t line) {
  __builtin_prefetch(s->cell + line * LINE, 1);
}

/* Put a root into the table; 1 if it is new. */
INLINE int insert_root(states *s, uint64_t root, uint64_t line) {
  for (;;) {
    uint64_t *cell = s->cell + line * LINE;
    for (unsigned i = 0; i < LINE; i++) {
      uint64_t seen = relaxed_load(&cell[i]);
      if (seen == 0 && __atomic_compare_exchange_n(&cell[i], &seen, root, 0, __ATOMIC_RELAXED,
                                                   __ATOMIC_RELAXED))
        return 1;
      if (seen == root)
        return 0;
    }
    line = line + 1 == s->lines ? 0 : line + 1;
  }
}

/* The number of a root's cell; UINT64_MAX if it is not stored. */
INLINE uint64_t find_cell(const states *s, uint64_t root) {
  for (uint64_t line = home(s, root);;) {
    const uint64_t *cell = s->cell + line * LINE;
    for (unsigned i = 0; i < LINE; i++) {
      uint64_t seen = relaxed_load(&cell[i]);
      if (seen == root)
        return line * LINE + i;
      if (seen == 0)
        return UINT64_MAX;
    }
    line = line + 1 == s->lines ? 0 : line + 1;
  }
}

static uint64_t most_states(uint64_t lines) { return lines * LINE / 20 * 17; } /* load 0.85 */

static int new_states(states *s, unsigned workers, uint64_t memory) {
  uint64_t lines = 4096;
  while (lines * LINE / 32 < (uint64_t)(workers + 1) * PENDING)
    lines *= 2;
  s->room = s->order_room = memory;
  s->cell = reserve(&s->room);
  s->order = reserve(&s->order_room);
  if (s->cell == NULL || s->order == NULL || s->room < lines * LINE * 8 ||
      s->order_room < 2 * lines * LINE * 8)
    return 0;
  s->lines = lines;
  s->grow_at = most_states(lines);
  return 1;
}

static void free_states(states *s) {
  if (s->cell)
    munmap(s->cell, s->room);
  if (s->order)
    munmap(s->order, s->order_room);
}

/* A quarter or a half more: what is free in a large table is most of what it costs. */
static uint64_t lines_after(const states *s) {
  return s->lines + s->lines / (s->lines < 65536 ? 2 : 4);
}

/* Grow in place.  All workers stand still. */
static int grow_states(states *s) {
  uint64_t old = s->lines, lines = lines_after(s), most = s->order_room / sizeof *s->order;
  if (lines * LINE * 8 > s->room || most_states(lines) > most || 2 * s->count > most)
    return 0;
  /* Roots that would move down, to lines not done yet, wait at the far end of the order array's
   * address space: those that stand far behind their home near the begin of the table, and
   * those that find no room at its end.  They are few, unless the hash is bad. */
  uint64_t *wait = s->order + most;
  if (!s->huge && lines * LINE * 8 > 2 * HUGE_PAGE) {
    want_huge(s->cell, s->room);
    want_huge(s->order, s->order_room);
    s->huge = 1;
  }
  s->lines = lines;
  for (uint64_t from = old; from-- > 0;) {
    uint64_t line[LINE];
    memcpy(line, s->cell + from * LINE, sizeof line);
    memset(s->cell + from * LINE, 0, sizeof line);
    for (unsigned i = 0; i < LINE && line[i]; i++) {
      uint64_t to = home(s, line[i]), end;
      if (to < from) {
        end = lines;
      } else {
        for (end = to; end < lines; end++) {
          uint64_t *cell = s->cell + end * LINE;
          unsigned j = 0;
          while (j < LINE && cell[j])
            j++;
          if (j < LINE) {
            cell[j] = line[i];
            break;
          }
        }
      }
      if (end == lines)
        *--wait = line[i];
    }
  }
  for (; wait < s->order + most; wait++)
    (void)insert_root(s, *wait, home(s, *wait));
  s->grow_at = most_states(lines);
  return 1;
}
