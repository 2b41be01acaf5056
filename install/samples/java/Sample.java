// Sample for HIS written in Java 8 or later, without libraries. See README.md.
// 真实项目请用现成的 JSON 库；这里的 text() 只够读本接口的应答。
// A real project uses its JSON library; text() below reads just what is needed.
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.HttpURLConnection;
import java.net.Proxy;
import java.net.URL;
import java.net.URLEncoder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Paths;
import java.util.UUID;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

public class Sample {
    static final String BASE = "http://" + System.getenv("PAYAGENT_ADDRESS");
    static final String BILL = System.getenv("PAYAGENT_BILL");
    static final String CASHIER = "{\"id\":\"1001\",\"name\":\"王收费\"}";
    static String token;

    static class Refused extends RuntimeException {
        final String code;

        Refused(String answer) {
            super(text(answer, "code") + ": " + text(answer, "title"));
            code = text(answer, "code");
        }
    }

    /** The first member of that name; those of the order itself come first. */
    static String text(String json, String name) {
        Matcher m = Pattern.compile("\"" + name + "\":(?:\"([^\"]*)\"|([^,}\\]]*))").matcher(json);
        return !m.find() ? "" : m.group(1) != null ? m.group(1) : m.group(2).trim();
    }

    static String cash(String order) {
        int at = order.indexOf("\"safe_to_take_cash\"");
        return at < 0 ? "" : text(order.substring(at), "answer");
    }

    static String once(String method, String path, String key, String body) throws IOException {
        HttpURLConnection c = (HttpURLConnection) new URL(BASE + path).openConnection(Proxy.NO_PROXY);
        c.setRequestMethod(method);
        c.setConnectTimeout(5000);
        c.setReadTimeout(75000); // a long poll is answered within 60 s
        c.setInstanceFollowRedirects(false);
        c.setRequestProperty("Authorization", "Bearer " + token);
        c.setRequestProperty("Connection", "close"); // or Java itself may send a POST twice, and without telling
        if (key != null) {
            c.setRequestProperty("Idempotency-Key", key);
        }
        if (body != null) {
            byte[] data = body.getBytes(StandardCharsets.UTF_8);
            c.setRequestProperty("Content-Type", "application/json");
            c.setDoOutput(true);
            c.setFixedLengthStreamingMode(data.length);
            try (OutputStream out = c.getOutputStream()) {
                out.write(data);
            }
        }
        int status = c.getResponseCode();
        ByteArrayOutputStream all = new ByteArrayOutputStream();
        try (InputStream in = status < 300 ? c.getInputStream() : c.getErrorStream()) {
            byte[] part = new byte[8192];
            for (int n; in != null && (n = in.read(part)) > 0; ) {
                all.write(part, 0, n);
            }
        }
        String answer = new String(all.toByteArray(), StandardCharsets.UTF_8);
        if (status >= 300) {
            if (text(answer, "code").isEmpty()) {
                throw new IOException("this is no answer of the agent: " + status);
            }
            throw new Refused(answer);
        }
        return answer;
    }

    /**
     * Repeats with the same key while no answer comes: what was sent may have
     * been carried out, so an error is "unknown", never "failed".
     */
    static String ask(String method, String path, String key, String body) throws Exception {
        long deadline = System.nanoTime() + 30_000_000_000L;
        while (true) {
            try {
                return once(method, path, key, body);
            } catch (Refused e) {
                if (!e.code.equals("shutting_down") && !e.code.equals("too_many_requests")) {
                    throw e;
                }
            } catch (IOException e) {
                if (System.nanoTime() > deadline) {
                    throw new Exception("unknown, take no cash and ask again later: " + e);
                }
            }
            Thread.sleep(500);
        }
    }

    static String follow(String order, long ms) throws Exception {
        long deadline = System.nanoTime() + ms * 1_000_000L;
        while (!text(order, "final").equals("true") && System.nanoTime() < deadline) {
            long left = Math.min((deadline - System.nanoTime()) / 1_000_000L, 30_000) + 1;
            order = ask("GET", "/v1/orders/" + text(order, "out_trade_no") + "?rev=" + text(order, "rev") + "&wait=" + left + "ms", null, null);
        }
        return order;
    }

    static void check(boolean ok, String why) throws Exception {
        if (!ok) {
            throw new Exception(why);
        }
    }

    static String key() {
        return UUID.randomUUID().toString();
    }

    static String request(String bill, int fen, String code) {
        return "{\"bill\":\"" + bill + "\",\"amount_fen\":" + fen + ",\"mode\":\"charge\",\"order_type\":\"TREATMENT\",\"till\":\"" + System.getenv("PAYAGENT_TILL")
            + "\",\"subject\":\"门诊缴费\",\"operator\":" + CASHIER + ",\"patient\":{\"name\":\"张三\",\"card_no\":\"C0001\"}"
            + (code == null || code.isEmpty() ? "" : ",\"auth_code\":\"" + code + "\"") + "}"; // without it the till's scanner reads the code
    }

    static void run() throws Exception {
        token = new String(Files.readAllBytes(Paths.get(System.getenv("PAYAGENT_TOKEN_FILE"))), StandardCharsets.UTF_8).trim();
        // 1. Take the payment. HIS keeps the key with the bill before it asks.
        String key = key(), body = request(BILL + "-1", 1230, System.getenv("PAYAGENT_CODE_1"));
        String order = follow(ask("POST", "/v1/orders", key, body), 120_000);
        check(text(order, "state").equals("paid"), "not paid but " + text(order, "state"));
        String no = text(order, "out_trade_no");
        System.out.println("PAID " + no);
        check(text(ask("POST", "/v1/orders", key, body), "out_trade_no").equals(no), "the key gave another order");
        // 2. HIS books it and says so. "failed" would give the money back at once.
        ask("POST", "/v1/orders/" + no + "/booking", null, "{\"result\":\"booked\",\"his_flow_id\":\"" + BILL + "-F1\",\"cost_type\":\"自费\"}");
        System.out.println("BOOKED " + no);
        // 3. Give a part back.
        String number = "R" + key().replace("-", "").substring(0, 16);
        String refund = ask("POST", "/v1/orders/" + no + "/refunds", key(),
            "{\"amount_fen\":230,\"operator\":" + CASHIER + ",\"reason\":\"退部分项目\",\"refund_no\":\"" + number + "\"}");
        for (int i = 0; !text(refund, "state").equals("done"); i++) {
            check(!text(refund, "state").equals("refused") && i < 60, "the refund is " + text(refund, "state"));
            Thread.sleep(1000);
            refund = ask("GET", "/v1/orders/" + no + "/refunds", null, null);
        }
        System.out.println("REFUNDED " + number);
        // 4. A payer who does not pay: look at the verdict, cancel, and take
        // cash only when the agent says yes.
        order = follow(ask("POST", "/v1/orders", key(), request(BILL + "-2", 501, System.getenv("PAYAGENT_CODE_2"))), 300);
        check(!cash(order).equals("yes"), "cash while the payer may still pay?");
        System.out.println("NO CASH " + text(order, "state"));
        order = ask("POST", "/v1/orders/" + text(order, "out_trade_no") + "/cancel", null, "{\"operator\":" + CASHIER + ",\"reason\":\"患者改付现金\"}");
        order = follow(order, 120_000);
        check(!text(order, "state").equals("paid"), "paid in the last moment: book it, take no cash");
        System.out.println("CANCELED " + text(order, "out_trade_no"));
        check(cash(order).equals("yes"), "take no cash yet");
        System.out.println("CASH OK");
        // 5. After a crash: the bill tells what became of it.
        String found = ask("GET", "/v1/orders?bill=" + URLEncoder.encode(BILL + "-1", "UTF-8"), null, null);
        System.out.println("FOUND " + text(found, "state"));
    }

    public static void main(String[] args) {
        try {
            run();
        } catch (Exception e) {
            System.out.println("ERROR " + e.getMessage());
            System.exit(1);
        }
    }
}
