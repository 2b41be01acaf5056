// Sample for HIS written in C# (.NET Framework 4 or later), without packages.
// See README.md. 真实项目请用现成的 JSON 库 a real project uses its JSON library.
using System;
using System.IO;
using System.Net;
using System.Text;
using System.Text.RegularExpressions;
using System.Threading;

class Refused : Exception
{
    public readonly string Code;
    public Refused(string answer) : base(Sample.Member(answer, "code") + ": " + Sample.Member(answer, "title")) { Code = Sample.Member(answer, "code"); }
}

static class Sample
{
    static readonly string Base = "http://" + Environment.GetEnvironmentVariable("PAYAGENT_ADDRESS");
    static readonly string Bill = Environment.GetEnvironmentVariable("PAYAGENT_BILL");
    const string Cashier = "{\"id\":\"1001\",\"name\":\"王收费\"}";
    static string token;

    // The first member of that name; those of the order itself come first.
    public static string Member(string json, string name)
    {
        Match m = Regex.Match(json, "\"" + name + "\":(?:\"(?<t>[^\"]*)\"|(?<t>[^,}\\]]*))");
        return m.Success ? m.Groups["t"].Value : "";
    }

    static string Cash(string order)
    {
        int at = order.IndexOf("\"safe_to_take_cash\"");
        return at < 0 ? "" : Member(order.Substring(at), "answer");
    }

    static string Read(WebResponse r)
    {
        using (StreamReader s = new StreamReader(r.GetResponseStream(), Encoding.UTF8)) return s.ReadToEnd();
    }

    static string Once(string method, string path, string key, string body)
    {
        HttpWebRequest r = (HttpWebRequest)WebRequest.Create(Base + path);
        r.Method = method;
        r.Proxy = null; // requests to this machine never go through a proxy
        r.Timeout = r.ReadWriteTimeout = 75000; // a long poll is answered within 60 s
        r.KeepAlive = false;
        r.AllowAutoRedirect = false;
        r.ServicePoint.Expect100Continue = false;
        r.Headers["Authorization"] = "Bearer " + token;
        if (key != null) r.Headers["Idempotency-Key"] = key;
        if (body != null)
        {
            byte[] data = Encoding.UTF8.GetBytes(body);
            r.ContentType = "application/json";
            r.ContentLength = data.Length;
            using (Stream s = r.GetRequestStream()) s.Write(data, 0, data.Length);
        }
        try
        {
            using (WebResponse a = r.GetResponse()) return Read(a);
        }
        catch (WebException e)
        {
            if (e.Response == null) throw;
            string answer;
            using (e.Response) answer = Read(e.Response);
            if (Member(answer, "code") == "") throw;
            throw new Refused(answer);
        }
    }

    // Ask repeats with the same key while no answer comes: what was sent may
    // have been carried out, so an error is "unknown", never "failed".
    static string Ask(string method, string path, string key, string body)
    {
        for (DateTime deadline = DateTime.UtcNow.AddSeconds(30); ; Thread.Sleep(500))
        {
            try
            {
                return Once(method, path, key, body);
            }
            catch (Refused e)
            {
                if (e.Code != "shutting_down" && e.Code != "too_many_requests") throw;
            }
            catch (Exception e)
            {
                if (!(e is WebException || e is IOException)) throw;
                if (DateTime.UtcNow > deadline) throw new Exception("unknown, take no cash and ask again later: " + e.Message);
            }
        }
    }

    static string Follow(string order, double ms)
    {
        DateTime deadline = DateTime.UtcNow.AddMilliseconds(ms);
        while (Member(order, "final") != "true" && DateTime.UtcNow < deadline)
        {
            long left = (long)Math.Min((deadline - DateTime.UtcNow).TotalMilliseconds, 30000) + 1;
            order = Ask("GET", "/v1/orders/" + Member(order, "out_trade_no") + "?rev=" + Member(order, "rev") + "&wait=" + left + "ms", null, null);
        }
        return order;
    }

    static void Check(bool ok, string why) { if (!ok) throw new Exception(why); }
    static string NewKey() { return Guid.NewGuid().ToString(); }

    static string Request(string bill, int fen, string code)
    {
        return "{\"bill\":\"" + bill + "\",\"amount_fen\":" + fen + ",\"mode\":\"charge\",\"order_type\":\"TREATMENT\",\"till\":\""
            + Environment.GetEnvironmentVariable("PAYAGENT_TILL") + "\",\"subject\":\"门诊缴费\",\"operator\":" + Cashier
            + ",\"patient\":{\"name\":\"张三\",\"card_no\":\"C0001\"}"
            + (string.IsNullOrEmpty(code) ? "" : ",\"auth_code\":\"" + code + "\"") + "}"; // without it the till's scanner reads the code
    }

    static void Run()
    {
        token = File.ReadAllText(Environment.GetEnvironmentVariable("PAYAGENT_TOKEN_FILE")).Trim();
        // 1. Take the payment. HIS keeps the key with the bill before it asks.
        string key = NewKey(), body = Request(Bill + "-1", 1230, Environment.GetEnvironmentVariable("PAYAGENT_CODE_1"));
        string order = Follow(Ask("POST", "/v1/orders", key, body), 120000);
        Check(Member(order, "state") == "paid", "not paid but " + Member(order, "state"));
        string no = Member(order, "out_trade_no");
        Console.WriteLine("PAID " + no);
        Check(Member(Ask("POST", "/v1/orders", key, body), "out_trade_no") == no, "the key gave another order");
        // 2. HIS books it and says so. "failed" would give the money back at once.
        Ask("POST", "/v1/orders/" + no + "/booking", null, "{\"result\":\"booked\",\"his_flow_id\":\"" + Bill + "-F1\",\"cost_type\":\"自费\"}");
        Console.WriteLine("BOOKED " + no);
        // 3. Give a part back.
        string number = "R" + NewKey().Replace("-", "").Substring(0, 16);
        string refund = Ask("POST", "/v1/orders/" + no + "/refunds", NewKey(), "{\"amount_fen\":230,\"operator\":" + Cashier + ",\"reason\":\"退部分项目\",\"refund_no\":\"" + number + "\"}");
        for (int i = 0; Member(refund, "state") != "done"; i++)
        {
            Check(Member(refund, "state") != "refused" && i < 60, "the refund is " + Member(refund, "state"));
            Thread.Sleep(1000);
            refund = Ask("GET", "/v1/orders/" + no + "/refunds", null, null);
        }
        Console.WriteLine("REFUNDED " + number);
        // 4. A payer who does not pay: look at the verdict, cancel, and take
        // cash only when the agent says yes.
        order = Follow(Ask("POST", "/v1/orders", NewKey(), Request(Bill + "-2", 501, Environment.GetEnvironmentVariable("PAYAGENT_CODE_2"))), 300);
        Check(Cash(order) != "yes", "cash while the payer may still pay?");
        Console.WriteLine("NO CASH " + Member(order, "state"));
        order = Ask("POST", "/v1/orders/" + Member(order, "out_trade_no") + "/cancel", null, "{\"operator\":" + Cashier + ",\"reason\":\"患者改付现金\"}");
        order = Follow(order, 120000);
        Check(Member(order, "state") != "paid", "paid in the last moment: book it, take no cash");
        Console.WriteLine("CANCELED " + Member(order, "out_trade_no"));
        Check(Cash(order) == "yes", "take no cash yet");
        Console.WriteLine("CASH OK");
        // 5. After a crash: the bill tells what became of it.
        string found = Ask("GET", "/v1/orders?bill=" + Uri.EscapeDataString(Bill + "-1"), null, null);
        Console.WriteLine("FOUND " + Member(found, "state"));
    }

    static int Main()
    {
        try
        {
            Run();
            return 0;
        }
        catch (Exception e)
        {
            Console.WriteLine("ERROR " + e.Message);
            return 1;
        }
    }
}
