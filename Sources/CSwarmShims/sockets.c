#define _GNU_SOURCE
#include "CSwarmShims.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

// Debian 12's netinet/udp.h knows both; older headers do not.
#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif
#ifndef UDP_GRO
#define UDP_GRO 104
#endif
#ifndef SOL_UDP
#define SOL_UDP 17
#endif

union any_address {
    struct sockaddr generic;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
};

static uint64_t load64(const uint8_t *bytes) {
    uint64_t value = 0;
    for (int i = 0; i < 8; i++) value = value << 8 | bytes[i];
    return value;
}

static void store64(uint8_t *bytes, uint64_t value) {
    for (int i = 7; i >= 0; i--, value >>= 8) bytes[i] = (uint8_t)value;
}

static struct swarm_address from_kernel(const union any_address *address) {
    struct swarm_address result = {0, 0, 0};
    if (address->generic.sa_family == AF_INET6) {
        result.high = load64(address->v6.sin6_addr.s6_addr);
        result.low = load64(address->v6.sin6_addr.s6_addr + 8);
        result.port = ntohs(address->v6.sin6_port);
    } else if (address->generic.sa_family == AF_INET) {
        result.low = 0x0000ffff00000000ULL | ntohl(address->v4.sin_addr.s_addr);
        result.port = ntohs(address->v4.sin_port);
    }
    return result;
}

static socklen_t to_kernel(struct swarm_address address, bool is_ipv6, union any_address *result) {
    if (is_ipv6) {
        memset(&result->v6, 0, sizeof result->v6);
        result->v6.sin6_family = AF_INET6;
        result->v6.sin6_port = htons(address.port);
        store64(result->v6.sin6_addr.s6_addr, address.high);
        store64(result->v6.sin6_addr.s6_addr + 8, address.low);
        return sizeof result->v6;
    }
    memset(&result->v4, 0, sizeof result->v4);
    result->v4.sin_family = AF_INET;
    result->v4.sin_port = htons(address.port);
    result->v4.sin_addr.s_addr = htonl((uint32_t)address.low);
    return sizeof result->v4;
}

static bool is_mapped_ipv4(struct swarm_address address) { return address.high == 0 && address.low >> 32 == 0xffff; }

static void set_option(int descriptor, int level, int name, int value) {
    (void)setsockopt(descriptor, level, name, &value, sizeof value);
}

static void configure(struct swarm_socket_result *result, struct swarm_socket_options options) {
    int descriptor = result->descriptor;
    if (options.receive_buffer_bytes > 0) set_option(descriptor, SOL_SOCKET, SO_RCVBUF, options.receive_buffer_bytes);
    if (options.send_buffer_bytes > 0) set_option(descriptor, SOL_SOCKET, SO_SNDBUF, options.send_buffer_bytes);
    // Don't fragment, and don't believe a path MTU that a stranger's ICMP can lower: we probe for ourselves.
    set_option(descriptor, IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_PROBE);
    if (result->is_ipv6) set_option(descriptor, IPPROTO_IPV6, IPV6_MTU_DISCOVER, IPV6_PMTUDISC_PROBE);
    int value = 0;
    socklen_t length = sizeof value;
    result->has_segmentation = getsockopt(descriptor, SOL_UDP, UDP_SEGMENT, &value, &length) == 0;
    value = 1;
    result->has_receive_offload =
        options.want_receive_offload && setsockopt(descriptor, SOL_UDP, UDP_GRO, &value, sizeof value) == 0;
}

static int open_family(struct swarm_address bind_to, bool is_ipv6) {
    int descriptor = socket(is_ipv6 ? AF_INET6 : AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (descriptor < 0) return -errno;
    if (is_ipv6) {
        bool is_wildcard = bind_to.high == 0 && bind_to.low == 0;
        set_option(descriptor, IPPROTO_IPV6, IPV6_V6ONLY, is_wildcard ? 0 : 1);
    }
    union any_address address;
    socklen_t length = to_kernel(bind_to, is_ipv6, &address);
    if (bind(descriptor, &address.generic, length) < 0) {
        int reason = errno;
        close(descriptor);
        return -reason;
    }
    return descriptor;
}

struct swarm_socket_result swarm_udp_open(struct swarm_address bind_to, struct swarm_socket_options options) {
    struct swarm_socket_result result = {0};
    bool is_wildcard = bind_to.high == 0 && bind_to.low == 0;
    result.is_ipv6 = !is_mapped_ipv4(bind_to);
    result.descriptor = open_family(bind_to, result.is_ipv6);
    if (is_wildcard && (result.descriptor == -EAFNOSUPPORT || result.descriptor == -EADDRNOTAVAIL)) {
        result.is_ipv6 = false;
        result.descriptor = open_family(bind_to, false);
    }
    if (result.descriptor < 0) return result;
    configure(&result, options);
    union any_address bound;
    socklen_t length = sizeof bound;
    if (getsockname(result.descriptor, &bound.generic, &length) == 0) result.bound = from_kernel(&bound);
    return result;
}

void swarm_close(int descriptor) { close(descriptor); }

int swarm_wait_writable(int descriptor, int milliseconds) {
    struct pollfd wanted = {.fd = descriptor, .events = POLLOUT};
    return poll(&wanted, 1, milliseconds) > 0 && (wanted.revents & POLLOUT) ? 1 : 0;
}

// ---- Receiving ----

struct swarm_receiver {
    unsigned count;
    uint8_t *arena;
    struct mmsghdr messages[SWARM_RECEIVE_MAX];
    struct iovec vectors[SWARM_RECEIVE_MAX];
    union any_address sources[SWARM_RECEIVE_MAX];
    _Alignas(struct cmsghdr) uint8_t control[SWARM_RECEIVE_MAX][CMSG_SPACE(sizeof(int))];
};

swarm_receiver *swarm_receiver_create(size_t stride, size_t buffer_bytes, unsigned count) {
    if (count == 0 || count > SWARM_RECEIVE_MAX) return NULL;
    swarm_receiver *receiver = calloc(1, sizeof *receiver);
    if (receiver == NULL) return NULL;
    receiver->count = count;
    receiver->arena = calloc(count, stride);
    if (receiver->arena == NULL) {
        free(receiver);
        return NULL;
    }
    for (unsigned i = 0; i < count; i++) {
        receiver->vectors[i].iov_base = receiver->arena + stride * i;
        receiver->vectors[i].iov_len = buffer_bytes;
        receiver->messages[i].msg_hdr.msg_iov = &receiver->vectors[i];
        receiver->messages[i].msg_hdr.msg_iovlen = 1;
        receiver->messages[i].msg_hdr.msg_name = &receiver->sources[i];
        receiver->messages[i].msg_hdr.msg_control = receiver->control[i];
        receiver->messages[i].msg_hdr.msg_namelen = sizeof receiver->sources[i];
        receiver->messages[i].msg_hdr.msg_controllen = sizeof receiver->control[i];
    }
    return receiver;
}

void swarm_receiver_destroy(swarm_receiver *receiver) {
    free(receiver->arena);
    free(receiver);
}

uint8_t *swarm_receiver_bytes(swarm_receiver *receiver) { return receiver->arena; }

int swarm_receiver_fill(swarm_receiver *receiver, int descriptor) {
    int filled;
    do {
        filled = recvmmsg(descriptor, receiver->messages, receiver->count, MSG_DONTWAIT, NULL);
    } while (filled < 0 && errno == EINTR);
    return filled < 0 ? -errno : filled;
}

struct swarm_received swarm_receiver_item(const swarm_receiver *receiver, unsigned index) {
    struct swarm_received item = {0};
    if (index >= receiver->count) return item;
    // The kernel has written the lengths it used; they are restored for the next call once read.
    struct mmsghdr *message = (struct mmsghdr *)&receiver->messages[index];
    struct swarm_address source = from_kernel(&receiver->sources[index]);
    item.high = source.high;
    item.low = source.low;
    item.port = source.port;
    item.length = message->msg_len;
    item.truncated = (message->msg_hdr.msg_flags & MSG_TRUNC) != 0;
    if (message->msg_hdr.msg_controllen >= CMSG_LEN(sizeof(int))) {
        struct cmsghdr *control = CMSG_FIRSTHDR(&message->msg_hdr);
        if (control != NULL && control->cmsg_level == SOL_UDP && control->cmsg_type == UDP_GRO) {
            int segment;
            memcpy(&segment, CMSG_DATA(control), sizeof segment);
            if (segment > 0) item.segment_bytes = (uint32_t)segment;
        }
    }
    message->msg_hdr.msg_namelen = sizeof receiver->sources[index];
    message->msg_hdr.msg_controllen = sizeof receiver->control[index];
    return item;
}

// ---- Sending ----

struct swarm_sender {
    bool is_ipv6;
    struct mmsghdr messages[SWARM_SEND_MAX];
    struct iovec vectors[SWARM_SEND_MAX];
    union any_address destinations[SWARM_SEND_MAX];
    _Alignas(struct cmsghdr) uint8_t control[SWARM_SEND_MAX][CMSG_SPACE(sizeof(uint16_t))];
};

swarm_sender *swarm_sender_create(bool is_ipv6) {
    swarm_sender *sender = calloc(1, sizeof *sender);
    if (sender == NULL) return NULL;
    sender->is_ipv6 = is_ipv6;
    for (unsigned i = 0; i < SWARM_SEND_MAX; i++) {
        sender->messages[i].msg_hdr.msg_iov = &sender->vectors[i];
        sender->messages[i].msg_hdr.msg_iovlen = 1;
        sender->messages[i].msg_hdr.msg_name = &sender->destinations[i];
        struct cmsghdr *control = (struct cmsghdr *)sender->control[i];
        control->cmsg_level = SOL_UDP;
        control->cmsg_type = UDP_SEGMENT;
        control->cmsg_len = CMSG_LEN(sizeof(uint16_t));
    }
    return sender;
}

void swarm_sender_destroy(swarm_sender *sender) { free(sender); }

void swarm_sender_set(swarm_sender *sender, unsigned index, const uint8_t *bytes, size_t length, uint16_t segment_bytes,
                      struct swarm_address destination) {
    if (index >= SWARM_SEND_MAX) return;
    struct msghdr *header = &sender->messages[index].msg_hdr;
    sender->vectors[index].iov_base = (void *)bytes;
    sender->vectors[index].iov_len = length;
    header->msg_namelen = to_kernel(destination, sender->is_ipv6, &sender->destinations[index]);
    if (segment_bytes > 0) {
        memcpy(CMSG_DATA((struct cmsghdr *)sender->control[index]), &segment_bytes, sizeof segment_bytes);
        header->msg_control = sender->control[index];
        header->msg_controllen = sizeof sender->control[index];
    } else {
        header->msg_control = NULL;
        header->msg_controllen = 0;
    }
}

int swarm_sender_send(swarm_sender *sender, int descriptor, unsigned first, unsigned end) {
    if (end > SWARM_SEND_MAX || first >= end) return 0;
    int sent;
    do {
        sent = sendmmsg(descriptor, sender->messages + first, end - first, MSG_DONTWAIT | MSG_NOSIGNAL);
    } while (sent < 0 && errno == EINTR);
    return sent < 0 ? -errno : sent;
}
