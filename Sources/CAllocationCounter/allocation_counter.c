#include "CAllocationCounter.h"

#include <errno.h>
#include <stddef.h>

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || __has_feature(memory_sanitizer)
#define SANITIZER_OWNS_THE_ALLOCATOR 1
#endif
#endif

static __thread bool is_counting;
static __thread bool is_trapping;
static __thread uint64_t allocations;

bool allocation_counter_is_available(void) {
#ifdef SANITIZER_OWNS_THE_ALLOCATOR
    return false;
#else
    return true;
#endif
}

void allocation_counter_start(void) {
    allocations = 0;
    is_counting = true;
}

uint64_t allocation_counter_stop(void) {
    is_counting = false;
    return allocations;
}

void allocation_counter_trap(bool traps) { is_trapping = traps; }

#ifndef SANITIZER_OWNS_THE_ALLOCATOR

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *block, size_t size);
void *__libc_memalign(size_t alignment, size_t size);

static inline void count(void) {
    if (!is_counting) return;
    allocations++;
    if (is_trapping) __builtin_trap();
}

void *malloc(size_t size) {
    count();
    return __libc_malloc(size);
}

void *calloc(size_t number, size_t size) {
    count();
    return __libc_calloc(number, size);
}

void *realloc(void *block, size_t size) {
    count();
    return __libc_realloc(block, size);
}

void *memalign(size_t alignment, size_t size) {
    count();
    return __libc_memalign(alignment, size);
}

void *aligned_alloc(size_t alignment, size_t size) {
    count();
    return __libc_memalign(alignment, size);
}

int posix_memalign(void **block, size_t alignment, size_t size) {
    count();
    if (alignment % sizeof(void *) != 0 || (alignment & (alignment - 1)) != 0 || alignment == 0) return EINVAL;
    void *made = __libc_memalign(alignment, size);
    if (made == NULL) return ENOMEM;
    *block = made;
    return 0;
}

#endif
