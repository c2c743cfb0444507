/* SPDX-License-Identifier: BSD-3-Clause */
/* The command line's front door: which command, help, version. Threads: one. */
#include "tool.h"

#include <fcntl.h>
#include <signal.h>
#include <string.h>

static const char help[] =
    "Usage: remediate COMMAND [OPTION]...\n"
    "Keeps a standby middlebox ready to take over live flows.\n"
    "\n"
    "Commands:\n"
    "  mirror   copy the packets that a standby needs, from a capture or an interface\n"
    "  flows    list the flows of a capture\n"
    "  policy   check, print or explain a mirror policy\n"
    "  publish  put records of state into a repository\n"
    "  watch    print records as they come\n"
    "  snapshot print the newest record of each key\n"
    "  audit    compare the state of two repositories\n"
    "  parse    turn lines of a middlebox's log into records\n"
    "  listen   publish what the logs of middleboxes say, as they come\n"
    "  rules    list or check rule sets for logs\n"
    "\n"
    "  -h, --help      this help; 'remediate COMMAND --help' for a command's\n"
    "  -V, --version   the version\n"
    "\n"
    "Exit status: 0 success, 1 failure, 2 wrong usage.\n";

/*
 * A standard descriptor that is closed would be the number of the next file opened: messages would
 * go into it. The place is taken by /dev/null, opened so that using it is an error, as it would be.
 */
static int take_standard_descriptors(void)
{
    for (int number = 0; number <= 2; number++) {
        if (fcntl(number, F_GETFD) >= 0)
            continue;
        if (open("/dev/null", number == 0 ? O_WRONLY : O_RDONLY) != number)
            return -1;
    }
    return 0;
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        int (*run)(int argc, char **argv);
    } commands[] = {{"mirror", command_mirror}, {"flows", command_flows},
                    {"policy", command_policy}, {"publish", command_publish},
                    {"watch", command_watch},   {"snapshot", command_snapshot},
                    {"audit", command_audit},   {"listen", command_listen},
                    {"parse", command_parse},   {"rules", command_rules}};
    if (take_standard_descriptors() < 0)
        return EXIT_FAILED;   /* and nowhere to say it */
    signal(SIGPIPE, SIG_IGN); /* a closed pipe is an error to report */
    if (argc < 2)
        return usage_error("", "no command");
    const char *name = argv[1];
    if (strcmp(name, "-h") == 0 || strcmp(name, "--help") == 0) {
        fputs(help, stdout);
        return finish_output(EXIT_OK);
    }
    if (strcmp(name, "-V") == 0 || strcmp(name, "--version") == 0) {
        printf("remediate %s\n", remed_version());
        return finish_output(EXIT_OK);
    }
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
        if (strcmp(name, commands[i].name) == 0)
            return finish_output(commands[i].run(argc - 1, argv + 1));
    return usage_error("", "'%s' is no command", name);
}
