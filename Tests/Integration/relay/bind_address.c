// Preloaded into `mafalda run`: a UDP socket that asks for every address gets RELAY_BIND_ADDRESS (IPv4) instead.
//
// A node binds [::]:PORT, and then nobody else may bind ANNOUNCED:PORT, which is where delay_relay has to stand. With
// this, the node listens on an address of its own behind the relay. Nothing else of the process changes.

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dlfcn.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

typedef int (*bind_function)(int, const struct sockaddr *, socklen_t);

int bind(int descriptor, const struct sockaddr *address, socklen_t length) {
    bind_function next = (bind_function)dlsym(RTLD_NEXT, "bind");
    const char *wanted = getenv("RELAY_BIND_ADDRESS");
    int type = 0;
    socklen_t type_length = sizeof type;
    struct in_addr host;
    if (wanted == NULL || inet_pton(AF_INET, wanted, &host) != 1 ||
        getsockopt(descriptor, SOL_SOCKET, SO_TYPE, &type, &type_length) != 0 || type != SOCK_DGRAM ||
        address->sa_family != AF_INET6 || length < sizeof(struct sockaddr_in6)) {
        return next(descriptor, address, length);
    }
    struct sockaddr_in6 replaced;
    memcpy(&replaced, address, sizeof replaced);
    if (!IN6_IS_ADDR_UNSPECIFIED(&replaced.sin6_addr)) {
        return next(descriptor, address, length);
    }
    replaced.sin6_addr.s6_addr[10] = 0xff;
    replaced.sin6_addr.s6_addr[11] = 0xff;
    memcpy(&replaced.sin6_addr.s6_addr[12], &host, 4);
    return next(descriptor, (const struct sockaddr *)&replaced, sizeof replaced);
}
