/*
 * What the generated code of a program rests on: the interface to the engine, access to the
 * bytes of a state, total arithmetic (checker/explore/semantics.py), and ordered lists.
 * The sizes (NTHREADS, NWORDS, ...) are defined by the generated text before this one.
 */

#include <stdint.h>
#include <string.h>

#if !defined(__GNUC__)
#error "the native engine needs gcc or clang: it uses __int128, __atomic_* and statement expressions"
#endif
#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "the native engine keeps states as little endian words"
#endif

#define UNUSED __attribute__((unused))
#define UNLIKELY(test) __builtin_expect(!!(test), 0)

/* ------------------------------------------------------------------ the interface */

enum { R_STOP, R_BLOCKED, R_FAULT, R_BROKEN };
#define R_MORE 4			/* only within a thread: another part goes on */

typedef struct run {
	const uint8_t *stops;		/* [NSTOPS] 1: this search stops here */
	const uint8_t *sites;		/* [NSITES] 1: evaluate this race check */
	uint8_t *strays;		/* [NSITES] set to 1 where the check fails */
	uint32_t script, made;		/* choices prescribed, choices made */
	uint16_t choice[MAX_CHOICES], count[MAX_CHOICES];
	uint32_t npath;			/* blocks executed, by their global numbers */
	uint32_t path[PATH_CAP];
	uint32_t overflow;		/* the path was too long: it lost its order */
	uint32_t spent;			/* blocks that are no longer on the path */
	uint32_t next;			/* R_MORE: the stop that the thread goes on from */
	uint32_t fault;			/* R_FAULT, R_BROKEN: the number in the fault table */
} run;

/*
 * A predicate that read outside a variable: 1 + its number in the table of places.  That is an
 * error of the model, not a violation; what was found is then worth nothing.
 */
static uint32_t misread;

uint32_t gm_misread(void);

uint32_t
gm_misread(void)
{
	return __atomic_load_n(&misread, __ATOMIC_RELAXED);
}

/* ------------------------------------------------------------- loads and stores */

#define B ((uint8_t *)v)		/* the bytes of the vector in scope */

static inline UNUSED uint16_t
load2(const uint8_t *at)
{
	uint16_t value;

	memcpy(&value, at, sizeof(value));
	return value;
}

static inline UNUSED uint32_t
load4(const uint8_t *at)
{
	uint32_t value;

	memcpy(&value, at, sizeof(value));
	return value;
}

static inline UNUSED uint64_t
load8(const uint8_t *at)
{
	uint64_t value;

	memcpy(&value, at, sizeof(value));
	return value;
}

static inline UNUSED unsigned __int128
load16(const uint8_t *at)
{
	unsigned __int128 value;

	memcpy(&value, at, sizeof(value));
	return value;
}

static inline UNUSED void
store2(uint8_t *at, uint16_t value)
{
	memcpy(at, &value, sizeof(value));
}

static inline UNUSED void
store4(uint8_t *at, uint32_t value)
{
	memcpy(at, &value, sizeof(value));
}

static inline UNUSED void
store8(uint8_t *at, uint64_t value)
{
	memcpy(at, &value, sizeof(value));
}

static inline UNUSED void
store16(uint8_t *at, unsigned __int128 value)
{
	memcpy(at, &value, sizeof(value));
}

/* ------------------------------------------------------------------- arithmetic */

/*
 * Three kinds of number: i (int64_t), u (uint64_t) and w (__int128, for what fits neither).
 * The generator calls division only where the quotient fits the kind.
 */
#define ARITHMETIC(k, type)							\
static inline UNUSED type k##min(type a, type b) { return a < b ? a : b; }	\
static inline UNUSED type k##max(type a, type b) { return a > b ? a : b; }	\
static inline UNUSED type k##div(type a, type b) { return b == 0 ? 0 : a / b; }	\
static inline UNUSED type k##mod(type a, type b) { return b == 0 ? 0 : a % b; }

ARITHMETIC(i, int64_t)
ARITHMETIC(u, uint64_t)
ARITHMETIC(w, __int128)
#undef ARITHMETIC

/* A number as int64_t, where everything beyond that means the same as the extremes. */
static inline UNUSED int64_t
near_u(uint64_t a)
{
	return a > INT64_MAX ? INT64_MAX : (int64_t)a;
}

static inline UNUSED int64_t
near_w(__int128 a)
{
	return a > INT64_MAX ? INT64_MAX : a < INT64_MIN ? INT64_MIN : (int64_t)a;
}

static inline UNUSED uint64_t
shift_left(uint64_t a, int64_t by, int bits)
{
	return by >= 0 && by < bits ? a << by : 0;
}

static inline UNUSED int64_t
ishift_right(int64_t a, int64_t by, int bits)
{
	if (by < 0 || by >= bits)
		by = bits;
	return a >> (by > 63 ? 63 : by);
}

static inline UNUSED uint64_t
ushift_right(uint64_t a, int64_t by, int bits)
{
	if (by < 0 || by >= bits)
		by = bits;
	return by > 63 ? 0 : a >> by;
}

static inline UNUSED __int128
wshift_right(__int128 a, int64_t by, int bits)
{
	return a >> (by < 0 || by >= bits ? bits : by);
}

/* The low bits as a signed number. */
static inline UNUSED int64_t
wrap_signed(uint64_t a, int bits)
{
	return (int64_t)(a << (64 - bits)) >> (64 - bits);
}

/* ------------------------------------------------------------------------ lists */

/* Values are raw: what the bytes hold.  All return whether the operation is impossible. */

static inline UNUSED int
list_find(const uint8_t *list, int capacity, int64_t node, int64_t empty)
{
	int at;

	if (node == empty || node < 0 || node > 255)
		return -1;
	for (at = 0; at < capacity; at++)
		if (list[at] == node)
			return at;
	return -1;
}

static inline UNUSED int64_t
list_next(const uint8_t *list, int capacity, int64_t node, int64_t empty)
{
	int at = list_find(list, capacity, node, empty);

	return at >= 0 && at + 1 < capacity ? list[at + 1] : empty;
}

static inline UNUSED int
list_cannot_take(const uint8_t *list, int capacity, int64_t node, int64_t empty)
{
	return node == empty || list[capacity - 1] != empty ||
	    list_find(list, capacity, node, empty) >= 0;
}

static inline UNUSED int
list_put(uint8_t *list, int capacity, int at, int64_t node)
{
	memmove(list + at + 1, list + at, (size_t)(capacity - 1 - at));
	list[at] = (uint8_t)node;
	return 0;
}

static inline UNUSED int
list_insert_head(uint8_t *list, int capacity, int64_t node, int64_t empty)
{
	if (list_cannot_take(list, capacity, node, empty))
		return 1;
	return list_put(list, capacity, 0, node);
}

static inline UNUSED int
list_insert_tail(uint8_t *list, int capacity, int64_t node, int64_t empty)
{
	int at = 0;

	if (list_cannot_take(list, capacity, node, empty))
		return 1;
	while (list[at] != empty)
		at++;
	list[at] = (uint8_t)node;
	return 0;
}

static inline UNUSED int
list_insert_beside(uint8_t *list, int capacity, int64_t node, int64_t anchor, int64_t empty,
    int after)
{
	int at = list_find(list, capacity, anchor, empty);

	if (at < 0 || list_cannot_take(list, capacity, node, empty))
		return 1;
	return list_put(list, capacity, at + after, node);
}

static inline UNUSED int
list_remove(uint8_t *list, int capacity, int64_t node, int64_t empty)
{
	int at = list_find(list, capacity, node, empty);

	if (at < 0)
		return 1;
	memmove(list + at, list + at + 1, (size_t)(capacity - 1 - at));
	list[capacity - 1] = (uint8_t)empty;
	return 0;
}

/* ---------------------------------------------------------------- the path taken */

#define PATH(block) (r->path[np++] = (block))

/*
 * The path has more than `room` blocks: keep each that is on it once, so that no executed block
 * is forgotten; if that does not help, begin again.  Returns the new length, or 0 where so many
 * blocks were executed in this step that it will never come to a stop.
 */
static UNUSED __attribute__((noinline, cold)) uint32_t
path_full(run *r, uint32_t np, uint32_t room)
{
	uint64_t seen[(NBLOCKS + 63) / 64];
	uint32_t from, to = 0;

	memset(seen, 0, sizeof(seen));
	for (from = 0; from < np; from++) {
		uint32_t block = r->path[from];

		if (seen[block / 64] >> (block % 64) & 1)
			continue;
		seen[block / 64] |= (uint64_t)1 << (block % 64);
		r->path[to++] = block;
	}
	if (to > room)
		to = 1;
	for (from = to; from < PATH_CAP; from++)	/* all of it is read after an overflow */
		r->path[from] = r->path[0];
	r->overflow = 1;
	r->npath = to;
	r->spent += np - to;
	return r->spent > FUEL ? 0 : to;
}
