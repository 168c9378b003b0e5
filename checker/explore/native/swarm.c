/* Swarm: whole walks, by several workers, and what Python calls; walk.c has what a walk is. */

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
    cover(&w->covered, &w->run, BLOCK_TAKEN);
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
    ok = new_coverage(&w->covered) && ok;
    w->run.sites = s->sites;
    w->run.strays = w->covered.strays;
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
    free_coverage(&s->walker[i].covered);
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
    or_bytes(blocks, s->walker[i].covered.blocks, NBLOCKS);
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
