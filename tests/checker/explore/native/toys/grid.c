/* NTHREADS counters, each counting from 0 to LIMIT: (LIMIT+1)**NTHREADS states, and
 * NTHREADS * LIMIT * (LIMIT+1)**(NTHREADS-1) transitions; the longest shortest path has
 * NTHREADS * LIMIT steps.  Every step changes a shared word and two of the thread's own; the
 * vector is as large as a real one, 256 bytes.  SYMMETRIC: the shared word is the thread's element of
 * one variable, so that threads can be exchanged. */
#define NTHREADS 4
#ifndef LIMIT
#define LIMIT 9
#endif
#define OWN 4
#define SHARED_WORDS 16
#define NWORDS (SHARED_WORDS + OWN * NTHREADS)
#define NSTOPS NTHREADS
#define NBLOCKS NTHREADS
#define NSITES 1
#define NFAULTS 1
#define NINVARIANTS 1
#define NWITNESSES 1
#define TERMINAL_ONLY 0
#include "toy.h"

#define START(t) (SHARED_WORDS + (t) * OWN)
static const uint16_t thread_word[NTHREADS + 1] = {START(0), START(1), START(2), START(3), NWORDS};
static const uint32_t stop_base[NTHREADS + 1] = {0, 1, 2, 3, 4};
static const uint8_t thread_daemon[NTHREADS];
static const uint8_t stop_rests[NSTOPS];
static const uint64_t invariant_words[1] = {1};

static inline unsigned pc_of(unsigned t, const uint64_t *v) {
  return (unsigned)(v[thread_word[t]] & 0xff);
}
static uint64_t broken(const uint64_t *v) { return v[0] > LIMIT; }
static uint64_t unseen(const uint64_t *v) { return 0 * v[0]; }
static uint64_t broken_at_end(const uint64_t *v) { return v[0] != LIMIT; }
static uint64_t witnessed(const uint64_t *v) { return v[0] == LIMIT; }

static int step(unsigned t, uint64_t *v, run *r) {
  uint64_t *own = v + thread_word[t];
  passed(r, t);
  own[1]++;
  own[3] = own[1] / 3;
#ifdef SYMMETRIC
  v[t] = own[1];
#else
  v[t * 2] = own[1];
#endif
  if (own[1] == LIMIT)
    own[0] = own[1] = own[3] = 0;
  return R_STOP;
}

void toy_initial(uint64_t *v) {
  memset(v, 0, NWORDS * sizeof *v);
  for (unsigned t = 0; t < NTHREADS; t++)
    v[thread_word[t]] = 1;
}
