/* drive.c - lets a test call the library from a process of its own. It reads
 * frames from stdin and answers on stdout: a frame is a count of fields, each
 * with its length before it, all numbers 4 bytes, least first. A length of
 * 0xFFFFFFFF is NULL. Buffers have exactly the size that the test says, so that
 * a sanitizer sees every byte too many. */
#include "../src/payagent.h"

#include "../src/parse.h"
#include "../src/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#if defined(_WIN32)
#include <fcntl.h>
#include <io.h>
#include <windows.h>
#else
#include <pthread.h>
#endif

#define MAX_FIELDS 16
typedef struct {
	char *p[MAX_FIELDS];
	size_t n[MAX_FIELDS];
	unsigned count;
} frame;

static int get4(unsigned long *v) {
	unsigned char b[4];
	if (fread(b, 1, 4, stdin) != 4) return 0;
	*v = (unsigned long)b[0] | (unsigned long)b[1] << 8 | (unsigned long)b[2] << 16 | (unsigned long)b[3] << 24;
	return 1;
}

static void put4(unsigned long v) {
	int i;
	for (i = 0; i < 4; i++) putchar((int)(v >> (8 * i) & 0xFF));
}

static void put(const char *p, size_t n) {
	put4((unsigned long)n);
	if (n > 0) fwrite(p, 1, n, stdout);
}

static int read_frame(frame *f) {
	unsigned long count, n, i;
	if (!get4(&count) || count > MAX_FIELDS) return 0;
	f->count = (unsigned)count;
	for (i = 0; i < count; i++) {
		f->p[i] = NULL;
		f->n[i] = 0;
		if (!get4(&n)) return 0;
		if (n == 0xFFFFFFFFUL) continue;
		f->n[i] = n;
		f->p[i] = malloc(n + 1);
		if (f->p[i] == NULL || fread(f->p[i], 1, n, stdin) != n) return 0;
		f->p[i][n] = '\0';
	}
	return 1;
}

static long num(const frame *f, unsigned i) { return strtol(f->p[i], NULL, 10); }

static void answer(int code, int status, int need, const char *out, size_t n) {
	char text[64];
	int len = sprintf(text, "%d %d %d", code, status, need);
	put4(2);
	put(text, (size_t)len);
	put(out, n);
}

/* call: "call", function, settings, a, b, c, in, in_len, wait, cap */
static void call(const frame *f) {
	const char *name = f->p[1], *settings = f->p[2], *a = f->p[3], *b = f->p[4], *c = f->p[5], *in = f->p[6];
	int in_len = (int)num(f, 7), wait = (int)num(f, 8), cap = (int)num(f, 9), need = -7, status = -7, code = -7;
	size_t room = strcmp(name, "trade") == 0 ? PAYAGENT_TRADE_MIN : cap < 0 ? 0 : (size_t)cap;
	char *out = cap == -2 ? NULL : malloc(room), *exact = NULL;
	const char *given = in;
	if (in != NULL && in_len >= 0) { /* no NUL behind it */
		exact = malloc((size_t)in_len);
		if (in_len > 0) memcpy(exact, in, (size_t)in_len);
		given = exact;
	}
	if (out != NULL) memset(out, 0x55, room);
	if (cap == -2) cap = 16; /* NULL with a size */
	if (strcmp(name, "call") == 0) code = payagent_call(settings, a, b, c, given, in_len, out, cap, &need, &status);
	if (strcmp(name, "pay") == 0) code = payagent_pay(settings, a, given, in_len, wait, out, cap, &need);
	if (strcmp(name, "query") == 0) code = payagent_query(settings, a, wait, out, cap, &need);
	if (strcmp(name, "query_bill") == 0) code = payagent_query_bill(settings, a, wait, out, cap, &need);
	if (strcmp(name, "cancel") == 0) code = payagent_cancel(settings, a, given, in_len, wait, out, cap, &need);
	if (strcmp(name, "refund") == 0) code = payagent_refund(settings, a, b, given, in_len, wait, out, cap, &need);
	if (strcmp(name, "book") == 0) code = payagent_book(settings, a, given, in_len, out, cap, &need);
	if (strcmp(name, "trade") == 0) code = payagent_trade(in, out);
	answer(code, status, need, out == NULL ? "" : out, out == NULL ? 0 : room);
	free(out);
	free(exact);
}

/* parse: "parse", bytes, closed */
static void parse(const frame *f) {
	pa_reply r;
	size_t n = f->n[1];
	char *copy = malloc(n);
	int state;
	if (n > 0) memcpy(copy, f->p[1], n);
	state = pa_reply_read(copy, n, num(f, 2) != 0, &r);
	if (state == PA_DONE && (r.head > n || r.body > n - r.head)) abort();
	answer(state, r.status, 0, state == PA_DONE ? copy + r.head : "", state == PA_DONE ? r.body : 0);
	free(copy);
}

/* json: "json", text, member */
static void json(const frame *f) {
	size_t n = f->n[1];
	char *copy = malloc(n), text[64];
	int ok;
	pa_span v = {NULL, 0};
	if (n > 0) memcpy(copy, f->p[1], n);
	ok = pa_json_ok(copy, n);
	if (ok) {
		v = pa_json_get(copy, n, f->p[2]);
		if (v.at != NULL && (v.at < copy || v.at + v.n > copy + n || !pa_json_ok(v.at, v.n))) abort();
		if (v.at != NULL && pa_json_text(v, text, sizeof text) >= (int)sizeof text) abort();
		(void)pa_json_item(copy, n, 1);
	}
	answer(ok, v.at != NULL, 0, v.at == NULL ? "" : v.at, v.n);
	free(copy);
}

/* text: "gbk" or "utf8", bytes */
static void text(const frame *f, int to_gbk) {
	size_t n = f->n[1], m = 0;
	char *copy = malloc(n), *out;
	if (n > 0) memcpy(copy, f->p[1], n);
	out = to_gbk ? pa_gbk_from_utf8(copy, n, &m) : pa_utf8_from_gbk(copy, n, &m);
	answer(out != NULL, 0, 0, out == NULL ? "" : out, m);
	free(out);
	free(copy);
}

typedef struct {
	const char *settings;
	int id, rounds, bad;
} job;

/* The server answers with the path that was asked for. */
static void work(job *j) {
	int i, need, status;
	char path[64], out[512];
	for (i = 0; i < j->rounds; i++) {
		sprintf(path, "/v1/echo/%d-%d", j->id, i);
		if (payagent_call(j->settings, "GET", path, NULL, NULL, 0, out, sizeof out, &need, &status) != PAYAGENT_OK || strstr(out, path) == NULL) j->bad++;
	}
}

#if defined(_WIN32)
typedef HANDLE thread;
static DWORD WINAPI begin(void *arg) {
	work(arg);
	return 0;
}
static int start(thread *t, job *j) { return (*t = CreateThread(NULL, 0, begin, j, 0, NULL)) != NULL; }
static void join(thread t) {
	WaitForSingleObject(t, INFINITE);
	CloseHandle(t);
}
#else
typedef pthread_t thread;
static void *begin(void *arg) {
	work(arg);
	return NULL;
}
static int start(thread *t, job *j) { return pthread_create(t, NULL, begin, j) == 0; }
static void join(thread t) { pthread_join(t, NULL); }
#endif

/* threads: "threads", settings, rounds */
static void threads(const frame *f) {
	thread t[8];
	job j[8];
	int i, bad = 0;
	for (i = 0; i < 8; i++) {
		j[i].settings = f->p[1];
		j[i].id = i;
		j[i].rounds = (int)num(f, 2);
		j[i].bad = 0;
		if (!start(&t[i], &j[i])) abort();
	}
	for (i = 0; i < 8; i++) {
		join(t[i]);
		bad += j[i].bad;
	}
	answer(bad, 0, 0, "", 0);
}

int main(void) {
	frame f;
#if defined(_WIN32)
	_setmode(0, _O_BINARY);
	_setmode(1, _O_BINARY);
#endif
	while (read_frame(&f)) {
		unsigned i;
		if (strcmp(f.p[0], "call") == 0) call(&f);
		if (strcmp(f.p[0], "parse") == 0) parse(&f);
		if (strcmp(f.p[0], "json") == 0) json(&f);
		if (strcmp(f.p[0], "gbk") == 0) text(&f, 1);
		if (strcmp(f.p[0], "utf8") == 0) text(&f, 0);
		if (strcmp(f.p[0], "version") == 0) answer(0, 0, 0, payagent_version(), strlen(payagent_version()));
		if (strcmp(f.p[0], "threads") == 0) threads(&f);
		fflush(stdout);
		for (i = 0; i < f.count; i++) free(f.p[i]);
	}
	return 0;
}
