/* Expanding states: every outcome of every thread, the same way for the search and all later
 * passes, which differ only in what they do with an outcome (`outcome`, below).
 *
 * Loading a state reads only what differs from the state loaded before; neighbours in the order
 * array share most of their trees.  A successor is found by the words that changed: compared are
 * the shared ones and the thread's own. */

INLINE void load_state(worker *w, uint64_t root) {
  const tree *s = &w->e->tree;
  uint64_t need[NODE_BITS] = {0};
  w->source = root;
  if (s->half[0] != MAX_NODES && w->number_of[s->half[0]] != left_of(root)) {
    w->number_of[s->half[0]] = left_of(root);
    set_bit(need, s->half[0]);
  }
  if (s->half[1] != MAX_NODES && w->number_of[s->half[1]] != right_of(root)) {
    w->number_of[s->half[1]] = right_of(root);
    set_bit(need, s->half[1]);
  }
  for (unsigned i = NODE_BITS; i-- > 0;) {
    while (need[i]) { /* from the highest: parents before children */
      unsigned bit = 63 - (unsigned)__builtin_clzll(need[i]);
      unsigned node = i * 64 + bit;
      need[i] &= ~((uint64_t)1 << bit);
      const table *own = &s->tables[node];
      uint32_t number = w->number_of[node];
      const uint64_t *value = own->value + (uint64_t)number * own->width;
      w->now[node] = number;
      if (node < s->leaves) {
        unsigned word = s->word[node];
        for (unsigned k = 0; k < own->width; k++)
          w->src[word + k] = w->v[word + k] = value[k];
      } else {
        unsigned left = s->left[node], right = s->right[node];
        if (w->number_of[left] != left_of(*value)) {
          w->number_of[left] = left_of(*value);
          set_bit(need, left);
        }
        if (w->number_of[right] != right_of(*value)) {
          w->number_of[right] = right_of(*value);
          set_bit(need, right);
        }
      }
    }
  }
}

/* Fetch the nodes below a state's root, that will be loaded soon; with `deep`, when those
 * are there, the next ones. */
INLINE void fetch_state(const tree *s, uint64_t root, int deep) {
  const unsigned *node = s->half;
  uint32_t number[2] = {left_of(root), right_of(root)};
  for (unsigned i = 0; i < 2; i++) {
    if (node[i] == MAX_NODES)
      continue;
    const table *own = &s->tables[node[i]];
    const uint64_t *value = own->value + (uint64_t)number[i] * own->width;
    if (!deep) {
      __builtin_prefetch(value);
    } else if (node[i] >= s->leaves) {
      const table *left = &s->tables[s->left[node[i]]], *right = &s->tables[s->right[node[i]]];
      __builtin_prefetch(left->value + (uint64_t)left_of(*value) * left->width);
      __builtin_prefetch(right->value + (uint64_t)right_of(*value) * right->width);
    }
  }
}

typedef struct change {
  uint64_t words[WORD_BITS]; /* that differ */
  uint64_t nodes[NODE_BITS]; /* that are, or are above, such leaves */
} change;

/* What a step of thread t changed; or what is different in another state of the orbit of what it
 * led to. */
INLINE void compare(worker *w, unsigned t, change *c) {
  const tree *s = &w->e->tree;
  memset(c, 0, sizeof *c);
  if (unlikely(w->e->symmetry != NULL) && canonical(w->e->symmetry, w->v)) {
    differing(w->v, w->src, 0, NWORDS, c->words);
  } else {
    differing(w->v, w->src, 0, SHARED_WORDS, c->words);
    differing(w->v, w->src, thread_word[t], thread_word[t + 1], c->words);
  }
  for (unsigned i = 0; i < WORD_BITS; i++)
    for (uint64_t bits = c->words[i]; bits; bits &= bits - 1) {
      unsigned leaf = s->leaf_of[i * 64 + (unsigned)__builtin_ctzll(bits)];
      for (unsigned k = 0; k < NODE_BITS; k++)
        c->nodes[k] |= s->above[leaf][k];
    }
}

INLINE uint32_t intern_leaf(worker *w, unsigned leaf) {
  tree *s = &w->e->tree;
  return intern(&s->tables[leaf], &w->spare[leaf], &w->e->stop, w->v + s->word[leaf]);
}

/* Intern v after a step; its root.  Leaves the nodes' numbers in `now`. */
INLINE uint64_t intern_successor(worker *w, const change *c) {
  tree *s = &w->e->tree;
  for (unsigned i = 0; i < NODE_BITS; i++)
    for (uint64_t bits = c->nodes[i]; bits; bits &= bits - 1) {
      unsigned node = i * 64 + (unsigned)__builtin_ctzll(bits);
      if (node < s->leaves) {
        w->now[node] = intern_leaf(w, node);
      } else {
        uint64_t pair = pair_of(w->now[s->left[node]], w->now[s->right[node]]);
        w->now[node] = intern_words(&s->tables[node], &w->spare[node], &w->e->stop, &pair, 1);
      }
    }
  return root_of(s, w->now);
}

/* Make `v` the source's again, and `now`. */
INLINE void undo_words(worker *w, const change *c) {
  for (unsigned i = 0; i < WORD_BITS; i++)
    for (uint64_t bits = c->words[i]; bits; bits &= bits - 1) {
      unsigned word = i * 64 + (unsigned)__builtin_ctzll(bits);
      w->v[word] = w->src[word];
    }
}

INLINE void undo_nodes(worker *w, const change *c) {
  for (unsigned i = 0; i < NODE_BITS; i++)
    for (uint64_t bits = c->nodes[i]; bits; bits &= bits - 1) {
      unsigned node = i * 64 + (unsigned)__builtin_ctzll(bits);
      w->now[node] = w->number_of[node];
    }
}

INLINE void restore(worker *w, unsigned t) {
  memcpy(w->v, w->src, SHARED_WORDS * sizeof *w->v);
  for (unsigned i = thread_word[t]; i < thread_word[t + 1]; i++)
    w->v[i] = w->src[i];
}

/* What the job does with outcomes; nonzero: nothing more is wanted from this state. */
static void search_stop(worker *w, unsigned t, const change *c);
static int search_fault(worker *w, unsigned t);
static int progress_stop(worker *w, uint64_t root);
static int backward_stop(worker *w, uint64_t root);
static int forward_stop(worker *w, unsigned t, uint64_t root);
static int before_stop(worker *w, uint64_t root);

INLINE int stopped(worker *w, unsigned t, uint64_t root) {
  switch (w->e->job) {
  case PROGRESS:
    return progress_stop(w, root);
  case BACKWARD:
    return backward_stop(w, root);
  case FORWARD:
    return forward_stop(w, t, root);
  default:
    return before_stop(w, root);
  }
}

static int failed(worker *w, unsigned t) {
  switch (w->e->job) {
  case SEARCH:
    return search_fault(w, t);
  case PROGRESS:
    w->mark = w->e->group_full;
    return 1;
  default:
    return 0;
  }
}

/* The next choices, in lexicographic order; 0 if these were the last. */
INLINE int next_choices(run *r) {
  while (r->made && r->choice[r->made - 1] + 1 >= r->count[r->made - 1])
    r->made--;
  if (r->made == 0)
    return 0;
  r->choice[r->made - 1]++;
  r->script = r->made;
  return 1;
}

/* Did the step do something that an exchange does not map to the same blocks? */
static NOINLINE int met_uneven(const worker *w) {
  uint32_t n = w->run.overflow ? PATH_CAP : w->run.npath;
  for (uint32_t i = 0; i < n; i++)
    if (w->e->symmetry->uneven[w->run.path[i]])
      return 1;
  return 0;
}

/* Mark what the images of thread t do in the images of the source.  They lead to images of its
 * successors; only which blocks they take, and what is checked there, cannot be told from t's. */
static NOINLINE void cover_images(worker *w, unsigned t) {
  const symmetry *s = w->e->symmetry;
  uint64_t image[NWORDS + 1], v[NWORDS + 1];
  run *r = &w->run;
  for (size_t i = 1; i < s->orders; i++) {
    const uint8_t *order = s->order + i * NTHREADS;
    exchange(s, order, w->src, image);
    r->script = 0;
    do {
      memcpy(v, image, NWORDS * sizeof *v);
      r->made = r->npath = r->overflow = 0;
      int kind = step(order[t], v, r);
      if (kind == R_BROKEN)
        w->covered.broken_faults[r->fault] = 1;
      cover(&w->covered, r, kind == R_BLOCKED ? BLOCK_TRIED : BLOCK_TAKEN);
    } while (r->made != 0 && next_choices(r));
  }
}

enum { NOT_ENABLED = 0, ENABLED = 1, ENOUGH = 2, FAILED = 4 };

/* All outcomes of one thread. */
static NOINLINE int run_thread(worker *w, unsigned t) {
  engine *e = w->e;
  run *r = &w->run;
  int result = NOT_ENABLED, enough = 0, uneven = 0;
  r->script = 0;
  w->running = t;
  do {
    if (unlikely(relaxed_load(&e->stop)))
      stand_still(e);
    if (unlikely(relaxed_load(&e->dead)))
      return ENOUGH | ENABLED;
    r->made = r->npath = r->overflow = 0;
    int kind = step(t, w->v, r);
    if (kind == R_STOP) {
      change c;
      compare(w, t, &c);
      if (likely(e->job == SEARCH)) {
        search_stop(w, t, &c);
      } else {
        enough = stopped(w, t, intern_successor(w, &c));
        undo_nodes(w, &c);
      }
      undo_words(w, &c);
    } else {
      restore(w, t);
      if (kind == R_FAULT)
        enough = failed(w, t);
      else if (kind == R_BROKEN)
        w->covered.broken_faults[r->fault] = 1;
    }
    if (kind != R_BLOCKED)
      result |= kind == R_STOP ? ENABLED : ENABLED | FAILED;
    if (e->job == SEARCH) {
      cover(&w->covered, r, kind == R_BLOCKED ? BLOCK_TRIED : BLOCK_TAKEN);
      if (unlikely(e->symmetry != NULL))
        uneven |= met_uneven(w);
    }
    if (enough)
      return ENOUGH | ENABLED;
  } while (unlikely(r->made != 0) && next_choices(r));
  if (unlikely(uneven))
    cover_images(w, t);
  return result;
}

/* Ample sets (docs/decisions/0006-ample-sets-and-symmetry.md): a thread is expanded alone if its
 * stop is eligible, it is enabled, no outcome fails, and its stop is compatible with that of every
 * other thread that may move before it does.  One that waits may not if some key of its wait is
 * false (`missing`) and no thread that may move has it in its `sets`. */

#define ENDED UINT32_MAX

typedef struct places {
  uint32_t at[NTHREADS];      /* each thread's stop, or ENDED */
  uint64_t missing[NTHREADS]; /* its false keys, where `asked` */
  uint8_t asked[NTHREADS];
} places;

INLINE uint64_t missing_of(const worker *w, places *p, unsigned t) {
  if (!p->asked[t]) {
    p->asked[t] = 1;
    p->missing[t] = missing(p->at[t], w->src);
  }
  return p->missing[t];
}

INLINE int all_coming(const places *p, unsigned t, const uint64_t *coming) {
  for (uint64_t keys = p->missing[t]; keys; keys &= keys - 1) {
    unsigned key = key_first[p->at[t]] + (unsigned)__builtin_ctzll(keys);
    if (!(coming[key / 64] >> key % 64 & 1))
      return 0;
  }
  return 1;
}

/* Can no thread move that t's stop is not compatible with?  Those all wait; they are looked at
 * together with the others, until nobody else is woken. */
static int none_wakes(const worker *w, places *p, unsigned t, const uint8_t *with) {
  const engine *e = w->e;
  uint64_t coming[KEY_WORDS] = {0};
  uint8_t moves[NTHREADS] = {0};
  for (int changed = 1; changed;) {
    changed = 0;
    for (unsigned u = 0; u < NTHREADS; u++) {
      if (u == t || p->at[u] == ENDED || moves[u])
        continue;
      if (missing_of(w, p, u) && !all_coming(p, u, coming))
        continue;
      if (!with[p->at[u]])
        return 0;
      moves[u] = 1;
      changed = 1;
      for (unsigned k = 0; k < KEY_WORDS; k++)
        coming[k] |= e->sets[(size_t)p->at[u] * KEY_WORDS + k];
    }
  }
  return 1;
}

static int fits(const worker *w, places *p, unsigned t) {
  const uint8_t *with = w->e->compatible + (size_t)p->at[t] * NSTOPS;
  int waiting = 0;
  for (unsigned u = 0; u < NTHREADS; u++)
    if (u != t && p->at[u] != ENDED && !with[p->at[u]]) {
      if (missing_of(w, p, u) == 0)
        return 0;
      waiting = 1;
    }
  return !waiting || none_wakes(w, p, t, with);
}

/* The outcomes of one thread, if one may be expanded alone (then 1).  Those that were tried in
 * vain are in `tried`, and so is one whose outcomes are not enough because some fail. */
static int run_alone(worker *w, uint64_t *tried, int *result) {
  places p;
  memset(p.asked, 0, sizeof p.asked);
  for (unsigned t = 0; t < NTHREADS; t++) {
    unsigned pc = pc_of(t, w->src);
    p.at[t] = pc ? stop_base[t] + pc - 1 : ENDED;
  }
  for (unsigned t = 0; t < NTHREADS; t++) {
    if (p.at[t] == ENDED || !w->e->eligible[p.at[t]] || !fits(w, &p, t))
      continue;
    int found = run_thread(w, t);
    *result |= found;
    set_bit(tried, t);
    if (found != NOT_ENABLED)
      return !(found & FAILED) || found & ENOUGH;
  }
  return 0;
}

/* All outcomes of the loaded state that are wanted. */
static int expand(worker *w) {
  uint64_t tried[(NTHREADS + 63) / 64] = {0};
  int result = NOT_ENABLED;
  if (w->e->eligible && run_alone(w, tried, &result))
    return result;
  for (unsigned t = 0; t < NTHREADS; t++)
    if (pc_of(t, w->src) && !(tried[t / 64] >> t % 64 & 1)) {
      result |= run_thread(w, t);
      if (unlikely(result & ENOUGH))
        break;
    }
  return result;
}

/* Of a state in which no thread has an outcome: is it a deadlock?  Daemons may rest; `key` is a
 * hash of where the threads stand that do not. */
static int unfinished(const worker *w, uint64_t *key) {
  int found = 0;
  *key = 0;
  for (unsigned t = 0; t < NTHREADS; t++) {
    unsigned pc = pc_of(t, w->src);
    if (pc == 0 || (thread_daemon[t] && stop_rests[stop_base[t] + pc - 1]))
      continue;
    found |= !thread_daemon[t];
    *key = mix(*key + mix(stop_base[t] + pc));
  }
  return found;
}
