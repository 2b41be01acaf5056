/* payagent.h - C library of payagent, for HIS written in C/C++, Delphi,
 * PowerBuilder, VB, C# and the like.
 *
 * It is a thin client of the agent's HTTP interface: it stores nothing,
 * decides nothing about money, and every answer is the agent's own JSON
 * (openapi.json). 本库只转发 HTTP 请求，不保存数据，不判断资金；返回的 JSON 即代理接口的 JSON。
 *
 * NO TLS: use it on the agent's own machine (127.0.0.1), or on a network where
 * the site has decided to accept plain HTTP (door.accept_plain_http).
 * 不支持 TLS：只用于本机回环地址，或院方已同意明文 HTTP 的网络。
 *
 * Thread-safe, no global state, no callbacks, no message pump; Windows XP and
 * later need nothing but kernel32, ws2_32 and msvcrt.
 * 线程安全，无全局状态，无回调；Windows 上只依赖系统自带的三个 DLL。
 *
 * SETTINGS 连接参数 - one text, members separated by ';':
 *     address=127.0.0.1:8780      IP:port, required                    必填
 *     token_file=C:\pay\token     file with the token, or 令牌文件，或
 *     token=...                   the token itself                     令牌本身
 *     encoding=gbk                gbk or utf-8 (default); of everything that
 *                                 goes in and comes out                编码
 *     timeout_ms=15000            for one answer, 100 to 300000        单次应答时限
 *
 * TEXTS IN 传入的文本 - a pointer and a length in bytes; length -1 means that
 * the text ends with a NUL. NULL with length 0 or -1 is an empty text.
 *
 * OUT 返回的文本 - out points to out_cap bytes. Whatever is returned, never
 * more than out_cap bytes are written, and with out_cap > 0 the text ends with
 * a NUL. *out_need (may be NULL) is the number of bytes that the whole answer
 * needs, its NUL included. If it does not fit, PAYAGENT_TOO_SMALL is returned
 * and out is an empty text, never half an answer; the request HAS been carried
 * out: call again with a larger buffer and THE SAME KEY, or query.
 * 缓冲区不够时返回 PAYAGENT_TOO_SMALL，out 为空串，绝不返回半截 JSON。此时请求已经执行：
 * 用同一个 key 和更大的缓冲区再调一次，或查询。
 * 32768 bytes are enough for every answer about one order. 单笔订单 32768 字节足够。
 *
 * KEY 幂等键 - 1 to 255 printable ASCII characters, new for every payment or
 * refund that the cashier starts, the same for every repetition. Write it down
 * before the call. 每次新的收款或退费用新键，重发用原键；调用之前先存下来。
 */
#ifndef PAYAGENT_H
#define PAYAGENT_H

#if defined(_WIN32)
#define PAYAGENT_CALL __stdcall
#else
#define PAYAGENT_CALL
#endif
#if defined(__GNUC__) && !defined(_WIN32)
#define PAYAGENT_API __attribute__((visibility("default")))
#else
#define PAYAGENT_API
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* What the functions return; 0 to 6 are the exit codes of the command line.
 * 返回值；0–6 与命令行退出码相同。 */
#define PAYAGENT_OK 0          /* paid; canceled; given back; booked 已支付/已撤销/已退/已入账 */
#define PAYAGENT_NO 1          /* certainly not; look at safe_to_take_cash 确定没有 */
#define PAYAGENT_USAGE 2       /* a parameter is wrong, nothing was sent 参数有误，什么也没有发出 */
#define PAYAGENT_OPEN 3        /* not decided yet: query 还没有结果，再查询 */
#define PAYAGENT_IN_DOUBT 4    /* unknown: take no cash, query 结果未知，不得收现金 */
#define PAYAGENT_UNREACHABLE 5 /* no answer, nothing is known: same key again, or query by bill 无应答，结果不明 */
#define PAYAGENT_REFUSED 6     /* see "code" in out 未受理，见 out 中的 code */
#define PAYAGENT_TOO_SMALL 7   /* out_cap is too small, see above 缓冲区不够 */

/* Least buffer of payagent_trade. payagent_trade 的最小缓冲区。 */
#define PAYAGENT_TRADE_MIN 8192

/* payagent_call makes one request of the HTTP interface. *http_status (may be
 * NULL) is the status, 0 without an answer. Returns PAYAGENT_OK for 2xx,
 * PAYAGENT_REFUSED for other statuses of the agent, else as above. 单个 HTTP 请求。
 *   method  "GET" or "POST";  path  such as /v1/orders?bill=123, ASCII, values
 *   percent-encoded;  key  may be NULL where the interface asks for none. */
PAYAGENT_API int PAYAGENT_CALL payagent_call(const char *settings, const char *method, const char *path, const char *key,
    const char *in, int in_len, char *out, int out_cap, int *out_need, int *http_status);

/* payagent_pay asks for an order (in: the body of POST /v1/orders) and follows
 * it for at most wait_s seconds. out: the order, or why there is none. 收款并等待结果。 */
PAYAGENT_API int PAYAGENT_CALL payagent_pay(const char *settings, const char *key, const char *in, int in_len, int wait_s,
    char *out, int out_cap, int *out_need);

/* payagent_query tells how an order is, waiting at most wait_s for its end. 按订单号查询。 */
PAYAGENT_API int PAYAGENT_CALL payagent_query(const char *settings, const char *order_no, int wait_s, char *out, int out_cap, int *out_need);

/* payagent_query_bill does it for the newest order of HIS's bill; this is how a
 * HIS that crashed goes on. 按账单号查询，HIS 崩溃后由此继续。 */
PAYAGENT_API int PAYAGENT_CALL payagent_query_bill(const char *settings, const char *bill, int wait_s, char *out, int out_cap, int *out_need);

/* payagent_cancel cancels and waits at most wait_s for the end. in: {} or
 * {"operator":{"id":"1001"},"reason":"..."}; may be NULL. OK: no money is kept. 撤销。 */
PAYAGENT_API int PAYAGENT_CALL payagent_cancel(const char *settings, const char *order_no, const char *in, int in_len, int wait_s,
    char *out, int out_cap, int *out_need);

/* payagent_refund gives money back (in: the body of POST .../refunds) and waits
 * at most wait_s for the end. out: {"refund":...,"order":...}, or the order when
 * it was waited for. 退费。 */
PAYAGENT_API int PAYAGENT_CALL payagent_refund(const char *settings, const char *order_no, const char *key, const char *in, int in_len, int wait_s,
    char *out, int out_cap, int *out_need);

/* payagent_book tells the agent what HIS made of the payment (in: the body of
 * POST .../booking, {"result":"booked","his_flow_id":"..."} or
 * {"result":"failed","reason":"..."}, which gives the money back). No key: the
 * agent compares what is said. HIS 入账回执；failed 会立即退款。 */
PAYAGENT_API int PAYAGENT_CALL payagent_book(const char *settings, const char *order_no, const char *in, int in_len,
    char *out, int out_cap, int *out_need);

/* payagent_trade is the same in the style of two pointers, for programs that
 * can call nothing else. in: {"settings":"address=...;token_file=...",
 * "action":"pay|query|cancel|refund|book","key":"...","order_no":"...",
 * "bill":"...","wait_s":60,"request":{...}}. Both texts end with NUL and are in
 * the encoding that settings name (settings itself in ASCII). out MUST have
 * 8192 bytes or more; never more than 8192 are written, and a longer answer is
 * replaced by {"code":"too_small"} with return value 7.
 * 双指针调用方式；out 至少 8192 字节，写入绝不超过 8192 字节。 */
PAYAGENT_API int PAYAGENT_CALL payagent_trade(const char *in, char *out);

/* payagent_version is a text such as "1.0"; it is never freed. 版本。 */
PAYAGENT_API const char *PAYAGENT_CALL payagent_version(void);

#ifdef __cplusplus
}
#endif
#endif
