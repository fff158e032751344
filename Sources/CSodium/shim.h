#pragma once
#include <sodium.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

// Swift can't see libsodium's packed hash state, and sees its pointers as non-null where an empty span has none. So the
// calls the project makes go through these, each the function of its name.

// Swift imports no type aligned to 64 bytes: the state is kept in this one and copied to an aligned one for each call.
struct swarm_blake2b {
    uint64_t words[(sizeof(crypto_generichash_blake2b_state) + 7) / 8];
};

static inline int swarm_blake2b_init(struct swarm_blake2b *state, const unsigned char *key, size_t key_count, size_t output_count) {
    crypto_generichash_blake2b_state aligned;
    int result = crypto_generichash_blake2b_init(&aligned, key, key_count, output_count);
    memcpy(state, &aligned, sizeof aligned);
    return result;
}
static inline int swarm_blake2b_update(struct swarm_blake2b *state, const unsigned char *bytes, size_t count) {
    if (count == 0) return 0;
    crypto_generichash_blake2b_state aligned;
    memcpy(&aligned, state, sizeof aligned);
    int result = crypto_generichash_blake2b_update(&aligned, bytes, count);
    memcpy(state, &aligned, sizeof aligned);
    return result;
}
static inline int swarm_blake2b_final(struct swarm_blake2b *state, unsigned char *output, size_t count) {
    crypto_generichash_blake2b_state aligned;
    memcpy(&aligned, state, sizeof aligned);
    return crypto_generichash_blake2b_final(&aligned, output, count);
}

static inline int swarm_ed25519_verify(const unsigned char *signature, const unsigned char *message, size_t count, const unsigned char *key) {
    static const unsigned char none[1];
    return crypto_sign_ed25519_verify_detached(signature, message ? message : none, count, key);
}
static inline int swarm_ed25519_sign(unsigned char *signature, const unsigned char *message, size_t count, const unsigned char *secret_key) {
    static const unsigned char none[1];
    return crypto_sign_ed25519_detached(signature, NULL, message ? message : none, count, secret_key);
}
static inline int swarm_ed25519_public_key(unsigned char *key, const unsigned char *seed) {
    unsigned char secret_key[64];
    int result = crypto_sign_ed25519_seed_keypair(key, secret_key, seed);
    sodium_memzero(secret_key, sizeof secret_key);
    return result;
}
static inline int swarm_x25519_of_ed25519_public(unsigned char *output, const unsigned char *key) {
    return crypto_sign_ed25519_pk_to_curve25519(output, key);
}
static inline int swarm_x25519_of_ed25519_secret(unsigned char *output, const unsigned char *secret_key) {
    return crypto_sign_ed25519_sk_to_curve25519(output, secret_key);
}
static inline int swarm_x25519_public_key(unsigned char *output, const unsigned char *secret_key) {
    return crypto_scalarmult_curve25519_base(output, secret_key);
}
static inline int swarm_x25519(unsigned char *output, const unsigned char *secret_key, const unsigned char *key) {
    return crypto_scalarmult_curve25519(output, secret_key, key);
}

// In place: the tag follows the text. `nonce` is 12 bytes, `key` 32.
static inline int swarm_chacha20poly1305_seal(unsigned char *text, size_t count, const unsigned char *ad, size_t ad_count, const unsigned char *nonce, const unsigned char *key) {
    return crypto_aead_chacha20poly1305_ietf_encrypt_detached(text, text + count, NULL, text, count, ad, ad_count, NULL, nonce, key);
}
static inline int swarm_chacha20poly1305_open(unsigned char *text, size_t count, const unsigned char *ad, size_t ad_count, const unsigned char *nonce, const unsigned char *key) {
    return crypto_aead_chacha20poly1305_ietf_decrypt_detached(text, NULL, text, count, text + count, ad, ad_count, nonce, key);
}

// A packet in one piece: header (the associated data), text, 16 bytes of tag.
static inline int swarm_packet_seal(unsigned char *packet, size_t header, size_t count, const unsigned char *nonce, const unsigned char *key) {
    return swarm_chacha20poly1305_seal(packet + header, count, packet, header, nonce, key);
}
static inline int swarm_packet_open(unsigned char *packet, size_t header, size_t count, const unsigned char *nonce, const unsigned char *key) {
    return swarm_chacha20poly1305_open(packet + header, count, packet, header, nonce, key);
}

// XChaCha20-Poly1305 with a nonce of 24 bytes, for cookies: `output` is `count` + 16 bytes.
static inline int swarm_xchacha20poly1305_seal(unsigned char *output, const unsigned char *text, size_t count, const unsigned char *ad, size_t ad_count, const unsigned char *nonce, const unsigned char *key) {
    return crypto_aead_xchacha20poly1305_ietf_encrypt(output, NULL, text, count, ad, ad_count, NULL, nonce, key);
}
static inline int swarm_xchacha20poly1305_open(unsigned char *output, const unsigned char *sealed, size_t count, const unsigned char *ad, size_t ad_count, const unsigned char *nonce, const unsigned char *key) {
    return crypto_aead_xchacha20poly1305_ietf_decrypt(output, NULL, NULL, sealed, count, ad, ad_count, nonce, key);
}

static inline void swarm_wipe(void *bytes, size_t count) { sodium_memzero(bytes, count); }
