/* Shortest paths to some states, and among them those with the fewest context switches.
 *
 * Backward, from the deepest layer of a goal: a state of a layer is marked if a step leads from it
 * to a marked state of the next.  Forward over the marked states only: the fewest switches of
 * a path whose last step is by a given thread (dynamic programming over (state, last thread);
 * edges are computed again).
 */

enum { PATHS_DONE, PATHS_BACK, PATHS_FORTH };

static uint64_t set_place(const root_set *s, uint64_t root) {
  uint64_t at = hash_root(root) & (s->cells - 1);
  while (s->key[at] && s->key[at] != root)
    at = (at + 1) & (s->cells - 1);
  return at;
}

static uint32_t set_find(const root_set *s, uint64_t root) {
  if (s->cells == 0)
    return UINT32_MAX;
  uint64_t at = set_place(s, root);
  return s->key[at] ? s->number[at] : UINT32_MAX;
}

static void set_free(root_set *s) {
  free(s->key);
  free(s->number);
  *s = (root_set){0};
}

static int set_new(root_set *s, uint64_t count) {
  uint64_t cells = 16;
  while (cells < 2 * count + 2)
    cells *= 2;
  *s = (root_set){.cells = cells};
  s->key = calloc(cells, sizeof *s->key);
  s->number = calloc(cells, sizeof *s->number);
  if (s->key && s->number)
    return 1;
  set_free(s);
  return 0;
}

/* 1 if the root is new in the set, which has room. */
static int set_add(root_set *s, uint64_t root, uint32_t number) {
  uint64_t at = set_place(s, root);
  if (s->key[at])
    return 0;
  s->key[at] = root;
  s->number[at] = number;
  s->count++;
  return 1;
}

static int backward_stop(worker *w, uint64_t root) {
  w->reached = set_find(&w->e->wanted, root) != UINT32_MAX;
  return w->reached;
}

static void backward_range(worker *w, range where) {
  engine *e = w->e;
  for (uint64_t at = where.begin; at < where.end; at++) {
    load_state(w, e->states.order[at]);
    w->reached = 0;
    (void)expand(w);
    if (w->reached && !push_root(&w->found, w->source))
      relaxed_store(&e->dead, 1);
  }
}

/* Fewest switches up to a marked state and then a step of t. */
static uint32_t switches_then(const engine *e, uint64_t from, unsigned t, int first) {
  const uint32_t *by = e->path_switches + from * NTHREADS;
  uint32_t best = UINT32_MAX;
  if (first)
    return 0;
  for (unsigned l = 0; l < NTHREADS; l++)
    if (by[l] != UINT32_MAX && by[l] + (l != t) < best)
      best = by[l] + (l != t);
  return best;
}

static int forward_stop(worker *w, unsigned t, uint64_t root) {
  engine *e = w->e;
  uint32_t to = set_find(&e->wanted, root);
  if (to == UINT32_MAX || to < e->path_layer[e->path_depth + 1] ||
      to >= e->path_layer[e->path_depth + 2])
    return 0;
  uint32_t offer = switches_then(e, w->from, t, e->path_depth == 0);
  uint32_t *cell = &e->path_switches[(uint64_t)to * NTHREADS + t];
  uint32_t seen = relaxed_load(cell);
  while (offer < seen && !__atomic_compare_exchange_n(cell, &seen, offer, 1, __ATOMIC_RELAXED,
                                                      __ATOMIC_RELAXED)) {
  }
  return 0;
}

static void forward_range(worker *w, range where) {
  for (uint64_t at = where.begin; at < where.end; at++) {
    w->from = at;
    load_state(w, w->e->path.item[at]);
    (void)expand(w);
  }
}

static int before_stop(worker *w, uint64_t root) {
  return w->reached |= w->running == w->e->before_last && root == w->e->before_root;
}

static void before_range(worker *w, range where) {
  engine *e = w->e;
  uint64_t to = set_find(&e->wanted, e->before_root);
  uint32_t best = e->path_switches[to * NTHREADS + e->before_last];
  for (uint64_t at = where.begin; at < where.end; at++) {
    if (switches_then(e, at, e->before_last, e->path_depth == 0) != best)
      continue;
    load_state(w, e->path.item[at]);
    w->reached = 0;
    (void)expand(w);
    if (w->reached && !push_root(&w->found, w->source))
      relaxed_store(&e->dead, 1);
  }
}

static void free_paths(engine *e) {
  set_free(&e->wanted);
  free(e->path.item);
  free(e->path_switches);
  free(e->path_layer);
  e->path = (roots){0};
  e->path_switches = NULL;
  e->path_layer = NULL;
  e->path_depths = e->path_bytes = 0;
}

/* The goals by depth: `goal` of the deepest first, in the order array's order.  Their depths in
 * `depth`. */
static int find_goals(engine *e, const uint64_t *root, uint64_t n, roots *goal, roots *depth) {
  root_set set;
  uint64_t distinct = 0;
  if (!set_new(&set, n))
    return 0;
  for (uint64_t i = 0; i < n; i++)
    if (root[i])
      distinct += (uint64_t)set_add(&set, root[i], 0);
  int ok = 1;
  for (uint64_t d = e->layers; ok && distinct && d-- > 0;)
    for (uint64_t at = e->layer[d]; ok && distinct && at < layer_behind(e, d); at++)
      if (set_find(&set, e->states.order[at]) != UINT32_MAX) {
        ok = push_root(goal, e->states.order[at]) && push_root(depth, d);
        distinct--;
      }
  set_free(&set);
  return ok;
}

/* The marked states of one depth: goals there, and what the workers found. */
static int mark_depth(engine *e, const uint64_t *goal, uint64_t goals, roots *all) {
  uint64_t most = goals, first = all->count;
  for (unsigned i = 0; i < e->workers; i++)
    most += e->worker[i].found.count;
  set_free(&e->wanted);
  e->path_bytes = (all->count + 6 * most) * 8;
  if (!allowed(e, 0) || !set_new(&e->wanted, most))
    return 0;
  int ok = 1;
  for (uint64_t i = 0; ok && i < goals; i++)
    if (set_add(&e->wanted, goal[i], 0))
      ok = push_root(all, goal[i]);
  for (unsigned i = 0; i < e->workers; i++) {
    roots *found = &e->worker[i].found;
    for (uint64_t j = 0; ok && j < found->count; j++)
      if (set_add(&e->wanted, found->item[j], 0))
        ok = push_root(all, found->item[j]);
    found->count = 0;
  }
  return ok && all->count - first <= UINT32_MAX;
}

/* The states of the present depth are all marked: those goals that are there, and those from which
 * a step leads to a marked state of the next. */
static int mark_present(engine *e) {
  struct pathing *p = &e->pathing;
  uint64_t first = p->used, before = p->all.count;
  while (p->used < p->goal.count && p->depth.item[p->used] == e->path_depth)
    p->used++;
  if (!mark_depth(e, p->goal.item + first, p->used - first, &p->all))
    return 0;
  p->size[e->path_depth] = p->all.count - before;
  if (e->path_depth)
    p->at = e->layer[e->path_depth - 1];
  return 1;
}

/* Number the marked states by depth, and make room for their switches. */
static int number_marked(engine *e) {
  const roots *all = &e->pathing.all;
  const uint64_t *size = e->pathing.size;
  uint64_t n = all->count, from = n, to = 0;
  set_free(&e->wanted);
  e->path_bytes = n * (16 + 4 * NTHREADS) + 4 * n * 12;
  if (n >= UINT32_MAX || !allowed(e, 0) || !set_new(&e->wanted, n))
    return 0;
  e->path.item = malloc((n + 1) * sizeof *e->path.item);
  e->path_switches = malloc((n * NTHREADS + 1) * sizeof *e->path_switches);
  e->path_layer = calloc(e->path_depths + 1, sizeof *e->path_layer);
  if (!e->path.item || !e->path_switches || !e->path_layer)
    return 0;
  for (uint64_t d = 0; d < e->path_depths; d++) {
    from -= size[d];
    memcpy(e->path.item + to, all->item + from, size[d] * sizeof *all->item);
    to += size[d];
    e->path_layer[d + 1] = to;
  }
  e->path.count = e->path.room = n;
  for (uint64_t i = 0; i < n; i++)
    (void)set_add(&e->wanted, e->path.item[i], (uint32_t)i);
  memset(e->path_switches, 0xff, n * NTHREADS * sizeof *e->path_switches);
  return 1;
}

static void free_pathing(engine *e) {
  struct pathing *p = &e->pathing;
  free(p->goal.item);
  free(p->depth.item);
  free(p->all.item);
  free(p->size);
  *p = (struct pathing){.phase = PATHS_DONE};
  for (unsigned i = 0; i < e->workers; i++) {
    free(e->worker[i].found.item);
    e->worker[i].found = (roots){0};
  }
}

/* Begin to look for the shortest paths to some states: 0 ok, 3 memory.  ge_paths_on does it. */
int ge_paths(engine *e, const uint64_t *root, uint64_t n) {
  struct pathing *p = &e->pathing;
  free_pathing(e);
  free_paths(e);
  int ok = !e->dead && !e->full && find_goals(e, root, n, &p->goal, &p->depth);
  if (ok && p->goal.count) {
    e->path_depths = p->depth.item[0] + 1;
    e->path_depth = e->path_depths - 1;
    p->phase = PATHS_BACK;
    p->size = calloc(e->path_depths, sizeof *p->size);
    ok = p->size && mark_present(e);
  }
  if (ok)
    return 0;
  free_pathing(e);
  free_paths(e);
  return 3;
}

/* Some more positions of a range; when they are all done, `at` is the end. */
static int advance_paths(engine *e, int job, uint64_t end, uint64_t budget) {
  uint64_t *at = &e->pathing.at, to = end - *at > budget ? *at + budget : end;
  run_job(e, job, *at, to);
  *at = to;
  return !e->dead && !e->full;
}

static int step_back(engine *e, uint64_t budget) {
  struct pathing *p = &e->pathing;
  if (e->path_depth == 0) {
    p->phase = PATHS_FORTH;
    p->at = 0;
    return number_marked(e);
  }
  uint64_t end = e->layer[e->path_depth];
  if (!advance_paths(e, BACKWARD, end, budget))
    return 0;
  if (p->at < end)
    return 1;
  e->path_depth--;
  return mark_present(e);
}

static int step_forth(engine *e, uint64_t budget) {
  struct pathing *p = &e->pathing;
  if (e->path_depth + 1 >= e->path_depths) {
    p->phase = PATHS_DONE;
    return 1;
  }
  uint64_t end = e->path_layer[e->path_depth + 1];
  if (!advance_paths(e, FORWARD, end, budget))
    return 0;
  e->path_depth += p->at == end;
  return 1;
}

/* Go on with about so many states: 0 not finished, 2 finished, 3 memory. */
int ge_paths_on(engine *e, uint64_t budget) {
  int ok = 1;
  if (e->pathing.phase == PATHS_BACK)
    ok = step_back(e, budget ? budget : 1);
  else if (e->pathing.phase == PATHS_FORTH)
    ok = step_forth(e, budget ? budget : 1);
  if (ok && e->pathing.phase != PATHS_DONE)
    return 0;
  free_pathing(e);
  if (!ok)
    free_paths(e);
  return ok ? 2 : 3;
}

static uint32_t path_depth_of(const engine *e, uint32_t number) {
  uint64_t low = 0, high = e->path_depths;
  while (high - low > 1) {
    uint64_t middle = (low + high) / 2;
    if (e->path_layer[middle] <= number)
      low = middle;
    else
      high = middle;
  }
  return (uint32_t)low;
}

uint32_t ge_depth(engine *e, uint64_t root) {
  uint32_t number = set_find(&e->wanted, root);
  return number == UINT32_MAX ? UINT32_MAX : path_depth_of(e, number);
}

uint32_t ge_switches(engine *e, uint64_t root, unsigned last) {
  uint32_t number = set_find(&e->wanted, root);
  if (number == UINT32_MAX)
    return UINT32_MAX;
  if (last == NOBODY)
    return path_depth_of(e, number) == 0 ? 0 : UINT32_MAX;
  return last < NTHREADS ? e->path_switches[(uint64_t)number * NTHREADS + last] : UINT32_MAX;
}

static int compare_roots(const void *left, const void *right) {
  uint64_t a = *(const uint64_t *)left, b = *(const uint64_t *)right;
  return a < b ? -1 : a > b;
}

uint64_t ge_predecessors(engine *e, uint64_t root, unsigned last, uint64_t *out, uint64_t room) {
  uint32_t depth = ge_depth(e, root);
  uint64_t n = 0;
  if (depth == UINT32_MAX || depth == 0 || ge_switches(e, root, last) == UINT32_MAX)
    return 0;
  e->path_depth = depth - 1;
  e->before_root = root;
  e->before_last = last;
  run_job(e, BEFORE, e->path_layer[depth - 1], e->path_layer[depth]);
  for (unsigned i = 0; i < e->workers; i++) {
    roots *found = &e->worker[i].found;
    for (uint64_t j = 0; j < found->count; j++, n++)
      if (n < room)
        out[n] = found->item[j];
    found->count = 0;
  }
  qsort(out, n < room ? n : room, sizeof *out, compare_roots);
  return n;
}
