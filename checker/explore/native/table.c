/* The set of visited states: the order array, and an index of 32-bit cells into it.
 *
 * The order array holds the states' roots, those of one depth consecutively; it never moves.  A
 * state is number + 1 of its root there, which a cell of the index holds together with as many
 * bits of the root's hash as there is room for (`tag`), so that probing seldom reads a root
 * that is not the wanted one.  A line of the index, one cache line, has 16 cells; a root belongs
 * to the line at the same fraction of the index as its hash of all hashes, and goes to the
 * first free cell from there on.
 *
 * Insertion is one compare-and-swap (Laarman, van de Pol, Weber: Boosting multi-core reachability
 * performance with shared hash tables, FMCAD 2010).  A worker writes the root to a place of the
 * order array that is its own, and only then publishes the number (release; readers load cells
 * with acquire).  If another worker took the cell for the same root, the place is kept for the
 * next.  Workers take places in blocks; what is left of these when all have finished is filled
 * with what stands last (close_blocks), so outside a job there are no holes.
 *
 * The index grows while all workers stand still, and is then built anew in place from the order
 * array.  A number has to fit into a cell: beyond MOST_CELLS the index cannot grow.
 */

#define LINE 16            /* cells of a cache line */
#define BLOCK 64           /* places that a worker takes at once */
#define MIDDLING (1 << 20) /* lines: larger indexes grow by less */
#ifndef MOST_CELLS
#define MOST_CELLS 0xfffffff0u /* a multiple of LINE */
#endif

typedef struct block { /* places of the order array that are one worker's own */
  uint64_t next, end;
} block;

typedef struct states {
  uint32_t *cell;
  uint64_t lines;    /* in use */
  uint32_t low;      /* mask of a cell's bits for the number */
  uint64_t grow_at;  /* places */
  size_t room;       /* bytes of address space of cell */
  uint64_t *order;   /* roots in order of discovery; 0 where there is none */
  size_t order_room; /* bytes */
  int huge;
  _Alignas(64) uint64_t count; /* places taken; states, outside a job */
} states;

INLINE uint64_t hash_root(uint64_t root) { return mix(root + 0x9e3779b97f4a7c15u); }

INLINE void fetch_line(const states *s, uint64_t hash) {
  __builtin_prefetch(s->cell + among(hash, s->lines) * LINE, 1);
}

/* When the line is there: the first of its cells that may be the root's, LINE if there is none.
 * Fetches the root that is probably the wanted one. */
INLINE unsigned fetch_candidate(const states *s, uint64_t hash) {
  const uint32_t *cell = s->cell + among(hash, s->lines) * LINE;
  uint32_t low = s->low, tag = (uint32_t)hash & ~low;
  for (unsigned i = 0; i < LINE; i++) {
    uint32_t seen = relaxed_load(&cell[i]);
    if (seen == 0)
      return i;
    if (((seen ^ tag) & ~low) == 0) {
      __builtin_prefetch(&s->order[(seen & low) - 1]);
      return i;
    }
  }
  return LINE;
}

INLINE uint64_t next_line(const states *s, uint64_t line) {
  return line + 1 == s->lines ? 0 : line + 1;
}

/* Put a root into the set; 1 if it is new.  The first `skip` cells of its line are not its own. */
INLINE int insert_root(states *s, block *own, uint64_t root, uint64_t hash, unsigned skip) {
  uint32_t low = s->low, tag = (uint32_t)hash & ~low;
  for (uint64_t line = among(hash, s->lines);; line = next_line(s, line), skip = 0) {
    uint32_t *cell = s->cell + line * LINE;
    for (unsigned i = skip; i < LINE; i++) {
      uint32_t seen = __atomic_load_n(&cell[i], __ATOMIC_ACQUIRE);
      if (seen == 0) {
        if (own->next == own->end) {
          own->next = relaxed_add(&s->count, BLOCK);
          own->end = own->next + BLOCK;
        }
        uint64_t *place = &s->order[own->next];
        *place = root;
        if (likely(__atomic_compare_exchange_n(&cell[i], &seen, (uint32_t)(own->next + 1) | tag, 0,
                                               __ATOMIC_RELEASE, __ATOMIC_ACQUIRE))) {
          own->next++;
          return 1;
        }
        *place = 0; /* somebody was faster; `seen` is what they put there */
      }
      if (((seen ^ tag) & ~low) == 0 && s->order[(seen & low) - 1] == root)
        return 0;
    }
  }
}

/* The place of a root; UINT64_MAX if it is not stored. */
INLINE uint64_t find_place(const states *s, uint64_t root) {
  uint64_t hash = hash_root(root);
  uint32_t low = s->low, tag = (uint32_t)hash & ~low;
  for (uint64_t line = among(hash, s->lines);; line = next_line(s, line)) {
    const uint32_t *cell = s->cell + line * LINE;
    for (unsigned i = 0; i < LINE; i++) {
      uint32_t seen = __atomic_load_n(&cell[i], __ATOMIC_ACQUIRE);
      if (seen == 0)
        return UINT64_MAX;
      if (((seen ^ tag) & ~low) == 0 && s->order[(seen & low) - 1] == root)
        return (seen & low) - 1;
    }
  }
}

/* --------------------------------------------------------------- while nobody inserts */

/* The root at `from`, the last one, moves to a free place. */
static void move_root(states *s, uint64_t from, uint64_t to) {
  uint64_t root = s->order[from], hash = hash_root(root);
  uint32_t wanted = (uint32_t)(from + 1) | ((uint32_t)hash & ~s->low);
  for (uint64_t line = among(hash, s->lines);; line = next_line(s, line))
    for (uint32_t *cell = s->cell + line * LINE, *end = cell + LINE; cell < end; cell++)
      if (*cell == wanted) {
        *cell = (uint32_t)(to + 1) | ((uint32_t)hash & ~s->low);
        s->order[to] = root;
        s->order[from] = 0;
        return;
      }
}

/* Fill what is left of a worker's block; when this was done for all, there are no holes. */
static void close_block(states *s, block *own) {
  for (uint64_t hole = own->next; hole < own->end; hole++) {
    while (s->count > hole && s->order[s->count - 1] == 0)
      s->count--;
    if (hole < s->count)
      move_root(s, --s->count, hole);
  }
  own->next = own->end = 0;
}

/* Places that may be taken before the index should grow, and those that it can bear. */
static uint64_t most_states(uint64_t lines) { return lines * LINE - lines * LINE / 8; }
static uint64_t last_states(uint64_t lines) { return lines * LINE - lines * LINE / 32; }

static void set_lines(states *s, uint64_t lines) {
  uint64_t low = 1;
  while (low < last_states(lines))
    low = 2 * low + 1;
  s->lines = lines;
  s->low = (uint32_t)low;
  s->grow_at = most_states(lines);
}

/* Enter the root at a place into the index; 0 if it is there already. */
INLINE int index_root(states *s, uint64_t place) {
  uint64_t root = s->order[place], hash = hash_root(root);
  uint32_t low = s->low, tag = (uint32_t)hash & ~low;
  for (uint64_t line = among(hash, s->lines);; line = next_line(s, line))
    for (uint32_t *cell = s->cell + line * LINE, *end = cell + LINE; cell < end; cell++) {
      if (*cell == 0) {
        *cell = (uint32_t)(place + 1) | tag;
        return 1;
      }
      if (((*cell ^ tag) & ~low) == 0 && s->order[(*cell & low) - 1] == root)
        return 0;
    }
}

/* A cell into an index that others are filling too, and that has nothing equal. */
INLINE void put_cell(states *s, uint64_t hash, uint32_t value) {
  for (uint64_t line = among(hash, s->lines);; line = next_line(s, line)) {
    uint32_t *cell = s->cell + line * LINE;
    for (unsigned i = 0; i < LINE; i++) {
      uint32_t seen = relaxed_load(&cell[i]);
      if (seen == 0 && __atomic_compare_exchange_n(&cell[i], &seen, value, 0, __ATOMIC_RELAXED,
                                                   __ATOMIC_RELAXED))
        return;
    }
  }
}

static int new_states(states *s, unsigned workers, uint64_t memory) {
  uint64_t lines = 1024;
  while (lines * LINE / 32 < (uint64_t)(workers + 1) * (PENDING + BLOCK))
    lines *= 2;
  s->room = s->order_room = memory;
  s->cell = reserve(&s->room);
  s->order = reserve(&s->order_room);
  if (s->cell == NULL || s->order == NULL || s->room < lines * LINE * sizeof *s->cell ||
      s->order_room < lines * LINE * sizeof *s->order || lines * LINE > MOST_CELLS)
    return 0;
  set_lines(s, lines);
  return 1;
}

static void free_states(states *s) {
  if (s->cell)
    munmap(s->cell, s->room);
  if (s->order)
    munmap(s->order, s->order_room);
}

/* A quarter or a half more, no more than there can be: what is free in a large index is a good
 * part of what it costs. */
static uint64_t lines_after(const states *s) {
  uint64_t lines = s->lines + s->lines / (s->lines < MIDDLING ? 2 : 4), most = MOST_CELLS;
  if (s->room / sizeof *s->cell < most)
    most = s->room / sizeof *s->cell;
  if (s->order_room / sizeof *s->order < most)
    most = s->order_room / sizeof *s->order;
  return lines < most / LINE ? lines : most / LINE;
}

/* A larger index with nothing in it; 0 if it is as large as it can be.  All workers stand still. */
static int resize_states(states *s) {
  uint64_t lines = lines_after(s);
  if (lines <= s->lines)
    return 0;
  memset(s->cell, 0, s->lines * LINE * sizeof *s->cell);
  if (!s->huge && lines * LINE * sizeof *s->cell > 2 * HUGE_PAGE) {
    want_huge(s->cell, s->room);
    want_huge(s->order, s->order_room);
    s->huge = 1;
  }
  set_lines(s, lines);
  return 1;
}

/* Enter the roots at some places, all different, into an index that others are filling too. */
static void index_places(states *s, uint64_t from, uint64_t places) {
  const uint64_t ahead = 16, to = from + places < s->count ? from + places : s->count;
  for (uint64_t i = from; i < to; i++) {
    uint64_t root = s->order[i], hash = hash_root(root);
    uint32_t cell = (uint32_t)(i + 1) | ((uint32_t)hash & ~s->low);
    if (i + ahead < to)
      fetch_line(s, hash_root(s->order[i + ahead]));
    if (root)
      put_cell(s, hash, cell);
  }
}
