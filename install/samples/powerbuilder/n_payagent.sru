$PBExportHeader$n_payagent.sru
// NOT COMPILED HERE 此处未编译: no PowerBuilder was at hand; a checker compares
// blocks and field names only. Sample for HIS written in PowerBuilder 9 to 12
// (ANSI): put payagent.dll (32 bit) beside the program. See README.md.
// PowerBuilder 10 and later hand over Unicode: "alias for …;ansi" below makes them GBK.
// PowerBuilder 10 及以后默认 Unicode，声明末尾的 alias for "…;ansi" 使其按 GBK 传递；9 及以前请去掉 alias.
global type n_payagent from nonvisualobject
end type
global n_payagent n_payagent

type prototypes
function long payagent_pay(string settings, string key, string request, long request_len, long wait_s, ref string answer, long answer_cap, ref long need) library "payagent.dll" alias for "payagent_pay;ansi"
function long payagent_query_bill(string settings, string bill, long wait_s, ref string answer, long answer_cap, ref long need) library "payagent.dll" alias for "payagent_query_bill;ansi"
function long payagent_cancel(string settings, string order_no, string request, long request_len, long wait_s, ref string answer, long answer_cap, ref long need) library "payagent.dll" alias for "payagent_cancel;ansi"
function long payagent_refund(string settings, string order_no, string key, string request, long request_len, long wait_s, ref string answer, long answer_cap, ref long need) library "payagent.dll" alias for "payagent_refund;ansi"
function long payagent_book(string settings, string order_no, string request, long request_len, ref string answer, long answer_cap, ref long need) library "payagent.dll" alias for "payagent_book;ansi"
end prototypes

type variables
constant long OUT_SIZE = 32768
// The address, and a file that holds the token. 中文 Windows 下字符串为 GBK。
string is_settings = "address=127.0.0.1:8780;token_file=C:\payagent\token;encoding=gbk;timeout_ms=30000"
string is_answer
long il_need
end variables

forward prototypes
public function string of_member (string as_json, string as_name)
public function string of_cash ()
public function long of_pay (string as_key, string as_bill, long al_fen, string as_till, string as_operator)
public function long of_book (string as_order, string as_flow)
public function long of_refund (string as_order, string as_refund_no, long al_fen, string as_operator)
public function long of_cancel (string as_order, string as_operator)
public function long of_resume (string as_bill)
end prototypes

// The first member of that name; those of the order itself come first.
public function string of_member (string as_json, string as_name);
long ll_from, ll_to
ll_from = Pos(as_json, '"' + as_name + '":')
if ll_from = 0 then
	return ""
end if
ll_from = ll_from + Len(as_name) + 3
if Mid(as_json, ll_from, 1) = '"' then
	ll_from = ll_from + 1
end if
ll_to = ll_from
do while ll_to <= Len(as_json)
	if Pos('",}', Mid(as_json, ll_to, 1)) > 0 then
		exit
	end if
	ll_to = ll_to + 1
loop
return Mid(as_json, ll_from, ll_to - ll_from)
end function

// May the cashier take cash? Only where this says yes.
public function string of_cash ();
long ll_at
ll_at = Pos(is_answer, '"safe_to_take_cash"')
if ll_at = 0 then
	return "no"
end if
return of_member(Mid(is_answer, ll_at), "answer")
end function

// 1. Take a payment; keep as_key with the bill BEFORE calling, and call again
// with the same key where it gives 5. 0 paid, 1 failed or canceled, 3 open,
// 4 in doubt, 5 unknown, 6 refused.
public function long of_pay (string as_key, string as_bill, long al_fen, string as_till, string as_operator);
string ls_request
ls_request = '{"bill":"' + as_bill + '","amount_fen":' + String(al_fen) + ',"mode":"charge","order_type":"TREATMENT","till":"' + as_till + '","operator":{"id":"' + as_operator + '"}}'
is_answer = Space(OUT_SIZE)
return payagent_pay(is_settings, as_key, ls_request, -1, 120, is_answer, OUT_SIZE, il_need)
end function

// 2. HIS booked it. "result":"failed" would give the money back at once.
public function long of_book (string as_order, string as_flow);
string ls_request
ls_request = '{"result":"booked","his_flow_id":"' + as_flow + '"}'
is_answer = Space(OUT_SIZE)
return payagent_book(is_settings, as_order, ls_request, -1, is_answer, OUT_SIZE, il_need)
end function

// 3. Give money back; the refund number is the key, too.
public function long of_refund (string as_order, string as_refund_no, long al_fen, string as_operator);
string ls_request
ls_request = '{"amount_fen":' + String(al_fen) + ',"operator":{"id":"' + as_operator + '"},"refund_no":"' + as_refund_no + '"}'
is_answer = Space(OUT_SIZE)
return payagent_refund(is_settings, as_order, as_refund_no, ls_request, -1, 60, is_answer, OUT_SIZE, il_need)
end function

// 4. Cancel. 0: nothing is kept, then look at of_cash(). 1: it is paid, book it.
public function long of_cancel (string as_order, string as_operator);
string ls_request
ls_request = '{"operator":{"id":"' + as_operator + '"}}'
is_answer = Space(OUT_SIZE)
return payagent_cancel(is_settings, as_order, ls_request, -1, 120, is_answer, OUT_SIZE, il_need)
end function

// 5. After a crash: what became of the bill.
public function long of_resume (string as_bill);
is_answer = Space(OUT_SIZE)
return payagent_query_bill(is_settings, as_bill, 60, is_answer, OUT_SIZE, il_need)
end function
