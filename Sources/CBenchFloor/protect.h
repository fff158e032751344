#pragma once

// SHA_CTX is deprecated in OpenSSL 3, but two copied states are the cheapest HMAC it has, and this is the floor.
#define OPENSSL_SUPPRESS_DEPRECATED

#include <openssl/evp.h>
#include <openssl/sha.h>

#include "CBenchFloor.h"

enum { BENCH_HEADER_BYTES = 12, BENCH_GCM_TAG_BYTES = 16, BENCH_CM_TAG_BYTES = 10 };

// One viewer's keyed state, kept for the life of the viewer.
struct bench_protector {
    enum bench_cipher cipher;
    EVP_CIPHER_CTX *context;
    uint8_t salt[14];
    SHA_CTX inner;  // SHA-1 after the padded key: HMAC is two copies of these
    SHA_CTX outer;
};

bool bench_protector_open(struct bench_protector *protector, enum bench_cipher cipher, const uint8_t *key,
                          const uint8_t *salt, const uint8_t *authentication_key);
void bench_protector_close(struct bench_protector *protector);
unsigned bench_tag_bytes(enum bench_cipher cipher);
// Copies the header from `header`, encrypts `payload` behind it and appends the tag. Rollover counter 0. The protected
// length, or 0.
size_t bench_protect(struct bench_protector *protector, const uint8_t *header, const uint8_t *payload,
                     size_t payload_bytes, uint8_t *out);
