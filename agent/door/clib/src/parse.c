/* parse.c - see parse.h. */
#include "parse.h"

#include <string.h>

static int lower(int c) { return c >= 'A' && c <= 'Z' ? c + 32 : c; }

/* same compares n bytes without regard to case with a lower-case word. */
static int same(const char *s, size_t n, const char *word) {
	size_t i;
	if (strlen(word) != n) return 0;
	for (i = 0; i < n; i++)
		if (lower((unsigned char)s[i]) != word[i]) return 0;
	return 1;
}

/* line finds the end of a line, which must be CR LF; n if there is none. */
static size_t line(const char *s, size_t from, size_t n) {
	for (; from + 1 < n; from++)
		if (s[from] == '\r' && s[from + 1] == '\n') return from;
	return n;
}

static int head(const char *s, size_t n, pa_reply *r) {
	size_t at, end, colon, from, to;
	for (at = 0; at < n; at++) { /* no line may end in another way than all others */
		unsigned char c = (unsigned char)s[at];
		if (c == '\r' && at + 1 < n && s[at + 1] == '\n') {
			at++;
		} else if ((c < 0x20 && c != '\t') || c == 0x7F) {
			return PA_BAD;
		}
	}
	end = line(s, 0, n);
	if (end < 12 || memcmp(s, "HTTP/1.1 ", 9) != 0) return PA_BAD;
	for (at = 9; at < 12; at++) {
		if (s[at] < '0' || s[at] > '9') return PA_BAD;
		r->status = r->status * 10 + (s[at] - '0');
	}
	if ((end > 12 && s[12] != ' ') || r->status < 200) return PA_BAD; /* nothing here asks for 1xx */
	for (at = end + 2; at < n; at = end + 2) {
		end = line(s, at, n);
		if (end == at) return PA_DONE;
		for (colon = at; colon < end && s[colon] != ':'; colon++)
			;
		if (colon == end || colon == at) return PA_BAD;
		for (from = colon + 1; from < end && (s[from] == ' ' || s[from] == '\t'); from++)
			;
		for (to = end; to > from && (s[to - 1] == ' ' || s[to - 1] == '\t'); to--)
			;
		if (same(s + at, colon - at, "content-length")) {
			size_t value = 0, i;
			if (from == to || to - from > 9) return PA_BAD;
			for (i = from; i < to; i++) {
				if (s[i] < '0' || s[i] > '9') return PA_BAD;
				value = value * 10 + (size_t)(s[i] - '0');
			}
			if ((r->has_length && r->length != value) || value > PA_MAX_BODY) return PA_BAD;
			r->has_length = 1;
			r->length = value;
		} else if (same(s + at, colon - at, "transfer-encoding")) {
			if (r->chunked || !same(s + from, to - from, "chunked")) return PA_BAD;
			r->chunked = 1;
		} else if (same(s + at, colon - at, "content-encoding")) {
			if (!same(s + from, to - from, "identity")) return PA_BAD;
		}
	}
	return PA_BAD;
}

/* chunks walks over a chunked body; with join the parts are moved together,
 * which is done only once all of it is known to be good. */
static int chunks(char *s, size_t n, int join, size_t *body) {
	size_t at = 0, sum = 0, end, size, i;
	for (;;) {
		end = line(s, at, n);
		if (end == n) return n - at > 64 ? PA_BAD : PA_MORE;
		size = 0;
		for (i = at; i < end && s[i] != ';'; i++) {
			int c = lower((unsigned char)s[i]);
			int d = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
			if (d < 0 || i - at > 7) return PA_BAD;
			size = size * 16 + (size_t)d;
		}
		if (i == at || end - at > 64 || size > PA_MAX_BODY || sum + size > PA_MAX_BODY) return PA_BAD;
		at = end + 2;
		if (size == 0) break;
		if (n - at < size + 2) {
			return PA_MORE;
		}
		if (s[at + size] != '\r' || s[at + size + 1] != '\n') return PA_BAD;
		if (join) memmove(s + sum, s + at, size);
		sum += size;
		at += size + 2;
	}
	for (;;) { /* trailers */
		end = line(s, at, n);
		if (end == n) return n - at > PA_MAX_HEAD ? PA_BAD : PA_MORE;
		if (end == at) break;
		at = end + 2;
	}
	*body = sum;
	return PA_DONE;
}

int pa_reply_read(char *data, size_t n, int closed, pa_reply *r) {
	size_t i, have;
	int got;
	memset(r, 0, sizeof *r);
	for (i = 0; i + 3 < n && i < PA_MAX_HEAD; i++)
		if (memcmp(data + i, "\r\n\r\n", 4) == 0) {
			r->head = i + 4;
			break;
		}
	if (r->head == 0) return closed || n > PA_MAX_HEAD + 4 ? PA_BAD : PA_MORE;
	if (head(data, r->head, r) != PA_DONE) return PA_BAD;
	if (r->chunked && r->has_length) return PA_BAD; /* which of the two? */
	have = n - r->head;
	if (r->status == 204 || r->status == 304) {
		r->body = 0;
		return PA_DONE;
	}
	if (r->chunked) {
		got = chunks(data + r->head, have, 0, &r->body);
		if (got == PA_DONE) (void)chunks(data + r->head, have, 1, &r->body);
		return got == PA_MORE && closed ? PA_BAD : got;
	}
	if (r->has_length) {
		r->body = r->length;
		if (have >= r->length) return PA_DONE;
		return closed ? PA_BAD : PA_MORE;
	}
	/* Without a length nobody can tell a whole reply from a torn one. */
	return PA_BAD;
}

/* The JSON reader: skip walks over one value; 0 if it is not good. */
#define DEPTH 64

static size_t blank(const char *s, size_t at, size_t n) {
	while (at < n && (s[at] == ' ' || s[at] == '\t' || s[at] == '\n' || s[at] == '\r')) at++;
	return at;
}

static int hex(int c) {
	c = lower(c);
	return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* string gives the position after the string that begins at at. */
static size_t string(const char *s, size_t at, size_t n) {
	if (at >= n || s[at] != '"') return 0;
	for (at++; at < n; at++) {
		unsigned char c = (unsigned char)s[at];
		if (c == '"') return at + 1;
		if (c < 0x20) return 0;
		if (c != '\\') continue;
		if (++at >= n) return 0;
		if (s[at] == 'u') {
			int i;
			for (i = 0; i < 4; i++)
				if (++at >= n || hex((unsigned char)s[at]) < 0) return 0;
		} else if (s[at] == '\0' || strchr("\"\\/bfnrt", s[at]) == NULL) {
			return 0;
		}
	}
	return 0;
}

static size_t number(const char *s, size_t at, size_t n) {
	size_t from;
	if (at < n && s[at] == '-') at++;
	if (at < n && s[at] == '0') {
		at++;
	} else {
		for (from = at; at < n && s[at] >= '0' && s[at] <= '9'; at++)
			;
		if (at == from) return 0;
	}
	if (at < n && s[at] == '.') {
		for (from = ++at; at < n && s[at] >= '0' && s[at] <= '9'; at++)
			;
		if (at == from) return 0;
	}
	if (at < n && (s[at] == 'e' || s[at] == 'E')) {
		at++;
		if (at < n && (s[at] == '+' || s[at] == '-')) at++;
		for (from = at; at < n && s[at] >= '0' && s[at] <= '9'; at++)
			;
		if (at == from) return 0;
	}
	return at;
}

static size_t skip(const char *s, size_t at, size_t n, int depth) {
	char open;
	if (depth > DEPTH) return 0;
	at = blank(s, at, n);
	if (at >= n) return 0;
	open = s[at];
	if (open == '"') return string(s, at, n);
	if (open == '-' || (open >= '0' && open <= '9')) return number(s, at, n);
	if (n - at >= 4 && (memcmp(s + at, "true", 4) == 0 || memcmp(s + at, "null", 4) == 0)) return at + 4;
	if (n - at >= 5 && memcmp(s + at, "false", 5) == 0) return at + 5;
	if (open != '{' && open != '[') return 0;
	at = blank(s, at + 1, n);
	if (at < n && s[at] == (open == '{' ? '}' : ']')) return at + 1;
	for (;;) {
		if (open == '{') {
			at = blank(s, at, n);
			if ((at = string(s, at, n)) == 0) return 0;
			at = blank(s, at, n);
			if (at >= n || s[at] != ':') return 0;
			at++;
		}
		if ((at = skip(s, at, n, depth + 1)) == 0) return 0;
		at = blank(s, at, n);
		if (at >= n) return 0;
		if (s[at] == (open == '{' ? '}' : ']')) return at + 1;
		if (s[at] != ',') return 0;
		at++;
	}
}

int pa_json_ok(const char *s, size_t n) {
	size_t end = skip(s, 0, n, 0);
	return end != 0 && blank(s, end, n) == n;
}

static pa_span span(const char *s, size_t from, size_t to) {
	pa_span v;
	v.at = s + from;
	v.n = to - from;
	return v;
}

static const pa_span nothing = {NULL, 0};

pa_span pa_json_get(const char *s, size_t n, const char *name) {
	size_t at = blank(s, 0, n), end, from, len = strlen(name);
	if (at >= n || s[at] != '{') return nothing;
	for (at++;;) {
		at = blank(s, at, n);
		if ((end = string(s, at, n)) == 0) return nothing;
		from = blank(s, end, n);
		if (from >= n || s[from] != ':') return nothing;
		from = blank(s, from + 1, n);
		{
			int found = end - at == len + 2 && memcmp(s + at + 1, name, len) == 0;
			if ((end = skip(s, from, n, 0)) == 0) return nothing;
			if (found) return span(s, from, end);
		}
		at = blank(s, end, n);
		if (at >= n || s[at] != ',') return nothing;
		at++;
	}
}

pa_span pa_json_item(const char *s, size_t n, size_t i) {
	size_t at = blank(s, 0, n), end;
	if (at >= n || s[at] != '[') return nothing;
	for (at++;; i--) {
		at = blank(s, at, n);
		if ((end = skip(s, at, n, 0)) == 0) return nothing;
		if (i == 0) return span(s, at, end);
		at = blank(s, end, n);
		if (at >= n || s[at] != ',') return nothing;
		at++;
	}
}

static unsigned long unit(const char *s) {
	unsigned long u = 0;
	int i;
	for (i = 0; i < 4; i++) u = u * 16 + (unsigned long)hex((unsigned char)s[i]);
	return u;
}

int pa_json_text(pa_span v, char *out, size_t cap) {
	size_t i, o = 0;
	if (cap == 0 || v.at == NULL || v.n < 2 || v.at[0] != '"' || string(v.at, 0, v.n) != v.n) return -1;
	for (i = 1; i < v.n - 1; i++) {
		unsigned char b[4];
		size_t n = 1, k;
		unsigned long c;
		b[0] = (unsigned char)v.at[i];
		if (b[0] == '\\') {
			static const char from[] = "bfnrt", to[] = "\b\f\n\r\t";
			const char *p;
			i++;
			b[0] = (unsigned char)v.at[i];
			if (b[0] == 'u') {
				c = unit(v.at + i + 1);
				i += 4;
				if (c >= 0xD800 && c < 0xDC00) {
					unsigned long lo;
					if (v.n - 1 - i < 7 || v.at[i + 1] != '\\' || v.at[i + 2] != 'u') return -1;
					lo = unit(v.at + i + 3);
					if (lo < 0xDC00 || lo > 0xDFFF) return -1;
					c = 0x10000 + ((c - 0xD800) << 10) + (lo - 0xDC00);
					i += 6;
				} else if (c >= 0xDC00 && c <= 0xDFFF) {
					return -1;
				}
				if (c == 0) return -1;
				if (c < 0x80) {
					b[0] = (unsigned char)c;
				} else if (c < 0x800) {
					n = 2;
					b[0] = (unsigned char)(0xC0 | c >> 6);
					b[1] = (unsigned char)(0x80 | (c & 63));
				} else if (c < 0x10000) {
					n = 3;
					b[0] = (unsigned char)(0xE0 | c >> 12);
					b[1] = (unsigned char)(0x80 | (c >> 6 & 63));
					b[2] = (unsigned char)(0x80 | (c & 63));
				} else {
					n = 4;
					b[0] = (unsigned char)(0xF0 | c >> 18);
					b[1] = (unsigned char)(0x80 | (c >> 12 & 63));
					b[2] = (unsigned char)(0x80 | (c >> 6 & 63));
					b[3] = (unsigned char)(0x80 | (c & 63));
				}
			} else if ((p = strchr(from, b[0])) != NULL) {
				b[0] = (unsigned char)to[p - from];
			}
		}
		if (o + n >= cap) return -1;
		for (k = 0; k < n; k++) out[o++] = (char)b[k];
	}
	out[o] = '\0';
	return (int)o;
}

int pa_json_is(pa_span v, const char *text) {
	size_t n = strlen(text);
	return v.at != NULL && v.n == n + 2 && v.at[0] == '"' && memcmp(v.at + 1, text, n) == 0;
}
