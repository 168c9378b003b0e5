/* Types, memory and hashing that every part of the engine uses.
 *
 * The model part defines, before this text:
 *   NTHREADS NWORDS SHARED_WORDS NSTOPS NBLOCKS NSITES NFAULTS NINVARIANTS NWITNESSES
 *   TERMINAL_ONLY MAX_CHOICES PATH_CAP                                       (macros)
 *   thread_word stop_base thread_daemon stop_rests invariant_words           (tables)
 *   pc_of broken unseen broken_at_end witnessed step, struct run, R_STOP ... (code)
 * and, for ample sets, the conditions of waits: NKEYS key_first missing; a model part without
 * NKEYS has none.
 * A step of thread t changes shared words and the thread's own words only; the engine looks for
 * changes nowhere else.
 */
#if defined(__GNUC__) && !defined(__clang__)
/* The model part is long, and compiled with little optimisation, which is what takes time; the
 * engine is short, and is where a search spends its time. */
#pragma GCC optimize("O2")
#endif

#include <pthread.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#ifndef MAP_NORESERVE
#define MAP_NORESERVE 0
#endif
#ifndef MAP_ANONYMOUS
#define MAP_ANONYMOUS MAP_ANON
#endif

#ifndef NKEYS
#define NKEYS 0
static const uint32_t key_first[NSTOPS + 1];
static uint64_t missing(unsigned stop, const uint64_t *v) { return (void)stop, (void)v, 0; }
#endif
#define KEY_WORDS (NKEYS / 64 + 1)

#define API_VERSION 1u
#define NOBODY 0xffffffffu /* no thread: the last step to an initial state */

#define likely(x) __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)
#define NOINLINE __attribute__((noinline))
#define INLINE static inline __attribute__((always_inline))

#define relaxed_load(p) __atomic_load_n((p), __ATOMIC_RELAXED)
#define relaxed_store(p, x) __atomic_store_n((p), (x), __ATOMIC_RELAXED)
#define relaxed_add(p, x) __atomic_fetch_add((p), (x), __ATOMIC_RELAXED)

/* Vectors are cut into leaves of up to LEAF words that never cross from one thread's words, or
 * the shared words, to another's. */
#define LEAF 4
#define MAX_LEAVES (NWORDS / LEAF + NTHREADS + 2)
#define MAX_NODES (2 * MAX_LEAVES)
#define NODE_BITS ((MAX_NODES + 63) / 64) /* 64-bit words of a set of nodes */
#define WORD_BITS ((NWORDS + 63) / 64)    /* 64-bit words of a set of words of a vector */

#define PENDING 64      /* successors whose table lines are being fetched, for each worker */
#define CHUNK 64        /* states that a worker claims at once; divides the bits of a word */
#ifndef SMALL
#define SMALL 1024      /* fewer states than that are not worth waking other workers for */
#endif
#define MAX_WORKERS 60

typedef struct engine engine;
typedef struct worker worker;

/* ------------------------------------------------------------------------------ memory */

#define HUGE_PAGE ((size_t)2 << 20)

/* Address space for an array that grows but never moves: workers keep pointers into it while
 * others append.  Pages cost nothing until they are written.  Where so much address space is not
 * to be had (ulimit -v), `*room` (bytes) becomes what there is; NULL if there is nearly nothing. */
static void *reserve(size_t *room) {
  size_t size = (*room + 4095) & ~(size_t)4095;
  for (; size >= 65536; size = (size / 2) & ~(size_t)4095) {
    void *p = mmap(NULL, size, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (p != MAP_FAILED) {
      *room = size;
      return p;
    }
  }
  return NULL;
}

/* Random reads over much memory miss the TLB with small pages; small tables should stay small. */
static void want_huge(void *p, size_t size) {
#ifdef MADV_HUGEPAGE
  uintptr_t begin = ((uintptr_t)p + HUGE_PAGE - 1) & ~(uintptr_t)(HUGE_PAGE - 1);
  uintptr_t end = ((uintptr_t)p + size) & ~(uintptr_t)(HUGE_PAGE - 1);
  if (begin < end)
    (void)madvise((void *)begin, end - begin, MADV_HUGEPAGE);
#else
  (void)p;
  (void)size;
#endif
}

static uint64_t physical_memory(void) {
  long pages = sysconf(_SC_PHYS_PAGES), size = sysconf(_SC_PAGESIZE);
  return pages > 0 && size > 0 ? (uint64_t)pages * (uint64_t)size : (uint64_t)1 << 34;
}

/* ----------------------------------------------------------------------------- hashing */

/* Equality is always decided on whole values; hashes only have to spread.  The mixer is the
 * variant 13 of splitmix64's finaliser (Steele, Lea, Flood: Fast splittable pseudorandom number
 * generators, OOPSLA 2014), the multiplication of words is wyhash's. */
INLINE uint64_t mix(uint64_t x) {
  x ^= x >> 30;
  x *= 0xbf58476d1ce4e5b9u;
  x ^= x >> 27;
  x *= 0x94d049bb133111ebu;
  return x ^ x >> 31;
}

__extension__ typedef unsigned __int128 wide;

INLINE uint64_t folded(uint64_t a, uint64_t b) {
  wide product = (wide)a * b;
  return (uint64_t)product ^ (uint64_t)(product >> 64);
}

/* For pairs of numbers, the most frequent: one multiplication, and both halves of the product. */
INLINE uint64_t mix_pair(uint64_t pair) { return folded(pair ^ 0xe7037ed1a0b428dbu, 0x9e3779b97f4a7c15u); }

/* The place of a hash among n places, in the order of the hashes (Lemire: Fast random integer
 * generation in an interval, 2019).  That it is monotone is what lets the table grow in place. */
INLINE uint64_t among(uint64_t hash, uint64_t n) { return (uint64_t)((wide)hash * n >> 64); }

/* Which of the words [from, to) differ, as bits of those numbers.  Most do not: four at once. */
INLINE void differing(const uint64_t *a, const uint64_t *b, unsigned from, unsigned to,
                      uint64_t *bits) {
  for (; from + 4 <= to; from += 4) {
    uint64_t any = (a[from] ^ b[from]) | (a[from + 1] ^ b[from + 1]) |
                   (a[from + 2] ^ b[from + 2]) | (a[from + 3] ^ b[from + 3]);
    if (any)
      for (unsigned i = from; i < from + 4; i++)
        bits[i / 64] |= (uint64_t)(a[i] != b[i]) << i % 64;
  }
  for (; from < to; from++)
    bits[from / 64] |= (uint64_t)(a[from] != b[from]) << from % 64;
}

INLINE void set_bit(uint64_t *bits, unsigned i) { bits[i / 64] |= (uint64_t)1 << i % 64; }

/* ---------------------------------------------------------------- growing plain arrays */

/* Room for one more item of `size` bytes behind `count`; 0 if there is no memory. */
static int room_for(void **items, size_t count, size_t *room, size_t size) {
  if (likely(count < *room))
    return 1;
  size_t more = *room ? *room * 2 : 16;
  void *p = realloc(*items, more * size);
  if (p == NULL)
    return 0;
  *items = p;
  *room = more;
  return 1;
}

typedef struct roots { /* a list of stored states */
  uint64_t *item;
  size_t count, room;
} roots;

static int push_root(roots *list, uint64_t root) {
  void *items = list->item;
  if (!room_for(&items, list->count, &list->room, sizeof *list->item))
    return 0;
  list->item = items;
  list->item[list->count++] = root;
  return 1;
}
