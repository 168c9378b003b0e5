/* The rest of what Python calls. */

static void work(worker *w) {
  engine *e = w->e;
  range todo;
  w->unchecked = 0;
  while (claim(w, &todo)) {
    switch (e->job) {
    case SEARCH:
      search_range(w, todo);
      break;
    case PROGRESS:
      progress_range(w, todo);
      break;
    case BACKWARD:
      backward_range(w, todo);
      break;
    case FORWARD:
      forward_range(w, todo);
      break;
    default:
      before_range(w, todo);
    }
    if (w->left.begin < w->left.end)
      break;
  }
  if (w->pending)
    insert_pending(w);
}

uint32_t ge_constant(int which) {
  static const uint32_t constant[] = {API_VERSION, NTHREADS, NWORDS, NSTOPS,
                                      NBLOCKS,     NSITES,   NFAULTS, NKEYS};
  return which >= 0 && which < 8 ? constant[which] : 0;
}

static stripe *new_stripes(void) {
  stripe *all = aligned_alloc(64, STRIPES * sizeof *all);
  if (all == NULL)
    return NULL;
  memset(all, 0, STRIPES * sizeof *all);
  for (unsigned i = 0; i < STRIPES; i++)
    pthread_mutex_init(&all[i].lock, NULL);
  return all;
}

static void free_stripes(stripe *all) {
  if (all == NULL)
    return;
  for (unsigned i = 0; i < STRIPES; i++) {
    pthread_mutex_destroy(&all[i].lock);
    free(all[i].cell);
  }
  free(all);
}

void ge_free(engine *e);

static void free_ample(engine *e) {
  free(e->eligible);
  free(e->compatible);
  free(e->sets);
  e->eligible = e->compatible = NULL;
  e->sets = NULL;
}

static size_t rounded(size_t size) { return (size + 63) & ~(size_t)63; }

static int new_worker(engine *e, unsigned number) {
  worker *w = &e->worker[number];
  w->e = e;
  w->number = number;
  int ok = new_coverage(&w->covered);
  w->run.stops = e->stops;
  w->run.sites = e->sites;
  w->run.strays = w->covered.strays;
  for (unsigned level = 0; level < e->tree.levels; level++) {
    w->item[level] = malloc(PENDING * e->tree.nodes_at[level] * sizeof(item));
    ok = ok && w->item[level];
  }
  return ok;
}

engine *ge_new(unsigned workers, uint64_t max_memory) {
  workers = workers < 1 ? 1 : workers > MAX_WORKERS ? MAX_WORKERS : workers;
  engine *e = aligned_alloc(64, rounded(sizeof *e));
  if (e == NULL)
    return NULL;
  memset(e, 0, sizeof *e);
  pthread_mutex_init(&e->lock, NULL);
  pthread_cond_init(&e->wake, NULL);
  pthread_cond_init(&e->done, NULL);
  pthread_cond_init(&e->moving, NULL);
  pthread_cond_init(&e->helped, NULL);
  e->max_memory = max_memory;
  e->started = 1;
  e->looking = NWITNESSES ? ~(uint64_t)0 >> (64 - NWITNESSES) % 64 : 0;
  uint64_t memory = physical_memory();
  plan_tree(&e->tree);
  int ok = new_states(&e->states, workers, memory);
  for (unsigned node = 0; ok && node < e->tree.nodes; node++)
    ok = new_table(&e->tree.tables[node], e->tree.width[node], least_cells(workers), memory);
  e->carried = new_stripes();
  e->carrying = new_stripes();
  e->worker = aligned_alloc(64, rounded(workers * sizeof *e->worker));
  if (!ok || !e->carried || !e->carrying || !e->worker) {
    ge_free(e);
    return NULL;
  }
  memset(e->worker, 0, rounded(workers * sizeof *e->worker));
  e->workers = workers;
  for (unsigned i = 0; i < workers; i++)
    ok = ok && new_worker(e, i);
  if (!ok) {
    ge_free(e);
    return NULL;
  }
  while (e->started < workers &&
         pthread_create(&e->worker[e->started].thread, NULL, helper, &e->worker[e->started]) == 0)
    e->started++; /* fewer will do if the system gives no more */
  return e;
}

void ge_free(engine *e) {
  if (e == NULL)
    return;
  pthread_mutex_lock(&e->lock);
  e->quit = 1;
  __atomic_fetch_add(&e->generation, 1, __ATOMIC_RELEASE);
  pthread_cond_broadcast(&e->wake);
  pthread_mutex_unlock(&e->lock);
  for (unsigned i = 1; i < e->started; i++)
    pthread_join(e->worker[i].thread, NULL);
  free_edges(e);
  free_pathing(e);
  for (unsigned i = 0; i < e->workers; i++) {
    worker *w = &e->worker[i];
    free_coverage(&w->covered);
    for (unsigned level = 0; level < e->tree.levels; level++)
      free(w->item[level]);
    clear_events(&w->events);
  }
  free(e->worker);
  free_stripes(e->carried);
  free_stripes(e->carrying);
  for (unsigned node = 0; node < e->tree.nodes; node++)
    free_table(&e->tree.tables[node]);
  free_states(&e->states);
  free_marks(e);
  free_paths(e);
  for (unsigned t = 0; t < NTHREADS; t++)
    free(e->stuck[t].goals.item);
  clear_events(&e->events);
  free(e->layer);
  free_ample(e);
  free_symmetry(e->symmetry);
  pthread_mutex_destroy(&e->lock);
  pthread_cond_destroy(&e->wake);
  pthread_cond_destroy(&e->done);
  pthread_cond_destroy(&e->moving);
  pthread_cond_destroy(&e->helped);
  free(e);
}

void ge_flags(engine *e, const uint8_t *stops, const uint8_t *sites) {
  memcpy(e->stops, stops, NSTOPS);
  if (NSITES)
    memcpy(e->sites, sites, NSITES);
}

/* Tables of ample sets, see expand.c: `eligible` [NSTOPS], `compatible` [NSTOPS][NSTOPS], `sets`
 * [NSTOPS][NKEYS].  -1: no memory. */
int ge_ample(engine *e, const uint8_t *eligible, const uint8_t *compatible, const uint8_t *sets) {
  size_t square = (size_t)NSTOPS * NSTOPS;
  free_ample(e);
  e->eligible = malloc(NSTOPS + 1);
  e->compatible = malloc(square + 1);
  e->sets = calloc((size_t)NSTOPS * KEY_WORDS + 1, sizeof *e->sets);
  if (!e->eligible || !e->compatible || !e->sets) {
    free_ample(e);
    return -1;
  }
  memcpy(e->eligible, eligible, NSTOPS);
  memcpy(e->compatible, compatible, square);
  for (size_t stop = 0; stop < NSTOPS; stop++)
    for (size_t key = 0; key != NKEYS; key++)
      if (sets[stop * NKEYS + key])
        set_bit(e->sets + stop * KEY_WORDS, (unsigned)key);
  return 0;
}

/* Keep one state of each orbit; see new_symmetry.  Before anything else.  -1: no memory. */
int ge_symmetry(engine *e, const uint8_t *group, const uint8_t *order, uint64_t orders,
                const int64_t *shared, uint64_t shareds, const int64_t *local, uint64_t locals,
                const uint8_t *uneven) {
  free_symmetry(e->symmetry);
  e->symmetry = new_symmetry(group, order, orders, shared, shareds, local, locals, uneven);
  return e->symmetry ? 0 : -1;
}

/* Replace a vector by the one that stands for it. */
void ge_canonical(engine *e, uint64_t *v) {
  if (e->symmetry)
    (void)canonical(e->symmetry, v);
}

/* Another memory limit; a search that stopped at the old one can go on. */
void ge_limit(engine *e, uint64_t max_memory) {
  e->max_memory = max_memory;
  e->full = 0;
  if (e->dead)
    return;
  for (unsigned node = 0; node < e->tree.nodes; node++) {
    table *own = &e->tree.tables[node];
    own->grow_at = own->low + 1 - (own->low + 1) / 4;
  }
  e->states.grow_at = most_states(e->states.lines);
  e->stop = 1; /* grow what waited for it */
}

static void gather(engine *e) {
  if (e->sorted)
    return;
  for (unsigned i = 0; i < e->workers; i++)
    if (!merge_events(&e->events, &e->worker[i].events))
      e->dead = 1;
  sort_events(&e->events);
  e->sorted = 1;
}

void ge_stats(engine *e, uint64_t out[16]) {
  memset(out, 0, 16 * sizeof *out);
  gather(e);
  out[0] = e->states.count;
  for (unsigned i = 0; i < e->workers; i++) {
    out[1] += e->worker[i].transitions;
    out[2] += e->worker[i].failed;
  }
  out[3] = e->layers;
  out[4] = e->states.count - e->next;
  for (uint64_t i = 0; i < e->lefts; i++)
    out[4] += e->left[i].end - e->left[i].begin;
  out[5] = bytes_used(e);
  out[6] = states_bytes(e);
  out[7] = tree_bytes(e);
  out[8] = e->events.count;
  for (unsigned node = 0; node < e->tree.nodes; node++)
    out[9] += e->tree.tables[node].count - 1;
  out[10] = e->growths;
  out[11] = e->started;
}

uint64_t ge_layer(engine *e, uint32_t depth) {
  return depth < e->layers ? e->layer[depth] : e->states.count;
}

/* The root of the state that was discovered as the n-th, from 0; 0 if there is none. */
uint64_t ge_root(engine *e, uint64_t n) { return n < e->states.count ? e->states.order[n] : 0; }

void ge_state(engine *e, uint64_t root, uint64_t *v) { unpack(&e->tree, root, v); }

uint64_t ge_find(engine *e, const uint64_t *v) {
  uint64_t root = root_of_vector(&e->tree, v, NULL, NULL);
  return root && find_place(&e->states, root) != UINT64_MAX ? root : 0;
}

void ge_coverage(engine *e, uint8_t *blocks, uint8_t *strays, uint8_t *broken_faults) {
  const coverage all = {blocks, strays, broken_faults};
  clear_coverage(&all);
  for (unsigned i = 0; i < e->workers; i++)
    add_coverage(&all, &e->worker[i].covered);
}

int ge_event_class(engine *e, uint64_t index, uint64_t out[8]) {
  memset(out, 0, 8 * sizeof *out);
  gather(e);
  if (index >= e->events.count)
    return 0;
  const event_class *one = &e->events.list[index];
  out[0] = one->kind;
  out[1] = one->a;
  out[2] = one->b;
  out[3] = one->count;
  out[4] = one->depth;
  out[5] = one->ngoals;
  return 1;
}

int ge_event_goals(engine *e, uint64_t index, uint64_t *out) {
  gather(e);
  if (index >= e->events.count)
    return 0;
  const event_class *one = &e->events.list[index];
  for (size_t i = 0; i < one->ngoals; i++) {
    out[3 * i] = one->goals[i].source;
    out[3 * i + 1] = one->goals[i].thread;
    out[3 * i + 2] = one->goals[i].final;
  }
  return 1;
}
