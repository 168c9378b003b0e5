/* A search as plain memory, to be written to a file and read back by another process.
 *
 * What is large is given out in place, section by section: the order array, and the values of
 * each tree table in order of number.  Everything else goes into one list of words, the notes:
 * sizes, position in the layer, carried masks, events, coverage, counters.  No index and no
 * hash table is saved; they are built again, so a file does not depend on how these are laid
 * out, nor on the number of workers.
 * (load.c has the reverse.)
 */

#define SAVE_VERSION 1u

typedef struct writer {
  roots out;
  int failed;
} writer;

static void put(writer *w, uint64_t word) { w->failed |= !push_root(&w->out, word); }

static const uint64_t *constants(unsigned *count) {
  static const uint64_t all[] = {SAVE_VERSION, NTHREADS, NWORDS,      SHARED_WORDS, NSTOPS,
                                 NBLOCKS,      NSITES,   NFAULTS,     NINVARIANTS,  NWITNESSES,
                                 LEAF,         TERMINAL_ONLY};
  *count = sizeof all / sizeof *all;
  return all;
}

static void put_tables(writer *out, const engine *e) {
  put(out, e->states.count);
  put(out, e->tree.nodes);
  for (unsigned node = 0; node < e->tree.nodes; node++) {
    uint64_t holes = 0;
    put(out, e->tree.tables[node].width);
    put(out, e->tree.tables[node].count);
    for (unsigned i = 0; i < e->workers; i++)
      holes += e->worker[i].spare[node] != 0;
    put(out, holes);
    for (unsigned i = 0; i < e->workers; i++)
      if (e->worker[i].spare[node])
        put(out, e->worker[i].spare[node]);
  }
}

static void put_position(writer *out, const engine *e) {
  uint64_t transitions = 0, failed = 0, broken = 0, seen = 0;
  for (unsigned i = 0; i < e->workers; i++) {
    transitions += e->worker[i].transitions;
    failed += e->worker[i].failed;
    broken |= e->worker[i].broken_bits;
    seen |= e->worker[i].seen_witnesses;
  }
  const uint64_t all[] = {e->next,      e->layer_end, (uint64_t)e->finished, e->mask_bits, e->looking,
                          transitions,  failed,       broken,                seen};
  for (unsigned i = 0; i < sizeof all / sizeof *all; i++)
    put(out, all[i]);
  put(out, e->layers);
  for (size_t i = 0; i < e->layers; i++)
    put(out, e->layer[i]);
  put(out, e->lefts);
  for (uint64_t i = 0; i < e->lefts; i++) {
    put(out, e->left[i].begin);
    put(out, e->left[i].end);
  }
}

static void put_carried(writer *out, const stripe *all, uint64_t count) {
  put(out, count);
  for (unsigned i = 0; count && i < STRIPES; i++)
    for (size_t j = 0; j < all[i].cells; j++)
      if (all[i].cell[j].root) {
        put(out, all[i].cell[j].root);
        put(out, all[i].cell[j].mask);
      }
}

static void put_events(writer *out, const events *own) {
  put(out, own->count);
  for (size_t i = 0; i < own->count; i++) {
    const event_class *one = &own->list[i];
    put(out, one->kind);
    put(out, one->a);
    put(out, one->b);
    put(out, one->count);
    put(out, one->depth);
    put(out, one->ngoals);
    for (size_t j = 0; j < one->ngoals; j++) {
      put(out, one->goals[j].source);
      put(out, one->goals[j].thread);
      put(out, one->goals[j].final);
    }
  }
}

static void put_marks(writer *out, const uint8_t *marks, size_t n) {
  for (size_t i = 0; i < n; i++)
    put(out, marks[i]);
}

/* The notes, to be given back with ge_forget; NULL if the search cannot be saved: there was no
 * memory for a state it was at, or there is none for the notes.  Between calls of ge_advance. */
uint64_t *ge_notes(engine *e, uint64_t *count) {
  writer out = {0};
  unsigned n;
  const uint64_t *fixed = constants(&n);
  uint8_t *marks = malloc(NBLOCKS + NSITES + NFAULTS + 1);
  gather(e);
  if (marks == NULL || e->dead) {
    free(marks);
    return NULL;
  }
  for (unsigned i = 0; i < n; i++)
    put(&out, fixed[i]);
  put_tables(&out, e);
  put_position(&out, e);
  put_carried(&out, e->carried, e->carried_count);
  put_carried(&out, e->carrying, e->carrying_count);
  ge_coverage(e, marks, marks + NBLOCKS, marks + NBLOCKS + NSITES);
  put_marks(&out, marks, NBLOCKS + NSITES + NFAULTS);
  put_events(&out, &e->events);
  free(marks);
  if (out.failed) {
    free(out.out.item);
    return NULL;
  }
  *count = out.out.count;
  return out.out.item;
}

void ge_forget(uint64_t *notes) { free(notes); }

uint32_t ge_sections(engine *e) { return 1 + e->tree.nodes; }

/* Where a section lies, and its bytes: 0 the order array, then the tables' values.  0 bytes:
 * there is no such section.  To be read for saving, to be filled between ge_load and ge_loaded. */
uint64_t ge_section(engine *e, uint32_t which, uint8_t **at) {
  *at = NULL;
  if (which == 0) {
    *at = (uint8_t *)e->states.order;
    return e->states.count * sizeof *e->states.order;
  }
  if (which > e->tree.nodes)
    return 0;
  table *own = &e->tree.tables[which - 1];
  *at = (uint8_t *)(own->value + own->width);
  return (uint64_t)(own->count - 1) * own->width * sizeof *own->value;
}
