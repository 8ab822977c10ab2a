/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/terminal.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

static struct termios before;
static volatile sig_atomic_t is_taken;

void terminal_give_back(void)
{
    if (!is_taken)
        return;
    is_taken = 0;
    (void)tcsetattr(STDIN_FILENO, TCSADRAIN, &before); /* it is gone if this fails */
}

/* Signals of errors in this program: nothing may be assumed but that these two calls are allowed. */
static void on_crash(int signo)
{
    if (is_taken)
        (void)tcsetattr(STDIN_FILENO, TCSANOW, &before);
    (void)raise(signo); /* SA_RESETHAND: as if there had been no handler */
}

int terminal_take(struct err *err)
{
    static const int crashes[] = {SIGABRT, SIGSEGV, SIGBUS, SIGFPE, SIGILL};
    static bool is_prepared;
    if (tcgetattr(STDIN_FILENO, &before) < 0)
        return err_sys(err, -errno, "standard input");
    if (!is_prepared) {
        struct sigaction action = {.sa_handler = on_crash, .sa_flags = (int)SA_RESETHAND};
        for (size_t i = 0; i < sizeof(crashes) / sizeof(crashes[0]); i++)
            (void)sigaction(crashes[i], &action, NULL); /* arguments are valid */
        (void)atexit(terminal_give_back);               /* room for a few is guaranteed */
        is_prepared = true;
    }
    struct termios raw = before;
    cfmakeraw(&raw);
    is_taken = 1;
    if (tcsetattr(STDIN_FILENO, TCSADRAIN, &raw) < 0) {
        is_taken = 0;
        return err_sys(err, -errno, "standard input: make it raw");
    }
    return 0;
}

bool terminal_size(uint16_t *rows, uint16_t *columns)
{
    struct winsize size;
    if (ioctl(STDIN_FILENO, TIOCGWINSZ, &size) < 0 || size.ws_row == 0 || size.ws_col == 0)
        return false;
    *rows = size.ws_row;
    *columns = size.ws_col;
    return true;
}
