/* What was executed: marks of blocks, of race checks that failed, and of waits inside a step that
 * were false (a broken assumption of the reduction).  Each worker has its own. */

#define BLOCK_TAKEN 1 /* on the way to an outcome */
#define BLOCK_TRIED 2 /* in a step that was not enabled */

typedef struct coverage {
  uint8_t *blocks;        /* [NBLOCKS] */
  uint8_t *strays;        /* [NSITES] */
  uint8_t *broken_faults; /* [NFAULTS] */
} coverage;

/* 0: no memory; what there is can be freed. */
static int new_coverage(coverage *c) {
  c->blocks = calloc(NBLOCKS + 1, 1);
  c->strays = calloc(NSITES + 1, 1);
  c->broken_faults = calloc(NFAULTS + 1, 1);
  return c->blocks && c->strays && c->broken_faults;
}

static void free_coverage(coverage *c) {
  free(c->blocks);
  free(c->strays);
  free(c->broken_faults);
}

static void or_bytes(uint8_t *to, const uint8_t *from, size_t n) {
  for (size_t i = 0; i < n; i++)
    to[i] |= from[i];
}

static void clear_coverage(const coverage *c) {
  memset(c->blocks, 0, NBLOCKS);
  memset(c->strays, 0, NSITES);
  memset(c->broken_faults, 0, NFAULTS);
}

static void add_coverage(const coverage *to, const coverage *from) {
  or_bytes(to->blocks, from->blocks, NBLOCKS);
  or_bytes(to->strays, from->strays, NSITES);
  or_bytes(to->broken_faults, from->broken_faults, NFAULTS);
}

/* Mark the blocks of the step just done. */
INLINE void cover(const coverage *c, const run *r, uint8_t how) {
  uint32_t n = r->overflow ? PATH_CAP : r->npath;
  for (uint32_t i = 0; i < n; i++)
    c->blocks[r->path[i]] |= how;
}
