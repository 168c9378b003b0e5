/* A whole search, progress and paths without Python, for the sanitizers; prints what must not
 * depend on the number of workers.  Comes after the engine.  Arguments: workers, seed (of the
 * maze), memory limit in bytes for the first part of the search or 0. */
#include <stdio.h>

#ifdef VARS
#define SEED(x) (toy_seed = (uint32_t)(x))
#else
#define SEED(x) ((void)(x))
#endif

static uint64_t digest_goals(engine *e, uint64_t index, uint64_t n) {
  uint64_t *goal = malloc((3 * n + 1) * sizeof *goal), v[NWORDS], sum = 0;
  ge_event_goals(e, index, goal);
  for (uint64_t i = 0; i < n; i++) {
    uint64_t one = mix(goal[3 * i + 1]);
    ge_state(e, goal[3 * i], v);
    for (unsigned k = 0; k < NWORDS; k++)
      one = mix(one ^ v[k]);
    sum += one; /* whatever the order */
  }
  free(goal);
  return sum;
}

#ifdef SYMMETRIC
/* All four threads may be exchanged; the first four words are one for each of them. */
static int exchange_all(engine *e) {
  const uint8_t group[4] = {1, 1, 1, 1};
  const int64_t words[7] = {NSTOPS, 0, 4, 8, PLAIN_VALUE, 1, 0};
  uint8_t order[24 * 4], uneven[NBLOCKS];
  unsigned n = 0;
  for (unsigned code = 0; code < 256; code++) {
    uint8_t one[4] = {code >> 6, code >> 4 & 3, code >> 2 & 3, code & 3};
    if ((1 << one[0] | 1 << one[1] | 1 << one[2] | 1 << one[3]) == 15)
      memcpy(order + 4 * n++, one, 4);
  }
  memset(uneven, 1, sizeof uneven);
  return ge_symmetry(e, group, order, n, words, 1, NULL, 0, uneven);
}
#endif

int main(int argc, char **argv) {
  unsigned workers = argc > 1 ? (unsigned)atoi(argv[1]) : 1;
  uint64_t limit = argc > 3 ? (uint64_t)atoll(argv[3]) : 0, v[NWORDS], out[16];
  SEED(argc > 2 ? atoi(argv[2]) : 0);
  engine *e = ge_new(workers, limit);
  if (e == NULL)
    return 1;
  uint8_t stops[NSTOPS + 1], sites[NSITES + 1];
  memset(stops, 1, sizeof stops);
  memset(sites, 1, sizeof sites);
  ge_flags(e, stops, sites);
#ifdef SYMMETRIC
  if (exchange_all(e))
    return 1;
#endif
  toy_initial(v);
  ge_initial(e, v);
  int result, refused = 0;
  while ((result = ge_advance(e, 5000)) != 2)
    if (result == 3) {
      ge_stats(e, out);
      refused += out[0] > 1 && out[4] > 0;
      ge_limit(e, limit += 1000);
    }
  ge_stats(e, out);
  printf("%llu states %llu transitions %llu failed %llu layers %llu waiting\n",
         (unsigned long long)out[0], (unsigned long long)out[1], (unsigned long long)out[2],
         (unsigned long long)out[3], (unsigned long long)out[4]);
  if (limit)
    printf("%s\n", refused ? "refused and resumed" : "never refused");
  ge_limit(e, 0);
  uint64_t classes = out[8], last = 0;
  for (uint64_t i = 0; i < classes; i++) {
    ge_event_class(e, i, out);
    printf("event %llu %llu %llu count %llu depth %llu goals %llu %llx\n",
           (unsigned long long)out[0], (unsigned long long)out[1], (unsigned long long)out[2],
           (unsigned long long)out[3], (unsigned long long)out[4], (unsigned long long)out[5],
           (unsigned long long)digest_goals(e, i, out[5]));
    last = i;
  }
  while ((result = ge_progress(e, 3000)) == 0) {
  }
  for (unsigned t = 0; result == 2 && t < NTHREADS; t++) {
    ge_stuck(e, t, out);
    printf("stuck %u: %llu depth %llu goals %llu\n", t, (unsigned long long)out[0],
           (unsigned long long)out[1], (unsigned long long)out[2]);
  }
  if (classes) {
    /* Paths to all goals of a class, summed up: which goal comes first may differ. */
    uint64_t before[64], sum[3] = {0, 0, 0};
    ge_event_class(e, last, out);
    uint64_t n = out[5], *goal = malloc((3 * n + 1) * sizeof *goal), *root = malloc((n + 1) * sizeof *root);
    ge_event_goals(e, last, goal);
    for (uint64_t i = 0; i < n; i++)
      root[i] = goal[3 * i];
    if (ge_paths(e, root, n))
      return 2;
    while ((result = ge_paths_on(e, 3000)) != 2)
      if (result)
        return 2;
    for (uint64_t i = 0; i < n; i++) {
      sum[0] += ge_depth(e, root[i]);
      for (unsigned t = 0; t < NTHREADS; t++) {
        sum[1] += ge_switches(e, root[i], t);
        sum[2] += ge_predecessors(e, root[i], t, before, 64);
      }
    }
    printf("paths to %llu: depths %llu switches %llu before %llu\n", (unsigned long long)n,
           (unsigned long long)sum[0], (unsigned long long)sum[1], (unsigned long long)sum[2]);
    free(goal);
    free(root);
  }
  ge_free(e);
  return result != 2;
}
