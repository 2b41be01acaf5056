/* text.h - GBK and UTF-8. Not part of the interface. */
#ifndef PAYAGENT_TEXT_H
#define PAYAGENT_TEXT_H
#include <stddef.h>

/* Both give memory that the caller frees, with a NUL behind *m bytes; NULL if
 * the text is not in the encoding, or memory is short. */
char *pa_utf8_from_gbk(const char *s, size_t n, size_t *m);
/* What GBK lacks is written as \uXXXX, which means the same inside JSON. */
char *pa_gbk_from_utf8(const char *s, size_t n, size_t *m);
/* pa_utf8_ok tells whether the text is UTF-8. */
int pa_utf8_ok(const char *s, size_t n);
#endif
