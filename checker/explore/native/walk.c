/* Swarm: many random walks from the initial states, without any memory of what was visited.
 *
 * A walk depends on the seed and on its own number alone; so what many walks find does not
 * depend on the number of workers or on who does which.  It ends where no thread can go on, where a step fails, or
 * after so many steps.  Three ways to choose the next thread are mixed, by the walk's number:
 * uniformly; the same thread again with some probability; and by priorities, which change at a
 * few random steps (PCT: Burckhardt, Kothari, Musuvathi, Nagarakatte: A randomized scheduler
 * with probabilistic guarantees of finding bugs, ASPLOS 2010).  PCT needs the length of a run in
 * advance; each walk draws one, evenly by its logarithm.
 *
 * Of a violation only its class, how often, and the number of the shortest walk to it are kept:
 * the walk is done again when somebody asks for its decisions.  Those are in fine steps, which
 * is what replaying and shortening them works with.
 *
 * How many states were seen is estimated with one bit for each value of a hash (linear counting:
 * Whang, Vander-Zanden, Taylor: A linear-time probabilistic counting algorithm for database
 * applications, TODS 1990): bits only are counted here.
 */

enum { UNIFORM, STICKY, PRIORITY, STRATEGIES };
enum { NO_ROOM = -1, NOT_THERE = 0, THERE = 1 };

typedef struct swarm swarm;

typedef struct decisions { /* initial state; then for each step thread | choices << 16, choices */
  uint32_t *word;
  size_t count, room;
  int failed;
} decisions;

typedef struct walker {
  swarm *s;
  pthread_t thread;
  uint64_t random;
  run run;
  uint64_t v[NWORDS], src[NWORDS];
  uint16_t chosen[MAX_CHOICES]; /* of the step just done */
  uint32_t choices;
  const uint32_t *script; /* choices to make, or NULL: random ones */
  uint32_t scripted;
  coverage covered;
  uint64_t walks, steps, ended, longest, bits;
  events events;
  int dead;
} walker;

struct swarm {
  uint8_t stops[NSTOPS + 1], fine[NSTOPS + 1], sites[NSITES + 1], diverges[NFAULTS + 1];
  uint64_t *initial, initials;
  uint64_t seed, most; /* steps of a walk */
  uint64_t *table;     /* of bits */
  unsigned table_bits;
  size_t table_room;
  uint64_t next, end; /* walks to do */
  unsigned workers;
  walker *walker;
  events events;
};

/* What a recording looks for, and what it writes. */
typedef struct recording {
  decisions out;
  uint64_t kind, a, b; /* b is found out where `any` */
  int any, found;
  uint64_t mask;
} recording;

/* ---------------------------------------------------------------------------- chance */

static uint64_t draw(walker *w) { /* splitmix64 */
  w->random += 0x9e3779b97f4a7c15u;
  return mix(w->random);
}

static uint32_t draw_below(walker *w, uint32_t n) { return (uint32_t)((draw(w) >> 32) * n >> 32); }

/* ------------------------------------------------------------------------------ steps */

static uint32_t choose(walker *w, uint32_t number, uint32_t count) {
  if (w->script == NULL)
    return draw_below(w, count);
  return number < w->scripted && w->script[number] < count ? w->script[number] : 0;
}

static void take_back(walker *w, unsigned t) {
  memcpy(w->v, w->src, SHARED_WORDS * sizeof *w->v);
  memcpy(w->v + thread_word[t], w->src + thread_word[t],
         (size_t)(thread_word[t + 1] - thread_word[t]) * sizeof *w->v);
}

static int run_step(walker *w, unsigned t) {
  w->run.made = w->run.npath = w->run.overflow = 0;
  return step(t, w->v, &w->run);
}

/* One step of a thread from src to v, choosing as told.  How many alternatives there are is
 * known only after the step: so with the first one, then again with another. */
static int step_choosing(walker *w, unsigned t, const uint8_t *stops) {
  run *r = &w->run;
  uint32_t k = 0;
  r->stops = stops;
  r->script = 0;
  int kind = run_step(w, t);
  while (r->made > k) {
    uint32_t pick = choose(w, k, r->count[k]);
    w->chosen[k++] = (uint16_t)pick;
    if (pick == 0)
      continue;
    memcpy(r->choice, w->chosen, k * sizeof *r->choice);
    r->script = k;
    take_back(w, t);
    kind = run_step(w, t);
  }
  w->choices = k;
  if (kind == R_BLOCKED || kind == R_BROKEN)
    take_back(w, t);
  return kind;
}

/* The same at the walk's stops, or where that does not do (a block that waits in its middle, or
 * never comes to a stop) one fine step. */
static int step_of_walk(walker *w, unsigned t, int *fine) {
  int kind = step_choosing(w, t, w->s->stops);
  *fine = 0;
  if (kind == R_BROKEN || (kind == R_FAULT && w->s->diverges[w->run.fault])) {
    *fine = 1;
    take_back(w, t);
    kind = step_choosing(w, t, w->s->fine);
  }
  return kind;
}

/* Some choices of a thread may be enabled where others are not.  The first outcome there is, as
 * a script in `chosen`; 0 if the thread is not enabled. */
static int any_outcome(walker *w, unsigned t) {
  run *r = &w->run;
  int kind;
  r->stops = w->s->fine;
  r->script = 0;
  do {
    kind = run_step(w, t);
    take_back(w, t);
    if (kind != R_BLOCKED) {
      w->choices = r->made;
      memcpy(w->chosen, r->choice, r->made * sizeof *w->chosen);
      return 1;
    }
  } while (r->made && next_choices(r));
  return 0;
}

/* ----------------------------------------------------------------------------- events */

static void note_event(walker *w, uint64_t kind, uint64_t a, uint64_t b, uint64_t depth,
                       uint64_t walk) {
  event_class *one = event_class_of(&w->events, kind, a, b, depth);
  if (one == NULL) {
    w->dead = 1;
    return;
  }
  one->count++;
  if (depth < one->depth || one->ngoals == 0) {
    one->depth = depth;
    one->ngoals = 0;
    w->dead |= !add_goal(&w->events, one, (goal){walk, 0, 0});
  } else if (depth == one->depth && walk < one->goals[0].source) {
    one->goals[0].source = walk;
  }
}

/* Of a state where nothing goes on: is it a deadlock, and which (see `unfinished`)? */
static int deadlocked(const uint64_t *v, uint64_t *key) {
  int found = 0;
  *key = 0;
  for (unsigned t = 0; t < NTHREADS; t++) {
    unsigned pc = pc_of(t, v);
    if (pc == 0 || (thread_daemon[t] && stop_rests[stop_base[t] + pc - 1]))
      continue;
    found |= !thread_daemon[t];
    *key = mix(*key + mix(stop_base[t] + pc));
  }
  return found;
}

static void saw(recording *r, uint64_t kind, uint64_t a, uint64_t b) {
  if (kind != r->kind || a != r->a || !(r->any || b == r->b))
    return;
  r->b = b;
  r->found = 1;
}

/* Where no thread can go on. */
static void note_end(walker *w, uint64_t mask, uint64_t depth, uint64_t walk, recording *r) {
  uint64_t key, bad = NINVARIANTS ? broken_at_end(w->src) & ~mask : 0;
  int stuck = deadlocked(w->src, &key);
  if (stuck) {
    bad &= ~(uint64_t)TERMINAL_ONLY;
    if (r)
      saw(r, DEADLOCK, key, 0);
    else
      note_event(w, DEADLOCK, key, 0, depth, walk);
  }
  for (; bad; bad &= bad - 1)
    if (r)
      saw(r, AT_END, (uint64_t)__builtin_ctzll(bad), 0);
    else
      note_event(w, AT_END, (uint64_t)__builtin_ctzll(bad), 0, depth, walk);
}

/* The invariants that count as broken after a step; `newly`: those that the step broke. */
static uint64_t next_mask(const uint64_t *v, uint64_t mask, uint64_t *newly) {
  uint64_t bad = NINVARIANTS ? broken(v) : 0;
  *newly = bad & ~mask;
  return bad | (mask & ~bad ? unseen(v) & mask : 0);
}

static uint64_t where(const uint64_t *v, unsigned t) { return 1 + stop_base[t] + pc_of(t, v) - 1; }

static void watch(recording *r, const uint64_t *v) {
  for (uint64_t bits = NWITNESSES ? witnessed(v) : 0; bits; bits &= bits - 1)
    saw(r, WITNESS, (uint64_t)__builtin_ctzll(bits), 0);
}

/* -------------------------------------------------------------------------- recording */

static void write_word(decisions *d, uint32_t word) {
  void *items = d->word;
  if (d->failed || !room_for(&items, d->count, &d->room, sizeof *d->word)) {
    d->failed = 1;
    return;
  }
  d->word = items;
  d->word[d->count++] = word;
}

static void write_step(recording *r, const walker *w, unsigned t) {
  write_word(&r->out, t | w->choices << 16);
  for (uint32_t i = 0; i < w->choices; i++)
    write_word(&r->out, w->chosen[i]);
}

static void begin_recording(recording *r, const uint64_t *v, uint32_t initial) {
  write_word(&r->out, initial);
  r->mask = NINVARIANTS ? broken(v) : 0;
  for (uint64_t bits = r->mask; bits; bits &= bits - 1)
    saw(r, INVARIANT, (uint64_t)__builtin_ctzll(bits), 0);
  watch(r, v);
}

/* A fine step of a recording, from src; on to src if it comes to a stop. */
static int record_step(walker *w, recording *r, unsigned t) {
  int kind = step_choosing(w, t, w->s->fine);
  if (kind == R_STOP) {
    uint64_t newly, from = where(w->src, t);
    write_step(r, w, t);
    r->mask = next_mask(w->v, r->mask, &newly);
    for (; newly; newly &= newly - 1)
      saw(r, INVARIANT, (uint64_t)__builtin_ctzll(newly), from);
    watch(r, w->v);
    memcpy(w->src, w->v, sizeof w->src);
  } else if (kind == R_FAULT) {
    write_step(r, w, t);
    saw(r, FAULT, w->run.fault, 0);
    take_back(w, t);
  }
  return kind;
}

/* Do again, in fine steps, what a step of the walk with the choices made did. */
static void record_block(walker *w, recording *r, unsigned t, int fine) {
  uint32_t choice[MAX_CHOICES], made = w->choices, used = 0;
  for (uint32_t i = 0; i < made; i++)
    choice[i] = w->chosen[i];
  take_back(w, t);
  for (int kind = R_STOP; kind == R_STOP;) {
    w->script = choice + used;
    w->scripted = made - used;
    kind = record_step(w, r, t);
    used += w->choices < made - used ? w->choices : made - used;
    unsigned pc = pc_of(t, w->src);
    if (fine || pc == 0 || w->s->stops[stop_base[t] + pc - 1])
      break;
  }
  w->script = NULL;
}
