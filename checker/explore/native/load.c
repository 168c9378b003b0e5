/* A saved search (save.c) put into an engine that has not begun.
 *
 * Numbers that some worker had taken from a table but not used ("spare") are holes: their values
 * are nothing, or repeat others.  Loading closes them: the last values move there, and the
 * pairs and roots that name these are changed.
 *
 * Loading trusts nothing that it can check: sizes, that every number is below its table's count,
 * that no state is there twice, that events name stored states.  So a file that was made for
 * another program is refused and not followed out of bounds.
 */

enum { LOADED = 0, UNFIT = 1, TOO_LARGE = 3 };

typedef struct reader {
  const uint64_t *word;
  uint64_t count, at;
  int bad; /* it ended early, or something in it cannot be */
} reader;

static uint64_t take(reader *in) {
  if (in->at >= in->count) {
    in->bad = 1;
    return 0;
  }
  return in->word[in->at++];
}

/* A number that is to be at most so much; for a count of things of `each` words, no more than
 * are left. */
static uint64_t take_upto(reader *in, uint64_t most, uint64_t each) {
  uint64_t x = take(in);
  if (x > most || (each && x > (in->count - in->at) / each)) {
    in->bad = 1;
    return 0;
  }
  return x;
}

static void take_constants(reader *in) {
  unsigned n;
  const uint64_t *fixed = constants(&n);
  for (unsigned i = 0; i < n; i++)
    in->bad |= take(in) != fixed[i];
}

/* The holes of a table while it is loaded, and then what moved to where. */
typedef struct moved {
  uint32_t from[MAX_WORKERS], to[MAX_WORKERS];
  unsigned n, holes;
  uint32_t count; /* numbers from here on moved, or are no more */
} moved;

/* Sizes of the sections; the holes go to `to`, if there is a list of them for each node. */
static void take_tables(reader *in, engine *e, moved *holes) {
  uint64_t room = e->states.order_room / sizeof *e->states.order;
  e->states.count = take_upto(in, room < MOST_CELLS ? room : MOST_CELLS, 0);
  in->bad |= take(in) != e->tree.nodes;
  for (unsigned node = 0; node < e->tree.nodes && !in->bad; node++) {
    table *own = &e->tree.tables[node];
    in->bad |= take(in) != own->width;
    uint64_t count = take_upto(in, own->room < UINT32_MAX ? own->room : UINT32_MAX, 0);
    uint64_t n = take_upto(in, MAX_WORKERS, 1);
    in->bad |= count == 0;
    own->count = count ? (uint32_t)count : 1;
    for (uint64_t i = 0; i < n; i++) {
      uint64_t hole = take(in);
      in->bad |= hole == 0 || hole >= count;
      if (holes)
        holes[node].to[holes[node].holes++] = (uint32_t)hole;
    }
  }
}

static int compare_numbers(const void *left, const void *right) {
  uint32_t a = *(const uint32_t *)left, b = *(const uint32_t *)right;
  return a < b ? -1 : a > b;
}

/* Close the holes of a table, from the last to the first; 0 if they are not what they should be. */
static int close_holes(table *own, moved *m) {
  uint32_t hole[MAX_WORKERS];
  memcpy(hole, m->to, sizeof hole);
  qsort(hole, m->holes, sizeof *hole, compare_numbers);
  for (unsigned i = m->holes; i-- > 0;) {
    uint32_t last = own->count - 1;
    if (i + 1 < m->holes && hole[i] == hole[i + 1])
      return 0;
    own->count--;
    if (hole[i] == last)
      continue;
    memcpy(own->value + (uint64_t)hole[i] * own->width, own->value + (uint64_t)last * own->width,
           own->width * sizeof *own->value);
    unsigned k = 0;
    while (k < m->n && m->to[k] != last)
      k++;
    if (k == m->n) /* else it has come there from further behind */
      m->from[m->n++] = last;
    m->to[k] = hole[i];
  }
  m->count = own->count;
  return 1;
}

static uint32_t now_at(const moved *m, uint32_t number) {
  for (unsigned i = 0; number >= m->count && i < m->n; i++)
    if (m->from[i] == number)
      return m->to[i];
  return number;
}

static uint64_t root_now(const engine *e, const moved *all, uint64_t root) {
  unsigned left = e->tree.half[0], right = e->tree.half[1];
  return pair_of(left == MAX_NODES ? left_of(root) : now_at(&all[left], left_of(root)),
                 right == MAX_NODES ? right_of(root) : now_at(&all[right], right_of(root)));
}

/* 0 if there is no memory. */
static int take_position(reader *in, engine *e) {
  worker *w = &e->worker[0];
  uint64_t count = e->states.count;
  e->next = take_upto(in, count, 0);
  e->layer_end = take_upto(in, count, 0);
  e->finished = (int)take_upto(in, 1, 0);
  e->mask_bits = take(in);
  e->looking = take(in);
  w->transitions = take(in);
  w->failed = take(in);
  w->broken_bits = take(in);
  w->seen_witnesses = take(in);
  in->bad |= e->next > e->layer_end || (NWITNESSES < 64 && e->looking >> NWITNESSES % 64);
  uint64_t layers = take_upto(in, count, 1), before = 0;
  for (uint64_t i = 0; i < layers && !in->bad; i++) {
    uint64_t first = take_upto(in, count - 1, 0);
    in->bad |= i == 0 ? first != 0 : first <= before;
    if (!begin_layer(e, first))
      return 0;
    before = first;
  }
  in->bad |= (layers == 0) != (count == 0);
  e->lefts = take_upto(in, MAX_WORKERS, 2);
  for (uint64_t i = 0; i < e->lefts; i++) {
    e->left[i].begin = take(in);
    e->left[i].end = take_upto(in, count, 0);
    in->bad |= e->left[i].begin > e->left[i].end;
  }
  return 1;
}

static int take_carried(reader *in, engine *e, const moved *now, stripe *all) {
  uint64_t n = take_upto(in, e->states.count, 2);
  e->carrying_count = 0;
  for (uint64_t i = 0; i < n; i++) {
    uint64_t root = root_now(e, now, take(in)), mask = take(in);
    in->bad |= root == 0;
    if (root && !add_carry(e, stripe_of(all, root), root, mask))
      return 0;
  }
  return 1;
}

static void take_marks(reader *in, uint8_t *marks, size_t n) {
  for (size_t i = 0; i < n; i++)
    marks[i] = (uint8_t)take_upto(in, 255, 0);
}

static int take_events(reader *in, engine *e, const moved *now) {
  uint64_t n = take_upto(in, UINT32_MAX - 1, 6);
  for (uint64_t i = 0; i < n && !in->bad; i++) {
    uint64_t kind = take_upto(in, WITNESS, 0), a = take(in), b = take(in), count = take(in);
    uint64_t depth = take_upto(in, e->layers, 0);
    event_class *one = event_class_of(&e->events, kind, a, b, depth);
    uint64_t goals = take_upto(in, UINT64_MAX, 3);
    if (one == NULL)
      return 0;
    in->bad |= one->count != 0 || count == 0 || goals == 0;
    one->count = count;
    for (uint64_t j = 0; j < goals; j++) {
      goal what = {root_now(e, now, take(in)), 0, 0};
      what.thread = take(in);
      what.final = take(in);
      what.final = what.final ? root_now(e, now, what.final) : 0;
      if (!add_goal(&e->events, one, what))
        return 0;
    }
  }
  return 1;
}

/* Everything behind the tables; 0 if there is no memory. */
static int take_rest(reader *in, engine *e, const moved *now) {
  worker *w = &e->worker[0];
  int ok = take_position(in, e) && take_carried(in, e, now, e->carried);
  uint64_t carried = e->carrying_count;
  ok = ok && take_carried(in, e, now, e->carrying);
  e->carried_count = carried;
  take_marks(in, w->covered.blocks, NBLOCKS);
  take_marks(in, w->covered.strays, NSITES);
  take_marks(in, w->covered.broken_faults, NFAULTS);
  ok = ok && take_events(in, e, now);
  e->sorted = 0;
  return ok;
}

/* Take the sizes in the notes of a saved search into an engine that has not begun.  LOADED: now
 * its sections are to be filled, and ge_loaded called; otherwise it is only good to be freed. */
int ge_load(engine *e, const uint64_t *notes, uint64_t count) {
  reader in = {notes, count, 0, 0};
  if (e->states.count || e->layers)
    return UNFIT;
  take_constants(&in);
  if (!in.bad)
    take_tables(&in, e, NULL);
  if (in.bad)
    return UNFIT;
  uint64_t size = e->states.count * 14; /* with their index, at about its fullest */
  for (unsigned node = 0; node < e->tree.nodes; node++)
    size += (uint64_t)e->tree.tables[node].count * (e->tree.tables[node].width * 8 + 6);
  return e->max_memory && size > e->max_memory ? TOO_LARGE : LOADED;
}

static int valid_number(const engine *e, unsigned node, uint32_t number) {
  return number && number < e->tree.tables[node].count;
}

static int valid_root(const engine *e, uint64_t root) {
  const tree *s = &e->tree;
  return (s->half[0] == MAX_NODES ? left_of(root) == 1
                                  : valid_number(e, s->half[0], left_of(root))) &&
         (s->half[1] == MAX_NODES ? right_of(root) == 1
                                  : valid_number(e, s->half[1], right_of(root)));
}

/* Name in pairs what moved below them; 0 if they name what is not there. */
static int mend_pairs(engine *e, unsigned node, const moved *all) {
  unsigned left = e->tree.left[node], right = e->tree.right[node];
  table *own = &e->tree.tables[node];
  for (uint32_t number = 1; number < own->count; number++) {
    uint64_t *pair = &own->value[number];
    *pair = pair_of(now_at(&all[left], left_of(*pair)), now_at(&all[right], right_of(*pair)));
    if (!valid_number(e, left, left_of(*pair)) || !valid_number(e, right, right_of(*pair)))
      return 0;
  }
  return 1;
}

/* Build the index of a table: as grow_table does, which doubles what it finds. */
static int index_table(engine *e, table *own) {
  uint64_t cells = (uint64_t)own->low + 1;
  while (cells - cells / 4 <= (uint64_t)own->count + e->workers + 1)
    cells *= 2;
  if (cells > (uint64_t)own->low + 1)
    own->low = (uint32_t)(cells / 2 - 1);
  return grow_table(own, NULL, 0);
}

/* The states into their table; UNFIT if one is there twice. */
static int index_states(engine *e, const moved *all) {
  states *s = &e->states;
  const uint64_t ahead = 16;
  while (s->count + slack(e) >= s->grow_at)
    if (!resize_states(s))
      return TOO_LARGE;
  for (uint64_t i = 0; i < s->count; i++) {
    if (i + ahead < s->count)
      fetch_line(s, hash_root(root_now(e, all, s->order[i + ahead])));
    s->order[i] = root_now(e, all, s->order[i]);
    if (!valid_root(e, s->order[i]) || !index_root(s, i))
      return UNFIT;
  }
  return LOADED;
}

static int stored(const engine *e, uint64_t root) {
  return root && find_place(&e->states, root) != UINT64_MAX;
}

static int valid_events(const engine *e) {
  static const uint64_t most[] = {0, NFAULTS, NINVARIANTS, UINT64_MAX, NINVARIANTS, NWITNESSES};
  for (size_t i = 0; i < e->events.count; i++) {
    const event_class *one = &e->events.list[i];
    if (one->kind < FAULT || one->kind > WITNESS || one->a >= most[one->kind])
      return 0;
    for (size_t j = 0; j < one->ngoals; j++) {
      const goal *what = &one->goals[j];
      int alone = what->thread == NOBODY;
      if (!stored(e, what->source) || (what->final && !stored(e, what->final)) ||
          (!alone && what->thread >= NTHREADS) || (alone && one->kind == FAULT) ||
          (!alone && one->kind > INVARIANT) ||
          (!alone && one->kind == INVARIANT && what->final == 0))
        return 0;
    }
  }
  return 1;
}

static int valid_carried(const engine *e, const stripe *all) {
  for (unsigned i = 0; i < STRIPES; i++)
    for (size_t j = 0; j < all[i].cells; j++)
      if (all[i].cell[j].root && !stored(e, all[i].cell[j].root))
        return 0;
  return 1;
}

/* The tables and the states, as they should be. */
static int mend(engine *e, moved *all) {
  for (unsigned node = 0; node < e->tree.nodes; node++) {
    table *own = &e->tree.tables[node]; /* children come before their parents */
    if (!close_holes(own, &all[node]) || (node >= e->tree.leaves && !mend_pairs(e, node, all)))
      return UNFIT;
    if (!index_table(e, own))
      return TOO_LARGE;
  }
  return index_states(e, all);
}

/* The sections are filled: check them, build the indexes, and take what else is in the notes. */
int ge_loaded(engine *e, const uint64_t *notes, uint64_t count) {
  reader in = {notes, count, 0, 0};
  moved *all = calloc(MAX_NODES, sizeof *all);
  if (all == NULL)
    return TOO_LARGE;
  take_constants(&in);
  take_tables(&in, e, all);
  int status = in.bad ? UNFIT : mend(e, all);
  if (status == LOADED && !take_rest(&in, e, all))
    status = TOO_LARGE;
  free(all);
  if (status == LOADED && (in.bad || in.at != in.count))
    status = UNFIT;
  if (status == LOADED && !(valid_events(e) && valid_carried(e, e->carried) &&
                            valid_carried(e, e->carrying)))
    status = UNFIT;
  return status;
}
