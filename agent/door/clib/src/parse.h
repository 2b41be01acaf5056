/* parse.h - what reads bytes that others wrote: HTTP replies, JSON. Pure
 * functions over memory: no sockets, no state. Not part of the interface. */
#ifndef PAYAGENT_PARSE_H
#define PAYAGENT_PARSE_H
#include <stddef.h>

/* The bounds of an answer, in bytes. */
#define PA_MAX_HEAD 32768
#define PA_MAX_BODY (4u << 20)

enum { PA_MORE, PA_DONE, PA_BAD };

typedef struct {
	int status;        /* of HTTP */
	int has_length;    /* Content-Length was given */
	int chunked;
	size_t head;       /* bytes up to the body */
	size_t length;     /* of Content-Length */
	size_t body;       /* bytes of the body, once PA_DONE */
} pa_reply;

/* pa_reply_read looks at all bytes received so far; closed tells that no more
 * come. PA_DONE: the body lies at data + r->head with r->body bytes; a chunked
 * one has been put together there. A reply that breaks off is PA_BAD. */
int pa_reply_read(char *data, size_t n, int closed, pa_reply *r);

typedef struct {
	const char *at; /* NULL: not there */
	size_t n;
} pa_span;

/* pa_json_ok tells whether the text is one JSON value. */
int pa_json_ok(const char *s, size_t n);
/* pa_json_get finds a member of an object, as raw JSON. The text must be
 * good (pa_json_ok); the first member of that name counts. */
pa_span pa_json_get(const char *s, size_t n, const char *name);
/* pa_json_item gives item i of an array, as raw JSON. */
pa_span pa_json_item(const char *s, size_t n, size_t i);
/* pa_json_text decodes a JSON string into UTF-8 with a NUL; -1 if it is none,
 * does not fit, or holds a NUL. */
int pa_json_text(pa_span v, char *out, size_t cap);
/* pa_json_is tells whether v is the JSON string text, which needs no escapes. */
int pa_json_is(pa_span v, const char *text);
#endif
