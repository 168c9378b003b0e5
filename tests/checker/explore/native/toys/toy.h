/* What every toy model part has in common; the sizes are defined before. */
#include <stdint.h>
#include <string.h>

#define MAX_CHOICES 64
#define PATH_CAP 1024

typedef struct run {
  const uint8_t *stops, *sites;
  uint8_t *strays;
  uint32_t script, made;
  uint16_t choice[MAX_CHOICES], count[MAX_CHOICES];
  uint32_t npath, path[PATH_CAP], overflow, fault;
} run;

enum { R_STOP, R_BLOCKED, R_FAULT, R_BROKEN };

static inline void passed(run *r, uint32_t block) {
  if (r->npath == PATH_CAP) {
    r->npath = 0;
    r->overflow = 1;
  }
  r->path[r->npath++] = block;
}

static inline unsigned chosen(run *r, unsigned count) {
  uint32_t i = r->made++;
  r->count[i] = (uint16_t)count;
  if (i >= r->script)
    r->choice[i] = 0;
  return r->choice[i];
}
