#include "protect.h"

#include <string.h>

unsigned bench_tag_bytes(enum bench_cipher cipher) {
    return cipher == BENCH_CIPHER_GCM ? BENCH_GCM_TAG_BYTES : BENCH_CM_TAG_BYTES;
}

static void open_hmac(struct bench_protector *protector, const uint8_t *key) {
    uint8_t pad[64];
    memset(pad, 0x36, sizeof pad);
    for (int i = 0; i < 20; i++) pad[i] ^= key[i];
    SHA1_Init(&protector->inner);
    SHA1_Update(&protector->inner, pad, sizeof pad);
    memset(pad, 0x5c, sizeof pad);
    for (int i = 0; i < 20; i++) pad[i] ^= key[i];
    SHA1_Init(&protector->outer);
    SHA1_Update(&protector->outer, pad, sizeof pad);
}

bool bench_protector_open(struct bench_protector *protector, enum bench_cipher cipher, const uint8_t *key,
                          const uint8_t *salt, const uint8_t *authentication_key) {
    memset(protector, 0, sizeof *protector);
    protector->cipher = cipher;
    protector->context = EVP_CIPHER_CTX_new();
    if (protector->context == NULL) return false;
    memcpy(protector->salt, salt, cipher == BENCH_CIPHER_GCM ? 12 : 14);
    const EVP_CIPHER *algorithm = cipher == BENCH_CIPHER_GCM ? EVP_aes_128_gcm() : EVP_aes_128_ctr();
    if (EVP_EncryptInit_ex(protector->context, algorithm, NULL, key, NULL) != 1) return false;
    if (cipher == BENCH_CIPHER_CM) open_hmac(protector, authentication_key);
    return true;
}

void bench_protector_close(struct bench_protector *protector) {
    EVP_CIPHER_CTX_free(protector->context);
    protector->context = NULL;
}

// RFC 7714 §8.1: salt XOR (two zero bytes, SSRC, rollover counter, sequence number).
static size_t protect_gcm(struct bench_protector *protector, const uint8_t *payload, size_t payload_bytes,
                          uint8_t *out) {
    uint8_t vector[12];
    memcpy(vector, protector->salt, sizeof vector);
    for (int i = 0; i < 4; i++) vector[2 + i] ^= out[8 + i];
    vector[10] ^= out[2];
    vector[11] ^= out[3];
    int length = 0;
    uint8_t *body = out + BENCH_HEADER_BYTES;
    EVP_CIPHER_CTX *context = protector->context;
    if (EVP_EncryptInit_ex(context, NULL, NULL, NULL, vector) != 1
        || EVP_EncryptUpdate(context, NULL, &length, out, BENCH_HEADER_BYTES) != 1
        || EVP_EncryptUpdate(context, body, &length, payload, (int)payload_bytes) != 1
        || EVP_EncryptFinal_ex(context, body + length, &length) != 1
        || EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, BENCH_GCM_TAG_BYTES, body + payload_bytes) != 1)
        return 0;
    return BENCH_HEADER_BYTES + payload_bytes + BENCH_GCM_TAG_BYTES;
}

// RFC 3711 §4.1.1 and §4.2: counter = (salt, then SSRC, packet index) shifted by 16; the tag covers the packet and the
// rollover counter.
static size_t protect_cm(struct bench_protector *protector, const uint8_t *payload, size_t payload_bytes,
                         uint8_t *out) {
    uint8_t counter[16] = {0};
    memcpy(counter, protector->salt, 14);
    for (int i = 0; i < 4; i++) counter[4 + i] ^= out[8 + i];
    counter[12] ^= out[2];
    counter[13] ^= out[3];
    int length = 0;
    uint8_t *body = out + BENCH_HEADER_BYTES;
    if (EVP_EncryptInit_ex(protector->context, NULL, NULL, NULL, counter) != 1
        || EVP_EncryptUpdate(protector->context, body, &length, payload, (int)payload_bytes) != 1)
        return 0;
    static const uint8_t rollover[4] = {0};
    uint8_t digest[SHA_DIGEST_LENGTH];
    SHA_CTX state = protector->inner;
    SHA1_Update(&state, out, BENCH_HEADER_BYTES + payload_bytes);
    SHA1_Update(&state, rollover, sizeof rollover);
    SHA1_Final(digest, &state);
    state = protector->outer;
    SHA1_Update(&state, digest, sizeof digest);
    SHA1_Final(digest, &state);
    memcpy(body + payload_bytes, digest, BENCH_CM_TAG_BYTES);
    return BENCH_HEADER_BYTES + payload_bytes + BENCH_CM_TAG_BYTES;
}

size_t bench_protect(struct bench_protector *protector, const uint8_t *header, const uint8_t *payload,
                     size_t payload_bytes, uint8_t *out) {
    memcpy(out, header, BENCH_HEADER_BYTES);
    return protector->cipher == BENCH_CIPHER_GCM ? protect_gcm(protector, payload, payload_bytes, out)
                                                 : protect_cm(protector, payload, payload_bytes, out);
}

size_t bench_floor_protect(enum bench_cipher cipher, const uint8_t *key, const uint8_t *salt,
                           const uint8_t *authentication_key, const uint8_t *packet, size_t packet_bytes,
                           uint8_t *protected_packet, size_t capacity) {
    if (packet_bytes <= BENCH_HEADER_BYTES || capacity < packet_bytes + bench_tag_bytes(cipher)) return 0;
    struct bench_protector protector;
    size_t length = 0;
    if (bench_protector_open(&protector, cipher, key, salt, authentication_key))
        length = bench_protect(&protector, packet, packet + BENCH_HEADER_BYTES, packet_bytes - BENCH_HEADER_BYTES,
                               protected_packet);
    bench_protector_close(&protector);
    return length;
}

void bench_floor_viewer_keys(unsigned index, uint8_t key[16], uint8_t salt[14], uint8_t authentication_key[20]) {
    // Any distinct bytes will do: nothing of this leaves the machine.
    uint32_t state = 0x9e3779b9u * (index + 1);
    uint8_t bytes[50];
    for (size_t i = 0; i < sizeof bytes; i++) {
        state = state * 1664525u + 1013904223u;
        bytes[i] = (uint8_t)(state >> 24);
    }
    memcpy(key, bytes, 16);
    memcpy(salt, bytes + 16, 14);
    memcpy(authentication_key, bytes + 30, 20);
}
