#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "CBenchFloor.h"

enum { BATCH = 64, KEPT_BYTES = 2048 };

struct receiver {
    int descriptor;
    uint16_t port;
    unsigned taken;  // in the present call
    size_t last_length;
    uint8_t *last;
};

struct bench_receivers {
    unsigned count;
    struct receiver *list;
    struct mmsghdr messages[BATCH];
    struct iovec vectors[BATCH];
    uint8_t buffers[BATCH][KEPT_BYTES];
};

static int open_receiver(struct receiver *receiver, int receive_buffer_bytes) {
    receiver->descriptor = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (receiver->descriptor < 0) return errno;
    if (receive_buffer_bytes > 0)
        setsockopt(receiver->descriptor, SOL_SOCKET, SO_RCVBUF, &receive_buffer_bytes, sizeof receive_buffer_bytes);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    if (bind(receiver->descriptor, (struct sockaddr *)&address, sizeof address) < 0) return errno;
    if (getsockname(receiver->descriptor, (struct sockaddr *)&address, &length) < 0) return errno;
    receiver->port = ntohs(address.sin_port);
    receiver->last = calloc(1, KEPT_BYTES);
    return receiver->last == NULL ? ENOMEM : 0;
}

bench_receivers *bench_receivers_open(unsigned count, int receive_buffer_bytes, int *error) {
    *error = ENOMEM;
    if (count == 0) return NULL;
    bench_receivers *receivers = calloc(1, sizeof *receivers);
    if (receivers == NULL) return NULL;
    receivers->list = calloc(count, sizeof *receivers->list);
    if (receivers->list == NULL) {
        free(receivers);
        return NULL;
    }
    for (unsigned i = 0; i < BATCH; i++) {
        receivers->vectors[i] = (struct iovec){receivers->buffers[i], KEPT_BYTES};
        receivers->messages[i].msg_hdr.msg_iov = &receivers->vectors[i];
        receivers->messages[i].msg_hdr.msg_iovlen = 1;
    }
    while (receivers->count < count) {
        *error = open_receiver(&receivers->list[receivers->count++], receive_buffer_bytes);
        if (*error != 0) {
            bench_receivers_close(receivers);
            return NULL;
        }
    }
    return receivers;
}

void bench_receivers_close(bench_receivers *receivers) {
    if (receivers == NULL) return;
    for (unsigned i = 0; i < receivers->count; i++) {
        if (receivers->list[i].descriptor >= 0) close(receivers->list[i].descriptor);
        free(receivers->list[i].last);
    }
    free(receivers->list);
    free(receivers);
}

unsigned bench_receivers_count(const bench_receivers *receivers) { return receivers->count; }

uint16_t bench_receivers_port(const bench_receivers *receivers, unsigned index) {
    return index < receivers->count ? receivers->list[index].port : 0;
}

size_t bench_receivers_last(const bench_receivers *receivers, unsigned index, uint8_t *bytes, size_t capacity) {
    if (index >= receivers->count) return 0;
    const struct receiver *receiver = &receivers->list[index];
    size_t copied = receiver->last_length < KEPT_BYTES ? receiver->last_length : KEPT_BYTES;
    memcpy(bytes, receiver->last, copied < capacity ? copied : capacity);
    return receiver->last_length;
}

static unsigned take_waiting(bench_receivers *receivers, struct receiver *receiver) {
    unsigned total = 0;
    for (;;) {
        int taken = recvmmsg(receiver->descriptor, receivers->messages, BATCH, MSG_DONTWAIT | MSG_TRUNC, NULL);
        if (taken <= 0) break;
        total += (unsigned)taken;
        size_t length = receivers->messages[taken - 1].msg_len;
        receiver->last_length = length;
        memcpy(receiver->last, receivers->buffers[taken - 1], length < KEPT_BYTES ? length : KEPT_BYTES);
        if (taken < BATCH) break;
    }
    receiver->taken += total;
    return total;
}

static void rest(void) {
    // Long enough to leave the sender's sockets alone, short beside a frame's work.
    struct timespec pause = {0, 20000};
    nanosleep(&pause, NULL);
}

static uint64_t milliseconds_now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000 + (uint64_t)time.tv_nsec / 1000000;
}

uint64_t bench_receivers_take(bench_receivers *receivers, unsigned each, unsigned timeout_milliseconds) {
    uint64_t total = 0;
    uint64_t last_progress = milliseconds_now();
    for (unsigned i = 0; i < receivers->count; i++) receivers->list[i].taken = 0;
    // From the last viewer back: it is served last, so when it is complete the others are, and the sender is at rest.
    for (unsigned left = receivers->count; left > 0;) {
        struct receiver *receiver = &receivers->list[left - 1];
        while (receiver->taken < each) {
            unsigned taken = take_waiting(receivers, receiver);
            total += taken;
            if (taken > 0) {
                last_progress = milliseconds_now();
            } else if (milliseconds_now() - last_progress > timeout_milliseconds) {
                return total + bench_receivers_drain(receivers);
            } else {
                rest();
            }
        }
        left--;
    }
    return total;
}

uint64_t bench_receivers_drain(bench_receivers *receivers) {
    uint64_t total = 0;
    for (unsigned i = 0; i < receivers->count; i++) total += take_waiting(receivers, &receivers->list[i]);
    return total;
}
