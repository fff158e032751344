#pragma once
// Inline wrappers for the edge (DTLS, SRTP, STUN): OpenSSL's function macros, its variadics, and values that must be
// kept by size rather than behind an allocation.
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/sha.h>
#include <openssl/srtp.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <stdint.h>
#include <string.h>
#include <sys/time.h>

// --- HMAC-SHA1 with the key schedule by value -------------------------------------------------------------------------
// EVP_MAC contexts of OpenSSL 3.0 allocate three times per message; two SHA-1 states by value allocate nothing.

typedef struct {
    SHA_CTX inner;
    SHA_CTX outer;
} edge_hmac_sha1_key;

static inline void edge_hmac_sha1_init(edge_hmac_sha1_key *key, const uint8_t *secret, size_t count) {
    uint8_t block[64], pad[64];
    memset(block, 0, sizeof block);
    if (count > sizeof block) {
        SHA1(secret, count, block);
    } else if (count > 0) {
        memcpy(block, secret, count);
    }
    for (int i = 0; i < 64; i++) pad[i] = block[i] ^ 0x36;
    SHA1_Init(&key->inner);
    SHA1_Update(&key->inner, pad, sizeof pad);
    for (int i = 0; i < 64; i++) pad[i] = block[i] ^ 0x5c;
    SHA1_Init(&key->outer);
    SHA1_Update(&key->outer, pad, sizeof pad);
    OPENSSL_cleanse(block, sizeof block);
    OPENSSL_cleanse(pad, sizeof pad);
}

/// HMAC of `first` followed by `second`; either may be empty. `tag` takes 20 bytes.
static inline void edge_hmac_sha1(
    const edge_hmac_sha1_key *key, const uint8_t *first, size_t first_count, const uint8_t *second, size_t second_count,
    uint8_t *tag) {
    SHA_CTX state = key->inner;
    if (first_count > 0) SHA1_Update(&state, first, first_count);
    if (second_count > 0) SHA1_Update(&state, second, second_count);
    uint8_t digest[20];
    SHA1_Final(digest, &state);
    state = key->outer;
    SHA1_Update(&state, digest, sizeof digest);
    SHA1_Final(tag, &state);
}

// --- Ciphers ----------------------------------------------------------------------------------------------------------

/// AES in counter mode over `count` bytes in place, from the 16-byte counter block `iv`. Returns 1 on success.
static inline int edge_ctr_apply(EVP_CIPHER_CTX *ctx, const uint8_t *iv, uint8_t *bytes, int count) {
    int written = 0;
    if (count == 0) return 1;
    return EVP_EncryptInit_ex(ctx, NULL, NULL, NULL, iv) == 1 && EVP_EncryptUpdate(ctx, bytes, &written, bytes, count) == 1;
}

/// AES-GCM seal in place; `tag` takes 16 bytes. The associated data comes in two parts. Returns 1 on success.
static inline int edge_gcm_seal(
    EVP_CIPHER_CTX *ctx, const uint8_t *iv, const uint8_t *aad, int aad_count, const uint8_t *more, int more_count,
    uint8_t *bytes, int count, uint8_t *tag) {
    int written = 0;
    if (EVP_EncryptInit_ex(ctx, NULL, NULL, NULL, iv) != 1) return 0;
    if (aad_count > 0 && EVP_EncryptUpdate(ctx, NULL, &written, aad, aad_count) != 1) return 0;
    if (more_count > 0 && EVP_EncryptUpdate(ctx, NULL, &written, more, more_count) != 1) return 0;
    if (count > 0 && EVP_EncryptUpdate(ctx, bytes, &written, bytes, count) != 1) return 0;
    if (EVP_EncryptFinal_ex(ctx, bytes + count, &written) != 1) return 0;
    return EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, 16, tag) == 1;
}

/// AES-GCM open in place. Returns 1 when the tag is right.
static inline int edge_gcm_open(
    EVP_CIPHER_CTX *ctx, const uint8_t *iv, const uint8_t *aad, int aad_count, const uint8_t *more, int more_count,
    uint8_t *bytes, int count, const uint8_t *tag) {
    int written = 0;
    uint8_t copy[16];
    memcpy(copy, tag, sizeof copy);
    if (EVP_DecryptInit_ex(ctx, NULL, NULL, NULL, iv) != 1) return 0;
    if (aad_count > 0 && EVP_DecryptUpdate(ctx, NULL, &written, aad, aad_count) != 1) return 0;
    if (more_count > 0 && EVP_DecryptUpdate(ctx, NULL, &written, more, more_count) != 1) return 0;
    if (count > 0 && EVP_DecryptUpdate(ctx, bytes, &written, bytes, count) != 1) return 0;
    if (EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, sizeof copy, copy) != 1) return 0;
    return EVP_DecryptFinal_ex(ctx, bytes + count, &written) == 1;
}

/// One AES block in ECB mode under `key` of `key_count` (16 or 32) bytes: for key derivation. Returns 1 on success.
static inline int edge_aes_block(const uint8_t *key, int key_count, const uint8_t *input, uint8_t *output) {
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    if (ctx == NULL) return 0;
    int written = 0;
    const EVP_CIPHER *cipher = key_count == 32 ? EVP_aes_256_ecb() : EVP_aes_128_ecb();
    int result = EVP_EncryptInit_ex(ctx, cipher, NULL, key, NULL) == 1
        && EVP_CIPHER_CTX_set_padding(ctx, 0) == 1
        && EVP_EncryptUpdate(ctx, output, &written, input, 16) == 1 && written == 16;
    EVP_CIPHER_CTX_free(ctx);
    return result;
}

// --- DTLS -------------------------------------------------------------------------------------------------------------

/// What the callbacks of one SSL object need; owned by the endpoint, outlives the SSL object.
typedef struct {
    uint8_t expected_fingerprint[32];
    uint32_t first_timeout_us;
    uint32_t longest_timeout_us;
    int32_t fingerprint_mismatch;
    int32_t fingerprint_verified;
} edge_dtls_state;

/// Instead of a chain of authorities: the certificate's SHA-256 must be the one of the session description (RFC 8122).
static inline int edge_dtls_verify(X509_STORE_CTX *store, void *unused) {
    (void)unused;
    SSL *ssl = (SSL *)X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
    edge_dtls_state *state = ssl == NULL ? NULL : (edge_dtls_state *)SSL_get_ex_data(ssl, 0);
    X509 *certificate = X509_STORE_CTX_get0_cert(store);
    uint8_t digest[EVP_MAX_MD_SIZE];
    unsigned int count = 0;
    if (state == NULL || certificate == NULL || X509_digest(certificate, EVP_sha256(), digest, &count) != 1
        || count != 32 || CRYPTO_memcmp(digest, state->expected_fingerprint, 32) != 0) {
        if (state != NULL) state->fingerprint_mismatch = 1;
        X509_STORE_CTX_set_error(store, X509_V_ERR_CERT_UNTRUSTED);
        return 0;
    }
    state->fingerprint_verified = 1;
    return 1;
}

static inline unsigned int edge_dtls_timer(SSL *ssl, unsigned int previous_us) {
    edge_dtls_state *state = (edge_dtls_state *)SSL_get_ex_data(ssl, 0);
    uint32_t first = state == NULL ? 250000 : state->first_timeout_us;
    uint32_t longest = state == NULL ? 2000000 : state->longest_timeout_us;
    if (previous_us == 0) return first;
    return previous_us >= longest / 2 ? longest : previous_us * 2;
}

/// A context for DTLS 1.2 alone with our certificate; NULL when OpenSSL refuses any part.
static inline SSL_CTX *edge_dtls_context(X509 *certificate, EVP_PKEY *key, const char *ciphers, const char *groups, const char *profiles) {
    SSL_CTX *ctx = SSL_CTX_new(DTLS_method());
    if (ctx == NULL) return NULL;
    SSL_CTX_set_options(
        ctx, SSL_OP_NO_QUERY_MTU | SSL_OP_NO_TICKET | SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION
            | SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_SINGLE_ECDH_USE);
    SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE);
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_read_ahead(ctx, 1);
    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    SSL_CTX_set_cert_verify_callback(ctx, edge_dtls_verify, NULL);
    // SSL_CTX_set_tlsext_use_srtp alone of all these returns 0 on success.
    if (SSL_CTX_set_min_proto_version(ctx, DTLS1_2_VERSION) != 1 || SSL_CTX_set_max_proto_version(ctx, DTLS1_2_VERSION) != 1
        || SSL_CTX_use_certificate(ctx, certificate) != 1 || SSL_CTX_use_PrivateKey(ctx, key) != 1
        || SSL_CTX_set_cipher_list(ctx, ciphers) != 1 || SSL_CTX_set1_groups_list(ctx, groups) != 1
        || SSL_CTX_set_tlsext_use_srtp(ctx, profiles) != 0) {
        SSL_CTX_free(ctx);
        return NULL;
    }
    return ctx;
}

/// One end over two memory BIOs. `state` must outlive it. NULL when memory is short.
static inline SSL *edge_dtls_new(SSL_CTX *ctx, edge_dtls_state *state, int is_server, long mtu) {
    SSL *ssl = SSL_new(ctx);
    BIO *input = BIO_new(BIO_s_mem());
    BIO *output = BIO_new(BIO_s_mem());
    if (ssl == NULL || input == NULL || output == NULL || SSL_set_ex_data(ssl, 0, state) != 1) {
        SSL_free(ssl);
        BIO_free(input);
        BIO_free(output);
        return NULL;
    }
    BIO_set_mem_eof_return(input, -1);
    BIO_set_mem_eof_return(output, -1);
    SSL_set_bio(ssl, input, output);
    DTLS_set_timer_cb(ssl, edge_dtls_timer);
    SSL_set_mtu(ssl, mtu);
    if (is_server) {
        SSL_set_accept_state(ssl);
    } else {
        SSL_set_connect_state(ssl);
    }
    return ssl;
}

/// Microseconds until OpenSSL wants to retransmit, or -1 when no timer runs.
static inline int64_t edge_dtls_timeout_us(SSL *ssl) {
    struct timeval left;
    if (DTLSv1_get_timeout(ssl, &left) != 1) return -1;
    return (int64_t)left.tv_sec * 1000000 + left.tv_usec;
}

static inline long edge_dtls_handle_timeout(SSL *ssl) { return DTLSv1_handle_timeout(ssl); }

/// The bytes waiting to be sent, as one run of records; they stay until `edge_dtls_reset_output`.
static inline long edge_dtls_output(SSL *ssl, uint8_t **bytes) {
    char *data = NULL;
    long count = BIO_get_mem_data(SSL_get_wbio(ssl), &data);
    *bytes = (uint8_t *)data;
    return data == NULL ? 0 : count;
}

static inline void edge_dtls_reset_output(SSL *ssl) { (void)BIO_reset(SSL_get_wbio(ssl)); }
static inline void edge_dtls_reset_input(SSL *ssl) { (void)BIO_reset(SSL_get_rbio(ssl)); }

/// The id of the negotiated SRTP profile (RFC 5764 §4.1.2), or 0.
static inline unsigned long edge_dtls_srtp_profile(SSL *ssl) {
    const SRTP_PROTECTION_PROFILE *profile = SSL_get_selected_srtp_profile(ssl);
    return profile == NULL ? 0 : profile->id;
}

static inline EVP_PKEY *edge_new_p256_key(void) { return EVP_EC_gen("P-256"); }
