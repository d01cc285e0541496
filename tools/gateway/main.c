/* tern-gateway: command line, log, and going into the background. The gateway itself is
 * gateway.c's. */
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>
#include <unistd.h>

#include "common/base/log.h"
#include "tools/gateway/gateway.h"

/* The client's exit codes, as far as they apply. */
enum exit_code { EXIT_INTERNAL = 1, EXIT_USAGE = 2, EXIT_CONFIG = 11, EXIT_LOCAL = 25 };

static const char usage[] =
    "usage: tern-gateway CONFIG [--foreground] [--log-level error|warn|info|debug]\n";

static const char help[] =
    "\n"
    "An IKEv2/IPsec gateway for demonstrations, simulations and tests: complete enough to be a "
    "fair\n"
    "peer, not a product to run at a company's edge. Prints \"ready\" on stdout when it listens.\n"
    "\n"
    "  --foreground       stay; log to stderr instead of syslog\n"
    "  --log-level LEVEL  default: info\n"
    "  --version, --help\n"
    "\n"
    "CONFIG (INI; lists by comma, repeated keys add):\n"
    "  [Gateway]\n"
    "  Listen=        addresses; default: all, both families\n"
    "  Port=, NatPort=  default 500, 4500; any port but 500 speaks with the non-ESP marker\n"
    "  Identity=      whom we prove to be; default: the certificate's first name\n"
    "  Certificate=, PrivateKey=  files; ours first, then intermediates. Without: PresharedKey\n"
    "  CA=            files; clients may prove themselves by certificates of these\n"
    "  PresharedKey=  for every identity without a [User] section\n"
    "  Pool=          10.7.0.0/24, fd07::/64; the first address is the gateway's own\n"
    "  DNS=           servers handed out\n"
    "  Networks=      what is served, 10.9.0.0/24; default: everything\n"
    "  Interface=     name of the TUN; default: the first free ternN\n"
    "  IKE=, ESP=     proposals, aes256gcm16-prfsha384-x25519\n"
    "  MOBIKE=        yes (default) or no: clients may move from network to network; those that\n"
    "                 can are told our other addresses, where Listen= names several\n"
    "  ReturnRoutability=  yes or no (default): ask at a new address before packets go there\n"
    "  Cookies=       auto (under load), always or off\n"
    "  IKELifetime=, ESPLifetime=  seconds; rekeyed by us when 80 to 90 % are over. Default: "
    "never\n"
    "  ESPBytes=      octets one way, likewise\n"
    "  AuthLifetime=  seconds after which the client is told to prove itself again\n"
    "  Redirect=      address or name of another gateway: clients that understand are sent there\n"
    "  EAPMethods=    mschapv2 (default), md5, gtc: how users with a Password are asked, in "
    "order;\n"
    "                 tls: whoever has a certificate of CA's\n"
    "  EAPOnly=       yes or no (default): EAP-TLS alone proves us to clients that ask for that\n"
    "  RequirePPK=    yes or no (default): clients without a PPK that we know are refused\n"
    "  SecondProof=   no (default), yes or required: clients prove themselves twice (RFC 4739),\n"
    "                 as the machine and then as its user\n"
    "  SendCRL=       files (DER): sent to clients beside the certificate\n"
    "  SendOCSP=      files (DER): sent to clients that ask for OCSP responses\n"
    "  [User NAME]    NAME is an identity, and the user's name in EAP\n"
    "  PresharedKey=  its own key\n"
    "  Password=      for EAP; needs a Certificate of the gateway's\n"
    "  [PPK ID]       ID names a post-quantum pre-shared key (RFC 8784)\n"
    "  Key=           its octets; hexadecimal after 0x\n"
    "\n"
    "One identity has one session: a newer one replaces the older. Forwarding between the TUN and\n"
    "the networks behind it (sysctls, firewall) is the caller's business.\n"
    "\n"
    "SIGTERM and SIGINT delete the SAs at the clients and end it. SIGUSR1 prints a line of JSON "
    "for\n"
    "each session, then one of totals, to stdout (in the foreground).\n"
    "\n"
    "exit codes: 0 stopped as asked, 1 internal, 2 usage, 11 CONFIG invalid, 25 privilege, TUN or\n"
    "sockets\n";

struct options {
    const char *config;
    bool foreground;
    enum log_level level;
};

static const char *const level_names[] = {
    [LOG_LEVEL_ERROR] = "error",
    [LOG_LEVEL_WARN] = "warn",
    [LOG_LEVEL_INFO] = "info",
    [LOG_LEVEL_DEBUG] = "debug",
};

static void log_to_stderr(void *ctx, enum log_level level, const char *line)
{
    (void)ctx;
    fprintf(stderr, "%s: %s\n", level_names[level], line);
}

static void log_to_syslog(void *ctx, enum log_level level, const char *line)
{
    static const int priorities[] = {
        [LOG_LEVEL_ERROR] = LOG_ERR,
        [LOG_LEVEL_WARN] = LOG_WARNING,
        [LOG_LEVEL_INFO] = LOG_INFO,
        [LOG_LEVEL_DEBUG] = LOG_DEBUG,
    };

    (void)ctx;
    syslog(priorities[level], "%s", line);
}

static bool parse_level(const char *text, enum log_level *ret)
{
    for (size_t i = 0; i < sizeof(level_names) / sizeof(level_names[0]); i++) {
        if (strcmp(level_names[i], text) == 0) {
            *ret = (enum log_level)i;
            return true;
        }
    }
    return false;
}

/* Exits for --help, --version and wrong usage. */
static struct options parse_options(int argc, char **argv)
{
    static const struct option longs[] = {
        {"foreground", no_argument, NULL, 'f'},
        {"log-level", required_argument, NULL, 'l'},
        {"help", no_argument, NULL, 'h'},
        {"version", no_argument, NULL, 'v'},
        {NULL, 0, NULL, 0},
    };
    struct options o = {.level = LOG_LEVEL_INFO};
    int option;

    while ((option = getopt_long(argc, argv, "", longs, NULL)) != -1) {
        switch (option) {
        case 'f':
            o.foreground = true;
            break;
        case 'l':
            if (!parse_level(optarg, &o.level)) {
                fprintf(stderr, "error: \"%s\" is no log level\n%s", optarg, usage);
                exit(EXIT_USAGE);
            }
            break;
        case 'h':
            printf("%s%s", usage, help);
            exit(EXIT_SUCCESS);
        case 'v':
            puts("tern-gateway " TERN_VERSION);
            exit(EXIT_SUCCESS);
        default:
            fputs(usage, stderr);
            exit(EXIT_USAGE);
        }
    }
    if (optind + 1 != argc) {
        fputs(usage, stderr);
        exit(EXIT_USAGE);
    }
    o.config = argv[optind];
    return o;
}

static void print_fault(const struct fault *f)
{
    fprintf(stderr, "error: %s\n", f->text);
    if (f->hint[0] != '\0')
        fprintf(stderr, "hint: %s\n", f->hint);
}

/* The parent has said "ready" and leaves; whoever waits for its output sees the end of it. */
static bool go_background(enum log_level level)
{
    fflush(stdout);
    pid_t child = fork();
    if (child < 0)
        return false;
    if (child > 0)
        _exit(EXIT_SUCCESS);
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (setsid() < 0 || null < 0 || dup2(null, STDIN_FILENO) < 0 || dup2(null, STDOUT_FILENO) < 0 ||
        dup2(null, STDERR_FILENO) < 0)
        return false;
    close(null);
    openlog("tern-gateway", LOG_PID, LOG_DAEMON);
    log_to(log_to_syslog, NULL, level);
    return true;
}

static int serve(const struct options *o, const struct gateway_config *config)
{
    struct fault f = {.code = ERR_OK};
    struct gateway *g = NULL;

    if (gateway_open(config, &g, &f) != ERR_OK) {
        print_fault(&f);
        return f.code == ERR_MEMORY ? EXIT_INTERNAL : EXIT_LOCAL;
    }
    puts("ready");
    fflush(stdout);
    enum err err = ERR_OK;
    if (!o->foreground && !go_background(o->level))
        err = fault_set(&f, ERR_SYSTEM, "cannot go into the background");
    if (err == ERR_OK)
        err = gateway_run(g, &f);
    gateway_close(g);
    if (err == ERR_OK)
        return EXIT_SUCCESS;
    log_error("%s", f.text);
    return EXIT_INTERNAL;
}

int main(int argc, char **argv)
{
    struct options o = parse_options(argc, argv);
    struct gateway_config config;
    struct fault f = {.code = ERR_OK};
    int code = EXIT_CONFIG;

    signal(SIGPIPE, SIG_IGN); /* a reader of stdout that left is not our end */
    log_to(log_to_stderr, NULL, o.level);
    if (gateway_config_load(o.config, &config, &f) == ERR_OK)
        code = serve(&o, &config);
    else
        print_fault(&f);
    gateway_config_wipe(&config);
    return code;
}
