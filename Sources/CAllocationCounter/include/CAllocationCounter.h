// Counts heap allocations of the calling thread. For test executables only: linking it replaces the allocator's entry
// points by ones that count and pass on (glibc's documented "Replacing malloc", through its __libc_ names).
#pragma once

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

// False under the address and thread sanitizers, which replace the allocator themselves; every count is then 0.
bool allocation_counter_is_available(void);
// Starts counting this thread's calls of malloc, calloc, realloc, posix_memalign, aligned_alloc and memalign from 0.
void allocation_counter_start(void);
// Stops counting. How many there were since the start.
uint64_t allocation_counter_stop(void);
// While set, a counted allocation stops the program there, so that a debugger or a backtrace shows who allocates.
void allocation_counter_trap(bool traps);

#ifdef __cplusplus
}
#endif
