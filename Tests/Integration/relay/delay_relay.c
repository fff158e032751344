// A network between processes of one machine: every datagram between nodes passes through here, waits as long as its
// path takes, or is lost.
//
//   delay_relay CONFIG
//
// Node i announces ANNOUNCED and listens on BOUND behind the relay (bind_address.c), with the same ports. The relay
// holds ANNOUNCED:PORT of every node and port. What arrives there from BOUND:PORT of another node is delayed by the
// path's one-way time and passed on from the sender's own ANNOUNCED:PORT, so that the receiver sees what the sender
// announces. What arrives from anywhere else is a client of the node: it passes at once, each client through a socket
// of its own.
//
// CONFIG, one item a line:
//   seed NUMBER
//   jitter RATIO WINDOW_MS                   lognormal of median 1; std/mean RATIO; wanders over windows (0: drawn anew)
//   loss FROM TO                             share lost outside bursts, uniform per directed path
//   burst FROM TO MEAN_MS CALM_MS            share lost within bursts; mean lengths of bursts and of the time between
//   node ANNOUNCED BOUND PORT COUNT          the nodes in order; COUNT ports from PORT on
//   delay FROM TO MILLISECONDS               one way, by place of the nodes; without a line 0
//
// Prints `ready`, then answers each line on standard input with one line of JSON: counts by node since the start, and
// how late the relay itself was. Ends with standard input.

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <math.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
    max_nodes = 256,
    max_ports = 8,       // swarm socket and workers of one node
    max_clients = 1024,
    max_waiting = 1 << 17, // packets on their way: 0.3 s of 400,000 a second
    packet_bytes = 2048,
    late_steps = 4096,   // of 10 µs
};

typedef struct {
    struct in_addr announced, bound;
    uint16_t first_port;
    int port_count;
    int sockets[max_ports];
    uint64_t sent[max_ports], received[max_ports], lost, bytes;
} node;

typedef struct {
    int descriptor; // faces the node
    struct sockaddr_in client;
    int node, port;
} client_flow;

typedef struct {
    uint64_t due, order;
    int socket; // sends it
    struct sockaddr_in to;
    int receiver, receiver_port; // -1 for clients
    uint16_t length;
    uint8_t bytes[packet_bytes];
} packet;

typedef enum { source_input, source_node, source_client } source_kind;

static node nodes[max_nodes];
static int node_count;
static double delays[max_nodes][max_nodes]; // ms
static client_flow clients[max_clients];
static int client_count;
static packet *waiting[max_waiting];
static packet *unused[max_waiting];
static int waiting_count, unused_count;
static uint64_t next_order, overflowed, late[late_steps];
static uint64_t seed;
static double jitter_sigma, jitter_window_ms;
static double base_from, base_to, burst_from, burst_to, burst_mean_ms, calm_mean_ms;
static int epoll_descriptor;

static void fail(const char *what) {
    perror(what);
    exit(1);
}

static uint64_t now_ns(void) {
    struct timespec time;
    clock_gettime(CLOCK_REALTIME, &time); // the clock of SO_TIMESTAMPNS
    return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

// MARK: Draws, each a hash of the path and of what it is for

static uint64_t mix(uint64_t value) {
    value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9u;
    value = (value ^ (value >> 27)) * 0x94d049bb133111ebu;
    return value ^ (value >> 31);
}

static uint64_t path_draw(int from, int to, uint64_t purpose, uint64_t number) {
    return mix(mix(seed + ((uint64_t)from << 32 | (uint64_t)to) * 0x9e3779b97f4a7c15u) + purpose * 0xa0761d6478bd642fu +
               number * 0xd6e8feb86659fd93u);
}

static double unit(uint64_t draw) { return ((double)(draw >> 11) + 0.5) * 0x1p-53; }

static double normal(uint64_t draw) { // Box and Muller
    return sqrt(-2 * log(unit(draw))) * cos(6.283185307179586 * unit(mix(draw + 1)));
}

static double jitter_factor(int from, int to, uint64_t at, uint64_t order) {
    if (jitter_sigma <= 0) return 1;
    if (jitter_window_ms <= 0) return exp(jitter_sigma * normal(path_draw(from, to, 1, order)));
    double place = (double)at / (jitter_window_ms * 1e6) + unit(path_draw(from, to, 2, 0));
    uint64_t window = (uint64_t)place;
    double share = place - (double)window;
    double first = normal(path_draw(from, to, 1, window)), second = normal(path_draw(from, to, 1, window + 1));
    double level = ((1 - share) * first + share * second) / sqrt((1 - share) * (1 - share) + share * share);
    return exp(jitter_sigma * level);
}

// At most one burst begins in each window of eight means; two windows tell whether one lasts.
static int is_bursting(int from, int to, uint64_t at) {
    if (burst_mean_ms <= 0) return 0;
    double window_ms = 8 * burst_mean_ms;
    double place = (double)at / (window_ms * 1e6) + unit(path_draw(from, to, 3, 0));
    uint64_t window = (uint64_t)place;
    for (uint64_t back = 0; back < 2; back += 1) {
        uint64_t draw = path_draw(from, to, 4, window - back);
        if (unit(draw) >= window_ms / (burst_mean_ms + calm_mean_ms)) continue;
        double begin = unit(mix(draw + 1)) * window_ms;
        double length = fmin(-log(unit(mix(draw + 2))) * burst_mean_ms, window_ms);
        double since = (place - (double)window + (double)back) * window_ms;
        if (since >= begin && since < begin + length) return 1;
    }
    return 0;
}

static int is_lost(int from, int to, uint64_t at, uint64_t order) {
    int bursting = is_bursting(from, to, at);
    double low = bursting ? burst_from : base_from, high = bursting ? burst_to : base_to;
    double share = low + (high - low) * unit(path_draw(from, to, bursting ? 6 : 5, 0));
    return unit(path_draw(from, to, 7, order)) < share;
}

// MARK: Packets on their way, a binary heap by due time and then by order of arrival

static int is_earlier(const packet *a, const packet *b) {
    return a->due != b->due ? a->due < b->due : a->order < b->order;
}

static void push(packet *item) {
    int place = waiting_count;
    waiting_count += 1;
    while (place > 0 && is_earlier(item, waiting[(place - 1) / 2])) {
        waiting[place] = waiting[(place - 1) / 2];
        place = (place - 1) / 2;
    }
    waiting[place] = item;
}

static packet *pop(void) {
    packet *first = waiting[0];
    waiting_count -= 1;
    packet *last = waiting[waiting_count];
    int place = 0;
    for (;;) {
        int child = 2 * place + 1;
        if (child >= waiting_count) break;
        if (child + 1 < waiting_count && is_earlier(waiting[child + 1], waiting[child])) child += 1;
        if (!is_earlier(waiting[child], last)) break;
        waiting[place] = waiting[child];
        place = child;
    }
    waiting[place] = last;
    return first;
}

static void send_packet(packet *item) {
    if (sendto(item->socket, item->bytes, item->length, MSG_DONTWAIT, (struct sockaddr *)&item->to, sizeof item->to) >= 0 &&
        item->receiver >= 0) {
        nodes[item->receiver].received[item->receiver_port] += 1;
    }
    unused[unused_count] = item;
    unused_count += 1;
}

static void send_due(void) {
    uint64_t now = now_ns();
    while (waiting_count > 0 && waiting[0]->due <= now) {
        packet *item = pop();
        uint64_t step = (now - item->due) / 10000;
        late[step < late_steps ? step : late_steps - 1] += 1;
        send_packet(item);
        now = now_ns();
    }
}

// MARK: Arrivals

static struct sockaddr_in address(struct in_addr host, uint16_t port) {
    struct sockaddr_in result = {.sin_family = AF_INET, .sin_addr = host, .sin_port = htons(port)};
    return result;
}

static int open_socket(struct in_addr host, uint16_t port) {
    int descriptor = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int bytes = 4 << 20, on = 1;
    struct sockaddr_in own = address(host, port);
    if (descriptor < 0 || bind(descriptor, (struct sockaddr *)&own, sizeof own) != 0) fail("delay_relay: socket");
    setsockopt(descriptor, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes);
    setsockopt(descriptor, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes);
    setsockopt(descriptor, SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof on);
    return descriptor;
}

static void watch(int descriptor, source_kind kind, int index, int port) {
    struct epoll_event event = {.events = EPOLLIN};
    event.data.u64 = (uint64_t)kind << 60 | (uint64_t)port << 48 | (uint64_t)index << 32 | (uint64_t)descriptor;
    if (epoll_ctl(epoll_descriptor, EPOLL_CTL_ADD, descriptor, &event) != 0) fail("delay_relay: epoll_ctl");
}

// The node and port that a datagram was sent from; 0 if it is none's.
static int find_sender(const struct sockaddr_in *from, int *sender, int *port) {
    for (int index = 0; index < node_count; index += 1) {
        int offset = (int)ntohs(from->sin_port) - nodes[index].first_port;
        if (nodes[index].bound.s_addr == from->sin_addr.s_addr && offset >= 0 && offset < nodes[index].port_count) {
            *sender = index;
            *port = offset;
            return 1;
        }
    }
    return 0;
}

static int client_socket(const struct sockaddr_in *from, int target, int port) {
    for (int index = 0; index < client_count; index += 1) {
        client_flow *flow = &clients[index];
        if (flow->node == target && flow->port == port && flow->client.sin_port == from->sin_port &&
            flow->client.sin_addr.s_addr == from->sin_addr.s_addr) {
            return flow->descriptor;
        }
    }
    if (client_count == max_clients) return -1;
    struct in_addr loopback = {.s_addr = htonl(INADDR_LOOPBACK)};
    clients[client_count] = (client_flow){open_socket(loopback, 0), *from, target, port};
    watch(clients[client_count].descriptor, source_client, client_count, 0);
    client_count += 1;
    return clients[client_count - 1].descriptor;
}

// One datagram that came to port `port` of node `target`.
static void route(packet *item, const struct sockaddr_in *from, int target, int port, uint64_t at) {
    int sender, sender_port;
    item->order = next_order;
    next_order += 1;
    item->to = address(nodes[target].bound, (uint16_t)(nodes[target].first_port + port));
    if (!find_sender(from, &sender, &sender_port)) {
        item->socket = client_socket(from, target, port);
        item->receiver = -1;
        item->due = at;
        if (item->socket >= 0) return push(item);
        overflowed += 1;
    } else {
        nodes[sender].sent[sender_port] += 1;
        nodes[sender].bytes += item->length;
        if (!is_lost(sender, target, at, item->order)) {
            item->socket = nodes[sender].sockets[sender_port];
            item->receiver = target;
            item->receiver_port = port;
            item->due = at + (uint64_t)(delays[sender][target] * 1e6 * jitter_factor(sender, target, at, item->order));
            return push(item);
        }
        nodes[sender].lost += 1;
    }
    unused[unused_count] = item;
    unused_count += 1;
}

static packet *take_unused(void) {
    if (unused_count > 0) {
        unused_count -= 1;
        return unused[unused_count];
    }
    if (waiting_count >= max_waiting - 1) return NULL;
    return malloc(sizeof(packet));
}

static uint64_t arrival_time(struct msghdr *message) {
    for (struct cmsghdr *part = CMSG_FIRSTHDR(message); part != NULL; part = CMSG_NXTHDR(message, part)) {
        if (part->cmsg_level == SOL_SOCKET && part->cmsg_type == SCM_TIMESTAMPNS) {
            struct timespec time;
            memcpy(&time, CMSG_DATA(part), sizeof time);
            return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
        }
    }
    return now_ns();
}

static void receive(int descriptor, source_kind kind, int index, int port) {
    for (int count = 0; count < 64; count += 1) {
        packet *item = take_unused();
        if (item == NULL) {
            uint8_t byte;
            if (recv(descriptor, &byte, 1, 0) < 0) return;
            overflowed += 1;
            continue;
        }
        struct sockaddr_in from = {0};
        struct iovec part = {item->bytes, packet_bytes};
        uint8_t control[128];
        struct msghdr message = {&from, sizeof from, &part, 1, control, sizeof control, 0};
        ssize_t length = recvmsg(descriptor, &message, 0);
        if (length < 0) {
            unused[unused_count] = item;
            unused_count += 1;
            if (errno == EAGAIN || errno == EWOULDBLOCK) return;
            continue; // an ICMP error about an earlier datagram: its node is gone
        }
        item->length = (uint16_t)length;
        uint64_t at = arrival_time(&message);
        if (kind == source_node) {
            route(item, &from, index, port, at);
        } else {
            client_flow *flow = &clients[index];
            item->socket = nodes[flow->node].sockets[flow->port];
            item->to = flow->client;
            item->receiver = -1;
            item->due = at;
            item->order = next_order;
            next_order += 1;
            push(item);
        }
    }
}

// MARK: Configuration and reports

static void read_configuration(const char *path) {
    FILE *file = fopen(path, "r");
    char line[256], first[64], second[64];
    int number = 0, from, to, port, count;
    double value, other;
    if (file == NULL) fail(path);
    while (fgets(line, sizeof line, file) != NULL) {
        number += 1;
        if (sscanf(line, "seed %lu", &seed) == 1) continue;
        if (sscanf(line, "jitter %lf %lf", &value, &jitter_window_ms) == 2) {
            jitter_sigma = sqrt(log(1 + value * value));
            continue;
        }
        if (sscanf(line, "loss %lf %lf", &base_from, &base_to) == 2) continue;
        if (sscanf(line, "burst %lf %lf %lf %lf", &burst_from, &burst_to, &burst_mean_ms, &calm_mean_ms) == 4) continue;
        if (sscanf(line, "node %63s %63s %d %d", first, second, &port, &count) == 4 && node_count < max_nodes && count > 0 &&
            count <= max_ports && inet_pton(AF_INET, first, &nodes[node_count].announced) == 1 &&
            inet_pton(AF_INET, second, &nodes[node_count].bound) == 1) {
            nodes[node_count].first_port = (uint16_t)port;
            nodes[node_count].port_count = count;
            node_count += 1;
            continue;
        }
        if (sscanf(line, "delay %d %d %lf", &from, &to, &other) == 3 && from >= 0 && from < max_nodes && to >= 0 &&
            to < max_nodes && other >= 0) {
            delays[from][to] = other;
            continue;
        }
        fprintf(stderr, "%s:%d: not understood: %s", path, number, line);
        exit(2);
    }
    fclose(file);
}

static double late_ms(double share) {
    uint64_t total = 0, sum = 0;
    for (int step = 0; step < late_steps; step += 1) total += late[step];
    for (int step = 0; step < late_steps; step += 1) {
        sum += late[step];
        if ((double)sum >= share * (double)total) return (double)(step + 1) / 100;
    }
    return 0;
}

static void print_counts(const char *name, int array) {
    printf("\"%s\":[", name);
    for (int index = 0; index < node_count; index += 1) {
        uint64_t *counts = array == 0 ? nodes[index].sent : nodes[index].received;
        printf("%s[", index > 0 ? "," : "");
        for (int port = 0; port < nodes[index].port_count; port += 1) printf("%s%lu", port > 0 ? "," : "", counts[port]);
        printf("]");
    }
    printf("],");
}

static void report(void) {
    uint64_t lost = 0, bytes = 0;
    for (int index = 0; index < node_count; index += 1) {
        lost += nodes[index].lost;
        bytes += nodes[index].bytes;
    }
    printf("{");
    print_counts("sent", 0);
    print_counts("received", 1);
    printf("\"lost\":%lu,\"bytes\":%lu,\"overflowed\":%lu,\"clients\":%d,", lost, bytes, overflowed, client_count);
    printf("\"late_ms_p50\":%.2f,\"late_ms_p99\":%.2f,\"late_ms_p999\":%.2f}\n", late_ms(0.5), late_ms(0.99), late_ms(0.999));
    fflush(stdout);
    memset(late, 0, sizeof late);
}

static void open_everything(void) {
    epoll_descriptor = epoll_create1(EPOLL_CLOEXEC);
    if (epoll_descriptor < 0) fail("delay_relay: epoll_create1");
    for (int index = 0; index < node_count; index += 1) {
        for (int port = 0; port < nodes[index].port_count; port += 1) {
            nodes[index].sockets[port] = open_socket(nodes[index].announced, (uint16_t)(nodes[index].first_port + port));
            watch(nodes[index].sockets[port], source_node, index, port);
        }
    }
    watch(STDIN_FILENO, source_input, 0, 0);
    printf("ready\n");
    fflush(stdout);
}

int main(int count, char **arguments) {
    if (count != 2) {
        fprintf(stderr, "usage: delay_relay CONFIG\n");
        return 2;
    }
    read_configuration(arguments[1]);
    // Where it may, ahead of the nodes it stands between: what it is late is added to every path.
    struct sched_param priority = {.sched_priority = 1};
    (void)sched_setscheduler(0, SCHED_FIFO, &priority);
    open_everything();
    for (;;) {
        struct epoll_event events[64];
        struct timespec pause = {1, 0};
        if (waiting_count > 0) {
            uint64_t now = now_ns(), due = waiting[0]->due;
            uint64_t left = due > now ? due - now : 0;
            pause = (struct timespec){(time_t)(left / 1000000000u), (long)(left % 1000000000u)};
        }
        int ready = epoll_pwait2(epoll_descriptor, events, 64, &pause, NULL);
        if (ready < 0 && errno != EINTR) fail("delay_relay: epoll_pwait2");
        for (int index = 0; index < ready; index += 1) {
            uint64_t tag = events[index].data.u64;
            source_kind kind = (source_kind)(tag >> 60);
            if (kind == source_input) {
                char line[64];
                if (read(STDIN_FILENO, line, sizeof line) <= 0) return 0;
                report();
            } else {
                receive((int)(tag & 0xffffffff), kind, (int)(tag >> 32 & 0xffff), (int)(tag >> 48 & 0xfff));
            }
        }
        send_due();
    }
}
