#pragma once
#include <openssl/bio.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include "edge_shim.h"
#include <stddef.h>
#include <stdint.h>

// One AEAD packet in place on a context that keeps its key. `packet` is `header_count` bytes of associated data, the
// text, and 16 bytes for the tag; `nonce` is 12 bytes. Return 1 on success. Nothing here allocates.

static inline int swarm_aead_init(EVP_CIPHER_CTX *context, const EVP_CIPHER *cipher, const unsigned char *key, int is_sealing) {
    return EVP_CipherInit_ex(context, cipher, NULL, NULL, NULL, is_sealing) == 1
        && EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_IVLEN, 12, NULL) == 1
        && EVP_CipherInit_ex(context, NULL, NULL, key, NULL, is_sealing) == 1;
}

static inline int swarm_aead_seal(EVP_CIPHER_CTX *context, const unsigned char *nonce, unsigned char *packet, size_t header_count, size_t packet_count) {
    if (packet == NULL || packet_count > 65536 || header_count > packet_count || packet_count - header_count < 16) return 0;
    int written = 0, final_written = 0;
    int text_count = (int)(packet_count - header_count - 16);
    unsigned char *text = packet + header_count;
    return EVP_EncryptInit_ex(context, NULL, NULL, NULL, nonce) == 1
        && (header_count == 0 || EVP_EncryptUpdate(context, NULL, &written, packet, (int)header_count) == 1)
        && EVP_EncryptUpdate(context, text, &written, text, text_count) == 1
        && EVP_EncryptFinal_ex(context, text + text_count, &final_written) == 1
        && EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, 16, text + text_count) == 1;
}

static inline int swarm_aead_open(EVP_CIPHER_CTX *context, const unsigned char *nonce, unsigned char *packet, size_t header_count, size_t packet_count) {
    if (packet == NULL || packet_count > 65536 || header_count > packet_count || packet_count - header_count < 16) return 0;
    int written = 0, final_written = 0;
    int text_count = (int)(packet_count - header_count - 16);
    unsigned char *text = packet + header_count;
    return EVP_DecryptInit_ex(context, NULL, NULL, NULL, nonce) == 1
        && EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_TAG, 16, text + text_count) == 1
        && (header_count == 0 || EVP_DecryptUpdate(context, NULL, &written, packet, (int)header_count) == 1)
        && EVP_DecryptUpdate(context, text, &written, text, text_count) == 1
        && EVP_DecryptFinal_ex(context, text + text_count, &final_written) == 1;
}
