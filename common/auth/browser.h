/* SPDX-License-Identifier: Apache-2.0
 * browser.h - requests that a web page made a person's browser send. A page from anywhere can reach what listens on the
 * person's own machine or network, so that being on loopback protects nothing by itself. */
#pragma once

#include "common/http/server.h"

/* Why this request is to be refused, NULL: it is none of these.
 *
 * Cross-site writing: a method that may change something, with an Origin that is not the host it was sent to (Host, or the
 * X-Forwarded-Host of a proxy, which a page cannot set by itself), or marked so by Sec-Fetch-Site.
 *
 * DNS rebinding: the server listens on loopback, and the page's own name has come to mean that. Then Host is a name that an
 * attacker can own: one with dots, below a domain that is not reserved for private use, and not `hostname`, the server's
 * own (may be NULL). */
const char *auth_browser_refusal(const char *listen_ip, const char *hostname, const struct http_message *request);

/* Answers 403 and returns false when there is a reason. Requests by a unix socket are always let through. */
bool auth_browser_pass(const char *listen_ip, const char *hostname, struct http_exchange *x,
                       const struct http_message *request);
