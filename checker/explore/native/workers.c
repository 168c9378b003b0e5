/* The engine's state and that of its workers. */

enum job { SEARCH, PROGRESS, BACKWARD, FORWARD, BEFORE };

typedef struct range {
  uint64_t begin, end;
} range;

typedef struct successor { /* a successor that waits to be interned and inserted */
  uint32_t number[MAX_NODES]; /* of its nodes, when they are known */
  uint32_t extra;             /* 0, or 1 + the number of its extra */
} successor;

typedef struct extra { /* what some of them need besides; see search.c */
  uint64_t broken, unseen, carried;
  uint64_t newly, path, source; /* invariants that the step breaks; hash of the step */
  unsigned thread;
} extra;

typedef struct item { /* an inner node of a pending successor, to be interned */
  uint16_t successor, node;
} item;

typedef struct root_set { /* roots with numbers; open addressing */
  uint64_t *key;
  uint32_t *number;
  uint64_t cells, count;
} root_set;

struct worker {
  _Alignas(64) engine *e;
  unsigned number;
  pthread_t thread;
  run run;
  uint64_t source;           /* root of the state being expanded */
  uint64_t src[NWORDS];      /* its vector */
  uint64_t v[NWORDS];        /* the same between steps; a step works on it */
  uint32_t number_of[MAX_NODES]; /* its nodes' numbers */
  uint32_t now[MAX_NODES];       /* the same between steps; the successor's */
  uint32_t spare[MAX_NODES];     /* numbers taken from tables but not used, or 0 */
  uint64_t mask, broken;     /* SEARCH: invariants that count as, and are, broken in the source */
  uint64_t transitions, failed, expanded;
  uint64_t broken_bits;      /* of the states that this worker found in this layer */
  uint64_t seen_witnesses;
  unsigned pending;
  unsigned extras;
  successor pend[PENDING];
  uint64_t pend_root[PENDING], pend_hash[PENDING];
  item *item[MAX_NODES];        /* of each level */
  unsigned items[MAX_NODES];
  extra extra[PENDING];
  block block; /* places for new states */
  coverage covered;
  events events;
  uint8_t mark, changed; /* PROGRESS */
  uint32_t *edge;        /* PROGRESS: records of edges, see there */
  size_t edges, edge_room;
  int reached;           /* BACKWARD, BEFORE: the source has a step that is looked for */
  unsigned running;      /* the thread whose step is being done */
  unsigned unchecked;    /* chunks to be claimed before the next look at the memory in use */
  uint64_t from;         /* FORWARD: the source's number among the states on paths */
  roots found;
  range left; /* claimed, but not expanded */
};

#define STRIPES 256 /* a power of two */

typedef struct carry { /* see search.c */
  uint64_t root, mask;
} carry;

typedef struct stripe {
  _Alignas(64) pthread_mutex_t lock;
  carry *cell;
  size_t count, cells;
} stripe;

/* Shortest paths in the making: see paths.c. */
struct pathing {
  roots goal, depth;    /* the goals, the deepest first, and their depths */
  uint64_t used;        /* goals of the depths done */
  roots all;            /* the marked states, from the deepest on */
  uint64_t *size;       /* how many of each depth */
  int phase;
  uint64_t at;          /* the next position of the present depth */
};

struct engine {
  tree tree;
  states states;
  unsigned workers;
  worker *worker;
  uint64_t max_memory;
  uint8_t stops[NSTOPS + 1], sites[NSITES + 1];
  uint8_t *eligible, *compatible; /* ample sets, or NULL: see expand.c */
  uint64_t *sets;                 /* [NSTOPS][KEY_WORDS] */
  symmetry *symmetry;             /* or NULL */

  /* the job */
  pthread_mutex_t lock;
  pthread_cond_t wake, done, moving, helped;
  _Alignas(64) uint64_t generation;
  int job, quit;
  unsigned active, standing, started;
  uint64_t growths;
  int indexing;      /* the states' index is being built anew */
  unsigned indexers; /* by so many */
  _Alignas(64) uint64_t indexed; /* places that somebody has taken on */
  _Alignas(64) uint64_t cursor; /* next position to claim */
  uint64_t end, chunk;
  uint64_t taken; /* how many of `left` were claimed */
  range left[MAX_WORKERS];
  uint64_t lefts;
  _Alignas(64) int stop; /* stand still */
  int full;              /* memory limit reached */
  int dead;              /* no memory at all */

  /* the search */
  uint64_t *layer; /* first position of each */
  size_t layers, layer_room;
  uint64_t next;    /* first position not claimed in earlier calls */
  uint64_t layer_end;
  uint64_t mask_bits;   /* no state of this layer has other bits in its mask */
  uint64_t looking;     /* witnesses not seen at smaller depths */
  int finished;
  stripe *carried, *carrying; /* of this layer, of the next */
  uint64_t carried_bytes, carried_count, carrying_count;
  events events;
  int sorted;

  /* progress, paths: see there */
  uint8_t *marks;
  uint64_t *todo;
  uint64_t marks_size, todo_size;
  unsigned group, in_group;
  uint8_t group_full;
  unsigned group_thread[8];
  uint64_t progress_layer, progress_at;
  int progress_phase, progress_changed;
  int recording; /* the first sweep, and so far there is room for its edges */
  struct {
    uint64_t count, depth;
    roots goals;
  } stuck[NTHREADS];
  root_set wanted;         /* BACKWARD: of the next depth; later: all, by number */
  roots path;              /* the states on paths, by depth */
  uint32_t *path_switches; /* [path.count][NTHREADS] */
  uint64_t *path_layer;    /* first number of each depth, and behind the last */
  uint64_t path_depths, path_depth;
  struct pathing pathing;
  uint64_t path_bytes;
  uint64_t before_root;
  unsigned before_last;
};
