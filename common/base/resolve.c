/* SPDX-License-Identifier: Apache-2.0 */
#include "common/base/resolve.h"

#include <errno.h>
#include <netdb.h>
#include <stddef.h>
#include <sys/socket.h>

int resolve_host(const char *host, char ip[RESOLVE_IP_SIZE], struct err *err)
{
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM}, *list;
    int result = getaddrinfo(host, NULL, &hints, &list);
    if (result == 0) {
        const struct addrinfo *best = list;
        for (const struct addrinfo *each = list; each != NULL && best->ai_family != AF_INET; each = each->ai_next)
            if (each->ai_family == AF_INET)
                best = each;
        result = getnameinfo(best->ai_addr, best->ai_addrlen, ip, RESOLVE_IP_SIZE, NULL, 0, NI_NUMERICHOST);
        freeaddrinfo(list);
    }
    return result == 0 ? 0 : err_set(err, -EHOSTUNREACH, "%.200s: %s", host, gai_strerror(result));
}
