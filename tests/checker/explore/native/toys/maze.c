/* Threads whose steps are drawn from a hash of toy_seed, where they stand, and some shared
 * values: steps that block, fail, break an assumption, choose, end; invariants with and without
 * `when`; witnesses; a daemon.  Nothing is known of them in advance: the test explores them with
 * a search of its own, through toy_step and what else is exported here. */
#define NTHREADS 4
#ifdef WIDE /* more words and more nodes than 64 */
#define SPREAD 24
#define OWN 17
#else
#define SPREAD 3
#define OWN 3
#endif
#define VARS 4
#define PCS 4
#define SHARED_WORDS (VARS * SPREAD)
#define NWORDS (SHARED_WORDS + NTHREADS * OWN)
#define NSTOPS (NTHREADS * PCS)
#define NBLOCKS (NTHREADS * PCS * 8)
#define NSITES 4
#define NFAULTS 6
#define NINVARIANTS 4
#define NWITNESSES 2
#define TERMINAL_ONLY 8
#include "toy.h"

#define START(t) (SHARED_WORDS + (t) * OWN)
static const uint16_t thread_word[NTHREADS + 1] = {START(0), START(1), START(2), START(3), START(4)};
static const uint32_t stop_base[NTHREADS + 1] = {0, PCS, 2 * PCS, 3 * PCS, 4 * PCS};
static const uint8_t thread_daemon[NTHREADS] = {0, 0, 0, 1};
static const uint8_t stop_rests[NSTOPS] = {[3 * PCS] = 1, [3 * PCS + 2] = 1, [1] = 1};
#ifdef WIDE
static const uint64_t invariant_words[(NWORDS + 63) / 64] = {
    [0] = (uint64_t)1 | (uint64_t)1 << 24 | (uint64_t)1 << 48, [1] = (uint64_t)1 << 8};
#else
static const uint64_t invariant_words[1] = {1 | 1 << 3 | 1 << 6 | 1 << 9};
#endif

uint32_t toy_seed;

static uint64_t drawn(uint64_t a, uint64_t b) {
  uint64_t x = (a + 1) * 0x9e3779b97f4a7c15u ^ (b + toy_seed * 7919u + 3) * 0xd1342543de82ef95u;
  x ^= x >> 29;
  x *= 0xbf58476d1ce4e5b9u;
  return x >> 20;
}

static inline unsigned pc_of(unsigned t, const uint64_t *v) {
  return (unsigned)v[thread_word[t]];
}

#define VAR(i) v[(i) * SPREAD]

static uint64_t broken(const uint64_t *v) {
  uint64_t bad = 0;
  if (VAR(0) + VAR(1) == 4)
    bad |= 1;
  if (VAR(2) == 1 && VAR(3) == 2)
    bad |= 2;
  if (VAR(3) != 1 && VAR(0) == 2)
    bad |= 4;
  return bad;
}
static uint64_t unseen(const uint64_t *v) { return (VAR(2) != 1) << 1 | (VAR(3) == 1) << 2; }
static uint64_t broken_at_end(const uint64_t *v) {
  uint64_t bad = 0;
  if (VAR(0) + VAR(1) == 4)
    bad |= 1;
  if (VAR(3) == 2)
    bad |= 2;
  if (VAR(0) == 2)
    bad |= 4;
  if (VAR(1) != 0)
    bad |= 8;
  return bad;
}
static uint64_t witnessed(const uint64_t *v) { return (VAR(0) == 2) | (VAR(1) == 2 && VAR(2) == 2) << 1; }

static int step(unsigned t, uint64_t *v, run *r) {
  uint64_t *own = v + thread_word[t];
  unsigned pc = (unsigned)own[0];
  for (unsigned i = 0;; i++) {
    unsigned which = (unsigned)(drawn(t * 16 + pc, 1) % VARS);
    uint64_t draw = drawn(t * 16 + pc, 5 + VAR(which));
    unsigned stop = stop_base[t] + pc - 1;
    passed(r, stop * 8 + (unsigned)(draw % 4));
    if (draw / 4 % 16 == 0) {
      r->fault = t;
      return i ? R_BROKEN : R_BLOCKED;
    }
    if (draw / 64 % 3 == 0 && (draw / 256 + own[OWN - 1]) % 3 == 0 && i == 0) {
      v[0] = 77; /* garbage */
      own[0] = 99;
      return R_BLOCKED;
    }
    unsigned kind = (unsigned)(draw / 1024 % 32);
    if (kind == 0) {
      r->fault = (unsigned)(draw / 32768 % 5);
      own[0] = 55;
      return R_FAULT;
    }
    if (kind < 4) {
      unsigned count = (unsigned)(draw / 32768 % 4);
      if (count == 0) {
        r->fault = 5;
        return i ? R_BROKEN : R_BLOCKED;
      }
      VAR((which + 1) % VARS) = chosen(r, count) % 3;
      if (kind == 1)
        VAR((which + 2) % VARS) = chosen(r, 2);
      passed(r, stop * 8 + 4 + (unsigned)VAR((which + 1) % VARS));
    } else if (kind < 16) {
      VAR((which + 1) % VARS) = (VAR((which + 1) % VARS) + draw / 32768) % 3;
    } else if (kind < 22) {
      own[OWN - 1] = (own[OWN - 1] + 1) % 2;
    }
    if (r->sites[t] && VAR(3) == 2)
      r->strays[t] = 1;
    pc = (unsigned)(draw / 131072 % (PCS + (t == 3 ? 0 : 1)));
    if (t == 3)
      pc++;
    own[0] = pc;
    if (pc == 0) {
      memset(own, 0, OWN * sizeof *own);
      return R_STOP;
    }
    if (r->stops[stop_base[t] + pc - 1])
      return R_STOP;
    if (i == 3) {
      r->fault = 4;
      return R_FAULT;
    }
  }
}

void toy_initial(uint64_t *v) {
  memset(v, 0, NWORDS * sizeof *v);
  for (unsigned t = 0; t < NTHREADS; t++)
    v[thread_word[t]] = 1;
}
