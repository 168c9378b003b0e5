/* The engine's state, its worker threads, and how they stand still.
 *
 * Worker 0 is the caller's thread; the others are created once, and wait between jobs: a short
 * while spinning, for searches of many middling layers, then asleep.  A job is a range of
 * positions in the order array (or of what else the job is about), claimed in chunks.
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

enum job { SEARCH, PROGRESS, BACKWARD, FORWARD, BEFORE };

typedef struct range {
  uint64_t begin, end;
} range;

typedef struct successor { /* a successor that waits to be interned and inserted */
  uint32_t number[MAX_NODES]; /* of its nodes, when they are known */
  uint32_t extra;             /* 0, or 1 + the number of its extra */
} successor;

typedef struct extra { /* what some of them need besides; see search.c */
  uint64_t broken, unseen, carried;
  uint64_t newly, path, source; /* invariants that the step breaks; hash of the step */
  unsigned thread;
} extra;

typedef struct item { /* an inner node of a pending successor, to be interned */
  uint16_t successor, node;
} item;

typedef struct root_set { /* roots with numbers; open addressing */
  uint64_t *key;
  uint32_t *number;
  uint64_t cells, count;
} root_set;

struct worker {
  _Alignas(64) engine *e;
  unsigned number;
  pthread_t thread;
  run run;
  uint64_t source;           /* root of the state being expanded */
  uint64_t src[NWORDS];      /* its vector */
  uint64_t v[NWORDS];        /* the same between steps; a step works on it */
  uint32_t number_of[MAX_NODES]; /* its nodes' numbers */
  uint32_t now[MAX_NODES];       /* the same between steps; the successor's */
  uint32_t spare[MAX_NODES];     /* numbers taken from tables but not used, or 0 */
  uint64_t mask, broken;     /* SEARCH: invariants that count as, and are, broken in the source */
  uint64_t transitions, failed, expanded;
  uint64_t broken_bits;      /* of the states that this worker found in this layer */
  uint64_t seen_witnesses;
  unsigned pending;
  unsigned extras;
  successor pend[PENDING];
  uint64_t pend_root[PENDING], pend_hash[PENDING];
  item *item[MAX_NODES];        /* of each level */
  unsigned items[MAX_NODES];
  extra extra[PENDING];
  block block; /* places for new states */
  uint8_t *blocks, *strays, *broken_faults;
  events events;
  uint8_t mark, changed; /* PROGRESS */
  uint32_t *edge;        /* PROGRESS: records of edges, see there */
  size_t edges, edge_room;
  int reached;           /* BACKWARD, BEFORE: the source has a step that is looked for */
  unsigned running;      /* the thread whose step is being done */
  unsigned unchecked;    /* chunks to be claimed before the next look at the memory in use */
  uint64_t from;         /* FORWARD: the source's number among the states on paths */
  roots found;
  range left; /* claimed, but not expanded */
};

#define STRIPES 256 /* a power of two */

typedef struct carry { /* see search.c */
  uint64_t root, mask;
} carry;

typedef struct stripe {
  _Alignas(64) pthread_mutex_t lock;
  carry *cell;
  size_t count, cells;
} stripe;

struct engine {
  tree tree;
  states states;
  unsigned workers;
  worker *worker;
  uint64_t max_memory;
  uint8_t stops[NSTOPS + 1], sites[NSITES + 1];
  uint8_t *eligible, *compatible; /* ample sets, or NULL: see expand.c */
  uint64_t *sets;                 /* [NSTOPS][KEY_WORDS] */
  symmetry *symmetry;             /* or NULL */

  /* the job */
  pthread_mutex_t lock;
  pthread_cond_t wake, done, moving, helped;
  _Alignas(64) uint64_t generation;
  int job, quit;
  unsigned active, standing, started;
  uint64_t growths;
  int indexing;      /* the states' index is being built anew */
  unsigned indexers; /* by so many */
  _Alignas(64) uint64_t indexed; /* places that somebody has taken on */
  _Alignas(64) uint64_t cursor; /* next position to claim */
  uint64_t end, chunk;
  uint64_t taken; /* how many of `left` were claimed */
  range left[MAX_WORKERS];
  uint64_t lefts;
  _Alignas(64) int stop; /* stand still */
  int full;              /* memory limit reached */
  int dead;              /* no memory at all */

  /* the search */
  uint64_t *layer; /* first position of each */
  size_t layers, layer_room;
  uint64_t next;    /* first position not claimed in earlier calls */
  uint64_t layer_end;
  uint64_t mask_bits;   /* no state of this layer has other bits in its mask */
  uint64_t looking;     /* witnesses not seen at smaller depths */
  int finished;
  stripe *carried, *carrying; /* of this layer, of the next */
  uint64_t carried_bytes, carried_count, carrying_count;
  events events;
  int sorted;

  /* progress, paths: see there */
  uint8_t *marks;
  uint64_t *todo;
  uint64_t marks_size, todo_size;
  unsigned group, in_group;
  uint8_t group_full;
  unsigned group_thread[8];
  uint64_t progress_layer, progress_at;
  int progress_phase, progress_changed;
  int recording; /* the first sweep, and so far there is room for its edges */
  struct {
    uint64_t count, depth;
    roots goals;
  } stuck[NTHREADS];
  root_set wanted;         /* BACKWARD: of the next depth; later: all, by number */
  roots path;              /* the states on paths, by depth */
  uint32_t *path_switches; /* [path.count][NTHREADS] */
  uint64_t *path_layer;    /* first number of each depth, and behind the last */
  uint64_t path_depths, path_depth;
  uint64_t path_bytes;
  uint64_t before_root;
  unsigned before_last;
};

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

/* ------------------------------------------------------------------------------- jobs */

static void work(worker *w);

static void leave(engine *e) {
  pthread_mutex_lock(&e->lock);
  unsigned active = __atomic_sub_fetch(&e->active, 1, __ATOMIC_RELEASE);
  if (active == 0)
    pthread_cond_signal(&e->done);
  else if (relaxed_load(&e->stop) && e->standing == active)
    grow(e);
  pthread_mutex_unlock(&e->lock);
}

static void pause_briefly(void) {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ volatile("yield");
#endif
}

#define SPINS 4000     /* some ten microseconds: as long as it takes to wake a thread */
#define UNCHECKED 31   /* chunks claimed without a look at how much memory is in use */

static void *helper(void *argument) {
  worker *w = argument;
  engine *e = w->e;
  uint64_t seen = 0;
  for (;;) {
    for (int i = 0; i < SPINS && __atomic_load_n(&e->generation, __ATOMIC_ACQUIRE) == seen; i++)
      pause_briefly();
    if (__atomic_load_n(&e->generation, __ATOMIC_ACQUIRE) == seen) {
      pthread_mutex_lock(&e->lock);
      while (relaxed_load(&e->generation) == seen)
        pthread_cond_wait(&e->wake, &e->lock);
      pthread_mutex_unlock(&e->lock);
    }
    seen = __atomic_load_n(&e->generation, __ATOMIC_ACQUIRE);
    if (e->quit)
      return NULL;
    work(w);
    leave(e);
  }
}

/* Have positions [begin, end) done, by all workers if they are many. */
static void run_job(engine *e, int job, uint64_t begin, uint64_t end) {
  uint64_t size = end - begin;
  e->job = job;
  e->cursor = begin;
  e->end = end;
  e->taken = 0;
  if (e->started < 2 || size < SMALL) {
    e->chunk = CHUNK;
    relaxed_store(&e->active, 1);
    work(&e->worker[0]);
    return;
  }
  e->chunk = CHUNK; /* PROGRESS: else two workers would share a word of `todo` */
  while (job != PROGRESS && e->chunk > 8 && e->chunk * 4 * e->started > size)
    e->chunk /= 2;
  pthread_mutex_lock(&e->lock);
  relaxed_store(&e->active, e->started);
  __atomic_fetch_add(&e->generation, 1, __ATOMIC_RELEASE);
  pthread_cond_broadcast(&e->wake);
  pthread_mutex_unlock(&e->lock);
  work(&e->worker[0]);
  leave(e);
  for (int i = 0; i < SPINS && __atomic_load_n(&e->active, __ATOMIC_ACQUIRE); i++)
    pause_briefly();
  pthread_mutex_lock(&e->lock);
  while (__atomic_load_n(&e->active, __ATOMIC_ACQUIRE))
    pthread_cond_wait(&e->done, &e->lock);
  pthread_mutex_unlock(&e->lock);
}

/* Claim the next chunk, which ends at a multiple of the chunk's size or at the end. */
static int claim(worker *w, range *out) {
  engine *e = w->e;
  if (e->max_memory && w->unchecked-- == 0) { /* reads what the others write all the time */
    w->unchecked = UNCHECKED;
    if (!allowed(e, 0))
      relaxed_store(&e->full, 1);
  }
  if (relaxed_load(&e->full) || relaxed_load(&e->dead))
    return 0;
  if (relaxed_load(&e->taken) < e->lefts) {
    uint64_t i = relaxed_add(&e->taken, 1);
    if (i < e->lefts) {
      *out = e->left[i];
      return 1;
    }
  }
  uint64_t begin = relaxed_load(&e->cursor);
  do {
    if (begin >= e->end)
      return 0;
    out->begin = begin;
    out->end = (begin / e->chunk + 1) * e->chunk;
    if (out->end > e->end)
      out->end = e->end;
  } while (!__atomic_compare_exchange_n(&e->cursor, &begin, out->end, 1, __ATOMIC_RELAXED,
                                        __ATOMIC_RELAXED));
  return 1;
}
