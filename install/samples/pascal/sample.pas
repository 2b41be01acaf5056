{ Sample for HIS written in Delphi (7 or later) or Free Pascal in Delphi mode,
  over the C library. See README.md. On Windows put payagent.dll beside the
  program; a text of Delphi 7 to 2007 is GBK on a Chinese Windows, so settings
  say encoding=gbk there.
  真实项目请用现成的 JSON 库 a real project uses its JSON library. }
program sample;

{$IFDEF FPC}{$MODE DELPHI}{$ENDIF}
{$APPTYPE CONSOLE}

uses
  SysUtils;

const
  {$IFDEF MSWINDOWS}Lib = 'payagent.dll';{$ELSE}Lib = 'libpayagent.so';{$ENDIF}
  OutSize = 32768;
  PAYAGENT_OK = 0;
  PAYAGENT_OPEN = 3;

function payagent_pay(settings, key, request: PAnsiChar; requestLen, waitS: Integer; answer: PAnsiChar; answerCap: Integer; var need: Integer): Integer;
  {$IFDEF MSWINDOWS}stdcall;{$ELSE}cdecl;{$ENDIF} external Lib;
function payagent_query_bill(settings, bill: PAnsiChar; waitS: Integer; answer: PAnsiChar; answerCap: Integer; var need: Integer): Integer;
  {$IFDEF MSWINDOWS}stdcall;{$ELSE}cdecl;{$ENDIF} external Lib;
function payagent_cancel(settings, orderNo, request: PAnsiChar; requestLen, waitS: Integer; answer: PAnsiChar; answerCap: Integer; var need: Integer): Integer;
  {$IFDEF MSWINDOWS}stdcall;{$ELSE}cdecl;{$ENDIF} external Lib;
function payagent_refund(settings, orderNo, key, request: PAnsiChar; requestLen, waitS: Integer; answer: PAnsiChar; answerCap: Integer; var need: Integer): Integer;
  {$IFDEF MSWINDOWS}stdcall;{$ELSE}cdecl;{$ENDIF} external Lib;
function payagent_book(settings, orderNo, request: PAnsiChar; requestLen: Integer; answer: PAnsiChar; answerCap: Integer; var need: Integer): Integer;
  {$IFDEF MSWINDOWS}stdcall;{$ELSE}cdecl;{$ENDIF} external Lib;

var
  Settings, Bill, Key, Body, No, Number: AnsiString;
  Answer: array[0..OutSize - 1] of AnsiChar;
  Code, Need: Integer;

function Env(const Name: string): AnsiString;
begin
  Result := AnsiString(GetEnvironmentVariable(Name));
end;

procedure Fail(const What: string);
begin
  WriteLn('ERROR ', What, ': ', Code, ' ', Copy(string(Answer), 1, 600));
  Halt(1);
end;

{ The first member of that name; those of the order itself come first. }
function Member(const Json, Name: AnsiString): AnsiString;
var
  P: Integer;
begin
  Result := '';
  P := Pos('"' + Name + '":', Json);
  if P = 0 then
    Exit;
  P := P + Length(Name) + 3;
  if (P <= Length(Json)) and (Json[P] = '"') then
    Inc(P);
  while (P <= Length(Json)) and not (Json[P] in ['"', ',', '}']) do
  begin
    Result := Result + Json[P];
    Inc(P);
  end;
end;

function Cash: AnsiString;
var
  Json: AnsiString;
begin
  Json := AnsiString(Answer);
  Result := Member(Copy(Json, Pos('"safe_to_take_cash"', Json), 200), 'answer');
end;

function Request(const ABill: AnsiString; Fen: Integer; const PayCode: AnsiString): AnsiString;
begin
  Result := '{"bill":"' + ABill + '","amount_fen":' + AnsiString(IntToStr(Fen)) + ',"mode":"charge","order_type":"TREATMENT","till":"' +
    Env('PAYAGENT_TILL') + '","operator":{"id":"1001"}';
  if PayCode <> '' then { HIS scanned it; else the till's scanner does }
    Result := Result + ',"auth_code":"' + PayCode + '"';
  Result := Result + '}';
end;

begin
  Settings := 'address=' + Env('PAYAGENT_ADDRESS') + ';token_file=' + Env('PAYAGENT_TOKEN_FILE') + ';encoding=gbk;timeout_ms=30000';
  Bill := Env('PAYAGENT_BILL');
  { 1. Take the payment. HIS keeps the key with the bill before it calls. }
  Key := Bill + '-1-' + AnsiString(FormatDateTime('hhnnsszzz', Now));
  Body := Request(Bill + '-1', 1230, Env('PAYAGENT_CODE_1'));
  Code := payagent_pay(PAnsiChar(Settings), PAnsiChar(Key), PAnsiChar(Body), Length(Body), 120, Answer, OutSize, Need);
  if Code <> PAYAGENT_OK then
    Fail('not paid');
  No := Member(AnsiString(Answer), 'out_trade_no');
  WriteLn('PAID ', No);
  Code := payagent_pay(PAnsiChar(Settings), PAnsiChar(Key), PAnsiChar(Body), Length(Body), 0, Answer, OutSize, Need);
  if (Code <> PAYAGENT_OK) or (Member(AnsiString(Answer), 'out_trade_no') <> No) then
    Fail('the key gave another order');
  { 2. HIS books it and says so. "failed" would give the money back at once. }
  Body := '{"result":"booked","his_flow_id":"' + Bill + '-F1"}';
  Code := payagent_book(PAnsiChar(Settings), PAnsiChar(No), PAnsiChar(Body), Length(Body), Answer, OutSize, Need);
  if Code <> PAYAGENT_OK then
    Fail('not booked');
  WriteLn('BOOKED ', No);
  { 3. Give a part back. }
  Number := 'R' + Copy(No, 1, 20);
  Body := '{"amount_fen":230,"operator":{"id":"1001"},"refund_no":"' + Number + '"}';
  Code := payagent_refund(PAnsiChar(Settings), PAnsiChar(No), PAnsiChar(Number), PAnsiChar(Body), Length(Body), 60, Answer, OutSize, Need);
  if Code <> PAYAGENT_OK then
    Fail('not refunded');
  WriteLn('REFUNDED ', Number);
  { 4. A payer who does not pay: look at the verdict, cancel, and take cash
    only when the agent says yes. }
  Key := Bill + '-2-' + AnsiString(FormatDateTime('hhnnsszzz', Now));
  Body := Request(Bill + '-2', 501, Env('PAYAGENT_CODE_2'));
  Code := payagent_pay(PAnsiChar(Settings), PAnsiChar(Key), PAnsiChar(Body), Length(Body), 1, Answer, OutSize, Need);
  if (Code <> PAYAGENT_OPEN) or (Cash = 'yes') then
    Fail('paid, ended, or cash while the payer may still pay');
  WriteLn('NO CASH ', Member(AnsiString(Answer), 'state'));
  No := Member(AnsiString(Answer), 'out_trade_no');
  Body := '{"operator":{"id":"1001"}}';
  Code := payagent_cancel(PAnsiChar(Settings), PAnsiChar(No), PAnsiChar(Body), Length(Body), 120, Answer, OutSize, Need);
  if Code <> PAYAGENT_OK then
    Fail('not canceled (1: paid in the last moment, book it)');
  WriteLn('CANCELED ', No);
  if Cash <> 'yes' then
    Fail('take no cash yet');
  WriteLn('CASH OK');
  { 5. After a crash: the bill tells what became of it. }
  Code := payagent_query_bill(PAnsiChar(Settings), PAnsiChar(Bill + '-1'), 0, Answer, OutSize, Need);
  if Code <> PAYAGENT_OK then
    Fail('not found');
  WriteLn('FOUND ', Member(AnsiString(Answer), 'state'));
end.
