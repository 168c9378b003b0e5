/* The search with fingerprints: of a visited state only a hash of 64 bits is kept (Wolper, Leroy:
 * Reliable hashing without collision detection, CAV 1993; Stern, Dill: Improved probabilistic
 * verification by hash compaction, CHARME 1995).
 *
 * Breadth first, one layer after the other; the states of this layer and of the next are whole
 * vectors, so every state that is expanded is real, and so is a violation.  A state is left
 * out, with what only it leads to, if its fingerprint is another's: with n states, and
 * fingerprints like random numbers, the probability that this happens at all is at most
 * n (n - 1) / 2 / 2^64.
 *
 * The search ends with the layer in which something is wrong.  So no state that is expanded has
 * a broken invariant behind it, and none of what search.c does about that is needed.  What is
 * wrong, and how one comes there, is for a lossless search to say.
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
  uint8_t *blocks, *strays, *broken_faults;
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

/* ---------------------------------------------------------------------------- layers */

static int keep_rows(hashed *s, const uint64_t *row, uint64_t n) {
  uint64_t at = relaxed_add(&s->next.count, n);
  if ((at + n) * ROW * 8 > s->next.room)
    return 0;
  memcpy(s->next.row + at * ROW, row, n * ROW * 8);
  return 1;
}

static void insert_hashed(hasher *w) {
  hashed *s = w->s;
  unsigned fresh = 0;
  int ok = 1;
  for (unsigned i = 0; i < w->pending; i++) {
    int result = insert_print(s, w->print[i]);
    ok &= result >= 0;
    if (result == 1) {
      if (fresh != i)
        memcpy(w->pend[fresh], w->pend[i], sizeof w->pend[i]);
      fresh++;
    }
  }
  w->pending = 0;
  if (fresh) {
    uint64_t count = relaxed_add(&s->count, fresh) + fresh;
    ok &= keep_rows(s, &w->pend[0][0], fresh);
    if (count + 2 * (uint64_t)s->workers * PENDING >= s->grow_at ||
        (s->max_memory && hashed_bytes(s) > s->max_memory))
      relaxed_store(&s->stop, 1);
  }
  if (!ok) {
    relaxed_store(&s->dead, 1);
    relaxed_store(&s->stop, 1);
  }
}

INLINE uint64_t changed_words(hasher *w, unsigned from, unsigned to) {
  uint64_t more = 0;
  for (unsigned i = from; i < to; i++)
    if (w->v[i] != w->src[i])
      more += word_print(w->v[i], i) - word_print(w->src[i], i);
  return more;
}

static void hashed_stop(hasher *w, unsigned t) {
  uint64_t sum = w->src[NWORDS] + changed_words(w, 0, SHARED_WORDS) +
                 changed_words(w, thread_word[t], thread_word[t + 1]);
  uint64_t *row = w->pend[w->pending], print = fingerprint(sum);
  w->transitions++;
  if (NINVARIANTS && broken(w->v))
    w->wrong |= 1u << INVARIANT;
  memcpy(row, w->v, sizeof w->v);
  row[NWORDS] = sum;
  w->print[w->pending++] = print;
  __builtin_prefetch(w->s->cell + print_place(w->s, print), 1);
  if (w->pending == PENDING)
    insert_hashed(w);
}

/* All outcomes of one thread; was it enabled? */
static int hashed_thread(hasher *w, unsigned t) {
  run *r = &w->run;
  int enabled = 0;
  r->script = 0;
  do {
    r->made = r->npath = r->overflow = 0;
    int kind = step(t, w->v, r);
    if (kind == R_STOP) {
      hashed_stop(w, t);
    } else if (kind == R_FAULT) {
      w->transitions++;
      w->failed++;
      w->wrong |= 1u << FAULT;
    } else if (kind == R_BROKEN) {
      w->broken_faults[r->fault] = 1;
    }
    enabled |= kind != R_BLOCKED;
    uint32_t n = r->overflow ? PATH_CAP : r->npath;
    for (uint32_t i = 0; i < n; i++)
      w->blocks[r->path[i]] |= kind == R_BLOCKED ? BLOCK_TRIED : BLOCK_TAKEN;
    memcpy(w->v, w->src, SHARED_WORDS * sizeof *w->v);
    for (unsigned i = thread_word[t]; i < thread_word[t + 1]; i++)
      w->v[i] = w->src[i];
  } while (r->made && next_choices(r));
  return enabled;
}

static void hashed_state(hasher *w, const uint64_t *row) {
  int enabled = 0;
  memcpy(w->src, row, sizeof w->src);
  memcpy(w->v, row, sizeof w->v);
  if (NWITNESSES)
    w->witnesses |= witnessed(w->src);
  for (unsigned t = 0; t < NTHREADS; t++)
    if (pc_of(t, w->src))
      enabled |= hashed_thread(w, t);
  w->expanded++;
  if (enabled)
    return;
  uint64_t key;
  int stuck = deadlocked(w->src, &key);
  uint64_t bad = NINVARIANTS ? broken_at_end(w->src) : 0;
  if (stuck)
    bad &= ~(uint64_t)TERMINAL_ONLY;
  w->wrong |= (uint64_t)(stuck != 0) << DEADLOCK | (uint64_t)(bad != 0) << AT_END;
}

static int claim_rows(hashed *s, range *out) {
  unsigned mine = relaxed_load(&s->taken);
  if (relaxed_load(&s->stop))
    return 0;
  if (mine < s->lefts && (mine = relaxed_add(&s->taken, 1)) < s->lefts) {
    *out = s->left[mine];
    return 1;
  }
  uint64_t begin = relaxed_load(&s->cursor);
  do {
    if (begin >= s->end)
      return 0;
    out->begin = begin;
    out->end = begin + HASHED_CHUNK < s->end ? begin + HASHED_CHUNK : s->end;
  } while (!__atomic_compare_exchange_n(&s->cursor, &begin, out->end, 1, __ATOMIC_RELAXED,
                                        __ATOMIC_RELAXED));
  return 1;
}

static void *hash_on(void *argument) {
  hasher *w = argument;
  hashed *s = w->s;
  range todo;
  while (claim_rows(s, &todo))
    for (uint64_t at = todo.begin; at < todo.end; at++) {
      if (relaxed_load(&s->stop)) {
        w->left = (range){at, todo.end};
        break;
      }
      hashed_state(w, s->now.row + at * ROW);
    }
  insert_hashed(w);
  return NULL;
}

static void keep_rest(hashed *s) {
  unsigned n = 0;
  for (unsigned i = s->taken; i < s->lefts; i++)
    s->left[n++] = s->left[i];
  for (unsigned i = 0; i < s->workers; i++) {
    range *left = &s->hasher[i].left;
    if (left->begin < left->end)
      s->left[n++] = *left;
    *left = (range){0, 0};
  }
  s->lefts = n;
  s->taken = 0;
}

static void next_hashed_layer(hashed *s) {
  pile old = s->now;
  (void)madvise(old.row, old.room, MADV_DONTNEED);
  s->now = s->next;
  s->next = (pile){old.row, old.room, 0};
  s->cursor = 0;
  s->layers += s->now.count > 0;
}

/* -------------------------------------------------------------------- what Python calls */

void gh_free(hashed *s) {
  if (s == NULL)
    return;
  for (unsigned i = 0; s->hasher && i < s->workers; i++) {
    free(s->hasher[i].blocks);
    free(s->hasher[i].strays);
    free(s->hasher[i].broken_faults);
  }
  if (s->cell)
    munmap(s->cell, s->room);
  if (s->now.row)
    munmap(s->now.row, s->now.room);
  if (s->next.row)
    munmap(s->next.row, s->next.room);
  free(s->hasher);
  free(s);
}

hashed *gh_new(unsigned workers, uint64_t max_memory) {
  hashed *s = aligned_alloc(64, rounded(sizeof *s));
  if (s == NULL)
    return NULL;
  memset(s, 0, sizeof *s);
  s->workers = workers < 1 ? 1 : workers > MAX_WORKERS ? MAX_WORKERS : workers;
  s->max_memory = max_memory;
  s->room = s->now.room = s->next.room = physical_memory();
  s->cell = reserve(&s->room);
  s->now.row = reserve(&s->now.room);
  s->next.row = reserve(&s->next.room);
  uint64_t cells = 65536;
  while (cells / 8 < (uint64_t)s->workers * PENDING)
    cells *= 2;
  set_cells(s, cells);
  s->hasher = calloc(s->workers, sizeof *s->hasher);
  int ok = s->cell && s->now.row && s->next.row && s->hasher && (cells + SPARE_CELLS) * 8 <= s->room;
  for (unsigned i = 0; s->hasher && i < s->workers; i++) {
    hasher *w = &s->hasher[i];
    w->s = s;
    w->blocks = calloc(NBLOCKS + 1, 1);
    w->strays = calloc(NSITES + 1, 1);
    w->broken_faults = calloc(NFAULTS + 1, 1);
    w->run.stops = s->stops;
    w->run.sites = s->sites;
    w->run.strays = w->strays;
    ok = ok && w->blocks && w->strays && w->broken_faults;
  }
  if (ok)
    return s;
  gh_free(s);
  return NULL;
}

void gh_flags(hashed *s, const uint8_t *stops, const uint8_t *sites) {
  memcpy(s->stops, stops, NSTOPS);
  if (NSITES)
    memcpy(s->sites, sites, NSITES);
}

/* All before the first gh_advance.  1 new, 0 known, -1 memory. */
int gh_initial(hashed *s, const uint64_t *v) {
  hasher *w = &s->hasher[0];
  uint64_t sum = 0;
  for (unsigned i = 0; i < NWORDS; i++)
    sum += word_print(v[i], i);
  if (s->count + (uint64_t)(s->workers + 1) * 2 * PENDING >= s->grow_at && !grow_prints(s))
    return -1;
  int result = insert_print(s, fingerprint(sum));
  if (result != 1)
    return result;
  memcpy(w->pend[0], v, NWORDS * sizeof *v);
  w->pend[0][NWORDS] = sum;
  s->count++;
  if (NINVARIANTS && broken(v))
    w->wrong |= 1u << INVARIANT;
  return keep_rows(s, w->pend[0], 1) ? 1 : -1;
}

/* Expand up to about so many states of this layer.  0: it is not finished; 1: it is; 2: there is
 * no state left; 3: memory. */
int gh_advance(hashed *s, uint64_t budget) {
  unsigned started = 1;
  if (s->finished)
    return 2;
  if (!s->begun) {
    next_hashed_layer(s);
    s->begun = 1;
  }
  if (s->count + 2 * (uint64_t)s->workers * PENDING >= s->grow_at && !grow_prints(s))
    s->full = 1;
  if (s->max_memory && hashed_bytes(s) > s->max_memory)
    s->full = 1;
  if (s->full || s->dead)
    return 3;
  s->stop = 0;
  s->end = s->now.count - s->cursor > budget ? s->cursor + (budget ? budget : 1) : s->now.count;
  uint64_t size = s->end - s->cursor;
  while (started < s->workers && size > SMALL &&
         pthread_create(&s->hasher[started].thread, NULL, hash_on, &s->hasher[started]) == 0)
    started++;
  (void)hash_on(&s->hasher[0]);
  for (unsigned i = 1; i < started; i++)
    pthread_join(s->hasher[i].thread, NULL);
  keep_rest(s);
  if (s->dead)
    return 3;
  if (s->cursor < s->now.count || s->lefts)
    return 0;
  next_hashed_layer(s);
  if (s->now.count)
    return 1;
  s->finished = 1;
  return 2;
}

/* 0 states, 1 transitions, 2 of which failed, 3 layers, 4 states waiting, 5 bytes in use,
 * 6 what is wrong (bits by the kinds of events), 7 witnesses seen (bits) */
void gh_stats(hashed *s, uint64_t out[8]) {
  uint64_t expanded_rows = 0;
  memset(out, 0, 8 * sizeof *out);
  for (unsigned i = 0; i < s->workers; i++) {
    const hasher *w = &s->hasher[i];
    out[1] += w->transitions;
    out[2] += w->failed;
    expanded_rows += w->expanded;
    out[6] |= w->wrong;
    out[7] |= w->witnesses;
  }
  out[0] = s->count;
  out[3] = s->layers;
  out[4] = s->count - expanded_rows;
  out[5] = hashed_bytes(s);
}

void gh_coverage(hashed *s, uint8_t *blocks, uint8_t *strays, uint8_t *broken_faults) {
  memset(blocks, 0, NBLOCKS);
  memset(strays, 0, NSITES);
  memset(broken_faults, 0, NFAULTS);
  for (unsigned i = 0; i < s->workers; i++) {
    const hasher *w = &s->hasher[i];
    for (size_t j = 0; j < NBLOCKS; j++)
      blocks[j] |= w->blocks[j];
    for (size_t j = 0; j < NSITES; j++)
      strays[j] |= w->strays[j];
    for (size_t j = 0; j < NFAULTS; j++)
      broken_faults[j] |= w->broken_faults[j];
  }
}
