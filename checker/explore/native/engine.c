/*
 * The native search engine: one translation unit for each program.
 *
 * The model part, generated C for one program, comes before this text; see "the model part" in
 * base.c for what it must define.  The includes below are in the order in which the parts depend
 * on each other; each part is included exactly once, and only from here.
 *
 * What the engine does is what ../search.py and ../graph.py do, with the same counts: breadth
 * first search with shortest paths, exact counts of causes, and after it backward closure
 * (progress) and shortest paths with the fewest context switches.  How it differs: states are
 * compressed losslessly into 64 bits, edges are not stored but computed again.
 */
#include "base.c"
#include "store.c"
#include "table.c"
#include "coverage.c"
#include "symmetry.c"
#include "events.c"
#include "workers.c"
#include "growing.c"
#include "jobs.c"
#include "expand.c"
#include "search.c"
#include "progress.c"
#include "paths.c"
#include "api.c"
#include "save.c"
#include "load.c"
#include "walk.c"
#include "swarm.c"
#include "prints.c"
#include "hashed.c"
