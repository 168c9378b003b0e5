/* Symmetry: of the states that differ by an exchange of identical threads one is kept.
 * (docs/decisions/0006-ample-sets-and-symmetry.md has the theorem, ../symmetry.py the proof that
 * threads may be exchanged; the tables below say what an exchange does to a vector.)
 *
 * The one that is kept is found in two steps.  Each thread of a group gets a signature: a hash of
 * its own part of the state, and of where it is named elsewhere, in which the threads of groups
 * have no numbers.  An exchange carries signatures along, so putting the threads in the order of
 * their signatures leaves a choice only among those that have equal ones; and of what is left the
 * least vector is taken.  Threads with equal signatures look alike to everybody, unless some
 * thread of a group remembers another (`related`): without that, any order will do.  Where hashes
 * of different things are equal, an orbit may keep more than one state, which does no harm.
 */

enum { PLAIN_VALUE, THREAD_VALUE, MASK_VALUE }; /* what an exchange does to a value */

typedef struct typed { /* elements of one kind in a vector */
  uint32_t at;      /* byte of the first: of the vector, or of the thread's own part */
  uint16_t elements;
  uint8_t width;    /* bytes of each */
  uint8_t type;
  uint8_t indexed;  /* element t belongs to thread t */
  int64_t low;      /* what is added to the bytes to get the value */
} typed;

typedef struct symmetry {
  uint8_t group[NTHREADS + 1];   /* of each thread: 0, or the number of its group from 1 */
  uint64_t grouped;              /* the threads of groups, as bits */
  size_t orders;                 /* all permutations within groups, the identity first */
  uint8_t *order;                /* [orders][NTHREADS]: what each thread becomes */
  size_t shareds;
  typed *shared;
  typed *local;                  /* what is live at each stop: */
  uint32_t first[NSTOPS + 2];    /* where its entries begin */
  uint8_t uneven[NBLOCKS + 1];   /* blocks that an exchange does not map to blocks */
} symmetry;

static void free_symmetry(symmetry *s) {
  if (s) {
    free(s->order);
    free(s->shared);
    free(s->local);
    free(s);
  }
}

/* ----------------------------------------------------------------------------- exchange */

INLINE uint64_t load_bytes(const uint8_t *at, unsigned width) {
  uint64_t raw = 0;
  memcpy(&raw, at, width);
  return raw;
}

INLINE uint64_t renamed(const typed *one, const uint8_t *order, uint64_t raw) {
  if (one->type == THREAD_VALUE) {
    int64_t thread = (int64_t)raw + one->low;
    return thread >= 0 && thread < NTHREADS ? (uint64_t)(order[thread] - one->low) : raw;
  }
  uint64_t set = raw & ~(uint64_t)0 << (NTHREADS < 64 ? NTHREADS : 0);
  for (unsigned t = 0; t < NTHREADS; t++)
    set |= (raw >> t & 1) << order[t];
  return set;
}

static void exchange_elements(const typed *one, const uint8_t *order, const uint8_t *from,
                              uint8_t *to) {
  for (unsigned i = 0; i < one->elements; i++) {
    const uint8_t *source = from + one->at + i * one->width;
    uint8_t *target = to + one->at + (one->indexed && i < NTHREADS ? order[i] : i) * one->width;
    if (one->type == PLAIN_VALUE) {
      memcpy(target, source, one->width);
    } else {
      uint64_t raw = renamed(one, order, load_bytes(source, one->width));
      memcpy(target, &raw, one->width);
    }
  }
}

/* What thread t has of its own that is not plain: first and last entry. */
INLINE const typed *typed_locals(const symmetry *s, unsigned t, const uint64_t *v,
                                 const typed **end) {
  unsigned pc = pc_of(t, v), stop = pc ? stop_base[t] + pc - 1 : NSTOPS;
  *end = s->local + s->first[stop + 1];
  return s->local + s->first[stop];
}

/* The vector after every thread t has become order[t]. */
static void exchange(const symmetry *s, const uint8_t *order, const uint64_t *v, uint64_t *out) {
  memcpy(out, v, SHARED_WORDS * sizeof *v);
  for (size_t i = 0; i < s->shareds; i++)
    exchange_elements(&s->shared[i], order, (const uint8_t *)v, (uint8_t *)out);
  for (unsigned t = 0; t < NTHREADS; t++) {
    const uint64_t *from = v + thread_word[t];
    uint64_t *to = out + thread_word[order[t]];
    const typed *end, *one = typed_locals(s, t, v, &end);
    for (unsigned i = 0; i < (unsigned)(thread_word[t + 1] - thread_word[t]); i++)
      to[i] = from[i];
    for (; one < end; one++)
      exchange_elements(one, order, (const uint8_t *)from, (uint8_t *)to);
  }
}

/* --------------------------------------------------------------------------- signatures */

typedef struct signatures {
  uint64_t of[NTHREADS + 1];
  int related; /* a thread of a group remembers another one */
} signatures;

/* An element that belongs to thread `owner` of a group, or (owner NOBODY) to no such thread.
 * `key` says which it is, without the number of the owner. */
INLINE void sign(const symmetry *s, signatures *found, const typed *one, uint64_t raw,
                 unsigned owner, uint64_t key) {
  int64_t thread = (int64_t)raw + one->low;
  uint64_t named = raw & s->grouped;
  if (one->type == PLAIN_VALUE) {
    if (owner != NOBODY)
      found->of[owner] += mix(key + mix(raw));
    return;
  }
  if (one->type == THREAD_VALUE)
    named = thread >= 0 && thread < NTHREADS ? s->grouped & (uint64_t)1 << thread : 0;
  for (uint64_t bits = named; bits; bits &= bits - 1) {
    unsigned t = (unsigned)__builtin_ctzll(bits);
    found->of[t] += mix(key + (t == owner));
    found->related |= owner != NOBODY && t != owner;
  }
  if (owner != NOBODY)
    found->of[owner] += mix(key + 2 + (one->type == MASK_VALUE ? raw & ~s->grouped : named ? 0 : raw + 1));
}

static void sign_shared(const symmetry *s, const uint64_t *v, signatures *found) {
  for (size_t i = 0; i < s->shareds; i++) {
    const typed *one = &s->shared[i];
    for (unsigned k = 0; k < one->elements; k++) {
      uint64_t raw = load_bytes((const uint8_t *)v + one->at + k * one->width, one->width);
      int own = one->indexed && k < NTHREADS && s->group[k];
      sign(s, found, one, raw, own ? k : NOBODY, mix(one->at + (own ? 0 : (uint64_t)(k + 1) << 32)));
    }
  }
}

static void sign_locals(const symmetry *s, const uint64_t *v, unsigned t, signatures *found) {
  uint64_t own[NWORDS + 1], hash = 0;
  unsigned words = thread_word[t + 1] - thread_word[t];
  const typed *end, *one = typed_locals(s, t, v, &end);
  memcpy(own, v + thread_word[t], words * sizeof *own);
  for (; one < end; one++) {
    uint8_t *at = (uint8_t *)own + one->at;
    uint64_t key = s->group[t] ? 0 : t + 1;
    sign(s, found, one, load_bytes(at, one->width), s->group[t] ? t : NOBODY,
         mix(~(one->at + (key << 32))));
    memset(at, 0, one->width);
  }
  if (s->group[t]) {
    for (unsigned i = 0; i < words; i++)
      hash = mix(hash + own[i]);
    found->of[t] += hash;
  }
}

/* -------------------------------------------------------------------------- the kept one */

INLINE int sorts(const symmetry *s, const uint8_t *order, const signatures *found) {
  for (unsigned t = 0; t < NTHREADS; t++)
    for (unsigned u = 0; s->group[t] && u < NTHREADS; u++)
      if (s->group[u] == s->group[t] && order[t] < order[u] && found->of[t] > found->of[u])
        return 0;
  return 1;
}

/* The order that sorts signatures and leaves equal ones as they are; are there such? */
INLINE int sorting(const symmetry *s, const signatures *found, uint8_t *order) {
  int equal = 0;
  for (unsigned t = 0; t < NTHREADS; t++) {
    unsigned before = 0, place = t;
    for (unsigned u = 0; s->group[t] && u < NTHREADS; u++)
      if (s->group[u] == s->group[t] && u != t) {
        equal |= found->of[u] == found->of[t];
        before += found->of[u] < found->of[t] || (found->of[u] == found->of[t] && u < t);
      }
    for (unsigned u = 0; s->group[t] && u < NTHREADS; u++)
      if (s->group[u] == s->group[t] && before-- == 0)
        place = u;
    order[t] = (uint8_t)place;
  }
  return equal;
}

/* Replace a vector by the one that is kept of its orbit; 1 if that is another one. */
static NOINLINE int canonical(const symmetry *s, uint64_t *v) {
  signatures found = {.related = 0};
  uint8_t order[NTHREADS + 1];
  uint64_t out[NWORDS + 1], least[NWORDS + 1];
  int any = 0;
  sign_shared(s, v, &found);
  for (unsigned t = 0; t < NTHREADS; t++)
    sign_locals(s, v, t, &found);
  if (!sorting(s, &found, order) || !found.related) {
    for (unsigned t = 0; t < NTHREADS; t++)
      any |= order[t] != t;
    if (!any)
      return 0;
    exchange(s, order, v, least);
  } else {
    for (size_t i = 0; i < s->orders; i++) {
      if (!sorts(s, s->order + i * NTHREADS, &found))
        continue;
      exchange(s, s->order + i * NTHREADS, v, out);
      if (!any || memcmp(out, least, sizeof *v * NWORDS) < 0)
        memcpy(least, out, sizeof *v * NWORDS);
      any = 1;
    }
  }
  if (memcmp(v, least, sizeof *v * NWORDS) == 0)
    return 0;
  memcpy(v, least, sizeof *v * NWORDS);
  return 1;
}

/* ----------------------------------------------------------- groups, as progress asks for them */

/* Does the thread stand for its group, or is it in none? */
static int first_of_group(const symmetry *s, unsigned t) {
  for (unsigned u = 0; s && s->group[t] && u < t; u++)
    if (s->group[u] == s->group[t])
      return 0;
  return 1;
}

/* Has the thread ended, and with it its whole group? */
static int all_ended(const symmetry *s, unsigned t, const uint64_t *v) {
  if (pc_of(t, v) != 0)
    return 0;
  for (unsigned u = 0; s && s->group[t] && u < NTHREADS; u++)
    if (s->group[u] == s->group[t] && pc_of(u, v) != 0)
      return 0;
  return 1;
}

/* -------------------------------------------------------------------------------- tables */

enum { FIELDS = 7 }; /* of a row: stop (or NSTOPS), at, elements, width, type, indexed, low */

static typed typed_of(const int64_t *row) {
  return (typed){(uint32_t)row[1], (uint16_t)row[2], (uint8_t)row[3],
                 (uint8_t)row[4],  (uint8_t)row[5],  row[6]};
}

/* `group` [NTHREADS], `order` [orders][NTHREADS], rows of shared and of local elements (by stop),
 * `uneven` [NBLOCKS].  NULL: no memory. */
static symmetry *new_symmetry(const uint8_t *group, const uint8_t *order, uint64_t orders,
                              const int64_t *shared, uint64_t shareds, const int64_t *local,
                              uint64_t locals, const uint8_t *uneven) {
  symmetry *s = calloc(1, sizeof *s);
  if (s == NULL)
    return NULL;
  s->order = malloc(orders * NTHREADS + 1);
  s->shared = malloc((shareds + 1) * sizeof *s->shared);
  s->local = malloc((locals + 1) * sizeof *s->local);
  if (!s->order || !s->shared || !s->local) {
    free_symmetry(s);
    return NULL;
  }
  s->orders = orders;
  memcpy(s->order, order, orders * NTHREADS);
  memcpy(s->uneven, uneven, NBLOCKS);
  for (unsigned t = 0; t < NTHREADS; t++) {
    s->group[t] = group[t];
    s->grouped |= (uint64_t)(group[t] != 0) << t;
  }
  s->shareds = shareds;
  for (uint64_t i = 0; i < shareds; i++)
    s->shared[i] = typed_of(shared + FIELDS * i);
  for (uint64_t i = 0; i < locals; i++) {
    s->local[i] = typed_of(local + FIELDS * i);
    s->first[local[FIELDS * i] + 1]++; /* how many */
  }
  for (unsigned stop = 0; stop <= NSTOPS; stop++)
    s->first[stop + 1] += s->first[stop];
  return s;
}
