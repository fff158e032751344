// The floor of `mafalda bench fanout`: the least a C program must spend to encrypt and send the same trains, and the
// receivers that both the floor and the node send to.
//
// Fair to both sides: every receiver is emptied after each frame, by the calling thread, while the sender rests. A receiver
// that is never read makes the kernel drop early, which is cheaper than delivery and flatters whoever sends; one that is
// read while the sender works makes the sender pay for waking it. Neither happens in either measurement.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

// ---- Receivers ----

typedef struct bench_receivers bench_receivers;

// `count` UDP sockets bound to ports of the system's choice on 127.0.0.1. NULL and `*error` (an errno) on failure.
bench_receivers *bench_receivers_open(unsigned count, int receive_buffer_bytes, int *error);
void bench_receivers_close(bench_receivers *receivers);
unsigned bench_receivers_count(const bench_receivers *receivers);
uint16_t bench_receivers_port(const bench_receivers *receivers, unsigned index);
// Takes datagrams until every receiver has had `each` in this call, or nothing has come for `timeout_milliseconds`.
// Returns how many were taken.
uint64_t bench_receivers_take(bench_receivers *receivers, unsigned each, unsigned timeout_milliseconds);
// Empties every receiver without waiting. Returns how many datagrams were taken.
uint64_t bench_receivers_drain(bench_receivers *receivers);
// The start of the datagram taken last by receiver `index`, at most `capacity` bytes. Returns the datagram's length.
size_t bench_receivers_last(const bench_receivers *receivers, unsigned index, uint8_t *bytes, size_t capacity);

// ---- The floor ----

enum bench_cipher {
    BENCH_CIPHER_GCM = 0,  // AEAD_AES_128_GCM, RFC 7714
    BENCH_CIPHER_CM = 1,   // AES_CM_128_HMAC_SHA1_80, RFC 3711
};

struct bench_floor_options {
    unsigned packet_bytes;   // the clear RTP packet, header included: 12 + payload
    unsigned frame_packets;  // packets of one frame: what one viewer gets at once
    unsigned frames;         // frames per measurement
    unsigned rounds;         // measurements of each kind, taken in turn; the medians are reported
    enum bench_cipher cipher;
    int core;  // the sender's CPU, counted among those this process may use; negative: any
};

struct bench_floor_result {
    int error;  // an errno; the rest means nothing unless 0
    double encrypt_microseconds;  // CPU per packet: encrypting alone, sending alone, both in one loop
    double send_microseconds;
    double both_microseconds;
    uint64_t packets_sent;       // by the loops that send
    uint64_t packets_delivered;  // of those
};

// Runs the three loops in turn. The sender is a thread of its own, charged by CLOCK_THREAD_CPUTIME_ID for the work on its
// frames alone; the caller takes the datagrams from `receivers` between frames.
struct bench_floor_result bench_floor_run(struct bench_floor_options options, bench_receivers *receivers);

// ---- For tests ----

// Protects one RTP packet without extensions or CSRCs under `key` (16 bytes), `salt` (12 bytes for GCM, 14 for CM) and
// `authentication_key` (20 bytes, CM only) with rollover counter 0. Writes at most `capacity` bytes. Returns the protected
// length or 0.
size_t bench_floor_protect(enum bench_cipher cipher, const uint8_t *key, const uint8_t *salt,
                           const uint8_t *authentication_key, const uint8_t *packet, size_t packet_bytes,
                           uint8_t *protected_packet, size_t capacity);
// The session keys of the floor's viewer `index`.
void bench_floor_viewer_keys(unsigned index, uint8_t key[16], uint8_t salt[14], uint8_t authentication_key[20]);

#ifdef __cplusplus
}
#endif
