#define _GNU_SOURCE
#include "CSwarmShims.h"

#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

// ---- Waking and timing a loop ----

int swarm_eventfd_create(void) {
    int descriptor = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    return descriptor < 0 ? -errno : descriptor;
}

void swarm_eventfd_signal(int descriptor) {
    uint64_t one = 1;
    // The only failure is a counter at its maximum, and then the loop is awake already.
    ssize_t written = write(descriptor, &one, sizeof one);
    (void)written;
}

void swarm_eventfd_clear(int descriptor) {
    uint64_t count;
    ssize_t taken = read(descriptor, &count, sizeof count);
    (void)taken;
}

int swarm_timerfd_create(void) {
    int descriptor = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    return descriptor < 0 ? -errno : descriptor;
}

void swarm_timerfd_set(int descriptor, uint64_t monotonic_nanoseconds) {
    // All zeroes would disarm it.
    if (monotonic_nanoseconds == 0) monotonic_nanoseconds = 1;
    uint64_t seconds = monotonic_nanoseconds / 1000000000u;
    // Beyond what the kernel accepts is "never".
    if (seconds > INT32_MAX) seconds = INT32_MAX;
    struct itimerspec when = {0};
    when.it_value.tv_sec = (time_t)seconds;
    when.it_value.tv_nsec = (long)(monotonic_nanoseconds % 1000000000u);
    timerfd_settime(descriptor, TFD_TIMER_ABSTIME, &when, NULL);
}

void swarm_timerfd_clear(int descriptor) {
    uint64_t expirations;
    ssize_t taken = read(descriptor, &expirations, sizeof expirations);
    (void)taken;
}

// ---- Clocks ----

static uint64_t read_clock(clockid_t clock) {
    struct timespec time;
    clock_gettime(clock, &time);
    return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

struct swarm_now swarm_clock_read(void) {
    struct swarm_now now = {
        .monotonic_nanoseconds = read_clock(CLOCK_MONOTONIC),
        .wall_milliseconds = read_clock(CLOCK_REALTIME) / 1000000u,
    };
    return now;
}

uint64_t swarm_thread_cpu_nanoseconds(void) { return read_clock(CLOCK_THREAD_CPUTIME_ID); }

uint64_t swarm_process_cpu_nanoseconds(void) {
    struct rusage usage;
    if (getrusage(RUSAGE_SELF, &usage) != 0) return 0;
    uint64_t seconds = (uint64_t)usage.ru_utime.tv_sec + (uint64_t)usage.ru_stime.tv_sec;
    uint64_t microseconds = (uint64_t)usage.ru_utime.tv_usec + (uint64_t)usage.ru_stime.tv_usec;
    return seconds * 1000000000u + microseconds * 1000u;
}

// ---- Threads ----

struct start {
    void (*body)(void *);
    void *context;
    int core;
    char name[16];
};

static void *thread_main(void *argument) {
    struct start start = *(struct start *)argument;
    free(argument);
    pthread_setname_np(pthread_self(), start.name);
    if (start.core >= 0) swarm_pin_current_thread(start.core);
    start.body(start.context);
    return NULL;
}

static int create_quiet_thread(pthread_t *thread, const pthread_attr_t *attributes, struct start *start) {
    // Signals belong to the main thread; a worker in the middle of a batch is not to be interrupted. What a fault of its
    // own raises stays deliverable.
    sigset_t blocked, before;
    sigfillset(&blocked);
    const int faults[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGABRT, SIGSYS, SIGPROF};
    for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++) sigdelset(&blocked, faults[i]);
    pthread_sigmask(SIG_SETMASK, &blocked, &before);
    int failure = pthread_create(thread, attributes, thread_main, start);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return failure;
}

int swarm_thread_start(const char *name, int core, size_t stack_bytes, void (*body)(void *), void *context,
                       uint64_t *handle) {
    struct start *start = calloc(1, sizeof *start);
    if (start == NULL) return -ENOMEM;
    start->body = body;
    start->context = context;
    start->core = core;
    snprintf(start->name, sizeof start->name, "%s", name);
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    int failure = pthread_attr_setstacksize(&attributes, stack_bytes);
    pthread_t thread;
    if (failure == 0) failure = create_quiet_thread(&thread, &attributes, start);
    pthread_attr_destroy(&attributes);
    if (failure != 0) {
        free(start);
        return -failure;
    }
    *handle = (uint64_t)thread;
    return 0;
}

void swarm_thread_join(uint64_t handle) { pthread_join((pthread_t)handle, NULL); }
void swarm_thread_detach(uint64_t handle) { pthread_detach((pthread_t)handle); }
bool swarm_thread_is_current(uint64_t handle) { return pthread_equal(pthread_self(), (pthread_t)handle) != 0; }

int swarm_cpu_count(void) {
    cpu_set_t allowed;
    if (sched_getaffinity(0, sizeof allowed, &allowed) != 0) return 1;
    int count = CPU_COUNT(&allowed);
    return count > 0 ? count : 1;
}

bool swarm_pin_current_thread(int core) {
    cpu_set_t allowed, chosen;
    if (sched_getaffinity(0, sizeof allowed, &allowed) != 0) return false;
    int count = CPU_COUNT(&allowed);
    if (count == 0 || core < 0) return false;
    int wanted = core % count;
    CPU_ZERO(&chosen);
    for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
        if (!CPU_ISSET(cpu, &allowed)) continue;
        if (wanted-- == 0) {
            CPU_SET(cpu, &chosen);
            return pthread_setaffinity_np(pthread_self(), sizeof chosen, &chosen) == 0;
        }
    }
    return false;
}

// ---- The process ----

uint64_t swarm_raise_open_file_limit(void) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return 0;
    rlim_t before = limit.rlim_cur;
    limit.rlim_cur = limit.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &limit) != 0) return (uint64_t)before;
    return (uint64_t)limit.rlim_cur;
}

void swarm_disable_core_files(void) {
    struct rlimit none = {0, 0};
    setrlimit(RLIMIT_CORE, &none);
    prctl(PR_SET_DUMPABLE, 0);
}

void swarm_ignore_broken_pipes(void) { signal(SIGPIPE, SIG_IGN); }

void swarm_error_text(int error, char *text, size_t capacity) {
    if (capacity == 0) return;
    // GNU's strerror_r may answer with a constant of its own instead of filling the buffer.
    char scratch[128];
    const char *answer = strerror_r(error, scratch, sizeof scratch);
    snprintf(text, capacity, "%s", answer);
}

static int count_entries(const char *path) {
    DIR *directory = opendir(path);
    if (directory == NULL) return -1;
    int count = 0;
    for (struct dirent *entry = readdir(directory); entry != NULL; entry = readdir(directory)) {
        if (entry->d_name[0] != '.') count++;
    }
    closedir(directory);
    return count;
}

int swarm_open_descriptor_count(void) {
    // Reading the directory takes a descriptor itself.
    int count = count_entries("/proc/self/fd");
    return count > 0 ? count - 1 : count;
}

int swarm_thread_count(void) { return count_entries("/proc/self/task"); }

uint64_t swarm_resident_bytes(void) {
    FILE *file = fopen("/proc/self/statm", "re");
    if (file == NULL) return 0;
    unsigned long size = 0, resident = 0;
    int fields = fscanf(file, "%lu %lu", &size, &resident);
    fclose(file);
    return fields == 2 ? (uint64_t)resident * (uint64_t)sysconf(_SC_PAGESIZE) : 0;
}
