/* payagent.c - see payagent.h. Inside, every text is UTF-8; the functions at
 * the end turn what comes in and goes out. */
#include "payagent.h"

#include "net.h"
#include "parse.h"
#include "text.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_IN (64 * 1024) /* the agent takes no more */

typedef struct {
	char host[64], port[8], token[512];
	int gbk;
	unsigned long limit; /* ms for one answer */
} conn;

/* What a function gives: body is memory that the caller frees, or NULL. */
typedef struct {
	int code, status;
	char *body;
	size_t n;
} result;

static result made(int code, const char *text) {
	result r;
	r.code = code;
	r.status = 0;
	r.n = strlen(text);
	r.body = malloc(r.n + 1);
	if (r.body != NULL) memcpy(r.body, text, r.n + 1);
	return r;
}

static result unreachable(void) {
	return made(PAYAGENT_UNREACHABLE,
	    "{\"code\":\"agent_unreachable\",\"detail\":{\"zh\":\"代理没有应答，结果不明；请用同一个键重发，或按账单查询\","
	    "\"en\":\"The agent gave no answer and nothing is known: repeat with the same key, or query by the bill\"},"
	    "\"safe_to_take_cash\":{\"answer\":\"no\",\"wait_s\":0,\"reason\":\"cash_unknown\","
	    "\"say\":{\"zh\":\"结果不明，不得收取现金\",\"en\":\"Nothing is known: take no cash\"}}}");
}

/* usage names what is wrong; what is a plain word of ASCII. */
static result usage(const char *what) {
	char text[400];
	snprintf(text, sizeof text, "{\"code\":\"usage\",\"field\":\"%s\",\"detail\":{\"zh\":\"参数有误，什么也没有发出：%s\",\"en\":\"Nothing was sent, a parameter is wrong: %s\"}}", what, what, what);
	return made(PAYAGENT_USAGE, text);
}

static int within(const char *s, size_t least, size_t most, int from, int to) {
	size_t i;
	if (s == NULL) return 0;
	for (i = 0; s[i] != '\0'; i++)
		if (i >= most || (unsigned char)s[i] < from || (unsigned char)s[i] > to) return 0;
	return i >= least;
}

static int good_number(const char *no) {
	size_t i;
	if (!within(no, 1, 32, 0x30, 0x7a)) return 0;
	for (i = 0; no[i] != '\0'; i++)
		if ((no[i] > '9' && no[i] < 'A') || (no[i] > 'Z' && no[i] < 'a')) return 0;
	return 1;
}

/* wipe forgets a text that may hold a payment code; a plain memset before
 * free may be left out by the compiler. */
static void wipe(char *s, size_t n) {
	volatile char *v = s;
	while (n-- > 0) *v++ = 0;
}

static int same_word(const char *s, size_t n, const char *word) {
	size_t i;
	if (strlen(word) != n) return 0;
	for (i = 0; i < n; i++)
		if ((s[i] >= 'A' && s[i] <= 'Z' ? s[i] + 32 : s[i]) != word[i]) return 0;
	return 1;
}

static int read_token(conn *c, const char *file) {
	char data[sizeof c->token + 64], *from = data;
	size_t n;
	FILE *f = fopen(file, "rb");
	if (f == NULL) return 0;
	n = fread(data, 1, sizeof data - 1, f);
	fclose(f);
	data[n] = '\0';
	if (n >= 3 && memcmp(from, "\xef\xbb\xbf", 3) == 0) from += 3; /* editors put it there */
	from += strspn(from, " \t\r\n");
	n = strcspn(from, " \t\r\n");
	if (n == 0 || n >= sizeof c->token || from[n + strspn(from + n, " \t\r\n")] != '\0') return 0;
	memcpy(c->token, from, n);
	c->token[n] = '\0';
	return 1;
}

static int read_address(conn *c, const char *s, size_t n) {
	size_t colon, i, from = 0, host;
	if (n > 7 && memcmp(s, "http://", 7) == 0) s += 7, n -= 7;
	if (n > 0 && s[n - 1] == '/') n--;
	for (colon = n; colon > 0 && s[colon - 1] != ':'; colon--)
		;
	if (colon < 2 || n - colon < 1 || n - colon > 5) return 0;
	for (i = colon; i < n; i++)
		if (s[i] < '0' || s[i] > '9') return 0;
	memcpy(c->port, s + colon, n - colon);
	c->port[n - colon] = '\0';
	host = colon - 1;
	if (s[0] == '[' && s[host - 1] == ']') from = 1, host--;
	if (host <= from || host - from >= sizeof c->host) return 0;
	memcpy(c->host, s + from, host - from);
	c->host[host - from] = '\0';
	/* Names are not looked up: that cannot be bounded in time. */
	return strcmp(c->host, "localhost") == 0 || c->host[strspn(c->host, "0123456789abcdefABCDEF.:")] == '\0';
}

/* read_settings gives NULL, or the member that is wrong. */
static const char *read_settings(conn *c, const char *s) {
	memset(c, 0, sizeof *c);
	c->limit = 15000;
	if (s == NULL) return "settings";
	while (*s != '\0') {
		size_t n = strcspn(s, ";"), eq = 0, v;
		while (n > 0 && *s == ' ') s++, n--;
		while (eq < n && s[eq] != '=') eq++;
		v = eq + 1;
		if (n == 0) {
			/* an empty member, as behind a last ';' */
		} else if (eq == n) {
			return "settings";
		} else if (same_word(s, eq, "address")) {
			if (!read_address(c, s + v, n - v)) return "address";
		} else if (same_word(s, eq, "token")) {
			if (n - v >= sizeof c->token) return "token";
			memcpy(c->token, s + v, n - v);
			c->token[n - v] = '\0';
		} else if (same_word(s, eq, "token_file")) {
			char file[1024];
			if (n - v >= sizeof file) return "token_file";
			memcpy(file, s + v, n - v);
			file[n - v] = '\0';
			if (!read_token(c, file)) return "token_file";
		} else if (same_word(s, eq, "encoding")) {
			if (same_word(s + v, n - v, "gbk")) {
				c->gbk = 1;
			} else if (same_word(s + v, n - v, "utf-8") || same_word(s + v, n - v, "utf8")) {
				c->gbk = 0;
			} else {
				return "encoding";
			}
		} else if (same_word(s, eq, "timeout_ms")) {
			size_t i;
			c->limit = 0;
			if (n - v < 1 || n - v > 6) return "timeout_ms";
			for (i = v; i < n; i++) {
				if (s[i] < '0' || s[i] > '9') return "timeout_ms";
				c->limit = c->limit * 10 + (unsigned long)(s[i] - '0');
			}
			if (c->limit < 100 || c->limit > 300000) return "timeout_ms";
		} else {
			return "settings";
		}
		s += n;
		if (*s == ';') s++;
	}
	if (c->host[0] == '\0') return "address";
	if (!within(c->token, 1, sizeof c->token, 0x21, 0x7e)) return "token";
	return NULL;
}

/* once makes one request. The parameters were checked. */
static result once(const conn *c, unsigned long limit, const char *method, const char *path, const char *key, const char *in, size_t n) {
	result r;
	int post = strcmp(method, "POST") == 0, v6 = strchr(c->host, ':') != NULL, len;
	size_t cap = 1024 + strlen(path) + strlen(c->token) + (key != NULL ? strlen(key) : 0) + n;
	char *request = malloc(cap);
	r.code = PAYAGENT_UNREACHABLE, r.status = 0, r.body = NULL, r.n = 0;
	if (request == NULL) return r;
	len = snprintf(request, cap, "%s %s HTTP/1.1\r\nHost: %s%s%s:%s\r\nConnection: close\r\nAccept-Encoding: identity\r\nUser-Agent: payagent-clib\r\nAuthorization: Bearer %s\r\n%s%s%s", method,
	    path, v6 ? "[" : "", c->host, v6 ? "]" : "", c->port, c->token, key != NULL ? "Idempotency-Key: " : "", key != NULL ? key : "", key != NULL ? "\r\n" : "");
	if (post) len += snprintf(request + len, cap - (size_t)len, "Content-Type: application/json\r\nContent-Length: %lu\r\n", (unsigned long)n);
	len += snprintf(request + len, cap - (size_t)len, "\r\n");
	if (post && n > 0) memcpy(request + len, in, n);
	if (pa_exchange(c->host, c->port, request, (size_t)len + (post ? n : 0), limit, &r.status, &r.body, &r.n)) {
		r.code = r.status < 300 ? PAYAGENT_OK : PAYAGENT_REFUSED;
		/* Without a problem of the agent's it was somebody else who answered. */
		if (r.status >= 300 && (!pa_json_ok(r.body, r.n) || pa_json_get(r.body, r.n, "code").at == NULL)) r.code = PAYAGENT_UNREACHABLE;
	}
	wipe(request, cap);
	free(request);
	return r;
}

static int has_code(const result *r, const char *code) {
	return r->code == PAYAGENT_REFUSED && pa_json_is(pa_json_get(r->body, r->n, "code"), code);
}

/* insist repeats a request, with the same key, while nobody answers or the
 * agent says that it is just stopping, for about the time of one answer. */
static result insist(const conn *c, const char *method, const char *path, const char *key, const char *in, size_t n) {
	unsigned long begin = pa_now(), wait = 250;
	for (;;) {
		unsigned long gone = pa_now() - begin;
		result r = once(c, gone + 1000 < c->limit ? c->limit - gone : c->limit < 1000 ? c->limit : 1000, method, path, key, in, n);
		if (r.code != PAYAGENT_UNREACHABLE && !has_code(&r, "shutting_down") && !has_code(&r, "store_stopped") && !has_code(&r, "too_many_requests")) return r;
		if (pa_now() - begin + wait >= c->limit) return r;
		free(r.body);
		pa_pause(wait);
		if (wait < 2000) wait *= 2;
	}
}

/* is_order tells whether the text is an order of the interface. */
static int is_order(const char *s, size_t n) {
	pa_span no;
	if (!pa_json_ok(s, n)) return 0;
	no = pa_json_get(s, n, "out_trade_no");
	return no.at != NULL && no.at[0] == '"' && pa_json_get(s, n, "state").at != NULL && pa_json_get(s, n, "rev").at != NULL;
}

static int truth(const result *r) {
	pa_span s = pa_json_get(r->body, r->n, "state");
	if (pa_json_is(s, "paid")) return PAYAGENT_OK;
	if (pa_json_is(s, "failed") || pa_json_is(s, "canceled")) return PAYAGENT_NO;
	return pa_json_is(s, "in_doubt") ? PAYAGENT_IN_DOUBT : PAYAGENT_OPEN;
}

static int final(const result *r) {
	pa_span f = pa_json_get(r->body, r->n, "final");
	return f.at != NULL && f.n == 4 && memcmp(f.at, "true", 4) == 0;
}

/* look replaces an order by its next revision; 0 when the wait is over. */
static int look(const conn *c, result *r, unsigned long begin, unsigned long wait) {
	for (;;) {
		unsigned long gone = pa_now() - begin, left, ask;
		char path[160], no[64], rev[32];
		pa_span v = pa_json_get(r->body, r->n, "rev");
		result next;
		if (gone >= wait) return 0;
		left = wait - gone;
		ask = left < 30000 ? left : 30000;
		if (pa_json_text(pa_json_get(r->body, r->n, "out_trade_no"), no, sizeof no) < 1 || v.n >= sizeof rev) return 0;
		memcpy(rev, v.at, v.n);
		rev[v.n] = '\0';
		snprintf(path, sizeof path, "/v1/orders/%s?wait=%lums&rev=%s", no, ask, rev);
		if (!good_number(no) || !within(rev, 1, 12, 0x30, 0x39)) return 0;
		next = once(c, ask + c->limit, "GET", path, NULL, NULL, 0);
		if (next.code == PAYAGENT_OK && is_order(next.body, next.n)) {
			pa_span w = pa_json_get(next.body, next.n, "rev");
			int changed = w.n != strlen(rev) || memcmp(w.at, rev, w.n) != 0;
			free(r->body);
			*r = next;
			if (changed) return 1;
			continue;
		}
		free(next.body);
		gone = pa_now() - begin;
		if (gone >= wait) return 0;
		left = wait - gone;
		pa_pause(left < 1000 ? left : 1000);
	}
}

/* follow waits for an order's end. */
static result follow(const conn *c, result r, int wait_s) {
	unsigned long begin = pa_now(), wait = (unsigned long)wait_s * 1000UL;
	if (r.code != PAYAGENT_OK) return r;
	if (!is_order(r.body, r.n)) {
		free(r.body);
		r.body = NULL;
		r.code = PAYAGENT_UNREACHABLE;
		return r;
	}
	while (!final(&r) && look(c, &r, begin, wait))
		;
	r.code = truth(&r);
	return r;
}

static result order_path(const conn *c, const char *order_no, const char *what, const char *method, const char *key, const char *in, size_t n) {
	char path[96];
	snprintf(path, sizeof path, "/v1/orders/%s%s", order_no, what);
	return insist(c, method, path, key, in, n);
}

static result do_pay(const conn *c, const char *key, const char *in, size_t n, int wait_s) {
	return follow(c, insist(c, "POST", "/v1/orders", key, in, n), wait_s);
}

static result do_query(const conn *c, const char *order_no, int wait_s) { return follow(c, order_path(c, order_no, "", "GET", NULL, NULL, 0), wait_s); }

static result do_query_bill(const conn *c, const char *bill, size_t n, int wait_s) {
	char path[40 + 3 * 96];
	size_t i, at;
	pa_span list, first;
	result r;
	if (n < 1 || n > 96) return usage("bill");
	at = (size_t)snprintf(path, sizeof path, "/v1/orders?bill=");
	for (i = 0; i < n; i++) at += (size_t)snprintf(path + at, sizeof path - at, "%%%02X", (unsigned)(unsigned char)bill[i]);
	r = insist(c, "GET", path, NULL, NULL, 0);
	if (r.code != PAYAGENT_OK) return r;
	if (!pa_json_ok(r.body, r.n) || (list = pa_json_get(r.body, r.n, "orders")).at == NULL || list.at[0] != '[') {
		free(r.body);
		return unreachable();
	}
	first = pa_json_item(list.at, list.n, 0);
	if (first.at == NULL) {
		free(r.body);
		return made(PAYAGENT_REFUSED, "{\"code\":\"not_found\",\"detail\":{\"zh\":\"该账单没有订单\",\"en\":\"The bill has no order\"}}");
	}
	memmove(r.body, first.at, first.n);
	r.n = first.n;
	r.body[r.n] = '\0';
	return follow(c, r, wait_s);
}

static result do_cancel(const conn *c, const char *order_no, const char *in, size_t n, int wait_s) {
	result r = order_path(c, order_no, "/cancel", "POST", NULL, in, n);
	if (has_code(&r, "already_final") || has_code(&r, "use_refunds")) { /* how it ended, the order tells */
		free(r.body);
		r = order_path(c, order_no, "", "GET", NULL, NULL, 0);
	}
	if (r.code != PAYAGENT_OK) return r;
	r = follow(c, r, wait_s);
	if (r.code == PAYAGENT_OK) {
		r.code = PAYAGENT_NO; /* it is paid */
	} else if (r.code == PAYAGENT_NO) {
		r.code = PAYAGENT_OK;
	}
	return r;
}

static int refund_truth(pa_span refund) {
	pa_span s = pa_json_get(refund.at, refund.n, "state");
	if (pa_json_is(s, "done")) return PAYAGENT_OK;
	if (pa_json_is(s, "refused") || pa_json_is(s, "declined")) return PAYAGENT_NO;
	return pa_json_is(s, "in_doubt") ? PAYAGENT_IN_DOUBT : PAYAGENT_OPEN;
}

/* refund_line finds a refund of an order by its number. */
static pa_span refund_line(const result *order, const char *no) {
	pa_span list = pa_json_get(order->body, order->n, "refunds"), line;
	size_t i;
	for (i = 0; list.at != NULL && (line = pa_json_item(list.at, list.n, i)).at != NULL; i++)
		if (pa_json_is(pa_json_get(line.at, line.n, "refund_no"), no)) return line;
	line.at = NULL;
	line.n = 0;
	return line;
}

/* joined puts a refund and its order together as the interface does. */
static result joined(pa_span refund, const result *order, int code) {
	static const char a[] = "{\"refund\":", b[] = ",\"order\":", z[] = "}";
	result r;
	size_t n = order->n;
	char *p;
	while (n > 0 && (order->body[n - 1] == '\n' || order->body[n - 1] == ' ')) n--;
	r.code = code;
	r.status = 200;
	r.n = sizeof a - 1 + refund.n + sizeof b - 1 + n + sizeof z - 1;
	r.body = p = malloc(r.n + 1);
	if (p == NULL) return r;
	memcpy(p, a, sizeof a - 1), p += sizeof a - 1;
	memcpy(p, refund.at, refund.n), p += refund.n;
	memcpy(p, b, sizeof b - 1), p += sizeof b - 1;
	memcpy(p, order->body, n), p += n;
	memcpy(p, z, sizeof z);
	return r;
}

static result do_refund(const conn *c, const char *order_no, const char *key, const char *in, size_t n, int wait_s) {
	unsigned long begin = pa_now();
	result r = order_path(c, order_no, "/refunds", "POST", key, in, n), order, out;
	pa_span refund, o;
	char no[64];
	if (r.code != PAYAGENT_OK) return r;
	memset(&refund, 0, sizeof refund);
	memset(&o, 0, sizeof o);
	if (pa_json_ok(r.body, r.n)) refund = pa_json_get(r.body, r.n, "refund"), o = pa_json_get(r.body, r.n, "order");
	if (refund.at == NULL || o.at == NULL || !is_order(o.at, o.n) || pa_json_text(pa_json_get(refund.at, refund.n, "refund_no"), no, sizeof no) < 1) {
		free(r.body);
		return unreachable();
	}
	r.code = refund_truth(refund);
	order.code = PAYAGENT_OK, order.status = r.status, order.n = o.n;
	order.body = malloc(o.n + 1);
	if (order.body == NULL) return r;
	memcpy(order.body, o.at, o.n);
	order.body[o.n] = '\0';
	while ((r.code == PAYAGENT_OPEN || r.code == PAYAGENT_IN_DOUBT) && look(c, &order, begin, (unsigned long)wait_s * 1000UL)) {
		refund = refund_line(&order, no);
		if (refund.at == NULL) break;
		out = joined(refund, &order, refund_truth(refund));
		if (out.body == NULL) break;
		free(r.body);
		r = out;
	}
	free(order.body);
	return r;
}

static result do_book(const conn *c, const char *order_no, const char *in, size_t n) {
	return order_path(c, order_no, "/booking", "POST", NULL, in, n);
}

/* give hands a result over in the caller's encoding and frees it. */
static int give(const conn *c, result r, char *out, int cap, int *need) {
	char *text;
	size_t n;
	if (r.body == NULL) {
		r = unreachable();
	} else if (r.code == PAYAGENT_UNREACHABLE) {
		free(r.body);
		r = unreachable();
	}
	text = r.body;
	n = r.n;
	if (text != NULL && c->gbk && (text = pa_gbk_from_utf8(r.body, r.n, &n)) == NULL) n = 0;
	if (text == NULL) { /* no memory, or bytes that are no text: nothing can be told but that */
		free(r.body);
		if (cap > 0) out[0] = '\0';
		if (need != NULL) *need = 1;
		return PAYAGENT_UNREACHABLE;
	}
	if (need != NULL) *need = (int)n + 1;
	if (n < (size_t)cap) {
		memcpy(out, text, n);
		out[n] = '\0';
	} else {
		if (cap > 0) out[0] = '\0';
		r.code = PAYAGENT_TOO_SMALL;
	}
	if (text != r.body) free(text);
	free(r.body);
	return r.code;
}

/* enter checks what every function takes; text is memory to free. */
static const char *enter(conn *c, const char *settings, const char *in, int in_len, char *out, int out_cap, char **text, size_t *n) {
	const char *wrong;
	*text = NULL;
	*n = 0;
	if (out_cap < 0 || (out == NULL && out_cap > 0)) {
		memset(c, 0, sizeof *c);
		return "out_cap";
	}
	if ((wrong = read_settings(c, settings)) != NULL) return wrong;
	if (in_len < -1 || (in == NULL && in_len > 0)) return "in_len";
	if (in == NULL) in = "", in_len = 0;
	*n = in_len < 0 ? strlen(in) : (size_t)in_len;
	if (*n > MAX_IN) return "in_len";
	if (c->gbk) {
		if ((*text = pa_utf8_from_gbk(in, *n, n)) == NULL) return "encoding";
		return NULL;
	}
	if (!pa_utf8_ok(in, *n)) return "encoding";
	if ((*text = malloc(*n + 1)) == NULL) return "memory";
	memcpy(*text, in, *n);
	(*text)[*n] = '\0';
	return NULL;
}

/* leave is the end of every function. */
static int leave(const conn *c, char *text, result r, char *out, int out_cap, int *out_need) {
	if (text != NULL) wipe(text, strlen(text));
	free(text);
	if (out_cap < 0 || out == NULL) out_cap = 0;
	return give(c, r, out, out_cap, out_need);
}

static int good_key(const char *key) { return within(key, 1, 255, 0x20, 0x7e); }

static int good_wait(int wait_s) { return wait_s >= 0 && wait_s <= 86400; }

/* checked ends a function early where a parameter is wrong. */
#define CHECK(ok, name) \
	if (!(ok)) return leave(&c, text, usage(name), out, out_cap, out_need)
#define ENTER(settings, in, in_len) \
	conn c; \
	char *text; \
	size_t n; \
	const char *wrong = enter(&c, settings, in, in_len, out, out_cap, &text, &n); \
	if (out_need != NULL) *out_need = 0; \
	if (wrong != NULL) return leave(&c, text, usage(wrong), out, out_cap, out_need)

PAYAGENT_API int PAYAGENT_CALL payagent_call(const char *settings, const char *method, const char *path, const char *key,
    const char *in, int in_len, char *out, int out_cap, int *out_need, int *http_status) {
	result r;
	ENTER(settings, in, in_len);
	if (http_status != NULL) *http_status = 0;
	CHECK(method != NULL && (strcmp(method, "GET") == 0 || strcmp(method, "POST") == 0), "method");
	CHECK(within(path, 1, 4096, 0x21, 0x7e) && path[0] == '/', "path");
	CHECK(key == NULL || good_key(key), "key");
	r = once(&c, c.limit, method, path, key, text, n);
	if (http_status != NULL) *http_status = r.status;
	return leave(&c, text, r, out, out_cap, out_need);
}

PAYAGENT_API int PAYAGENT_CALL payagent_pay(const char *settings, const char *key, const char *in, int in_len, int wait_s, char *out, int out_cap, int *out_need) {
	ENTER(settings, in, in_len);
	CHECK(good_key(key), "key");
	CHECK(good_wait(wait_s), "wait_s");
	return leave(&c, text, do_pay(&c, key, text, n, wait_s), out, out_cap, out_need);
}

PAYAGENT_API int PAYAGENT_CALL payagent_query(const char *settings, const char *order_no, int wait_s, char *out, int out_cap, int *out_need) {
	ENTER(settings, NULL, 0);
	CHECK(good_number(order_no), "order_no");
	CHECK(good_wait(wait_s), "wait_s");
	return leave(&c, text, do_query(&c, order_no, wait_s), out, out_cap, out_need);
}

PAYAGENT_API int PAYAGENT_CALL payagent_query_bill(const char *settings, const char *bill, int wait_s, char *out, int out_cap, int *out_need) {
	ENTER(settings, bill, -1);
	CHECK(good_wait(wait_s), "wait_s");
	return leave(&c, text, do_query_bill(&c, text, n, wait_s), out, out_cap, out_need);
}

PAYAGENT_API int PAYAGENT_CALL payagent_cancel(const char *settings, const char *order_no, const char *in, int in_len, int wait_s, char *out, int out_cap, int *out_need) {
	ENTER(settings, in, in_len);
	CHECK(good_number(order_no), "order_no");
	CHECK(good_wait(wait_s), "wait_s");
	return leave(&c, text, do_cancel(&c, order_no, text, n, wait_s), out, out_cap, out_need);
}

PAYAGENT_API int PAYAGENT_CALL payagent_refund(const char *settings, const char *order_no, const char *key, const char *in, int in_len, int wait_s,
    char *out, int out_cap, int *out_need) {
	ENTER(settings, in, in_len);
	CHECK(good_number(order_no), "order_no");
	CHECK(good_key(key), "key");
	CHECK(good_wait(wait_s), "wait_s");
	return leave(&c, text, do_refund(&c, order_no, key, text, n, wait_s), out, out_cap, out_need);
}

PAYAGENT_API int PAYAGENT_CALL payagent_book(const char *settings, const char *order_no, const char *in, int in_len, char *out, int out_cap, int *out_need) {
	ENTER(settings, in, in_len);
	CHECK(good_number(order_no), "order_no");
	return leave(&c, text, do_book(&c, order_no, text, n), out, out_cap, out_need);
}

/* member reads a text out of the request of payagent_trade; absent is empty. */
static int member(const char *s, size_t n, const char *name, char *out, size_t cap) {
	pa_span v = pa_json_get(s, n, name);
	out[0] = '\0';
	return v.at == NULL || pa_json_text(v, out, cap) >= 0;
}

static int number_of(pa_span v, int absent) {
	int value = 0;
	size_t i;
	if (v.at == NULL) return absent;
	if (v.n < 1 || v.n > 5) return -1;
	for (i = 0; i < v.n; i++) {
		if (v.at[i] < '0' || v.at[i] > '9') return -1;
		value = value * 10 + (v.at[i] - '0');
	}
	return value;
}

static result trade(conn *c, const char *s, size_t n) {
	char settings[2048], action[16], key[260], order_no[40], bill[200];
	const char *wrong;
	pa_span body;
	result r;
	int wait_s;
	if (!pa_json_ok(s, n)) return usage("in");
	if (!member(s, n, "settings", settings, sizeof settings)) return usage("settings");
	if ((wrong = read_settings(c, settings)) != NULL) return usage(wrong);
	if (!member(s, n, "action", action, sizeof action)) return usage("action");
	if (!member(s, n, "key", key, sizeof key)) return usage("key");
	if (!member(s, n, "order_no", order_no, sizeof order_no)) return usage("order_no");
	if (!member(s, n, "bill", bill, sizeof bill)) return usage("bill");
	body = pa_json_get(s, n, "request");
	if (body.at == NULL) body.at = "", body.n = 0;
	wait_s = number_of(pa_json_get(s, n, "wait_s"), 0);
	if (!good_wait(wait_s)) return usage("wait_s");
	if (strcmp(action, "pay") == 0) return good_key(key) ? do_pay(c, key, body.at, body.n, wait_s) : usage("key");
	if (order_no[0] == '\0' && bill[0] != '\0') {
		/* Acts need the number; the bill's newest order has it. */
		r = do_query_bill(c, bill, strlen(bill), strcmp(action, "query") == 0 ? wait_s : 0);
		if (strcmp(action, "query") == 0 || r.body == NULL || r.code == PAYAGENT_UNREACHABLE || r.code == PAYAGENT_REFUSED || r.code == PAYAGENT_USAGE) return r;
		(void)member(r.body, r.n, "out_trade_no", order_no, sizeof order_no);
		free(r.body);
	}
	if (!good_number(order_no)) return usage("order_no");
	if (strcmp(action, "query") == 0) return do_query(c, order_no, wait_s);
	if (strcmp(action, "cancel") == 0) return do_cancel(c, order_no, body.at, body.n, wait_s);
	if (strcmp(action, "refund") == 0) return good_key(key) ? do_refund(c, order_no, key, body.at, body.n, wait_s) : usage("key");
	if (strcmp(action, "book") == 0) return do_book(c, order_no, body.at, body.n);
	return usage("action");
}

PAYAGENT_API int PAYAGENT_CALL payagent_trade(const char *in, char *out) {
	conn c;
	char *text = NULL;
	size_t n = 0;
	result r;
	int code;
	if (out == NULL) return PAYAGENT_USAGE;
	memset(&c, 0, sizeof c);
	if (in == NULL || (n = strlen(in)) > MAX_IN) return give(&c, usage("in"), out, PAYAGENT_TRADE_MIN, NULL);
	/* The encoding stands in the text itself, in ASCII; bytes of GBK must not
	 * be read as JSON before, since the second byte of a character may be a \. */
	if (strstr(in, "encoding=gbk") != NULL || strstr(in, "encoding=GBK") != NULL) {
		c.gbk = 1;
		text = pa_utf8_from_gbk(in, n, &n);
	} else if (pa_utf8_ok(in, n) && (text = malloc(n + 1)) != NULL) {
		memcpy(text, in, n + 1);
	}
	r = text == NULL ? usage("encoding") : trade(&c, text, n);
	if (text != NULL) wipe(text, n);
	free(text);
	code = give(&c, r, out, PAYAGENT_TRADE_MIN, NULL);
	if (code == PAYAGENT_TOO_SMALL) memcpy(out, "{\"code\":\"too_small\"}", sizeof "{\"code\":\"too_small\"}");
	return code;
}

PAYAGENT_API const char *PAYAGENT_CALL payagent_version(void) { return "1.0"; }
