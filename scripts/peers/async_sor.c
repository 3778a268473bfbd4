/* Asynchronous point SOR on shared memory: what one machine can do without messages.
 *
 * Each thread owns a contiguous block of rows of A and sweeps it row by row with the freshest x, which all threads
 * share without locks. The sums of squares that the threads meet in their sweeps only say when to look: then all stop,
 * ||b - A x|| of the frozen x is computed, and they stop for good only if it is at most rtol ||b||.
 *
 *     gcc -O2 -pthread async_sor.c -o async_sor -lm
 *     gcc -O3 -march=native -ffast-math -DPLAIN -pthread async_sor.c -o async_sor_best -lm
 *     ./async_sor FILE N THREADS RTOL MAX_SWEEPS      (rtol 0: sweeps until a thread has done MAX_SWEEPS)
 *
 * FILE holds N * N float64 of A, row by row, then N of b. Prints one line of JSON; `seconds` are those from the first
 * update to the verified end, `looking` of them without updates.
 */
#define _GNU_SOURCE
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#ifdef PLAIN    /* Lets the compiler vectorize; the barrier below makes it load x again for every row. */
typedef double shared;
#define READ(entry) (entry)
#define WRITE(entry, value) ((entry) = (value))
#else
typedef _Atomic double shared;
#define READ(entry) atomic_load_explicit(&(entry), memory_order_relaxed)
#define WRITE(entry, value) atomic_store_explicit(&(entry), (value), memory_order_relaxed)
#endif
#define FRESH() __asm__ volatile("" ::: "memory")

enum { MOST_THREADS = 256 };

typedef struct {
    int index, first, last;
    double *rows, *b;
    long updates;
} Block;

static int n, threads, max_sweeps;
static double rtol, threshold, aim;
static shared *x;
static pthread_barrier_t barrier;
static atomic_int looking, ending, done;
static _Atomic double met[MOST_THREADS];    /* squares of each thread's last sweep; infinite before it has swept */
static double part[MOST_THREADS];           /* squares of the frozen residual, by thread */
static double residual_norm, seconds, looking_seconds;
static int looks;
static struct timespec began;

static void *claim(size_t bytes)
{
    size_t huge = (size_t)1 << 21;
    void *memory = aligned_alloc(huge, (bytes + huge - 1) / huge * huge);
    if (!memory) {
        perror("async_sor");
        exit(2);
    }
    madvise(memory, bytes, MADV_HUGEPAGE);
    return memory;
}

static double seconds_since(const struct timespec *start)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec - start->tv_sec + 1e-9 * (now.tv_nsec - start->tv_nsec);
}

static double residual(const Block *block, int i)
{
    const double *row = block->rows + (size_t)(i - block->first) * n;
    double sum = 0.0;
    FRESH();
    for (int j = 0; j < n; j++)
        sum += row[j] * READ(x[j]);
    return block->b[i - block->first] - sum;
}

/* All threads enter here together: x is frozen meanwhile. */
static void look(Block *block)
{
    double squares = 0.0, start;
    pthread_barrier_wait(&barrier);
    start = seconds_since(&began);
    for (int i = block->first; i < block->last; i++) {
        double r = residual(block, i);
        squares += r * r;
    }
    part[block->index] = squares;
    pthread_barrier_wait(&barrier);
    if (block->index == 0) {
        double true_squares = 0.0, reported = 0.0, ratio;
        for (int k = 0; k < threads; k++) {
            true_squares += part[k];
            reported += atomic_load(&met[k]);
            atomic_store(&met[k], 1e300);
        }
        looks++;
        residual_norm = sqrt(true_squares);
        ratio = sqrt(reported) / residual_norm;
        aim = threshold * (ratio < 0.1 ? 0.1 : ratio > 10.0 ? 10.0 : ratio);
        seconds = seconds_since(&began);
        looking_seconds += seconds - start;
        if (residual_norm <= threshold || atomic_load(&ending))
            atomic_store(&done, 1);
        atomic_store(&looking, 0);
    }
    pthread_barrier_wait(&barrier);
}

static void report(Block *block, double squares)
{
    double all = 0.0;
    atomic_store(&met[block->index], squares);
    for (int k = 0; k < threads; k++)
        all += atomic_load(&met[k]);
    if (all <= aim * aim)
        atomic_store(&looking, 1);
}

static void sweep(Block *block)
{
    double squares = 0.0;
    for (int i = block->first; i < block->last; i++) {
        if (atomic_load_explicit(&looking, memory_order_relaxed)) {
            look(block);
            if (atomic_load(&done))
                return;
        }
        double r = residual(block, i);
        squares += r * r;
        WRITE(x[i], READ(x[i]) + r / block->rows[(size_t)(i - block->first) * n + i]);
        block->updates++;
    }
    report(block, squares);
}

static void *own(void *argument)
{
    Block *block = argument;
    pthread_barrier_wait(&barrier);
    if (block->index == 0)
        clock_gettime(CLOCK_MONOTONIC, &began);
    pthread_barrier_wait(&barrier);
    while (!atomic_load(&done) && block->updates < (long)max_sweeps * (block->last - block->first))
        sweep(block);
    if (!atomic_load(&done)) {      /* the limit: all come to a last look */
        atomic_store(&ending, 1);
        atomic_store(&looking, 1);
        look(block);
    }
    return NULL;
}

static void load(Block *block, const char *name)
{
    size_t rows = block->last - block->first;
    FILE *file = fopen(name, "rb");
    block->rows = claim(rows * n * sizeof(double));
    block->b = claim(rows * sizeof(double));
    if (!file || fseek(file, (long)block->first * n * sizeof(double), SEEK_SET)
        || fread(block->rows, sizeof(double), rows * n, file) != rows * n
        || fseek(file, ((long)n * n + block->first) * sizeof(double), SEEK_SET)
        || fread(block->b, sizeof(double), rows, file) != rows) {
        fprintf(stderr, "async_sor: %s does not hold a system of %d rows\n", name, n);
        exit(2);
    }
    fclose(file);
}

int main(int count, char **arguments)
{
    static Block blocks[MOST_THREADS];
    pthread_t ids[MOST_THREADS];
    double squares = 0.0, updates = 0.0;
    if (count != 6 || (n = atoi(arguments[2])) < 1 || (threads = atoi(arguments[3])) < 1 || threads > MOST_THREADS
        || threads > n || (max_sweeps = atoi(arguments[5])) < 1) {
        fprintf(stderr, "usage: async_sor FILE N THREADS RTOL MAX_SWEEPS\n");
        return 2;
    }
    rtol = atof(arguments[4]);
    x = claim(n * sizeof(shared));
    memset((void *)x, 0, n * sizeof(shared));
    for (int k = 0; k < threads; k++) {
        blocks[k] = (Block){.index = k, .first = (long)n * k / threads, .last = (long)n * (k + 1) / threads};
        load(&blocks[k], arguments[1]);
        atomic_store(&met[k], 1e300);
        for (int i = 0; i < blocks[k].last - blocks[k].first; i++)
            squares += blocks[k].b[i] * blocks[k].b[i];
    }
    threshold = aim = rtol * sqrt(squares);
    pthread_barrier_init(&barrier, NULL, threads);
    for (int k = 0; k < threads; k++)
        pthread_create(&ids[k], NULL, own, &blocks[k]);
    for (int k = 0; k < threads; k++) {
        pthread_join(ids[k], NULL);
        updates += blocks[k].updates;
    }
    printf("{\"converged\": %s, \"sweeps\": %.6g, \"seconds\": %.9g, \"looking\": %.9g, "
           "\"residual_norm\": %.17g, \"looks\": %d}\n",
           residual_norm <= threshold ? "true" : "false", updates / n, seconds, looking_seconds, residual_norm, looks);
    return 0;
}
