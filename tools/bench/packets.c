/* bench_packets receive PORT: counts the datagrams that come there, from the first until none has
 *   come for half a second, and says how many in how many seconds.
 * bench_packets send ADDRESS PORT RATE MILLISECONDS OCTETS: sends datagrams of so many octets of
 *   payload at that rate a second, and says the same of them.
 *
 * System calls take bursts, no larger than what is due in half a millisecond: neither end shall be
 * what is measured, and a queue anywhere in between shall not be filled by the measuring. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

enum { BURST_MAX = 64, OCTETS_MAX = 1400, BUFFER = 4 << 20, FIRST_MS = 10000, SILENCE_MS = 500 };

static char octets[OCTETS_MAX];
static struct iovec iov = {octets, sizeof octets};
static struct mmsghdr burst[BURST_MAX];

static int fail(const char *what)
{
    perror(what);
    return 1;
}

static double now_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static int patience(int fd, int ms)
{
    struct timeval limit = {ms / 1000, ms % 1000 * 1000};
    return setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
}

static int receive(int fd, struct sockaddr_in *at)
{
    int buffer = BUFFER;
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &buffer, sizeof buffer);
    if (bind(fd, (struct sockaddr *)at, sizeof *at) != 0 || patience(fd, FIRST_MS) != 0)
        return fail("bind");
    puts("ready");
    fflush(stdout);
    unsigned long count = 0;
    double first = 0, last = 0;
    for (;;) {
        int n = recvmmsg(fd, burst, BURST_MAX, MSG_WAITFORONE, NULL);
        if (n < 0 && errno == EAGAIN)
            break;
        if (n < 0)
            return fail("recvmmsg");
        last = now_s();
        if (count == 0) {
            first = last;
            if (patience(fd, SILENCE_MS) != 0)
                return fail("SO_RCVTIMEO");
        }
        count += (unsigned long)n;
    }
    printf("%lu %.6f\n", count, last - first);
    return 0;
}

/* What could not be sent was sent and lost. */
static int send_paced(int fd, double rate, double seconds)
{
    unsigned long count = 0;
    double first = now_s(), at = first;
    unsigned most = rate / 2000 < 1           ? 1
                    : rate / 2000 > BURST_MAX ? BURST_MAX
                                              : (unsigned)(rate / 2000);
    for (; at < first + seconds; at = now_s()) {
        double due = (at - first) * rate - (double)count;
        if (due < most) {
            /* To the start of the next burst; the default slack of a timer is 50 microseconds. */
            double wait = ((double)most - due) / rate;
            struct timespec pause = {(time_t)wait, (long)((wait - (double)(time_t)wait) * 1e9)};
            nanosleep(&pause, NULL);
            continue;
        }
        int n = sendmmsg(fd, burst, most, 0);
        if (n < 0 && errno != ENOBUFS && errno != EAGAIN && errno != ECONNREFUSED)
            return fail("sendmmsg");
        count += n < 0 ? most : (unsigned)n;
    }
    printf("%lu %.6f\n", count, at - first);
    return 0;
}

int main(int argc, char **argv)
{
    int sending = argc == 7 && strcmp(argv[1], "send") == 0;
    if (!sending && !(argc == 3 && strcmp(argv[1], "receive") == 0)) {
        fprintf(stderr, "usage: bench_packets receive PORT\n"
                        "       bench_packets send ADDRESS PORT RATE MILLISECONDS OCTETS\n");
        return 2;
    }
    for (unsigned i = 0; i < BURST_MAX; i++) {
        burst[i].msg_hdr.msg_iov = &iov;
        burst[i].msg_hdr.msg_iovlen = 1;
    }
    struct sockaddr_in at = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)atoi(argv[sending ? 3 : 2]))};
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    if (fd < 0)
        return fail("socket");
    if (!sending)
        return receive(fd, &at);
    iov.iov_len = (size_t)atoi(argv[6]);
    if (iov.iov_len > OCTETS_MAX || inet_pton(AF_INET, argv[2], &at.sin_addr) != 1 ||
        connect(fd, (struct sockaddr *)&at, sizeof at) != 0)
        return fail("connect");
    return send_paced(fd, atof(argv[4]), atof(argv[5]) / 1000);
}
