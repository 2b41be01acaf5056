Attribute VB_Name = "PayAgent"
' NOT COMPILED HERE: no Visual Basic 6 was at hand; a checker compares blocks
' and field names only. Put payagent.dll (32 bit) beside the program. VB6 hands
' texts to a DLL in the encoding of Windows, which is GBK on a Chinese one, so
' the settings say encoding=gbk. See README.md.
Option Explicit

Private Declare Function payagent_pay Lib "payagent.dll" (ByVal settings As String, ByVal key As String, ByVal request As String, ByVal requestLen As Long, ByVal waitS As Long, ByVal answer As String, ByVal answerCap As Long, ByRef need As Long) As Long
Private Declare Function payagent_query_bill Lib "payagent.dll" (ByVal settings As String, ByVal bill As String, ByVal waitS As Long, ByVal answer As String, ByVal answerCap As Long, ByRef need As Long) As Long
Private Declare Function payagent_cancel Lib "payagent.dll" (ByVal settings As String, ByVal orderNo As String, ByVal request As String, ByVal requestLen As Long, ByVal waitS As Long, ByVal answer As String, ByVal answerCap As Long, ByRef need As Long) As Long
Private Declare Function payagent_refund Lib "payagent.dll" (ByVal settings As String, ByVal orderNo As String, ByVal key As String, ByVal request As String, ByVal requestLen As Long, ByVal waitS As Long, ByVal answer As String, ByVal answerCap As Long, ByRef need As Long) As Long
Private Declare Function payagent_book Lib "payagent.dll" (ByVal settings As String, ByVal orderNo As String, ByVal request As String, ByVal requestLen As Long, ByVal answer As String, ByVal answerCap As Long, ByRef need As Long) As Long

Private Const OUT_SIZE As Long = 32768
Private Const SETTINGS_TEXT As String = "address=127.0.0.1:8780;token_file=C:\payagent\token;encoding=gbk;timeout_ms=30000"

' What the last call answered.
Public LastAnswer As String

Private Sub Keep(ByVal buffer As String)
    Dim ending As Long
    ending = InStr(buffer, vbNullChar)
    If ending > 0 Then
        LastAnswer = Left$(buffer, ending - 1)
    Else
        LastAnswer = ""
    End If
End Sub

' The first member of that name; those of the order itself come first.
Public Function Member(ByVal json As String, ByVal name As String) As String
    Dim from As Long
    Dim upto As Long
    from = InStr(json, """" & name & """:")
    If from = 0 Then
        Exit Function
    End If
    from = from + Len(name) + 3
    If Mid$(json, from, 1) = """" Then
        from = from + 1
    End If
    upto = from
    Do While upto <= Len(json)
        If InStr(""",}", Mid$(json, upto, 1)) > 0 Then
            Exit Do
        End If
        upto = upto + 1
    Loop
    Member = Mid$(json, from, upto - from)
End Function

' May the cashier take cash? Only where this says yes.
Public Function Cash() As String
    Dim at As Long
    Cash = "no"
    at = InStr(LastAnswer, """safe_to_take_cash""")
    If at > 0 Then
        Cash = Member(Mid$(LastAnswer, at), "answer")
    End If
End Function

' 1. Take a payment; keep the key with the bill BEFORE calling, and call again
' with the same key where it gives 5. 0 paid, 1 failed or canceled, 3 open,
' 4 in doubt, 5 unknown, 6 refused.
Public Function Pay(ByVal key As String, ByVal bill As String, ByVal fen As Long, ByVal till As String, ByVal operatorId As String) As Long
    Dim request As String
    Dim buffer As String
    Dim need As Long
    request = "{""bill"":""" & bill & """,""amount_fen"":" & CStr(fen) & ",""mode"":""charge"",""order_type"":""TREATMENT"",""till"":""" & till & """,""operator"":{""id"":""" & operatorId & """}}"
    buffer = String$(OUT_SIZE, vbNullChar)
    Pay = payagent_pay(SETTINGS_TEXT, key, request, -1, 120, buffer, OUT_SIZE, need)
    Keep buffer
End Function

' 2. HIS booked it. "result":"failed" would give the money back at once.
Public Function Book(ByVal orderNo As String, ByVal flow As String) As Long
    Dim request As String
    Dim buffer As String
    Dim need As Long
    request = "{""result"":""booked"",""his_flow_id"":""" & flow & """}"
    buffer = String$(OUT_SIZE, vbNullChar)
    Book = payagent_book(SETTINGS_TEXT, orderNo, request, -1, buffer, OUT_SIZE, need)
    Keep buffer
End Function

' 3. Give money back; the refund number is the key, too.
Public Function Refund(ByVal orderNo As String, ByVal refundNo As String, ByVal fen As Long, ByVal operatorId As String) As Long
    Dim request As String
    Dim buffer As String
    Dim need As Long
    request = "{""amount_fen"":" & CStr(fen) & ",""operator"":{""id"":""" & operatorId & """},""refund_no"":""" & refundNo & """}"
    buffer = String$(OUT_SIZE, vbNullChar)
    Refund = payagent_refund(SETTINGS_TEXT, orderNo, refundNo, request, -1, 60, buffer, OUT_SIZE, need)
    Keep buffer
End Function

' 4. Cancel. 0: nothing is kept, then look at Cash(). 1: it is paid, book it.
Public Function Cancel(ByVal orderNo As String, ByVal operatorId As String) As Long
    Dim request As String
    Dim buffer As String
    Dim need As Long
    request = "{""operator"":{""id"":""" & operatorId & """}}"
    buffer = String$(OUT_SIZE, vbNullChar)
    Cancel = payagent_cancel(SETTINGS_TEXT, orderNo, request, -1, 120, buffer, OUT_SIZE, need)
    Keep buffer
End Function

' 5. After a crash: what became of the bill.
Public Function ResumeBill(ByVal bill As String) As Long
    Dim buffer As String
    Dim need As Long
    buffer = String$(OUT_SIZE, vbNullChar)
    ResumeBill = payagent_query_bill(SETTINGS_TEXT, bill, 60, buffer, OUT_SIZE, need)
    Keep buffer
End Function
