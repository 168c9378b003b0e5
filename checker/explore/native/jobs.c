/* Jobs, and the threads that do them.
 *
 * Worker 0 is the caller's thread; the others are created once, and wait between jobs: a short
 * while spinning, for searches of many middling layers, then asleep.  A job is a range of
 * positions in the order array (or of what else the job is about), claimed in chunks.
 */

static void work(worker *w);

static void leave(engine *e) {
  pthread_mutex_lock(&e->lock);
  unsigned active = __atomic_sub_fetch(&e->active, 1, __ATOMIC_RELEASE);
  if (active == 0)
    pthread_cond_signal(&e->done);
  else if (relaxed_load(&e->stop) && e->standing == active)
    grow(e);
  pthread_mutex_unlock(&e->lock);
}

static void pause_briefly(void) {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ volatile("yield");
#endif
}

#define SPINS 4000     /* some ten microseconds: as long as it takes to wake a thread */
#define UNCHECKED 31   /* chunks claimed without a look at how much memory is in use */

static void *helper(void *argument) {
  worker *w = argument;
  engine *e = w->e;
  uint64_t seen = 0;
  for (;;) {
    for (int i = 0; i < SPINS && __atomic_load_n(&e->generation, __ATOMIC_ACQUIRE) == seen; i++)
      pause_briefly();
    if (__atomic_load_n(&e->generation, __ATOMIC_ACQUIRE) == seen) {
      pthread_mutex_lock(&e->lock);
      while (relaxed_load(&e->generation) == seen)
        pthread_cond_wait(&e->wake, &e->lock);
      pthread_mutex_unlock(&e->lock);
    }
    seen = __atomic_load_n(&e->generation, __ATOMIC_ACQUIRE);
    if (e->quit)
      return NULL;
    work(w);
    leave(e);
  }
}

/* Have positions [begin, end) done, by all workers if they are many. */
static void run_job(engine *e, int job, uint64_t begin, uint64_t end) {
  uint64_t size = end - begin;
  e->job = job;
  e->cursor = begin;
  e->end = end;
  e->taken = 0;
  if (e->started < 2 || size < SMALL) {
    e->chunk = CHUNK;
    relaxed_store(&e->active, 1);
    work(&e->worker[0]);
    return;
  }
  e->chunk = CHUNK; /* PROGRESS: else two workers would share a word of `todo` */
  while (job != PROGRESS && e->chunk > 8 && e->chunk * 4 * e->started > size)
    e->chunk /= 2;
  pthread_mutex_lock(&e->lock);
  relaxed_store(&e->active, e->started);
  __atomic_fetch_add(&e->generation, 1, __ATOMIC_RELEASE);
  pthread_cond_broadcast(&e->wake);
  pthread_mutex_unlock(&e->lock);
  work(&e->worker[0]);
  leave(e);
  for (int i = 0; i < SPINS && __atomic_load_n(&e->active, __ATOMIC_ACQUIRE); i++)
    pause_briefly();
  pthread_mutex_lock(&e->lock);
  while (__atomic_load_n(&e->active, __ATOMIC_ACQUIRE))
    pthread_cond_wait(&e->done, &e->lock);
  pthread_mutex_unlock(&e->lock);
}

/* Claim the next chunk, which ends at a multiple of the chunk's size or at the end. */
static int claim(worker *w, range *out) {
  engine *e = w->e;
  if (e->max_memory && w->unchecked-- == 0) { /* reads what the others write all the time */
    w->unchecked = UNCHECKED;
    if (!allowed(e, 0))
      relaxed_store(&e->full, 1);
  }
  if (relaxed_load(&e->full) || relaxed_load(&e->dead))
    return 0;
  if (relaxed_load(&e->taken) < e->lefts) {
    uint64_t i = relaxed_add(&e->taken, 1);
    if (i < e->lefts) {
      *out = e->left[i];
      return 1;
    }
  }
  uint64_t begin = relaxed_load(&e->cursor);
  do {
    if (begin >= e->end)
      return 0;
    out->begin = begin;
    out->end = (begin / e->chunk + 1) * e->chunk;
    if (out->end > e->end)
      out->end = e->end;
  } while (!__atomic_compare_exchange_n(&e->cursor, &begin, out->end, 1, __ATOMIC_RELAXED,
                                        __ATOMIC_RELAXED));
  return 1;
}
