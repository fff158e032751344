#include "CSwarmShims.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stddef.h>

static uint64_t load64(const uint8_t *bytes) {
    uint64_t value = 0;
    for (int i = 0; i < 8; i++) value = value << 8 | bytes[i];
    return value;
}

// False for an address that nobody else can use.
static bool read_address(const struct ifaddrs *entry, int family, struct swarm_address *address) {
    if (entry->ifa_addr == NULL || entry->ifa_addr->sa_family != family) return false;
    if (!(entry->ifa_flags & IFF_UP) || (entry->ifa_flags & IFF_LOOPBACK)) return false;
    if (family == AF_INET) {
        uint32_t ip = ntohl(((const struct sockaddr_in *)entry->ifa_addr)->sin_addr.s_addr);
        *address = (struct swarm_address){.high = 0, .low = 0xffff00000000ull | ip, .port = 0};
        return ip >> 16 != 0xa9fe;
    }
    const struct in6_addr *ip = &((const struct sockaddr_in6 *)entry->ifa_addr)->sin6_addr;
    *address = (struct swarm_address){.high = load64(ip->s6_addr), .low = load64(ip->s6_addr + 8), .port = 0};
    return !IN6_IS_ADDR_LINKLOCAL(ip);
}

unsigned swarm_local_addresses(struct swarm_address *addresses, unsigned capacity) {
    struct ifaddrs *list = NULL;
    if (getifaddrs(&list) != 0) return 0;
    static const int families[] = {AF_INET, AF_INET6};
    unsigned count = 0;
    for (int f = 0; f < 2; f++) {
        for (const struct ifaddrs *entry = list; entry != NULL && count < capacity; entry = entry->ifa_next) {
            struct swarm_address address;
            if (!read_address(entry, families[f], &address)) continue;
            bool seen = false;
            for (unsigned i = 0; i < count; i++)
                seen = seen || (addresses[i].high == address.high && addresses[i].low == address.low);
            if (!seen) addresses[count++] = address;
        }
    }
    freeifaddrs(list);
    return count;
}
