/* The tree of tables that states are compressed in.
 *
 * A vector is cut into leaves; each leaf's words are interned in a table of that leaf, which
 * gives a 32-bit number; two numbers are paired and interned again, up to the two numbers
 * of the root.  The root is the state: lossless, and cheap to compute for a successor, because
 * only the paths from changed leaves are interned again.
 * (Laarman, van de Pol, Weber: Parallel recursive state compression for free, SPIN 2011;
 * Blom, Lisser, van de Pol, Weber: A database approach to distributed state space generation,
 * 2011.)  Unlike theirs our numbers are dense, so that every table can grow: a table is an array
 * of values in order of number, which never moves, and an index of 32-bit cells, which is built
 * anew when it fills (all workers then stand still, see workers.c).
 *
 * Insertion is lock free.  A worker takes a number nobody has, writes the value, and only then
 * publishes the number with a compare-and-swap on the index cell (release; readers load cells
 * with acquire, so whoever sees the number sees the value).  If another worker took the cell for
 * an equal value, the number is kept for this worker's next insertion in that table.
 *
 * What the tables cost is mostly what the root's two halves do: each has as many values as
 * there are combinations of its parts.  All threads together have nearly as many as there are
 * states, so every second thread that is not a daemon goes with the shared words (plan_tree).
 * In searches of a million states of four scenarios with four threads and two or three daemons
 * the halves have 0.15 to 0.25 values for each state so, with all threads in one half 0.4 to 0.9,
 * and with the best of all partitions of the threads 0.13 to 0.19.
 *
 * An index cell holds number | tag: the number needs log2(cells) bits, the rest of the 32 are
 * bits of the hash, so that probing seldom looks at a value that is not the wanted one.
 */

typedef struct table {
  uint32_t *index;  /* cells; 0 is empty */
  uint32_t low;     /* cells - 1: mask of the number's bits */
  uint32_t grow_at; /* numbers given from this one on ask for growth */
  uint64_t *value;  /* width words for each number; numbers from 1 */
  uint64_t room;    /* numbers that fit into the address space of value */
  uint32_t width;
  uint32_t huge;    /* value is in huge pages */
  _Alignas(64) uint32_t count; /* the next number nobody has; written by all workers */
} table;

typedef struct tree {
  unsigned leaves, nodes;          /* nodes: leaves first, children before parents */
  unsigned half[2];                /* nodes of the root's two halves; MAX_NODES: there is none */
  uint16_t left[MAX_NODES], right[MAX_NODES];
  uint16_t word[MAX_NODES], width[MAX_NODES];
  uint16_t leaf_of[NWORDS];
  uint64_t above[MAX_NODES][NODE_BITS]; /* a leaf, and the nodes on its way up */
  uint64_t leaf_nodes[NODE_BITS];
  unsigned levels;            /* of inner nodes */
  uint16_t level[MAX_NODES];  /* of an inner node, from 0 for the lowest */
  unsigned nodes_at[MAX_NODES]; /* how many of each level */
  table tables[MAX_NODES];
} tree;

static void cut(tree *s, unsigned from, unsigned to) {
  unsigned parts = (to - from + LEAF - 1) / LEAF;
  for (unsigned i = 0; i < parts; i++) { /* as even as can be */
    unsigned begin = from + (to - from) * i / parts;
    unsigned end = from + (to - from) * (i + 1) / parts;
    unsigned leaf = s->leaves++;
    s->word[leaf] = (uint16_t)begin;
    s->width[leaf] = (uint16_t)(end - begin);
    for (unsigned w = begin; w < end; w++)
      s->leaf_of[w] = (uint16_t)leaf;
  }
}

/* The node above two; MAX_NODES is none. */
static unsigned pair(tree *s, unsigned left, unsigned right) {
  if (left == MAX_NODES || right == MAX_NODES)
    return left == MAX_NODES ? right : left;
  unsigned node = s->nodes++;
  s->left[node] = (uint16_t)left;
  s->right[node] = (uint16_t)right;
  s->width[node] = 1;
  return node;
}

/* Pair nodes into one balanced tree; its root. */
static unsigned paired(tree *s, const unsigned *part, unsigned n) {
  if (n == 0)
    return MAX_NODES;
  if (n == 1)
    return part[0];
  return pair(s, paired(s, part, (n + 1) / 2), paired(s, part + (n + 1) / 2, n / 2));
}

/* All leaves below a node get it as one of those above them. */
static void climb(tree *s, unsigned node, unsigned top) {
  if (node < s->leaves) {
    set_bit(s->above[node], top);
    return;
  }
  climb(s, s->left[node], top);
  climb(s, s->right[node], top);
}

/* Nodes of one level depend only on lower ones. */
static void level_nodes(tree *s) {
  unsigned height[MAX_NODES] = {0};
  for (unsigned leaf = 0; leaf < s->leaves; leaf++)
    set_bit(s->leaf_nodes, leaf);
  for (unsigned node = s->leaves; node < s->nodes; node++) {
    unsigned left = height[s->left[node]], right = height[s->right[node]];
    height[node] = 1 + (left > right ? left : right);
    s->level[node] = (uint16_t)(height[node] - 1);
    s->nodes_at[height[node] - 1]++;
    if (height[node] > s->levels)
      s->levels = height[node];
  }
}

static void plan_tree(tree *s) {
  enum { BESIDE_SHARED, OTHERS, DAEMONS, GROUPS };
  unsigned first[NTHREADS + 2], part[MAX_LEAVES], root[GROUPS][NTHREADS], size[GROUPS] = {0};
  unsigned users = 0;
  first[0] = 0;
  cut(s, 0, SHARED_WORDS);
  for (unsigned t = 0; t < NTHREADS; t++) {
    first[t + 1] = s->leaves;
    cut(s, thread_word[t], thread_word[t + 1]);
  }
  first[NTHREADS + 1] = s->nodes = s->leaves;
  for (unsigned i = 0; i < s->leaves; i++)
    part[i] = i;
  unsigned shared = paired(s, part, first[1]);
  for (unsigned t = 0; t < NTHREADS; t++) {
    unsigned group = thread_daemon[t] ? DAEMONS : users++ % 2 ? BESIDE_SHARED : OTHERS;
    if (first[t + 2] > first[t + 1])
      root[group][size[group]++] = paired(s, part + first[t + 1], first[t + 2] - first[t + 1]);
  }
  s->half[0] = pair(s, shared, paired(s, root[BESIDE_SHARED], size[BESIDE_SHARED]));
  s->half[1] = pair(s, paired(s, root[OTHERS], size[OTHERS]), paired(s, root[DAEMONS], size[DAEMONS]));
  for (unsigned node = 0; node < s->nodes; node++)
    climb(s, node, node);
  level_nodes(s);
}

/* ------------------------------------------------------------------------------ tables */

INLINE uint64_t hash_words(const uint64_t *word, unsigned width) {
  switch (width) {
  case 1:
    return mix_pair(word[0]);
  case 2:
    return mix(folded(word[0] ^ 0xa0761d6478bd642fu, word[1] ^ 0xe7037ed1a0b428dbu));
  case 3:
    return mix(folded(word[0] ^ 0xa0761d6478bd642fu, word[1] ^ 0xe7037ed1a0b428dbu) ^
               word[2] * 0x9e3779b97f4a7c15u);
  default:
    return mix(folded(word[0] ^ 0xa0761d6478bd642fu, word[1] ^ 0xe7037ed1a0b428dbu) ^
               folded(word[2] ^ 0x8ebc6af09c88c6e3u, word[3] ^ 0x589965cc75374cc3u) *
                   0x9e3779b97f4a7c15u);
  }
}

INLINE int same_words(const uint64_t *a, const uint64_t *b, unsigned width) {
  uint64_t different = a[0] ^ b[0];
  for (unsigned i = 1; i < width; i++)
    different |= a[i] ^ b[i];
  return different == 0;
}

/* Intern words whose hash is known. */
INLINE uint32_t intern_hashed(table *own, uint32_t *spare, int *stop, const uint64_t *word,
                              unsigned width, uint64_t hash) {
  uint32_t low = own->low, tag = (uint32_t)(hash >> 32) & ~low;
  uint32_t mine = 0;
  for (uint32_t at = (uint32_t)hash & low;; at = (at + 1) & low) {
    uint32_t *cell = &own->index[at];
    uint32_t seen = __atomic_load_n(cell, __ATOMIC_ACQUIRE);
    if (unlikely(seen == 0)) {
      if (mine == 0) {
        mine = *spare ? *spare : relaxed_add(&own->count, 1);
        *spare = mine;
        if (unlikely(mine >= own->grow_at))
          relaxed_store(stop, 1);
        memcpy(own->value + (uint64_t)mine * width, word, width * sizeof *word);
      }
      if (__atomic_compare_exchange_n(cell, &seen, mine | tag, 0, __ATOMIC_RELEASE,
                                      __ATOMIC_ACQUIRE)) {
        *spare = 0;
        return mine;
      }
      /* Somebody was faster; `seen` is what they put there. */
    }
    if (((seen ^ tag) & ~low) == 0 &&
        same_words(own->value + (uint64_t)(seen & low) * width, word, width))
      return seen & low;
  }
}

INLINE uint32_t intern_words(table *own, uint32_t *spare, int *stop, const uint64_t *word,
                             unsigned width) {
  return intern_hashed(own, spare, stop, word, width, hash_words(word, width));
}

/* Fetch the cell where the search for a hash begins. */
INLINE void fetch_cell(const table *own, uint64_t hash) {
  __builtin_prefetch(&own->index[(uint32_t)hash & own->low]);
}

/* When it is there: the number that is probably the wanted one, or 0.  Fetches its value. */
INLINE uint32_t guess(const table *own, uint64_t hash) {
  uint32_t low = own->low, seen = __atomic_load_n(&own->index[(uint32_t)hash & low], __ATOMIC_ACQUIRE);
  if ((seen ^ (uint32_t)(hash >> 32)) & ~low)
    return 0;
  __builtin_prefetch(own->value + (uint64_t)(seen & low) * own->width);
  return seen & low;
}

/* The number of some words, new or known; sets `stop` when the table should grow.  The caller
 * sees to it that there is a free cell. */
INLINE uint32_t intern(table *own, uint32_t *spare, int *stop, const uint64_t *word) {
  switch (own->width) {
  case 1:
    return intern_words(own, spare, stop, word, 1);
  case 2:
    return intern_words(own, spare, stop, word, 2);
  case 3:
    return intern_words(own, spare, stop, word, 3);
  default:
    return intern_words(own, spare, stop, word, 4);
  }
}

/* The number of some words; 0 if they were never interned.  Nobody may be inserting. */
static uint32_t find_words(const table *own, const uint64_t *word) {
  uint64_t hash = hash_words(word, own->width);
  uint32_t low = own->low, tag = (uint32_t)(hash >> 32) & ~low, seen;
  for (uint32_t at = (uint32_t)hash & low; (seen = own->index[at]) != 0; at = (at + 1) & low)
    if (((seen ^ tag) & ~low) == 0 &&
        same_words(own->value + (uint64_t)(seen & low) * own->width, word, own->width))
      return seen & low;
  return 0;
}

/* Every worker may put a lot of values into each table after growth was asked for. */
static uint32_t least_cells(unsigned workers) {
  uint32_t cells = 256;
  while (cells / 8 < (workers + 1) * PENDING)
    cells *= 2;
  return cells;
}

static int new_table(table *own, unsigned width, uint32_t cells, uint64_t memory) {
  size_t room = (size_t)(memory / width / 8 < 0xffffff00u ? memory / width / 8 : 0xffffff00u);
  room *= width * 8;
  own->value = reserve(&room);
  own->width = width;
  own->room = room / (width * 8);
  own->index = calloc(cells, sizeof *own->index);
  if (own->value == NULL || own->index == NULL || room < (size_t)cells * width * 8)
    return 0;
  own->low = cells - 1;
  own->grow_at = cells - cells / 4;
  own->count = 1;
  return 1;
}

static uint64_t table_bytes(const table *own) {
  return ((uint64_t)own->low + 1) * sizeof *own->index +
         (uint64_t)relaxed_load(&own->count) * own->width * 8;
}

static int is_spare(uint32_t number, const uint32_t *spare, unsigned n) {
  for (unsigned i = 0; i < n; i++)
    if (spare[i] == number)
      return 1;
  return 0;
}

/* Double the index.  All workers stand still; `spare` are the n numbers taken but not used. */
static int grow_table(table *own, const uint32_t *spare, unsigned n) {
  uint64_t cells = 2 * ((uint64_t)own->low + 1);
  if (cells > (uint64_t)1 << 32 || cells - cells / 4 + MAX_WORKERS > own->room)
    return 0;
  uint32_t *index = calloc(cells, sizeof *index);
  if (index == NULL)
    return 0;
  want_huge(index, cells * sizeof *index);
  uint32_t low = (uint32_t)(cells - 1);
  for (uint32_t number = 1; number < own->count; number++) {
    if (is_spare(number, spare, n))
      continue;
    uint64_t hash = hash_words(own->value + (uint64_t)number * own->width, own->width);
    uint32_t at = (uint32_t)hash & low;
    while (index[at])
      at = (at + 1) & low;
    index[at] = number | ((uint32_t)(hash >> 32) & ~low);
  }
  free(own->index);
  own->index = index;
  own->low = low;
  own->grow_at = (uint32_t)(cells - cells / 4);
  if (!own->huge && cells * own->width * 8 > 2 * HUGE_PAGE) {
    want_huge(own->value, own->room * own->width * 8);
    own->huge = 1;
  }
  return 1;
}

static void free_table(table *own) {
  if (own->value)
    munmap(own->value, own->room * own->width * 8);
  free(own->index);
}

/* ------------------------------------------------------------------------- whole states */

INLINE uint32_t left_of(uint64_t pair) { return (uint32_t)(pair >> 32); }
INLINE uint32_t right_of(uint64_t pair) { return (uint32_t)pair; }
INLINE uint64_t pair_of(uint32_t left, uint32_t right) { return (uint64_t)left << 32 | right; }

/* The root from the numbers of all nodes. */
INLINE uint64_t root_of(const tree *s, const uint32_t *number) {
  uint32_t left = s->half[0] == MAX_NODES ? 1 : number[s->half[0]];
  uint32_t right = s->half[1] == MAX_NODES ? 1 : number[s->half[1]];
  return pair_of(left, right);
}

/* The vector of a stored state. */
static void unpack(const tree *s, uint64_t root, uint64_t *v) {
  uint32_t number[MAX_NODES];
  if (s->half[0] != MAX_NODES)
    number[s->half[0]] = left_of(root);
  if (s->half[1] != MAX_NODES)
    number[s->half[1]] = right_of(root);
  for (unsigned node = s->nodes; node-- > 0;) {
    const table *own = &s->tables[node];
    const uint64_t *value = own->value + (uint64_t)number[node] * own->width;
    if (node < s->leaves) {
      memcpy(v + s->word[node], value, s->width[node] * sizeof *v);
    } else {
      number[s->left[node]] = left_of(*value);
      number[s->right[node]] = right_of(*value);
    }
  }
}

/* The root of a vector, whose parts are interned with the worker's `spare` numbers; without them
 * (NULL) they are only looked up: 0 if one was never interned. */
static uint64_t root_of_vector(tree *s, const uint64_t *v, uint32_t *spare, int *stop) {
  uint32_t number[MAX_NODES];
  for (unsigned node = 0; node < s->nodes; node++) {
    uint64_t pair = 0;
    const uint64_t *word = v + s->word[node];
    if (node >= s->leaves) {
      pair = pair_of(number[s->left[node]], number[s->right[node]]);
      word = &pair;
    }
    number[node] = spare ? intern(&s->tables[node], &spare[node], stop, word)
                         : find_words(&s->tables[node], word);
    if (number[node] == 0)
      return 0;
  }
  return root_of(s, number);
}
