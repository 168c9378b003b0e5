/* Random walks, a search with fingerprints, and one that hops from engine to engine through what
 * is saved, without Python, for the sanitizers; prints what must not depend on the number of workers.  Comes after
 * the engine.  Arguments: workers, seed of the maze. */
#include <stdio.h>

#ifdef VARS
#define SEED(x) (toy_seed = (uint32_t)(x))
#else
#define SEED(x) ((void)(x))
#endif

static engine *hop(engine *e, unsigned workers) {
  uint64_t count;
  uint64_t *notes = ge_notes(e, &count);
  engine *to = ge_new(workers, 0);
  if (notes == NULL || to == NULL || ge_load(to, notes, count) != LOADED)
    exit(3);
  for (uint32_t i = 0; i < ge_sections(e); i++) {
    uint8_t *from, *at;
    uint64_t size = ge_section(e, i, &from);
    if (ge_section(to, i, &at) != size)
      exit(4);
    memcpy(at, from, size);
  }
  ge_free(e);
  if (ge_loaded(to, notes, count) != LOADED)
    exit(5);
  ge_forget(notes);
  return to;
}

static void search(unsigned workers, const uint64_t *initial) {
  uint8_t stops[NSTOPS + 1], sites[NSITES + 1];
  uint64_t out[16];
  int result = 0;
  engine *e = ge_new(workers, 0);
  memset(stops, 1, sizeof stops);
  memset(sites, 1, sizeof sites);
  ge_flags(e, stops, sites);
  ge_initial(e, initial);
  for (unsigned i = 0; (result = ge_advance(e, 300)) < 2; i++)
    if (i % 4 == 0) {
      e = hop(e, 1 + (workers + i) % 3);
      ge_flags(e, stops, sites);
    }
  ge_stats(e, out);
  printf("%d: %llu states %llu transitions %llu failed %llu layers\n", result,
         (unsigned long long)out[0], (unsigned long long)out[1], (unsigned long long)out[2],
         (unsigned long long)out[3]);
  uint64_t classes = out[8];
  for (uint64_t i = 0; i < classes; i++) {
    ge_event_class(e, i, out);
    printf("event %llu %llu count %llu depth %llu goals %llu\n", (unsigned long long)out[0],
           (unsigned long long)out[1], (unsigned long long)out[3], (unsigned long long)out[4],
           (unsigned long long)out[5]);
  }
  ge_free(e);
}

static void walks(unsigned workers, const uint64_t *initial) {
  uint8_t stops[NSTOPS + 1], diverges[NFAULTS + 1] = {0};
  uint64_t out[8], count, key;
  static uint32_t trace[1 << 20], again[1 << 20];
  memset(stops, 1, sizeof stops);
  swarm *s = gs_new(workers, 7, 300, 16, stops, diverges, initial, 1);
  for (unsigned i = 0; i < 4; i++)
    if (gs_run(s, 100))
      exit(6);
  gs_stats(s, out);
  for (unsigned i = 0; i < 7; i++)
    printf("%llu ", (unsigned long long)out[i]);
  uint64_t classes = out[6];
  for (uint64_t i = 0; i < classes; i++) {
    gs_class(s, i, out);
    printf("\n%llu %llu %llu", (unsigned long long)out[0], (unsigned long long)out[3],
           (unsigned long long)out[4]);
    if (gs_trace(s, out[5], out[4], out[0], out[1], trace, 1 << 20, &count, &key) != THERE)
      exit(7);
    uint64_t n;
    if (gs_replay(s, trace, count, out[0], out[1], key, again, 1 << 20, &n) != THERE || n > count)
      exit(8);
    printf(" %llu %llu", (unsigned long long)count, (unsigned long long)n);
  }
  gs_free(s);
}

static void fingerprints(unsigned workers, const uint64_t *initial) {
  uint8_t stops[NSTOPS + 1], sites[NSITES + 1];
  uint64_t out[8];
  int result;
  memset(stops, 1, sizeof stops);
  memset(sites, 1, sizeof sites);
  hashed *s = gh_new(workers, 0);
  gh_flags(s, stops, sites);
  gh_initial(s, initial);
  while ((result = gh_advance(s, 3000)) < 2) {
  }
  gh_stats(s, out);
  printf("\n%d:", result);
  for (unsigned i = 0; i < 8; i++)
    if (i != 5)
      printf(" %llu", (unsigned long long)out[i]);
  gh_free(s);
}

int main(int argc, char **argv) {
  uint64_t initial[NWORDS];
  SEED(argc > 2 ? atoi(argv[2]) : 0);
  toy_initial(initial);
  search((unsigned)atoi(argv[1]), initial);
  walks((unsigned)atoi(argv[1]), initial);
  fingerprints((unsigned)atoi(argv[1]), initial);
  return 0;
}
