#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "protect.h"

#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif
#ifndef SOL_UDP
#define SOL_UDP 17
#endif

enum { TRAINS_PER_CALL = 64, TRAIN_PACKETS = 64, TRAIN_BYTES = 65000, TAKE_TIMEOUT_MILLISECONDS = 20 };

enum work { WORK_ENCRYPT = 1, WORK_SEND = 2, WORK_BOTH = 3 };

// What the sender thread works on. One frame at a time, each started by the caller.
struct floor {
    struct bench_floor_options options;
    unsigned viewers;
    unsigned packets_per_train;
    struct bench_protector *protectors;
    uint8_t *frame;    // the clear frame, packet after packet
    uint8_t *trains;   // TRAINS_PER_CALL protected trains
    size_t slot_bytes;  // of one protected packet
    struct mmsghdr messages[TRAINS_PER_CALL];
    struct iovec vectors[TRAINS_PER_CALL];
    struct sockaddr_in *destinations;
    _Alignas(struct cmsghdr) uint8_t control[CMSG_SPACE(sizeof(uint16_t))];
    int descriptor;
    sem_t go;
    sem_t done;
    enum work work;
    uint16_t sequence;
    bool quit;
    int error;
    uint64_t cpu_nanoseconds;
};

static uint64_t thread_cpu(void) {
    struct timespec time;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

static void store_sequence(uint8_t *header, uint16_t sequence) {
    header[2] = (uint8_t)(sequence >> 8);
    header[3] = (uint8_t)sequence;
}

static bool encrypt_train(struct floor *floor, unsigned viewer, unsigned first, unsigned count, uint8_t *out) {
    size_t payload_bytes = floor->options.packet_bytes - BENCH_HEADER_BYTES;
    for (unsigned i = 0; i < count; i++) {
        const uint8_t *packet = floor->frame + (size_t)(first + i) * floor->options.packet_bytes;
        uint8_t header[BENCH_HEADER_BYTES];
        memcpy(header, packet, sizeof header);
        store_sequence(header, (uint16_t)(floor->sequence + first + i));
        header[8] = (uint8_t)(viewer >> 8);
        header[9] = (uint8_t)viewer;
        if (bench_protect(&floor->protectors[viewer], header, packet + BENCH_HEADER_BYTES, payload_bytes,
                          out + i * floor->slot_bytes) == 0)
            return false;
    }
    return true;
}

static bool send_trains(struct floor *floor, unsigned count) {
    unsigned sent = 0;
    while (sent < count) {
        int result = sendmmsg(floor->descriptor, floor->messages + sent, count - sent, 0);
        if (result < 0) {
            if (errno == EINTR) continue;
            floor->error = errno;
            return false;
        }
        sent += (unsigned)result;
    }
    return true;
}

static void run_frame(struct floor *floor) {
    unsigned filled = 0;
    for (unsigned viewer = 0; viewer < floor->viewers; viewer++) {
        for (unsigned first = 0; first < floor->options.frame_packets; first += floor->packets_per_train) {
            unsigned left = floor->options.frame_packets - first;
            unsigned count = left < floor->packets_per_train ? left : floor->packets_per_train;
            uint8_t *train = floor->trains + (size_t)filled * floor->packets_per_train * floor->slot_bytes;
            if ((floor->work & WORK_ENCRYPT) && !encrypt_train(floor, viewer, first, count, train)) {
                floor->error = EIO;
                return;
            }
            floor->vectors[filled] = (struct iovec){train, count * floor->slot_bytes};
            struct msghdr *message = &floor->messages[filled].msg_hdr;
            message->msg_name = &floor->destinations[viewer];
            message->msg_control = count > 1 ? floor->control : NULL;
            message->msg_controllen = count > 1 ? sizeof floor->control : 0;
            if (++filled == TRAINS_PER_CALL) {
                if ((floor->work & WORK_SEND) && !send_trains(floor, filled)) return;
                filled = 0;
            }
        }
    }
    if (filled > 0 && (floor->work & WORK_SEND)) send_trains(floor, filled);
    floor->sequence = (uint16_t)(floor->sequence + floor->options.frame_packets);
}

static void pin(int core) {
    cpu_set_t allowed, chosen;
    if (core < 0 || sched_getaffinity(0, sizeof allowed, &allowed) != 0) return;
    int wanted = core % CPU_COUNT(&allowed);
    CPU_ZERO(&chosen);
    for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
        if (CPU_ISSET(cpu, &allowed) && wanted-- == 0) {
            CPU_SET(cpu, &chosen);
            pthread_setaffinity_np(pthread_self(), sizeof chosen, &chosen);
            return;
        }
    }
}

static void wait_for(sem_t *semaphore) {
    while (sem_wait(semaphore) != 0 && errno == EINTR) continue;
}

static void *sender_main(void *argument) {
    struct floor *floor = argument;
    pthread_setname_np(pthread_self(), "bench floor");
    pin(floor->options.core);
    for (;;) {
        wait_for(&floor->go);
        if (floor->quit) return NULL;
        uint64_t before = thread_cpu();
        run_frame(floor);
        floor->cpu_nanoseconds += thread_cpu() - before;
        sem_post(&floor->done);
    }
}

// One measurement: CPU microseconds per packet.
static double measure(struct floor *floor, enum work work, bench_receivers *receivers,
                      struct bench_floor_result *result) {
    floor->work = work;
    floor->cpu_nanoseconds = 0;
    uint64_t per_frame = (uint64_t)floor->viewers * floor->options.frame_packets;
    for (unsigned frame = 0; frame < floor->options.frames && floor->error == 0; frame++) {
        sem_post(&floor->go);
        wait_for(&floor->done);
        if (work & WORK_SEND) {
            result->packets_sent += per_frame;
            result->packets_delivered +=
                bench_receivers_take(receivers, floor->options.frame_packets, TAKE_TIMEOUT_MILLISECONDS);
        }
    }
    return (double)floor->cpu_nanoseconds / 1000.0 / (double)(per_frame * floor->options.frames);
}

static int open_floor(struct floor *floor, bench_receivers *receivers) {
    const struct bench_floor_options *options = &floor->options;
    floor->slot_bytes = options->packet_bytes + bench_tag_bytes(options->cipher);
    unsigned by_bytes = (unsigned)(TRAIN_BYTES / floor->slot_bytes);
    floor->packets_per_train = by_bytes < TRAIN_PACKETS ? by_bytes : TRAIN_PACKETS;
    if (options->frame_packets < floor->packets_per_train) floor->packets_per_train = options->frame_packets;
    floor->descriptor = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (floor->descriptor < 0) return errno;
    floor->protectors = calloc(floor->viewers, sizeof *floor->protectors);
    floor->destinations = calloc(floor->viewers, sizeof *floor->destinations);
    floor->frame = calloc(options->frame_packets, options->packet_bytes);
    floor->trains = calloc((size_t)TRAINS_PER_CALL * floor->packets_per_train, floor->slot_bytes);
    if (!floor->protectors || !floor->destinations || !floor->frame || !floor->trains) return ENOMEM;
    for (unsigned viewer = 0; viewer < floor->viewers; viewer++) {
        uint8_t key[16], salt[14], authentication_key[20];
        bench_floor_viewer_keys(viewer, key, salt, authentication_key);
        if (!bench_protector_open(&floor->protectors[viewer], options->cipher, key, salt, authentication_key))
            return ENOMEM;
        floor->destinations[viewer] = (struct sockaddr_in){
            .sin_family = AF_INET,
            .sin_port = htons(bench_receivers_port(receivers, viewer)),
            .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
        };
    }
    for (unsigned i = 0; i < options->frame_packets; i++) {
        uint8_t *packet = floor->frame + (size_t)i * options->packet_bytes;
        for (unsigned byte = 0; byte < options->packet_bytes; byte++) packet[byte] = (uint8_t)(byte * 31 + i);
        packet[0] = 0x80;
        packet[1] = 96;
    }
    struct cmsghdr *control = (struct cmsghdr *)floor->control;
    control->cmsg_level = SOL_UDP;
    control->cmsg_type = UDP_SEGMENT;
    control->cmsg_len = CMSG_LEN(sizeof(uint16_t));
    uint16_t segment = (uint16_t)floor->slot_bytes;
    memcpy(CMSG_DATA(control), &segment, sizeof segment);
    for (unsigned i = 0; i < TRAINS_PER_CALL; i++) {
        floor->messages[i].msg_hdr.msg_namelen = sizeof(struct sockaddr_in);
        floor->messages[i].msg_hdr.msg_iov = &floor->vectors[i];
        floor->messages[i].msg_hdr.msg_iovlen = 1;
    }
    return 0;
}

static void close_floor(struct floor *floor) {
    if (floor->protectors)
        for (unsigned viewer = 0; viewer < floor->viewers; viewer++) bench_protector_close(&floor->protectors[viewer]);
    free(floor->protectors);
    free(floor->destinations);
    free(floor->frame);
    free(floor->trains);
    if (floor->descriptor >= 0) close(floor->descriptor);
}

static int compare(const void *a, const void *b) {
    double left = *(const double *)a, right = *(const double *)b;
    return (left > right) - (left < right);
}

static double median(double *values, unsigned count) {
    qsort(values, count, sizeof *values, compare);
    return count % 2 ? values[count / 2] : (values[count / 2 - 1] + values[count / 2]) / 2;
}

static void run_rounds(struct floor *floor, bench_receivers *receivers, struct bench_floor_result *result) {
    enum { MOST_ROUNDS = 101 };
    double encrypt[MOST_ROUNDS], send[MOST_ROUNDS], both[MOST_ROUNDS];
    unsigned rounds = floor->options.rounds < MOST_ROUNDS ? floor->options.rounds : MOST_ROUNDS;
    struct bench_floor_result warm_up = {0};
    measure(floor, WORK_BOTH, receivers, &warm_up);
    for (unsigned round = 0; round < rounds && floor->error == 0; round++) {
        encrypt[round] = measure(floor, WORK_ENCRYPT, receivers, result);
        send[round] = measure(floor, WORK_SEND, receivers, result);
        both[round] = measure(floor, WORK_BOTH, receivers, result);
    }
    result->error = floor->error;
    if (floor->error != 0) return;
    result->encrypt_microseconds = median(encrypt, rounds);
    result->send_microseconds = median(send, rounds);
    result->both_microseconds = median(both, rounds);
}

struct bench_floor_result bench_floor_run(struct bench_floor_options options, bench_receivers *receivers) {
    struct bench_floor_result result = {0};
    bool is_sane = options.packet_bytes > BENCH_HEADER_BYTES && options.packet_bytes <= 1500
        && options.frame_packets >= 1 && options.frame_packets <= 1000 && options.frames >= 1 && options.rounds >= 1;
    struct floor *floor = calloc(1, sizeof *floor);
    if (!is_sane || floor == NULL) {
        free(floor);
        result.error = is_sane ? ENOMEM : EINVAL;
        return result;
    }
    floor->options = options;
    floor->viewers = bench_receivers_count(receivers);
    floor->descriptor = -1;
    result.error = open_floor(floor, receivers);
    pthread_t sender;
    if (result.error == 0) {
        sem_init(&floor->go, 0, 0);
        sem_init(&floor->done, 0, 0);
        result.error = pthread_create(&sender, NULL, sender_main, floor);
    }
    if (result.error == 0) {
        run_rounds(floor, receivers, &result);
        floor->quit = true;
        sem_post(&floor->go);
        pthread_join(sender, NULL);
    }
    close_floor(floor);
    free(floor);
    return result;
}
