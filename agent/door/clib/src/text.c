/* text.c - see text.h. */
#include "text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#if defined(_WIN32)
#include <windows.h>
#else
#include <iconv.h>
#endif

/* rune reads one character of UTF-8; 0 bytes if it is none. */
static size_t rune(const char *s, size_t n, unsigned long *c) {
	static const unsigned long least[] = {0, 0, 0x80, 0x800, 0x10000};
	unsigned char b = (unsigned char)s[0];
	size_t len = b < 0x80 ? 1 : b >= 0xC2 && b < 0xE0 ? 2 : b >= 0xE0 && b < 0xF0 ? 3 : b >= 0xF0 && b < 0xF5 ? 4 : 0, i;
	if (len == 0 || len > n) return 0;
	*c = len == 1 ? b : (unsigned long)(b & (0xFF >> (len + 1)));
	for (i = 1; i < len; i++) {
		if (((unsigned char)s[i] & 0xC0) != 0x80) return 0;
		*c = *c << 6 | ((unsigned char)s[i] & 0x3F);
	}
	if (*c < least[len] || *c > 0x10FFFF || (*c >= 0xD800 && *c < 0xE000)) return 0;
	return len;
}

int pa_utf8_ok(const char *s, size_t n) {
	unsigned long c;
	size_t at, len;
	for (at = 0; at < n; at += len)
		if ((len = rune(s + at, n - at, &c)) == 0) return 0;
	return 1;
}

#if defined(_WIN32)
typedef int converter;
static int open_converter(converter *c, int to_gbk) {
	*c = to_gbk;
	return 1;
}
static void close_converter(converter *c) { (void)c; }

/* convert turns one character into at most 4 bytes; 0 if there is no such. */
static size_t convert(converter *c, const char *s, size_t n, char *out) {
	WCHAR w[2];
	BOOL lossy = FALSE;
	int wide = MultiByteToWideChar(*c ? CP_UTF8 : 936, *c ? 0 : MB_ERR_INVALID_CHARS, s, (int)n, w, 2), got;
	if (wide < 1) return 0;
	if (*c && wide > 1) return 0;
	got = WideCharToMultiByte(*c ? 936 : CP_UTF8, *c ? WC_NO_BEST_FIT_CHARS : 0, w, wide, out, 4, NULL, *c ? &lossy : NULL);
	return got < 1 || lossy ? 0 : (size_t)got;
}
#else
typedef iconv_t converter;
static int open_converter(converter *c, int to_gbk) {
	*c = to_gbk ? iconv_open("GBK", "UTF-8") : iconv_open("UTF-8", "GBK");
	return *c != (iconv_t)-1;
}
static void close_converter(converter *c) { (void)iconv_close(*c); }
static size_t convert(converter *c, const char *s, size_t n, char *out) {
	char in[4], *from = in, *to = out;
	size_t left = n, room = 4;
	memcpy(in, s, n);
	(void)iconv(*c, NULL, NULL, NULL, NULL);
	if (iconv(*c, &from, &left, &to, &room) == (size_t)-1 || left != 0) return 0;
	return 4 - room;
}
#endif

char *pa_utf8_from_gbk(const char *s, size_t n, size_t *m) {
	converter c;
	size_t at, len, got, o = 0;
	char *out = malloc(n * 2 + 1); /* two bytes become three at most */
	if (out == NULL) return NULL;
	if (!open_converter(&c, 0)) {
		free(out);
		return NULL;
	}
	for (at = 0; at < n; at += len) {
		char b[4];
		len = 1;
		if ((unsigned char)s[at] < 0x80) {
			out[o++] = s[at];
			continue;
		}
		len = 2;
		got = n - at < 2 ? 0 : convert(&c, s + at, 2, b);
		if (got == 0 || got > 3) {
			close_converter(&c);
			free(out);
			return NULL;
		}
		memcpy(out + o, b, got);
		o += got;
	}
	close_converter(&c);
	out[o] = '\0';
	*m = o;
	return out;
}

char *pa_gbk_from_utf8(const char *s, size_t n, size_t *m) {
	converter c;
	size_t at, len, got, o = 0;
	unsigned long r;
	char *out;
	if (n > ((size_t)-1 - 1) / 3 || (out = malloc(n * 3 + 1)) == NULL) return NULL; /* 2 bytes may become \uXXXX */
	if (!open_converter(&c, 1)) {
		free(out);
		return NULL;
	}
	for (at = 0; at < n; at += len) {
		char b[4];
		if ((len = rune(s + at, n - at, &r)) == 0) {
			close_converter(&c);
			free(out);
			return NULL;
		}
		if (r < 0x80) {
			out[o++] = s[at];
			continue;
		}
		got = r > 0xFFFF ? 0 : convert(&c, s + at, len, b);
		if (got == 2) {
			memcpy(out + o, b, got);
			o += got;
		} else if (r > 0xFFFF) {
			o += (size_t)sprintf(out + o, "\\u%04lx\\u%04lx", 0xD800 + ((r - 0x10000) >> 10), 0xDC00 + ((r - 0x10000) & 0x3FF));
		} else {
			o += (size_t)sprintf(out + o, "\\u%04lx", r);
		}
	}
	close_converter(&c);
	out[o] = '\0';
	*m = o;
	return out;
}
