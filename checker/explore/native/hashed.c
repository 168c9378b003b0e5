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
 */

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
      w->covered.broken_faults[r->fault] = 1;
    }
    enabled |= kind != R_BLOCKED;
    cover(&w->covered, r, kind == R_BLOCKED ? BLOCK_TRIED : BLOCK_TAKEN);
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
  for (unsigned i = 0; s->hasher && i < s->workers; i++)
    free_coverage(&s->hasher[i].covered);
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
    ok = new_coverage(&w->covered) && ok;
    w->run.stops = s->stops;
    w->run.sites = s->sites;
    w->run.strays = w->covered.strays;
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
  const coverage all = {blocks, strays, broken_faults};
  clear_coverage(&all);
  for (unsigned i = 0; i < s->workers; i++)
    add_coverage(&all, &s->hasher[i].covered);
}
