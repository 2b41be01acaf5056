/* net.h - one HTTP exchange on a socket of its own. Not part of the interface. */
#ifndef PAYAGENT_NET_H
#define PAYAGENT_NET_H
#include <stddef.h>

/* pa_now is a time in milliseconds that wraps around; only differences mean
 * anything. */
unsigned long pa_now(void);
void pa_pause(unsigned long ms);

/* pa_exchange connects to host (an IP address, or localhost), sends the
 * request and reads one reply, all within limit milliseconds. 1: *body is
 * memory for the caller to free, *n bytes and a NUL. 0: no whole reply; what
 * was sent may have been carried out. */
int pa_exchange(const char *host, const char *port, const char *request, size_t len, unsigned long limit, int *status, char **body, size_t *n);
#endif
