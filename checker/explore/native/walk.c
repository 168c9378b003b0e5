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
  uint8_t *blocks, *strays;
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

/* ------------------------------------------------------------------------------ walks */

typedef struct plan { /* how a walk chooses threads */
  int strategy;
  uint32_t stay;               /* STICKY: of 2^32 */
  uint32_t priority[NTHREADS]; /* PRIORITY */
  uint64_t change[8];          /* steps before which it changes */
  unsigned changes;
  unsigned last;
} plan;

static void make_plan(walker *w, uint64_t number, plan *p) {
  static const uint32_t stay[] = {0x80000000u, 0xc0000000u, 0xf0000000u, 0xfc000000u};
  memset(p, 0, sizeof *p);
  p->strategy = (int)(number % STRATEGIES);
  p->last = NTHREADS;
  p->stay = stay[draw_below(w, 4)];
  p->changes = draw_below(w, 8);
  unsigned most = 3;
  while (most < 40 && (uint64_t)1 << most < w->s->most)
    most++;
  uint64_t length = (uint64_t)1 << (3 + draw_below(w, most - 2));
  for (unsigned i = 0; i < p->changes; i++)
    p->change[i] = draw(w) % length;
  for (unsigned t = 0; t < NTHREADS; t++) { /* a random order, above all that come by changes */
    unsigned at = draw_below(w, t + 1);
    p->priority[t] = at == t ? 8 + t : p->priority[at];
    p->priority[at] = 8 + t;
  }
}

/* Which of n candidates runs next: its place among them. */
static unsigned next_thread(walker *w, plan *p, const unsigned *candidate, unsigned n) {
  unsigned best = 0;
  if (p->strategy == STICKY && p->last < NTHREADS && (uint32_t)(draw(w) >> 32) < p->stay)
    for (unsigned i = 0; i < n; i++)
      if (candidate[i] == p->last)
        return i;
  if (p->strategy != PRIORITY)
    return draw_below(w, n);
  for (unsigned i = 1; i < n; i++)
    if (p->priority[candidate[i]] > p->priority[candidate[best]])
      best = i;
  return best;
}

static void change_priorities(plan *p, uint64_t step) {
  for (unsigned i = 0; i < p->changes; i++)
    if (p->change[i] == step && p->last < NTHREADS)
      p->priority[p->last] = i;
}

static void mark_state(walker *w) {
  uint64_t hash = 0x9e3779b97f4a7c15u;
  for (unsigned i = 0; i < NWORDS; i++)
    hash = folded(hash ^ w->src[i], 0xa0761d6478bd642fu + 2 * i) + (uint64_t)i;
  hash = mix(hash) >> (64 - w->s->table_bits);
  uint64_t *word = &w->s->table[hash / 64], bit = (uint64_t)1 << hash % 64;
  if (relaxed_load(word) & bit)
    return;
  w->bits += (__atomic_fetch_or(word, bit, __ATOMIC_RELAXED) & bit) == 0;
}

static void cover_walk(walker *w) {
  uint32_t n = w->run.overflow ? PATH_CAP : w->run.npath;
  for (uint32_t i = 0; i < n; i++)
    w->blocks[w->run.path[i]] = 1;
}

/* One step of any thread that is enabled: R_STOP, R_FAULT, or R_BLOCKED: there is none. */
static int any_step(walker *w, plan *p, unsigned *who, int *fine) {
  unsigned candidate[NTHREADS + 1], n = 0;
  for (unsigned t = 0; t < NTHREADS; t++)
    if (pc_of(t, w->src))
      candidate[n++] = t;
  while (n) {
    unsigned at = next_thread(w, p, candidate, n);
    int kind = step_of_walk(w, *who = candidate[at], fine);
    if (kind == R_STOP || kind == R_FAULT)
      return kind;
    for (n--; at < n; at++)
      candidate[at] = candidate[at + 1];
  }
  for (unsigned t = 0; t < NTHREADS; t++) {
    if (pc_of(t, w->src) == 0 || !any_outcome(w, t))
      continue;
    uint32_t script[MAX_CHOICES];
    for (uint32_t i = 0; i < w->choices; i++)
      script[i] = w->chosen[i];
    w->script = script;
    w->scripted = w->choices;
    int kind = step_choosing(w, *who = t, w->s->fine);
    w->script = NULL;
    *fine = 1;
    if (kind == R_STOP || kind == R_FAULT)
      return kind;
  }
  return R_BLOCKED;
}

/* One walk of at most `most` steps; recorded if asked, and then nothing is counted. */
static void do_walk(walker *w, uint64_t number, uint64_t most, recording *r) {
  swarm *s = w->s;
  plan p;
  uint64_t newly, step, seen = 0, mask;
  w->random = mix(s->seed + mix(number + 1));
  make_plan(w, number, &p);
  uint32_t initial = draw_below(w, (uint32_t)s->initials);
  memcpy(w->src, s->initial + (uint64_t)initial * NWORDS, sizeof w->src);
  memcpy(w->v, w->src, sizeof w->v);
  mask = next_mask(w->src, 0, &newly);
  if (r)
    begin_recording(r, w->src, initial);
  else
    for (; newly; newly &= newly - 1)
      note_event(w, INVARIANT, (uint64_t)__builtin_ctzll(newly), 0, 0, number);
  for (step = 0;; step++) {
    unsigned t;
    int fine;
    if (r == NULL) {
      mark_state(w);
      uint64_t bits = NWITNESSES ? witnessed(w->src) & ~seen : 0;
      for (seen |= bits; bits; bits &= bits - 1)
        note_event(w, WITNESS, (uint64_t)__builtin_ctzll(bits), 0, step, number);
    }
    if (step == most)
      break;
    change_priorities(&p, step);
    int kind = any_step(w, &p, &t, &fine);
    if (kind == R_BLOCKED) {
      note_end(w, r ? r->mask : mask, step, number, r);
      w->ended++;
      break;
    }
    p.last = t;
    if (r) {
      record_block(w, r, t, fine);
      if (kind == R_FAULT)
        break;
      memcpy(w->v, w->src, sizeof w->v);
      continue;
    }
    cover_walk(w);
    if (kind == R_FAULT) {
      note_event(w, FAULT, w->run.fault, 0, ++step, number);
      break;
    }
    uint64_t from = where(w->src, t);
    mask = next_mask(w->v, mask, &newly);
    for (; newly; newly &= newly - 1)
      note_event(w, INVARIANT, (uint64_t)__builtin_ctzll(newly), from, step + 1, number);
    memcpy(w->src, w->v, SHARED_WORDS * sizeof *w->v);
    for (unsigned i = thread_word[t]; i < thread_word[t + 1]; i++)
      w->src[i] = w->v[i];
  }
  if (r == NULL) {
    w->walks++;
    w->steps += step;
    w->longest = step > w->longest ? step : w->longest;
  }
}

static void *walk_on(void *argument) {
  walker *w = argument;
  uint64_t number;
  while (!w->dead && (number = relaxed_add(&w->s->next, 1)) < w->s->end)
    do_walk(w, number, w->s->most, NULL);
  return NULL;
}

/* -------------------------------------------------------------------- what Python calls */

void gs_free(swarm *s);

/* NULL: not enough memory.  `initial`: so many vectors; the table has 2^table_bits bits;
 * `diverges`: the faults that mean that a step never comes to a stop. */
swarm *gs_new(unsigned workers, uint64_t seed, uint64_t most, unsigned table_bits,
              const uint8_t *stops, const uint8_t *diverges, const uint64_t *initial,
              uint64_t initials) {
  swarm *s = calloc(1, sizeof *s);
  if (s == NULL || initials == 0 || table_bits < 16 || table_bits > 40) {
    free(s);
    return NULL;
  }
  s->workers = workers < 1 ? 1 : workers > MAX_WORKERS ? MAX_WORKERS : workers;
  s->seed = mix(seed + 1);
  s->most = most;
  s->table_bits = table_bits;
  s->table_room = (size_t)1 << (table_bits - 3);
  memcpy(s->stops, stops, NSTOPS);
  memset(s->fine, 1, sizeof s->fine);
  if (NFAULTS)
    memcpy(s->diverges, diverges, NFAULTS);
  s->initials = initials;
  s->initial = malloc(initials * NWORDS * sizeof *initial + 1);
  size_t room = s->table_room < 65536 ? 65536 : s->table_room;
  s->table = reserve(&room);
  int ok = s->table != NULL && room >= s->table_room && s->initial != NULL;
  s->table_room = room;
  s->walker = calloc(s->workers, sizeof *s->walker);
  for (unsigned i = 0; s->walker && i < s->workers; i++) {
    walker *w = &s->walker[i];
    w->s = s;
    w->blocks = calloc(NBLOCKS + 1, 1);
    w->strays = calloc(NSITES + 1, 1);
    w->run.sites = s->sites;
    w->run.strays = w->strays;
    ok = ok && w->blocks && w->strays;
  }
  if (!ok || s->walker == NULL) {
    gs_free(s);
    return NULL;
  }
  memcpy(s->initial, initial, initials * NWORDS * sizeof *initial);
  return s;
}

void gs_free(swarm *s) {
  if (s == NULL)
    return;
  for (unsigned i = 0; s->walker && i < s->workers; i++) {
    free(s->walker[i].blocks);
    free(s->walker[i].strays);
    clear_events(&s->walker[i].events);
  }
  clear_events(&s->events);
  if (s->table)
    munmap(s->table, s->table_room);
  free(s->walker);
  free(s->initial);
  free(s);
}

/* Do the next so many walks; 0 ok, 3 no memory. */
int gs_run(swarm *s, uint64_t walks) {
  unsigned started = 1;
  int dead = 0;
  s->end = s->next + walks;
  while (started < s->workers && started < walks &&
         pthread_create(&s->walker[started].thread, NULL, walk_on, &s->walker[started]) == 0)
    started++;
  (void)walk_on(&s->walker[0]);
  for (unsigned i = 1; i < started; i++)
    pthread_join(s->walker[i].thread, NULL);
  s->next = s->end;
  for (unsigned i = 0; i < s->workers; i++)
    dead |= s->walker[i].dead || !merge_events(&s->events, &s->walker[i].events);
  sort_events(&s->events);
  return dead ? 3 : 0;
}

/* 0 walks, 1 steps, 2 walks that came to an end, 3 the longest, 4 bits set, 5 bits, 6 classes */
void gs_stats(swarm *s, uint64_t out[8]) {
  memset(out, 0, 8 * sizeof *out);
  for (unsigned i = 0; i < s->workers; i++) {
    const walker *w = &s->walker[i];
    out[0] += w->walks;
    out[1] += w->steps;
    out[2] += w->ended;
    out[3] = w->longest > out[3] ? w->longest : out[3];
    out[4] += w->bits;
  }
  out[5] = (uint64_t)1 << s->table_bits;
  out[6] = s->events.count;
}

void gs_coverage(swarm *s, uint8_t *blocks) {
  memset(blocks, 0, NBLOCKS);
  for (unsigned i = 0; i < s->workers; i++)
    for (size_t j = 0; j < NBLOCKS; j++)
      blocks[j] |= s->walker[i].blocks[j];
}

/* kind, a, b, count, the fewest steps to it, the first walk of so few */
int gs_class(swarm *s, uint64_t index, uint64_t out[8]) {
  memset(out, 0, 8 * sizeof *out);
  if (index >= s->events.count)
    return 0;
  const event_class *one = &s->events.list[index];
  out[0] = one->kind;
  out[1] = one->a;
  out[2] = one->b;
  out[3] = one->count;
  out[4] = one->depth;
  out[5] = one->goals[0].source;
  for (size_t i = 1; i < one->ngoals; i++)
    if (one->goals[i].source < out[5])
      out[5] = one->goals[i].source;
  return 1;
}

static int hand_out(recording *r, uint32_t *out, uint64_t room, uint64_t *count, uint64_t *b) {
  int fits = !r->out.failed && r->out.count <= room;
  *count = r->out.count;
  *b = r->b;
  if (r->found && fits)
    memcpy(out, r->out.word, r->out.count * sizeof *out);
  free(r->out.word);
  return !r->found ? NOT_THERE : fits ? THERE : NO_ROOM;
}

/* The decisions of a walk's first steps, which end in a violation of class (kind, a), in fine
 * steps; `b` becomes that of the fine step. */
int gs_trace(swarm *s, uint64_t walk, uint64_t steps, uint64_t kind, uint64_t a, uint32_t *out,
             uint64_t room, uint64_t *count, uint64_t *b) {
  recording r = {.kind = kind, .a = a, .any = 1};
  walker *w = &s->walker[0];
  uint64_t ended = w->ended;
  /* A state without successors is found out by one step more. */
  do_walk(w, walk, kind == DEADLOCK || kind == AT_END ? steps + 1 : steps, &r);
  w->ended = ended;
  return hand_out(&r, out, room, count, b);
}

/* Decisions as far as they can be done, up to a violation of the class (kind, a, b): what cannot
 * be done is left out.  THERE, with what was done; NOT_THERE. */
int gs_replay(swarm *s, const uint32_t *in, uint64_t n, uint64_t kind, uint64_t a, uint64_t b,
              uint32_t *out, uint64_t room, uint64_t *count) {
  recording r = {.kind = kind, .a = a, .b = b};
  walker *w = &s->walker[0];
  if (n == 0 || in[0] >= s->initials)
    return NOT_THERE;
  memcpy(w->src, s->initial + (uint64_t)in[0] * NWORDS, sizeof w->src);
  memcpy(w->v, w->src, sizeof w->v);
  begin_recording(&r, w->src, in[0]);
  for (uint64_t at = 1; at < n && !r.found;) {
    unsigned t = in[at] & 0xffff;
    uint32_t choices = in[at] >> 16;
    if (t >= NTHREADS || choices > n - at - 1)
      break;
    w->script = in + at + 1;
    w->scripted = choices;
    if (pc_of(t, w->src) && record_step(w, &r, t) == R_FAULT)
      break;
    at += 1 + choices;
  }
  w->script = NULL;
  if (!r.found && (kind == DEADLOCK || kind == AT_END)) {
    int enabled = 0;
    for (unsigned t = 0; t < NTHREADS; t++)
      enabled |= pc_of(t, w->src) && any_outcome(w, t);
    if (!enabled)
      note_end(w, r.mask, 0, 0, &r);
  }
  return hand_out(&r, out, room, count, &b);
}
