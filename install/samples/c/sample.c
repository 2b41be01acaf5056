/* Sample for HIS written in C or C++, over the C library (payagent.h). See
 * README.md. 真实项目请用现成的 JSON 库 a real project uses its JSON library. */
#include "payagent.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static char settings[1024], out[32768];

static void fail(const char *what, int code) {
	printf("ERROR %s: %d %.600s\n", what, code, out);
	exit(1);
}

/* member copies the first text or number of that name; those of the order
 * itself come before those of what it contains. */
static const char *member(const char *json, const char *name, char *value, size_t cap) {
	char find[64];
	const char *p;
	size_t n = 0;
	snprintf(find, sizeof find, "\"%s\":", name);
	if ((p = strstr(json, find)) != NULL) {
		p += strlen(find);
		if (*p == '"') p++;
		while (n + 1 < cap && p[n] != '\0' && strchr("\",}", p[n]) == NULL) n++;
		memcpy(value, p, n);
	}
	value[n] = '\0';
	return value;
}

static const char *cash(void) {
	static char value[16];
	const char *p = strstr(out, "\"safe_to_take_cash\"");
	return p == NULL ? "" : member(p, "answer", value, sizeof value);
}

static void request(char *body, size_t cap, const char *bill, int fen, const char *code) {
	snprintf(body, cap,
	    "{\"bill\":\"%s\",\"amount_fen\":%d,\"mode\":\"charge\",\"order_type\":\"TREATMENT\",\"till\":\"%s\",\"subject\":\"fee\","
	    "\"operator\":{\"id\":\"1001\"}%s%s%s}",
	    bill, fen, getenv("PAYAGENT_TILL"), code != NULL ? ",\"auth_code\":\"" : "", code != NULL ? code : "", code != NULL ? "\"" : "");
}

int main(void) {
	char bill[128], body[1024], key[160], no[40], again[40], number[40], state[32];
	int code, need;
	const char *base = getenv("PAYAGENT_BILL");
	if (getenv("PAYAGENT_ADDRESS") == NULL || getenv("PAYAGENT_TOKEN_FILE") == NULL || getenv("PAYAGENT_TILL") == NULL || base == NULL) {
		printf("ERROR set PAYAGENT_ADDRESS, PAYAGENT_TOKEN_FILE, PAYAGENT_TILL and PAYAGENT_BILL\n");
		return 1;
	}
	snprintf(settings, sizeof settings, "address=%s;token_file=%s;encoding=utf-8;timeout_ms=30000", getenv("PAYAGENT_ADDRESS"), getenv("PAYAGENT_TOKEN_FILE"));

	/* 1. Take the payment. HIS keeps the key with the bill before it calls. */
	snprintf(bill, sizeof bill, "%s-1", base);
	snprintf(key, sizeof key, "%s-%ld", bill, (long)time(NULL));
	request(body, sizeof body, bill, 1230, getenv("PAYAGENT_CODE_1"));
	code = payagent_pay(settings, key, body, -1, 120, out, sizeof out, &need);
	if (code != PAYAGENT_OK) fail("not paid", code);
	member(out, "out_trade_no", no, sizeof no);
	printf("PAID %s\n", no);
	code = payagent_pay(settings, key, body, -1, 0, out, sizeof out, &need);
	if (code != PAYAGENT_OK || strcmp(member(out, "out_trade_no", again, sizeof again), no) != 0) fail("the key gave another order", code);
	/* 2. HIS books it and says so. "failed" would give the money back at once. */
	snprintf(body, sizeof body, "{\"result\":\"booked\",\"his_flow_id\":\"%s-F1\"}", base);
	if ((code = payagent_book(settings, no, body, -1, out, sizeof out, &need)) != PAYAGENT_OK) fail("not booked", code);
	printf("BOOKED %s\n", no);
	/* 3. Give a part back. */
	snprintf(number, sizeof number, "R%.20s", no);
	snprintf(body, sizeof body, "{\"amount_fen\":230,\"operator\":{\"id\":\"1001\"},\"reason\":\"part\",\"refund_no\":\"%s\"}", number);
	if ((code = payagent_refund(settings, no, number, body, -1, 60, out, sizeof out, &need)) != PAYAGENT_OK) fail("not refunded", code);
	printf("REFUNDED %s\n", number);
	/* 4. A payer who does not pay: look at the verdict, cancel, and take cash
	 * only when the agent says yes. */
	snprintf(bill, sizeof bill, "%s-2", base);
	snprintf(key, sizeof key, "%s-%ld", bill, (long)time(NULL));
	request(body, sizeof body, bill, 501, getenv("PAYAGENT_CODE_2"));
	code = payagent_pay(settings, key, body, -1, 1, out, sizeof out, &need);
	if (code != PAYAGENT_OPEN) fail("paid or ended", code);
	if (strcmp(cash(), "yes") == 0) fail("cash while the payer may still pay", code);
	printf("NO CASH %s\n", member(out, "state", state, sizeof state));
	member(out, "out_trade_no", no, sizeof no);
	code = payagent_cancel(settings, no, "{\"operator\":{\"id\":\"1001\"},\"reason\":\"cash\"}", -1, 120, out, sizeof out, &need);
	if (code != PAYAGENT_OK) fail("not canceled (1: paid in the last moment, book it)", code);
	printf("CANCELED %s\n", no);
	if (strcmp(cash(), "yes") != 0) fail("take no cash yet", code);
	printf("CASH OK\n");
	/* 5. After a crash: the bill tells what became of it. */
	snprintf(bill, sizeof bill, "%s-1", base);
	if ((code = payagent_query_bill(settings, bill, 0, out, sizeof out, &need)) != PAYAGENT_OK) fail("not found", code);
	printf("FOUND %s\n", member(out, "state", state, sizeof state));
	return 0;
}
