/* The search: one layer of states after the other.
 *
 * Of a successor only the leaves are interned at once.  What is above, and the table of states,
 * is done for PENDING successors at a time, level by level, in three rounds: fetch the cells,
 * fetch the values that they promise, look.  So the latencies of memory overlap, which are most of the
 * time of a large search (Chen, Ailamaki, Gibbons, Mowry: Improving hash join performance
 * through prefetching, ICDE 2004: group prefetching).  So are the lines of the table of states, and
 * then the roots that they promise.
 *
 * Which invariants count as broken in a state ("mask"): those that are broken in it; and, while
 * an invariant need not hold (its `when` is false), it stays as it was.  By which path?  Of
 * depth d + 1, t has such a bit if every state of depth d with a step to t has it:
 *     mask(t) = broken(t) | (unseen(t) & AND over s -> t of mask(s)).
 * That depends on no order.  broken() is computed again when t is expanded; only the other part
 * is kept, where it is not 0, and only for this layer and the next ("carried").  Two steps to
 * the same t could race: one inserts t, the other takes away bits before they are there.  So
 * where unseen(t) has a bit that any mask of this layer has, a property of t alone, insertion
 * and bits are done under a lock chosen by t's hash.  In layers without masks, the usual case,
 * none of this costs more than a test.
 */

static stripe *stripe_of(stripe *all, uint64_t root) {
  return &all[hash_root(root) & (STRIPES - 1)];
}

static carry *carry_cell(const stripe *s, uint64_t root) {
  if (s->cells == 0)
    return NULL;
  uint64_t at = hash_root(root) >> 8;
  while (s->cell[at & (s->cells - 1)].root && s->cell[at & (s->cells - 1)].root != root)
    at++;
  return &s->cell[at & (s->cells - 1)];
}

/* Under the stripe's lock. */
static int add_carry(engine *e, stripe *s, uint64_t root, uint64_t mask) {
  if (2 * (s->count + 1) > s->cells) {
    stripe more = {.cells = s->cells ? 2 * s->cells : 16};
    more.cell = calloc(more.cells, sizeof *more.cell);
    if (more.cell == NULL)
      return 0;
    for (size_t i = 0; i < s->cells; i++)
      if (s->cell[i].root)
        *carry_cell(&more, s->cell[i].root) = s->cell[i];
    relaxed_add(&e->carried_bytes, (more.cells - s->cells) * sizeof *s->cell);
    free(s->cell);
    s->cell = more.cell;
    s->cells = more.cells;
  }
  *carry_cell(s, root) = (carry){root, mask};
  s->count++;
  relaxed_add(&e->carrying_count, 1);
  return 1;
}

static uint64_t carried_by(const engine *e, uint64_t root) {
  if (e->carried_count == 0)
    return 0;
  const carry *found = carry_cell(stripe_of(e->carried, root), root);
  return found && found->root ? found->mask : 0;
}

/* The layer is done: what was carried to the next one is now carried. */
static void swap_carried(engine *e) {
  stripe *old = e->carried;
  for (unsigned i = 0; e->carried_count && i < STRIPES; i++) {
    e->carried_bytes -= old[i].cells * sizeof *old[i].cell;
    free(old[i].cell);
    old[i].cell = NULL;
    old[i].count = old[i].cells = 0;
  }
  e->carried = e->carrying;
  e->carrying = old;
  e->carried_count = e->carrying_count;
  e->carrying_count = 0;
}

/* ------------------------------------------------------------------------- inserting */

static void note(worker *w, uint64_t kind, uint64_t a, uint64_t b, uint64_t depth, goal what) {
  if (!add_event(&w->events, kind, a, b, depth, what))
    relaxed_store(&w->e->dead, 1);
}

/* The depth of the states being expanded. */
static uint64_t depth_now(const engine *e) { return e->layers - 1; }

/* Insert a pending successor that needs more than that. */
static NOINLINE void insert_extra(worker *w, unsigned at, const extra *x) {
  engine *e = w->e;
  int new;
  uint64_t bits = x->broken, root = w->pend_root[at], hash = w->pend_hash[at];
  for (uint64_t newly = x->newly; newly; newly &= newly - 1)
    note(w, INVARIANT, (uint64_t)__builtin_ctzll(newly), x->path, depth_now(e) + 1,
         (goal){x->source, x->thread, root});
  if (x->unseen == 0) {
    new = insert_root(&e->states, &w->block, root, hash, 0);
  } else {
    stripe *s = stripe_of(e->carrying, root);
    pthread_mutex_lock(&s->lock);
    new = insert_root(&e->states, &w->block, root, hash, 0);
    if (new) {
      if (x->carried && !add_carry(e, s, root, x->carried))
        relaxed_store(&e->dead, 1);
      bits |= x->carried;
    } else {
      carry *found = carry_cell(s, root);
      if (found && found->root)
        found->mask &= x->carried;
    }
    pthread_mutex_unlock(&s->lock);
  }
  if (new)
    w->broken_bits |= bits;
}

#define GROUP 32 /* nodes whose memory is fetched at once */

/* Intern some nodes of one level: while one's memory is on its way, the others. */
INLINE void intern_items(worker *w, const item *item, unsigned n) {
  tree *s = &w->e->tree;
  uint64_t pair[GROUP], hash[GROUP];
  uint32_t guessed[GROUP];
  for (unsigned i = 0; i < n; i++) {
    const uint32_t *number = w->pend[item[i].successor].number;
    unsigned node = item[i].node;
    pair[i] = pair_of(number[s->left[node]], number[s->right[node]]);
    hash[i] = hash_words(&pair[i], 1);
    fetch_cell(&s->tables[node], hash[i]);
  }
  for (unsigned i = 0; i < n; i++)
    guessed[i] = guess(&s->tables[item[i].node], hash[i]);
  for (unsigned i = 0; i < n; i++) {
    unsigned node = item[i].node;
    table *own = &s->tables[node];
    uint32_t number = guessed[i];
    if (unlikely(number == 0 || own->value[number] != pair[i]))
      number = intern_hashed(own, &w->spare[node], &w->e->stop, &pair[i], 1, hash[i]);
    w->pend[item[i].successor].number[node] = number;
  }
}

/* Intern the inner nodes of all pending successors, level by level. */
static void intern_pending(worker *w) {
  for (unsigned level = 0; level < w->e->tree.levels; level++) {
    unsigned n = w->items[level], i = 0;
    for (; i + GROUP < n; i += GROUP)
      intern_items(w, w->item[level] + i, GROUP);
    intern_items(w, w->item[level] + i, n - i);
    w->items[level] = 0;
  }
}

static NOINLINE void insert_pending(worker *w) {
  engine *e = w->e;
  states *s = &e->states;
  uint8_t skip[PENDING];
  if (relaxed_load(&s->count) + slack(e) >= s->grow_at)
    relaxed_store(&e->stop, 1);
  if (unlikely(relaxed_load(&e->stop)))
    stand_still(e);
  if (unlikely(relaxed_load(&e->dead)))
    return;
  intern_pending(w);
  for (unsigned i = 0; i < w->pending; i++) {
    uint64_t root = root_of(&e->tree, w->pend[i].number), hash = hash_root(root);
    w->pend_root[i] = root;
    w->pend_hash[i] = hash;
    fetch_line(s, hash);
  }
  for (unsigned i = 0; i < w->pending; i++)
    skip[i] = (uint8_t)fetch_candidate(s, w->pend_hash[i]);
  for (unsigned i = 0; i < w->pending; i++) {
    uint32_t x = w->pend[i].extra;
    if (unlikely(x))
      insert_extra(w, i, &w->extra[x - 1]);
    else
      (void)insert_root(s, &w->block, w->pend_root[i], w->pend_hash[i], skip[i]);
  }
  w->pending = w->extras = 0;
}

/* -------------------------------------------------------------------------- outcomes */

/* A hash of the step just done: the thread, and the blocks on its way. */
static NOINLINE uint64_t hash_step(const run *r, unsigned t) {
  uint32_t n = r->overflow ? PATH_CAP : r->npath;
  uint64_t hash = mix(t + ((uint64_t)r->npath << 32));
  for (uint32_t i = 0; i < n; i++)
    hash = mix(hash ^ (r->path[i] + 1) * 0x9e3779b97f4a7c15u);
  return hash;
}

static void search_stop(worker *w, unsigned t, const change *c) {
  engine *e = w->e;
  const tree *s = &e->tree;
  unsigned at = w->pending++;
  successor *p = &w->pend[at];
  w->transitions++;
  memcpy(p->number, w->number_of, sizeof p->number);
  p->extra = 0;
  for (unsigned i = 0; i < NODE_BITS; i++) {
    uint64_t leaves = c->nodes[i] & s->leaf_nodes[i];
    for (uint64_t inner = c->nodes[i] & ~s->leaf_nodes[i]; inner; inner &= inner - 1) {
      unsigned node = i * 64 + (unsigned)__builtin_ctzll(inner), level = s->level[node];
      w->item[level][w->items[level]++] = (item){(uint16_t)at, (uint16_t)node};
    }
    for (; leaves; leaves &= leaves - 1) {
      unsigned leaf = i * 64 + (unsigned)__builtin_ctzll(leaves);
      p->number[leaf] = intern_leaf(w, leaf);
    }
  }
  if (NINVARIANTS) {
    uint64_t touched = 0, bad = w->broken, idle = 0, newly;
    for (unsigned k = 0; k < WORD_BITS; k++)
      touched |= c->words[k] & invariant_words[k];
    if (touched)
      bad = broken(w->v);
    newly = bad & ~w->mask;
    if (unlikely(e->mask_bits))
      idle = unseen(w->v) & e->mask_bits;
    if (unlikely(bad | idle)) {
      w->extra[w->extras] = (extra){bad,   idle,      idle & w->mask,
                                    newly, newly ? hash_step(&w->run, t) : 0,
                                    w->source, t};
      p->extra = ++w->extras;
    }
  }
  if (w->pending == PENDING)
    insert_pending(w);
}

static int search_fault(worker *w, unsigned t) {
  w->transitions++;
  w->failed++;
  note(w, FAULT, w->run.fault, 0, depth_now(w->e) + 1, (goal){w->source, t, 0});
  return 0;
}

static void at_rest(worker *w) {
  uint64_t key, depth = depth_now(w->e), bad;
  int stuck = unfinished(w, &key);
  goal here = {w->source, NOBODY, 0};
  if (stuck)
    note(w, DEADLOCK, key, 0, depth, here);
  bad = broken_at_end(w->src) & ~w->mask;
  if (stuck)
    bad &= ~(uint64_t)TERMINAL_ONLY; /* nothing is at rest: the deadlock is the report */
  for (; bad; bad &= bad - 1)
    note(w, AT_END, (uint64_t)__builtin_ctzll(bad), 0, depth, here);
}

static void search_range(worker *w, range todo) {
  engine *e = w->e;
  for (uint64_t at = todo.begin; at < todo.end; at++) {
    if (at + 6 < todo.end)
      fetch_state(&e->tree, e->states.order[at + 6], 0);
    if (at + 3 < todo.end)
      fetch_state(&e->tree, e->states.order[at + 3], 1);
    load_state(w, e->states.order[at]);
    w->mask = w->broken = 0;
    if (unlikely(e->mask_bits)) {
      w->broken = broken(w->src);
      w->mask = w->broken | carried_by(e, w->source);
    }
    if (NWITNESSES && e->looking)
      for (uint64_t bits = witnessed(w->src) & e->looking; bits; bits &= bits - 1) {
        unsigned which = (unsigned)__builtin_ctzll(bits);
        w->seen_witnesses |= (uint64_t)1 << which;
        note(w, WITNESS, which, 0, depth_now(e), (goal){w->source, NOBODY, 0});
      }
    int result = expand(w);
    if (unlikely(relaxed_load(&e->dead))) {
      w->left = (range){at, todo.end};
      return;
    }
    if (!(result & ENABLED))
      at_rest(w);
    w->expanded++;
    if (unlikely(relaxed_load(&e->full))) {
      w->left = (range){at + 1, todo.end};
      return;
    }
  }
}

/* --------------------------------------------------------------------------- layers */

/* Keep what was claimed but not expanded for the next call. */
static void keep_left(engine *e) {
  uint64_t n = 0;
  for (uint64_t i = e->taken; i < e->lefts; i++)
    e->left[n++] = e->left[i];
  for (unsigned w = 0; w < e->workers; w++) {
    range *left = &e->worker[w].left;
    if (left->begin < left->end)
      e->left[n++] = *left;
    *left = (range){0, 0};
  }
  e->lefts = n;
}

static int begin_layer(engine *e, uint64_t first) {
  void *layer = e->layer;
  if (!room_for(&layer, e->layers, &e->layer_room, sizeof *e->layer))
    return 0;
  e->layer = layer;
  e->layer[e->layers++] = first;
  return 1;
}

int ge_advance(engine *e, uint64_t budget) {
  if (e->finished)
    return 2;
  if (e->layers == 0) { /* no initial state */
    e->finished = 1;
    return 2;
  }
  if (e->next == 0)
    e->layer_end = e->states.count;
  if (e->full || e->dead)
    return 3;
  uint64_t end = e->layer_end;
  if (end - e->next > budget)
    end = e->next + (budget ? budget : 1);
  run_job(e, SEARCH, e->next, end);
  e->next = e->cursor;
  keep_left(e);
  for (unsigned i = 0; i < e->workers; i++)
    close_block(&e->states, &e->worker[i].block);
  e->sorted = 0;
  if (e->full || e->dead)
    return 3;
  if (e->next < e->layer_end || e->lefts)
    return 0;
  if (e->states.count > e->layer_end && !begin_layer(e, e->layer_end)) {
    e->dead = 1;
    return 3;
  }
  e->mask_bits = 0;
  for (unsigned i = 0; i < e->workers; i++) {
    worker *w = &e->worker[i];
    e->mask_bits |= w->broken_bits;
    w->broken_bits = 0;
    e->looking &= ~w->seen_witnesses;
  }
  if (e->carried_count | e->carrying_count)
    swap_carried(e);
  if (e->states.count == e->layer_end) {
    e->finished = 1;
    return 2;
  }
  e->layer_end = e->states.count;
  return 1;
}

int ge_initial(engine *e, const uint64_t *state) {
  worker *w = &e->worker[0];
  uint64_t v[NWORDS + 1];
  if (e->next || e->finished || e->full || e->dead)
    return -1;
  if (e->states.count + slack(e) >= e->states.grow_at)
    e->stop = 1;
  e->active = 1;
  if (e->stop)
    stand_still(e);
  if (e->full || e->dead || (e->layers == 0 && !begin_layer(e, 0)))
    return -1;
  memcpy(v, state, NWORDS * sizeof *v);
  if (e->symmetry)
    (void)canonical(e->symmetry, v);
  uint64_t root = root_of_vector(&e->tree, v, w->spare, &e->stop);
  int new = insert_root(&e->states, &w->block, root, hash_root(root), 0);
  close_block(&e->states, &w->block);
  if (!new)
    return 0;
  uint64_t bad = NINVARIANTS ? broken(v) : 0;
  e->mask_bits |= bad;
  for (; bad; bad &= bad - 1)
    note(w, INVARIANT, (uint64_t)__builtin_ctzll(bad), 0, 0, (goal){root, NOBODY, 0});
  e->sorted = 0;
  return e->dead ? -1 : 1;
}
