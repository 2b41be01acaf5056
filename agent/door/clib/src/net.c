/* net.c - see net.h. */
#if defined(_WIN32)
#ifndef _WIN32_WINNT
#define _WIN32_WINNT 0x0501 /* Windows XP */
#endif
#include <winsock2.h>
#include <ws2tcpip.h>
#include <windows.h>
typedef SOCKET sock;
#define NO_SOCK INVALID_SOCKET
#define close_sock closesocket
#else
#define _POSIX_C_SOURCE 200112L
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
typedef int sock;
#define NO_SOCK (-1)
#define close_sock close
#endif

#include "net.h"
#include "parse.h"

#include <stdlib.h>
#include <string.h>

#if defined(MSG_NOSIGNAL)
#define SEND_FLAGS MSG_NOSIGNAL /* a peer that is gone must not kill the host program */
#else
#define SEND_FLAGS 0
#endif

unsigned long pa_now(void) {
#if defined(_WIN32)
	return GetTickCount();
#else
	struct timespec t;
	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (unsigned long)t.tv_sec * 1000UL + (unsigned long)t.tv_nsec / 1000000UL;
#endif
}

void pa_pause(unsigned long ms) {
#if defined(_WIN32)
	Sleep(ms);
#else
	struct timespec t;
	t.tv_sec = (time_t)(ms / 1000);
	t.tv_nsec = (long)(ms % 1000) * 1000000L;
	(void)nanosleep(&t, NULL);
#endif
}

/* wait_for waits until the socket can be written or read; 0 if it cannot. */
static int wait_for(sock s, int write, unsigned long begin, unsigned long limit) {
	for (;;) {
		unsigned long gone = pa_now() - begin;
		int got;
		if (gone >= limit) return 0;
#if defined(_WIN32)
		{
			fd_set set, bad;
			struct timeval t;
			FD_ZERO(&set);
			FD_SET(s, &set);
			FD_ZERO(&bad);
			FD_SET(s, &bad);
			t.tv_sec = (long)((limit - gone) / 1000);
			t.tv_usec = (long)((limit - gone) % 1000) * 1000;
			got = select(0, write ? NULL : &set, write ? &set : NULL, &bad, &t);
			if (got > 0) return !FD_ISSET(s, &bad);
			if (got < 0) return 0;
		}
#else
		{
			struct pollfd p;
			p.fd = s;
			p.events = write ? POLLOUT : POLLIN;
			p.revents = 0;
			got = poll(&p, 1, (int)(limit - gone));
			if (got > 0) return 1;
			if (got < 0 && errno != EINTR) return 0;
		}
#endif
	}
}

static int again(void) {
#if defined(_WIN32)
	int e = WSAGetLastError();
	return e == WSAEWOULDBLOCK || e == WSAEINPROGRESS || e == WSAEINTR;
#else
	return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR || errno == EINPROGRESS;
#endif
}

static sock dial(const char *host, const char *port, unsigned long begin, unsigned long limit) {
	struct addrinfo hints, *list = NULL;
	sock s;
	memset(&hints, 0, sizeof hints);
	hints.ai_socktype = SOCK_STREAM;
	hints.ai_flags = AI_NUMERICHOST; /* looking up a name cannot be bounded in time */
	if (strcmp(host, "localhost") == 0) host = "127.0.0.1";
	if (getaddrinfo(host, port, &hints, &list) != 0 || list == NULL) return NO_SOCK;
	s = socket(list->ai_family, SOCK_STREAM, 0);
	if (s != NO_SOCK) {
		int bad = 0;
#if defined(_WIN32)
		int size = sizeof bad;
		u_long on = 1;
		bad = ioctlsocket(s, FIONBIO, &on) != 0;
#else
		socklen_t size = sizeof bad;
		bad = fcntl(s, F_SETFL, O_NONBLOCK) != 0 || fcntl(s, F_SETFD, FD_CLOEXEC) != 0;
#endif
		if (!bad && connect(s, list->ai_addr, (int)list->ai_addrlen) != 0)
			bad = !again() || !wait_for(s, 1, begin, limit) || getsockopt(s, SOL_SOCKET, SO_ERROR, (char *)&bad, &size) != 0 || bad != 0;
		if (bad) {
			(void)close_sock(s);
			s = NO_SOCK;
		}
	}
	freeaddrinfo(list);
	return s;
}

static int put(sock s, const char *p, size_t n, unsigned long begin, unsigned long limit) {
	while (n > 0) {
		long got = (long)send(s, p, (int)(n > 65536 ? 65536 : n), SEND_FLAGS);
		if (got > 0) {
			p += got;
			n -= (size_t)got;
		} else if (!again() || !wait_for(s, 1, begin, limit)) {
			return 0;
		}
	}
	return 1;
}

/* take reads until one reply is whole. */
static int take(sock s, unsigned long begin, unsigned long limit, int *status, char **body, size_t *n) {
	size_t have = 0, cap = 16384;
	const size_t most = PA_MAX_HEAD + PA_MAX_BODY + 65536; /* the rest is for the sizes of chunks */
	char *data = malloc(cap);
	pa_reply r;
	while (data != NULL) {
		long got;
		int state;
		if (have == cap) {
			char *more = cap >= most ? NULL : realloc(data, cap * 2);
			if (more == NULL) break;
			data = more;
			cap *= 2;
		}
		got = (long)recv(s, data + have, (int)(cap - have > 65536 ? 65536 : cap - have), 0);
		if (got < 0) {
			if (!again() || !wait_for(s, 0, begin, limit)) break;
			continue;
		}
		have += (size_t)got;
		state = pa_reply_read(data, have, got == 0, &r);
		if (state == PA_DONE) {
			char *out = malloc(r.body + 1);
			if (out == NULL) break;
			memcpy(out, data + r.head, r.body);
			out[r.body] = '\0';
			free(data);
			*status = r.status;
			*body = out;
			*n = r.body;
			return 1;
		}
		if (state == PA_BAD) break;
		if (pa_now() - begin >= limit) break; /* a peer that drips bytes */
	}
	free(data);
	return 0;
}

int pa_exchange(const char *host, const char *port, const char *request, size_t len, unsigned long limit, int *status, char **body, size_t *n) {
	unsigned long begin = pa_now();
	int ok = 0;
	sock s;
#if defined(_WIN32)
	WSADATA w; /* counted by Windows: every call opens and closes its own */
	if (WSAStartup(MAKEWORD(2, 2), &w) != 0) return 0;
#endif
	s = dial(host, port, begin, limit < 5000 ? limit : 5000);
	if (s != NO_SOCK) {
		ok = put(s, request, len, begin, limit) && take(s, begin, limit, status, body, n);
		(void)close_sock(s);
	}
#if defined(_WIN32)
	(void)WSACleanup();
#endif
	return ok;
}
