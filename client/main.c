/* `tern`: options and commands, from one table each; everything else is in commands.h. */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/commands.h"
#include "client/presentation.h"

enum option_bit {
    OPTION_FOREGROUND = 1,
    OPTION_TIMEOUT = 2,
    OPTION_JSON = 4,
    OPTION_WHAT = 8,
    OPTION_GLOBAL = 16
};

struct option_entry {
    const char *name;
    char key;
    const char *argument; /* NULL: takes none */
    unsigned bit;
    const char *text;
};

static const struct option_entry option_table[] = {
    {"foreground", 'f', NULL, OPTION_FOREGROUND, "stay, and log to stderr"},
    {"timeout", 't', "SECONDS", OPTION_TIMEOUT,
     "how long; of up, for all of the first connection (30)"},
    {"json", 'j', NULL, OPTION_JSON, "JSON: one object, or one for each line"},
    {"ike", 'i', NULL, OPTION_WHAT, "the IKE SA alone"},
    {"child", 'c', NULL, OPTION_WHAT, "the Child SA alone"},
    {"log-level", 'l', "LEVEL", OPTION_GLOBAL, "error, warn, info (default) or debug"},
    {"log-file", 'L', "PATH", OPTION_GLOBAL, "default: stderr with --foreground, else syslog"},
    {"quiet", 'q', NULL, OPTION_GLOBAL, "no progress"},
    {"no-color", 'n', NULL, OPTION_GLOBAL, "no colours (NO_COLOR is honoured)"},
    {"help", 'h', NULL, OPTION_GLOBAL, "this text"},
    {"version", 'V', NULL, OPTION_GLOBAL, "the version"},
};

enum { OPTIONS = sizeof(option_table) / sizeof(option_table[0]) };

enum profile_need { PROFILE_REQUIRED, PROFILE_OPTIONAL, PROFILE_NEVER };

struct command {
    const char *name;
    enum profile_need profile;
    unsigned options; /* beside the global ones */
    enum exit_code (*run)(const struct command_options *o);
    const char *text;
    const char *second, *more; /* another argument, required, and what --help says of it */
};

static const char wait_help[] =
    "FOR is one of\n"
    "  up              traffic can flow; nothing needs to run yet\n"
    "  down            nothing runs (any more)\n"
    "  handover        the next move to another network\n"
    "  interface=NAME  up, and the packets leave through NAME\n"
    "  idle            up, and for 5 s no packet was carried and nothing was asked of the gateway\n"
    "\nThe exit code is 0 then; 3 where --timeout has passed (without it the wait has no end); 12\n"
    "where nothing runs, or nothing any more, but for up and down.\n";

static const char up_help[] =
    "A password, code, passphrase or PIN that the profile needs and does not have is asked for: "
    "by\n"
    "the program that TERN_ASKPASS names (an absolute path; its argument is the question, the "
    "first\n"
    "line that it prints the answer), else on the terminal, else by systemd's agents.\n";

static const struct command commands[] = {
    {"up", PROFILE_REQUIRED, OPTION_FOREGROUND | OPTION_TIMEOUT, command_up,
     "connect; returns once traffic can flow, and goes on in the background", NULL, up_help},
    {"down", PROFILE_OPTIONAL, 0, command_down,
     "delete the SAs at the gateway, restore routes and DNS, stop", NULL, NULL},
    {"status", PROFILE_OPTIONAL, OPTION_JSON, command_status, "what a connection does", NULL, NULL},
    {"monitor", PROFILE_OPTIONAL, OPTION_JSON, command_monitor,
     "follow what happens, until interrupted or the connection ends", NULL, NULL},
    {"wait", PROFILE_REQUIRED, OPTION_TIMEOUT, command_wait,
     "return once it is up, down, idle, on another network", " FOR", wait_help},
    {"reconnect", PROFILE_REQUIRED, 0, command_reconnect,
     "a fresh IKE SA; the old one is deleted once it stands", NULL, NULL},
    {"rekey", PROFILE_OPTIONAL, OPTION_WHAT, command_rekey, "new keys now, for both SAs", NULL,
     NULL},
    {"list", PROFILE_NEVER, 0, command_list, "profiles and their state", NULL, NULL},
    {"check", PROFILE_REQUIRED, 0, command_check,
     "verify a profile and the files it names, without connecting", NULL, NULL},
};

enum { COMMANDS = sizeof(commands) / sizeof(commands[0]) };

static const char *const argument_text[] = {" PROFILE", " [PROFILE]", ""};

static void print_options(FILE *out, unsigned bits)
{
    for (size_t i = 0; i < OPTIONS; i++) {
        const struct option_entry *o = &option_table[i];
        char left[32];
        snprintf(left, sizeof(left), "--%s%s%s", o->name, o->argument != NULL ? " " : "",
                 o->argument != NULL ? o->argument : "");
        if ((o->bit & bits) != 0)
            fprintf(out, "  %-22s %s\n", left, o->text);
    }
}

static const char *second_text(const struct command *c)
{
    return c->second != NULL ? c->second : "";
}

static void print_help(FILE *out)
{
    fprintf(out, "tern %s: an IKEv2/IPsec VPN client in userspace\n\n", TERN_VERSION);
    for (size_t i = 0; i < COMMANDS; i++) {
        const struct command *c = &commands[i];
        char arguments[16];
        snprintf(arguments, sizeof(arguments), "%s%s", argument_text[c->profile], second_text(c));
        fprintf(out, "  tern %-9s%-12s %s\n", c->name, arguments, c->text);
    }
    fprintf(out, "\nPROFILE is a path (with a slash, or ending in .conf), or NAME for\n"
                 "/etc/tern/NAME.conf, then $XDG_CONFIG_HOME/tern/NAME.conf.\n\nOptions:\n");
    print_options(out, OPTION_GLOBAL);
    fprintf(out, "\n`tern COMMAND --help` shows the options of a command.\n");
}

static void print_command_help(const struct command *c)
{
    printf("tern %s%s%s: %s\n\n", c->name, argument_text[c->profile], second_text(c), c->text);
    if (c->more != NULL)
        printf("%s\n", c->more);
    print_options(stdout, c->options | OPTION_GLOBAL);
}

static enum exit_code usage(const char *format, const char *what)
{
    struct fault f = {0};
    char text[256];
    snprintf(text, sizeof(text), "%s %.200s", format, what);
    (void)fault_set(&f, ERR_MALFORMED, "%s", text);
    fault_hint(&f, "tern --help shows what there is");
    presentation_fault(&f);
    return EXIT_CODE_USAGE;
}

static const struct command *find_command(const char *name)
{
    for (size_t i = 0; i < COMMANDS; i++) {
        if (strcmp(commands[i].name, name) == 0)
            return &commands[i];
    }
    return NULL;
}

static bool parse_level(const char *text, enum log_level *ret)
{
    static const char *const levels[] = {"error", "warn", "info", "debug"};
    for (size_t i = 0; i < sizeof(levels) / sizeof(levels[0]); i++) {
        if (strcmp(levels[i], text) == 0) {
            *ret = (enum log_level)i;
            return true;
        }
    }
    return false;
}

static bool parse_seconds(const char *text, uint32_t *ret)
{
    char *end;
    errno = 0;
    unsigned long n = strtoul(text, &end, 10);
    if (errno != 0 || *end != '\0' || text[0] < '0' || text[0] > '9' || n < 1 || n > 86400)
        return false;
    *ret = (uint32_t)n;
    return true;
}

struct parsed {
    struct command_options options;
    unsigned given; /* option bits */
    bool help, version;
};

/* NULL, or what is wrong. */
static const char *take_option(struct parsed *p, int key)
{
    struct command_options *o = &p->options;
    for (size_t i = 0; i < OPTIONS; i++) {
        if (option_table[i].key == key)
            p->given |= option_table[i].bit;
    }
    switch (key) {
    case 'f':
        o->foreground = true;
        return NULL;
    case 't':
        return parse_seconds(optarg, &o->timeout_s) ? NULL
                                                    : "--timeout takes 1 to 86400 seconds, not";
    case 'j':
        o->json = true;
        return NULL;
    case 'i':
        o->ike = true;
        return NULL;
    case 'c':
        o->child = true;
        return NULL;
    case 'l':
        return parse_level(optarg, &o->log_level)
                   ? NULL
                   : "--log-level is error, warn, info or debug, not";
    case 'L':
        o->log_file = optarg;
        return NULL;
    case 'q':
        o->quiet = true;
        return NULL;
    case 'n':
        o->no_color = true;
        return NULL;
    case 'h':
        p->help = true;
        return NULL;
    case 'V':
        p->version = true;
        return NULL;
    default:
        return "";
    }
}

static enum exit_code parse(int argc, char **argv, struct parsed *p)
{
    struct option longs[OPTIONS + 1] = {0};
    for (size_t i = 0; i < OPTIONS; i++)
        longs[i] = (struct option){
            .name = option_table[i].name,
            .has_arg = option_table[i].argument != NULL ? required_argument : no_argument,
            .val = option_table[i].key,
        };
    opterr = 0;
    for (int key; (key = getopt_long(argc, argv, "h", longs, NULL)) != -1;) {
        if (key == '?')
            return usage("unknown option, or one without its argument:", argv[optind - 1]);
        const char *wrong = take_option(p, key);
        if (wrong != NULL)
            return usage(wrong, optarg != NULL ? optarg : "");
    }
    return EXIT_CODE_DONE;
}

static enum exit_code run(const struct command *c, struct parsed *p, int count, char **arguments)
{
    unsigned foreign = p->given & ~(c->options | OPTION_GLOBAL);
    if (foreign != 0)
        return usage("an option that is not for the command", c->name);
    int most = (c->profile == PROFILE_NEVER ? 0 : 1) + (c->second != NULL ? 1 : 0);
    if (count > most)
        return usage("too many arguments for", c->name);
    if (count < 1 && c->profile == PROFILE_REQUIRED)
        return usage("PROFILE is missing for", c->name);
    if (count < most && c->second != NULL)
        return usage("an argument is missing for", c->name);
    if (count > 0)
        p->options.profile = arguments[0];
    if (count > 1)
        p->options.what = arguments[1];
    return c->run(&p->options);
}

int main(int argc, char **argv)
{
    struct parsed p = {.options = {.log_level = LOG_LEVEL_INFO}};
    signal(SIGPIPE, SIG_IGN);
    presentation_color(true);
    enum exit_code code = parse(argc, argv, &p);
    if (code != EXIT_CODE_DONE)
        return (int)code;
    presentation_color(!p.options.no_color);
    if (p.version) {
        printf("tern %s\n", TERN_VERSION);
        return EXIT_CODE_DONE;
    }
    if (optind >= argc) {
        if (p.help)
            print_help(stdout);
        else
            print_help(stderr);
        return p.help ? EXIT_CODE_DONE : EXIT_CODE_USAGE;
    }
    const struct command *c = find_command(argv[optind]);
    if (c == NULL)
        return (int)usage("unknown command", argv[optind]);
    if (p.help) {
        print_command_help(c);
        return EXIT_CODE_DONE;
    }
    return (int)run(c, &p, argc - optind - 1, argv + optind + 1);
}
