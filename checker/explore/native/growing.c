/* How much memory is in use, and how tables grow.
 *
 * Tables grow while all workers stand still.  A worker that finds a table too full asks for it
 * (`stop`); every worker looks at that flag before each step of a thread and before each lot of
 * insertions, and waits in `stand_still`; the last one to come (or to leave the job) does the
 * growing; those that wait help it with what is large, the index of the states.  A table has room
 * for what every worker may insert until then.
 *
 * Memory: when the limit is reached, workers finish the state they are at, and what they
 * claimed but did not expand is kept for the next call.  Tables may be filled a little more for
 * that; if even this does not do, they grow once more, past the limit; only if the system
 * gives no memory is a state left half done (`dead`).
 */

/* -------------------------------------------------------------------------- accounting */

static uint64_t tree_bytes(const engine *e) {
  uint64_t sum = 0;
  for (unsigned node = 0; node < e->tree.nodes; node++)
    sum += table_bytes(&e->tree.tables[node]);
  return sum;
}

static uint64_t states_bytes(const engine *e) {
  const states *s = &e->states;
  return s->lines * LINE * sizeof *s->cell + relaxed_load(&s->count) * sizeof *s->order;
}

static uint64_t bytes_used(const engine *e) {
  uint64_t sum = sizeof *e + e->workers * sizeof(worker) + tree_bytes(e) + states_bytes(e);
  sum += relaxed_load(&e->carried_bytes) + e->layer_room * 8 + e->events.bytes;
  for (unsigned w = 0; w < e->workers; w++)
    sum += relaxed_load(&e->worker[w].events.bytes) +
           relaxed_load(&e->worker[w].edge_room) * sizeof *e->worker[w].edge;
  sum += e->marks_size + e->todo_size;
  return sum + e->path_bytes;
}

/* May the engine use that many bytes more? */
static int allowed(const engine *e, uint64_t more) {
  return e->max_memory == 0 || bytes_used(e) + more <= e->max_memory;
}

/* ----------------------------------------------------------------------------- growing */

static void grow_one(engine *e, unsigned node) {
  table *own = &e->tree.tables[node];
  uint32_t spare[MAX_WORKERS], cells = own->low + 1;
  unsigned n = 0;
  if (own->count < own->grow_at)
    return;
  uint32_t last = cells - cells / 8; /* beyond that nobody may insert, whatever the limit */
  if (last < own->count + 1 || allowed(e, (uint64_t)cells * 8)) {
    for (unsigned w = 0; w < e->workers; w++)
      if (e->worker[w].spare[node])
        spare[n++] = e->worker[w].spare[node];
    if (grow_table(own, spare, n))
      return;
  }
  relaxed_store(&e->full, 1);
  if (own->count < last)
    own->grow_at = last;
  else
    relaxed_store(&e->dead, 1);
}

/* The places that workers may take until they all stand still. */
static uint64_t slack(const engine *e) { return (uint64_t)e->workers * (PENDING + BLOCK); }

#define INDEX_CHUNK 4096

/* Build a part of the states' index, as long as there is something left. */
static void index_some(engine *e) {
  uint64_t from;
  while ((from = relaxed_add(&e->indexed, INDEX_CHUNK)) < e->states.count)
    index_places(&e->states, from, INDEX_CHUNK);
}

/* `lock` is held; all others stand still, and those that wait for it help. */
static int grow_states(engine *e) {
  if (!resize_states(&e->states))
    return 0;
  e->indexed = 0;
  e->indexing = 1;
  e->indexers = 0;
  pthread_cond_broadcast(&e->moving);
  pthread_mutex_unlock(&e->lock);
  index_some(e);
  pthread_mutex_lock(&e->lock);
  e->indexing = 0;
  while (e->indexers)
    pthread_cond_wait(&e->helped, &e->lock);
  return 1;
}

/* `lock` is held, by one that waits. */
static void help_indexing(engine *e) {
  e->indexers++;
  pthread_mutex_unlock(&e->lock);
  index_some(e);
  pthread_mutex_lock(&e->lock);
  if (--e->indexers == 0)
    pthread_cond_signal(&e->helped);
}

static void grow_visited(engine *e) {
  states *s = &e->states;
  uint64_t more = slack(e), last = last_states(s->lines);
  if (s->count + more < s->grow_at)
    return;
  if (last < s->count + more + 1 ||
      allowed(e, (lines_after(s) - s->lines) * LINE * sizeof *s->cell)) {
    if (grow_states(e))
      return;
  }
  relaxed_store(&e->full, 1);
  if (s->count + more < last)
    s->grow_at = last;
  else
    relaxed_store(&e->dead, 1);
}

/* All other workers stand still, or are not in the job; `lock` is held. */
static void grow(engine *e) {
  for (unsigned node = 0; node < e->tree.nodes; node++)
    grow_one(e, node);
  grow_visited(e);
  relaxed_store(&e->stop, 0);
  e->growths++;
  e->standing = 0;
  pthread_cond_broadcast(&e->moving);
}

static NOINLINE void stand_still(engine *e) {
  pthread_mutex_lock(&e->lock);
  if (relaxed_load(&e->stop)) {
    if (++e->standing == relaxed_load(&e->active)) {
      grow(e);
    } else {
      uint64_t before = e->growths;
      while (before == e->growths) {
        if (e->indexing && relaxed_load(&e->indexed) < e->states.count)
          help_indexing(e);
        else
          pthread_cond_wait(&e->moving, &e->lock);
      }
    }
  }
  pthread_mutex_unlock(&e->lock);
}
