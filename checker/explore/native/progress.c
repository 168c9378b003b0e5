/* Progress: threads that from some state on can never finish.
 *
 * Every state gets a mark: the bits of the threads (not daemons) that have ended in some state
 * it can reach.  A state in which something else was reported, a deadlock or a failed step, gets
 * all bits: that report covers it and what leads to it.  Edges are computed again, sweeping over
 * the layers from the deepest to the first, since most steps lead one layer down.  The edges of
 * states whose mark is not full after that are recorded, and followed again and again until
 * nothing changes.  Where there is no memory for them, sweeps that compute them do the same.
 * Marks only grow, so what is left is the least fixed point whatever the order and the number
 * of workers.
 *
 * Marks are bytes, one for each state, for eight threads at a time.
 *
 * Threads that are exchanged (symmetry.c) count as one, which has ended when all of them have.
 */

static int watch_next(engine *e) {
  e->in_group = 0;
  for (; e->group < NTHREADS && e->in_group < 8; e->group++)
    if (!thread_daemon[e->group] && first_of_group(e->symmetry, e->group))
      e->group_thread[e->in_group++] = e->group;
  e->group_full = (uint8_t)((1u << e->in_group) - 1);
  return e->in_group > 0;
}

/* A record is a place, the number of its edges, and where they lead (places fit in 32 bits). */
enum { RECORD = 2 };

static void free_edges(engine *e) {
  e->recording = 0;
  for (unsigned i = 0; i < e->workers; i++) {
    worker *w = &e->worker[i];
    free(w->edge);
    w->edge = NULL;
    w->edges = w->edge_room = 0;
  }
}

/* Room for some more words, if the limit allows it; else nobody records any longer. */
static int edge_room(worker *w, size_t more) {
  size_t room = w->edge_room ? w->edge_room : 4096;
  if (likely(w->edges + more <= w->edge_room))
    return 1;
  while (room < w->edges + more)
    room += room / 2;
  uint32_t *edge = allowed(w->e, (room - w->edge_room) * sizeof *edge)
                       ? realloc(w->edge, room * sizeof *edge)
                       : NULL;
  if (edge == NULL) {
    relaxed_store(&w->e->recording, 0);
    return 0;
  }
  w->edge = edge;
  relaxed_store(&w->edge_room, room);
  return 1;
}

static int progress_stop(worker *w, uint64_t root) {
  uint64_t place = find_place(&w->e->states, root);
  if (place == UINT64_MAX) { /* only after a search that is not complete: nothing can be said */
    w->mark = w->e->group_full;
  } else {
    w->mark |= relaxed_load(&w->e->marks[place]);
    if (relaxed_load(&w->e->recording) && edge_room(w, 1))
      w->edge[w->edges++] = (uint32_t)place;
  }
  return w->mark == w->e->group_full;
}

/* Expand a state, and record its edges if its mark is not full by then. */
static int progress_expand(worker *w, uint64_t place) {
  engine *e = w->e;
  size_t begin = w->edges;
  int recorded = relaxed_load(&e->recording) && edge_room(w, RECORD);
  if (recorded)
    w->edges += RECORD;
  int result = expand(w);
  if (recorded && w->mark != e->group_full && w->edges > begin + RECORD) {
    w->edge[begin] = (uint32_t)place;
    w->edge[begin + 1] = (uint32_t)(w->edges - begin - RECORD);
  } else {
    w->edges = begin;
  }
  return result;
}

/* Follow the recorded edges once; did a mark change? */
static int follow_edges(engine *e) {
  int changed = 0;
  for (unsigned i = 0; i < e->workers; i++) {
    const worker *w = &e->worker[i];
    for (size_t at = 0; at < w->edges; at += RECORD + w->edge[at + 1]) {
      const uint32_t *record = w->edge + at;
      uint8_t before = e->marks[record[0]], mark = before;
      if (before == e->group_full)
        continue;
      for (uint32_t k = 0; k < record[1]; k++)
        mark |= e->marks[record[RECORD + k]];
      if (mark == before)
        continue;
      changed = 1;
      e->marks[record[0]] = mark;
      if (mark == e->group_full)
        e->todo[record[0] / 64] &= ~((uint64_t)1 << record[0] % 64);
    }
  }
  return changed;
}

/* The positions of a range lie in one word of `todo`. */
static void progress_range(worker *w, range where) {
  engine *e = w->e;
  uint64_t *todo = &e->todo[where.begin / 64], mine = ~(uint64_t)0 << where.begin % 64;
  uint64_t base = where.begin & ~(uint64_t)63;
  if (where.end % 64)
    mine &= ((uint64_t)1 << where.end % 64) - 1;
  mine &= *todo;
  while (mine) { /* from the last, which may be deeper in what cycles there are */
    unsigned bit = 63 - (unsigned)__builtin_clzll(mine);
    uint64_t place = base + bit, key;
    mine &= ~((uint64_t)1 << bit);
    uint8_t before = relaxed_load(&e->marks[place]);
    load_state(w, e->states.order[place]);
    w->mark = before;
    for (unsigned i = 0; i < e->in_group; i++)
      if (all_ended(e->symmetry, e->group_thread[i], w->src))
        w->mark |= (uint8_t)(1u << i);
    w->expanded++;
    if (w->mark != e->group_full && !(progress_expand(w, place) & ENABLED) &&
        unfinished(w, &key))
      w->mark = e->group_full;
    if (w->mark != before) {
      relaxed_store(&e->marks[place], w->mark);
      w->changed = 1;
    }
    if (w->mark == e->group_full)
      *todo &= ~((uint64_t)1 << bit);
  }
}

static uint64_t layer_behind(const engine *e, uint64_t depth) {
  return depth + 1 < e->layers ? e->layer[depth + 1] : e->states.count;
}

static void free_marks(engine *e) {
  if (e->marks)
    munmap(e->marks, e->marks_size);
  if (e->todo)
    munmap(e->todo, e->todo_size);
  e->marks = NULL;
  e->todo = NULL;
  e->marks_size = e->todo_size = 0;
}

static int begin_group(engine *e) {
  size_t marks = e->states.count, todo = (e->states.count + 63) / 64 * 8;
  size_t marks_room = marks < 65536 ? 65536 : marks, todo_room = todo < 65536 ? 65536 : todo;
  if (!allowed(e, marks + todo))
    return 0;
  e->marks = reserve(&marks_room);
  e->marks_size = marks_room;
  e->todo = reserve(&todo_room);
  e->todo_size = todo_room;
  if (e->marks == NULL || e->todo == NULL || marks_room < marks || todo_room < todo) {
    free_marks(e);
    return 0;
  }
  want_huge(e->marks, marks_room);
  memset(e->todo, 0xff, e->states.count / 64 * 8);
  if (e->states.count % 64)
    e->todo[e->states.count / 64] = ((uint64_t)1 << e->states.count % 64) - 1;
  e->progress_layer = e->layers;
  e->progress_at = 0;
  e->progress_changed = 0;
  e->recording = 1;
  return 1;
}

/* After the last sweep: whose bits are missing where. */
static int collect_stuck(engine *e) {
  for (uint64_t depth = 0; depth < e->layers; depth++)
    for (uint64_t at = e->layer[depth]; at < layer_behind(e, depth); at++) {
      if ((e->todo[at / 64] >> at % 64 & 1) == 0)
        continue;
      uint64_t root = e->states.order[at];
      unsigned missing = e->group_full & ~e->marks[at] & 0xff;
      for (unsigned i = 0; i < e->in_group; i++)
        if (missing >> i & 1) {
          unsigned t = e->group_thread[i];
          if (e->stuck[t].count++ == 0)
            e->stuck[t].depth = depth;
          if (e->stuck[t].depth == depth && !push_root(&e->stuck[t].goals, root))
            return 0;
        }
    }
  return 1;
}

static uint64_t expanded(const engine *e) {
  uint64_t sum = 0;
  for (unsigned i = 0; i < e->workers; i++)
    sum += e->worker[i].expanded;
  return sum;
}

static int sweep(engine *e, uint64_t budget) {
  uint64_t spent = 0;
  while (spent < budget) {
    if (e->progress_layer == 0 && e->progress_at == 0) /* a sweep is complete */
      return 1;
    if (e->progress_at == 0)
      e->progress_at = layer_behind(e, --e->progress_layer);
    uint64_t end = e->progress_at, begin = e->layer[e->progress_layer];
    if (end - begin > budget)
      begin = (end - budget) & ~(uint64_t)63;
    if (begin < e->layer[e->progress_layer])
      begin = e->layer[e->progress_layer];
    uint64_t before = expanded(e);
    run_job(e, PROGRESS, begin, end);
    spent += 1 + (end - begin) / 64 + expanded(e) - before;
    e->progress_at = begin == e->layer[e->progress_layer] ? 0 : begin;
    if (e->dead || e->full)
      return 3;
  }
  return 0;
}

int ge_progress(engine *e, uint64_t budget) {
  if (e->dead || e->full)
    return 3;
  if (e->progress_phase == 2)
    return 2;
  if (e->progress_phase == 0) {
    e->group = 0;
    e->progress_phase = 1;
  }
  if (e->marks == NULL) {
    if (e->layers == 0 || !watch_next(e)) {
      e->progress_phase = 2;
      return 2;
    }
    if (!begin_group(e)) {
      e->group = e->group_thread[0];
      return 3;
    }
  }
  int result = sweep(e, budget ? budget : 1);
  if (result != 1)
    return result;
  int changed = 0;
  for (unsigned i = 0; i < e->workers; i++) {
    changed |= e->worker[i].changed;
    e->worker[i].changed = 0;
  }
  e->progress_layer = e->layers;
  if (e->recording) { /* all edges that matter are there: no sweep is needed any more */
    while (follow_edges(e))
      ;
    changed = 0;
  }
  free_edges(e);
  if (changed)
    return 0;
  if (!collect_stuck(e))
    return 3;
  free_marks(e);
  return 0;
}

int ge_stuck(engine *e, unsigned t, uint64_t out[4]) {
  memset(out, 0, 4 * sizeof *out);
  if (t >= NTHREADS)
    return 0;
  out[0] = e->stuck[t].count;
  out[1] = e->stuck[t].depth;
  out[2] = e->stuck[t].goals.count;
  return 1;
}

int ge_stuck_goals(engine *e, unsigned t, uint64_t *out) {
  if (t >= NTHREADS)
    return 0;
  if (e->stuck[t].goals.count)
    memcpy(out, e->stuck[t].goals.item, e->stuck[t].goals.count * sizeof *out);
  return 1;
}
