// What Swift cannot see of Linux: batched datagram calls, control messages, threads, clocks, resource limits.
// Every call that can fail returns a negative errno. Nothing on the packet path allocates after its `_create`.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

// An address in the house's form: IPv6 as two big-endian words, IPv4 mapped (::ffff:a.b.c.d).
struct swarm_address {
    uint64_t high;
    uint64_t low;
    uint16_t port;
};

// ---- Sockets ----

struct swarm_socket_options {
    int receive_buffer_bytes;  // asked of the kernel, which caps it silently; 0 keeps the default
    int send_buffer_bytes;
    bool want_receive_offload;  // UDP_GRO
};

struct swarm_socket_result {
    int descriptor;  // or a negative errno
    bool is_ipv6;
    bool has_segmentation;     // UDP_SEGMENT is known to this kernel
    bool has_receive_offload;  // UDP_GRO is on
    struct swarm_address bound;
};

// A bound, non-blocking, close-on-exec UDP socket. `::` is dual-stack and falls back to 0.0.0.0 where there is no IPv6.
struct swarm_socket_result swarm_udp_open(struct swarm_address bind_to, struct swarm_socket_options options);
void swarm_close(int descriptor);
// Waits at most `milliseconds` for room in the send buffer. 1 if there is room, 0 if not.
int swarm_wait_writable(int descriptor, int milliseconds);

// ---- Receiving ----

#define SWARM_RECEIVE_MAX 64

struct swarm_received {
    uint64_t high;
    uint64_t low;
    uint32_t length;
    uint32_t segment_bytes;  // UDP_GRO: the buffer holds datagrams of this size, the last may be shorter; 0: one datagram
    uint16_t port;
    bool truncated;
};

typedef struct swarm_receiver swarm_receiver;

// With `count` buffers (at most SWARM_RECEIVE_MAX) of `buffer_bytes`, each `stride` after the one before. Their pages are
// the kernel's zeroes until a datagram touches them.
swarm_receiver *swarm_receiver_create(size_t stride, size_t buffer_bytes, unsigned count);
void swarm_receiver_destroy(swarm_receiver *receiver);
// The first buffer.
uint8_t *swarm_receiver_bytes(swarm_receiver *receiver);
// One recvmmsg. How many buffers were filled, or a negative errno (-EAGAIN: nothing there).
int swarm_receiver_fill(swarm_receiver *receiver, int descriptor);
struct swarm_received swarm_receiver_item(const swarm_receiver *receiver, unsigned index);

// ---- Sending ----

#define SWARM_SEND_MAX 64

typedef struct swarm_sender swarm_sender;

swarm_sender *swarm_sender_create(bool is_ipv6);
void swarm_sender_destroy(swarm_sender *sender);
// Sets message `index`: `length` bytes at `bytes`, cut into `segment_bytes` by the kernel unless that is 0.
void swarm_sender_set(swarm_sender *sender, unsigned index, const uint8_t *bytes, size_t length, uint16_t segment_bytes,
                      struct swarm_address destination);
// One sendmmsg of messages first..<end. How many were sent, or a negative errno that concerns message `first`.
int swarm_sender_send(swarm_sender *sender, int descriptor, unsigned first, unsigned end);

// ---- The host's addresses ----

// Addresses of interfaces that are up, without loopback and link-local ones, IPv4 first, port 0, none twice. How many
// were written; at most `capacity`.
unsigned swarm_local_addresses(struct swarm_address *addresses, unsigned capacity);

// ---- Waking and timing a loop ----

int swarm_eventfd_create(void);
void swarm_eventfd_signal(int descriptor);
void swarm_eventfd_clear(int descriptor);
int swarm_timerfd_create(void);
// Fires once at `monotonic_nanoseconds` of CLOCK_MONOTONIC; a time that has passed fires at once.
void swarm_timerfd_set(int descriptor, uint64_t monotonic_nanoseconds);
void swarm_timerfd_clear(int descriptor);

// ---- Clocks ----

struct swarm_now {
    uint64_t monotonic_nanoseconds;
    uint64_t wall_milliseconds;
};
struct swarm_now swarm_clock_read(void);
uint64_t swarm_thread_cpu_nanoseconds(void);
// User and system time of the whole process, as getrusage accounts it.
uint64_t swarm_process_cpu_nanoseconds(void);

// ---- Threads ----

// Starts a thread with the given stack, name (at most 15 bytes are kept) and, unless `core` is negative, affinity to the
// core-th of the CPUs this process may use. Asynchronous signals are blocked in it. Its handle, or a negative errno.
int swarm_thread_start(const char *name, int core, size_t stack_bytes, void (*body)(void *), void *context,
                       uint64_t *handle);
void swarm_thread_join(uint64_t handle);
void swarm_thread_detach(uint64_t handle);
bool swarm_thread_is_current(uint64_t handle);
// CPUs this process may use.
int swarm_cpu_count(void);
bool swarm_pin_current_thread(int core);

// ---- The process ----

// Raises the soft limit of open files to the hard one. The limit in force afterwards.
uint64_t swarm_raise_open_file_limit(void);
// Keeps secrets out of core files.
void swarm_disable_core_files(void);
void swarm_ignore_broken_pipes(void);
// The text of an errno, ended by a zero.
void swarm_error_text(int error, char *text, size_t capacity);
int swarm_open_descriptor_count(void);
int swarm_thread_count(void);
uint64_t swarm_resident_bytes(void);

#ifdef __cplusplus
}
#endif
