/* Events: what the search saw that somebody will want to know, grouped into classes.
 *
 * Each worker collects its own, so that recording one takes no lock even where every other
 * transition is one; they are merged when somebody asks.  A class keeps all goals of its
 * smallest depth; deeper events are only counted.
 */

enum { FAULT = 1, INVARIANT, DEADLOCK, AT_END, WITNESS };

typedef struct goal {
  uint64_t source, thread, final;
} goal;

typedef struct event_class {
  uint64_t kind, a, b, count, depth;
  goal *goals;
  size_t ngoals, room;
} event_class;

typedef struct events {
  event_class *list;
  size_t count, room;
  uint32_t *index; /* open addressing: number in list + 1 */
  size_t cells;
  uint64_t bytes;
} events;

/* Other workers read the sum to see how much memory is in use. */
static void count_bytes(events *own, uint64_t more) { relaxed_store(&own->bytes, own->bytes + more); }

static size_t event_place(const events *own, uint64_t kind, uint64_t a, uint64_t b) {
  size_t at = mix(kind + mix(a + mix(b))) & (own->cells - 1);
  while (own->index[at]) {
    const event_class *one = &own->list[own->index[at] - 1];
    if (one->kind == kind && one->a == a && one->b == b)
      break;
    at = (at + 1) & (own->cells - 1);
  }
  return at;
}

static int index_events(events *own, size_t cells) {
  uint32_t *index = calloc(cells, sizeof *index);
  if (index == NULL)
    return 0;
  free(own->index);
  own->index = index;
  own->cells = cells;
  for (size_t i = 0; i < own->count; i++) {
    const event_class *one = &own->list[i];
    own->index[event_place(own, one->kind, one->a, one->b)] = (uint32_t)i + 1;
  }
  return 1;
}

/* The class of a key, new ones with `depth`; NULL if there is no memory. */
static event_class *event_class_of(events *own, uint64_t kind, uint64_t a, uint64_t b,
                                   uint64_t depth) {
  if (2 * (own->count + 1) > own->cells && !index_events(own, own->cells ? 2 * own->cells : 64))
    return NULL;
  size_t at = event_place(own, kind, a, b);
  if (own->index[at])
    return &own->list[own->index[at] - 1];
  void *list = own->list;
  if (!room_for(&list, own->count, &own->room, sizeof *own->list))
    return NULL;
  own->list = list;
  event_class *one = &own->list[own->count++];
  *one = (event_class){.kind = kind, .a = a, .b = b, .depth = depth};
  own->index[at] = (uint32_t)own->count;
  count_bytes(own, sizeof *one + 2 * sizeof *own->index);
  return one;
}

static int add_goal(events *own, event_class *one, goal what) {
  void *goals = one->goals;
  size_t before = one->room;
  if (!room_for(&goals, one->ngoals, &one->room, sizeof *one->goals))
    return 0;
  count_bytes(own, (one->room - before) * sizeof *one->goals);
  one->goals = goals;
  one->goals[one->ngoals++] = what;
  return 1;
}

/* Count an event; 0 if there is no memory.  A worker's depths never fall. */
static int add_event(events *own, uint64_t kind, uint64_t a, uint64_t b, uint64_t depth,
                     goal what) {
  event_class *one = event_class_of(own, kind, a, b, depth);
  if (one == NULL)
    return 0;
  one->count++;
  if (depth != one->depth)
    return 1;
  if (one->ngoals) { /* several choices of one step lead to the same goal one after another */
    const goal *last = &one->goals[one->ngoals - 1];
    if (last->source == what.source && last->thread == what.thread && last->final == what.final)
      return 1;
  }
  return add_goal(own, one, what);
}

static void clear_events(events *own) {
  for (size_t i = 0; i < own->count; i++)
    free(own->list[i].goals);
  free(own->list);
  free(own->index);
  *own = (events){0};
}

/* Move everything from one collection to another. */
static int merge_events(events *into, events *from) {
  for (size_t i = 0; i < from->count; i++) {
    event_class *other = &from->list[i];
    event_class *one = event_class_of(into, other->kind, other->a, other->b, other->depth);
    if (one == NULL)
      return 0;
    one->count += other->count;
    other->count = 0;
    if (other->depth < one->depth) {
      one->depth = other->depth;
      one->ngoals = 0;
    }
    for (size_t j = 0; other->depth == one->depth && j < other->ngoals; j++)
      if (!add_goal(into, one, other->goals[j]))
        return 0;
    other->ngoals = 0;
  }
  clear_events(from);
  return 1;
}

static int compare_events(const void *left, const void *right) {
  const event_class *a = left, *b = right;
  if (a->kind != b->kind)
    return a->kind < b->kind ? -1 : 1;
  if (a->a != b->a)
    return a->a < b->a ? -1 : 1;
  return a->b < b->b ? -1 : a->b > b->b;
}

/* An order that does not depend on the number of workers. */
static void sort_events(events *own) {
  if (own->count > 1) {
    qsort(own->list, own->count, sizeof *own->list, compare_events);
    memset(own->index, 0, own->cells * sizeof *own->index);
    for (size_t i = 0; i < own->count; i++) {
      const event_class *one = &own->list[i];
      own->index[event_place(own, one->kind, one->a, one->b)] = (uint32_t)i + 1;
    }
  }
}
